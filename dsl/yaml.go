package dsl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/redress-policy/redress/internal/lazyregexp"
)

// Limits of a file. They bound the time and memory that any input can cost.
const (
	MaxFileSize  = 1 << 20 // bytes
	MaxDepth     = 64      // mappings and sequences within each other
	MaxNodes     = 100_000 // values of a file, those that aliases repeat counted again
	MaxDocuments = 1_000
)

// maxText bounds the text of the scalars of a file, that which aliases repeat counted
// again. What is not repeated is at most a file; escapes can make it somewhat longer.
const maxText = 2 * MaxFileSize

// maxEffort bounds how many bytes are read in all when mistakes make it necessary to
// begin anew; what ends in a mistake is read twice.
const maxEffort = 16 * MaxFileSize

// A reader turns a source into nodes. After a mistake of YAML's syntax it goes on:
// behind the value, if it is clear which that is, else with the next document.
type reader struct {
	src    *Source
	text   []byte // of the source, with what cannot be read painted over
	broken []Range
	docs   []*node
	found  Diagnostics

	start  int // where the yaml library began to read
	skip   int // documents behind start that are read already
	nodes  int // so far
	bytes  int // of scalars, so far
	effort int
	places cursor
}

// readYAML reads the documents of a source. Empty documents are passed over.
func readYAML(src *Source) *reader {
	r := newReader(src)
	readable := false
	if r.found, readable = checkText(src); !readable {
		return r
	}
	if docs, ok := readPlain(src); ok {
		r.docs = docs
	} else {
		r.readAll()
	}
	return r
}

func newReader(src *Source) *reader { return &reader{src: src, text: src.Bytes, start: src.lines[0]} }

// readAll reads with the yaml library, again after each mistake.
func (r *reader) readAll() {
	for r.read() {
	}
}

// read reads from start. It reports whether there is reason to read again.
func (r *reader) read() (again bool) {
	if r.effort += len(r.text) - r.start; r.effort > maxEffort {
		at := len(r.src.Bytes)
		r.report(Range{r.src, at, at}, CodeTooLarge, "mend what is reported above", "with so many mistakes the rest of the file was not read")
		return false
	}
	r.places = cursor{src: r.src, first: r.src.lineAt(r.start)}
	decoder := yaml.NewDecoder(bytes.NewReader(r.text[r.start:]))
	for count := 0; ; count++ {
		var doc yaml.Node
		err := decodeOne(decoder, &doc)
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			return r.recover(r.failure(err, r.readUntilError()), count)
		}
		if count < r.skip || len(doc.Content) == 0 || isEmptyDocument(doc.Content[0]) {
			continue
		}
		if !r.accept(doc.Content[0]) {
			return false
		}
		r.skip = count + 1
	}
}

// isEmptyDocument recognises a document without any text, as behind a last `---`.
func isEmptyDocument(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style == 0 && n.Anchor == "" && n.Tag == "!!null"
}

// readUntilError reads once more from start, and tells how many bytes the yaml library
// had asked for when it gave up.
func (r *reader) readUntilError() int {
	input := &trickle{text: r.text[r.start:]}
	decoder := yaml.NewDecoder(input)
	for decodeOne(decoder, new(yaml.Node)) == nil {
	}
	return input.read
}

// trickle hands out one byte at a time, so that it is known how far a reader got.
type trickle struct {
	text []byte
	read int
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.read == len(t.text) {
		return 0, io.EOF
	}
	p[0] = t.text[t.read]
	t.read++
	return 1, nil
}

// decodeOne contains panics of the yaml library.
func decodeOne(decoder *yaml.Decoder, node *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	return decoder.Decode(node)
}

func (r *reader) report(at Range, code Code, help, format string, args ...any) {
	r.found = append(r.found, Diagnostic{Range: at, Code: code, Message: fmt.Sprintf(format, args...), Help: help})
}

// accept takes a document, if it is within limits.
func (r *reader) accept(root *yaml.Node) bool {
	if len(r.docs) == MaxDocuments {
		at := r.places.offset(root.Line, root.Column)
		r.report(r.src.restOfLine(at), CodeTooLarge, "divide it into several files", "a file may hold %d documents", MaxDocuments)
		return false
	}
	if !r.check(root, nil) {
		return false
	}
	r.docs = append(r.docs, r.convert(root, map[*yaml.Node]*node{}))
	return true
}

// check bounds depth and size of a value that stands within others, what aliases
// repeat counted again, and refuses values that contain themselves.
func (r *reader) check(n *yaml.Node, within []*yaml.Node) bool {
	refuse := func(length int, code Code, help, format string, args ...any) bool {
		places := cursor{src: r.src, first: r.places.first}
		at := places.offset(n.Line, n.Column)
		r.report(Range{r.src, at, min(at+length, len(r.src.Bytes))}, code, help, format, args...)
		return false
	}
	if n.Kind == yaml.AliasNode {
		if slices.Contains(within, n.Alias) {
			return refuse(1+len(n.Value), CodeYAMLFeature, "write the value out", "*%s stands within &%s: the value would contain itself", n.Value, n.Value)
		}
		return r.check(n.Alias, within)
	}
	r.nodes++
	r.bytes += len(n.Value)
	switch {
	case r.nodes > MaxNodes:
		return refuse(1, CodeTooLarge, "write less, or divide it into several files", "the file has more than %d values, those counted that aliases repeat", MaxNodes)
	case r.bytes > maxText:
		return refuse(1, CodeTooLarge, "write less, or divide it into several files", "the file has more than %d bytes of text, that counted which aliases repeat", maxText)
	case len(within) > MaxDepth:
		return refuse(1, CodeTooLarge, "nest less deeply", "values are nested more than %d deep", MaxDepth)
	}
	within = append(within, n)
	for _, child := range n.Content {
		if !r.check(child, within) {
			return false
		}
	}
	return true
}

// convert gives a value and all in it their places. Children come behind their
// parents in the text, so the cursor only ever moves on.
func (r *reader) convert(n *yaml.Node, seen map[*yaml.Node]*node) *node {
	start := r.places.offset(n.Line, n.Column)
	c := &node{src: r.src, tag: tagNamed(n.ShortTag()), value: n.Value, anchor: n.Anchor != "", start: int32(start)}
	seen[n] = c
	if n.Kind == yaml.AliasNode {
		c.kind, c.alias = aliasNode, seen[n.Alias]
		c.end = int32(min(start+1+len(n.Value), len(r.text)))
		return c
	}
	p := propertiesAt(r.text, start)
	if c.tagged = p.tag != ""; p.tag == "!" {
		c.tag = otherTag // yaml drops it
	}
	end := p.end
	c.body = int32(p.body)
	switch n.Kind {
	case yaml.ScalarNode:
		c.style = styles[n.Style&^yaml.TaggedStyle]
		if c.style != plainStyle || n.Value != "" {
			end, _ = scalarEnd(r.text, p.body, n.Value)
		}
		c.end = int32(max(end, start))
		c.broken = slices.ContainsFunc(r.broken, func(b Range) bool { return b.Start < int(c.end) && start < b.End })
		return c
	case yaml.MappingNode:
		c.kind = mappingNode
	default:
		c.kind = sequenceNode
	}
	for _, child := range n.Content {
		item := r.convert(child, seen)
		c.items = append(c.items, item)
		end = max(end, int(item.end))
	}
	if n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0 {
		inside := end
		if len(n.Content) == 0 {
			inside = min(p.body+1, len(r.text)) // behind the bracket
		}
		end = flowEnd(r.text, inside)
	}
	c.end = int32(end)
	return c
}

var styles = map[yaml.Style]scalarStyle{
	0: plainStyle, yaml.SingleQuotedStyle: singleQuotedStyle, yaml.DoubleQuotedStyle: doubleQuotedStyle,
	yaml.LiteralStyle: literalStyle, yaml.FoldedStyle: foldedStyle,
}

// A cursor turns lines and columns as yaml counts them, in code points from 1, into
// offsets. Going on in the same line costs no more than the way.
type cursor struct {
	src          *Source
	first        int // the line of the source that yaml counts as 1
	line, column int
	at           int
}

func (c *cursor) offset(line, column int) int {
	line += c.first - 1
	if line != c.line || column < c.column {
		if line < 1 || line > len(c.src.lines) {
			return len(c.src.Bytes)
		}
		c.line, c.column, c.at = line, 1, c.src.lines[line-1]
	}
	text := c.src.Bytes
	for ; c.column < column && c.at < len(text) && text[c.at] != '\n'; c.column++ {
		_, n := utf8.DecodeRune(text[c.at:])
		c.at += n
	}
	return c.at
}

// A failure is what the yaml library says when it cannot go on.
type failure struct {
	message string
	line    int // where the value is that cannot be read, or where it begins
	at      int // byte up to which text was read: a little behind the problem
}

var yamlError = lazyregexp.New(`^yaml: (?:line (\d+): )?((?s).*)$`)

// fromZero are the messages for which the yaml library counts lines from 0.
var fromZero = lazyregexp.New(`^did not find expected (key|'|node content|<document start>)|^found (undefined|duplicate|incompatible)`)

// misplaced are messages about a value among others: the yaml library tells the line
// on which the surrounding value begins.
var misplaced = lazyregexp.New(`^did not find expected (key|'-' indicator|node content|<document start>)`)

// unclosed are messages about a flow collection, with the line on which it begins.
var unclosed = lazyregexp.New(`^did not find expected ',' or`)

func (r *reader) failure(err error, read int) failure {
	f := failure{message: err.Error(), at: r.start + read}
	line := 0
	if m := yamlError.FindStringSubmatch(f.message); m != nil {
		f.message = m[2]
		line, _ = strconv.Atoi(m[1])
	}
	if line > 0 && fromZero.MatchString(f.message) {
		line++
	}
	f.line = min(r.places.first+max(line, 1)-1, len(r.src.lines))
	if misplaced.MatchString(f.message) {
		f.line = r.shrink(f)
	} else if line == 0 {
		f.line = r.src.lineAt(max(f.at-1, 0))
	}
	return f
}

// shrink finds the line of a misplaced value: the yaml library has read on, perhaps
// to a line behind. It is the last line without which there is another problem, or
// none.
func (r *reader) shrink(f failure) (line int) {
	line = r.src.lineAt(max(f.at-1, 0))
	for ; line > r.places.first; line-- {
		end := r.src.lines[line-1]
		if r.effort += end - r.start; r.effort > maxEffort {
			break
		}
		decoder := yaml.NewDecoder(bytes.NewReader(r.text[r.start:end]))
		var err error
		for err == nil {
			err = decodeOne(decoder, new(yaml.Node))
		}
		if !strings.HasSuffix(err.Error(), f.message) {
			break
		}
	}
	return line
}
