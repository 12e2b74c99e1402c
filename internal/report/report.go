// Package report writes what the linter found in the formats that people and programs
// read. The same findings give the same bytes.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/redress-policy/redress/dsl"
)

// A Run is what one run of the linter found.
type Run struct {
	Version    string // of redress-lint
	Findings   dsl.Diagnostics
	Suppressed []Suppressed
	Files      []*dsl.Source // everything that was looked at
	Failure    string        // why the run could not be carried out, "" if it could
	ExitCode   int
	Tests      []Test // results of policy tests, for JUnit; nil if none were asked for
}

// A Suppressed is a finding that a comment or the baseline silences.
type Suppressed struct {
	dsl.Diagnostic
	Kind        string // "inSource" or "external"
	Reason      string
	Fingerprint string // of the finding among all that there were, suppressed or not
}

// A Test is the result of a policy test.
type Test struct {
	Suite, Name string
	File        string
	Line        int
	Failure     string // "" if it passed
}

// Options say how to write.
type Options struct {
	Color bool // ANSI colours, in text
}

var writers = map[string]func(io.Writer, *Run, Options) error{
	"text": writeText, "json": writeJSON, "sarif": writeSARIF, "github": writeGitHub, "junit": writeJUnit, "checkstyle": writeCheckstyle,
}

// Formats lists the formats.
func Formats() []string { return []string{"text", "json", "sarif", "github", "junit", "checkstyle"} }

// Write writes a run in a format, which must be one of Formats.
func Write(w io.Writer, format string, run *Run, opts Options) error {
	write, ok := writers[format]
	if !ok {
		return fmt.Errorf("report: no format %q", format)
	}
	return write(w, run, opts)
}

func writeText(w io.Writer, run *Run, opts Options) error {
	for _, d := range run.Findings {
		d.Print(w, dsl.PrintOptions{Color: opts.Color})
	}
	return nil
}

// fingerprint identifies a finding by its rule, its message and the lines that it
// speaks of, not by where they stand. Of equal findings in a file, repeat counts.
func fingerprint(d dsl.Diagnostic, repeat int) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n%d", fileOf(d.Range), d.Code.ID, d.Message, strings.Join(strings.Fields(linesOf(d.Range)), " "), repeat)
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// Fingerprints returns what identifies each of the findings of a run, in their order.
func Fingerprints(found dsl.Diagnostics) []string {
	seen := map[string]int{}
	list := make([]string, len(found))
	for i, d := range found {
		first := fingerprint(d, 0)
		list[i] = fingerprint(d, seen[first])
		seen[first]++
	}
	return list
}

// maxSnippet bounds a text of a source that is repeated, in bytes.
const maxSnippet = 1000

func snippet(text []byte) string {
	if len(text) > maxSnippet {
		text = text[:maxSnippet]
		for end := len(text); end > 0 && end > len(text)-utf8.UTFMax; end-- { // not within a character
			if utf8.RuneStart(text[end-1]) {
				if !utf8.FullRune(text[end-1:]) {
					text = text[:end-1]
				}
				break
			}
		}
	}
	return valid(string(text))
}

// linesOf is the text of the lines on which a range stands.
func linesOf(r dsl.Range) string {
	if r.Source == nil {
		return ""
	}
	var text []byte
	for line, last := r.Position().Line, endOf(r).Line; line <= last && len(text) <= maxSnippet; line++ {
		if len(text) > 0 {
			text = append(text, '\n')
		}
		text = append(text, r.Source.Line(line)...)
	}
	return snippet(text)
}

// fixesOf returns the fixes of d that a reader can make: those that change something, and
// only where a source says where.
func fixesOf(d dsl.Diagnostic) []dsl.Fix {
	return slices.DeleteFunc(slices.Clone(d.Fixes), func(f dsl.Fix) bool {
		return len(f.Edits) == 0 || slices.ContainsFunc(f.Edits, func(e dsl.Edit) bool { return e.Range.Source == nil })
	})
}

// fileOf is the name of the file, with slashes.
func fileOf(r dsl.Range) string {
	if r.Source == nil {
		return ""
	}
	return valid(r.Source.Name)
}

func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// endOf is the place behind the last character of a range.
func endOf(r dsl.Range) dsl.Position {
	if r.Source == nil {
		return dsl.Position{}
	}
	return r.Source.Position(max(r.End, r.Start))
}
