package celparse

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// Ids are made in the order in which cel-go makes them, which is that of the calls below.

// expr parses a whole expression: a, or a ? b : c.
func (p *parsing) expr() node {
	p.enter(&p.exprs)
	e := p.disjunction()
	if p.token.kind == question {
		id := p.id(p.take())
		then := p.disjunction()
		p.expect(colon)
		e = p.operation(id, operators.Conditional, e, then, p.expr())
	}
	p.exprs--
	return e
}

// disjunction parses a || b || c.
func (p *parsing) disjunction() node {
	return p.chain(or, operators.LogicalOr, p.conjunction)
}

// conjunction parses a && b && c.
func (p *parsing) conjunction() node {
	return p.chain(and, operators.LogicalAnd, func() node { return p.relation(1) })
}

// chain parses parts with logical operators between them.
func (p *parsing) chain(operator kind, name string, part func() node) node {
	first := part()
	if p.token.kind != operator {
		return first
	}
	parts, depth := []ast.Expr{first.Expr}, first.depth
	var ids []int64 // of the operators
	for p.token.kind == operator {
		at := p.take()
		next := part()
		parts, depth = append(parts, next.Expr), max(depth, next.depth)
		ids = append(ids, p.id(at))
	}
	return node{p.balanced(name, parts, ids), depth}
}

// balanced makes a tree of the parts of a chain: at its root is the operator in the middle.
func (p *parsing) balanced(name string, parts []ast.Expr, ids []int64) ast.Expr {
	if len(ids) == 0 {
		return parts[0]
	}
	mid := len(ids) / 2
	left := p.balanced(name, parts[:mid+1], ids[:mid])
	right := p.balanced(name, parts[mid+1:], ids[mid+1:])
	return p.factory.NewCall(ids[mid], name, left, right)
}

// relation parses a < b, as far as the operators bind at least so closely: all of them do
// by 1.
func (p *parsing) relation(least int) node {
	p.enter(&p.relations)
	left := p.calculation(1)
	for least <= 1 {
		name := relationName(p.token.kind)
		if name == "" {
			break
		}
		id := p.id(p.take())
		left = p.operation(id, name, left, p.relation(2))
	}
	p.relations--
	return left
}

func relationName(k kind) string {
	switch k {
	case less:
		return operators.Less
	case lessEqual:
		return operators.LessEquals
	case greater:
		return operators.Greater
	case greaterEqual:
		return operators.GreaterEquals
	case equal:
		return operators.Equals
	case notEqual:
		return operators.NotEquals
	case in:
		return operators.In
	}
	return ""
}

// calculation parses a + b * c, as far as the operators bind at least so closely.
func (p *parsing) calculation(least int) node {
	p.enter(&p.calcs)
	left := p.unary()
	for {
		name, binds := calculationName(p.token.kind)
		if binds < least {
			break
		}
		id := p.id(p.take())
		left = p.operation(id, name, left, p.calculation(binds+1))
	}
	p.calcs--
	return left
}

// calculationName returns an operator's name and how closely it binds; 0 if it is none.
func calculationName(k kind) (name string, binds int) {
	switch k {
	case plus:
		return operators.Add, 1
	case minus:
		return operators.Subtract, 1
	case star:
		return operators.Multiply, 2
	case slash:
		return operators.Divide, 2
	case percent:
		return operators.Modulo, 2
	}
	return "", 0
}

// operation makes a call of an operator.
func (p *parsing) operation(id int64, name string, operands ...node) node {
	args, depth := make([]ast.Expr, len(operands)), 0
	for i, o := range operands {
		args[i], depth = o.Expr, max(depth, o.depth)
	}
	return p.above(depth, p.call(id, name, nil, args))
}

// unary parses !a and -a. Two of the same sign cancel each other out.
func (p *parsing) unary() node {
	switch p.token.kind {
	case not:
		return p.signed(operators.LogicalNot, p.take())
	case minus:
		sign := p.take()
		if p.token.kind == integer || p.token.kind == double {
			return p.members(p.number(&sign))
		}
		return p.signed(operators.Negate, sign)
	}
	return p.members(p.primary())
}

// signed parses what stands behind a first sign.
func (p *parsing) signed(name string, first token) node {
	odd := true
	for p.accept(first.kind) {
		odd = !odd
	}
	if !odd {
		return p.members(p.primary())
	}
	id := p.id(first)
	operand := p.members(p.primary())
	return node{p.call(id, name, nil, []ast.Expr{operand.Expr}), operand.depth}
}

// members parses what can stand behind an operand: .field, .?field, .call(), [index].
func (p *parsing) members(operand node) node {
	for {
		switch p.token.kind {
		case dot:
			operand = p.selection(operand)
		case bracketOpen:
			operand = p.index(operand)
		default:
			return operand
		}
	}
}

// selection parses .field, .?field or .call().
func (p *parsing) selection(operand node) node {
	at := p.take()
	optional := p.accept(question)
	field := p.take()
	name := p.text[field.start:field.end]
	switch {
	case field.kind == quotedName:
		name = name[1 : len(name)-1]
	case field.kind != identifier:
		p.decline()
	case p.token.kind == parenOpen && !optional:
		return p.memberCall(operand, name)
	}
	if optional {
		literal := p.factory.NewLiteral(p.id(field), types.String(name))
		return p.above(operand.depth, p.factory.NewCall(p.id(at), operators.OptSelect, operand.Expr, literal))
	}
	return p.above(operand.depth, p.factory.NewSelect(p.id(at), operand.Expr, name))
}

// memberCall parses the arguments of target.name().
func (p *parsing) memberCall(target node, name string) node {
	id := p.id(p.take())
	args, depth := p.arguments()
	return p.above(max(target.depth, depth), p.call(id, name, target.Expr, args))
}

// index parses [i] or [?i].
func (p *parsing) index(operand node) node {
	id, name := p.id(p.take()), operators.Index
	if p.accept(question) {
		name = operators.OptIndex
	}
	i := p.expr()
	p.expect(bracketClose)
	return p.operation(id, name, operand, i)
}

// arguments parses what stands between the brackets of a call, and the closing one.
func (p *parsing) arguments() (args []ast.Expr, depth int) {
	if p.accept(parenClose) {
		return nil, 0
	}
	for {
		arg := p.expr()
		args, depth = append(args, arg.Expr), max(depth, arg.depth)
		if !p.accept(comma) {
			break
		}
	}
	p.expect(parenClose)
	return args, depth
}

// primary parses an operand.
func (p *parsing) primary() node {
	switch p.token.kind {
	case dot, identifier:
		return p.name()
	case parenOpen:
		p.take()
		e := p.expr()
		p.expect(parenClose)
		return e
	case bracketOpen:
		return p.list()
	case braceOpen:
		return p.mapping()
	}
	return p.literal()
}

// reserved are words that cannot be names, besides those that are tokens of their own.
// Fields can have them.
var reserved = map[string]bool{
	"as": true, "break": true, "const": true, "continue": true, "else": true, "for": true, "function": true, "if": true, "import": true,
	"let": true, "loop": true, "namespace": true, "package": true, "return": true, "var": true, "void": true, "while": true,
}

// name parses a name or a call, either with a dot before it or not.
func (p *parsing) name() node {
	prefix := ""
	if p.accept(dot) {
		prefix = "."
	}
	at := p.expect(identifier)
	name := p.text[at.start:at.end]
	if reserved[name] {
		p.decline()
	}
	name = prefix + name
	if p.token.kind != parenOpen {
		return node{p.factory.NewIdent(p.id(at), name), 0}
	}
	id := p.id(p.take())
	args, depth := p.arguments()
	return node{p.call(id, name, nil, args), depth}
}

// list parses [a, ?b].
func (p *parsing) list() node {
	id, depth := p.id(p.take()), 0
	items, optional := []ast.Expr{}, []int32{}
	p.series(bracketClose, func() {
		if p.accept(question) {
			optional = append(optional, int32(len(items)))
		}
		item := p.expr()
		items, depth = append(items, item.Expr), max(depth, item.depth)
	})
	return node{p.factory.NewList(id, items, optional), depth}
}

// mapping parses {a: b, ?c: d}.
func (p *parsing) mapping() node {
	id, depth := p.id(p.take()), 0
	entries := []ast.EntryExpr{}
	p.series(braceClose, func() {
		entry := p.newID(ast.OffsetRange{}) // at the colon, which is still to come
		optional := p.accept(question)
		key := p.expr()
		p.info.SetOffsetRange(entry, rangeOf(p.expect(colon)))
		value := p.expr()
		entries = append(entries, p.factory.NewMapEntry(entry, key.Expr, value.Expr, optional))
		depth = max(depth, key.depth, value.depth)
	})
	return node{p.factory.NewMap(id, entries), depth}
}

// series parses parts with commas between them, and the bracket behind them. A comma may
// stand before that, be it the only thing.
func (p *parsing) series(closing kind, part func()) {
	if !p.accept(comma) && p.token.kind != closing {
		part()
		for p.accept(comma) && p.token.kind != closing {
			part()
		}
	}
	p.expect(closing)
}
