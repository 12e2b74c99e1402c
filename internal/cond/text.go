package cond

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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
		case "contains":
			if part != "" {
				wanted := newWord(part)
				return field(func(in *engine.Input) bool { return wanted.in(get(in)) })
			}
		}
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
	case e.Name == "[]" && args[0].Type == "list" && args[1].Type == "int":
		return twoRisky(c.texts(args[0]), c.integer(args[1]), item)
	case e.Name == "string" && len(args) == 1:
		return c.toText(e)
	case e.Name == "trim" && len(args) == 1:
		return one(c.text(args[0]), strings.TrimSpace)
	case e.Name == "charAt" && len(args) == 2:
		return twoRisky(c.text(args[0]), c.integer(args[1]), charAt)
	case e.Name == "substring":
		return c.substring(e)
	case e.Name == "replace":
		return c.replace(e)
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

// toText converts to a text.
func (c *Compiler) toText(e *Expr) value[string] {
	switch of := e.Args[0]; of.Type {
	case "string":
		return c.text(of)
	case "bool":
		return one(c.boolean(of), strconv.FormatBool)
	case "int":
		return one(c.integer(of), func(x int64) string { return strconv.FormatInt(x, 10) })
	case "double":
		return one(c.double(of), func(x float64) string { return fmt.Sprintf("%g", x) })
	case "duration":
		return one(c.duration(of), func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" })
	}
	return unsupported[string](c, e)
}

// Positions in texts count code points.

func outOfRange(i int64) error { return fmt.Errorf("index out of range: %d", i) }

func charAt(s string, i int64) (string, error) {
	points := []rune(s)
	switch {
	case i < 0 || i > int64(len(points)):
		return "", outOfRange(i)
	case i == int64(len(points)):
		return "", nil
	}
	return string(points[i]), nil
}

// substring cuts a text from one position, or to another.
func (c *Compiler) substring(e *Expr) value[string] {
	if n := len(e.Args); n < 2 || n > 3 {
		return unsupported[string](c, e)
	}
	rest := twoRisky(c.text(e.Args[0]), c.integer(e.Args[1]), func(s string, start int64) (cut, error) {
		return cut{[]rune(s), start}, nil
	})
	if len(e.Args) == 2 {
		return oneRisky(rest, func(c cut) (string, error) { return c.to(int64(len(c.points))) })
	}
	return twoRisky(rest, c.integer(e.Args[2]), func(c cut, end int64) (string, error) {
		if c.start > end {
			return "", fmt.Errorf("invalid substring range. start: %d, end: %d", c.start, end)
		}
		return c.to(end)
	})
}

// A cut is a text and where a part of it begins.
type cut struct {
	points []rune
	start  int64
}

func (c cut) to(end int64) (string, error) {
	n := int64(len(c.points))
	switch {
	case c.start < 0 || c.start > n:
		return "", outOfRange(c.start)
	case end < 0 || end > n:
		return "", outOfRange(end)
	}
	return string(c.points[c.start:end]), nil
}

// replace puts one text in the place of another, everywhere or a number of times.
func (c *Compiler) replace(e *Expr) value[string] {
	if n := len(e.Args); n < 3 || n > 4 {
		return unsupported[string](c, e)
	}
	texts := list([]value[string]{c.text(e.Args[0]), c.text(e.Args[1]), c.text(e.Args[2])})
	if len(e.Args) == 3 {
		return one(texts, func(t []string) string { return strings.ReplaceAll(t[0], t[1], t[2]) })
	}
	return two(texts, c.integer(e.Args[3]), func(t []string, n int64) string { return strings.Replace(t[0], t[1], t[2], int(n)) })
}

// indexOf finds a text in another, from the beginning or the end; -1 if it is not there.
func (c *Compiler) indexOf(e *Expr) value[int64] {
	if len(e.Args) != 2 {
		return unsupported[int64](c, e)
	}
	find := func(s, part string) int64 {
		i := strings.Index(s, part)
		if e.Name == "lastIndexOf" {
			i = strings.LastIndex(s, part)
		}
		if i < 0 {
			return -1
		}
		return int64(utf8.RuneCountInString(s[:i]))
	}
	return two(c.text(e.Args[0]), c.text(e.Args[1]), func(s, part string) int64 {
		if !utf8.ValidString(s) || !utf8.ValidString(part) { // what is no text becomes U+FFFD, one for each byte
			s, part = string([]rune(s)), string([]rune(part))
		}
		return find(s, part)
	})
}
