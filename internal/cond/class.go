package cond

import (
	"github.com/redress-policy/redress/engine"
)

// class compiles a class.
func (c *Compiler) class(e *Expr) value[engine.Class] {
	switch {
	case e.Op == OpLiteral:
		if class, ok := e.Value.(engine.Class); ok {
			return constant(class)
		}
	case e.Op == OpField && e.Name == "class":
		return field(func(in *engine.Input) engine.Class { return in.Class })
	case e.Op == OpVar:
		return variable(c, e, c.class, nil)
	case e.Op == OpCall && e.Name == "?:":
		return choose(c.boolean(e.Args[0]), c.class(e.Args[1]), c.class(e.Args[2]))
	}
	return unsupported[engine.Class](c, e)
}
