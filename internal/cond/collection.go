package cond

import (
	"fmt"
	"strings"

	"github.com/redress-policy/redress/engine"
)

// exists looks for a cause of which the condition holds.
func (c *Compiler) exists(e *Expr) value[bool] {
	c.scratch = true
	condition := c.boolean(e.Args[0])
	if condition.pure != nil {
		holds := condition.pure
		return field(func(in *engine.Input) bool {
			causes := causes(in)
			for i := range causes {
				if in.Scratch.Cause = &causes[i]; holds(in) {
					return true
				}
			}
			return false
		})
	}
	holds := condition.try()
	return value[bool]{risky: func(in *engine.Input) (bool, error) {
		var first error
		causes := causes(in)
		for i := range causes {
			in.Scratch.Cause = &causes[i]
			switch is, err := holds(in); {
			case err != nil:
				if first == nil {
					first = err
				}
			case is:
				return true, nil
			}
		}
		return false, first
	}}
}

// entry reads an entry of a map.
func (c *Compiler) entry(of, key *Expr) value[string] {
	written := c.text(key)
	find := func(m map[string]string, key string) (string, error) {
		if isHeaders(of) {
			if s, ok := m[strings.ToLower(key)]; ok {
				return s, nil
			}
		} else if s, ok := m[key]; ok {
			return s, nil
		}
		return "", fmt.Errorf("no such key: %s", key)
	}
	return twoRisky(c.entries(of), written, find)
}

// key compiles a key of a map. Names of headers have no case.
func (c *Compiler) key(e, of *Expr) value[string] {
	key := c.text(e)
	if isHeaders(of) {
		if text, ok := key.constantOf(); ok {
			return constant(strings.ToLower(text))
		}
		return one(key, strings.ToLower)
	}
	return key
}

func isHeaders(e *Expr) bool {
	for e.Op == OpVar {
		e = e.Args[0]
	}
	return e.Op == OpField && recordField(e.Name) == "headers"
}

// entries compiles a map of texts.
func (c *Compiler) entries(e *Expr) value[map[string]string] {
	switch {
	case e.Op == OpField && recordField(e.Name) == "headers":
		return field(func(in *engine.Input) map[string]string { return headers(in) })
	case e.Op == OpField:
		return attribute[map[string]string](c, e)
	case e.Op == OpVar:
		return variable(c, e, c.entries, longMap)
	}
	return unsupported[map[string]string](c, e)
}

// texts compiles a list of texts.
func (c *Compiler) texts(e *Expr) value[[]string] {
	switch {
	case e.Op == OpField:
		return attribute[[]string](c, e)
	case e.Op == OpVar:
		return variable(c, e, c.texts, longList)
	}
	return unsupported[[]string](c, e)
}
