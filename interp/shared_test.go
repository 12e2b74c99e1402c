package interp

import (
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
)

// What several policies have in common is compiled once, if their environments are the
// same to it: the same attributes of the same types, and no vars that it may read.
func TestEqualExpressionsAreCompiledOnceForEqualEnvironments(t *testing.T) {
	const rule = "classify:\n  - id: r\n    when: WHEN\n    class: RATE_LIMIT\n"
	policy := func(name, declarations, when string) string {
		return "apiVersion: redress/v1\nkind: Policy\nname: " + name + "\n" + declarations + strings.ReplaceAll(rule, "WHEN", when)
	}
	const (
		plain    = "err.status == 429"
		ofAttr   = `string(err.attr.a) in ["x", "3"]`
		ofVars   = "vars.v"
		aAndB    = "attributes: {a: string, b: int}\n"
		bAndA    = "attributes: {b: int, a: string}\n"
		aOfInt   = "attributes: {a: int, b: int}\n"
		withV    = "vars: {v: 'err.status == 429'}\n"
		withOldV = "vars: {v: 'err.status == 500'}\n"
	)
	for _, test := range []struct {
		name, one, other string
		shared           bool
	}{
		{"nothing declared", policy("p", "", plain), policy("q", "", plain), true},
		{"the same attributes", policy("p", aAndB, ofAttr), policy("q", bAndA, ofAttr), true},
		{"attributes of other types", policy("p", aAndB, ofAttr), policy("q", aOfInt, ofAttr), false},
		{"attributes and none", policy("p", aAndB, plain), policy("q", "", plain), false},
		{"vars that are not read", policy("p", aAndB+withV, plain), policy("q", bAndA+withOldV, plain), true},
		{"vars that are read", policy("p", withV, ofVars), policy("q", withOldV, ofVars), false},
		{"the same vars", policy("p", withV, ofVars), policy("q", withV, ofVars), false},
		{"another text", policy("p", "", plain), policy("q", "", "err.status == 430"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			shared := NewCompiler(Options{})
			var programs []*Policy
			for i, text := range []string{test.one, test.other} {
				set, found := dsl.ParseSet([]*dsl.Source{dsl.NewSource([]string{"one.yaml", "other.yaml"}[i], []byte(text))})
				compiled, more := shared.Compile(set)
				if found = append(found, more...); found.HasErrors() {
					t.Fatal(said(found))
				}
				programs = append(programs, compiled.Policies()[0])

				alone, _ := Compile(set, Options{})
				for _, f := range []*engine.Failure{
					{Status: 429}, {Status: 500}, {Status: 430},
					{Attributes: map[string]any{"a": "x"}}, {Attributes: map[string]any{"a": int64(3)}},
				} {
					got, want := compiled.Policies()[0].Explain(first(f), engine.CauseError), alone.Policies()[0].Explain(first(f), engine.CauseError)
					if got.Class != want.Class || got.Rule != want.Rule {
						t.Errorf("of %+v the shared compiler makes %v by %s, one of its own %v by %s", f, got.Class, got.Rule, want.Class, want.Rule)
					}
				}
			}
			one, other := programs[0].rules[0].when, programs[1].rules[0].when
			if (one.cel == other.cel) != test.shared {
				t.Errorf("compiled once: %v, want %v", one.cel == other.cel, test.shared)
			}
			if place := other.expr.Place(0, 1).Source.Name; place != "other.yaml" {
				t.Errorf("the expression of the other policy stands in %s", place)
			}
		})
	}
}
