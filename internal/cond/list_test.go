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

// TestConditionsOfTheStatusAloneHoldForTheRightStatuses tries every status there could be,
// and some that there cannot.
func TestConditionsOfTheStatusAloneHoldForTheRightStatuses(t *testing.T) {
	has := &cond.Expr{Op: cond.OpHas, Name: "err.status", Type: "bool"}
	list := func(values ...int64) *cond.Expr {
		e := &cond.Expr{Op: cond.OpList, Type: "list"}
		for _, v := range values {
			e.Args = append(e.Args, literal(v))
		}
		return e
	}
	for name, one := range map[string]struct {
		e    *cond.Expr
		want func(s int) bool
	}{
		"one":              {call("==", status(), literal(429)), func(s int) bool { return s == 429 }},
		"none but one":     {call("!=", literal(0), status()), func(s int) bool { return s != 0 }},
		"a range":          {call("&&", call(">=", status(), literal(500)), call("<", status(), literal(600))), func(s int) bool { return s >= 500 && s < 600 }},
		"all above":        {call("<", literal(499), status()), func(s int) bool { return s > 499 }},
		"all below":        {call("<=", status(), literal(0)), func(s int) bool { return s <= 0 }},
		"the last":         {call(">=", status(), literal(639)), func(s int) bool { return s >= 639 }},
		"not the last":     {call("!=", status(), literal(639)), func(s int) bool { return s != 639 }},
		"a list":           {call("in", status(), list(0, 1, 408, 409, 639)), func(s int) bool { return s == 0 || s == 1 || s == 408 || s == 409 || s == 639 }},
		"not of a list":    {call("!", call("in", status(), list(200, 204))), func(s int) bool { return s != 200 && s != 204 }},
		"known":            {has, func(s int) bool { return s != 0 }},
		"known and small":  {call("&&", has, call("<", status(), literal(100))), func(s int) bool { return s != 0 && s < 100 }},
		"ranges that meet": {call("||", call("<", status(), literal(300)), call(">=", status(), literal(300))), func(int) bool { return true }},
		"never":            {call("&&", call("<", status(), literal(300)), call(">", status(), literal(300))), func(int) bool { return false }},
	} {
		when, other := cond.NewCompiler().Condition(one.e)
		if other != nil {
			t.Fatalf("%s: %+v is not compiled", name, other)
		}
		for s := -2; s < 1000; s++ {
			got, err := when.Test(&engine.Input{Failure: &engine.Failure{Status: s}})
			if err != nil || got != one.want(s) {
				t.Errorf("%s: status %d: %t, %v", name, s, got, err)
			}
		}
	}
}
