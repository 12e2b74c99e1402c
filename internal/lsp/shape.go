package lsp

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/redress-policy/redress/schema"
)

// A shape is one JSON Schema, its keys in the order in which they are written.
type shape struct {
	keys   []string
	values map[string]any // *shape, []any, string, json.Number, bool, nil
}

// rootShape is the schema of the language.
var rootShape = sync.OnceValue(func() *shape {
	decoder := json.NewDecoder(bytes.NewReader(schema.JSON()))
	decoder.UseNumber()
	v, err := decodeOrdered(decoder)
	if err != nil {
		panic("lsp: the embedded schema: " + err.Error())
	}
	return v.(*shape)
})

func decodeOrdered(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		s := &shape{values: map[string]any{}}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := key.(string)
			if s.values[name], err = decodeOrdered(d); err != nil {
				return nil, err
			}
			s.keys = append(s.keys, name)
		}
		_, err = d.Token()
		return s, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeOrdered(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}

func (s *shape) sub(key string) *shape {
	if s == nil {
		return nil
	}
	sub, _ := s.values[key].(*shape)
	return sub
}

func (s *shape) text(key string) string {
	text, _ := s.values[key].(string)
	return text
}

func (s *shape) list(key string) []string {
	var texts []string
	list, _ := s.values[key].([]any)
	for _, v := range list {
		if text, ok := v.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// deref follows a reference within the schema.
func deref(ref string) *shape {
	at := rootShape()
	for _, part := range strings.Split(strings.TrimPrefix(ref, "#"), "/")[1:] {
		at = at.sub(part)
	}
	return at
}

// An instance is a value that is held against the schema, as far as it is written.
type instance struct {
	node *node
	text string
}

// Shapes are all schemas that hold for one value, those that are nearer first.
type shapes []*shape

// shapesOf is all that a schema says of a value: what it refers to, and the branches
// of its conditions that the value takes or, still being typed, might take.
func shapesOf(s *shape, in instance) shapes { return expand(nil, s, in, 0) }

func expand(all shapes, s *shape, in instance, depth int) shapes {
	if s == nil || depth > 20 {
		return all
	}
	all = append(all, s)
	if ref := s.text("$ref"); ref != "" {
		all = expand(all, deref(ref), in, depth+1)
	}
	list, _ := s.values["allOf"].([]any)
	for _, part := range list {
		sub, _ := part.(*shape)
		all = expand(all, sub, in, depth+1)
	}
	if cond := s.sub("if"); cond != nil {
		verdict := in.fits(cond)
		if verdict != no {
			all = expand(all, s.sub("then"), in, depth+1)
		}
		if verdict != yes {
			all = expand(all, s.sub("else"), in, depth+1)
		}
	}
	return all
}

type verdict int

const (
	maybe verdict = iota
	yes
	no
)

// fits holds a value against the condition of an if: types, required keys, patterns
// of single keys. What is not there yet has no keys, and may become of any type.
func (in instance) fits(cond *shape) verdict {
	if want := cond.text("type"); want != "" {
		if in.node == nil || in.node.kind == scalarNode {
			return maybe // it may become anything
		}
		if (want == "object") != (in.node.kind == mappingNode) {
			return no
		}
	}
	for _, key := range cond.list("required") {
		if in.node.pair(in.text, key) == nil {
			return no
		}
	}
	if props := cond.sub("properties"); props != nil {
		for _, key := range props.keys {
			value := in.node.get(in.text, key)
			pattern := props.sub(key).text("pattern")
			if value == nil || pattern == "" {
				continue
			}
			if !matches(pattern, value.value(in.text)) {
				return no
			}
		}
	}
	return yes
}

// patterns are the compiled patterns of the schema, by their text.
var patterns sync.Map

func matches(pattern, text string) bool {
	compiled, ok := patterns.Load(pattern)
	if !ok {
		compiled, _ = patterns.LoadOrStore(pattern, regexp.MustCompile(pattern))
	}
	return compiled.(*regexp.Regexp).MatchString(text)
}

// key returns what holds for the value of a key.
func (list shapes) key(name string, in instance) shapes {
	value := instance{in.node.get(in.text, name), in.text}
	var all shapes
	for _, s := range list {
		all = expand(all, s.property(name), value, 0)
	}
	return all
}

func (s *shape) property(name string) *shape {
	if sub := s.sub("properties").sub(name); sub != nil {
		return sub
	}
	if patterns := s.sub("patternProperties"); patterns != nil {
		for _, pattern := range patterns.keys {
			if matches(pattern, name) {
				return patterns.sub(pattern)
			}
		}
	}
	return s.sub("additionalProperties")
}

// item returns what holds for an item of a list.
func (list shapes) item(in instance) shapes {
	var all shapes
	for _, s := range list {
		all = expand(all, s.sub("items"), in, 0)
	}
	return all
}

// A keyShape is a key that may stand in a mapping.
type keyShape struct {
	name     string
	required bool
	shape    shapes
}

// keys lists the keys that may be added to a mapping, required ones first.
func (list shapes) keys(in instance) []keyShape {
	present := map[string]bool{}
	if in.node != nil {
		for _, p := range in.node.pairs {
			if p.colon >= 0 {
				present[p.key.value(in.text)] = true
			}
		}
	}
	var found []keyShape
	var required []string
	seen := map[string]bool{}
	for _, s := range list {
		required = append(required, s.list("required")...)
		props := s.sub("properties")
		if props == nil {
			continue
		}
		for _, name := range props.keys {
			if seen[name] || present[name] || props.sub(name) == nil || list.forbids(name, present) {
				continue
			}
			seen[name] = true
			found = append(found, keyShape{name: name, shape: list.key(name, instance{})})
		}
	}
	for i := range found {
		found[i].required = slices.Contains(required, found[i].name)
	}
	slices.SortStableFunc(found, func(a, b keyShape) int {
		switch {
		case a.required == b.required:
			return 0
		case a.required:
			return -1
		}
		return 1
	})
	return found
}

// forbids reports whether a key cannot stand beside those that are there, or they not
// beside it.
func (list shapes) forbids(name string, present map[string]bool) bool {
	for _, s := range list {
		if s.values["properties"] != nil && s.sub("properties").values[name] == false {
			return true
		}
		others := s.sub("dependentSchemas")
		if cond := s.sub("if"); cond != nil && slices.Equal(cond.list("required"), []string{name}) {
			for other := range present {
				if then := s.sub("then").sub("properties"); then != nil && then.values[other] == false {
					return true
				}
			}
		}
		if others == nil {
			continue
		}
		for _, other := range others.keys {
			props := others.sub(other).sub("properties")
			if props == nil {
				continue
			}
			for key, v := range props.values {
				if v == false && (other == name && present[key] || present[other] && key == name) {
					return true
				}
			}
		}
	}
	return false
}

// describe is the text that explains a value: the nearest description.
func (list shapes) describe() string {
	for _, s := range list {
		if text := s.text("markdownDescription"); text != "" {
			return text
		}
		if text := s.text("description"); text != "" {
			return text
		}
	}
	return ""
}

// A choice is a value that a schema lists.
type choice struct{ value, about string }

// choices lists the values that may stand here: members of enumerations, constants,
// truth values, and defaults.
func (list shapes) choices() []choice {
	var found []choice
	add := func(value, about string) {
		if !slices.ContainsFunc(found, func(c choice) bool { return c.value == value }) {
			found = append(found, choice{value, about})
		}
	}
	for _, s := range list {
		about := s.list("enumDescriptions")
		for i, value := range s.list("enum") {
			if i < len(about) {
				add(value, about[i])
			} else {
				add(value, "")
			}
		}
		switch value := s.values["const"].(type) {
		case string:
			add(value, "")
		case bool:
			add(spell(value), "")
		}
		if s.text("type") == "boolean" {
			add("true", "")
			add("false", "")
		}
	}
	for _, s := range list {
		if value := spell(s.values["default"]); value != "" {
			add(value, "The default.")
		}
	}
	return found
}

// spell writes a plain value as YAML, "" for others.
func spell(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return ""
}

// takes reports whether a value of a type may stand here.
func (list shapes) takes(typ string) bool {
	for _, s := range list {
		if s.text("type") == typ || slices.Contains(s.list("type"), typ) {
			return true
		}
	}
	return false
}

// along goes a way from the root of a document, and returns what holds for the value
// at its end; where the end is a key, for the value of that.
func (d *docOutline) along(way []step) shapes {
	list := shapesOf(rootShape(), instance{d.root, d.text})
	for _, st := range way {
		switch {
		case st.pair != nil:
			list = list.key(st.pair.key.value(d.text), instance{st.node, d.text})
		case st.item != nil:
			list = list.item(instance{st.item.value, d.text})
		}
	}
	return list
}
