package dsl

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// PrintOptions say how diagnostics are printed.
type PrintOptions struct {
	Color bool // ANSI colours
}

// Print writes the diagnostic with its line, a caret range under the characters
// that it speaks of, a help line and related places.
func (d Diagnostic) Print(w io.Writer, opts PrintOptions) {
	paint := painter(opts.Color)
	severity := paint(severityColor[d.Severity], d.Severity.String()+":")
	fmt.Fprintf(w, "%s %s %s %s\n", paint("1", leading(d.Range.String())+":"), severity, oneLine(d.Message), paint("2", "["+d.Code.ID+" "+d.Code.Slug+"]"))
	d.Range.printSnippet(w, func(s string) string { return paint(severityColor[d.Severity], s) })
	for _, note := range d.Notes {
		fmt.Fprintf(w, "  note: %s\n", oneLine(note))
	}
	if d.Help != "" {
		fmt.Fprintf(w, "  help: %s\n", oneLine(d.Help))
	}
	for _, r := range d.Related {
		fmt.Fprintf(w, "  %s: %s\n", leading(r.Range.String()), oneLine(r.Message))
	}
}

// oneLine spells a text so that it stays on its line and sends a terminal nothing but
// what it shows: line breaks, control characters and bytes that are no text are written
// as in Go.
func oneLine(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if unicode.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(text[:n])
		} else {
			quoted := strconv.Quote(text[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[n:]
	}
	return b.String()
}

// leading spells a name with which a line begins: CI systems take a line that begins
// with "::" or "##" for a command.
func leading(name string) string {
	name = oneLine(name)
	if trimmed := strings.TrimLeft(name, " "); strings.HasPrefix(trimmed, "::") || strings.HasPrefix(trimmed, "##") {
		return "./" + name
	}
	return name
}

var severityColor = [...]string{Error: "1;31", Warning: "1;33", Info: "1;36"}

func painter(color bool) func(code, text string) string {
	return func(code, text string) string {
		if !color {
			return text
		}
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
}

// String returns "file:line:column" of the range's start.
func (r Range) String() string {
	if r.Source == nil {
		return "-"
	}
	p := r.Position()
	return fmt.Sprintf("%s:%d:%d", r.Source.Name, p.Line, p.Column)
}

func (r Range) file() string {
	if r.Source == nil {
		return ""
	}
	return r.Source.Name
}

// maxSnippet bounds the columns of a printed line.
const maxSnippet = 160

// printSnippet writes the line on which the range begins, and carets under the part
// of the range that stands on it.
func (r Range) printSnippet(w io.Writer, paint func(string) string) {
	if r.Source == nil {
		return
	}
	at := r.Position()
	line := r.Source.Line(at.Line)
	lineStart := r.Source.lines[at.Line-1]
	begin := min(max(r.Start-lineStart, 0), len(line))
	end := min(max(r.End-lineStart, begin), len(line))
	line, begin, end = window(line, begin, end)
	text, cells := visible(line)
	from, to := cells[begin], max(cells[end], cells[begin]+1)
	if to-from > maxSnippet {
		to = from + maxSnippet
	}
	number := fmt.Sprint(at.Line)
	fmt.Fprintf(w, "  %s | %s\n", number, strings.TrimRight(text, " "))
	fmt.Fprintf(w, "  %s | %s%s\n", strings.Repeat(" ", len(number)), strings.Repeat(" ", from), paint(strings.Repeat("^", to-from)))
}

// window cuts a long line to what surrounds its part from begin to end.
func window(line []byte, begin, end int) (cut []byte, from, to int) {
	const around = maxSnippet / 2
	first, last := 0, len(line)
	if len(line) > maxSnippet && begin > around {
		for first = begin - around; first < begin && !utf8.RuneStart(line[first]); {
			first++
		}
	}
	if last-first > maxSnippet {
		for last = first + maxSnippet; last > begin && !utf8.RuneStart(line[last]); {
			last--
		}
	}
	return line[first:last], begin - first, min(end, last) - first
}

// visible spells a line for a terminal: tabs are a blank, control characters a dot.
// cells[i] is the terminal cell in which byte i is shown.
func visible(line []byte) (text string, cells []int) {
	var b strings.Builder
	cells = make([]int, len(line)+1)
	width := 0
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRune(line[i:])
		for k := range n {
			cells[i+k] = width
		}
		i += n
		switch {
		case r == '\t':
			r = ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			r = '·'
		}
		b.WriteRune(r)
		width += cellWidth(r)
	}
	cells[len(line)] = width
	return b.String(), cells
}

// cellWidth is how many terminal cells a rune takes, by the blocks of East Asian wide
// characters and emoji of Unicode Standard Annex #11.
func cellWidth(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r):
		return 0
	case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd):
		return 2
	}
	return 1
}
