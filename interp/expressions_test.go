package interp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
)

// goodExpressions use every part of the language, and what looks like a mistake to a
// careless eye.
var goodExpressions = []string{
	`err.status == 429`,
	`err.status >= 500 && err.status <= 599 || err.status in [408, 425]`,
	`err.status != 0 && !(err.status < 400)`,
	`!has(err.code) || err.code.startsWith("E")`,
	`err.code in ["RATE", "QUOTA", "a & b", "x = y", "it's", "not or and"]`,
	`err.message.contains("a and b") || err.message.contains('this or "that"')`,
	`err.message.contains("== not (x)") // and not = that`,
	"err.timeout // a comment, (with an unclosed bracket and a \" quote\n && true",
	"err.timeout &&\n  // err.status = 5\n  true",
	`err.code.matches(r"^\d{3}[(\[]$")`,
	`err.code.matches('^E\\d+$') && matches(err.type, "Error$")`,
	`err.message == """He said "no" and left"""`,
	`err.message == '''it's = and & | or'''`,
	"err.message == \"\"\"two\nlines and more\"\"\"",
	`size(b"and or not") == 10 && size(br"\d") == 2`,
	`err.code == R"\d" || err.code == "\u00e9\x41\101\n"`,
	`err.attr.and == "x" || err.attr.or == "y" && err.attr.not`,
	`err.attr.notes in ["a"] && vars.orders == 1`,
	`err.headers["X-Reason"] == "quota" || "x-request-id" in err.headers`,
	`err.headers[?"x"].orValue("") == "1" && err.headers.?y.hasValue()`,
	`err.headers[?"x"].optMap(v, v.lowerAscii() == "on").orValue(false)`,
	`err.headers.exists(k, k.startsWith("x-") && err.headers[k] == "1")`,
	`err.causes.exists(c, c.code == "E1" && c.status >= 500) && err.causes.all(e, e.kind != "tls")`,
	`err.causes.exists_one(op1, op1.message.contains("x") || op1.type == "*net.OpError")`,
	`size(err.causes) > 1 && err.causes[0].kind == "net" && err.causes[size(err.causes) - 1].code != ""`,
	`err.kind == "http" ? err.status == 503 : err.kind in ["net", "dns"]`,
	`err.retry_after > duration("1m30s") || elapsed + err.retry_after >= remaining`,
	`elapsed.getSeconds() > 5 && remaining < duration("2s")`,
	`attempt % 2 == 1 && attempt * 3 - 1 > -attempt`,
	`idempotent && op.startsWith("payments.") && err.phase == "not_sent"`,
	`err.marker == "" || err.marker == "PERMANENT"`,
	`int(err.code) > 40000 && string(err.status) == "429" && double(attempt) < 2.5e1 && .5 < 1.0`,
	`err.code.lowerAscii().trim().replace("-", "_").split("_")[0].substring(0, 2).charAt(0) == "e"`,
	`err.code.indexOf("E") == 0 && err.code.lastIndexOf("E") >= 0 && err.code.upperAscii() == "E"`,
	`{"a": 1, "b": 2}["a"] == 1 && [1, 2] + [3] == [1, 2, 3] && "x" + "y" == "xy"`,
	`err.?code.orValue("x") != "x" && optional.of(1).hasValue() && optional.none().or(optional.of(2)).value() == 2`,
	`vars.throttled && (vars.wait > duration("0s"))`,
	`err.timeout == true && err.status == 0x1F4 && 1u < 2u`,
	`err.attr.limits["day"] == "5" && "a" in err.attr.tags && err.attr.ratio > 0.5 && err.attr.wait < duration("1s") && err.attr.count == 1`,
	`true`, `false || true`, `(((err.timeout)))`, `! ! err.timeout`, `err.status==429||err.timeout`, `[err.status, 5].exists(x, x == 5)`,
	"err . status == 429\n\n", `err.causes.exists(string, string.code == "x")`,
}

const richPolicy = `attributes:
  and: string
  or: string
  not: bool
  notes: string
  limits: map(string, string)
  tags: list(string)
  ratio: double
  wait: duration
  count: int
vars:
  throttled: err.status == 429
  wait: err.retry_after
  orders: attempt
classify:
  - id: r
    class: TRANSIENT
    when: |-
      `

func inRichPolicy(expr string) string {
	return header + richPolicy + strings.ReplaceAll(expr, "\n", "\n      ") + "\n"
}

func TestGoodExpressionsCompile(t *testing.T) {
	for _, expr := range goodExpressions {
		if _, found := compileText(inRichPolicy(expr), Options{}); len(found) > 0 {
			t.Errorf("of %s is said:\n%s", expr, said(found))
		}
	}
}

// refusals are the reasons for which an expression is refused although CEL knows what
// it means.
var refusals = []string{
	" cannot be read in ", "no function is called ", " is never ", "the pattern of matches is a text", "the pattern compiles to", "missing ", "invalid ", "unexpected ", "bad repetition",
	" is no duration", "cannot stand within each other", "can cost ", "has a meaning already", "records are read here", "is not known", "is no class", "when is a condition",
	"trailing backslash", "expression nests too deeply",
}

// Whatever CEL parses and checks is compiled, unless for one of the reasons above: no
// look at the text alone refuses an expression.
func TestNothingIsRefusedThatCELUnderstands(t *testing.T) {
	program := compiled(t, inRichPolicy("true"))
	env, err := program.Policy("p").provider.environment()
	if err != nil {
		t.Fatal(err)
	}
	understood := 0
	mutations(t, 1, func(expr string) {
		if _, issues := env.Compile(expr); issues.Err() != nil || strings.TrimSpace(expr) != expr {
			return
		}
		understood++
		_, found := compileText(inRichPolicy(expr), Options{})
		for _, d := range found {
			reasonable := d.Code.ID == "RD016" // an empty text is dsl's to refuse
			for _, reason := range refusals {
				reasonable = reasonable || strings.Contains(d.Message, reason)
			}
			if !reasonable {
				t.Errorf("CEL understands %q, and yet is said:\n%s", expr, said(found))
			}
		}
	})
	if understood < 80 {
		t.Errorf("only %d expressions were tried", understood)
	}
}

// fragments are what people write, rightly and wrongly.
var fragments = []string{
	" && ", " || ", " and ", " or ", " not ", " = ", " == ", " === ", " != ", "!", "(", ")", "[", "]", "{", "}", ",", ".", "?", ":", "\"", "'", "\"\"\"", "\\", "\\d", "#", "//", "\n", "&", "|", "“", "é", "@", "$", ";", "`",
	"err", "err.", "err.status", "err.statsu", "err.code", "err.kind == \"htpp\"", "result.status", "vars.x", "vars.throttled", "class", "class == \"AUTH\"", "RATE_LIMIT", "RATELIMIT", "attempt", "elapsed > 5s", "duration(\"5\")",
	"429", "429.0", "\"429\"", "null", "true", "-1", "1u", "b\"x\"", "r\"\\d\"", "999999999999999999999", ".5", "0x", "in", " in ", "has(", "has(err)", ".exists(c, ", ".exists(c, true)", ".all(", ".matches(\"[\")", ".matches(err.code)", ".toLower()", "size(",
	"x", "if", "for", "package", "google.protobuf.Duration{}", "dyn(1)", "type(err)", "[1, \"a\"]", "{1: 2}", "optional.of(1)", ".?code", "[?\"x\"]", ".orValue(1)", ".map(c, c)", "err.causes", "err.headers", "err.attr.x",
}

// mutations tries good expressions with up to three random mistakes in each.
func mutations(t *testing.T, seed uint64, try func(expr string)) {
	rounds := 20
	r := rand.New(rand.NewPCG(seed, 0))
	for _, expr := range goodExpressions {
		try(expr)
		for range rounds {
			text := []rune(expr)
			for range 1 + r.IntN(3) {
				from := r.IntN(len(text) + 1)
				to := min(from+r.IntN(4), len(text))
				with := ""
				if r.IntN(4) > 0 {
					with = fragments[r.IntN(len(fragments))]
				}
				text = []rune(string(text[:from]) + with + string(text[to:]))
			}
			try(string(text))
		}
	}
}

// No word of the parser or the checker reaches the user, and what is underlined is
// within the expression.
func TestWrongExpressionsAreExplainedInWordsOfTheLanguage(t *testing.T) {
	tried := 0
	mutations(t, 2, func(expr string) {
		text := inRichPolicy(expr)
		_, found := compileText(text, Options{})
		wellFormed(t, text, expr, found)
		if len(found) > 0 {
			tried++
		}
		_, again := compileText(text, Options{})
		if said(found) != said(again) {
			t.Errorf("two compilations of %q say different things", expr)
		}
	})
	if tried < 500 {
		t.Errorf("only %d wrong expressions were tried", tried)
	}
}

// wellFormed checks what is true of every diagnostic.
func wellFormed(t *testing.T, text, expr string, found dsl.Diagnostics) {
	t.Helper()
	for _, d := range found {
		switch {
		case d.Message == "" || d.Code.ID == "" || strings.HasSuffix(d.Message, "."):
			t.Errorf("of %q is said %q", expr, d.Message)
		case d.Range.Source == nil || d.Range.Start < 0 || d.Range.Start > d.Range.End || d.Range.End > len(text):
			t.Errorf("of %q is said %q at %d to %d of %d", expr, d.Message, d.Range.Start, d.Range.End, len(text))
		case d.Code.ID >= "RD101" && d.Range.Start < strings.Index(text, "|-"):
			t.Errorf("of %q is said %q outside of it", expr, d.Message)
		case d.Code.ID >= "RD101":
			noRawWords(t, expr, d)
		}
	}
}

// Each limit has an error of its own that names it.
func TestLimitsOfExpressions(t *testing.T) {
	for _, one := range []struct{ what, expr, message string }{
		{"characters", strings.Repeat("err.timeout || ", 300) + "true", "the expression has 4504 characters; the limit is 4096"},
		{"nesting", strings.Repeat("(", 40) + "true" + strings.Repeat(")", 40), "the expression is nested more than 32 deep"},
		{"nesting of operators", strings.Repeat("!(", 40) + "true" + strings.Repeat(")", 40), "the expression is nested more than 32 deep"},
		{"parts", "1 in [" + strings.Repeat("1,", 2000) + "1]", "the expression has more than 2000 parts"},
		{"a pattern", `err.code.matches("(a{100}){10}b{500}")`, "the pattern compiles to 1522 instructions; the limit is 1000"},
		{"cost", `err.causes.exists(c, c.message.matches("(a|b)*(c|d)*(e|f)*(g|h)*(i|j)*(k|l)*(m|n)*(o|p)*"))`, "the expression can cost 157635 units; the limit is 100000"},
		{"loops", `err.causes.exists(c, err.causes.exists(d, true))`, "exists and all cannot stand within each other"},
	} {
		_, found := compileText(inRichPolicy(one.expr), Options{})
		if len(found) != 1 || found[0].Message != one.message {
			t.Errorf("%s: want %q, got\n%s", one.what, one.message, said(found))
		}
	}
	for _, allowed := range []string{
		strings.Repeat("err.timeout || ", 200) + "true",
		strings.Repeat("(", 25) + "true" + strings.Repeat(")", 25),
		`err.code.matches("(a{100}){9}")`,
		`err.causes.exists(c, c.message.contains("reset") || c.type.matches("Error$"))`,
		`err.causes.exists(c, c.code == "x") && err.causes.exists(c, c.code == "y")`,
		`err.headers[?"a"].optMap(v, err.causes.exists(c, c.code == v)).orValue(false)`,
		`err.causes.exists(c, err.headers[?"a"].optMap(v, c.code == v).orValue(false))`,
	} {
		if _, found := compileText(inRichPolicy(allowed), Options{}); len(found) > 0 {
			t.Errorf("of %s is said:\n%s", allowed, said(found))
		}
	}
}

// Vars that read each other twice and twice again do not grow without end.
func TestPartsOfVarsAreCountedEachTimeThatTheyAreRead(t *testing.T) {
	policy := func(vars int) string {
		text := "apiVersion: redress/v1\nkind: Policy\nname: p\nvars:\n  v0: err.status == 500\n"
		for i := range vars {
			text += fmt.Sprintf("  v%d: vars.v%d || vars.v%d\n", i+1, i, i)
		}
		return text + fmt.Sprintf("classify:\n  - {id: one, when: vars.v%d, class: TRANSIENT}\n", vars)
	}
	program, found := compileText(policy(9), Options{})
	if len(found) > 0 {
		t.Fatalf("nine doublings: %s", said(found))
	}
	program.Build()
	_, found = compileText(policy(40), Options{})
	if want := "the expression has 18427 parts, those of vars counted each time that they are read; the limit is 10000"; len(found) != 1 || found[0].Message != want {
		t.Errorf("forty doublings: want %q, got\n%s", want, said(found))
	}
}

// An error points at the very characters, whatever the style of the scalar.
func TestErrorsPointAtTheVeryCharacters(t *testing.T) {
	for style, written := range map[string]string{
		"plain":                  "err.code != \"é\" && err.statsu == 429",
		"single-quoted":          "'err.code != ''é'' && err.statsu == 429'",
		"double-quoted":          `"err.code != \"\u00e9\" && err.statsu == 429"`,
		"literal":                "|\n      err.code != \"é\" &&\n      err.statsu == 429\n",
		"literal, stripped":      "|-\n      // é\n      err.statsu == 429\n",
		"literal, by indication": "|2-\n        err.statsu == 429\n",
		"folded":                 ">-\n      err.code != \"é\" &&\n      err.statsu == 429\n",
		"folded, with a blank":   ">\n      err.code != \"é\" &&\n\n      err.statsu == 429\n",
		"plain, two lines":       "err.code != \"é\" &&\n      err.statsu == 429",
		"anchored":               "&a err.statsu == 429",
	} {
		text := header + "classify:\n  - id: r\n    class: TRANSIENT\n    when: " + written + "\n"
		_, found := compileText(text, Options{})
		if len(found) != 1 || found[0].Range.Text() != "statsu" || found[0].Range.Start != strings.Index(text, "statsu") {
			t.Errorf("%s: got\n%s", style, said(found))
		}
	}
}

// One mistake, one message: what follows from a mistake is not reported.
func TestOneMistakeOneMessage(t *testing.T) {
	for what, body := range map[string]string{
		"a wrong var": "vars:\n  a: err.statsu\n  b: vars.a == 1\n  c: vars.b && vars.a > 2\nclassify:\n  - {id: r, class: AUTH, when: vars.a == 5 && vars.b}\n  - {id: s, class: AUTH, when: vars.c}\n" +
			"retry:\n  select:\n    - {id: t, when: vars.b, strategy: stop}\n",
		"a var of a wrong text":  "vars:\n  a: err.code ==\nclassify:\n  - {id: r, class: AUTH, when: vars.a}\n",
		"an unknown field":       "classify:\n  - {id: r, class: AUTH, when: err.statsu + 1 == 5 && size(err.statsu) > 2}\n",
		"an unknown function":    "classify:\n  - id: r\n    class: AUTH\n    when: foo(bar, err.code).baz == 5\n",
		"a wrong condition":      "classify:\n  - {id: r, class: AUTH, when: (err.status == \"a\") == (1 == 1)}\n",
		"an unknown attribute":   "attributes: {a: string}\nclassify:\n  - {id: r, class: AUTH, when: err.attr.b.contains(\"x\")}\n",
		"a wrong attribute type": "attributes: {a: strin}\nclassify:\n  - {id: r, class: AUTH, when: err.attr.a == \"x\"}\n",
		"an unknown pack":        "classify:\n  - use: std.htp\n",
		"a pack of a wrong use":  "classify:\n  - use: std.http\nclassify_result:\n  - use: std.net\n",
	} {
		_, found := compileText(header+body, Options{})
		if len(found) != 1 && !(what == "an unknown field" && len(found) == 2) { // it stands there twice
			t.Errorf("%s: got\n%s", what, said(found))
		}
	}
}

// Expressions are the same for every goroutine, and compiling them too.
func TestCompilingTwiceGivesTheSamePolicies(t *testing.T) {
	text := inRichPolicy(strings.Join(goodExpressions[:4], " || "))
	one, two := compiled(t, text).Policy("p"), compiled(t, text).Policy("p")
	if fmt.Sprint(one.Rules()[0].ID, one.Revision()) != fmt.Sprint(two.Rules()[0].ID, two.Revision()) {
		t.Error("they differ")
	}
	for _, f := range randomFailures(50, 7) {
		if classA, ruleA := classOf(one, f); true {
			if classB, ruleB := classOf(two, f); classA != classB || ruleA != ruleB {
				t.Errorf("%+v is %v by %s and %v by %s", f, classA, ruleA, classB, ruleB)
			}
		}
	}
}

// randomFailures makes records of every sort.
func randomFailures(n int, seed uint64) []*engine.Failure {
	r := rand.New(rand.NewPCG(seed, 1))
	var codes []string
	for _, row := range codeRows {
		codes = append(codes, strings.Fields(row.codes)...)
	}
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var all []*engine.Failure
	for range n {
		f := &engine.Failure{
			Kind: engine.Kinds()[r.IntN(len(engine.Kinds()))], Phase: engine.Phases()[r.IntN(3)], Timeout: r.IntN(6) == 0,
			Type: pick("", "*x.AuthError", "*errors.errorString", "*net.OpError"), Message: pick("", "quota exceeded", "no", "declined"),
		}
		if r.IntN(2) == 0 {
			f.Status = []int{200, 202, 400, 401, 403, 404, 408, 409, 425, 429, 451, 500, 501, 503, 504, 599}[r.IntN(16)]
		}
		if r.IntN(2) == 0 {
			f.Code = codes[r.IntN(len(codes))]
		}
		if r.IntN(5) == 0 {
			f.Marker = engine.Classes()[r.IntN(8)]
		}
		if r.IntN(3) == 0 {
			f.RetryAfter, f.HasRetryAfter = []time.Duration{0, time.Second, 30 * time.Second}[r.IntN(3)], true
		}
		if r.IntN(4) == 0 {
			f.Headers = map[string]string{"x-reason": pick("quota", "no"), "retry-after": "3"}
		}
		if r.IntN(4) == 0 {
			f.Attributes = map[string]any{pick("decline_code", "count"): pick("insufficient_funds", "x")}
		}
		if r.IntN(4) == 0 {
			f.Causes = []engine.CauseRecord{{Type: "*net.OpError", Kind: engine.KindNet, Code: "ECONNRESET"}, {Message: "no", Code: codes[r.IntN(len(codes))], Status: 503}}
		}
		if r.IntN(6) == 0 && len(all) > 0 {
			inner := *all[r.IntN(len(all))]
			f = &engine.Failure{Kind: engine.KindRedress, Code: pick("CIRCUIT_OPEN", "MAX_ATTEMPTS_GLOBAL"), Phase: f.Phase, Inner: &inner, Marker: f.Marker}
		}
		all = append(all, f)
	}
	return all
}
