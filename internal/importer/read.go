package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/redress-policy/redress/internal/lazyregexp"
)

// A reader turns text into nodes.
type reader struct {
	file string
	json bool // only JSON will do
	lax  bool // JSON with comments and trailing commas

	record     bool // JSON that is a list of choices, or what a DNS TXT record holds
	attribute  int  // where the record's value begins, 0 without its name
	properties bool // a .properties file

	text  []byte
	lines []int                        // byte offset of each line
	last  struct{ offset, column int } // of the place that was asked for last
	nodes int
	steps int // entries that were looked at, merged ones counted again
}

const byteOrderMark = "\ufeff"

func (r *reader) read(text []byte) (*node, error) {
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	if len(text) > maxSize {
		return nil, fmt.Errorf("%s: larger than %d bytes", r.file, maxSize)
	}
	if r.properties && !utf8.Valid(text) {
		text = fromLatin1(text)
	}
	r.text, r.lines, r.last.column = text, []int{0}, 1
	for i, c := range text {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRune(text[i:])
		if c == utf8.RuneError && size == 1 || c == 0 {
			return nil, r.errorAt(i, "byte %#02x is not text", text[i])
		}
		i += size
	}
	if r.properties {
		return r.readProperties()
	}
	first := bytes.TrimLeft(text, " \t\r\n")
	if r.record && bytes.HasPrefix(first, []byte(recordAttribute)) {
		r.attribute = len(text) - len(first) + len(recordAttribute)
		r.text = bytes.Replace(text, []byte(recordAttribute), bytes.Repeat([]byte(" "), len(recordAttribute)), 1)
	}
	if r.json || strings.HasSuffix(r.file, ".json") || len(first) > 0 && first[0] == '{' {
		root, err := r.readJSON()
		if err == nil || r.json || strings.HasSuffix(r.file, ".json") {
			return root, err
		}
		if yamlRoot, err := r.readYAML(); err == nil {
			return yamlRoot, nil
		}
		return nil, err
	}
	return r.readYAML()
}

// place turns a byte offset into a line and a column, both from 1. Going on in the same
// line costs no more than the way.
func (r *reader) place(offset int) (line, column int) {
	offset = min(max(offset, 0), len(r.text))
	i, found := slices.BinarySearch(r.lines, offset)
	if !found {
		i--
	}
	from, column := r.lines[i], 1
	if r.last.offset >= from && r.last.offset <= offset {
		from, column = r.last.offset, r.last.column
	}
	column += utf8.RuneCount(r.text[from:offset])
	r.last.offset, r.last.column = offset, column
	return i + 1, column
}

func (r *reader) errorAt(offset int, format string, args ...any) error {
	line, column := r.place(offset)
	return r.errorOn(line, column, format, args...)
}

func (r *reader) errorOn(line, column int, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", r.file, line, column, fmt.Sprintf(format, args...))
}

// add puts a value into another one, within limits.
func (r *reader) add(parent, n *node) error {
	if r.nodes++; r.nodes > maxNodes {
		return r.errorOn(n.line, n.column, "more than %d values", maxNodes)
	}
	depth := 0
	for at := parent; at != nil; at = at.parent {
		depth++
	}
	if depth > maxDepth {
		return r.errorOn(n.line, n.column, "values are nested more than %d deep", maxDepth)
	}
	n.parent = parent
	if parent == nil {
		return nil
	}
	parent.kids = append(parent.kids, n)
	return nil
}

// twice reports a key that a mapping has already.
func (r *reader) twice(seen map[string]int, key string, line, column int) error {
	if first, ok := seen[key]; ok {
		return r.errorOn(line, column, "the key %s is written twice, first on line %d", plain(key), first)
	}
	seen[key] = line
	return nil
}

func (r *reader) readJSON() (*node, error) {
	text := r.text
	if r.lax {
		text = relaxed(text)
	}
	p := &jsonReader{reader: r, text: text, decoder: json.NewDecoder(bytes.NewReader(text))}
	p.decoder.UseNumber()
	root, err := p.value(nil, "", -1)
	if err != nil {
		return nil, err
	}
	end := p.start(p.decoder.InputOffset())
	if _, err := p.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, r.errorAt(end, "something stands behind the end of the JSON value")
	}
	switch {
	case r.attribute > 0 && root.kind != list:
		return nil, r.errorOn(root.line, root.column, "a JSON list of choices belongs behind "+recordAttribute)
	case root.kind != mapping && !(r.record && root.kind == list):
		return nil, r.errorOn(root.line, root.column, "a JSON object belongs here")
	}
	return root, nil
}

// recordAttribute begins the text of a DNS TXT record with a service config.
const recordAttribute = "grpc_config="

type jsonReader struct {
	*reader
	text    []byte
	decoder *json.Decoder
}

// start is where the token begins that is next from an offset.
func (p *jsonReader) start(offset int64) int {
	at := int(offset)
	for at < len(p.text) && strings.IndexByte(" \t\r\n,:", p.text[at]) >= 0 {
		at++
	}
	return at
}

func (p *jsonReader) token() (json.Token, int, error) {
	at := p.start(p.decoder.InputOffset())
	token, err := p.decoder.Token()
	if err == nil {
		return token, at, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, at, p.errorAt(max(len(bytes.TrimRight(p.text, " \t\r\n")), p.attribute), "not JSON: it ends too early")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && int(syntax.Offset) > at {
		at = int(syntax.Offset) - 1
	}
	return nil, at, p.errorAt(at, "not JSON: %s", plain(err.Error()))
}

func (p *jsonReader) value(parent *node, key string, index int) (*node, error) {
	token, at, err := p.token()
	if err != nil {
		return nil, err
	}
	n := &node{key: key, index: index}
	n.line, n.column = p.place(at)
	switch t := token.(type) {
	case json.Delim:
		if n.kind = mapping; t == '[' {
			n.kind = list
		}
	case string:
		n.kind, n.value = textual, t
	case json.Number:
		n.kind, n.value = numeric, t.String()
	case bool:
		n.kind, n.value = boolean, fmt.Sprint(t)
	default:
		n.kind = null
	}
	if err := p.add(parent, n); err != nil {
		return nil, err
	}
	if n.scalar() {
		return n, nil
	}
	seen := map[string]int{}
	for i := 0; p.decoder.More(); i++ {
		itemKey, itemIndex := key, i
		if n.kind == mapping {
			token, at, err := p.token()
			if err != nil {
				return nil, err
			}
			line, column := p.place(at)
			itemKey, itemIndex = fmt.Sprint(token), -1
			if err := p.twice(seen, itemKey, line, column); err != nil {
				return nil, err
			}
		}
		if _, err := p.value(n, itemKey, itemIndex); err != nil {
			return nil, err
		}
	}
	_, _, err = p.token()
	return n, err
}

// relaxed paints comments and trailing commas over with spaces.
func relaxed(input []byte) []byte {
	out := bytes.Clone(input)
	comma := -1 // the last one, if nothing stands behind it yet
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '"':
			comma = -1
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
		case bytes.HasPrefix(out[i:], []byte("//")):
			for ; i < len(out) && out[i] != '\n'; i++ {
				out[i] = ' '
			}
		case bytes.HasPrefix(out[i:], []byte("/*")):
			end := bytes.Index(out[i+2:], []byte("*/"))
			if end < 0 {
				return out // it is no comment: JSON's reader complains
			}
			for end += i + 4; i < end; i++ {
				if out[i] != '\n' {
					out[i] = ' '
				}
			}
			i--
		case c == ',':
			comma = i
		case (c == '}' || c == ']') && comma >= 0:
			out[comma], comma = ' ', -1
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			comma = -1
		}
	}
	return out
}

var yamlError = lazyregexp.New(`^yaml: (?:line (\d+): )?((?s).*)$`)

// readYAML returns the document, or a list of all if there are several.
func (r *reader) readYAML() (*node, error) {
	if err := r.checkBreaks(); err != nil {
		return nil, err
	}
	all := &node{kind: list, index: -1, line: 1, column: 1}
	decoder := yaml.NewDecoder(bytes.NewReader(r.text))
	for count := 1; ; count++ {
		var doc yaml.Node
		err := decodeYAML(decoder, &doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, r.yamlFailure(err)
		}
		if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
			continue
		}
		if len(all.kids) == maxDocuments {
			return nil, r.errorOn(doc.Content[0].Line, 1, "more than %d documents", maxDocuments)
		}
		y := &yamlReader{reader: r}
		root, err := y.value(all, doc.Content[0], "", -1)
		if err != nil {
			return nil, err
		}
		if root.kind != mapping {
			return nil, r.errorOn(root.line, root.column, "a mapping belongs here")
		}
		root.document = count
	}
	return r.documents(all)
}

// documents returns the one document of a file, or the list of all if there are several.
func (r *reader) documents(all *node) (*node, error) {
	switch len(all.kids) {
	case 0:
		return nil, fmt.Errorf("%s: nothing is written there", r.file)
	case 1:
		root := all.kids[0]
		root.parent, root.document = nil, 0
		return root, nil
	}
	return all, nil
}

// checkBreaks refuses what breaks lines for YAML but not for editors: lines would be
// counted in two ways.
func (r *reader) checkBreaks() error {
	for i, c := range string(r.text) {
		alone := c == '\r' && (i+1 == len(r.text) || r.text[i+1] != '\n')
		if alone || c == 0x85 || c == 0x2028 || c == 0x2029 {
			return r.errorAt(i, "%U breaks lines for YAML but not for editors", c)
		}
	}
	return nil
}

// decodeYAML contains panics of the yaml library.
func decodeYAML(decoder *yaml.Decoder, node *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	return decoder.Decode(node)
}

func (r *reader) yamlFailure(err error) error {
	m := yamlError.FindStringSubmatch(err.Error())
	if m == nil || m[1] == "" {
		return fmt.Errorf("%s: not YAML: %s", r.file, plain(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	return fmt.Errorf("%s:%s: not YAML: %s", r.file, m[1], plain(m[2]))
}

// A yamlReader reads one document.
type yamlReader struct {
	*reader
	within []*yaml.Node // aliases that are being followed
}

func (y *yamlReader) value(parent *node, n *yaml.Node, key string, index int) (*node, error) {
	if n.Kind == yaml.AliasNode {
		if slices.Contains(y.within, n.Alias) {
			return nil, y.errorOn(n.Line, n.Column, "*%s contains itself", plain(n.Value))
		}
		y.within = append(y.within, n.Alias)
		defer func() { y.within = y.within[:len(y.within)-1] }()
		return y.value(parent, n.Alias, key, index)
	}
	made := &node{key: key, index: index, line: n.Line, column: n.Column}
	switch n.Kind {
	case yaml.MappingNode:
		made.kind = mapping
	case yaml.SequenceNode:
		made.kind = list
	default:
		made.kind, made.value = scalarKind(n), n.Value
	}
	if err := y.add(parent, made); err != nil {
		return nil, err
	}
	switch made.kind {
	case mapping:
		return made, y.entries(made, n)
	case list:
		for i, item := range n.Content {
			if _, err := y.value(made, item, key, i); err != nil {
				return nil, err
			}
		}
	}
	return made, nil
}

func scalarKind(n *yaml.Node) kind {
	switch n.ShortTag() {
	case "!!int", "!!float":
		return numeric
	case "!!bool":
		return boolean
	case "!!null":
		return null
	}
	return textual
}

// entries reads a mapping. What it merges stands where the merge key stands, unless the
// mapping says otherwise.
func (y *yamlReader) entries(made *node, n *yaml.Node) error {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return y.errorOn(key.Line, key.Column, "a key is a text, not a mapping or a list")
		}
		if key.ShortTag() == "!!merge" {
			continue
		}
		if err := y.twice(seen, key.Value, key.Line, key.Column); err != nil {
			return err
		}
	}
	return y.merge(made, n, seen, false)
}

// merge adds the entries of n: all of them, or as a merged mapping those that are not
// there yet.
func (y *yamlReader) merge(made *node, n *yaml.Node, seen map[string]int, merged bool) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if y.steps++; y.steps > maxNodes { // keys that are there already cost time, too
			return y.errorOn(key.Line, key.Column, "more than %d entries, those counted that merge keys repeat", maxNodes)
		}
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.ShortTag() == "!!merge" {
			if err := y.mergeValue(made, value, seen); err != nil {
				return err
			}
			continue
		}
		if key.Kind != yaml.ScalarNode {
			return y.errorOn(key.Line, key.Column, "a key is a text, not a mapping or a list")
		}
		if merged {
			if _, there := seen[key.Value]; there {
				continue
			}
			seen[key.Value] = key.Line
		}
		if _, err := y.value(made, value, key.Value, -1); err != nil {
			return err
		}
	}
	return nil
}

func (y *yamlReader) mergeValue(made *node, value *yaml.Node, seen map[string]int) error {
	if y.steps++; y.steps > maxNodes {
		return y.errorOn(value.Line, value.Column, "more than %d values", maxNodes)
	}
	if value.Kind == yaml.AliasNode {
		if slices.Contains(y.within, value.Alias) {
			return y.errorOn(value.Line, value.Column, "*%s contains itself", plain(value.Value))
		}
		y.within = append(y.within, value.Alias)
		defer func() { y.within = y.within[:len(y.within)-1] }()
		value = value.Alias
	}
	if len(y.within) > maxDepth {
		return y.errorOn(value.Line, value.Column, "values are nested more than %d deep", maxDepth)
	}
	switch value.Kind {
	case yaml.MappingNode:
		return y.merge(made, value, seen, true)
	case yaml.SequenceNode:
		for _, item := range value.Content {
			if item.Kind == yaml.SequenceNode {
				break
			}
			if err := y.mergeValue(made, item, seen); err != nil {
				return err
			}
		}
		return nil
	}
	return y.errorOn(value.Line, value.Column, "<< merges mappings")
}
