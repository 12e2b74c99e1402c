package dsl

import (
	"slices"
	"strconv"
	"strings"
)

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	mappingNode
	sequenceNode
	aliasNode
)

type scalarStyle uint8

const (
	plainStyle scalarStyle = iota
	singleQuotedStyle
	doubleQuotedStyle
	literalStyle
	foldedStyle
)

// A node is a value of a YAML document with its place. An alias points to what it
// stands for, so nodes are a graph without cycles.
type node struct {
	kind   nodeKind
	style  scalarStyle // of scalars
	tag    string      // "!!str", "!!int", ...: as written or, without that, as the value resolves
	tagged bool        // whether the tag is written
	value  string      // of scalars; the anchor's name of aliases
	anchor string
	rng    Range   // quotes, indicators, tag and anchor included
	body   int     // where a scalar begins behind its tag and anchor
	items  []*node // values of a sequence; keys and values of a mapping, in turn
	alias  *node
	broken bool // stands in for text that could not be read, which has been reported
}

// target follows an alias.
func (n *node) target() *node {
	for n.alias != nil {
		n = n.alias
	}
	return n
}

func (n *node) isNull() bool {
	n = n.target()
	return n.kind == scalarNode && n.tag == "!!null"
}

// isText reports whether n is a scalar that is a text.
func (n *node) isText() bool {
	n = n.target()
	return n.kind == scalarNode && n.tag == "!!str"
}

// isOwn reports whether a key is the user's own, which nobody reads.
func (n *node) isOwn() bool { return strings.HasPrefix(n.value, "x-") }

// entry returns a key of a mapping and its value, nil without one.
func (n *node) entry(name string) (key, value *node) {
	n = n.target()
	if n.kind != mappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.items); i += 2 {
		if n.items[i].target().value == name {
			return n.items[i], n.items[i+1]
		}
	}
	return nil, nil
}

// get returns the value of a key of a mapping, nil without one.
func (n *node) get(name string) *node {
	_, value := n.entry(name)
	return value
}

// word returns the text of a key of a mapping, "" without one.
func (n *node) word(key string) string {
	if v := n.get(key); v != nil && v.isText() {
		return v.target().value
	}
	return ""
}

// head is the place of a mapping that lacks something: its first key.
func (n *node) head() Range {
	if n.kind == mappingNode && len(n.items) > 0 {
		return n.items[0].rng
	}
	return n.rng
}

// describe names what stands there, for messages.
func (n *node) describe() string {
	n = n.target()
	switch {
	case n.kind == mappingNode:
		return "a mapping"
	case n.kind == sequenceNode:
		return "a list"
	case n.isNull():
		return "nothing"
	case n.tag == "!!bool":
		return "the truth value " + n.value
	case n.tag == "!!int" || n.tag == "!!float":
		return "the number " + n.value
	}
	return "the text " + strconv.Quote(shorten(n.value))
}

// maxShown bounds how much of a value a message repeats, in bytes.
const maxShown = 60

func shorten(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown-3], "") + "..."
	}
	return s
}

// coreTags are the tags that may be written.
var coreTags = []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq"}

// isForeign reports whether a tag is written that policies do not have.
func (n *node) isForeign() bool { return n.tagged && !slices.Contains(coreTags, n.tag) }
