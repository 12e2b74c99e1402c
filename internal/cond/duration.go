package cond

import (
	"time"

	"github.com/redress-policy/redress/engine"
)

// duration compiles a duration.
func (c *Compiler) duration(e *Expr) value[time.Duration] {
	switch e.Op {
	case OpLiteral:
		if d, ok := e.Value.(time.Duration); ok {
			return constant(d)
		}
	case OpField:
		switch e.Name {
		case "err.retry_after", "result.retry_after":
			return field(func(in *engine.Input) time.Duration { return retryAfter(in) })
		case "elapsed":
			return field(func(in *engine.Input) time.Duration { return in.Elapsed })
		case "remaining":
			return field(func(in *engine.Input) time.Duration { return in.Remaining })
		case "retry_after":
			return field(func(in *engine.Input) time.Duration { return in.RetryAfter })
		}
		return attribute[time.Duration](c, e)
	case OpVar:
		return variable(c, e, c.duration, nil)
	case OpCall:
		switch {
		case e.Name == "?:":
			return choose(c.boolean(e.Args[0]), c.duration(e.Args[1]), c.duration(e.Args[2]))
		case e.Name == "orValue":
			return orValue(c, e, "duration", c.duration)
		}
	}
	return unsupported[time.Duration](c, e)
}
