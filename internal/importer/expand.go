package importer

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// An expander makes a view of documents in which keys of several parts are mappings
// within mappings: for Spring and .NET, a.b or a:b says the same as b below a. What is
// marked in the view is marked in the input.
type expander struct {
	*job
	split func(key string) []string
	fold  func(level int, key string) string // keys of a level with the same result are the same
	under map[*node]map[string]*node
	level map[*node]int // how many keys stand above those of a mapping
}

// expand returns the view of documents, of which later ones override earlier ones.
func (j *job) expand(docs []*node, split func(string) []string, fold func(int, string) string) *node {
	e := &expander{job: j, split: split, fold: fold, under: map[*node]map[string]*node{}, level: map[*node]int{}}
	view := e.view(docs[0], 0)
	for _, doc := range docs[1:] {
		e.override(view, e.view(doc, 0))
	}
	return view
}

func (e *expander) view(n *node, level int) *node {
	view := &node{kind: mapping, key: n.key, index: -1, line: n.line, column: n.column, real: n}
	e.level[view] = level
	for _, kid := range n.kids {
		at, parts := view, e.split(kid.key)
		if len(parts) > maxDepth {
			e.fail(kid, "a key of more than %d parts", maxDepth)
			continue
		}
		for _, part := range parts[:len(parts)-1] {
			at = e.below(at, part, kid)
		}
		var value *node
		if kid.kind == mapping && !kid.leaf() {
			value = e.view(kid, e.level[at]+1)
		} else {
			value = &node{kind: kid.kind, index: -1, value: kid.value, line: kid.line, column: kid.column, kids: kid.kids, real: kid}
			kid.view = value
		}
		value.key = parts[len(parts)-1]
		e.join(at, value)
	}
	return view
}

// there returns what a mapping of the view has under a key in any of its spellings.
func (e *expander) there(at *node, key string) *node {
	return e.under[at][e.fold(e.level[at], key)]
}

func (e *expander) put(at, value *node) {
	if e.under[at] == nil {
		e.under[at] = map[string]*node{}
	}
	e.under[at][e.fold(e.level[at], value.key)] = value
	e.level[value] = e.level[at] + 1
	value.parent = at
	at.kids = append(at.kids, value)
}

// below returns the mapping under a key, which is made if need be.
func (e *expander) below(at *node, key string, from *node) *node {
	there := e.there(at, key)
	if there == nil {
		there = &node{kind: mapping, key: key, index: -1, line: from.line, column: from.column, real: from}
		e.put(at, there)
	} else if there.kind != mapping {
		e.fail(from, "%s is a value on line %d", plain(key), there.line)
		return &node{kind: mapping, key: key, index: -1}
	}
	return there
}

// join puts a value into a mapping of the view, or mappings together.
func (e *expander) join(at, value *node) {
	there := e.there(at, value.key)
	switch {
	case there == nil:
		e.put(at, value)
	case there.kind == mapping && value.kind == mapping:
		for _, one := range value.kids {
			e.join(there, one)
		}
	default:
		e.fail(value, "%s is given twice, first on line %d", plain(value.key), there.line)
	}
}

// override lays a later document over an earlier one. Lists are replaced as a whole.
func (e *expander) override(base, later *node) {
	for _, value := range later.kids {
		there := e.there(base, value.key)
		switch {
		case there == nil:
			e.put(base, value)
		case there.kind == mapping && value.kind == mapping && !there.leaf() && !value.leaf() && !there.flattened() && !value.flattened():
			e.override(there, value)
		default:
			there.drop("a later document of the file says otherwise")
			e.replace(there, value)
		}
	}
}

// replace puts a value in the place of another one.
func (e *expander) replace(there, value *node) {
	base := there.parent
	*there = *value
	there.parent, e.under[there] = base, e.under[value]
	if there.kind == mapping {
		for _, kid := range there.kids {
			kid.parent = there
		}
	}
	if there.real.view == value {
		there.real.view = there
	}
}

// splitDots divides a key of Spring. What stands in brackets is one part, and keeps them
// if it is a place in a list.
func splitDots(key string) []string {
	var parts []string
	depth, start := 0, 0
	for i, c := range key {
		switch {
		case c == '[':
			if depth == 0 && i > start {
				parts = append(parts, key[start:i])
				start = i
			}
			depth++
		case c == ']' && depth > 0:
			if depth--; depth == 0 && i+1 < len(key) && key[i+1] != '.' {
				parts = append(parts, key[start:i+1])
				start = i + 1
			}
		case c == '.' && depth == 0:
			parts = append(parts, key[start:i])
			start = i + 1
		}
	}
	parts = append(parts, key[start:])
	for i, part := range parts {
		if _, ok := listPlace(part); !ok {
			parts[i] = unbracketed(part)
		}
	}
	return parts
}

// unbracketed is a part of a key without the brackets around it.
func unbracketed(part string) string {
	if strings.HasPrefix(part, "[") && strings.HasSuffix(part, "]") {
		return part[1 : len(part)-1]
	}
	return part
}

// listPlace reads a part of a key that is a place in a list.
func listPlace(part string) (at int, ok bool) {
	digits := unbracketed(part)
	at, err := strconv.Atoi(digits)
	return at, err == nil && digits != part && at >= 0 && strconv.Itoa(at) == digits
}

// flattened tells whether a mapping of the view is a list whose places are keys.
func (n *node) flattened() bool {
	return n.kind == mapping && !n.leaf() && !slices.ContainsFunc(n.kids, func(kid *node) bool {
		_, ok := listPlace(kid.key)
		return !ok || kid.kind == mapping
	})
}

// inOrder returns what stands in a flattened list. Spring takes none that has gaps.
func (j *job) inOrder(n *node) []*node {
	place := func(kid *node) int {
		at, _ := listPlace(kid.key)
		return at
	}
	byPlace := func(a, b *node) int { return cmp.Compare(place(a), place(b)) }
	if !slices.IsSortedFunc(n.kids, byPlace) {
		slices.SortFunc(n.kids, byPlace)
	}
	for i, kid := range n.kids {
		if place(kid) != i {
			j.fail(kid, "there is %s%s, but no %s[%d]", plain(n.key), kid.key, plain(n.key), i)
			return nil
		}
	}
	return n.kids
}

// splitColons divides a key of .NET's configuration.
func splitColons(key string) []string { return strings.Split(key, ":") }
