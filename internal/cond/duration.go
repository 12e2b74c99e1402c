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
		case e.Name == "-()":
			return oneRisky(c.duration(e.Args[0]), negate[time.Duration])
		case e.Name == "duration":
			return c.toDuration(e)
		case len(e.Args) != 2 || e.Args[0].Type != "duration" || e.Args[1].Type != "duration":
			return unsupported[time.Duration](c, e)
		case e.Name == "+":
			return twoRisky(c.duration(e.Args[0]), c.duration(e.Args[1]), add[time.Duration])
		case e.Name == "-":
			return twoRisky(c.duration(e.Args[0]), c.duration(e.Args[1]), subtract[time.Duration])
		}
	}
	return unsupported[time.Duration](c, e)
}

// toDuration converts to a duration.
func (c *Compiler) toDuration(e *Expr) value[time.Duration] {
	switch of := e.Args[0]; of.Type {
	case "duration":
		return c.duration(of)
	case "string":
		return oneRisky(c.text(of), func(s string) (time.Duration, error) {
			d, err := time.ParseDuration(s)
			if err != nil {
				return 0, noConversion("string", "google.protobuf.Duration")
			}
			return d, nil
		})
	}
	return unsupported[time.Duration](c, e)
}

// durationIn counts a duration in whole units.
func (c *Compiler) durationIn(e *Expr) value[int64] {
	d := c.duration(e.Args[0])
	switch e.Name {
	case "getHours":
		return one(d, func(d time.Duration) int64 { return int64(d.Hours()) })
	case "getMinutes":
		return one(d, func(d time.Duration) int64 { return int64(d.Minutes()) })
	case "getSeconds":
		return one(d, func(d time.Duration) int64 { return int64(d.Seconds()) })
	case "getMilliseconds":
		return one(d, func(d time.Duration) int64 { return d.Milliseconds() })
	}
	return unsupported[int64](c, e)
}
