package interp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
)

// verdictOf asks one expression of an error's record.
func verdictOf(t *testing.T, expr string, f *engine.Failure) (holds bool, err error) {
	t.Helper()
	program := compiled(t, inRichPolicy(expr))
	v := program.Build()[0].Spec().Classify(first(f))
	if len(v.Errors) > 0 {
		err = v.Errors[0].Err
	}
	return v.Class != engine.NoClass, err
}

func TestHasSaysWhetherAFieldIsKnown(t *testing.T) {
	known := &engine.Failure{
		Status: 1, Code: "c", Kind: engine.KindHTTP, Message: "m", Type: "t", Timeout: true, HasRetryAfter: true, Headers: map[string]string{"a": ""},
		Phase: engine.Sent, Causes: []engine.CauseRecord{{Type: "t"}}, Marker: engine.Auth, Attributes: map[string]any{"and": ""},
	}
	for _, unknown := range []*engine.Failure{{}, {Kind: engine.UnknownKind, Phase: engine.PhaseUnknown, RetryAfter: time.Second}} {
		for _, field := range []string{"status", "code", "kind", "message", "type", "timeout", "retry_after", "headers", "phase", "causes", "marker", "attr.and", "headers.a"} {
			for f, want := range map[*engine.Failure]bool{known: true, unknown: false} {
				if got, err := verdictOf(t, "has(err."+field+")", f); got != want || err != nil {
					t.Errorf("has(err.%s) of %+v is %v (%v)", field, f, got, err)
				}
			}
		}
	}
	for expr, want := range map[string]bool{"has(err.causes[0].type)": true, "has(err.causes[0].code)": false, "has(err.attr.or)": false, "has(err.headers.b)": false} {
		if got, err := verdictOf(t, expr, known); got != want || err != nil {
			t.Errorf("%s is %v (%v)", expr, got, err)
		}
	}
}

// What is absent reads as zero; what is asked for by ? is absent.
func TestAbsentFieldsReadAsZero(t *testing.T) {
	for _, expr := range []string{
		`err.status == 0 && err.code == "" && err.kind == "unknown" && err.message == "" && err.type == "" && !err.timeout && err.retry_after == duration("0s")`,
		`size(err.headers) == 0 && err.phase == "unknown" && size(err.causes) == 0 && err.marker == ""`,
		`err.attr.and == "" && !err.attr.not && size(err.attr.limits) == 0 && size(err.attr.tags) == 0 && err.attr.ratio == 0.0 && err.attr.wait == duration("0s") && err.attr.count == 0`,
		`!err.?status.hasValue() && err.?code.orValue("none") == "none" && !err.?headers.hasValue() && !err.headers[?"x"].hasValue()`,
		`err.attr.?and.orValue("none") == "none" && err == err`,
	} {
		if got, err := verdictOf(t, expr, &engine.Failure{}); !got || err != nil {
			t.Errorf("%s is %v (%v)", expr, got, err)
		}
	}
}

func TestHeadersAreFoundWhateverTheirCase(t *testing.T) {
	f := &engine.Failure{Headers: map[string]string{"x-reason": "quota"}}
	for _, expr := range []string{
		`err.headers["X-Reason"] == "quota"`, `err.headers["x-reason"] == "quota"`, `err.headers["X-REASON"] == "quota"`, `"X-Reason" in err.headers`, `!("X-Other" in err.headers)`,
		`err.headers[?"X-Reason"].orValue("") == "quota"`, `err.headers[?"X-Other"].orValue("none") == "none"`, `err.headers.exists(k, k == "x-reason" && err.headers[k] == "quota")`,
		`["X-Reason"].exists(k, err.headers[k] == "quota")`, `err.headers == {"x-reason": "quota"}`, `size(err.headers) == 1`,
	} {
		if got, err := verdictOf(t, expr, f); !got || err != nil {
			t.Errorf("%s is %v (%v)", expr, got, err)
		}
	}
}

// A rule that errs does not match, and says so; && and || take an error for what does
// not matter where the other side decides.
func TestRulesThatErrDoNotMatch(t *testing.T) {
	for _, one := range []struct {
		expr  string
		holds bool
		err   string
	}{
		{`err.headers["x"] == "1"`, false, "no such key: x"},
		{`!(err.headers["x"] == "1")`, false, "no such key: x"},
		{`err.headers["x"] == "1" || true`, true, ""},
		{`true || err.headers["x"] == "1"`, true, ""},
		{`err.headers["x"] == "1" && false`, false, ""},
		{`err.headers["x"] == "1" && true`, false, "no such key: x"},
		{`err.headers["x"] == "1" ? true : true`, false, "no such key: x"},
		{`err.causes[0].code == "x"`, false, "index out of bounds: 0"},
		{`1 / err.status == 1`, false, "division by zero"},
		{`9223372036854775807 + attempt > 0`, false, "integer overflow"},
		{`int(err.code) == 1`, false, "type conversion error"},
		{`err.attr.and == "x"`, false, "attribute and is declared string and is int"},
		{`err.attr.and == "x" || err.status == 0`, true, ""},
	} {
		f := &engine.Failure{Code: "abc", Attributes: map[string]any{"and": int64(5)}}
		got, err := verdictOf(t, one.expr, f)
		if got != one.holds || (err == nil) != (one.err == "") || err != nil && !strings.Contains(err.Error(), one.err) {
			t.Errorf("%s is %v (%v), want %v (%s)", one.expr, got, err, one.holds, one.err)
		}
	}
}

func TestARuleThatErrsIsCountedAndTheNextIsAsked(t *testing.T) {
	program := compiled(t, header+"classify:\n  - {id: broken, when: 'err.headers[\"x\"] == \"1\"', class: AUTH}\n  - {id: next, when: err.status == 1, class: RATE_LIMIT}\n")
	f := &engine.Failure{Status: 1}
	v := program.Build()[0].Spec().Classify(first(f))
	if v.Rule != "next" || len(v.Errors) != 1 || v.Errors[0].Rule != "broken" {
		t.Errorf("the verdict is %+v", v)
	}
	e := program.Policy("p").Explain(first(f), engine.CauseError)
	if e.Rule != "next" || e.RuleErrors() != 1 || e.Rules[0].Error != "no such key: x" {
		t.Errorf("the explanation is %+v", e)
	}
}

func TestAttributesReadAsDeclared(t *testing.T) {
	f := &engine.Failure{Attributes: map[string]any{
		"and": "x", "not": true, "ratio": 0.5, "count": int64(3), "wait": 2 * time.Second, "tags": []string{"a", "b"}, "limits": map[string]string{"day": "5"},
	}}
	expr := `err.attr.and == "x" && err.attr.not && err.attr.ratio == 0.5 && err.attr.count == 3 && err.attr.wait == duration("2s") && "b" in err.attr.tags && err.attr.limits["day"] == "5"`
	if got, err := verdictOf(t, expr, f); !got || err != nil {
		t.Errorf("it is %v (%v)", got, err)
	}
}

// Vars are computed when they are first read, once for all rules of a list; an error
// of a var is one of every rule that reads it.
func TestVarsAreLazyAndComputedOnce(t *testing.T) {
	p := policyOf(t, `vars:
  broken: err.headers["x"] == "1"
  a: err.status == 1
  b: vars.a && !vars.broken
  long: err.message + err.message
classify:
  - {id: never, when: err.status == 5 && vars.broken, class: AUTH}
  - {id: first, when: vars.broken, class: AUTH}
  - {id: second, when: vars.b, class: AUTH}
  - {id: absorbed, when: vars.broken && err.status == 5, class: AUTH}
  - {id: too-long, when: vars.long != "", class: AUTH}
  - {id: third, when: vars.a, class: CONCURRENCY}
`)
	in := first(&engine.Failure{Status: 1, Message: strings.Repeat("x", engine.MaxMessage)})
	v := functionsOf(p.classify()).Decide(in)
	if v.Rule != "third" {
		t.Errorf("rule %s decides", v.Rule)
	}
	want := []string{"first: vars.broken: no such key: x", "second: vars.b: vars.broken: no such key: x", "too-long: vars.long: its text is longer than 4096 bytes"}
	var got []string
	for _, e := range v.Errors {
		got = append(got, e.Rule+": "+e.Err.Error())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the errors are %q, want %q", got, want)
	}
	s := newScene(in)
	p.rules[5].when.eval(s)
	if len(s.vars.known) != 1 {
		t.Errorf("%d vars were computed for a rule that reads one", len(s.vars.known))
	}
	var x *variable
	for x = range s.vars.known {
		s.vars.known[x] = s.vars.known[x].Equal(s.vars.known[x]) // true, were it computed again or not
	}
	before := s.vars.known[x]
	p.rules[5].when.eval(s)
	if len(s.vars.known) != 1 || s.vars.known[x] != before {
		t.Error("a var was computed twice")
	}
}

func TestRetryAfterOfRules(t *testing.T) {
	for _, one := range []struct {
		expr string
		f    engine.Failure
		want time.Duration
		hint bool
		err  string
	}{
		{`duration("3s")`, engine.Failure{}, 3 * time.Second, true, ""},
		{`err.retry_after`, engine.Failure{RetryAfter: time.Second, HasRetryAfter: true}, time.Second, true, ""},
		{`err.retry_after`, engine.Failure{HasRetryAfter: true}, 0, true, ""},
		{`err.retry_after`, engine.Failure{}, 0, false, ""},
		{`duration("0s")`, engine.Failure{}, 0, false, ""},
		{`-duration("3s")`, engine.Failure{HasRetryAfter: true}, 0, false, "retry_after is negative: -3s"},
		{`duration("1s") - elapsed`, engine.Failure{}, 0, false, "retry_after is negative: -1s"},
		{`duration(err.headers["x"])`, engine.Failure{}, 0, false, "retry_after: no such key: x"},
		{`duration(err.code)`, engine.Failure{Code: "a while"}, 0, false, "retry_after: "},
	} {
		expr := strings.Replace(one.expr, `-duration("3s")`, `duration("-3s")`, 1)
		program := compiled(t, header+"classify:\n  - id: r\n    when: |-\n      true\n    class: RATE_LIMIT\n    retry_after: |-\n      "+expr+"\n")
		in := first(&one.f)
		in.Elapsed = 2 * time.Second
		v := program.Build()[0].Spec().Classify(in)
		message := ""
		if len(v.Errors) > 0 {
			message = v.Errors[0].Err.Error()
		}
		if v.Class != engine.RateLimit || v.RetryAfter != one.want || v.HasRetryAfter != one.hint || !strings.HasPrefix(message, one.err) || (message == "") != (one.err == "") {
			t.Errorf("%s of %+v: %+v, want %v (%v), error %q", one.expr, one.f, v, one.want, one.hint, one.err)
		}
		e := program.Policy("p").Explain(in, engine.CauseError)
		if e.RetryAfter != v.RetryAfter || e.HasRetryAfter != v.HasRetryAfter || e.Rules[0].Error != message {
			t.Errorf("%s: the explanation says %v (%v), error %q", one.expr, e.RetryAfter, e.HasRetryAfter, e.Rules[0].Error)
		}
	}
}

func TestSelectSeesWhatClassificationSaid(t *testing.T) {
	program := compiled(t, header+`classify:
  - {id: r, when: err.status == 429, class: RATE_LIMIT, retry_after: err.retry_after}
retry:
  select:
    - {id: broken, when: 'err.headers["x"] == "1"', strategy: stop}
    - {id: late, when: class == RATE_LIMIT && class_attempt >= 2 && retry_after == duration("7s") && err.status == 429, strategy: {constant: {delay: 1s}}}
    - {id: known, when: 'class in [RATE_LIMIT, TRANSIENT] && class != UNKNOWN', strategy: immediate}
`)
	selects := program.Build()[0].Spec().Select
	in := first(&engine.Failure{Status: 429})
	in.Class, in.ClassAttempt, in.RetryAfter, in.HasRetryAfter = engine.RateLimit, 2, 7*time.Second, true
	if s := selects(in); s.Rule != "late" || s.Strategy != (engine.Constant{Wait: time.Second}) || len(s.Errors) != 1 || s.Errors[0].Rule != "broken" {
		t.Errorf("the selection is %+v", s)
	}
	in.ClassAttempt = 1
	if s := selects(in); s.Rule != "known" {
		t.Errorf("the selection is %+v", s)
	}
	in.Class = engine.Unknown
	if s := selects(in); s.Rule != "" || s.Strategy != nil {
		t.Errorf("the selection is %+v", s)
	}
}

// A3: no match is success, and result rules are asked of results alone.
func TestA3ResultRulesAreAskedOfResults(t *testing.T) {
	program := compiled(t, header+"classify:\n  - {id: e, when: true, class: AUTH}\nclassify_result:\n  - {id: s, when: result.status == 202 && result.code == \"pending\", class: TRANSIENT, retry_after: result.retry_after}\n")
	classify := program.Build()[0].Spec().ClassifyResult
	if v := classify(first(&engine.Failure{Status: 202, Code: "pending", RetryAfter: time.Second, HasRetryAfter: true})); v.Class != engine.Transient || v.RetryAfter != time.Second {
		t.Errorf("the verdict is %+v", v)
	}
	if v := classify(first(&engine.Failure{Status: 200})); v.Class != engine.NoClass || len(v.Errors) != 0 {
		t.Errorf("the verdict is %+v", v)
	}
}

// A9: what goes wrong in rules changes nothing but what they would have said.
func TestA9ErrorsOfRulesChangeNoOutcome(t *testing.T) {
	program := compiled(t, header+`classify:
  - {id: broken, when: 'err.headers["x"] == "1"', class: PERMANENT}
  - use: std.http
retry:
  max_attempts: 2
  strategy: immediate
  select:
    - {id: broken-too, when: 1 / (attempt - attempt) == 1, strategy: stop}
`)
	outcome := engine.Execute(t.Context(), program.Build()[0], func(context.Context) (int, error) { return 0, statusError(503) }, engine.WithTimeline())
	errs := 0
	for _, e := range outcome.Timeline {
		if e.Kind == engine.EventRuleError {
			errs++
		}
	}
	if outcome.Reason != engine.MaxAttemptsGlobal || outcome.Rule != "std.http/server-error" || outcome.Attempts != 2 || errs != 3 {
		t.Errorf("%v by %s after %d attempts, %d rule errors", outcome.Reason, outcome.Rule, outcome.Attempts, errs)
	}
}

// A10: rules are tried on the error of the inner call, then on what it wraps; its
// marker counts only when no rule held, and the outermost first.
func TestA10InnerCallsAreClassifiedByWhatTheyWrap(t *testing.T) {
	p := policyOf(t, "classify:\n  - {id: open, when: 'err.kind == \"redress\" && err.code == \"CIRCUIT_OPEN\"', class: PERMANENT}\n  - use: std.http\n")
	inner := &engine.Failure{Kind: engine.KindHTTP, Status: 429, RetryAfter: time.Second, HasRetryAfter: true}
	for _, one := range []struct {
		f     engine.Failure
		class engine.Class
		rule  string
	}{
		{engine.Failure{Kind: engine.KindRedress, Code: "CIRCUIT_OPEN", Inner: inner}, engine.Permanent, "open"},
		{engine.Failure{Kind: engine.KindRedress, Code: "MAX_ATTEMPTS_GLOBAL", Inner: inner}, engine.RateLimit, "std.http/too-many-requests"},
		{engine.Failure{Kind: engine.KindRedress, Code: "MAX_ATTEMPTS_GLOBAL", Inner: &engine.Failure{Kind: engine.KindRedress, Code: "DEADLINE_EXCEEDED", Inner: inner}}, engine.RateLimit, "std.http/too-many-requests"},
		{engine.Failure{Kind: engine.KindRedress, Code: "DEADLINE_EXCEEDED", Inner: &engine.Failure{Kind: engine.KindRedress, Code: "CIRCUIT_OPEN", Inner: inner}}, engine.Permanent, "open"},
		{engine.Failure{Kind: engine.KindRedress, Code: "CANCELED"}, engine.Unknown, engine.RuleDefault},
	} {
		if class, rule := classOf(p, &one.f); class != one.class || rule != one.rule {
			t.Errorf("%+v is %v by %s, want %v by %s", one.f, class, rule, one.class, one.rule)
		}
	}
	bare := policyOf(t, "classify:\n  - {id: none, when: 'false', class: AUTH}\ndefault_class: SERVER_ERROR\n")
	marked := engine.Failure{Kind: engine.KindRedress, Inner: &engine.Failure{Marker: engine.Concurrency}}
	if class, rule := classOf(bare, &marked); class != engine.Concurrency || rule != engine.RuleMarker {
		t.Errorf("%v by %s", class, rule)
	}
	marked.Marker = engine.Auth
	if class, _ := classOf(bare, &marked); class != engine.Auth {
		t.Errorf("%v, want the outermost marker", class)
	}
	if class, rule := classOf(bare, &engine.Failure{}); class != engine.ServerError || rule != engine.RuleDefault {
		t.Errorf("%v by %s, want the default class", class, rule)
	}
}

const packsOfASet = `apiVersion: redress/v1
kind: Classifier
name: one
attributes: {own: string}
vars: {hit: err.attr.own == "x"}
classify:
  - {id: r, when: vars.hit, class: AUTH}
  - use: two
---
apiVersion: redress/v1
kind: Classifier
name: two
classify:
  - {id: r, when: err.status == 2, class: PERMISSION}
  - use: std.redis
---
apiVersion: redress/v1
kind: Policy
name: p
vars: {hit: err.status == 1}
classify:
  - {id: r, when: vars.hit, class: CONCURRENCY}
  - use: two
  - use: one
  - use: std.net
  - use: one
---
apiVersion: redress/v1
kind: Policy
name: q
classify:
  - use: std.net
`

// Packs are spliced in place, those that they use too, each once; their vars and
// attributes are their own.
func TestPacksAreSplicedInPlaceAndOnce(t *testing.T) {
	program := compiled(t, packsOfASet)
	p := program.Policy("p")
	var packs, ids []string
	for _, r := range p.Rules() {
		pack, _, spliced := strings.Cut(r.ID, "/")
		if !spliced {
			pack = ""
		}
		if len(packs) == 0 || packs[len(packs)-1] != pack {
			packs = append(packs, pack)
		}
		if slices.Contains(ids, r.ID) {
			t.Errorf("%s is spliced twice", r.ID)
		}
		ids = append(ids, r.ID)
		if r.BuiltIn != strings.HasPrefix(r.ID, "std.") {
			t.Errorf("%s: BuiltIn is %v", r.ID, r.BuiltIn)
		}
	}
	if want := []string{"", "two", "std.marker", "std.redis", "std.context", "std.net", "one"}; !slices.Equal(packs, want) {
		t.Errorf("the packs stand as %q, want %q", packs, want)
	}
	for _, one := range []struct {
		f    engine.Failure
		rule string
	}{
		{engine.Failure{Status: 1}, "r"},
		{engine.Failure{Status: 2}, "two/r"},
		{engine.Failure{Attributes: map[string]any{"own": "x"}}, "one/r"},
		{engine.Failure{Code: "LOADING"}, "std.redis/loading"},
	} {
		if _, rule := classOf(p, &one.f); rule != one.rule {
			t.Errorf("%+v is decided by %s, want %s", one.f, rule, one.rule)
		}
	}
}

func TestCyclesAmongPacksAreErrors(t *testing.T) {
	pack := func(name, uses string) string {
		return "apiVersion: redress/v1\nkind: Classifier\nname: " + name + "\nclassify:\n  - {id: r, when: err.status == 1, class: AUTH}\n  - use: " + uses + "\n---\n"
	}
	for what, text := range map[string]string{
		"itself":   pack("a", "a"),
		"of two":   pack("a", "b") + pack("b", "a"),
		"of three": pack("a", "b") + pack("b", "c") + pack("c", "a"),
	} {
		_, found := compileText(strings.TrimSuffix(text, "---\n"), Options{})
		if len(found) != 1 || found[0].Code != dsl.CodeCycle {
			t.Errorf("%s:\n%s", what, said(found))
		}
	}
	if _, found := compileText(strings.TrimSuffix(pack("std.mine", "std.net"), "---\n"), Options{}); len(found) != 1 || found[0].Code != dsl.CodeBadName {
		t.Errorf("a pack that takes a built-in name:\n%s", said(found))
	}
}

// A revision changes when, and only when, a document changes that the policy uses.
func TestRevisionsChangeWithTheDocumentsThatAPolicyUses(t *testing.T) {
	revisions := func(text string) (p, q string) {
		program := compiled(t, text)
		return program.Policy("p").Revision(), program.Policy("q").Revision()
	}
	p, q := revisions(packsOfASet)
	if p == q || len(p) != 12 {
		t.Errorf("the revisions are %q and %q", p, q)
	}
	for _, one := range []struct {
		what, from, to string
		p, q           bool // changes
	}{
		{"nothing", "", "", false, false},
		{"a pack that a pack uses", "err.status == 2", "err.status == 3", true, false},
		{"a pack", `"x"`, `"y"`, true, false},
		{"the policy", "err.status == 1", "err.status == 9", true, false},
		{"the other policy", "name: q\n", "name: q\ndescription: other\n", false, true},
		{"the blanks between documents", "---\n", "---\n\n\n", false, false},
	} {
		changedP, changedQ := revisions(strings.ReplaceAll(packsOfASet, one.from, one.to))
		if (changedP != p) != one.p || (changedQ != q) != one.q {
			t.Errorf("%s changes: p is %s, was %s; q is %s, was %s", one.what, changedP, p, changedQ, q)
		}
	}
	const shared = "apiVersion: redress/v1\nkind: Budget\nname: b\nmax_retries: 5\nwindow: 1m\n---\n" + header + "classify:\n  - use: std.http\nretry: {budget: b}\n---\napiVersion: redress/v1\nkind: Policy\nname: q\nclassify:\n  - use: std.http\n"
	p, q = revisions(shared)
	if changedP, changedQ := revisions(strings.Replace(shared, "max_retries: 5", "max_retries: 6", 1)); changedP == p || changedQ != q {
		t.Error("a budget's change is one of the policies that use it, and of no others")
	}
}

func TestFunctionsAreStrategiesByName(t *testing.T) {
	const text = header + "classify:\n  - use: std.http\nretry:\n  strategy: {func: my-backoff}\n  classes:\n    RATE_LIMIT: {strategy: {retry_after_or: {func: my-backoff}}}\n"
	own := engine.Func("mine", func(engine.DelayInput) engine.Delay { return engine.Delay{Sleep: time.Second} })
	program := compiledWith(t, text, Options{Strategies: map[string]engine.Strategy{"my-backoff": own}})
	spec := program.Build()[0].Spec()
	if d := spec.Strategy.Delay(engine.DelayInput{}); d.Sleep != time.Second {
		t.Errorf("it sleeps %v", d.Sleep)
	}
	if s, ok := spec.Classes[engine.RateLimit].Strategy.(engine.RetryAfterOr); !ok || s.Fallback == nil || s.Fallback.Name() != "mine" {
		t.Errorf("the class has %#v", spec.Classes[engine.RateLimit].Strategy)
	}
	_, found := compileText(text, Options{Strategies: map[string]engine.Strategy{"my-backof": own}})
	if len(found) != 2 || found[0].Message != `no strategy function is registered as "my-backoff"; did you mean "my-backof"?` {
		t.Errorf("without the function:\n%s", said(found))
	}
}

// Policies of one Build share by name; those of two Builds share nothing.
func TestEveryBuildHasStateOfItsOwn(t *testing.T) {
	const text = "apiVersion: redress/v1\nkind: Budget\nname: b\nmax_retries: 5\nwindow: 1m\n---\napiVersion: redress/v1\nkind: CircuitBreaker\nname: c\nfailure_threshold: 2\n---\n" +
		header + "classify:\n  - use: std.http\nretry: {budget: b, strategy: {adaptive: {window: 1m}}}\ncircuit_breaker: c\n---\n" +
		"apiVersion: redress/v1\nkind: Policy\nname: q\nclassify:\n  - use: std.http\nretry: {budget: b}\ncircuit_breaker: c\n---\n" +
		"apiVersion: redress/v1\nkind: Policy\nname: r\nclassify:\n  - use: std.http\nretry: {budget: {max_retries: 1, window: 1m}}\ncircuit_breaker: {failure_threshold: 1}\n"
	program := compiled(t, text)
	one, two := program.Build(), program.Build()
	if one[0].Breaker() != one[1].Breaker() || one[0].Budget() != one[1].Budget() || one[0].Breaker() == nil || one[0].Budget() == nil {
		t.Error("policies do not share what they name alike")
	}
	if one[0].Breaker() == one[2].Breaker() || one[0].Budget() == one[2].Budget() || one[2].Breaker() == nil {
		t.Error("policies share what is a policy's own")
	}
	if one[0].Breaker() == two[0].Breaker() || one[0].Budget() == two[0].Budget() || one[0].Spec().Strategy == two[0].Spec().Strategy {
		t.Error("two builds share state")
	}
}

// One program serves any number of goroutines, which all get what one alone gets.
func TestProgramsAreSafeForManyGoroutines(t *testing.T) {
	text, err := os.ReadFile("../testdata/policies/ok/payments-api.yaml")
	if err != nil {
		t.Fatal(err)
	}
	program, found := compileText(string(text), Options{})
	if found.HasErrors() {
		t.Fatal(said(found))
	}
	p, built := program.Policies()[0], program.Build()[0].Spec()
	failures := randomFailures(40, 3)
	var want []string
	for _, f := range failures {
		want = append(want, fmt.Sprint(built.Classify(first(f))))
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i, f := range failures {
				if got := fmt.Sprint(built.Classify(first(f))); got != want[i] {
					t.Errorf("%+v: %s, want %s", f, got, want[i])
				}
				p.Explain(first(f), engine.CauseError)
			}
		})
	}
	group.Wait()
}

// recorded is an error that is nothing but its record.
type recorded struct{ record *engine.Failure }

func (r recorded) Error() string                  { return "recorded" }
func (r recorded) FailureRecord() *engine.Failure { return r.record }

// What Explain says is what a call does: class, rule, hint, select rule, strategy, and
// how many rules erred.
func TestExplanationsSayWhatCallsDo(t *testing.T) {
	programs := map[string]*Program{}
	for _, pack := range Packs() {
		programs[pack] = compiled(t, header+"classify:\n  - use: "+pack+"\ndefault_class: SERVER_ERROR\n")
	}
	opts := Options{Strategies: map[string]engine.Strategy{"my-backoff": engine.Func("my-backoff", func(engine.DelayInput) engine.Delay { return engine.Delay{} })}}
	sources, err := dsl.ReadFS(os.DirFS("../testdata/policies/ok"))
	if err != nil || len(sources) == 0 {
		t.Fatal("no policies: ", err)
	}
	set, _ := dsl.ParseSet(sources)
	programs["ok"], _ = Compile(set, opts)
	compared := 0
	for name, program := range programs {
		for i, policy := range program.Build() {
			p := program.Policies()[i]
			if policy.Spec().Mode != engine.Enforce {
				continue // its calls do something else
			}
			for _, f := range randomFailures(60, uint64(len(name)+i)) {
				for _, cause := range []engine.Cause{engine.CauseError, engine.CauseResult} {
					compared += compareWithCall(t, p, policy, f, cause)
				}
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d explanations were compared", compared)
	}
}

// compareWithCall runs one attempt and holds the explanation against it.
func compareWithCall(t *testing.T, p *Policy, policy *engine.Policy, f *engine.Failure, cause engine.Cause) int {
	t.Helper()
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	var info engine.SleepInfo
	outcome := engine.Execute(t.Context(), policy, func(context.Context) (any, error) {
		if cause == engine.CauseResult {
			return recorded{f}, nil
		}
		return nil, recorded{f}
	}, engine.WithClock(stopped(now)), engine.WithTimeline(), engine.WithOperation("op"), engine.WithSleepHandler(func(_ context.Context, i engine.SleepInfo) engine.SleepAction {
		info = i
		return engine.DeferRetry
	}))
	if outcome.Attempts == 0 { // an open breaker
		return 0
	}
	in := &engine.Input{Failure: f, Operation: "op", Attempt: 1, Remaining: policy.Deadline(), Idempotent: true}
	e := p.Explain(in, cause)
	if cause == engine.CauseResult && e.Class == engine.NoClass {
		if !outcome.OK {
			t.Errorf("%s: %+v is a success to the explanation, and the call ends with %v", p.Name(), f, outcome.Reason)
		}
		return 1
	}
	if outcome.Class != e.Class || outcome.Rule != e.Rule {
		t.Errorf("%s: %+v (%v) is %v by %s to the explanation, %v by %s to the call", p.Name(), f, cause, e.Class, e.Rule, outcome.Class, outcome.Rule)
	}
	if outcome.Reason != engine.Scheduled {
		if !strings.Contains(e.Response, "stop with "+outcome.Reason.String()) && !slices.Contains([]engine.StopReason{engine.BudgetExhausted, engine.CircuitOpen, engine.DeadlineExceeded, engine.NonRetryableClass}, outcome.Reason) {
			t.Errorf("%s: %+v ends with %v, and the explanation says: %s", p.Name(), f, outcome.Reason, e.Response)
		}
		return 1
	}
	selector, faults := "", 0
	for _, event := range outcome.Timeline {
		if event.Kind == engine.AttemptEnd {
			selector = event.Selector
		}
		if event.Kind == engine.EventRuleError {
			faults++
		}
	}
	if info.Strategy != e.Strategy || selector != e.Selector || info.Hint != e.RetryAfter || info.HasHint != e.HasRetryAfter || faults != e.RuleErrors() || !strings.HasPrefix(e.Response, "retry after") {
		t.Errorf("%s: %+v (%v): the call has strategy %s by %q, hint %v (%v), %d rule errors; the explanation %s by %q, %v (%v), %d: %s",
			p.Name(), f, cause, info.Strategy, selector, info.Hint, info.HasHint, faults, e.Strategy, e.Selector, e.RetryAfter, e.HasRetryAfter, e.RuleErrors(), e.Response)
	}
	return 1
}

// A stopped clock never moves.
type stopped time.Time

func (s stopped) Now() time.Time                           { return time.Time(s) }
func (stopped) Sleep(context.Context, time.Duration) error { return errors.New("nobody sleeps here") }

func TestExplanationsShowWhatPartsCameTo(t *testing.T) {
	p := policyOf(t, "classify:\n  - id: r\n    class: RATE_LIMIT\n    when: |-\n      err.status == 429 ||\n      err.causes.exists(c, c.code == \"x\") && err.headers[\"X\"] == \"1\"\n")
	e := p.Explain(first(&engine.Failure{Status: 503, Message: "no", Causes: []engine.CauseRecord{{Code: "y"}, {Code: "x"}}}), engine.CauseError)
	want := [][2]string{
		{`err.status == 429`, "false"}, {`err.status`, "503"}, {`err.causes.exists(c, c.code == "x")`, "true"}, {`err.causes`, "2 entries"},
		{`err.headers["X"] == "1"`, "error: no such key: X"}, {`err.headers["X"]`, "error: no such key: X"}, {`err.headers`, "0 entries"},
	}
	var parts [][2]string
	for _, part := range e.Rules[0].Parts {
		parts = append(parts, [2]string{part.Text, part.Value})
	}
	if got := e.Rules[0]; !slices.Equal(parts, want) || got.Error != "no such key: X" || got.Matched {
		t.Errorf("got %+v, want the parts %q", got, want)
	}
	var b strings.Builder
	e.Print(&b)
	for _, line := range []string{"policy p, revision " + p.Revision(), "error, so it does not match: no such key: X", "err.status = 503", "class UNKNOWN, by rule default", "strategy decorrelated_jitter, from the default"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("%q is not printed:\n%s", line, b.String())
		}
	}
}
