package cond

import (
	"fmt"
	"slices"
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
	case e.Op == OpList && !slices.ContainsFunc(e.Args, func(item *Expr) bool { return item.Type != "string" }):
		return c.listed(e)
	case e.Op == OpCall && e.Name == "?:":
		return choose(c.boolean(e.Args[0]), c.texts(e.Args[1]), c.texts(e.Args[2]))
	case e.Op == OpCall && e.Name == "split":
		return c.split(e)
	}
	return unsupported[[]string](c, e)
}

// listed makes a list of texts; one of literals once.
func (c *Compiler) listed(e *Expr) value[[]string] {
	items, fixed := make([]value[string], len(e.Args)), make([]string, len(e.Args))
	all := true
	for i, arg := range e.Args {
		items[i] = c.text(arg)
		var is bool
		fixed[i], is = items[i].constantOf()
		all = all && is
	}
	if all {
		return constant(fixed)
	}
	return list(items)
}

// split cuts a text at each separator, or at a number of them.
func (c *Compiler) split(e *Expr) value[[]string] {
	switch len(e.Args) {
	case 2:
		return two(c.text(e.Args[0]), c.text(e.Args[1]), strings.Split)
	case 3:
		texts := list([]value[string]{c.text(e.Args[0]), c.text(e.Args[1])})
		return two(texts, c.integer(e.Args[2]), func(t []string, n int64) []string { return strings.SplitN(t[0], t[1], int(n)) })
	}
	return unsupported[[]string](c, e)
}

// item reads an item of a list.
func item(list []string, i int64) (string, error) {
	if i < 0 || i >= int64(len(list)) {
		return "", fmt.Errorf("index out of bounds: %d", i)
	}
	return list[i], nil
}
