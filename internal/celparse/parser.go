package celparse

import (
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/parser"
)

// Limits are those that the environment of the expressions has.
type Limits struct {
	Size  int // code points, as of cel.ParserExpressionSizeLimit
	Depth int // as of cel.ParserRecursionLimit
	Nodes int // as of cel.ExpressionNodeLimit
}

// A Parser stands for the parser of an environment with certain macros and limits, which
// has optional types and tracks macro calls (cel.OptionalTypes,
// cel.EnableMacroCallTracking). It is safe for use by many goroutines.
type Parser struct {
	macros map[macroKey]parser.Macro
	limits Limits
}

// New returns a parser. All limits must be positive.
func New(macros []parser.Macro, limits Limits) *Parser {
	p := &Parser{macros: map[macroKey]parser.Macro{}, limits: limits}
	for _, m := range macros {
		args := m.ArgCount()
		if strings.HasPrefix(m.MacroKey(), m.Function()+":*:") {
			args = anyNumber
		}
		p.macros[macroKey{m.Function(), args, m.IsReceiverStyle()}] = m
	}
	return p
}

// Parse parses an expression. If ok is false it was declined, and nothing is said of
// whether it is an expression.
func (p *Parser) Parse(text string) (parsed *cel.Ast, ok bool) {
	source := common.NewTextSource(text)
	root, ok := p.parse(text, source)
	if !ok {
		return nil, false
	}
	// A *cel.Ast can only be made of the serialized form. So one of nothing is made, and
	// filled.
	parsed = cel.ParsedExprToAstWithSource(nil, source)
	*parsed.NativeRep() = *root
	return parsed, true
}

// Tree parses an expression as Parse does, for those who need nothing but the tree: where
// the lines of the text begin is not known, and messages of cel-go would not be right.
func (p *Parser) Tree(text string) (parsed *ast.AST, ok bool) { return p.parse(text, nil) }

// declined is what parsing panics with at the first thing that it does not take.
type declined struct{}

func (p *Parser) parse(text string, source common.Source) (parsed *ast.AST, ok bool) {
	if len(text) > p.limits.Size || !utf8.ValidString(text) {
		return nil, false
	}
	defer func() {
		if r := recover(); r != nil {
			if _, declines := r.(declined); !declines {
				panic(r)
			}
			parsed, ok = nil, false
		}
	}()
	x := &parsing{
		Parser:  p,
		scanner: scanner{text: text},
		factory: ast.NewExprFactory(),
		info:    ast.NewSourceInfo(source),
		nextID:  1,
	}
	x.advance()
	root := x.expr()
	x.expect(end)
	return ast.NewAST(root.Expr, x.info), true
}

// A parsing is one expression while it is parsed.
type parsing struct {
	*Parser
	scanner
	factory ast.ExprFactory
	info    *ast.SourceInfo
	nextID  int64

	// How many of these are begun and not ended. cel-go counts what is begun of each rule
	// of its grammar; no other rule can have more than these.
	exprs, relations, calcs int
}

// A node is a part of the expression. Depth is how many selections, indexes, member calls
// and operators but logical ones lie above each other in it: so deep cel-go's parser goes.
type node struct {
	ast.Expr
	depth int
}

// above makes a node of those that count in the depth, the others being below it.
func (p *parsing) above(depth int, e ast.Expr) node {
	if depth++; depth > p.limits.Depth {
		p.decline()
	}
	return node{e, depth}
}

func (p *parsing) decline() { panic(declined{}) }

// enter counts something that begins.
func (p *parsing) enter(begun *int) {
	if *begun++; *begun > p.limits.Depth {
		p.decline()
	}
}

// take returns the present token and goes on to the next one.
func (p *parsing) take() token {
	t := p.token
	p.advance()
	return t
}

// accept takes the present token if it is of a kind.
func (p *parsing) accept(k kind) bool {
	if p.token.kind != k {
		return false
	}
	p.advance()
	return true
}

// expect takes the present token, which must be of a kind.
func (p *parsing) expect(k kind) token {
	if p.token.kind != k {
		p.decline()
	}
	return p.take()
}

// id makes an id for what stands at a token.
func (p *parsing) id(t token) int64 { return p.newID(rangeOf(t)) }

func (p *parsing) newID(at ast.OffsetRange) int64 {
	id := p.nextID
	p.nextID++
	p.info.SetOffsetRange(id, at)
	return id
}

// rangeOf is the range of a token as cel-go has it: from a code point on, and as long as
// the token has bytes.
func rangeOf(t token) ast.OffsetRange {
	return ast.OffsetRange{Start: t.at, Stop: t.at + int32(t.end-t.start)}
}

// dropID gives an id back that no node has got.
func (p *parsing) dropID(id int64) {
	p.info.ClearOffsetRange(id)
	if id == p.nextID-1 {
		p.nextID--
	}
}
