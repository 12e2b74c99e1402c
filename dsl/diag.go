package dsl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Severity ranks diagnostics.
type Severity uint8

// The severities. Errors keep a set from loading; the others do not.
const (
	Error Severity = iota
	Warning
	Info
)

var severityNames = [...]string{"error", "warning", "info"}

// String returns "error", "warning" or "info".
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return fmt.Sprintf("Severity(%d)", uint8(s))
}

// ParseSeverity finds the severity of that name.
func ParseSeverity(name string) (Severity, bool) {
	i := slices.Index(severityNames[:], name)
	return Severity(max(i, 0)), i >= 0
}

// A Code identifies what a diagnostic is about, for good: its meaning never
// changes. ID is "RD" and three digits whose first names the category; Slug is
// the same in words. The list is in codes.go.
type Code struct {
	ID   string // "RD003"
	Slug string // "unknown-key"
}

// A Diagnostic is one thing to say about a document.
type Diagnostic struct {
	Range    Range
	Code     Code
	Severity Severity
	Message  string    // what is wrong, in the words of the document; no capital, no period
	Help     string    // what to write instead, such that it could be typed in; may be empty
	Notes    []string  // reasons and arithmetic, a line each
	Related  []Related // other places that matter
	Fixes    []Fix     // edits that mend it without changing anything else; the first is the best
}

// A Fix is a set of edits that belong together.
type Fix struct {
	Title string // what it does: "replace statsu by status"
	Edits []Edit // in order of their places, which do not overlap
}

// An Edit replaces a range by a text. An empty range is where the text is inserted.
type Edit struct {
	Range Range
	Text  string
}

// A Related is another place that a diagnostic speaks of.
type Related struct {
	Range   Range
	Message string
}

// Diagnostics is a list of them. It is not an error; see Err.
type Diagnostics []Diagnostic

// Sort orders by file, place and code, and drops exact repetitions.
func (ds *Diagnostics) Sort() {
	slices.SortStableFunc(*ds, func(a, b Diagnostic) int {
		return cmp.Or(
			strings.Compare(a.Range.file(), b.Range.file()),
			cmp.Compare(a.Range.Start, b.Range.Start),
			cmp.Compare(a.Range.End, b.Range.End),
			strings.Compare(a.Code.ID, b.Code.ID),
			strings.Compare(a.Message, b.Message),
		)
	})
	*ds = slices.CompactFunc(*ds, func(a, b Diagnostic) bool {
		return a.Range == b.Range && a.Code == b.Code && a.Message == b.Message
	})
}

// HasErrors reports whether any diagnostic is an error.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Err returns a *DocumentError if there are errors, else nil.
func (ds Diagnostics) Err() error {
	if !ds.HasErrors() {
		return nil
	}
	return &DocumentError{Diagnostics: ds}
}

// A DocumentError says that documents are wrong. It holds every finding, those
// included that are no errors, and prints them with their lines.
type DocumentError struct{ Diagnostics Diagnostics }

// Error prints all findings.
func (e *DocumentError) Error() string {
	var b strings.Builder
	for _, d := range e.Diagnostics {
		d.Print(&b, PrintOptions{})
	}
	return strings.TrimRight(b.String(), "\n")
}
