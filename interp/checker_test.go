package interp

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/cel-go/common/ast"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/celcheck"
)

// compareChecks checks a text by cel-go and by what stands for its checker: what that takes,
// cel-go takes, with the same types and as many parts, at the same cost.
func compareChecks(t *testing.T, p *provider, text string) (taken bool) {
	t.Helper()
	made := &celExpr{text: text, provider: p}
	parsed, issues := made.parse()
	if issues.Err() != nil {
		return false
	}
	own, taken := p.lang.checker.Check(parsed.NativeRep(), p)
	if !taken {
		return false
	}
	checked, err := made.ast()
	if err != nil {
		t.Errorf("cel-go refuses %q: %v", text, err)
		return true
	}
	reference := celcheck.Of(checked.NativeRep())
	ast.PreOrderVisit(reference.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if got, want := own.TypeOf(e), reference.TypeOf(e); (got != nil || want != nil) && !want.IsExactType(got) {
			t.Errorf("%q: part %d is %v, to cel-go %v", text, e.ID(), got, want)
		}
		if got, want := own.OverloadOf(e), reference.OverloadOf(e); got != want {
			t.Errorf("%q: part %d calls %s, to cel-go %s", text, e.ID(), got, want)
		}
	}))
	if got, want := costOf(own), made.cost(reference); got != want {
		t.Errorf("%q costs %d, to cel-go %d", text, got, want)
	}
	counts := &scope{compiler: &compiler{provider: p}}
	if got, want := counts.parts(own), counts.parts(reference); got != want {
		t.Errorf("%q has %d parts, to cel-go %d", text, got, want)
	}
	return true
}

// Whatever is written, right or wrong or by a generator, is refused by cel-go's checker, or
// left to it, or has the types and the cost that cel-go finds.
func TestExpressionsAreCheckedAsCELGoDoes(t *testing.T) {
	rich := compiled(t, inRichPolicy("true")).Policy("p").provider
	n := 0
	compare := func(p *provider, text string) {
		if compareChecks(t, p, text) {
			n++
		}
	}
	mutations(t, 4, func(text string) { compare(rich, text) })
	for seed := range uint64(1500) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 6)), site: site(seed % 3)}
		if made, ok := g.compiler(t); ok {
			compare(made.provider, g.boolean(4))
			compare(made.provider, g.duration(4))
			compare(made.provider, g.texts(4)+" == "+g.texts(3))
		}
	}
	for _, text := range costs {
		compare(rich, text)
	}
	if t.Logf("%d expressions were taken", n); n < 3000 {
		t.Errorf("only %d expressions were taken", n)
	}
}

// costs are expressions whose cost depends on sizes that are hard to tell.
var costs = []string{
	`err.code + err.message + "é" == err.type`, `(err.timeout ? err.code : "x").trim() == ""`, `(err.timeout ? string(err.status) : "x").trim() == ""`, `string(err.status).trim() == ""`, `string(err.status) == err.code`,
	`["a", err.code][0] == "b"`, `["a", "bcd"][err.status] == "b"`, `{"a": "xyz", "b": err.code}["a"] == "b"`, `{"a": "xyz"}.a == "b"`, `[["a"]][0][0] == "abc"`, `(["a"] + err.attr.tags)[0] == err.code`, `(["a"] + ["bc"])[0] == err.code`, `(err.timeout ? ["a"] : ["bcd"])[0] == err.code`,
	`err.code in err.attr.tags`, `err.code in err.headers`, `err.attr.tags == ["a"]`, `err.causes == err.causes`, `err.headers == {"a": "b"}`, `[1, 2] == [3]`, `err.attr.tags + err.attr.tags == err.attr.tags`,
	`err.message.contains(err.message)`, `err.message.matches(err.code)`, `matches("a", "b+")`, `err.message.matches("")`, `"".matches("")`, `err.message.replace("a", err.code) == ""`, `err.message.replace("a", err.code).replace("b", err.code).replace("c", err.message).replace("d", err.message) == ""`, `err.code.split("a")[0] == "b"`, `err.code.split("")  == err.attr.tags`,
	`err.causes.exists(c, c.message.contains("a"))`, `err.causes.all(c, c.message == err.message || c.status > 1)`, `err.headers.exists(k, err.headers[k] == k)`, `["a", err.code].exists(x, x == err.message)`, `{"a": 1}.exists(k, k == err.message)`, `err.causes.exists_one(c, err.causes.exists(d, d.code == c.code))`, `err.code.split(",").exists(x, x == err.code)`, `(["a"] + err.attr.tags).all(x, x == err.code)`,
	`err.?code.orValue("x") == err.code`, `err.headers[?"x"].orValue("") == err.code`, `optional.of(err.code).value() == err.code`, `optional.of(1) == optional.of(2)`, `has(err.code) && has(err.attr.limits.x)`, `err.attr.limits.x == err.attr.limits["x"]`,
	`duration(err.code) > err.retry_after`, `int(err.code) == size(err.message)`, `err.code < err.message`, `b"a" < b"abc"`, `size(b"abc" + b"é") == 1`, `"é" == err.code`, `class == AUTH`, `op == err.code`, `!err.timeout || -attempt == 1`, `vars.throttled && vars.wait > err.retry_after`,
}

// Nothing of the built-in packs and of the good documents is left to cel-go, which neither
// checks nor plans one of their expressions, unless no Go function can take its place.
func TestOrdinaryPoliciesDoNotNeedCELGosChecker(t *testing.T) {
	n := 0
	untouched := func(where string, programs ...*program) {
		for _, p := range programs {
			if p == nil {
				continue
			}
			if n++; p.cel.checked != nil && !p.tree().has(OpOther) {
				t.Errorf("%s: cel-go was asked about %s", where, p.expr.Text)
			}
			if !compareChecks(t, p.cel.provider, p.cel.text) {
				t.Errorf("%s: %s is left to cel-go", where, p.expr.Text)
			}
		}
	}
	packs := &setCompiler{set: &dsl.Set{}, packs: map[string]*pack{}, builtIn: true}
	for _, name := range Packs() {
		for _, rules := range packs.pack(name).rules {
			for _, r := range rules {
				untouched(name, r.when, r.hint)
			}
		}
	}
	for _, source := range sourcesOf(t, "../testdata/policies/ok/*.yaml") {
		set, _ := dsl.ParseSet([]*dsl.Source{source})
		program, _ := Compile(set, Options{})
		for _, p := range program.policies {
			for _, r := range slices.Concat(p.rules, p.results, p.selectors) {
				if !r.builtIn { // those are compiled once for all; other tests have their programs explained
					untouched(source.Name, r.when, r.hint)
				}
			}
			for _, v := range p.provider.vars {
				untouched(source.Name, v.program)
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d expressions were found", n)
	}
}

// FuzzChecks does as TestExpressionsAreCheckedAsCELGoDoes with any text.
func FuzzChecks(f *testing.F) {
	for _, text := range slices.Concat(goodExpressions, costs) {
		f.Add(text)
	}
	rich := compiled(f, inRichPolicy("true")).Policy("p").provider
	f.Fuzz(func(t *testing.T, text string) {
		if len([]rune(text)) <= MaxExpression {
			compareChecks(t, rich, text)
		}
	})
}
