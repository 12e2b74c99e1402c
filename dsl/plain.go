package dsl

import (
	"bytes"
	"strings"

	"gopkg.in/yaml.v3"
)

// Nearly all policies are written in a small part of YAML: mappings and lists in block
// style, scalars that stand on one line, flow collections that do, literal blocks,
// comments. This file reads that part, several times as fast as what is ready for all of
// YAML. At the first character that it is not sure of it gives up, and the
// source is read by the yaml library from its beginning. So it never finds fault with a
// source, and what it does read, it reads as the library does, places included: tests and
// a fuzz target compare the two.
//
// It gives up on tabs, carriage returns, tags, anchors and aliases, escapes, directives,
// scalars and flow collections that go over lines, folded blocks, keys that are no words,
// values that are left out, and all that YAML refuses.

// readPlain reads the documents of a source whose text has been checked. ok is false if
// it has given up.
func readPlain(src *Source) (docs []*node, ok bool) {
	if src.lines[0] != 0 || bytes.IndexByte(src.Bytes, '\t') >= 0 || bytes.IndexByte(src.Bytes, '\r') >= 0 {
		return nil, false
	}
	r := &plainReader{src: src, text: string(src.Bytes)}
	r.line = -1
	for r.advance(); r.start < len(r.text); r.advance() {
		if r.isSeparator {
			continue
		}
		root := r.mapping(r.start, 0)
		if r.unsure || !r.isSeparator && r.start < len(r.text) || len(docs) == MaxDocuments {
			return nil, false
		}
		docs = append(docs, root)
		if r.start >= len(r.text) {
			break
		}
	}
	return docs, !r.unsure
}

// A plainReader stands on a line that has something to read, or at the end of the text.
type plainReader struct {
	src         *Source
	text        string // of which the values of scalars are parts: who keeps one keeps it all
	unsure      bool   // it has given up; what was read then is nonsense
	line        int    // counted from 0
	start, end  int    // of what is on the line, blanks and the line feed left out
	indent      int    // of the line
	isSeparator bool   // the line is ---, between documents, and has no indent
	nodes       int
	bytes       int // of scalars
	block       []node
	items       []*node // of collections that are being read, the innermost behind
	itemBlock   []*node
}

// giveUp makes the reader stop, wherever it is.
func (r *plainReader) giveUp() {
	r.unsure = true
	r.start, r.end, r.indent, r.isSeparator = len(r.text), len(r.text), 0, false
}

// advance goes to the next line that has something to read.
func (r *plainReader) advance() {
	for r.isSeparator = false; ; {
		r.line++
		if r.unsure || r.line >= len(r.src.lines) {
			r.start, r.end, r.indent = len(r.text), len(r.text), 0
			return
		}
		begin := r.src.lines[r.line]
		r.start, r.end = begin, r.lineEnd(r.line)
		for r.start < r.end && r.text[r.start] == ' ' {
			r.start++
		}
		if r.start < r.end && r.text[r.start] != '#' {
			r.indent = r.start - begin
			break
		}
	}
	for r.text[r.end-1] == ' ' {
		r.end--
	}
	if r.indent > 0 {
		return
	}
	switch r.text[r.start] {
	case '-':
		r.isSeparator = strings.HasPrefix(r.text[r.start:r.end], "---")
		if r.isSeparator && r.behind(r.start+3) != r.end {
			r.giveUp()
		}
	case '.', '%':
		r.giveUp()
	}
}

// lineEnd is the place of a line's line feed, or the end of the text.
func (r *plainReader) lineEnd(line int) int {
	if line+1 < len(r.src.lines) {
		return r.src.lines[line+1] - 1
	}
	return len(r.text)
}

// behind is where the line goes on behind a value that ends at p: r.end if only blanks
// and a comment follow.
func (r *plainReader) behind(p int) int {
	q := r.blanks(p)
	if q < r.end && q > p && r.text[q] == '#' {
		return r.end
	}
	return q
}

func (r *plainReader) blanks(p int) int {
	for p < r.end && r.text[p] == ' ' {
		p++
	}
	return p
}

// at is the character at p of the line, a line feed behind its end.
func (r *plainReader) at(p int) byte {
	if p < r.end {
		return r.text[p]
	}
	return '\n'
}

func (r *plainReader) column(p int) int { return p - r.src.lines[r.line] }

// isDash reports whether an entry of a list begins at p.
func (r *plainReader) isDash(p int) bool {
	return r.at(p) == '-' && (r.at(p+1) == ' ' || r.at(p+1) == '\n')
}

// tooDeep gives up on values that are nested more deeply than the limits allow.
func (r *plainReader) tooDeep(depth int) bool {
	if depth >= MaxDepth {
		r.giveUp()
	}
	return r.unsure
}

// mapping reads the mapping whose first key stands at start, and goes on to the line
// behind it.
func (r *plainReader) mapping(start, depth int) *node {
	key, next := r.key(start)
	return r.mappingFrom(key, next, depth)
}

// mappingFrom reads a mapping of whose first key it is known that its value stands at next.
func (r *plainReader) mappingFrom(key *node, next, depth int) *node {
	if key == nil || r.tooDeep(depth) {
		r.giveUp()
		return nil
	}
	start := int(key.start)
	column, first := r.column(start), len(r.items)
	for key != nil {
		r.items = append(r.items, key)
		if r.items = append(r.items, r.value(next, column, depth+1)); r.unsure {
			return nil
		}
		if r.indent != column || r.isSeparator || r.start >= len(r.text) {
			r.mustEnd(column)
			return r.collect(mappingNode, start, 0, first)
		}
		key, next = r.key(r.start)
	}
	r.giveUp()
	return nil
}

// mustEnd gives up if the line can only belong to the collection in that column, or to
// nothing.
func (r *plainReader) mustEnd(column int) {
	if r.indent > column {
		r.giveUp()
	}
}

// value reads what stands behind a key in that column, and goes on to the line behind it.
func (r *plainReader) value(p, column, depth int) *node {
	if p = r.behind(p); p < r.end {
		return r.inline(p, column, depth)
	}
	r.advance()
	switch {
	case r.isSeparator || r.start >= len(r.text) || r.indent < column:
		r.giveUp() // the value is left out
		return nil
	case r.isDash(r.start):
		return r.sequence(depth)
	case r.indent == column:
		r.giveUp()
		return nil
	}
	return r.mapping(r.start, depth)
}

// sequence reads the list that begins on the line.
func (r *plainReader) sequence(depth int) *node {
	if r.tooDeep(depth) {
		return nil
	}
	start, column, first := r.start, r.indent, len(r.items)
	for r.indent == column && !r.isSeparator && r.isDash(r.start) {
		r.items = append(r.items, r.entry(column, depth+1))
		if r.unsure {
			return nil
		}
	}
	r.mustEnd(column)
	return r.collect(sequenceNode, start, 0, first)
}

// entry reads an entry of the list in that column.
func (r *plainReader) entry(column, depth int) *node {
	p := r.behind(r.start + 1)
	if p == r.end || r.isDash(p) {
		r.giveUp()
		return nil
	}
	if key, next := r.key(p); key != nil {
		return r.mappingFrom(key, next, depth)
	}
	return r.inline(p, column, depth)
}

// inline reads a value that stands, or begins, on the line, within a collection in that
// column, and goes on to the line behind it.
func (r *plainReader) inline(p, column, depth int) *node {
	if r.text[p] == '|' {
		return r.literal(p, column)
	}
	var n *node
	var next int
	switch c := r.text[p]; {
	case c == '{' || c == '[':
		n, next = r.flow(p, depth)
	case c == '\'' || c == '"':
		n, next = r.quoted(p)
	default:
		n, next = r.plain(p)
	}
	if n == nil || r.behind(next) != r.end {
		r.giveUp()
		return nil
	}
	r.advance()
	r.mustEnd(column) // it would go on with the value
	return n
}

// key reads a key and its colon; nil if there is none.
func (r *plainReader) key(p int) (key *node, next int) {
	switch c := r.at(p); {
	case c == '\'' || c == '"':
		if key, next = r.quoted(p); key == nil {
			return nil, p
		}
	case isKeyByte(c) && c != '-' && c != '.':
		next = p
		for isKeyByte(r.at(next)) {
			next++
		}
		if r.at(next) != ':' {
			return nil, p
		}
		value := r.text[p:next]
		key = r.scalar(plainStyle, plainTag(value), value, p, next)
	default:
		return nil, p
	}
	const maxKey = 1000 // YAML has a limit, in characters, of a little more
	if r.at(next) != ':' || r.at(next+1) != ' ' && r.at(next+1) != '\n' || next-p > maxKey {
		return nil, p
	}
	return key, next + 1
}

// isKeyByte reports whether keys are made of such characters.
func isKeyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.' || c == '/'
}

// beginsPlain reports whether a plain scalar can begin with a character, whatever follows.
func beginsPlain(c byte) bool {
	return isKeyByte(c) && c != '-' || c >= 0x80 || strings.IndexByte("(+$^~;", c) >= 0
}

// plain reads a plain scalar that is on this line and not within a flow collection.
func (r *plainReader) plain(p int) (n *node, next int) {
	if !beginsPlain(r.text[p]) {
		return nil, p
	}
	end := p
	for ; end < r.end; end++ {
		if c := r.text[end]; c == ':' && (r.at(end+1) == ' ' || r.at(end+1) == '\n') {
			return nil, p
		} else if c == '#' && r.text[end-1] == ' ' {
			break
		}
	}
	return r.plainScalar(p, end)
}

// plainScalar makes a plain scalar of the text up to end, without the blanks before it.
func (r *plainReader) plainScalar(p, end int) (n *node, next int) {
	for r.text[end-1] == ' ' {
		end--
	}
	value := r.text[p:end]
	return r.scalar(plainStyle, plainTag(value), value, p, end), end
}

// plainTag is the tag that the yaml library gives to a plain scalar.
func plainTag(value string) tag {
	switch c := value[0]; {
	case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
		if !isWordOfYAML(value) {
			return strTag
		}
	case '0' <= c && c <= '9':
		const surelyFits = 18 // digits, into an integer
		if len(value) <= surelyFits && isPlainInteger(value) {
			return intTag
		}
		if strings.ContainsAny(value, "hms") { // durations, which are no number, nor a date
			return strTag
		}
	}
	return tagNamed((&yaml.Node{Kind: yaml.ScalarNode, Value: value}).ShortTag())
}

// isWordOfYAML reports whether a reader of YAML may make something else than a text of a
// word.
func isWordOfYAML(word string) bool {
	if len(word) > len("false") {
		return false
	}
	switch strings.ToLower(word) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf":
		return true
	}
	return false
}

// quoted reads a scalar in quotes that end on this line.
func (r *plainReader) quoted(p int) (n *node, next int) {
	quote, style := r.text[p], singleQuotedStyle
	if quote == '"' {
		style = doubleQuotedStyle
	}
	doubled := false
	next = p + 1
	for r.at(next) != quote || quote == '\'' && r.at(next+1) == quote {
		switch {
		case next >= r.end || r.text[next] == '\\' && quote == '"':
			return nil, p
		case r.text[next] == quote: // two stand for one
			doubled = true
			next++
		}
		next++
	}
	value := r.text[p+1 : next]
	if doubled {
		value = strings.ReplaceAll(value, "''", "'")
	}
	return r.scalar(style, strTag, value, p, next+1), next + 1
}

// flow reads a flow collection that ends on this line.
func (r *plainReader) flow(p, depth int) (n *node, next int) {
	if r.tooDeep(depth) {
		return nil, p
	}
	start, kind, closing, first := p, mappingNode, byte('}'), len(r.items)
	if r.text[p] == '[' {
		kind, closing = sequenceNode, ']'
	}
	for p = r.blanks(p + 1); r.at(p) != closing; {
		if kind == mappingNode {
			key, next := r.key(p)
			if key == nil {
				return nil, p
			}
			r.items, p = append(r.items, key), r.blanks(next)
		}
		var item *node
		if item, p = r.flowItem(p, depth+1); item == nil {
			return nil, p
		}
		r.items, p = append(r.items, item), r.blanks(p)
		if r.at(p) == ',' {
			if p = r.blanks(p + 1); r.at(p) == closing {
				return nil, p
			}
		} else if r.at(p) != closing {
			return nil, p
		}
	}
	return r.collect(kind, start, p+1, first), p + 1
}

func (r *plainReader) flowItem(p, depth int) (n *node, next int) {
	switch c := r.at(p); {
	case c == '\n':
		return nil, p
	case c == '{' || c == '[':
		return r.flow(p, depth)
	case c == '\'' || c == '"':
		return r.quoted(p)
	case !beginsPlain(c):
		return nil, p
	}
	end := p
	for ; strings.IndexByte(",[]{}", r.at(end)) < 0; end++ {
		if c := r.at(end); c == '\n' || c == ':' || c == '?' || c == '#' {
			return nil, p
		}
	}
	return r.plainScalar(p, end)
}

// literal reads a literal block, and goes on to the line behind it.
func (r *plainReader) literal(p, column int) *node {
	strip := r.at(p+1) == '-'
	if !strip && r.at(p+1) != '\n' || strip && r.at(p+2) != '\n' {
		r.giveUp()
		return nil
	}
	var value strings.Builder
	indent, empty := -1, 0
	line := r.line + 1
	for ; line+1 < len(r.src.lines); line++ { // the last line has no line feed
		begin, end := r.src.lines[line], r.lineEnd(line)
		first := begin
		for first < end && r.text[first] == ' ' {
			first++
		}
		switch {
		case begin == end && indent >= 0:
			empty++
			continue
		case first == end:
			r.giveUp()
			return nil
		case indent < 0:
			indent = first - begin
		}
		if first-begin < indent {
			break
		}
		if value.Len() > 0 {
			value.WriteString(strings.Repeat("\n", empty+1))
		}
		empty = 0
		value.WriteString(r.text[begin+indent : end])
	}
	if indent <= column || line+1 == len(r.src.lines) && r.src.lines[line] < len(r.text) {
		r.giveUp()
		return nil
	}
	if !strip {
		value.WriteByte('\n')
	}
	end, _ := scalarEnd(r.src.Bytes, p, value.String())
	n := r.scalar(literalStyle, strTag, value.String(), p, end)
	r.line = line - 1
	r.advance()
	r.mustEnd(column)
	return n
}
