package format

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/redress-policy/redress/dsl"
)

// The reader takes a text apart at its block structure, so that every byte of it is
// indentation, spacing, or kept. It reads only text that a YAML reader has accepted,
// and so need not find mistakes; what it does not expect is an error all the same.

// A comment begins with its #. Without text it stands for an empty line.
type comment struct {
	text   string
	column int // in code points
	gap    int // blanks before it; of comments on a line of their own it means nothing
}

type nodeKind uint8

const (
	emptyNode nodeKind = iota
	scalarNode
	blockNode // a literal or folded scalar
	flowNode
	mappingNode
	sequenceNode
)

// A node is a value with what stands between the key or dash before it and its end.
type node struct {
	kind    nodeKind
	lead    []lead    // the first stands on the line of the key or dash
	newline bool      // the value begins on a line of its own
	above   []comment // above that line; of collections this belongs to the first entry
	column  int       // where the value begins
	parent  int       // column of the collection that it is in
	ofKey   bool      // it is a value of a mapping
	text    string    // of scalars and flow collections; of blocks the header
	tail    comment   // behind the value or the header
	lines   []string  // of blocks, without their indent
	indent  int       // of blocks, if the header says it, relative to the collection around
	open    bool      // a block that ends with the file, without a line break
	tokens  []token   // of flow collections
	entries []*entry  // of block collections
	foot    []comment // behind the last entry
}

// A lead is a line with properties (anchor, tag) before a value, or nothing but a comment.
type lead struct {
	above      []comment
	properties []string
	note       comment
}

// An entry of a mapping has a key, one of a sequence has none.
type entry struct {
	above    []comment
	key      *node
	explicit bool      // the key is written behind `? `
	between  []comment // above the `:` of an explicit key
	value    *node     // nil if an explicit key has none
}

// A part of a file is a document, with or without its marker, the marker that ends
// one, or a directive.
type part struct {
	above  []comment
	marker string
	note   comment // behind a marker without a document
	root   *node
}

type reader struct {
	name    string
	text    string
	p       int
	pending []comment // above p, not yet part of anything
	err     error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		at := dsl.NewSource(r.name, []byte(r.text)).Position(r.p)
		r.err = fmt.Errorf("%s:%d:%d: cannot be formatted: %s", r.name, at.Line, at.Column, fmt.Sprintf(format, args...))
	}
	r.p = len(r.text)
}

func (r *reader) take() (list []comment) {
	list, r.pending = r.pending, nil
	return list
}

// takeFoot takes the comments that belong behind the last entry of a collection: the
// first ones, as far as they are indented like it and more than what comes next.
func (r *reader) takeFoot(column int) (foot []comment) {
	count := 0
	for i, c := range r.pending {
		if c.text == "" {
			continue
		}
		if c.column < column || c.column <= r.column() {
			break
		}
		count = i + 1
	}
	foot, r.pending = r.pending[:count:count], r.pending[count:]
	return foot
}

func (r *reader) lineStart(p int) int { return strings.LastIndexByte(r.text[:p], '\n') + 1 }

func (r *reader) lineEnd(p int) int {
	if n := strings.IndexByte(r.text[p:], '\n'); n >= 0 {
		return p + n
	}
	return len(r.text)
}

// column is where the next token stands in its line, -1 at the end of a document.
func (r *reader) column() int {
	if r.atEnd() {
		return -1
	}
	return r.p - r.lineStart(r.p)
}

// atEnd reports whether a document ends here.
func (r *reader) atEnd() bool {
	return r.p == len(r.text) || r.lineStart(r.p) == r.p && isMarker(r.text[r.p:])
}

func isMarker(line string) bool {
	return (strings.HasPrefix(line, "---") || strings.HasPrefix(line, "...")) && endsWord(line, 3)
}

// endsWord reports whether blank, line break or end stand at s[i].
func endsWord(s string, i int) bool { return i >= len(s) || strings.IndexByte(" \t\n", s[i]) >= 0 }

// is reports whether an indicator stands here, with a blank or nothing behind it.
func (r *reader) is(indicator byte) bool {
	return !r.atEnd() && r.text[r.p] == indicator && endsWord(r.text, r.p+1)
}

func skipBlanks(text string, p int) int {
	for p < len(text) && (text[p] == ' ' || text[p] == '\t') {
		p++
	}
	return p
}

// restOfLine reads what follows the last token of a line: perhaps a comment.
func (r *reader) restOfLine() (note comment) {
	end := r.lineEnd(r.p)
	p := skipBlanks(r.text, r.p)
	if p < end {
		if r.text[p] != '#' {
			r.p = p
			r.fail("unexpected text behind a value")
			return comment{}
		}
		start := r.lineStart(p)
		code := strings.TrimRight(r.text[start:p], " \t")
		note.text = strings.TrimRight(r.text[p:end], " \t")
		note.column = utf8.RuneCountInString(r.text[start:p])
		note.gap = note.column - utf8.RuneCountInString(code)
	}
	r.p = min(end+1, len(r.text))
	return note
}

// gather reads empty lines and comments up to the next token.
func (r *reader) gather() {
	for r.p < len(r.text) {
		start, end := r.p, r.lineEnd(r.p)
		p := skipBlanks(r.text, start)
		switch {
		case p == end:
			if n := len(r.pending); n == 0 || r.pending[n-1].text != "" {
				r.pending = append(r.pending, comment{})
			}
		case r.text[p] == '#':
			r.pending = append(r.pending, comment{text: strings.TrimRight(r.text[p:end], " \t"), column: p - start})
		default:
			r.p = p
			return
		}
		r.p = min(end+1, len(r.text))
	}
}

func (r *reader) stream() (parts []*part) {
	for r.gather(); r.p < len(r.text); r.gather() {
		p := &part{above: r.take()}
		parts = append(parts, p)
		switch rest := r.text[r.p:]; {
		case rest[0] == '%' && r.column() == 0:
			p.marker = strings.TrimRight(r.text[r.p:r.lineEnd(r.p)], " \t")
			r.p = r.lineEnd(r.p)
			r.restOfLine()
		case r.atEnd() && rest[0] == '.':
			p.marker = "..."
			r.p += 3
			p.note = r.restOfLine()
		case r.atEnd():
			p.marker = "---"
			r.p += 3
			p.root = r.value(&node{parent: -1}, false)
		default:
			r.pending, p.above = p.above, nil
			p.root = r.value(&node{parent: -1, newline: true, lead: []lead{{}}}, true)
		}
		if p.root != nil && !r.atEnd() {
			r.fail("unexpected text behind a document")
		}
	}
	return parts
}

// value reads what stands behind the colon of a key, a dash, or a marker, here or on
// lines below. mayBegin tells whether a block collection may begin on the same line.
func (r *reader) value(n *node, mayBegin bool) *node {
	here := lead{}
	for more := true; more; {
		r.p = skipBlanks(r.text, r.p)
		switch {
		case r.p == len(r.text) || r.text[r.p] == '\n' || r.text[r.p] == '#':
			here.note = r.restOfLine()
			n.lead = append(n.lead, here)
			here = lead{}
			r.gather()
			if !r.goesOn(n) {
				n.foot = r.takeFoot(n.parent + 1)
				return n
			}
			n.newline, mayBegin = true, true
		case strings.IndexByte("&!", r.text[r.p]) >= 0 && !(mayBegin && r.atKey()):
			if n.newline {
				here.above = r.take()
			}
			n.newline, mayBegin = false, false
			here.properties = append(here.properties, r.property())
		default:
			more = false
		}
	}
	if !n.newline {
		n.lead = append(n.lead, here)
	}
	r.body(n, mayBegin)
	return n
}

// goesOn reports whether the next token belongs to n: it is indented more than what n
// is in, or stands at the same column and may do so, as lists under a key may, and
// blocks.
func (r *reader) goesOn(n *node) bool {
	column := r.column()
	if column != n.parent || column < 0 {
		return column > n.parent
	}
	return n.ofKey && r.is('-') || strings.IndexByte("|>", r.text[r.p]) >= 0
}

// property reads an anchor or a tag.
func (r *reader) property() string {
	start := r.p
	r.p = propertyEnd(r.text, start)
	return r.text[start:r.p]
}

func propertyEnd(text string, p int) int {
	isAnchor := text[p] == '&'
	for p++; !endsWord(text, p) && (!isAnchor || isWord(text[p])); p++ {
	}
	return p
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func (r *reader) body(n *node, mayBegin bool) {
	n.column = r.column()
	switch c := r.text[r.p]; {
	case mayBegin && r.is('-'):
		r.sequence(n)
		return
	case mayBegin && r.atKey():
		r.mapping(n)
		return
	case c == '|' || c == '>':
		n.above = r.take()
		r.block(n)
		return
	case c == '{' || c == '[':
		n.kind = flowNode
		n.tokens = readFlow(r.text, r.p)
		if n.tokens == nil {
			r.fail("a bracket is not closed")
			return
		}
		n.text = r.text[r.p:n.tokens[len(n.tokens)-1].end]
	default:
		n.kind = scalarNode
		n.text = r.text[r.p:r.scalarEnd(n.parent)]
	}
	n.above = r.take()
	r.p += len(n.text)
	n.tail = r.restOfLine()
	r.gather()
}

func (r *reader) sequence(n *node) {
	n.kind = sequenceNode
	for r.err == nil && r.column() == n.column && r.is('-') {
		e := &entry{above: r.take()}
		r.p++
		e.value = r.value(&node{parent: n.column}, true)
		n.entries = append(n.entries, e)
	}
	n.foot = r.takeFoot(n.column)
}

func (r *reader) mapping(n *node) {
	n.kind = mappingNode
	for r.err == nil && r.column() == n.column && r.atKey() {
		e := &entry{above: r.take()}
		n.entries = append(n.entries, e)
		if r.is('?') {
			r.explicit(n, e)
			continue
		}
		e.key = r.key()
		r.p++
		e.value = r.value(&node{parent: n.column, ofKey: true}, false)
	}
	n.foot = r.takeFoot(n.column)
}

// explicit reads a key that is written behind `? `, and its value behind `: `.
func (r *reader) explicit(n *node, e *entry) {
	e.explicit = true
	r.p++
	e.key = r.value(&node{parent: n.column, ofKey: true}, true)
	if r.column() == n.column && r.is(':') {
		e.between = r.take()
		r.p++
		e.value = r.value(&node{parent: n.column, ofKey: true}, true)
	}
}

// key reads a key and stops at its colon.
func (r *reader) key() *node {
	n := &node{kind: scalarNode, column: r.column(), lead: []lead{{}}}
	colon := r.colon()
	for strings.IndexByte("&!", r.text[r.p]) >= 0 {
		n.lead[0].properties = append(n.lead[0].properties, r.property())
		r.p = skipBlanks(r.text, r.p)
	}
	n.text = strings.TrimRight(r.text[r.p:colon], " \t")
	r.p = colon
	return n
}

// atKey reports whether a key of a block mapping begins here.
func (r *reader) atKey() bool { return r.is('?') || r.colon() >= 0 }

// colon finds the colon of the key that begins here, -1 if it is none.
func (r *reader) colon() int {
	line := r.text[:r.lineEnd(r.p)]
	p := r.p
	for p < len(line) && strings.IndexByte("&!", line[p]) >= 0 {
		p = skipBlanks(line, propertyEnd(line, p))
	}
	if p == len(line) {
		return -1
	}
	switch c := line[p]; {
	case c == '\'' || c == '"':
		p = quoteEnd(line, p)
	case c == '*':
		p = aliasEnd(line, p)
	case c == '{' || c == '[':
		tokens := readFlow(line, p)
		if tokens == nil {
			return -1
		}
		p = tokens[len(tokens)-1].end
	case strings.IndexByte("|>#%@`", c) >= 0, c == '-' && endsWord(line, p+1):
		return -1
	default:
		return plainColon(line, p)
	}
	if p < 0 {
		return -1
	}
	if p = skipBlanks(line, p); p < len(line) && line[p] == ':' && endsWord(line, p+1) {
		return p
	}
	return -1
}

// plainColon finds the colon behind a key without quotes, -1 without one.
func plainColon(line string, start int) int {
	for p := start; p < len(line); p++ {
		switch {
		case line[p] == ':' && endsWord(line, p+1):
			return p
		case line[p] == '#' && p > start && endsWord(line, p-1):
			return -1
		}
	}
	return -1
}

// aliasEnd returns the place behind the alias at p.
func aliasEnd(text string, p int) int {
	for p++; p < len(text) && isWord(text[p]); p++ {
	}
	return p
}

// quoteEnd returns the place behind the quote that closes the one at p, -1 without one.
func quoteEnd(text string, p int) int {
	quote := text[p]
	for p++; p < len(text); p++ {
		switch {
		case quote == '"' && text[p] == '\\':
			p++
		case text[p] != quote:
		case quote == '\'' && p+1 < len(text) && text[p+1] == '\'':
			p++
		default:
			return p + 1
		}
	}
	return -1
}

// scalarEnd finds the end of a scalar or alias that is a value.
func (r *reader) scalarEnd(parent int) int {
	switch r.text[r.p] {
	case '\'', '"':
		end := quoteEnd(r.text, r.p)
		if end < 0 {
			r.fail("a quote is not closed")
			return r.p
		}
		return end
	case '*':
		return aliasEnd(r.text, r.p)
	}
	return r.plainEnd(parent)
}

// plainEnd finds the end of a scalar without quotes: it goes on with lines that are
// indented more than the collection around, until a comment.
func (r *reader) plainEnd(parent int) (end int) {
	for p := r.p; ; {
		line := r.text[:r.lineEnd(p)]
		start := p
		for p < len(line) && !(line[p] == '#' && (p == start || line[p-1] == ' ' || line[p-1] == '\t')) {
			p++
		}
		cut := p < len(line)
		end = start + len(strings.TrimRight(line[start:p], " \t"))
		if p = r.nextText(len(line)); cut || p < 0 || p-r.lineStart(p) <= parent || r.text[p] == '#' {
			return end
		}
	}
}

// nextText finds the first text behind the end of a line, -1 if the document ends.
func (r *reader) nextText(p int) int {
	for p < len(r.text) {
		start := p + 1
		if p = skipBlanks(r.text, start); p < len(r.text) && r.text[p] != '\n' {
			if p == start && isMarker(r.text[p:]) {
				return -1
			}
			return p
		}
	}
	return -1
}

// block reads a literal or folded scalar.
func (r *reader) block(n *node) {
	n.kind = blockNode
	start := r.p
	for r.p++; !endsWord(r.text, r.p) && r.text[r.p] != '#'; r.p++ {
		if c := r.text[r.p]; c >= '1' && c <= '9' {
			n.indent = int(c - '0')
		}
	}
	n.text = r.text[start:r.p]
	n.tail = r.restOfLine()
	r.blockLines(n)
	r.gather()
}

// blockLines reads the lines of a block. Empty lines at its end are left to what
// comes behind, unless the block keeps them.
func (r *reader) blockLines(n *node) {
	indent := -1 // not known until the first line with text
	if n.indent > 0 {
		indent = max(n.parent, 0) + n.indent
	}
	empty := 0
	flush := func() {
		n.lines = append(n.lines, make([]string, empty)...)
		empty = 0
	}
	for p := r.p; p < len(r.text); {
		end := r.lineEnd(p)
		line := r.text[p:end]
		lead := len(line) - len(strings.TrimLeft(line, " "))
		isBlank := lead == len(line)
		if indent < 0 && !isBlank {
			indent = max(lead, n.parent+1)
		}
		if !isBlank && lead < indent {
			break
		}
		p = min(end+1, len(r.text))
		if isBlank && (indent < 0 || lead <= indent) {
			if end < len(r.text) {
				empty++
			}
			continue
		}
		flush()
		n.lines = append(n.lines, line[indent:])
		n.open = end == len(r.text) && !strings.Contains(n.text, "-")
		r.p = p
	}
	if n.keeps() {
		for range empty {
			r.p = r.lineEnd(r.p) + 1
		}
		flush()
	}
}

// keeps reports whether the empty lines behind a block belong to it.
func (n *node) keeps() bool { return n.kind == blockNode && strings.Contains(n.text, "+") }
