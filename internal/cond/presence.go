package cond

import (
	"strings"

	"github.com/redress-policy/redress/engine"
)

// has reports whether a field is set.
func (c *Compiler) has(e *Expr) value[bool] {
	if name, ok := strings.CutPrefix(e.Name, "cause."); ok {
		switch name {
		case "status":
			return field(func(in *engine.Input) bool { return in.Scratch.Cause.Status != 0 })
		case "code":
			return field(func(in *engine.Input) bool { return in.Scratch.Cause.Code != "" })
		case "kind":
			return field(func(in *engine.Input) bool { return kindOf(in.Scratch.Cause.Kind) != "unknown" })
		case "message":
			return field(func(in *engine.Input) bool { return in.Scratch.Cause.Message != "" })
		case "type":
			return field(func(in *engine.Input) bool { return in.Scratch.Cause.Type != "" })
		}
		return unsupported[bool](c, e)
	}
	switch name := recordField(e.Name); name {
	case "status":
		return field(func(in *engine.Input) bool { return status(in) != 0 })
	case "code":
		return field(func(in *engine.Input) bool { return code(in) != "" })
	case "kind":
		return field(func(in *engine.Input) bool { return kindOf(kind(in)) != "unknown" })
	case "message":
		return field(func(in *engine.Input) bool { return message(in) != "" })
	case "type":
		return field(func(in *engine.Input) bool { return typeName(in) != "" })
	case "timeout":
		return field(func(in *engine.Input) bool { return timeout(in) })
	case "retry_after":
		return field(func(in *engine.Input) bool { return hasRetryAfter(in) })
	case "headers":
		return field(func(in *engine.Input) bool { return len(headers(in)) > 0 })
	case "phase":
		return field(func(in *engine.Input) bool { return phaseOf(phase(in)) != "unknown" })
	case "marker":
		return field(func(in *engine.Input) bool { return marker(in) != engine.NoClass })
	case "causes":
		return field(func(in *engine.Input) bool { return len(causes(in)) > 0 })
	case "attr":
		return constant(true)
	default:
		if attr, ok := strings.CutPrefix(name, "attr."); ok {
			return field(func(in *engine.Input) bool { _, is := in.Failure.Attributes[attr]; return is })
		}
	}
	return unsupported[bool](c, e)
}

// orValue reads an optional value, or what stands in for it.
func orValue[T any](c *Compiler, e *Expr, typ string, compile func(*Expr) value[T]) value[T] {
	if len(e.Args) != 2 || e.Args[1].Type != typ {
		return unsupported[T](c, e)
	}
	set, get := c.optional(e.Args[0])
	if set.pure == nil && set.risky == nil {
		return unsupported[T](c, e)
	}
	return choose(set, compile(get), compile(e.Args[1]))
}

func (c *Compiler) hasValue(e *Expr) value[bool] {
	set, _ := c.optional(e.Args[0])
	if set.pure == nil && set.risky == nil {
		return unsupported[bool](c, e)
	}
	return set
}

// optional takes an optional value apart: whether there is one, and the expression that
// reads it.
func (c *Compiler) optional(e *Expr) (set value[bool], get *Expr) {
	get = &Expr{Op: OpField, Name: e.Name, Type: e.Type, Attr: e.Attr}
	name, isAttribute := strings.CutPrefix(recordField(e.Name), "attr.")
	switch {
	case e.Op == OpOptional && isAttribute:
		return value[bool]{risky: func(in *engine.Input) (bool, error) {
			v, has := in.Failure.Attributes[name]
			if has && TypeOf(v) != e.Attr {
				return false, wrongType(name, e.Attr, v)
			}
			return has, nil
		}}, get
	case e.Op == OpOptional:
		return c.has(&Expr{Op: OpHas, Name: e.Name, Type: "bool"}), get
	case e.Op == OpCall && e.Name == "[?]" && e.Args[0].Type == "map" && e.Args[1].Type == "string":
		in := &Expr{Op: OpCall, Name: "in", Type: "bool", Args: []*Expr{e.Args[1], e.Args[0]}}
		return c.boolean(in), &Expr{Op: OpCall, Name: "[]", Type: "string", Args: e.Args}
	}
	return value[bool]{}, nil
}
