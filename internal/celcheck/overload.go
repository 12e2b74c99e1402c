package celcheck

import (
	"strings"

	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/types"
)

// maxArgs is how many arguments a call can have, its target included. Calls of more are
// declined.
const maxArgs = 4

// maxParams is how many type parameters an overload can have. Those with more fit nothing.
const maxParams = 2

// resolve finds the overload for arguments of these types, and its result; nil if there is
// none that is sure. No two overloads of a function fit the same arguments, which cel-go
// sees to when they are declared.
func (c *Checker) resolve(function string, member bool, args []*types.Type) (*decls.OverloadDecl, *types.Type) {
	if comparesNumbers(function, args) { // which not all environments do
		return nil, nil
	}
	for _, o := range c.functions[function].OverloadDecls() {
		if o.IsMemberFunction() != member || len(o.ArgTypes()) != len(args) {
			continue
		}
		b := bindings{checker: c}
		if b.fitAll(o.ArgTypes(), args) {
			return o, b.resultOf(o.ResultType())
		}
	}
	return nil, nil
}

// comparesNumbers reports whether an operator has numbers of different types to work with.
func comparesNumbers(function string, args []*types.Type) bool {
	return strings.HasPrefix(function, "_") && len(args) == 2 && isNumber(args[0]) && isNumber(args[1]) && args[0] != args[1]
}

func isNumber(t *types.Type) bool {
	return t == types.IntType || t == types.UintType || t == types.DoubleType
}

// bindings are what the type parameters of an overload stand for.
type bindings struct {
	checker *Checker
	names   [maxParams]string
	types   [maxParams]*types.Type
	n       int
}

func (b *bindings) fitAll(params, args []*types.Type) bool {
	for i, param := range params {
		if !b.fit(param, args[i]) {
			return false
		}
	}
	return true
}

// fit reports whether an argument is of the type of a parameter, exactly, and binds the
// type parameters in that.
func (b *bindings) fit(param, arg *types.Type) bool {
	if param == arg {
		return true
	}
	switch param.Kind() {
	case types.TypeParamKind:
		if bound := b.find(param); bound != nil {
			return same(bound, arg)
		}
		if b.n == maxParams {
			return false
		}
		b.names[b.n], b.types[b.n] = param.TypeName(), arg
		b.n++
		return true
	case types.ListKind, types.MapKind, types.OpaqueKind:
		return param.Kind() == arg.Kind() && param.TypeName() == arg.TypeName() &&
			len(param.Parameters()) == len(arg.Parameters()) && b.fitAll(param.Parameters(), arg.Parameters())
	}
	return same(param, arg)
}

func (b *bindings) find(param *types.Type) *types.Type {
	for i := range b.n {
		if b.names[i] == param.TypeName() {
			return b.types[i]
		}
	}
	return nil
}

// resultOf puts what was bound in the place of type parameters; nil if one is free, or if
// the type is no known one, or one that no function has yet.
func (b *bindings) resultOf(t *types.Type) *types.Type {
	switch t.Kind() {
	case types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.StringKind, types.BytesKind, types.DurationKind, types.TimestampKind:
		return t
	case types.TypeParamKind:
		return b.find(t)
	case types.ListKind:
		if of := b.resultOf(t.Parameters()[0]); of != nil {
			return b.checker.lists.of(of)
		}
	case types.OpaqueKind:
		if t.TypeName() != optional {
			return nil
		}
		if of := b.resultOf(t.Parameters()[0]); of != nil {
			return b.checker.optionals.of(of)
		}
	}
	return nil
}

const optional = "optional_type" // the name of optional types

func same(a, b *types.Type) bool { return a == b || a.IsExactType(b) }

// A wrapper makes types that have another one in them, such as lists; those of common types
// are made in advance.
type wrapper struct {
	wrap func(*types.Type) *types.Type
	made map[*types.Type]*types.Type
}

func newWrapper(wrap func(*types.Type) *types.Type) wrapper {
	w := wrapper{wrap, map[*types.Type]*types.Type{}}
	for _, of := range []*types.Type{types.BoolType, types.IntType, types.DoubleType, types.StringType, types.DurationType} {
		w.made[of] = wrap(of)
	}
	return w
}

func (w wrapper) of(t *types.Type) *types.Type {
	if made := w.made[t]; made != nil {
		return made
	}
	return w.wrap(t)
}
