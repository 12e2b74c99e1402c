package cond_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

// A writer makes random conditions, mostly of what an index knows, and failures that they
// tell apart.
type writer struct {
	*rand.Rand
	vars []*cond.Expr // that conditions may read
}

func pick[T any](w writer, of ...T) T { return of[w.IntN(len(of))] }

func text(s string) *cond.Expr { return &cond.Expr{Op: cond.OpLiteral, Value: s, Type: "string"} }

func field(name string) *cond.Expr {
	return &cond.Expr{Op: cond.OpField, Name: name, Type: "string"}
}

func class(c engine.Class) *cond.Expr {
	return &cond.Expr{Op: cond.OpLiteral, Value: c, Type: "class"}
}

var classField = &cond.Expr{Op: cond.OpField, Name: "class", Type: "class"}

func listOf(items ...*cond.Expr) *cond.Expr {
	return &cond.Expr{Op: cond.OpList, Type: "list", Args: items}
}

// Some codes begin, end and have in the middle what others do.
var (
	someStatuses = []int64{0, 1, 200, 302, 400, 429, 499, 500, 503, 598, 599}
	someCodes    = []string{"", "abcde", "axcye", "abcdf", "ABORTED", "ABC", "a", "Throttled", "40001", "40P01"}
	someKinds    = []string{"unknown", "http", "dns", "net", "other"}
	someMessages = []string{"", "no quota left", "throttled", "a timeout, and a TIMEOUT", "é quota"}
	somePrefixes = []string{"", "a", "AB", "ab", "400"}
)

func (w writer) atom() *cond.Expr {
	switch w.IntN(19) {
	case 0, 1:
		return call(pick(w, "==", "!=", "<", "<=", ">", ">="), status(), literal(pick(w, append(someStatuses, -1, 600, 700)...)))
	case 2:
		return call("in", status(), listOf(literal(pick(w, someStatuses...)), literal(pick(w, someStatuses...))))
	case 3, 4:
		return call(pick(w, "==", "!="), field("err.code"), text(pick(w, someCodes...)))
	case 5:
		return call("in", field("err.code"), listOf(text(pick(w, someCodes...)), text(pick(w, someCodes...))))
	case 6:
		return call(pick(w, "==", "!="), text(pick(w, someKinds...)), field("err.kind"))
	case 7:
		return call(pick(w, "startsWith", "endsWith", "contains"), field(pick(w, "err.code", "err.kind")), text(pick(w, somePrefixes...)))
	case 8:
		return &cond.Expr{Op: cond.OpHas, Name: pick(w, "err.status", "err.code", "err.kind", "err.message"), Type: "bool"}
	case 9:
		return call("contains", field("err.message"), text(pick(w, "quota", "throttl", "")))
	case 10:
		return call("matches", field("err.message"), text("(?i)timeout|deadline"))
	case 11:
		return call("in", pick(w, status(), field("err.code"), field("err.kind"), field("err.message")), listOf())
	case 12:
		return call(pick(w, "<", ">="), field(pick(w, "err.code", "err.kind")), text(pick(w, someCodes...)))
	case 14:
		return call(pick(w, "==", "!="), classField, class(pick(w, engine.NoClass, engine.Transient, engine.RateLimit)))
	case 15:
		return call("==", class(pick(w, engine.Unknown, engine.RateLimit)), classField)
	case 16:
		return call("in", classField, pick(w, listOf(), listOf(class(engine.Transient), class(engine.Auth))))
	case 13:
		return &cond.Expr{Op: cond.OpLiteral, Value: w.IntN(2) == 0, Type: "bool"}
	}
	return &cond.Expr{Op: cond.OpField, Name: pick(w, "idempotent", "err.attr.flag", "err.attr.wrong"), Type: "bool", Attr: "bool"}
}

func (w writer) condition(depth int) *cond.Expr {
	if depth == 0 || w.IntN(3) == 0 {
		return w.atom()
	}
	switch w.IntN(9) {
	case 8:
		return call("?:", w.condition(depth-1), w.condition(depth-1), w.condition(depth-1))
	case 0:
		return call("!", w.condition(depth-1))
	case 1:
		if len(w.vars) > 0 {
			return pick(w, w.vars...)
		}
	case 2:
		return &cond.Expr{Op: cond.OpExists, Type: "bool", Args: []*cond.Expr{call("||",
			call("==", field("cause.code"), text(pick(w, someCodes...))), w.atom())}}
	}
	return call(pick(w, "&&", "||"), w.condition(depth-1), w.condition(depth-1))
}

func (w writer) failure() *engine.Failure {
	f := &engine.Failure{
		Status: int(pick(w, append(someStatuses, -1, 600, 1000)...)), Code: pick(w, append(someCodes, "axcde", "b", "40")...),
		Kind: engine.Kind(pick(w, append(someKinds, "", "tls")...)), Message: pick(w, someMessages...),
		Attributes: map[string]any{"flag": w.IntN(2) == 0, "wrong": "text"},
	}
	for range w.IntN(3) {
		f.Causes = append(f.Causes, engine.CauseRecord{Code: pick(w, someCodes...)})
	}
	return f
}

// TestAListDecidesAsItsRulesDoOneAfterAnother asks random lists, of up to four blocks of
// rules, and each of their conditions.
func TestAListDecidesAsItsRulesDoOneAfterAnother(t *testing.T) {
	var decided, none, erred int
	for seed := range uint64(400) {
		w := writer{Rand: rand.New(rand.NewPCG(seed, 1))}
		for i := range w.IntN(4) {
			definition := call("||", w.condition(1), w.condition(1))
			w.vars = append(w.vars, &cond.Expr{Op: cond.OpVar, Name: fmt.Sprint(i), Type: "bool", Args: []*cond.Expr{definition}})
		}
		c := cond.NewCompiler()
		var rules []*cond.Rule
		for i := range 1 + w.IntN(pick(w, 4, 40, 200)) {
			e := w.condition(w.IntN(4))
			when, other := c.Condition(e)
			if other != nil {
				t.Fatalf("%+v is not compiled", other)
			}
			if known := when; w.IntN(10) == 0 && !known.UsesScratch() { // as if only cel-go could evaluate it
				when, e = cond.Opaque(known.Test), nil
			}
			rules = append(rules, &cond.Rule{ID: fmt.Sprint(i), Class: engine.Transient, When: when, Expr: e})
		}
		list := cond.NewList(rules)
		for range 60 {
			f := w.failure()
			idempotent := w.IntN(2) == 0
			class := pick(w, engine.NoClass, engine.Transient, engine.RateLimit, engine.Auth, engine.Unknown, 200)
			want, wantErrors := oneAfterAnother(rules, &engine.Input{Failure: f, Idempotent: idempotent, Class: class})
			in := &engine.Input{Failure: f, Idempotent: idempotent, Class: class}
			in.Scratch.Words[0] = w.Uint64() // what is left there means nothing
			got, gotErrors := list.First(in)
			if got != want || fmt.Sprint(gotErrors) != fmt.Sprint(wantErrors) {
				t.Fatalf("seed %d: %d rules on %+v: the list says %d and %v, one after another %d and %v", seed, len(rules), f, got, gotErrors, want, wantErrors)
			}
			if silent := list.Silent(f.Status); silent && (want >= 0 || wantErrors != nil) {
				t.Fatalf("seed %d: the list is silent on status %d, and rule %d holds, errors %v", seed, f.Status, want, wantErrors)
			}
			switch {
			case wantErrors != nil:
				erred++
			case want < 0:
				none++
			case want > 0:
				decided++
			}
		}
	}
	if decided < 3000 || none < 1000 || erred < 1000 {
		t.Errorf("%d lists were decided by other rules than their first, %d by none, %d with errors", decided, none, erred)
	}
}

// oneAfterAnother is what a list has to come to.
func oneAfterAnother(rules []*cond.Rule, in *engine.Input) (int, []engine.RuleError) {
	var errors []engine.RuleError
	for i, r := range rules {
		holds, err := r.When.Test(in)
		if err != nil && len(errors) < 16 {
			errors = append(errors, engine.RuleError{Rule: r.ID, Err: err})
		}
		if holds && err == nil {
			return i, errors
		}
	}
	return -1, errors
}

// An askedError counts who asks for its code and its text.
type askedError struct{ codes, texts *int }

func (e askedError) HTTPStatusCode() int { return 503 }
func (e askedError) ErrorCode() string   { *e.codes++; return "BUSY" }
func (e askedError) Error() string       { *e.texts++; return "busy" }

// A condition that no value of a field changes is decided by that field all the same: what
// looks for a code, a kind or a message in a list without items, and its opposite.
func TestAListDecidesWhatIsInAnEmptyList(t *testing.T) {
	for _, name := range []string{"err.code", "err.kind", "err.message"} {
		never := call("in", field(name), listOf())
		for _, row := range []struct {
			e    *cond.Expr
			want int
		}{
			{never, -1},
			{call("!", never), 0},
			{call("&&", never, call("==", status(), literal(503))), -1},
			{call("||", never, call("==", status(), literal(503))), 0},
			{call("||", never, call("==", status(), literal(500))), -1},
			{call("&&", call("!", never), call("==", status(), literal(503))), 0},
			{call("&&", call("!", never), call("==", status(), literal(500))), -1},
		} {
			when, _ := cond.NewCompiler().Condition(row.e)
			list := cond.NewList([]*cond.Rule{{ID: "r", Class: engine.Permanent, When: when, Expr: row.e}})
			if got, _ := list.First(&engine.Input{Failure: &engine.Failure{Status: 503, Code: "a"}}); got != row.want {
				t.Errorf("%s, %s: the list says %d, want %d", name, row.e.Name, got, row.want)
			}
		}
	}
}

// TestAListReadsNoMoreOfAFailureThanItNeeds: a code is not looked for if the status, or a
// rule that comes before, decides.
func TestAListReadsNoMoreOfAFailureThanItNeeds(t *testing.T) {
	busy := call("==", field("err.code"), text("BUSY"))
	for _, row := range []struct {
		name  string
		rules []*cond.Expr
		codes bool
		texts bool
	}{
		{"the status decides", []*cond.Expr{call("==", status(), literal(503)), busy}, false, false},
		{"the status excludes", []*cond.Expr{call("&&", call("<", status(), literal(500)), busy), call(">", status(), literal(500))}, false, false},
		{"a text decides before", []*cond.Expr{call("contains", field("err.message"), text("bus")), busy}, false, true},
		{"the code decides", []*cond.Expr{call("||", busy, call("contains", field("err.message"), text("bus")))}, true, false},
		{"the code and the status decide", []*cond.Expr{call("&&", busy, call("==", status(), literal(503)))}, true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			codes, texts := countsOf(t, row.rules)
			bare, bareTexts := countsOf(t, []*cond.Expr{call("==", status(), literal(503))})
			if (codes > bare) != row.codes || (texts > bareTexts) != row.texts {
				t.Errorf("%d codes and %d texts read; of a list that asks for the status only %d and %d", codes, texts, bare, bareTexts)
			}
		})
	}
}

// countsOf says how often code and text of an error are read by a call under a policy with
// these rules, of which one holds.
func countsOf(t *testing.T, conditions []*cond.Expr) (codes, texts int) {
	c := cond.NewCompiler()
	var rules []*cond.Rule
	for i, e := range conditions {
		when, _ := c.Condition(e)
		rules = append(rules, &cond.Rule{ID: fmt.Sprint(i), Class: engine.Permanent, When: when, Expr: e})
	}
	policy, err := engine.New(engine.Spec{Name: "p", MaxAttempts: 1, Lazy: true, Classify: cond.NewList(rules).Decide})
	if err != nil {
		t.Fatal(err)
	}
	err = engine.Do(t.Context(), policy, func(context.Context) error { return askedError{&codes, &texts} })
	var stopped *engine.Error
	if !errors.As(err, &stopped) || stopped.Class != engine.Permanent {
		t.Fatalf("the call ended with %v", err)
	}
	return codes, texts
}
