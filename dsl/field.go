package dsl

import (
	"slices"
	"strings"
)

// A Field is one thing that a document says: a value that is no mapping, or a rule.
type Field struct {
	Path  string // the keys that lead to it: "retry.deadline"; of a rule "classify[throttled]"
	Text  string // what it says, in one line
	Value any    // the same as JSON has it, to be compared
	Range Range
}

// ruleLists are the lists whose entries are fields of their own.
var ruleLists = []string{"classify", "classify_result", "retry.select"}

// Fields returns what a document says, in its order, without what changes nothing:
// apiVersion, kind, name, description, and keys that begin with x-.
func (d *Document) Fields() []Field {
	var all []Field
	var walk func(path string, n *node)
	walk = func(path string, n *node) {
		m := n.target()
		switch {
		case m.kind == sequenceNode && slices.Contains(ruleLists, path):
			for _, item := range m.items {
				all = append(all, Field{path + "[" + nameOfEntry(item) + "]", textOfEntry(item), item.json(), item.rng()})
			}
		case m.kind == mappingNode && (len(m.items) > 0 || path == ""):
			for i := 0; i+1 < len(m.items); i += 2 {
				key, inner := m.items[i].target(), m.items[i].target().value
				if path != "" {
					inner = path + "." + inner
				}
				if !key.isOwn() && (path != "" || !slices.Contains([]string{"apiVersion", "kind", "name", "description"}, inner)) {
					walk(inner, m.items[i+1])
				}
			}
		default:
			all = append(all, Field{path, n.oneLine(), n.json(), n.rng()})
		}
	}
	walk("", d.root)
	return all
}

// nameOfEntry is the id of a rule, or the pack that it splices.
func nameOfEntry(n *node) string {
	if id := n.word("id"); id != "" {
		return id
	}
	return n.word("use")
}

// textOfEntry is what a rule says beside its id: "when err.status == 429, class RATE_LIMIT".
func textOfEntry(n *node) string {
	m := n.target()
	if m.kind != mappingNode {
		return n.oneLine()
	}
	var parts []string
	for i := 0; i+1 < len(m.items); i += 2 {
		if key := m.items[i].target(); key.value != "id" && !key.isOwn() {
			parts = append(parts, key.value+" "+m.items[i+1].oneLine())
		}
	}
	return strings.Join(parts, ", ")
}

// oneLine is the text of a scalar, or what is written for another value, without breaks.
func (n *node) oneLine() string {
	text := n.rng().Text()
	if m := n.target(); m.kind == scalarNode {
		text = m.value
	} else if n.alias != nil {
		text = m.rng().Text()
	}
	return strings.Join(strings.Fields(text), " ")
}
