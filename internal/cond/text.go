package cond

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/redress-policy/redress/engine"
)

// textTest asks something of a text.
func (c *Compiler) textTest(e *Expr) value[bool] {
	if len(e.Args) != 2 {
		return unsupported[bool](c, e)
	}
	s, arg := c.text(e.Args[0]), c.text(e.Args[1])
	if e.Name == "matches" {
		pattern, ok := arg.constantOf()
		re, err := regexp.Compile(pattern)
		if !ok || err != nil {
			return unsupported[bool](c, e)
		}
		if scan := literalScan(pattern); scan != nil {
			return one(s, func(s string) bool { return scan(s, re) })
		}
		return one(s, re.MatchString)
	}
	test := map[string]func(s, part string) bool{"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains}[e.Name]
	if part, ok := arg.constantOf(); ok && s.pure != nil {
		get := s.pure
		switch e.Name {
		case "startsWith":
			return field(func(in *engine.Input) bool { return strings.HasPrefix(get(in), part) })
		case "endsWith":
			return field(func(in *engine.Input) bool { return strings.HasSuffix(get(in), part) })
		}
		return field(func(in *engine.Input) bool { return strings.Contains(get(in), part) })
	}
	return two(s, arg, test)
}

// text compiles a text.
func (c *Compiler) text(e *Expr) value[string] {
	switch e.Op {
	case OpLiteral:
		if s, ok := e.Value.(string); ok {
			return constant(s)
		}
	case OpField:
		return c.textField(e)
	case OpVar:
		return variable(c, e, c.text, longText)
	case OpCall:
		return c.textCall(e)
	}
	return unsupported[string](c, e)
}

func (c *Compiler) textField(e *Expr) value[string] {
	switch e.Name {
	case "op":
		return field(func(in *engine.Input) string { return in.Operation })
	case "cause.code":
		return field(func(in *engine.Input) string { return in.Scratch.Cause.Code })
	case "cause.kind":
		return field(func(in *engine.Input) string { return kindOf(in.Scratch.Cause.Kind) })
	case "cause.message":
		return field(func(in *engine.Input) string { return in.Scratch.Cause.Message })
	case "cause.type":
		return field(func(in *engine.Input) string { return in.Scratch.Cause.Type })
	}
	switch recordField(e.Name) {
	case "code":
		return field(func(in *engine.Input) string { return code(in) })
	case "kind":
		return field(func(in *engine.Input) string { return kindOf(kind(in)) })
	case "message":
		return field(func(in *engine.Input) string { return message(in) })
	case "type":
		return field(func(in *engine.Input) string { return typeName(in) })
	case "phase":
		return field(func(in *engine.Input) string { return phaseOf(phase(in)) })
	case "marker":
		return field(func(in *engine.Input) string { return marker(in).String() })
	}
	return attribute[string](c, e)
}

func (c *Compiler) textCall(e *Expr) value[string] {
	args := e.Args
	switch {
	case e.Name == "?:":
		return choose(c.boolean(args[0]), c.text(args[1]), c.text(args[2]))
	case e.Name == "orValue":
		return orValue(c, e, "string", c.text)
	case e.Name == "[]" && args[0].Type == "map" && args[1].Type == "string":
		return c.entry(args[0], args[1])
	case e.Name == "+" && args[0].Type == "string" && args[1].Type == "string":
		return two(c.text(args[0]), c.text(args[1]), func(a, b string) string { return a + b })
	case e.Name == "string" && args[0].Type == "string":
		return c.text(args[0])
	case e.Name == "string" && args[0].Type == "int":
		return one(c.integer(args[0]), func(x int64) string { return strconv.FormatInt(x, 10) })
	case e.Name == "lowerAscii" && len(args) == 1:
		return one(c.text(args[0]), func(s string) string { return mapASCII(s, 'A', 'Z', 'a'-'A') })
	case e.Name == "upperAscii" && len(args) == 1:
		return one(c.text(args[0]), func(s string) string { return mapASCII(s, 'a', 'z', -('a' - 'A')) })
	}
	return unsupported[string](c, e)
}

// mapASCII moves the letters from one case to the other. Bytes that are no text become the
// replacement character, as they do in cel-go.
func mapASCII(s string, from, to rune, by rune) string {
	return strings.Map(func(r rune) rune {
		if from <= r && r <= to {
			return r + by
		}
		return r
	}, s)
}
