// Package suppress reads comments that silence findings:
//
//	# redress:ignore RD303 -- one client alone
//	# redress:ignore no-jitter, RD314 until=2027-01-31 -- until the migration
//	# redress:ignore-file RD601 -- tests are written in Go
//
// Behind a value it is for what begins on that line, on a line of its own for what
// begins on the next: the whole of it, if that goes on in lines that are indented
// more. A reason is required; with until it holds up to that day.
package suppress

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/lazyregexp"
	"github.com/redress-policy/redress/internal/rules"
)

// A Silenced is a finding that a comment silences.
type Silenced struct {
	dsl.Diagnostic
	Reason string
}

// A comment is one suppression.
type comment struct {
	at          dsl.Range
	codes       []dsl.Code
	first, last int // lines for which it is; 1 and the last line for ignore-file
	reason      string
	used        bool
}

var (
	marker = lazyregexp.New(`(^|\s)#\s*(redress:\S*.*)$`)
	form   = lazyregexp.New(`^redress:(ignore|ignore-file)\s+([A-Za-z0-9 ,-]+?)(?:\s+until=(\S+))?(?:\s+--\s*(.*))?$`)
)

// Apply divides findings into those that stay and those that comments silence. To
// those that stay it adds what is wrong with the comments. today decides which have
// expired; on is whether a rule is looked for at all.
func Apply(sources []*dsl.Source, found dsl.Diagnostics, today time.Time, on func(file string, code dsl.Code) bool) (kept dsl.Diagnostics, silenced []Silenced) {
	bySource := map[*dsl.Source][]*comment{}
	for _, src := range sources {
		bySource[src], kept = readComments(src, today, kept)
	}
	for _, d := range found {
		if c := silencer(bySource[d.Range.Source], d); c != nil {
			c.used = true
			silenced = append(silenced, Silenced{d, c.reason})
			continue
		}
		kept = append(kept, d)
	}
	for _, src := range sources {
		for _, c := range bySource[src] {
			looked := slices.ContainsFunc(c.codes, func(code dsl.Code) bool { return on(src.Name, code) })
			if !c.used && looked {
				d := finding(dsl.CodeUnusedIgnore, c.at, "remove the comment", "nothing is found here that the comment would silence")
				d.Fixes = []dsl.Fix{{Title: "remove the comment", Edits: []dsl.Edit{{Range: withBlanks(c.at)}}}}
				kept = append(kept, d)
			}
		}
	}
	kept.Sort()
	return kept, silenced
}

// silencer returns the comment that is for a finding, nil if there is none.
func silencer(list []*comment, d dsl.Diagnostic) *comment {
	if rule, ok := rules.Find(d.Code.ID); !ok || rule.Fixed {
		return nil
	}
	line := d.Range.Position().Line
	for _, c := range list {
		if slices.Contains(c.codes, d.Code) && c.first <= line && line <= c.last {
			return c
		}
	}
	return nil
}

func finding(code dsl.Code, at dsl.Range, help, format string, args ...any) dsl.Diagnostic {
	rule, _ := rules.Find(code.ID)
	return dsl.Diagnostic{Range: at, Code: code, Severity: rule.Severity, Message: fmt.Sprintf(format, args...), Help: help}
}

// withBlanks widens a comment to the blanks before it, or to its whole line.
func withBlanks(at dsl.Range) dsl.Range {
	text := at.Source.Bytes
	for at.Start > 0 && (text[at.Start-1] == ' ' || text[at.Start-1] == '\t') {
		at.Start--
	}
	if at.Start == 0 || text[at.Start-1] == '\n' {
		if at.End < len(text) && text[at.End] == '\r' {
			at.End++
		}
		if at.End < len(text) && text[at.End] == '\n' {
			at.End++
		}
	}
	return at
}

// readComments reads the suppressions of a file, and reports those that are wrong.
func readComments(src *dsl.Source, today time.Time, found dsl.Diagnostics) ([]*comment, dsl.Diagnostics) {
	if !bytes.Contains(src.Bytes, []byte("redress:")) {
		return nil, found
	}
	var list []*comment
	offset := 0
	lines := bytes.SplitAfter(src.Bytes, []byte("\n"))
	for n, raw := range lines {
		line := strings.TrimRight(string(raw), "\r\n")
		m := marker.FindStringSubmatchIndex(line)
		if m != nil {
			start := offset + m[3]
			at := dsl.Range{Source: src, Start: start, End: offset + len(strings.TrimRight(line, " \t"))}
			c, wrong := readOne(line[m[4]:m[5]], at, today)
			if wrong != nil {
				found = append(found, *wrong)
			}
			if c != nil {
				alone := strings.TrimSpace(line[:m[3]]) == ""
				c.place(lines, n, alone)
				list = append(list, c)
			}
		}
		offset += len(raw)
	}
	return list, found
}

// readOne reads the text of a comment.
func readOne(text string, at dsl.Range, today time.Time) (*comment, *dsl.Diagnostic) {
	fail := func(code dsl.Code, help, format string, args ...any) (*comment, *dsl.Diagnostic) {
		d := finding(code, at, help, format, args...)
		return nil, &d
	}
	const example = "write # redress:ignore RD303 -- the reason"
	m := form.FindStringSubmatch(strings.TrimRight(text, " \t"))
	if m == nil {
		return fail(dsl.CodeBadIgnore, example, "the comment is no suppression that can be read")
	}
	c := &comment{at: at, reason: strings.TrimSpace(m[4])}
	if m[1] == "ignore-file" {
		c.first, c.last = 1, int(^uint(0)>>1)
	}
	for _, name := range strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' }) {
		rule, ok := rules.Find(name)
		switch {
		case !ok:
			return fail(dsl.CodeBadIgnore, "redress-lint rules lists them", "no rule is called %s%s", name, nearest(name))
		case rule.Fixed:
			return fail(dsl.CodeBadIgnore, "mend what it says", "%s keeps the set from loading and cannot be silenced", rule.Code.ID)
		}
		c.codes = append(c.codes, rule.Code)
	}
	if c.reason == "" {
		return fail(dsl.CodeNoReason, "add -- and the reason", "the suppression gives no reason, and is passed over")
	}
	if m[3] != "" {
		until, err := time.Parse(time.DateOnly, m[3])
		switch {
		case err != nil:
			return fail(dsl.CodeBadIgnore, "write a date like until=2027-01-31", "until=%s is no date", m[3])
		case !today.Before(until.AddDate(0, 0, 1)):
			return fail(dsl.CodeExpiredIgnore, "mend what it silenced, or give it a new date", "the suppression expired on %s, and is passed over", m[3])
		}
	}
	return c, nil
}

func nearest(name string) string {
	var names []string
	for _, r := range rules.All() {
		names = append(names, r.Code.ID, r.Code.Slug)
	}
	if near, ok := dsl.Nearest(name, names); ok {
		return "; did you mean " + near + "?"
	}
	return ""
}

// place finds the lines for which a comment in line n, counted from 0, is.
func (c *comment) place(lines [][]byte, n int, alone bool) {
	if c.last > 0 {
		return
	}
	if alone {
		for n++; n < len(lines) && isBlankOrComment(lines[n]); n++ {
		}
	}
	c.first, c.last = n+1, n+1
	if n >= len(lines) {
		return
	}
	indent := indentOf(lines[n])
	for n++; n < len(lines) && (isBlankOrComment(lines[n]) || indentOf(lines[n]) > indent); n++ {
		if alone || !isBlankOrComment(lines[n]) {
			c.last = n + 1
		}
	}
}

func isBlankOrComment(line []byte) bool {
	text := bytes.TrimSpace(line)
	return len(text) == 0 || text[0] == '#'
}

func indentOf(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " ")) }
