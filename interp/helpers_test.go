package interp

import (
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/common/ast"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
)

// compileText compiles one file and returns everything that is said of it.
func compileText(text string, opts Options) (*Program, dsl.Diagnostics) {
	set, found := dsl.ParseSet([]*dsl.Source{dsl.NewSource("p.yaml", []byte(text))})
	program, more := Compile(set, opts)
	found = append(found, more...)
	found.Sort()
	return program, found
}

// compiled compiles one file of which nothing may be said.
func compiled(t testing.TB, text string) *Program {
	t.Helper()
	return compiledWith(t, text, Options{})
}

func compiledWith(t testing.TB, text string, opts Options) *Program {
	t.Helper()
	program, found := compileText(text, opts)
	if len(found) > 0 {
		t.Fatalf("%s", said(found))
	}
	return program
}

// said prints diagnostics as users see them.
func said(found dsl.Diagnostics) string {
	var b strings.Builder
	for _, d := range found {
		d.Print(&b, dsl.PrintOptions{})
	}
	return b.String()
}

// checkedByCEL is what cel-go makes of an expression.
func checkedByCEL(t testing.TB, p *program) *ast.AST {
	t.Helper()
	checked, err := p.cel.ast()
	if err != nil {
		t.Fatalf("%s: %v", p.expr.Text, err)
	}
	return checked.NativeRep()
}

const header = "apiVersion: redress/v1\nkind: Policy\nname: p\n"

// policyOf compiles a policy called p with this body.
func policyOf(t testing.TB, body string) *Policy {
	t.Helper()
	return compiled(t, header+body).Policy("p")
}

// usingPack is a policy that has nothing but a pack.
func usingPack(t testing.TB, pack string) *Policy {
	t.Helper()
	return policyOf(t, "classify:\n  - use: "+pack+"\n")
}

// first is what rules see at the end of the first attempt of a call.
func first(f *engine.Failure) *engine.Input {
	return &engine.Input{Failure: f, Attempt: 1, Remaining: time.Minute, Idempotent: true, Operation: "op"}
}

// classOf classifies an error's record as a call would.
func classOf(p *Policy, f *engine.Failure) (engine.Class, string) {
	e := p.Explain(first(f), engine.CauseError)
	return e.Class, e.Rule
}
