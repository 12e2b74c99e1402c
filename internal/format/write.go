package format

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// step is the indentation of what stands in something else.
const step = 2

// A writer collects lines.
type writer struct {
	lines []line
	full  bool // the last line ends a block to which an empty line would be added
	open  bool // the last line must not be ended
}

// A line is code and a comment behind it, either may be missing. raw lines are
// content of a block.
type line struct {
	code   string
	note   comment
	raw    bool
	marker bool
}

func (l *loaded) write() string {
	w := &writer{}
	for _, p := range l.parts {
		w.comments(p.above, 0)
		switch {
		case p.root != nil:
			w.value(p.marker, p.root, -1, 0, false)
		default:
			w.add(line{code: p.marker, note: p.note, marker: true})
		}
	}
	w.comments(l.final, 0)
	return w.text(l.crlf)
}

func (w *writer) add(l line) {
	w.lines = append(w.lines, l)
	w.full = false
}

// gap adds an empty line, unless there is one, or nothing to be separated.
func (w *writer) gap() {
	if n := len(w.lines); n > 0 && !w.full && w.lines[n-1] != (line{}) {
		w.add(line{})
	}
}

func (w *writer) comments(list []comment, indent int) {
	for _, c := range list {
		if c.text == "" {
			w.gap()
			continue
		}
		w.add(line{code: blanks(indent) + c.text})
	}
}

func blanks(n int) string { return strings.Repeat(" ", n) }

// join puts words behind a code with a blank between.
func join(code string, words ...string) string {
	for _, word := range words {
		if strings.TrimLeft(code, " ") != "" {
			code += " "
		}
		code += word
	}
	return code
}

// value writes a value behind the code that introduces it: a key, a dash, a marker.
// parent is the indent of that, child the indent of what stands on lines below.
// compact tells whether a collection may begin on the same line.
func (w *writer) value(code string, n *node, parent, child int, compact bool) {
	isCollection := n.kind == mappingNode || n.kind == sequenceNode
	last := len(n.lead) - 1
	newline := n.newline && !isCollection && !n.joins(compact)
	for i, l := range n.lead {
		if i > 0 {
			w.comments(l.above, child)
			code = blanks(child)
		}
		code = join(code, l.properties...)
		if i < last || newline || n.kind == emptyNode {
			w.introduce(code, l.note)
		}
	}
	if isCollection {
		w.collection(code, n, child, compact && last == 0)
		return
	}
	if newline {
		w.comments(n.above, child)
		code = blanks(child)
	}
	switch n.kind {
	case emptyNode:
		w.comments(n.foot, child)
	case blockNode:
		w.block(join(code, n.text), n, parent, child)
	default:
		shift := parent - n.parent
		if n.newline {
			shift = child - n.column
		}
		w.flowing(code, n, parent, shift)
	}
}

// joins reports whether a value that was written on a line of its own stands better
// behind what introduces it: behind a dash anything does, behind a key only what has
// lines of its own anyway. The value of a key may be on its own line for its length.
func (n *node) joins(compact bool) bool {
	return (compact || n.kind == blockNode) && len(n.above) == 0 && n.lead[len(n.lead)-1].note.text == ""
}

// introduce ends the line before a value, if there is one.
func (w *writer) introduce(code string, note comment) {
	if code != "" || note.text != "" {
		w.add(line{code: code, note: note, marker: isMarker(code)})
	}
}

// collection writes a block collection. compact tells that it stands behind a dash.
func (w *writer) collection(code string, n *node, indent int, compact bool) {
	above, note := n.entries[0].above, n.lead[len(n.lead)-1].note
	bare := compact && len(n.lead[0].properties) == 0 && note.text == ""
	if bare && startsEmpty(above) {
		above = above[1:]
	}
	if bare = bare && len(above) == 0; bare {
		code += " "
	} else {
		w.introduce(code, note)
		w.comments(above, indent)
		code = blanks(indent)
	}
	for i, e := range n.entries {
		if i > 0 {
			w.comments(e.above, indent)
			code = blanks(indent)
		}
		w.entry(code, e, indent)
	}
	w.comments(n.foot, indent)
}

func (w *writer) entry(code string, e *entry, indent int) {
	switch {
	case e.key == nil:
		w.value(code+"-", e.value, indent, indent+step, true)
	case e.explicit:
		w.value(code+"?", e.key, indent, indent+step, true)
		if e.value != nil {
			w.comments(e.between, indent)
			w.value(blanks(indent)+":", e.value, indent, indent+step, true)
		}
	default:
		words := e.key.lead[0].properties
		if e.key.text != "" {
			words = append(slices.Clone(words), e.key.text)
		}
		if code += strings.Join(words, " "); len(words) > 0 && takesColon(words[len(words)-1]) {
			code += " "
		}
		w.value(code+":", e.value, indent, indent+step, false)
	}
}

// block writes a literal or folded scalar: its lines are indented anew, together.
func (w *writer) block(code string, n *node, parent, child int) {
	w.add(line{code: code, note: n.tail})
	if n.indent > 0 {
		child = max(parent, 0) + n.indent
	}
	for _, text := range n.lines {
		if text != "" {
			text = blanks(child) + text
		}
		w.add(line{code: text, raw: true})
	}
	w.full = n.keeps()
	w.open = n.open
}

// flowing writes a scalar or a flow collection. Its lines behind the first move with
// it; those of a scalar stay right of the collection around if they were.
func (w *writer) flowing(code string, n *node, parent, shift int) {
	lines := strings.Split(n.written(), "\n")
	for i, text := range lines[1:] {
		bare := strings.TrimLeft(text, " ")
		column := len(text) - len(bare)
		moved := max(column+shift, 0)
		if n.kind == scalarNode && column > n.parent {
			moved = max(moved, parent+1)
		}
		if lines[i+1] = ""; bare != "" {
			lines[i+1] = blanks(moved) + bare
		}
	}
	lines[0] = join(code, lines[0])
	for i, text := range lines {
		l := line{code: text, raw: i > 0}
		if i == 0 {
			l.marker = isMarker(text)
		}
		if i == len(lines)-1 {
			l.note = n.tail
		}
		w.add(l)
	}
}

// written is a value as it was written. Of flow collections over several lines the
// blanks at the ends of lines are left out, unless they stand in a scalar.
func (n *node) written() string {
	if n.kind != flowNode || !strings.Contains(n.text, "\n") {
		return n.text
	}
	start := n.tokens[len(n.tokens)-1].end - len(n.text)
	var b strings.Builder
	at := 0
	for _, t := range n.tokens {
		begin := t.end - start - len(t.text)
		space := n.text[at:begin]
		if last := strings.LastIndexByte(space, '\n'); last >= 0 {
			space = strings.Repeat("\n", strings.Count(space, "\n")) + space[last+1:]
		}
		b.WriteString(space)
		b.WriteString(t.text)
		at = begin + len(t.text)
	}
	return b.String()
}

// text joins the lines.
func (w *writer) text(crlf bool) string {
	for n := len(w.lines); n > 0 && (w.lines[n-1] == line{}); n-- {
		w.lines = w.lines[:n-1]
	}
	w.align()
	end := "\n"
	if crlf {
		end = "\r\n"
	}
	var b strings.Builder
	for i, l := range w.lines {
		b.WriteString(l.code)
		if l.note.text != "" {
			b.WriteString(blanks(l.note.gap) + l.note.text)
		}
		if i < len(w.lines)-1 || !w.open {
			b.WriteString(end)
		}
	}
	return b.String()
}

// noteGap is how many blanks stand before a comment behind a value.
const noteGap = 2

// align sets the blanks before comments behind values. Neighbouring comments that
// stood in one column, lines without a comment between them or not, stay in one.
func (w *writer) align() {
	var group []*line
	flush := func() {
		gap, width := -1, 0
		for _, l := range group {
			width = max(width, utf8.RuneCountInString(l.code))
			if gap < 0 || l.note.gap < gap {
				gap = l.note.gap
			}
		}
		if len(group) == 1 {
			gap = noteGap
		}
		for _, l := range group {
			l.note.gap = width + max(gap, noteGap) - utf8.RuneCountInString(l.code)
		}
		group = nil
	}
	for i := range w.lines {
		l := &w.lines[i]
		if l.marker {
			flush()
		}
		if l.note.text == "" {
			continue
		}
		if len(group) > 0 && group[0].note.column != l.note.column {
			flush()
		}
		group = append(group, l)
	}
	flush()
}
