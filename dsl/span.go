package dsl

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A yaml reader tells where a scalar begins, neither where it ends nor what its
// escapes, folds and indents did. So scalars are decoded once more, from the source,
// recording where each character came from. The decoder checks itself character by
// character against what yaml read: where the two differ, places within the scalar
// are given up, never guessed.

// A span is the half-open range of bytes that one character of a scalar came from:
// several bytes of an escape or a fold. Sources have at most MaxFileSize bytes.
type span struct{ start, end int32 }

// A scalarDecoder decodes one scalar of text and holds it against want, which it
// consumes.
type scalarDecoder struct {
	text  []byte
	want  string
	wrong bool   // what was decoded is not what yaml read
	keep  bool   // whether spans are recorded
	spans []span // of each character
	end   int    // where the scalar ends, its closing quote included
}

// scalarEnd returns where the scalar that begins at start ends. ok is false if it
// decodes to something else than value.
func scalarEnd(text []byte, start int, value string) (end int, ok bool) {
	d := scalarDecoder{text: text, want: value}
	ok = d.decode(start)
	return d.end, ok
}

// scalarSpans returns where each character of a scalar came from; nil if it decodes
// to something else than value.
func scalarSpans(text []byte, start int, value string) []span {
	d := scalarDecoder{text: text, want: value, keep: true, spans: make([]span, 0, utf8.RuneCountInString(value))}
	if !d.decode(start) {
		return nil
	}
	return d.spans
}

// verbatim tells where the value of a scalar begins, if the text has it as it is, in
// characters of one byte each.
func verbatim(text []byte, s *node) (first int, ok bool) {
	first = int(s.body)
	var quote string
	switch s.style {
	case singleQuotedStyle:
		first, quote = first+1, "'"
	case doubleQuotedStyle:
		first, quote = first+1, `"`
	case literalStyle, foldedStyle:
		return 0, false
	}
	end := first + len(s.value) + len(quote)
	if end > len(text) || string(text[first:end]) != s.value+quote {
		return 0, false
	}
	written := func(r rune) bool { // in another way, perhaps
		return r < ' ' || r > '~' || r == '\\' && quote == `"` || quote != "" && r == rune(quote[0])
	}
	return first, !strings.ContainsFunc(s.value, written)
}

func (d *scalarDecoder) decode(start int) bool {
	d.end = start
	if start >= len(d.text) {
		return d.want == ""
	}
	switch d.text[start] {
	case '\'':
		d.single(start + 1)
	case '"':
		d.double(start + 1)
	case '|', '>':
		d.block(start)
	default:
		d.plain(start)
	}
	return !d.wrong && d.want == ""
}

// put records that the bytes [start, end) stand for r.
func (d *scalarDecoder) put(r rune, start, end int) {
	next, n := utf8.DecodeRuneInString(d.want)
	if n == 0 || next != r {
		d.wrong = true
		return
	}
	d.want = d.want[n:]
	if d.keep {
		d.spans = append(d.spans, span{int32(start), int32(end)})
	}
}

// copy puts the character at p and returns the place behind it.
func (d *scalarDecoder) copy(p int) int {
	r, n := utf8.DecodeRune(d.text[p:])
	d.put(r, p, p+n)
	return p + n
}

func (d *scalarDecoder) isBlank(p int) bool {
	return p < len(d.text) && (d.text[p] == ' ' || d.text[p] == '\t')
}

func (d *scalarDecoder) skipBlanks(p int) int {
	for d.isBlank(p) {
		p++
	}
	return p
}

func (d *scalarDecoder) skipLine(p int) int {
	for p < len(d.text) && d.breakAt(p) == 0 {
		p++
	}
	return p
}

// breakAt returns the length of the line break at p, 0 if there is none.
func (d *scalarDecoder) breakAt(p int) int {
	switch {
	case p >= len(d.text):
		return 0
	case d.text[p] == '\n':
		return 1
	case d.text[p] == '\r' && p+1 < len(d.text) && d.text[p+1] == '\n':
		return 2
	case d.text[p] == '\r':
		return 1
	}
	return 0
}

// white reads the blanks and line breaks at p: blanks within a line are kept; of
// line breaks, with the blanks around them, one is a space and n are n-1 line feeds.
func (d *scalarDecoder) white(p int) int {
	end := d.skipBlanks(p)
	if d.breakAt(end) == 0 {
		for ; p < end; p++ {
			d.put(rune(d.text[p]), p, p+1)
		}
		return end
	}
	return d.fold(end)
}

// fold reads the line breaks at p and the blanks behind each.
func (d *scalarDecoder) fold(p int) int {
	next := d.skipBlanks(p + d.breakAt(p))
	if d.breakAt(next) > 0 {
		return d.breaks(next)
	}
	d.put(' ', p, next)
	return next
}

// breaks reads line breaks, each a line feed, and the blanks behind them.
func (d *scalarDecoder) breaks(p int) int {
	for n := d.breakAt(p); n > 0 && !d.wrong; n = d.breakAt(p) {
		d.put('\n', p, p+n)
		p = d.skipBlanks(p + n)
	}
	return p
}

func (d *scalarDecoder) single(p int) {
	for p < len(d.text) && !d.wrong {
		switch c := d.text[p]; {
		case c == '\'' && p+1 < len(d.text) && d.text[p+1] == '\'':
			d.put('\'', p, p+2)
			p += 2
		case c == '\'':
			d.end = p + 1
			return
		case d.isBlank(p) || d.breakAt(p) > 0:
			p = d.white(p)
		default:
			p = d.copy(p)
		}
	}
	d.wrong = true
}

func (d *scalarDecoder) double(p int) {
	for p < len(d.text) && !d.wrong {
		switch c := d.text[p]; {
		case c == '\\':
			p = d.escape(p)
		case c == '"':
			d.end = p + 1
			return
		case d.isBlank(p) || d.breakAt(p) > 0:
			p = d.white(p)
		default:
			p = d.copy(p)
		}
	}
	d.wrong = true
}

// simpleEscapes are the escapes of YAML 1.1, and \' which the yaml library adds.
var simpleEscapes = map[byte]rune{
	'0': 0, 'a': 7, 'b': 8, 't': 9, '\t': 9, 'n': 10, 'v': 11, 'f': 12, 'r': 13, 'e': 27, ' ': ' ', '"': '"', '\'': '\'',
	'/': '/', '\\': '\\', 'N': 0x85, '_': 0xa0, 'L': 0x2028, 'P': 0x2029,
}

var hexEscapes = map[byte]int{'x': 2, 'u': 4, 'U': 8}

// escape reads the escape at p and returns the place behind it.
func (d *scalarDecoder) escape(p int) int {
	if n := d.breakAt(p + 1); n > 0 { // the lines are joined without a space
		return d.breaks(d.skipBlanks(p + 1 + n))
	}
	if p+1 >= len(d.text) {
		d.wrong = true
		return p + 1
	}
	c := d.text[p+1]
	if r, ok := simpleEscapes[c]; ok {
		d.put(r, p, p+2)
		return p + 2
	}
	end := p + 2 + hexEscapes[c]
	if end == p+2 || end > len(d.text) {
		d.wrong = true
		return p + 1
	}
	v, err := strconv.ParseUint(string(d.text[p+2:end]), 16, 32)
	if err != nil {
		d.wrong = true
	}
	d.put(rune(v), p, end)
	return end
}

// plain reads as much as yaml did: what ends a plain scalar depends on what is
// around it.
func (d *scalarDecoder) plain(p int) {
	for p < len(d.text) && d.want != "" && !d.wrong {
		if d.isBlank(p) || d.breakAt(p) > 0 {
			p = d.white(p)
		} else {
			p = d.copy(p)
		}
	}
	d.end = p
}

// block reads a literal or folded scalar.
func (d *scalarDecoder) block(p int) {
	literal, keepBreaks, stripBreak := d.text[p] == '|', false, false
	for p++; p < len(d.text) && strings.IndexByte("+-0123456789", d.text[p]) >= 0; p++ {
		keepBreaks = keepBreaks || d.text[p] == '+'
		stripBreak = stripBreak || d.text[p] == '-'
	}
	d.end = p
	p = d.skipLine(p)
	p += d.breakAt(p)

	var broken, empty []span // the break that ended the last line; those of empty lines since
	indent, wasBlank := d.blockIndent(p), false
	for p < len(d.text) && !d.wrong {
		begin := p
		for p < begin+indent && p < len(d.text) && d.text[p] == ' ' {
			p++
		}
		if n := d.breakAt(p); n > 0 {
			empty = append(empty, span{int32(p), int32(p + n)})
			p += n
			continue
		}
		if p < begin+indent || p == len(d.text) {
			break
		}
		isBlank := d.isBlank(p)
		switch {
		case literal || wasBlank || isBlank || broken == nil:
			d.putBreaks(broken)
		case empty == nil: // lines are joined, the space stands for break and indent
			d.put(' ', int(broken[0].start), p)
		}
		d.putBreaks(empty)
		broken, empty, wasBlank = nil, nil, isBlank
		for p < len(d.text) && d.breakAt(p) == 0 && !d.wrong {
			p = d.copy(p)
		}
		d.end = p
		if n := d.breakAt(p); n > 0 {
			broken = []span{{int32(p), int32(p + n)}}
			p += n
		}
	}
	if !stripBreak {
		d.putBreaks(broken)
	}
	if keepBreaks {
		d.putBreaks(empty)
	}
}

// blockIndent is the indent of the lines of a block scalar that begin at p. The
// header seldom says it, and if so, counts from an indent that is not known here;
// but the first line with text tells, as its text is known.
func (d *scalarDecoder) blockIndent(p int) int {
	text := strings.TrimLeft(d.want, "\n")
	if text == "" {
		return len(d.text) // no line has text
	}
	for range len(d.want) - len(text) {
		p = d.skipLine(p)
		p += d.breakAt(p)
	}
	spaces := 0
	for p+spaces < len(d.text) && d.text[p+spaces] == ' ' {
		spaces++
	}
	return max(spaces-(len(text)-len(strings.TrimLeft(text, " "))), 0)
}

func (d *scalarDecoder) putBreaks(breaks []span) {
	for _, b := range breaks {
		d.put('\n', int(b.start), int(b.end))
	}
}

// properties are what stands before a value.
type properties struct {
	end, body   int    // where tag and anchor end, and where the value itself begins
	tag, anchor string // as written, the anchor without its &
}

// propertiesAt finds what stands before a value at p.
func propertiesAt(text []byte, p int) properties {
	found := properties{end: p}
	for p < len(text) && (text[p] == '&' || text[p] == '!') {
		begin, isTag := p, text[p] == '!'
		for p++; p < len(text) && inProperty(text[p], isTag); p++ {
		}
		if isTag {
			found.tag = string(text[begin:p])
		} else {
			found.anchor = string(text[begin+1 : p])
		}
		found.end = p
		p = skipSpace(text, p)
	}
	found.body = p
	return found
}

// inProperty reports whether a byte goes on with a tag or an anchor: anchors are
// words, tags end with a blank.
func inProperty(c byte, isTag bool) bool {
	if isTag {
		return c != ' ' && c != '\t' && c != '\r' && c != '\n'
	}
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// skipSpace passes over blanks, line breaks and comments.
func skipSpace(text []byte, p int) int {
	for p < len(text) {
		switch text[p] {
		case ' ', '\t', '\r', '\n':
			p++
		case '#':
			n := bytes.IndexByte(text[p:], '\n')
			if n < 0 {
				return len(text)
			}
			p += n
		default:
			return p
		}
	}
	return p
}

// flowEnd returns the place behind the bracket that ends a flow collection whose last
// part ends at p: only spaces, commas and comments can stand between.
func flowEnd(text []byte, p int) int {
	for q := skipSpace(text, p); q < len(text); q = skipSpace(text, q+1) {
		switch text[q] {
		case ']', '}':
			return q + 1
		case ',', ':', '?':
		default:
			return p
		}
	}
	return p
}
