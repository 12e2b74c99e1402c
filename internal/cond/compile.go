package cond

import (
	"time"

	"github.com/redress-policy/redress/engine"
)

// How the compiler is laid out
//
// There is one function of the compiler for each type of an expression: boolean (bool.go),
// integer and double (number.go), text (text.go), duration (duration.go), class (class.go),
// entries and texts (collection.go). Each of them tells literals, fields, vars and calls
// apart; calls of one type are in a function of their own, such as integerCall. What gives
// a bool by comparing values of any type is in compare.go; has, [?] and orValue are in
// presence.go; vars in var.go. All of them make a value (value.go): a function that cannot
// err, or one that can. Fields are read in read.go and attribute.go.

// A Compiler makes functions of the expressions of one list, among which it shares the
// values of vars.
type Compiler struct {
	vars    map[varKey]any // values of the vars, of type value[T]
	slots   int            // that vars take in the scratch space
	scratch bool           // something that it made writes to the scratch space
	other   *Expr          // the first part of the expression that it cannot make a function of
}

// A varKey is one var: two that are defined alike have errors of their own.
type varKey struct {
	name       string
	definition *Expr
}

// NewCompiler returns a compiler for one list.
func NewCompiler() *Compiler { return &Compiler{vars: map[varKey]any{}} }

// unsupported notes a part that cannot be compiled. What is made around it is not used.
func unsupported[T any](c *Compiler, e *Expr) value[T] {
	if c.other == nil {
		c.other = e
	}
	return value[T]{pure: func(*engine.Input) (zero T) { return zero }}
}

// A Condition is a compiled condition.
type Condition struct {
	value[bool]
	scratch bool // it may write to the scratch space
}

// Opaque makes a condition of a function.
func Opaque(test func(*engine.Input) (bool, error)) Condition {
	return Condition{value: value[bool]{risky: test}}
}

// Sure returns the function of a condition that cannot err, nil for others.
func (c *Condition) Sure() func(*engine.Input) bool { return c.pure }

// UsesScratch reports whether Test may write to the scratch space of its input.
func (c *Condition) UsesScratch() bool { return c.scratch }

// Test evaluates the condition. If it uses the scratch space, that must be empty but for
// what other conditions of the same compiler left there.
func (c *Condition) Test(in *engine.Input) (bool, error) {
	if c.pure != nil {
		return c.pure(in), nil
	}
	return c.risky(in)
}

// Condition makes a function of a condition. If it cannot, other is the part that it
// cannot make a function of.
func (c *Compiler) Condition(e *Expr) (made Condition, other *Expr) {
	c.other = nil
	v := c.boolean(e)
	return Condition{v, c.scratch}, c.other
}

// A Hint is a compiled duration.
type Hint struct {
	value[time.Duration]
	scratch bool
}

// OpaqueHint makes a hint of a function.
func OpaqueHint(get func(*engine.Input) (time.Duration, error)) Hint {
	return Hint{value: value[time.Duration]{risky: get}}
}

// Get evaluates the duration, as Test does a condition.
func (h *Hint) Get(in *engine.Input) (time.Duration, error) {
	if h.pure != nil {
		return h.pure(in), nil
	}
	return h.risky(in)
}

// Hint makes a function of a duration, as Condition does of a condition.
func (c *Compiler) Hint(e *Expr) (made Hint, other *Expr) {
	c.other = nil
	v := c.duration(e)
	return Hint{v, c.scratch}, c.other
}
