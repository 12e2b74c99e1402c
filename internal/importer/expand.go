package importer

import "strings"

// An expander makes a view of documents in which keys of several parts are mappings
// within mappings: for Spring and .NET, a.b or a:b says the same as b below a. What is
// marked in the view is marked in the input.
type expander struct {
	*job
	split func(key string) []string
	fold  func(key string) string // keys with the same result are the same
	under map[*node]map[string]*node
}

// expand returns the view of documents, of which later ones override earlier ones.
func (j *job) expand(docs []*node, split func(string) []string, fold func(string) string) *node {
	e := &expander{job: j, split: split, fold: fold, under: map[*node]map[string]*node{}}
	view := e.view(docs[0])
	for _, doc := range docs[1:] {
		e.override(view, e.view(doc))
	}
	return view
}

func (e *expander) view(n *node) *node {
	view := &node{kind: mapping, key: n.key, index: -1, line: n.line, column: n.column, real: n}
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
			value = e.view(kid)
		} else {
			value = &node{kind: kid.kind, index: -1, value: kid.value, line: kid.line, column: kid.column, kids: kid.kids, real: kid}
		}
		value.key = parts[len(parts)-1]
		e.join(at, value)
	}
	return view
}

func (e *expander) put(at, value *node) {
	if e.under[at] == nil {
		e.under[at] = map[string]*node{}
	}
	e.under[at][e.fold(value.key)] = value
	value.parent = at
	at.kids = append(at.kids, value)
}

// below returns the mapping under a key, which is made if need be.
func (e *expander) below(at *node, key string, from *node) *node {
	there := e.under[at][e.fold(key)]
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
	there := e.under[at][e.fold(value.key)]
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

// override lays a later document over an earlier one.
func (e *expander) override(base, later *node) {
	for _, value := range later.kids {
		there := e.under[base][e.fold(value.key)]
		switch {
		case there == nil:
			e.put(base, value)
		case there.kind == mapping && value.kind == mapping && !there.leaf() && !value.leaf():
			e.override(there, value)
		default:
			there.drop("a later document of the file says otherwise")
			*there = *value
			there.parent, e.under[there] = base, e.under[value]
		}
	}
}

// splitDots divides a key of Spring. What stands in brackets is one part.
func splitDots(key string) []string {
	var parts []string
	depth, start := 0, 0
	for i, c := range key {
		switch {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case c == '.' && depth == 0:
			parts = append(parts, key[start:i])
			start = i + 1
		}
	}
	parts = append(parts, key[start:])
	for i, part := range parts {
		if strings.HasPrefix(part, "[") && strings.HasSuffix(part, "]") {
			parts[i] = part[1 : len(part)-1]
		}
	}
	return parts
}

// splitColons divides a key of .NET's configuration.
func splitColons(key string) []string { return strings.Split(key, ":") }
