package cond

import (
	"slices"
	"time"

	"github.com/redress-policy/redress/engine"
)

// equality compares two values of one type.
func (c *Compiler) equality(e *Expr) value[bool] {
	a, b := e.Args[0], e.Args[1]
	if a.Op == OpLiteral {
		a, b = b, a
	}
	if a.Type != b.Type {
		return unsupported[bool](c, e)
	}
	var same value[bool]
	switch a.Type {
	case "bool":
		same = equal(c.boolean(a), c.boolean(b))
	case "int":
		same = equal(c.integer(a), c.integer(b))
	case "double":
		same = equal(c.double(a), c.double(b))
	case "string":
		if want, ok := b.Value.(string); ok && b.Op == OpLiteral && a.Op == OpField && a.Name == "err.code" && e.Name == "==" {
			return field(func(in *engine.Input) bool { return code(in) == want })
		}
		same = equal(c.text(a), c.text(b))
	case "duration":
		same = equal(c.duration(a), c.duration(b))
	case "class":
		same = equal(c.class(a), c.class(b))
	default:
		return unsupported[bool](c, e)
	}
	if e.Name == "!=" {
		return one(same, func(b bool) bool { return !b })
	}
	return same
}

func equal[T comparable](a, b value[T]) value[bool] {
	if want, ok := b.constantOf(); ok && a.pure != nil {
		get := a.pure
		return value[bool]{pure: func(in *engine.Input) bool { return get(in) == want }}
	}
	return two(a, b, func(x, y T) bool { return x == y })
}

// order compares two values that have an order.
func (c *Compiler) order(e *Expr) value[bool] {
	a, b := e.Args[0], e.Args[1]
	if a.Type != b.Type {
		return unsupported[bool](c, e)
	}
	switch a.Type {
	case "int":
		return ordered(e.Name, c.integer(a), c.integer(b))
	case "double":
		return ordered(e.Name, c.double(a), c.double(b))
	case "string":
		return ordered(e.Name, c.text(a), c.text(b))
	case "duration":
		return ordered(e.Name, c.duration(a), c.duration(b))
	}
	return unsupported[bool](c, e)
}

func ordered[T int64 | float64 | string | time.Duration](op string, a, b value[T]) value[bool] {
	switch op {
	case "<":
		return two(a, b, func(x, y T) bool { return x < y })
	case "<=":
		return two(a, b, func(x, y T) bool { return x <= y })
	case ">":
		return two(a, b, func(x, y T) bool { return x > y })
	}
	return two(a, b, func(x, y T) bool { return x >= y })
}

// membership looks for a value in a list, or for a key in a map.
func (c *Compiler) membership(e *Expr) value[bool] {
	x, of := e.Args[0], e.Args[1]
	switch {
	case of.Type == "map" && x.Type == "string":
		return two(c.key(x, of), c.entries(of), func(key string, m map[string]string) bool { _, is := m[key]; return is })
	case of.Op != OpList && of.Type == "list" && x.Type == "string":
		return two(c.text(x), c.texts(of), func(s string, list []string) bool { return slices.Contains(list, s) })
	case of.Op != OpList || slices.ContainsFunc(of.Args, func(item *Expr) bool { return item.Type != x.Type }):
		return unsupported[bool](c, e)
	case len(of.Args) == 0:
		return constant(false) // even if x errs: cel-go does not look at it
	}
	switch x.Type {
	case "int":
		return within(c.integer(x), of, c.integer)
	case "string":
		return within(c.text(x), of, c.text)
	case "double":
		return within(c.double(x), of, c.double)
	case "bool":
		return within(c.boolean(x), of, c.boolean)
	case "duration":
		return within(c.duration(x), of, c.duration)
	case "class":
		return within(c.class(x), of, c.class)
	}
	return unsupported[bool](c, e)
}

// manyItems is from how many on a set is asked rather than a list.
const manyItems = 8

func within[T comparable](x value[T], of *Expr, compile func(*Expr) value[T]) value[bool] {
	items := make([]value[T], len(of.Args))
	fixed := make([]T, len(of.Args))
	allFixed := true
	for i, item := range of.Args {
		items[i] = compile(item)
		var is bool
		fixed[i], is = items[i].constantOf()
		allFixed = allFixed && is
	}
	if allFixed && len(fixed) >= manyItems {
		set := map[T]bool{}
		for _, item := range fixed {
			set[item] = true
		}
		return one(x, func(x T) bool { return set[x] })
	}
	if allFixed {
		return one(x, func(x T) bool { return slices.Contains(fixed, x) })
	}
	return two(x, list(items), func(x T, items []T) bool { return slices.Contains(items, x) })
}

// list evaluates its items in order.
func list[T any](items []value[T]) value[[]T] {
	tries := make([]func(*engine.Input) (T, error), len(items))
	for i, item := range items {
		tries[i] = item.try()
	}
	return value[[]T]{risky: func(in *engine.Input) ([]T, error) {
		all := make([]T, len(tries))
		for i, try := range tries {
			var err error
			if all[i], err = try(in); err != nil {
				return nil, err
			}
		}
		return all, nil
	}}
}
