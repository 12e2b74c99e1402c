package interp

import (
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redress-policy/redress/engine"
)

// FuzzCompile compiles any text as an expression of every site: it never panics nor
// takes long, says the same twice and points into the source; what compiles can be
// evaluated and explained.
func FuzzCompile(f *testing.F) {
	for _, expr := range goodExpressions {
		f.Add(expr)
	}
	for _, fragment := range fragments {
		f.Add("err.status == 1" + fragment)
		f.Add(fragment + "err.timeout")
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if !utf8.ValidString(expr) {
			t.Skip("a source is UTF-8")
		}
		began := time.Now()
		for _, text := range []string{inRichPolicy(expr), withExpression("select", expr), withExpression("var", expr), withExpression("retry_after", expr)} {
			program, found := compileText(text, Options{})
			if _, again := compileText(text, Options{}); said(found) != said(again) {
				t.Errorf("two compilations say different things:\n%s\n%s", said(found), said(again))
			}
			wellFormed(t, text, expr, found)
			if found.HasErrors() {
				continue
			}
			for _, p := range program.policies {
				for _, r := range slices.Concat(p.rules, p.results, p.selectors) {
					if _, err := r.when.cel.program(); err != nil {
						t.Errorf("%s was accepted, and cannot be planned: %v", r.when.expr.Text, err)
					}
				}
			}
			failure := &engine.Failure{Status: 1, Message: "m", Attributes: map[string]any{"and": "x"}, Causes: []engine.CauseRecord{{Code: "x"}}}
			spec := program.Build()[0].Spec()
			v := spec.Classify(first(failure))
			if e := program.Policies()[0].Explain(first(failure), engine.CauseError); e.Class != v.Class && v.Class != engine.NoClass {
				t.Errorf("the explanation says %v, the verdict is %v", e.Class, v.Class)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Texts of any size and depth are refused in bounded time.
func TestHostileExpressionsAreRefusedSoon(t *testing.T) {
	for what, repeated := range map[string]string{
		"brackets": "(", "lists": "[", "maps": "{1:", "negations": "!", "signs": "-", "fields": ".a", "calls": "f(", "ternaries": "a?", "strings": "\"", "escapes": "\\", "comments": "//",
		"exists": "err.causes.exists(c,", "or": "a||", "optional": ".?a", "quotes": "'''", "comma": ",", "blank": " (",
	} {
		for _, n := range []int{10, 100, 1000, 4000} {
			text := ""
			for range n {
				text += repeated
			}
			began := time.Now()
			_, found := compileText(inRichPolicy(text), Options{})
			if !found.HasErrors() {
				t.Errorf("%d %s compile", n, what)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%d %s took %v", n, what, took)
			}
			if errs := len(found); errs > 50 {
				t.Errorf("of %d %s is said %d things", n, what, errs)
			}
		}
	}
}
