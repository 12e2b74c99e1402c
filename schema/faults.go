package schema

import (
	"encoding/json"
	"slices"
	"strconv"
)

// A fault is one keyword that a value fails.
type fault struct {
	value   string // pointer to the value
	keyword string // pointer to the keyword in the schema; of a schema false, to itself
}

// faults collects all keywords that a value fails. The schemas above them ($ref, allOf, if,
// then) are not among them, as they only repeat that something below failed; an anyOf is,
// in the place of what its branches say.
type faults []fault

// find is accept, but goes on after a fault.
func (f *faults) find(r *rule, v any, pointer string) {
	add := func(keyword string) { *f = append(*f, fault{pointer, r.at + "/" + keyword}) }
	switch {
	case r == nil:
		return
	case r.never:
		*f = append(*f, fault{pointer, r.at})
		return
	case !r.acceptType(v):
		add("type")
		return
	case !r.acceptWords(v):
		if r.isConst {
			add("const")
		} else {
			add("enum")
		}
	}
	switch v := v.(type) {
	case string:
		if r.matches != nil && !r.matches(v) {
			add("pattern")
		}
	case json.Number:
		for _, b := range r.bounds {
			if !b.holds(numberOf(v)) {
				add(b.keyword)
			}
		}
	case []any:
		if len(v) < r.minItems {
			add("minItems")
		}
		if r.unique && repeats(v) {
			add("uniqueItems")
		}
		for i, item := range v {
			f.find(r.items, item, pointer+"/"+strconv.Itoa(i))
		}
	case map[string]any:
		if len(v) < r.minProperties {
			add("minProperties")
		}
		if !r.hasRequired(v) {
			add("required")
		}
		f.findInMapping(r, v, pointer)
	}
	for _, each := range r.all {
		f.find(each, v, pointer)
	}
	if r.some != nil && !slices.ContainsFunc(r.some, func(one *rule) bool { return one.accept(v) }) {
		add("anyOf")
	}
	if r.not != nil && r.not.accept(v) {
		add("not")
	}
	switch {
	case r.test == nil:
	case r.test.accept(v):
		f.find(r.then, v, pointer)
	default:
		f.find(r.otherwise, v, pointer)
	}
}

func (f *faults) findInMapping(r *rule, m map[string]any, pointer string) {
	unknown := false
	for key, value := range m {
		at := pointer + "/" + EscapePointer(key)
		if r.names != nil {
			f.find(r.names, key, at)
		}
		if of := r.dependent[key]; of != nil {
			f.find(of, m, pointer)
		}
		known, own, other := r.rulesOf(key)
		f.find(known, value, at)
		f.find(own, value, at)
		if other != nil && other.never {
			unknown = true
			continue
		}
		f.find(other, value, at)
	}
	if unknown {
		*f = append(*f, fault{pointer, r.at + "/additionalProperties"})
	}
}
