package celcheck

import (
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// Names tell what expressions can read. All types must be known to the last: none may be
// dyn, null, a type parameter or nullable, nor have such a part.
type Names interface {
	// Variable returns the type of a variable, nil if there is none. Neither variables nor
	// types may have a name that begins with that of a variable and a dot.
	Variable(name string) *types.Type
	// Field returns the type of a field of a record type, nil if it has none.
	Field(record, name string) *types.Type
}

// A Checker stands for the checker of environments with certain functions, which are without
// a container. It is safe for use by many goroutines.
type Checker struct {
	functions map[string]*decls.FunctionDecl
	spaces    map[string]bool // "optional" if there is a function "optional.of"
	nodes     int

	lists, optionals wrapper
}

// New returns a checker. The functions must not be changed; the limit of nodes is that of
// cel.ExpressionNodeLimit.
func New(functions map[string]*decls.FunctionDecl, nodes int) *Checker {
	c := &Checker{
		functions: functions, spaces: map[string]bool{}, nodes: nodes,
		lists:     newWrapper(types.NewListType),
		optionals: newWrapper(func(of *types.Type) *types.Type { return types.NewOptionalType(of) }),
	}
	for name := range functions {
		if space, _, dotted := strings.Cut(name, "."); dotted {
			c.spaces[space] = true
		}
	}
	return c
}

// A Checked is an expression with its types.
type Checked struct {
	*ast.AST
	about []about // by id
}

type about struct {
	typ      *types.Type
	overload string
}

// TypeOf returns the type of a part of the expression; nil if it has none, as what stands
// before the dot of optional.of().
func (c *Checked) TypeOf(e ast.Expr) *types.Type { return c.at(e.ID()).typ }

// OverloadOf returns the overload that a part calls, "" if it calls none.
func (c *Checked) OverloadOf(e ast.Expr) string { return c.at(e.ID()).overload }

func (c *Checked) at(id int64) about {
	if id < 0 || id >= int64(len(c.about)) {
		return about{}
	}
	return c.about[id]
}

func (c *Checked) set(id int64, a about) {
	if more := id + 1 - int64(len(c.about)); more > 0 {
		c.about = append(c.about, make([]about, more)...)
	}
	c.about[id] = a
}

// Of returns what cel-go's checker found. Of a part that may call several overloads
// OverloadOf returns the first one.
func Of(checked *ast.AST) *Checked {
	c := &Checked{AST: checked}
	for id, t := range checked.TypeMap() {
		made := about{typ: t}
		if overloads := checked.GetOverloadIDs(id); len(overloads) > 0 {
			made.overload = overloads[0]
		}
		c.set(id, made)
	}
	return c
}

// Check finds the types of a parsed expression. If ok is false it was declined, and nothing
// is said of whether it has any.
func (c *Checker) Check(parsed *ast.AST, names Names) (checked *Checked, ok bool) {
	ids := len(parsed.SourceInfo().OffsetRanges()) // of all nodes but those of macro calls themselves
	if ids+len(parsed.SourceInfo().MacroCalls()) > c.nodes {
		return nil, false
	}
	x := &checking{Checker: c, names: names, checked: &Checked{AST: parsed, about: make([]about, ids+1)}}
	return x.checked, x.check(parsed.Expr()) != nil
}

// A checking is one expression while it is checked. Its functions return nil for what they
// decline.
type checking struct {
	*Checker
	names   Names
	checked *Checked
	locals  []local // the innermost last
}

// A local is a variable of a loop.
type local struct {
	name string
	typ  *types.Type
}

// check finds the type of a part.
func (c *checking) check(e ast.Expr) *types.Type {
	made := about{}
	switch e.Kind() {
	case ast.LiteralKind:
		made.typ = literal(e)
	case ast.IdentKind:
		made.typ = c.variable(e.AsIdent())
	case ast.SelectKind:
		made.typ = c.selection(e.AsSelect())
	case ast.CallKind:
		made = c.call(e.AsCall())
	case ast.ListKind:
		made.typ = c.list(e.AsList())
	case ast.MapKind:
		made.typ = c.mapping(e.AsMap())
	case ast.ComprehensionKind:
		made.typ = c.loop(e.AsComprehension())
	}
	if made.typ != nil {
		c.checked.set(e.ID(), made)
	}
	return made.typ
}

func literal(e ast.Expr) *types.Type {
	switch e.AsLiteral().(type) {
	case types.Bool:
		return types.BoolType
	case types.Int:
		return types.IntType
	case types.Uint:
		return types.UintType
	case types.Double:
		return types.DoubleType
	case types.String:
		return types.StringType
	case types.Bytes:
		return types.BytesType
	}
	return nil
}

func (c *checking) variable(name string) *types.Type {
	for i := len(c.locals) - 1; i >= 0; i-- {
		if c.locals[i].name == name {
			return c.locals[i].typ
		}
	}
	return c.names.Variable(name)
}

func (c *checking) selection(s ast.SelectExpr) *types.Type {
	t := c.field(s.Operand(), s.FieldName())
	if t != nil && s.IsTestOnly() {
		return types.BoolType
	}
	return t
}

// field finds the type of a field of an operand, or of an entry of a map.
func (c *checking) field(operand ast.Expr, name string) *types.Type {
	switch of := c.check(operand); of.Kind() {
	case types.StructKind:
		return c.names.Field(of.TypeName(), name)
	case types.MapKind:
		return of.Parameters()[1]
	}
	return nil
}

func (c *checking) call(call ast.CallExpr) about {
	name := call.FunctionName()
	if name == operators.OptSelect {
		return c.optionalField(call)
	}
	var list [maxArgs]*types.Type
	args, member := list[:0], false
	if call.IsMemberFunction() {
		switch space, in := c.space(call.Target()); {
		case !in:
			args, member = append(args, c.check(call.Target())), true
		case call.Target().Kind() == ast.IdentKind:
			name = space + "." + name
		default:
			return about{}
		}
	}
	if len(args)+len(call.Args()) > maxArgs {
		return about{}
	}
	for _, arg := range call.Args() {
		args = append(args, c.check(arg))
	}
	for _, arg := range args {
		if arg == nil {
			return about{}
		}
	}
	if o, result := c.resolve(name, member, args); o != nil {
		return about{result, o.ID()}
	}
	return about{}
}

// space returns the first word of the target of a call, if that may be the name of the
// function before its dot.
func (c *checking) space(target ast.Expr) (word string, in bool) {
	for target.Kind() == ast.SelectKind {
		target = target.AsSelect().Operand()
	}
	if target.Kind() != ast.IdentKind {
		return "", false
	}
	return target.AsIdent(), c.spaces[target.AsIdent()]
}

// optionalField checks a.?b, whose second argument is a name and no part with a type.
func (c *checking) optionalField(call ast.CallExpr) about {
	args := call.Args()
	if call.IsMemberFunction() || len(args) != 2 || args[1].Kind() != ast.LiteralKind {
		return about{}
	}
	name, ok := args[1].AsLiteral().(types.String)
	if !ok {
		return about{}
	}
	t := c.field(args[0], string(name))
	if t == nil {
		return about{}
	}
	return about{c.optionals.of(t), "select_optional_field"}
}

func (c *checking) list(l ast.ListExpr) *types.Type {
	if len(l.OptionalIndices()) > 0 {
		return nil
	}
	var of *types.Type
	for _, e := range l.Elements() {
		if of = c.alike(of, e); of == nil {
			return nil
		}
	}
	if of == nil {
		return nil
	}
	return c.lists.of(of)
}

func (c *checking) mapping(m ast.MapExpr) *types.Type {
	var key, value *types.Type
	for _, e := range m.Entries() {
		entry := e.AsMapEntry()
		key, value = c.alike(key, entry.Key()), c.alike(value, entry.Value())
		if key == nil || value == nil || entry.IsOptional() {
			return nil
		}
	}
	if key == nil {
		return nil
	}
	return types.NewMapType(key, value)
}

// alike checks a part that must be of the type of those before it; that is nil for the
// first one.
func (c *checking) alike(before *types.Type, e ast.Expr) *types.Type {
	t := c.check(e)
	if t == nil || before != nil && !same(before, t) {
		return nil
	}
	if before != nil {
		return before
	}
	return t
}

func (c *checking) loop(l ast.ComprehensionExpr) *types.Type {
	over, result := c.check(l.IterRange()), c.check(l.AccuInit())
	if result == nil || l.HasIterVar2() || over.Kind() != types.ListKind && over.Kind() != types.MapKind {
		return nil
	}
	outer := len(c.locals)
	defer func() { c.locals = c.locals[:outer] }()
	c.locals = append(c.locals, local{l.AccuVar(), result}, local{l.IterVar(), over.Parameters()[0]})
	condition, step := c.check(l.LoopCondition()), c.check(l.LoopStep())
	if condition != types.BoolType || step == nil || !same(result, step) {
		return nil
	}
	c.locals = c.locals[:outer+1]
	return c.check(l.Result())
}
