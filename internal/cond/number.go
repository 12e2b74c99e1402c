package cond

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redress-policy/redress/engine"
)

// integer compiles a whole number.
func (c *Compiler) integer(e *Expr) value[int64] {
	switch e.Op {
	case OpLiteral:
		if i, ok := e.Value.(int64); ok {
			return constant(i)
		}
	case OpField:
		switch e.Name {
		case "err.status", "result.status":
			return field(func(in *engine.Input) int64 { return int64(status(in)) })
		case "cause.status":
			return field(func(in *engine.Input) int64 { return int64(in.Scratch.Cause.Status) })
		case "attempt":
			return field(func(in *engine.Input) int64 { return int64(in.Attempt) })
		case "class_attempt":
			return field(func(in *engine.Input) int64 { return int64(in.ClassAttempt) })
		}
		return attribute[int64](c, e)
	case OpVar:
		return variable(c, e, c.integer, nil)
	case OpCall:
		return c.integerCall(e)
	}
	return unsupported[int64](c, e)
}

var (
	errOverflow = errors.New("integer overflow")
	errDivision = errors.New("division by zero")
	errModulus  = errors.New("modulus by zero")
)

func (c *Compiler) integerCall(e *Expr) value[int64] {
	switch {
	case e.Name == "?:":
		return choose(c.boolean(e.Args[0]), c.integer(e.Args[1]), c.integer(e.Args[2]))
	case e.Name == "orValue":
		return orValue(c, e, "int", c.integer)
	case e.Name == "-()":
		return oneRisky(c.integer(e.Args[0]), negate[int64])
	case e.Name == "size" && e.Args[0].Type == "string":
		return one(c.text(e.Args[0]), func(s string) int64 { return int64(utf8.RuneCountInString(s)) })
	case e.Name == "size" && e.Args[0].Type == "map":
		return one(c.entries(e.Args[0]), func(m map[string]string) int64 { return int64(len(m)) })
	case e.Name == "size" && e.Args[0].Op == OpField && recordField(e.Args[0].Name) == "causes":
		return field(func(in *engine.Input) int64 { return int64(len(causes(in))) })
	case e.Name == "size" && e.Args[0].Type == "list":
		return one(c.texts(e.Args[0]), func(l []string) int64 { return int64(len(l)) })
	case e.Name == "int":
		return c.toInteger(e)
	case e.Name == "indexOf" || e.Name == "lastIndexOf":
		return c.indexOf(e)
	case strings.HasPrefix(e.Name, "get") && len(e.Args) == 1 && e.Args[0].Type == "duration":
		return c.durationIn(e)
	case len(e.Args) != 2 || e.Args[0].Type != "int" || e.Args[1].Type != "int":
		return unsupported[int64](c, e)
	}
	a, b := c.integer(e.Args[0]), c.integer(e.Args[1])
	switch e.Name {
	case "+":
		return twoRisky(a, b, add[int64])
	case "-":
		return twoRisky(a, b, subtract[int64])
	case "*":
		return twoRisky(a, b, func(x, y int64) (int64, error) {
			z := x * y
			if x != 0 && (z/x != y || x == -1 && y == math.MinInt64) {
				return 0, errOverflow
			}
			return z, nil
		})
	case "/":
		return twoRisky(a, b, func(x, y int64) (int64, error) {
			switch {
			case y == 0:
				return 0, errDivision
			case x == math.MinInt64 && y == -1:
				return 0, errOverflow
			}
			return x / y, nil
		})
	case "%":
		return twoRisky(a, b, func(x, y int64) (int64, error) {
			switch {
			case y == 0:
				return 0, errModulus
			case x == math.MinInt64 && y == -1:
				return 0, errOverflow
			}
			return x % y, nil
		})
	}
	return unsupported[int64](c, e)
}

// toInteger converts to a whole number.
func (c *Compiler) toInteger(e *Expr) value[int64] {
	of := e.Args[0]
	switch of.Type {
	case "int":
		return c.integer(of)
	case "duration":
		return one(c.duration(of), func(d time.Duration) int64 { return int64(d) })
	case "string":
		return oneRisky(c.text(of), func(s string) (int64, error) {
			i, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				return 0, noConversion("string", "int")
			}
			return i, nil
		})
	case "double":
		return oneRisky(c.double(of), func(x float64) (int64, error) {
			if math.IsNaN(x) || x <= math.MinInt64 || x >= math.MaxInt64 {
				return 0, errOverflow
			}
			return int64(x), nil
		})
	}
	return unsupported[int64](c, e)
}

func noConversion(from, to string) error {
	return fmt.Errorf("type conversion error from '%s' to '%s'", from, to)
}

// add, subtract and negate are for whole numbers and durations, which overflow alike.

func add[T int64 | time.Duration](x, y T) (T, error) {
	if y > 0 && x > math.MaxInt64-y || y < 0 && x < math.MinInt64-y {
		return 0, errOverflow
	}
	return x + y, nil
}

func subtract[T int64 | time.Duration](x, y T) (T, error) {
	if y < 0 && x > math.MaxInt64+y || y > 0 && x < math.MinInt64+y {
		return 0, errOverflow
	}
	return x - y, nil
}

func negate[T int64 | time.Duration](x T) (T, error) {
	if x == math.MinInt64 {
		return 0, errOverflow
	}
	return -x, nil
}

// double compiles a number with a fraction.
func (c *Compiler) double(e *Expr) value[float64] {
	switch e.Op {
	case OpLiteral:
		if x, ok := e.Value.(float64); ok {
			return constant(x)
		}
	case OpField:
		return attribute[float64](c, e)
	case OpVar:
		return variable(c, e, c.double, nil)
	case OpCall:
		switch {
		case e.Name == "?:":
			return choose(c.boolean(e.Args[0]), c.double(e.Args[1]), c.double(e.Args[2]))
		case e.Name == "orValue":
			return orValue(c, e, "double", c.double)
		case e.Name == "-()":
			return one(c.double(e.Args[0]), func(x float64) float64 { return -x })
		case e.Name == "double" && e.Args[0].Type == "int":
			return one(c.integer(e.Args[0]), func(x int64) float64 { return float64(x) })
		case e.Name == "double" && e.Args[0].Type == "double":
			return c.double(e.Args[0])
		case e.Name == "double" && e.Args[0].Type == "string":
			return oneRisky(c.text(e.Args[0]), func(s string) (float64, error) {
				x, err := strconv.ParseFloat(s, 64)
				if err != nil {
					return 0, noConversion("string", "double")
				}
				return x, nil
			})
		case len(e.Args) != 2 || e.Args[0].Type != "double" || e.Args[1].Type != "double":
			return unsupported[float64](c, e)
		}
		a, b := c.double(e.Args[0]), c.double(e.Args[1])
		switch e.Name {
		case "+":
			return two(a, b, func(x, y float64) float64 { return x + y })
		case "-":
			return two(a, b, func(x, y float64) float64 { return x - y })
		case "*":
			return two(a, b, func(x, y float64) float64 { return x * y })
		case "/":
			return two(a, b, func(x, y float64) float64 { return x / y })
		}
	}
	return unsupported[float64](c, e)
}
