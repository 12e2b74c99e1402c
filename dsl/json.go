package dsl

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// JSON returns the document as JSON has it, for a schema: mappings are
// map[string]any, numbers json.Number, aliases are written out. Of equal keys the
// first counts; keys that are not text are named as they are written.
func (d *Document) JSON() any { return d.root.json() }

func (n *node) json() any {
	n = n.target()
	switch n.kind {
	case mappingNode:
		m := make(map[string]any, len(n.items)/2)
		for i := 0; i+1 < len(n.items); i += 2 {
			key := n.items[i].target().value
			if _, twice := m[key]; !twice {
				m[key] = n.items[i+1].json()
			}
		}
		return m
	case sequenceNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.json()
		}
		return list
	}
	switch n.tag {
	case nullTag:
		return nil
	case boolTag:
		return strings.EqualFold(n.value, "true")
	case intTag, floatTag:
		if number, ok := jsonNumber(n); ok {
			return number
		}
	}
	return n.value
}

// jsonNumber writes a number as JSON has it. What JSON cannot write, or writes for
// another number than YAML means, stays the text that it is: 017, 0x1F, .inf.
func jsonNumber(n *node) (json.Number, bool) {
	if isPlainInteger(n.value) && len(n.value) < 300 { // which is no infinity
		return json.Number(n.value), true
	}
	x, err := strconv.ParseFloat(n.value, 64)
	switch {
	case !isPlainNumber(n.value) || err != nil || math.IsInf(x, 0):
		return "", false
	case json.Valid([]byte(n.value)):
		return json.Number(n.value), true
	}
	return json.Number(strconv.FormatFloat(x, 'g', -1, 64)), true // .5 and 2.
}

// Locate returns the place of the value at a JSON pointer, or of its key. Where there
// is none, it is the place of what is nearest above; of a key that is missing, the
// mapping's first key.
func (d *Document) Locate(pointer string, key bool) Range {
	n, at := d.root, d.root.rng()
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			break
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		next, nextKey := n.target().child(part)
		if next == nil {
			if m := n.target(); m.kind == mappingNode && len(m.items) > 0 {
				return m.items[0].rng()
			}
			return at
		}
		n, at = next, next.rng()
		if key && nextKey != nil || at.Start == at.End && nextKey != nil {
			at = nextKey.rng()
		}
	}
	return at
}

func (n *node) child(part string) (value, key *node) {
	if n.kind == sequenceNode {
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(n.items) {
			return n.items[i], nil
		}
		return nil, nil
	}
	key, value = n.entry(part)
	return value, key
}
