package cond

import (
	"slices"

	"github.com/redress-policy/redress/engine"
)

// boolean compiles an expression that is true or false.
func (c *Compiler) boolean(e *Expr) value[bool] {
	switch e.Op {
	case OpLiteral:
		if b, ok := e.Value.(bool); ok {
			return constant(b)
		}
	case OpField:
		switch e.Name {
		case "err.timeout":
			return field(func(in *engine.Input) bool { return timeout(in) })
		case "idempotent":
			return field(func(in *engine.Input) bool { return in.Idempotent })
		}
		return attribute[bool](c, e)
	case OpHas:
		return c.has(e)
	case OpVar:
		return variable(c, e, c.boolean, nil)
	case OpExists:
		return c.exists(e)
	case OpCall:
		return c.boolCall(e)
	}
	return unsupported[bool](c, e)
}

func (c *Compiler) boolCall(e *Expr) value[bool] {
	if v, ok := statusTest(e); ok {
		return v
	}
	switch e.Name {
	case "&&", "||":
		parts := make([]value[bool], len(e.Args))
		for i, arg := range e.Args {
			parts[i] = c.boolean(arg)
		}
		if e.Name == "&&" {
			return and(parts)
		}
		return or(parts)
	case "!":
		return one(c.boolean(e.Args[0]), func(b bool) bool { return !b })
	case "?:":
		return choose(c.boolean(e.Args[0]), c.boolean(e.Args[1]), c.boolean(e.Args[2]))
	case "==", "!=":
		return c.equality(e)
	case "<", "<=", ">", ">=":
		return c.order(e)
	case "in":
		return c.membership(e)
	case "startsWith", "endsWith", "contains", "matches":
		return c.textTest(e)
	case "hasValue":
		return c.hasValue(e)
	case "value", "orValue", "[]":
		return unsupported[bool](c, e)
	}
	return unsupported[bool](c, e)
}

// and joins conditions as CEL does: what is false decides, whatever else errs.
func and(parts []value[bool]) value[bool] { return absorb(parts, false) }

// or joins conditions: what is true decides, whatever else errs.
func or(parts []value[bool]) value[bool] { return absorb(parts, true) }

// absorb joins conditions of which one that comes to decisive decides. Otherwise the first
// error counts.
func absorb(parts []value[bool], decisive bool) value[bool] {
	if i := slices.IndexFunc(parts, func(v value[bool]) bool { return v.pure == nil }); i < 0 {
		return absorbPure(parts, decisive)
	}
	tries := make([]func(*engine.Input) (bool, error), len(parts))
	for i, v := range parts {
		tries[i] = v.try()
	}
	return value[bool]{risky: func(in *engine.Input) (bool, error) {
		var first error
		for _, try := range tries {
			switch b, err := try(in); {
			case err != nil:
				if first == nil {
					first = err
				}
			case b == decisive:
				return decisive, nil
			}
		}
		return !decisive && first == nil, first
	}}
}

func absorbPure(parts []value[bool], decisive bool) value[bool] {
	a := parts[0].pure
	switch {
	case len(parts) == 1:
		return parts[0]
	case len(parts) == 2 && decisive:
		b := parts[1].pure
		return value[bool]{pure: func(in *engine.Input) bool { return a(in) || b(in) }}
	case len(parts) == 2:
		b := parts[1].pure
		return value[bool]{pure: func(in *engine.Input) bool { return a(in) && b(in) }}
	}
	rest := absorbPure(parts[1:], decisive).pure
	if decisive {
		return value[bool]{pure: func(in *engine.Input) bool { return a(in) || rest(in) }}
	}
	return value[bool]{pure: func(in *engine.Input) bool { return a(in) && rest(in) }}
}

// choose is the conditional operator: of its branches only one is evaluated.
func choose[T any](test value[bool], yes, no value[T]) value[T] {
	if test.pure != nil && yes.pure != nil && no.pure != nil {
		cond, a, b := test.pure, yes.pure, no.pure
		return value[T]{pure: func(in *engine.Input) T {
			if cond(in) {
				return a(in)
			}
			return b(in)
		}}
	}
	cond, a, b := test.try(), yes.try(), no.try()
	return value[T]{risky: func(in *engine.Input) (zero T, err error) {
		is, err := cond(in)
		switch {
		case err != nil:
			return zero, err
		case is:
			return a(in)
		}
		return b(in)
	}}
}
