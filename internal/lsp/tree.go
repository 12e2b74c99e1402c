package lsp

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// get returns the value of a key of a mapping, nil if there is none.
func (n *node) get(text, key string) *node {
	if p := n.pair(text, key); p != nil {
		return p.value
	}
	return nil
}

// pair returns the entry of a key of a mapping, nil if there is none.
func (n *node) pair(text, key string) *pair {
	if n == nil || n.kind != mappingNode {
		return nil
	}
	for _, p := range n.pairs {
		if p.colon >= 0 && p.key.value(text) == key {
			return p
		}
	}
	return nil
}

// value is what a scalar says, "" for others. Line breaks of block scalars are kept.
func (n *node) value(text string) string {
	if n == nil || n.kind != scalarNode {
		return ""
	}
	decoded, _ := n.decode(text)
	switch n.style {
	case '|', '>', '*':
		return decoded
	}
	return strings.Join(strings.Fields(decoded), " ")
}

// decode returns what a scalar says, and the byte of the file from which each of its
// bytes came. Line breaks and indentation are kept: in expressions they mean nothing.
func (n *node) decode(text string) (string, []int) {
	start, end := n.start, n.end
	switch n.style {
	case '|', '>':
		start = n.body
	case '"', '\'':
		start++
		if end > start && closing(text, n.start, end) == end {
			end--
		}
	}
	decoded := make([]byte, 0, max(end-start, 0))
	places := make([]int, 0, max(end-start, 0))
	for p := start; p < end; {
		c, size := text[p:p+1], 1
		switch {
		case n.style == '\'' && strings.HasPrefix(text[p:end], "''"):
			size = 2
		case n.style == '"' && text[p] == '\\' && p+1 < end:
			c, size = unescape(text[p:end])
		}
		decoded = append(decoded, c...)
		for range len(c) {
			places = append(places, p)
		}
		p += size
	}
	return string(decoded), places
}

var escapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", '0': "\x00", 'a': "\a", 'b': "\b", 'e': "\x1b", 'f': "\f", 'v': "\v", 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

// unescape reads one escape of a text in double quotes: what it means, and its length.
func unescape(text string) (string, int) {
	if meant, ok := escapes[text[1]]; ok {
		return meant, 2
	}
	if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[1]]; digits > 0 && len(text) >= 2+digits {
		if code, err := strconv.ParseUint(text[2:2+digits], 16, 32); err == nil {
			return string(utf8.AppendRune(nil, rune(min(code, utf8.MaxRune)))), 2 + digits
		}
	}
	if text[1] == '\n' {
		return "", 2
	}
	return text[1:2], 2
}

// A step is one level of the way from the root of a document to a place.
type step struct {
	node *node
	pair *pair // of a mapping
	item *item // of a sequence
	key  bool  // the place is in the key of the pair
}

// locate returns the way to a place, the root first; nil if the place is in no value.
// The end of a scalar counts as in it.
func locate(root *node, at int) []step {
	var way []step
	for n := root; n != nil && n.start <= at && at <= n.end; {
		here := step{node: n}
		var next *node
		for _, p := range n.pairs {
			if p.key.start <= at && at <= p.key.end {
				return append(way, step{node: n, pair: p, key: true})
			}
			if p.value.holds(at) {
				here.pair, next = p, p.value
			}
		}
		for _, it := range n.items {
			if it.value.holds(at) {
				here.item, next = it, it.value
			}
		}
		way = append(way, here)
		n = next
	}
	return way
}

func (n *node) holds(at int) bool { return n != nil && n.start <= at && at <= n.end }

// pathOfWay names the keys on a way, items as "*".
func pathOfWay(text string, way []step) []string {
	var path []string
	for _, st := range way {
		switch {
		case st.pair != nil && !st.key:
			path = append(path, st.pair.key.value(text))
		case st.item != nil:
			path = append(path, "*")
		}
	}
	return path
}
