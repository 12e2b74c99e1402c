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

// A tag is the type of a value: the one that is written or, without that, the one to
// which the value resolves.
type tag uint8

const (
	otherTag tag = iota // that policies do not have
	strTag
	intTag
	floatTag
	boolTag
	nullTag
	mapTag
	seqTag
	timestampTag
	mergeTag
)

// tagNames are the tags as the yaml library calls them.
var tagNames = [...]string{
	strTag: "!!str", intTag: "!!int", floatTag: "!!float", boolTag: "!!bool", nullTag: "!!null", mapTag: "!!map", seqTag: "!!seq",
	timestampTag: "!!timestamp", mergeTag: "!!merge",
}

// tagNamed returns the tag of that name.
func tagNamed(name string) tag {
	return tag(max(slices.Index(tagNames[:], name), int(otherTag)))
}

// A node is a value of a YAML document with its place. An alias points to what it
// stands for, so nodes are a graph without cycles.
type node struct {
	kind   nodeKind
	style  scalarStyle // of scalars
	tag    tag
	tagged bool // whether the tag is written
	anchor bool // whether there is one
	broken bool // stands in for text that could not be read, which has been reported

	// Places are bytes of src: sources have at most MaxFileSize.
	src        *Source
	start, end int32 // quotes, indicators, tag and anchor included
	body       int32 // where a scalar begins behind its tag and anchor

	value string  // of scalars; the anchor's name of aliases
	items []*node // values of a sequence; keys and values of a mapping, in turn
	alias *node
}

// rng is the place of the node.
func (n *node) rng() Range { return Range{n.src, int(n.start), int(n.end)} }

// target follows an alias.
func (n *node) target() *node {
	for n.alias != nil {
		n = n.alias
	}
	return n
}

func (n *node) isNull() bool {
	n = n.target()
	return n.kind == scalarNode && n.tag == nullTag
}

// isText reports whether n is a scalar that is a text.
func (n *node) isText() bool {
	n = n.target()
	return n.kind == scalarNode && n.tag == strTag
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
		return n.items[0].rng()
	}
	return n.rng()
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
	case n.tag == boolTag:
		return "the truth value " + n.value
	case n.tag == intTag || n.tag == floatTag:
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

// isForeign reports whether a tag is written that policies do not have.
func (n *node) isForeign() bool {
	return n.tagged && (n.tag == otherTag || n.tag == timestampTag || n.tag == mergeTag)
}

// seenKeys finds repetitions among the keys of a mapping.
type seenKeys struct {
	items  []*node
	byText map[string]*node // of mappings with many keys; what stands before done is in it
	done   int
}

func keysOf(m *node) seenKeys {
	const many = 64
	k := seenKeys{items: m.items}
	if m.kind == mappingNode && len(m.items) > 2*many {
		k.byText = map[string]*node{}
	}
	return k
}

// before returns the first key that says the same as the one at items[i] and stands before
// it; nil if there is none. Keys are asked about in turn.
func (k *seenKeys) before(i int) *node {
	text := k.items[i].target().value
	if k.byText != nil {
		for ; k.done < i; k.done += 2 {
			if one := k.items[k.done]; one.isKey() && k.byText[one.target().value] == nil {
				k.byText[one.target().value] = one
			}
		}
		return k.byText[text]
	}
	for j := 0; j < i; j += 2 {
		if one := k.items[j]; one.target().value == text && one.isKey() {
			return one
		}
	}
	return nil
}

// isKey reports whether n can be a key that others repeat: a scalar, and no merge.
func (n *node) isKey() bool {
	n = n.target()
	return n.kind == scalarNode && n.tag != mergeTag
}
