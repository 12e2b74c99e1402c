// Package cond makes functions of conditions: of what rules are when they have been
// checked, without the language that they were written in. It needs the engine and the
// standard library only.
//
// Its functions come to what cel-go comes to for the expressions they are made of,
// errors and their texts included. Tests of package interp hold them to it.
package cond

import (
	"slices"
	"strings"
)

// An Op is what an Expr is.
type Op uint8

// The kinds of expressions.
const (
	OpOther    Op = iota // something that only cel-go can evaluate
	OpLiteral            // Value
	OpField              // Name, a path: "err.status", "err.attr.tier", "op"
	OpHas                // has(Name); of type optional, the field if it is set
	OpOptional           // Name as an optional value: err.attr.?tier
	OpVar                // vars.Name, whose definition is Args[0]
	OpCall               // Name of Args: an operator as it is written, a function or a method with its target first
	OpList               // of Args
	OpExists             // whether Args[0] holds for one of err.causes; there "cause.code" is a field of the element
)

// Known reports whether op is one of the kinds above.
func (op Op) Known() bool { return op <= OpExists }

// Loops reports whether expressions of that kind ask something of each of err.causes.
func (op Op) Loops() bool { return op == OpExists }

// An Expr is a part of a checked expression. It is immutable.
type Expr struct {
	Op    Op
	Name  string
	Args  []*Expr
	Value any    // bool, int64, uint64, float64, string, time.Duration, engine.Class
	Type  string // bool, int, uint, double, string, duration, class, list, map, optional or other
	Attr  string // of fields that are attributes: the type that they are declared with
}

// ReadsCause reports whether the expression is a field of the cause that a loop is at.
func (e *Expr) ReadsCause() bool { return strings.HasPrefix(e.Name, "cause.") && e.Op != OpCall }

// ReadsVars reports whether a part of the expression, which may be nil, is a var.
func (e *Expr) ReadsVars() bool {
	return e != nil && (e.Op == OpVar || slices.ContainsFunc(e.Args, (*Expr).ReadsVars))
}
