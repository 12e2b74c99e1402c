package lsp

import (
	"strings"

	"github.com/redress-policy/redress/internal/lazyregexp"
)

// While somebody types, a file is seldom YAML. So what stands under the cursor is
// found by a reader that goes by indentation and refuses nothing: it makes a tree of
// any text, in which what cannot be understood is left out. Of texts that are YAML it
// makes the tree that YAML makes, keys written with question marks aside; a test holds
// it to that.

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	mappingNode
	sequenceNode
)

// A node is a value of the tree, with the bytes from its first to behind its last.
type node struct {
	kind       nodeKind
	start, end int
	style      byte // of a scalar: 0, '\'', '"', '|', '>', or '*' for an alias
	body       int  // of a block scalar: where its first line begins
	flow       bool // within braces or brackets
	pairs      []*pair
	items      []*item
	anchor     string
}

// A pair is an entry of a mapping. A key that is still typed has no colon.
type pair struct {
	key   *node
	colon int // -1 if there is none
	value *node
}

// An item is an entry of a sequence. One that is still typed may have no dash.
type item struct {
	dash  int // where the dash stands; -1 in flow style, and if it is missing
	value *node
}

// A document is one document of a stream.
type document struct {
	start, end int
	root       *node // nil if it is empty
}

// maxNesting bounds the depth of the tree; deeper values are left out.
const maxNesting = 100

// scanDocuments reads all documents of a text. It never fails.
func scanDocuments(text string) []document {
	var docs []document
	start := 0
	if strings.HasPrefix(text, byteOrderMark) {
		start = len(byteOrderMark)
	}
	bodyStart := start
	add := func(end, next, nextBody int) {
		s := &scanner{text: text[:end], p: bodyStart, lineStart: start}
		docs = append(docs, document{start, end, s.document()})
		start, bodyStart = next, nextBody
	}
	for p := start; p < len(text); {
		end := nextLine(text, p)
		line := strings.TrimRight(text[p:end], "\r\n")
		switch {
		case line == "---" || strings.HasPrefix(line, "--- "):
			if strings.TrimSpace(text[start:p]) == "" && len(docs) == 0 {
				start, bodyStart = p, p+3
				break
			}
			add(p, p, p+3)
		case line == "...":
			add(p, end, end)
		}
		p = end
	}
	add(len(text), len(text), len(text))
	return docs
}

// nextLine is where the line behind the one at p begins.
func nextLine(text string, p int) int {
	if i := strings.IndexByte(text[p:], '\n'); i >= 0 {
		return p + i + 1
	}
	return len(text)
}

type scanner struct {
	text      string // up to the end of the document
	p         int
	lineStart int // of the line on which p stands
	depth     int
}

// document reads what there is. What stands to the left of its first line, and so
// does not belong to it, is read for itself; a mapping without the lines around it is
// better than nothing.
func (s *scanner) document() *node {
	var first *node
	for s.skip() {
		before := s.p
		n := s.block(-1)
		if first == nil || first.kind != mappingNode && n != nil && n.kind == mappingNode {
			first = n
		}
		if s.p == before {
			s.toNextLine()
		}
	}
	return first
}

func (s *scanner) col() int { return s.p - s.lineStart }

func (s *scanner) toNextLine() {
	s.p = nextLine(s.text, s.p)
	s.lineStart = s.p
}

// skip goes to the next character that is neither blank nor in a comment. It reports
// whether there is one.
func (s *scanner) skip() bool {
	for s.p < len(s.text) {
		switch c := s.text[s.p]; {
		case c == '\n':
			s.p++
			s.lineStart = s.p
		case c == ' ' || c == '\t' || c == '\r':
			s.p++
		case c == '#' && s.beforeIsBlank():
			s.toNextLine()
		default:
			return true
		}
	}
	return false
}

func (s *scanner) beforeIsBlank() bool {
	return s.p == s.lineStart || s.text[s.p-1] == ' ' || s.text[s.p-1] == '\t'
}

// skipBlanks stays on the line. It reports whether something but a comment follows.
func (s *scanner) skipBlanks() bool {
	for s.p < len(s.text) && (s.text[s.p] == ' ' || s.text[s.p] == '\t') {
		s.p++
	}
	return s.p < len(s.text) && s.text[s.p] != '\n' && s.text[s.p] != '\r' && (s.text[s.p] != '#' || !s.beforeIsBlank())
}

func (s *scanner) isDash() bool {
	return s.text[s.p] == '-' && s.isEndAt(s.p+1)
}

// isEndAt reports whether a blank, the line's end or the text's stands at p.
func (s *scanner) isEndAt(p int) bool {
	return p >= len(s.text) || strings.IndexByte(" \t\r\n", s.text[p]) >= 0
}

// block reads the value that begins at p, which is a character of it. All of it
// stands to the right of the column of its parent.
func (s *scanner) block(parent int) *node {
	if s.depth++; s.depth > maxNesting {
		s.depth--
		s.toNextLine()
		return nil
	}
	defer func() { s.depth-- }()
	if s.isDash() {
		return s.sequence(s.col(), false)
	}
	if s.keyEnd() >= 0 || s.isLoneKey() {
		return s.mapping(s.col())
	}
	return s.value(parent)
}

// isLoneKey reports whether the line at p is a word without a colon, followed by keys
// at the same column: a key that is being typed.
func (s *scanner) isLoneKey() bool {
	if strings.IndexByte("{[\"'|>*&!", s.text[s.p]) >= 0 {
		return false
	}
	ahead := *s
	ahead.toNextLine()
	return ahead.skip() && ahead.col() == s.col() && ahead.keyEnd() >= 0
}

// plainKey is a key without quotes. YAML would take more: it has no sense of what an
// expression looks like.
var plainKey = lazyregexp.New(`^[^\s?"'()\[\]{}=&|<>!#,*%@` + "`" + `:-](?:[^\s?"'()\[\]{}=&|<>!#,*%@` + "`" + `:]|:[^\s]|[ \t]+[^\s?"'()\[\]{}=&|<>!#,*%@` + "`" + `:])*[ \t]*:(?:[ \t\r\n]|$)`)

// keyEnd returns where the key at p ends, -1 if there is none.
func (s *scanner) keyEnd() int {
	line := s.text[s.p:nextLine(s.text, s.p)]
	if at := plainKey.FindStringIndex(line); at != nil {
		colon := strings.LastIndexByte(line[:at[1]], ':')
		return s.p + len(strings.TrimRight(line[:colon], " \t"))
	}
	if line[0] == '"' || line[0] == '\'' {
		end := closing(line, 0, len(line))
		if end < 0 {
			return -1
		}
		if rest := strings.TrimLeft(line[end:], " \t"); strings.HasPrefix(rest, ":") && s.isEndAt(s.p+len(line)-len(rest)+1) {
			return s.p + end
		}
	}
	return -1
}

// closing returns where the quoted text at start ends, its quote included; -1 if it
// does not before limit.
func closing(text string, start, limit int) int {
	quote := text[start]
	for p := start + 1; p < limit; p++ {
		switch {
		case text[p] == '\\' && quote == '"':
			p++
		case text[p] == quote && quote == '\'' && p+1 < limit && text[p+1] == '\'':
			p++
		case text[p] == quote:
			return p + 1
		}
	}
	return -1
}

// sequence reads the items whose dashes stand at a column. A compact one stands at
// the column of the key whose value it is.
func (s *scanner) sequence(col int, compact bool) *node {
	n := &node{kind: sequenceNode, start: s.p, end: s.p}
	for {
		switch {
		case s.isDash():
			it := &item{dash: s.p}
			n.items = append(n.items, it)
			s.p++
			n.end = s.p
			it.value = s.item(col)
			if it.value != nil {
				n.end = it.value.end
			}
		case compact:
			return n
		default:
			it := &item{dash: -1, value: s.word()}
			n.items, n.end = append(n.items, it), it.value.end
			s.toNextLine()
		}
		if !s.nextAt(col) {
			return n
		}
	}
}

func (s *scanner) item(col int) *node {
	if s.skipBlanks() {
		anchor := s.properties()
		if s.skipBlanks() {
			return named(s.block(col), anchor)
		}
	}
	if s.skip() && s.col() > col {
		return s.block(col)
	}
	return nil
}

// nextAt goes to the next line that stands at a column, over lines to its right,
// which belong to nothing. It is false if the next stands to its left.
func (s *scanner) nextAt(col int) bool {
	for s.skip() && s.col() >= col {
		if s.col() == col {
			return true
		}
		s.toNextLine()
	}
	return false
}

// word reads what stands on the line, without a comment, as a scalar.
func (s *scanner) word() *node {
	start := s.p
	return &node{start: start, end: start + len(cutComment(s.text[start:nextLine(s.text, start)]))}
}

// cutComment takes the comment and the blanks off the end of a line.
func cutComment(line string) string {
	for i := 1; i < len(line); i++ {
		if line[i] == '#' && (line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i]
			break
		}
	}
	return strings.TrimRight(line, " \t\r\n")
}

func (s *scanner) mapping(col int) *node {
	n := &node{kind: mappingNode, start: s.p, end: s.p}
	for {
		end := s.keyEnd()
		switch {
		case end >= 0:
			p := &pair{key: &node{start: s.p, end: end}}
			if s.text[s.p] == '"' || s.text[s.p] == '\'' {
				p.key.style = s.text[s.p]
			}
			n.pairs = append(n.pairs, p)
			p.colon = end + strings.IndexByte(s.text[end:], ':')
			s.p = p.colon + 1
			n.end = s.p
			p.value = s.pairValue(col)
			if p.value != nil {
				n.end = p.value.end
			}
		case s.isDash():
			return n
		default:
			key := s.word()
			n.pairs = append(n.pairs, &pair{key: key, colon: -1})
			n.end = key.end
			s.toNextLine()
		}
		if !s.nextAt(col) {
			return n
		}
	}
}

// pairValue reads what stands behind the colon of a key at a column.
func (s *scanner) pairValue(col int) *node {
	anchor := ""
	if s.skipBlanks() {
		anchor = s.properties()
		if s.skipBlanks() {
			return named(s.value(col), anchor)
		}
	}
	if !s.skip() {
		return nil
	}
	if s.col() > col {
		return named(s.block(col), anchor)
	}
	if s.col() == col && s.isDash() {
		if s.depth >= maxNesting {
			return nil
		}
		s.depth++
		defer func() { s.depth-- }()
		return named(s.sequence(col, true), anchor)
	}
	return nil
}

func named(n *node, anchor string) *node {
	if n != nil && anchor != "" {
		n.anchor = anchor
	}
	return n
}

var propertyForm = lazyregexp.New(`^(?:&([^\s,\[\]{}&]+)|!![a-z]*)(?:[ \t]+|\r?\n|$)`)

// properties skips anchors and tags, and returns the anchor.
func (s *scanner) properties() (anchor string) {
	for {
		found := propertyForm.FindStringSubmatch(s.text[s.p:])
		if found == nil {
			return anchor
		}
		if found[1] != "" {
			anchor = found[1]
		}
		s.p += len(strings.TrimRight(found[0], "\r\n"))
	}
}

// value reads a scalar or a flow collection, whose lines stand to the right of a column.
func (s *scanner) value(col int) *node {
	switch c := s.text[s.p]; c {
	case '|', '>':
		if n := s.blockScalar(col); n != nil {
			return n
		}
	case '{', '[':
		limit := s.limit(col)
		f := &flowScanner{text: s.text[:limit], p: s.p}
		n := f.value()
		s.p = n.end
		if rest := s.rest(); rest > n.end && c == '[' { // an expression that begins with a list
			return s.line(n.start)
		}
		s.toNextLine()
		return n
	case '"', '\'':
		end := closing(s.text, s.p, s.limit(col))
		if end < 0 {
			n := s.line(s.p)
			n.style = c
			return n
		}
		n := &node{start: s.p, end: end, style: c}
		s.moveTo(end)
		if s.rest() > end { // an expression that begins with a quote
			return s.line(n.start)
		}
		s.toNextLine()
		return n
	}
	return s.plain(col)
}

// moveTo goes to a byte on this line or a later one.
func (s *scanner) moveTo(p int) {
	if i := strings.LastIndexByte(s.text[s.p:p], '\n'); i >= 0 {
		s.lineStart = s.p + i + 1
	}
	s.p = p
}

// rest is where the text on the line behind p ends, without a comment; p if there is
// none.
func (s *scanner) rest() int {
	at := *s
	if !at.skipBlanks() {
		return s.p
	}
	return at.word().end
}

// line reads from start to the end of the line as plain.
func (s *scanner) line(start int) *node {
	n := &node{start: start, end: max(s.word().end, s.p)}
	s.toNextLine()
	return n
}

// limit is where the lines that stand to the right of a column end.
func (s *scanner) limit(col int) int {
	p := nextLine(s.text, s.p)
	for p < len(s.text) {
		end := nextLine(s.text, p)
		line := strings.TrimRight(s.text[p:end], " \t\r\n")
		if line != "" && indentOf(line) <= col {
			return p
		}
		p = end
	}
	return p
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

var blockHeader = lazyregexp.New(`^[|>][-+0-9]*[ \t]*(?:#.*)?\r?(?:\n|$)`)

// blockScalar reads | and >; nil if that is not what stands here.
func (s *scanner) blockScalar(col int) *node {
	if !blockHeader.MatchString(s.text[s.p:nextLine(s.text, s.p)]) {
		return nil
	}
	n := &node{start: s.p, style: s.text[s.p], body: nextLine(s.text, s.p)}
	limit := s.limit(col)
	n.end = n.start + len(strings.TrimRight(s.text[n.start:limit], " \t\r\n"))
	n.body = min(n.body, n.end)
	s.p, s.lineStart = limit, limit
	return n
}

// plain reads a plain scalar: the line, and those below that stand to the right of a
// column, up to a comment.
func (s *scanner) plain(col int) *node {
	n := s.word()
	if s.text[s.p] == '*' {
		n.style = '*'
	}
	limit := s.limit(col)
	s.toNextLine()
	for s.p < limit && n.end == len(strings.TrimRight(s.text[:s.p], " \t\r\n")) { // no comment behind
		if !s.skipBlanks() {
			if s.p < len(s.text) && s.text[s.p] == '#' {
				break
			}
			s.toNextLine()
			continue
		}
		n.end = s.word().end
		s.toNextLine()
	}
	return n
}

// A flowScanner reads what stands in braces and brackets, up to the end of its text.
type flowScanner struct {
	text  string
	p     int
	depth int
}

// skip passes over blanks, breaks and comments.
func (f *flowScanner) skip() bool {
	for f.p < len(f.text) {
		switch c := f.text[f.p]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			f.p++
		case c == '#' && strings.IndexByte(" \t\n", f.text[f.p-1]) >= 0:
			f.p = nextLine(f.text, f.p)
		default:
			return true
		}
	}
	return false
}

// value reads the value at p, which is a character of it.
func (f *flowScanner) value() *node {
	if found := propertyForm.FindStringSubmatch(f.text[f.p:]); found != nil {
		f.p += len(found[0])
		if !f.skip() {
			return &node{start: f.p, end: f.p, flow: true}
		}
		return named(f.value(), found[1])
	}
	switch f.text[f.p] {
	case '{', '[':
		if f.depth >= maxNesting {
			n := &node{start: f.p, end: len(f.text), flow: true}
			f.p = len(f.text)
			return n
		}
		f.depth++
		defer func() { f.depth-- }()
		if f.text[f.p] == '{' {
			return f.mapping()
		}
		return f.sequence()
	case '"', '\'':
		return f.quoted()
	}
	return f.plain()
}

func (f *flowScanner) quoted() *node {
	n := &node{start: f.p, style: f.text[f.p], flow: true}
	n.end = closing(f.text, f.p, len(f.text))
	if n.end < 0 { // still typed: up to the end of its line
		line := strings.TrimRight(f.text[f.p:nextLine(f.text, f.p)], " \t\r\n")
		n.end = f.p + len(strings.TrimRight(line, "}],"))
		n.end = max(n.end, f.p+1)
	}
	f.p = n.end
	return n
}

// plain reads up to a comma, a closing bracket, a colon, a comment or a break within
// the line; lists within an expression are taken whole.
func (f *flowScanner) plain() *node {
	n := &node{start: f.p, flow: true}
	if f.text[f.p] == '*' {
		n.style = '*'
	}
	lists := 0
	for ; f.p < len(f.text); f.p++ {
		c := f.text[f.p]
		switch {
		case c == '[' || c == '{':
			lists++
			continue
		case lists > 0 && (c == ']' || c == '}'):
			lists--
			continue
		case lists > 0 && c != '\n':
			continue
		}
		if c == ',' || c == ']' || c == '}' || c == '\n' || c == '#' && f.p > n.start && isBlank(f.text[f.p-1]) ||
			c == ':' && (f.p+1 == len(f.text) || strings.IndexByte(" \t\r\n,]}[{", f.text[f.p+1]) >= 0) {
			break
		}
	}
	n.end = n.start + len(strings.TrimRight(f.text[n.start:f.p], " \t\r"))
	return n
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func (f *flowScanner) mapping() *node {
	n := &node{kind: mappingNode, start: f.p, flow: true}
	f.p++
	for f.skip() {
		switch c := f.text[f.p]; c {
		case '}', ']':
			f.p++
			n.end = f.p
			return n
		case ',':
			f.p++
			continue
		case ':':
			f.p++
			continue
		}
		p := &pair{key: f.value(), colon: -1}
		n.pairs = append(n.pairs, p)
		if !f.skip() {
			break
		}
		if f.text[f.p] != ':' {
			continue
		}
		p.colon = f.p
		f.p++
		if f.skip() && strings.IndexByte(",}]", f.text[f.p]) < 0 {
			p.value = f.value()
			f.extend(p.value)
		}
	}
	return f.unclosed(n)
}

// unclosed ends a collection whose bracket is missing behind the last that it holds.
func (f *flowScanner) unclosed(n *node) *node {
	f.p = n.start + len(strings.TrimRight(f.text[n.start:f.p], " \t\r\n"))
	n.end = f.p
	return n
}

// extend takes into a scalar what stands behind it and before the next comma: an
// expression that begins with a quote, or goes on in the next line.
func (f *flowScanner) extend(n *node) {
	for n.kind == scalarNode && n.style != '*' && f.skip() && strings.IndexByte(",}]:", f.text[f.p]) < 0 {
		before := f.p
		more := f.plain()
		if f.p == before {
			return
		}
		n.end, n.style = more.end, 0
	}
}

func (f *flowScanner) sequence() *node {
	n := &node{kind: sequenceNode, start: f.p, flow: true}
	f.p++
	for f.skip() {
		switch c := f.text[f.p]; c {
		case '}', ']':
			f.p++
			n.end = f.p
			return n
		case ',', ':':
			f.p++
			continue
		}
		it := &item{dash: -1, value: f.value()}
		n.items = append(n.items, it)
		f.extend(it.value)
	}
	return f.unclosed(n)
}
