package cond_test

import (
	"fmt"
	"testing"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

func status() *cond.Expr { return &cond.Expr{Op: cond.OpField, Name: "err.status", Type: "int"} }

func literal(v int64) *cond.Expr { return &cond.Expr{Op: cond.OpLiteral, Value: v, Type: "int"} }

func call(name string, args ...*cond.Expr) *cond.Expr {
	return &cond.Expr{Op: cond.OpCall, Name: name, Args: args, Type: "bool"}
}

// TestDecidingAllocatesNothing: neither where a rule holds nor where none does.
func TestDecidingAllocatesNothing(t *testing.T) {
	c := cond.NewCompiler()
	var rules []*cond.Rule
	for i := range int64(100) {
		e := call("&&", call(">=", status(), literal(400+i)), call("==", &cond.Expr{Op: cond.OpField, Name: "err.code", Type: "string"}, &cond.Expr{Op: cond.OpLiteral, Value: fmt.Sprint("E", i), Type: "string"}))
		when, other := c.Condition(e)
		if other != nil {
			t.Fatalf("%+v is not compiled", other)
		}
		rules = append(rules, &cond.Rule{ID: fmt.Sprint(i), Class: engine.Transient, When: when, Expr: e})
	}
	list := cond.NewList(rules)
	for _, f := range []engine.Failure{{Status: 503, Code: "E99"}, {Status: 503, Code: "none"}, {Status: 200}} {
		in := &engine.Input{Failure: &f}
		if n := testing.AllocsPerRun(100, func() { list.Decide(in) }); n != 0 {
			t.Errorf("%+v: %v allocations", f, n)
		}
	}
}

// TestAListIsSilentOnStatusesThatNoRuleKnows: and only on those.
func TestAListIsSilentOnStatusesThatNoRuleKnows(t *testing.T) {
	c := cond.NewCompiler()
	e := call("||", call("in", status(), &cond.Expr{Op: cond.OpList, Type: "list", Args: []*cond.Expr{literal(429), literal(503)}}), call("<", literal(590), status()))
	when, _ := c.Condition(e)
	list := cond.NewList([]*cond.Rule{{ID: "r", Class: engine.Transient, When: when, Expr: e}})
	for s := range 700 {
		want := s != 429 && s != 503 && s <= 590 && s < 600
		if got := list.Silent(s); got != want {
			t.Errorf("status %d: silent is %t, want %t", s, got, want)
		}
	}
	opaque := cond.NewList([]*cond.Rule{{ID: "r", When: cond.Opaque(func(*engine.Input) (bool, error) { return false, nil })}})
	if opaque.Silent(200) {
		t.Error("of a condition that is not known it is said that it never holds")
	}
}
