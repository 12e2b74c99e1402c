package interp

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
	"github.com/redress-policy/redress/internal/ir"
)

// A lowering takes from programs what is needed to evaluate them without CEL.
type lowering struct {
	vars  map[*Node]*cond.Expr // definitions, which all rules of a list that read them share
	nodes map[*cond.Expr]*Node // what expressions were made of; nil if nobody will ask
}

// listOf lowers rules in order. Those that read no vars are the same in all lists.
func listOf(rules []*rule) *ir.List {
	l := &lowering{vars: map[*Node]*cond.Expr{}}
	list := make([]*ir.Rule, len(rules))
	for i, r := range rules {
		if r.readsVars() {
			list[i] = l.rule(r)
			continue
		}
		r.once.Do(func() { r.lowered = l.rule(r) })
		list[i] = r.lowered
	}
	return ir.NewList(list)
}

// functionsOf makes functions of a list; what cannot be compiled runs on cel-go.
func functionsOf(l *ir.List) *cond.List {
	list, err := l.Compile()
	if err != nil {
		panic(fmt.Sprintf("interp: %v", err))
	}
	return list
}

func (r *rule) readsVars() bool {
	reads := r.when.readsVars()
	return reads || r.hint != nil && r.hint.readsVars()
}

func (p *program) readsVars() bool { return len(p.vars) > 0 && mayReadVars(p.expr.Text) }

func (l *lowering) rule(r *rule) *ir.Rule {
	made := &ir.Rule{ID: r.id, Class: r.class, When: l.root(r.when), CEL: celRule{r}}
	if r.written.Source != nil {
		at := r.written.Position()
		made.Place = ir.Place{File: r.written.Source.Name, Line: at.Line, Column: at.Column}
	}
	if r.hint != nil {
		made.RetryAfter = l.root(r.hint)
	}
	return made
}

// A celRule evaluates a rule on cel-go.
type celRule struct{ *rule }

// When implements ir.Evaluator.
func (r celRule) When(in *engine.Input) (bool, error) { return truth(r.when.eval(newScene(in))) }

// RetryAfter implements ir.Evaluator.
func (r celRule) RetryAfter(in *engine.Input) (time.Duration, error) {
	switch v := r.hint.eval(newScene(in)).(type) {
	case types.Duration:
		return v.Duration, nil
	case *types.Err:
		return 0, v.Unwrap()
	default:
		return 0, fmt.Errorf("it came to %T", v)
	}
}

// Always implements ir.Evaluator.
func (celRule) Always() bool { return !compiles }

// root lowers a whole expression, once for all places where it stands if it reads no vars.
func (l *lowering) root(p *program) *cond.Expr {
	if l.nodes != nil || p.readsVars() {
		return l.expr(p, p.tree())
	}
	if p.first != nil {
		p = p.first
	}
	p.loweredOnce.Do(func() { p.loweredRoot = l.expr(p, p.root) })
	return p.loweredRoot
}

// expr takes what is needed to evaluate it from a node.
func (l *lowering) expr(p *program, n *Node) *cond.Expr {
	e := &cond.Expr{Op: cond.Op(n.Op), Name: n.Name, Value: n.Value, Type: n.Type}
	if l.nodes != nil {
		l.nodes[e] = n
	}
	if _, name, ok := strings.Cut(n.Name, ".attr."); ok && n.Op != OpCall {
		e.Attr = p.attrs[name]
	}
	if n.Op == OpVar {
		e.Args = []*cond.Expr{l.definition(p.vars[n.Name].program, n.Args[0])}
		return e
	}
	for _, arg := range n.Args {
		e.Args = append(e.Args, l.expr(p, arg))
	}
	return e
}

func (l *lowering) definition(p *program, n *Node) *cond.Expr {
	known := l.vars[n]
	if known == nil {
		known = l.expr(p, n)
		l.vars[n] = known
	}
	return known
}

// A Fallback is an expression that only cel-go can evaluate.
type Fallback struct {
	Policy string
	Rule   string
	Text   string    // of the part that Go functions cannot be made of
	Range  dsl.Range // where that stands
}

// Fallbacks returns the expressions of the policy's rules that only cel-go can evaluate.
func (p *Policy) Fallbacks() []Fallback {
	var all []Fallback
	seen := map[dsl.Range]bool{}
	for _, list := range [][]*rule{p.rules, p.results, p.selectors} {
		for _, r := range list {
			for _, f := range r.fallbacks() {
				if f.Policy = p.Name(); !seen[f.Range] { // what several rules read through vars once
					all = append(all, f)
				}
				seen[f.Range] = true
			}
		}
	}
	return all
}

func (r *rule) fallbacks() []Fallback {
	l := &lowering{vars: map[*Node]*cond.Expr{}, nodes: map[*cond.Expr]*Node{}}
	lowered, compiler := l.rule(r), cond.NewCompiler()
	var all []Fallback
	note := func(whole, other *cond.Expr) {
		if other == nil {
			return
		}
		n := l.nodes[other]
		if n == nil {
			n = l.nodes[whole]
		}
		all = append(all, Fallback{Rule: r.id, Text: oneLine(n.Range.Text()), Range: n.Range})
	}
	_, other := compiler.Condition(lowered.When)
	note(lowered.When, other)
	if lowered.RetryAfter != nil {
		_, other = compiler.Hint(lowered.RetryAfter)
		note(lowered.RetryAfter, other)
	}
	return all
}
