// Package load is the one place where text becomes policies: it reads files,
// parses them, holds them against the JSON Schema and compiles them. The linter
// and the loader both go through it, so that they refuse the same files in the
// same words.
package load

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/interp"
	"github.com/redress-policy/redress/schema"
)

// ErrNoFiles says that a file system holds no policy file at all: nothing was
// checked, which must not look like success.
var ErrNoFiles = errors.New("no .yaml or .yml file found")

// A Result is what loading found.
type Result struct {
	Set         *dsl.Set
	Program     *interp.Program
	Sound       bool            // neither the documents nor those they refer to have errors: Program may be used
	Diagnostics dsl.Diagnostics // sorted
}

// FS loads every policy file of fsys as one set. The error speaks of files that
// could not be read; mistakes in files are diagnostics.
func FS(fsys fs.FS, opts interp.Options) (*Result, error) {
	sources, err := dsl.ReadFS(fsys)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, ErrNoFiles
	}
	return Sources(sources, opts), nil
}

// CheckOptions says what is wrong with what Go code registers: that is no mistake of
// a document, so it is no diagnostic.
func CheckOptions(opts interp.Options) error { return opts.Check() }

// Sources loads sources as one set.
func Sources(sources []*dsl.Source, opts interp.Options) *Result {
	set, found := dsl.ParseSet(sources)
	return compile(interp.NewCompiler(opts), set, found)
}

// compile holds a parsed set against the schema and compiles it. found is what parsing
// found.
func compile(compiler *interp.Compiler, set *dsl.Set, found dsl.Diagnostics) *Result {
	refused := refusedDocuments(set, found)
	for doc := range set.All() {
		if !refused[doc] {
			found = append(found, checkSchema(doc)...)
		}
	}
	program, more := compiler.Compile(set)
	found = append(found, more...)
	found.Sort()
	return &Result{Set: set, Program: program, Sound: !found.HasErrors(), Diagnostics: bounded(found)}
}

// maxFindings bounds what is said of one file: who has more mistakes than that has
// made one of another kind.
const maxFindings = 1000

// bounded keeps the first findings of every file, and says how many it left out.
func bounded(found dsl.Diagnostics) dsl.Diagnostics {
	if len(found) <= maxFindings {
		return found
	}
	counts := map[*dsl.Source]int{}
	for _, d := range found {
		counts[d.Range.Source]++
	}
	var kept dsl.Diagnostics
	said := map[*dsl.Source]int{}
	for _, d := range found {
		src := d.Range.Source
		if said[src]++; said[src] <= maxFindings {
			kept = append(kept, d)
		} else if said[src] == maxFindings+1 {
			kept = append(kept, dsl.Diagnostic{
				Range: d.Range, Code: dsl.CodeTooLarge, Message: fmt.Sprintf("%d more findings in this file are not shown", counts[src]-maxFindings),
				Help: "mend what is above first",
			})
		}
	}
	return kept
}

// refusedDocuments tells which documents the decoder has already found fault with.
// It says so in better words than the schema could, and one mistake gets one message.
func refusedDocuments(set *dsl.Set, found dsl.Diagnostics) map[*dsl.Document]bool {
	refused := map[*dsl.Document]bool{}
	for doc := range set.All() {
		for _, d := range found {
			inside := d.Range.Source == doc.Source && d.Range.Start < doc.Range.End && doc.Range.Start <= d.Range.End
			if inside && d.Severity == dsl.Error {
				refused[doc] = true
				break
			}
		}
	}
	return refused
}

// A value is one of a document, as the schema takes it.
type value struct{ dsl.Node }

func (v value) Entry(i int) (string, schema.Value) {
	key, entry := v.Node.Entry(i)
	return key, value{entry}
}

// checkSchema holds one document against the JSON Schema.
func checkSchema(doc *dsl.Document) dsl.Diagnostics {
	if schema.Fits(value{doc.Root()}) {
		return nil
	}
	var found dsl.Diagnostics
	for _, f := range schema.Validate(doc.JSON()) {
		pointer, atKey := f.Pointer, false
		if f.Key != "" || f.Keyword == "additionalProperties" { // a key may be empty
			pointer, atKey = f.Pointer+"/"+schema.EscapePointer(f.Key), true
		}
		found = append(found, dsl.Diagnostic{
			Range:    doc.Locate(pointer, atKey),
			Code:     dsl.CodeSchema,
			Severity: dsl.Error,
			Message:  fmt.Sprintf("the document does not fit the schema at %s: %s", pointerName(pointer), f.Message),
			Help:     "redress-lint schema prints the schema",
		})
	}
	return found
}

func pointerName(pointer string) string {
	if pointer == "" {
		return "its top"
	}
	return pointer
}
