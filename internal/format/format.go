// Package format puts policy files into canonical form: keys in the order of the
// language's reference, two blanks of indentation, one blank where blanks are needed.
// Nothing else changes. Comments and scalars stay byte for byte what they were, and
// the documents mean the same; what could break that is left as it is.
package format

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
)

// Format returns text in canonical form. It changes order of keys and spacing,
// nothing else: comments and scalars are kept with their style, and the documents
// mean the same. Formatting the result again gives the result.
//
// It refuses text that is not readable YAML of the language with a
// *dsl.DocumentError. Other mistakes, such as unknown keys, do not matter; the order
// of a mapping with an unknown key is left alone. Lines end as the first one does. The
// result is checked before it is returned: if it broke a promise, Format returns an
// error that says so.
func Format(fileName string, text []byte) ([]byte, error) {
	before, err := load(fileName, string(text))
	if err != nil {
		return nil, err
	}
	out := before.write()
	after, err := load(fileName, out)
	if err != nil {
		return nil, fmt.Errorf("%s: not formatted, since the result could not be read: %v", fileName, err)
	}
	if lost := before.difference(after); lost != "" {
		return nil, fmt.Errorf("%s: not formatted, since %s", fileName, lost)
	}
	if after.write() != out {
		return nil, fmt.Errorf("%s: not formatted, since formatting twice would change it again", fileName)
	}
	return []byte(out), nil
}

// A loaded is a text with what the language and what this package read in it.
type loaded struct {
	file  *dsl.File
	found dsl.Diagnostics
	crlf  bool
	parts []*part
	final []comment // behind the last part
}

func load(name, text string) (*loaded, error) {
	l := &loaded{crlf: hasCRLF(text)}
	l.file, l.found = dsl.Parse(dsl.NewSource(name, []byte(text)))
	if refused := unreadable(l.file, l.found); len(refused) > 0 {
		return nil, refused.Err()
	}
	r := &reader{name: name, text: strings.ReplaceAll(text, "\r\n", "\n")}
	l.parts = r.stream()
	l.final = r.take()
	if r.err != nil {
		return nil, r.err
	}
	for _, p := range l.parts {
		if p.root != nil {
			p.root.arrange(shapeOf(p.root), true)
		}
	}
	return l, nil
}

// hasCRLF reports how the first line of a text ends.
func hasCRLF(text string) bool {
	i := strings.IndexByte(text, '\n')
	return i > 0 && text[i-1] == '\r'
}

// unreadableCodes are the mistakes that make it doubtful what a text says.
var unreadableCodes = []dsl.Code{
	dsl.CodeSyntax, dsl.CodeDuplicateKey, dsl.CodeEaten, dsl.CodeEncoding, dsl.CodeTooLarge, dsl.CodeYAMLFeature,
}

// unreadable returns the findings for which a file is not formatted.
func unreadable(file *dsl.File, found dsl.Diagnostics) (refused dsl.Diagnostics) {
	for _, d := range found {
		if len(file.Documents) == 0 || slices.Contains(unreadableCodes, d.Code) || isAboutRoot(file, d) {
			refused = append(refused, d)
		}
	}
	return refused
}

// isAboutRoot recognises that a document is no mapping.
func isAboutRoot(file *dsl.File, d dsl.Diagnostic) bool {
	return d.Code == dsl.CodeWrongType && slices.ContainsFunc(file.Documents, func(doc *dsl.Document) bool {
		_, isMapping := doc.JSON().(map[string]any)
		return doc.Range == d.Range && !isMapping
	})
}
