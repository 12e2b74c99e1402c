package interp

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

// A lowering makes compiled lists of rules.
type lowering struct {
	compiler *cond.Compiler
	vars     map[*Node]*cond.Expr // definitions, which all that read them share
}

// listOf compiles rules in order. What cannot be compiled runs on cel-go.
func listOf(rules []*rule) *cond.List {
	l := &lowering{cond.NewCompiler(), map[*Node]*cond.Expr{}}
	list := make([]*cond.Rule, len(rules))
	for i, r := range rules {
		list[i] = l.rule(r)
	}
	return cond.NewList(list)
}

// rule compiles a rule; those that read no vars are compiled once for all lists.
func (l *lowering) rule(r *rule) *cond.Rule {
	if !r.readsVars() {
		r.once.Do(func() {
			own := &lowering{cond.NewCompiler(), nil}
			r.compiled = own.compile(r)
		})
		return r.compiled
	}
	return l.compile(r)
}

func (r *rule) readsVars() bool {
	reads := r.when.readsVars()
	return reads || r.hint != nil && r.hint.readsVars()
}

func (p *program) readsVars() bool { return len(p.vars) > 0 && strings.Contains(p.expr.Text, "vars") }

func (l *lowering) compile(r *rule) *cond.Rule {
	made := &cond.Rule{ID: r.id, Class: r.class}
	made.When, made.Expr = l.condition(r.when)
	if r.hint != nil {
		made.Hint = l.hint(r.hint)
	}
	return made
}

// condition compiles a condition, and returns what the index may know of it.
func (l *lowering) condition(p *program) (cond.Condition, *cond.Expr) {
	if compiles {
		expr := l.expr(p, p.tree())
		if made, other := l.compiler.Condition(expr); other == nil {
			return made, expr
		}
	}
	return cond.Opaque(func(in *engine.Input) (bool, error) { return truth(p.eval(newScene(in))) }), nil
}

func (l *lowering) hint(p *program) *cond.Hint {
	if compiles {
		if made, other := l.compiler.Hint(l.expr(p, p.tree())); other == nil {
			return &made
		}
	}
	made := cond.OpaqueHint(func(in *engine.Input) (time.Duration, error) {
		switch v := p.eval(newScene(in)).(type) {
		case types.Duration:
			return v.Duration, nil
		case *types.Err:
			return 0, v.Unwrap()
		default:
			return 0, fmt.Errorf("it came to %T", v)
		}
	})
	return &made
}

// expr takes what is needed to evaluate it from a node.
func (l *lowering) expr(p *program, n *Node) *cond.Expr {
	e := &cond.Expr{Op: cond.Op(n.Op), Name: n.Name, Value: n.Value, Type: n.Type}
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
		if l.vars != nil {
			l.vars[n] = known
		}
	}
	return known
}
