package analysis_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// A dice writes random policies and random failures from the same few values, so
// that they meet.
type dice struct{ *rand.Rand }

func pick[T any](d dice, list ...T) T { return list[d.IntN(len(list))] }

var (
	someStatus  = []int{0, 100, 200, 301, 399, 400, 401, 404, 408, 409, 418, 429, 499, 500, 501, 502, 503, 504, 505, 599}
	someText    = []string{"", "RATE", "QUOTA", "08006", "0800", "08", "40001", "rate", "x", "a-b", "RATE_LIMIT", "LIMIT", "RATE-é", "4001\n", "\xff"}
	someSeconds = []int{0, 1, 5, 30, 60, 100}
)

func (d dice) comparison() string { return pick(d, "==", "!=", "<", "<=", ">", ">=") }

func (d dice) text() string { return strconv.Quote(pick(d, someText[:12]...)) }

func (d dice) texts() string {
	var list []string
	for range d.IntN(4) {
		list = append(list, d.text())
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// subject is a text that conditions ask something of.
func (d dice) subject() string {
	return pick(d, "err.code", "err.code", "err.message", "err.attr.tier", "err.type", "op", "err.code.lowerAscii()", "err.code.upperAscii()", `err.headers["x-a"]`, "vars.text", "err.headers.y",
		`err.headers[?"X-A"].orValue("")`, `err.attr.?tier.orValue("none")`, `err.attr.labels["k"]`, "err.kind")
}

func (d dice) atom() string {
	switch d.IntN(24) {
	case 0, 1, 2, 3:
		return fmt.Sprintf("err.status %s %d", d.comparison(), pick(d, someStatus...))
	case 4:
		return fmt.Sprintf("err.status in [%d, %d, %d]", pick(d, someStatus...), pick(d, someStatus...), pick(d, someStatus...))
	case 5:
		return fmt.Sprintf("err.status / 100 %s %d", pick(d, "==", "!="), d.IntN(7))
	case 6, 7, 8:
		return d.subject() + pick(d, " == ", " == ", " != ", " < ", " >= ") + d.text()
	case 9:
		return d.subject() + " in " + d.texts()
	case 10, 11:
		return d.subject() + pick(d, ".startsWith(", ".endsWith(", ".contains(") + d.text() + ")"
	case 12:
		return d.subject() + fmt.Sprintf(".matches(%q)", pick(d, "^08", "RATE$", "^(RATE|QUOTA)$", "a.b", "LIMIT", "[0-9]{5}", "(?i)rate", "^[A-Z]+$", "^[^a-z]*$", "^\\d+$", "^.{4,5}$", "\\bRATE\\b", "^(0|4)[0-9]+$", "_?LIMIT$"))
	case 13:
		return fmt.Sprintf("err.kind %s %q", pick(d, "==", "!="), pick(d, dsl.KindNames()...))
	case 14:
		return fmt.Sprintf("err.phase %s %q", pick(d, "==", "!="), pick(d, dsl.PhaseNames()...))
	case 15:
		return pick(d, "err.timeout", "idempotent", "has(err.code)", "has(err.retry_after)", "has(err.attr.tier)", "has(err.status)", "err.attr.hot", "vars.flag", "has(err.headers)")
	case 16:
		return fmt.Sprintf("%s %s duration(\"%ds\")", pick(d, "err.retry_after", "elapsed", "remaining", "err.attr.wait"), d.comparison(), pick(d, someSeconds...))
	case 17:
		return fmt.Sprintf("%s %s %d", pick(d, "attempt", "err.attr.count", "size(err.code)", "attempt + 1", "err.attr.count * 2", "size(op)"), d.comparison(), d.IntN(8))
	case 18:
		return pick(d, `"x-a" in err.headers`, `"X-B" in err.headers`, `"k" in err.attr.labels`, `"vip" in err.attr.tags`, "has(err.headers.y)", `err.headers[?"x-a"].hasValue()`)
	case 19:
		return fmt.Sprintf("err.attr.load %s %v", d.comparison(), pick(d, "0.5", "1.0", "-1.0"))
	case 20:
		return fmt.Sprintf(`err.causes.exists(c, %s)`, pick(d, "c.code == "+d.text(), "c.code in "+d.texts(), fmt.Sprintf("c.status %s %d", d.comparison(), pick(d, someStatus...)),
			"c.message.contains("+d.text()+") && c.kind != \"http\"", "has(c.code) && c.code != err.code", "c.kind == \"net\" || vars.flag", "c.status == 4000"))
	case 21:
		return fmt.Sprintf("int(err.code) %s %d", d.comparison(), pick(d, 8, 40001))
	case 22:
		return fmt.Sprintf("err.status %s 400 + attempt", d.comparison())
	}
	return pick(d, "true", "false", "err.code == \"RA\" + \"TE\"", "string(err.status).startsWith(\"5\")", "(err.status == 429) == err.timeout", "10 / err.status > 0",
		"!optional.none().hasValue()", `optional.none().orValue(err.code) == "RATE"`)
}

func (d dice) condition(depth int) string {
	if depth == 0 || d.IntN(3) == 0 {
		return d.atom()
	}
	a, b := d.condition(depth-1), d.condition(depth-1)
	switch d.IntN(8) {
	case 0, 1, 2:
		return "(" + a + ") && (" + b + ")"
	case 3, 4, 5:
		return "(" + a + ") || (" + b + ")"
	case 6:
		return "!(" + a + ")"
	}
	return "(" + a + ") ? (" + b + ") : (" + d.condition(depth-1) + ")"
}

var classes = []string{"AUTH", "PERMANENT", "RATE_LIMIT", "SERVER_ERROR", "TRANSIENT", "UNKNOWN"}

func (d dice) policy() string {
	var b strings.Builder
	b.WriteString("apiVersion: redress/v1\nkind: Policy\nname: p\nattributes: {tier: string, hot: bool, count: int, load: double, wait: duration, tags: list(string), 'labels': 'map(string, string)'}\n")
	fmt.Fprintf(&b, "vars:\n  text: %s\n", pick(d, "err.code", "err.message.lowerAscii()", "err.attr.tier"))
	fmt.Fprintf(&b, "  flag: '%s'\nclassify:\n", strings.ReplaceAll(d.condition(1), "vars.flag", "err.timeout"))
	pack := d.IntN(12)
	rules := 2 + d.IntN(6)
	for i := range rules {
		if pack == i {
			b.WriteString("  - use: " + pick(d, "std.http", "std.net", "std.default") + "\n")
		}
		fmt.Fprintf(&b, "  - {id: r%d, class: %s, when: '%s'}\n", i, pick(d, classes...), d.condition(2))
	}
	return b.String()
}

func (d dice) input() *engine.Input {
	f := &engine.Failure{
		Status: pick(d, someStatus...), Code: pick(d, someText...), Message: pick(d, someText...), Type: pick(d, someText...), Timeout: d.IntN(2) == 0,
		Kind: engine.Kind(pick(d, dsl.KindNames()...)), Phase: engine.Phase(pick(d, dsl.PhaseNames()...)), Attributes: map[string]any{},
	}
	if d.IntN(2) == 0 {
		f.HasRetryAfter, f.RetryAfter = true, d.seconds()
	}
	if d.IntN(4) == 0 {
		f.Status = 100 + d.IntN(500)
	}
	if d.IntN(2) == 0 {
		f.Headers = map[string]string{pick(d, "x-a", "y"): pick(d, someText...)}
	}
	if d.IntN(4) == 0 {
		for range 1 + d.IntN(2) {
			f.Causes = append(f.Causes, engine.CauseRecord{Code: pick(d, someText...), Message: pick(d, someText...), Status: pick(d, someStatus...), Kind: engine.Kind(pick(d, dsl.KindNames()...))})
		}
	}
	put := func(name string, value any) {
		if d.IntN(3) > 0 {
			f.Attributes[name] = value
		}
	}
	put("tier", pick(d, someText...))
	put("hot", d.IntN(2) == 0)
	put("count", int64(d.IntN(9)-1))
	put("load", pick(d, 0, 0.5, 0.7, 1, -1, 2.5))
	put("wait", d.seconds())
	put("tags", []string{pick(d, "vip", "")})
	put("labels", map[string]string{pick(d, "k", "l"): pick(d, someText...)})
	return &engine.Input{
		Failure: f, Operation: pick(d, someText...), Attempt: 1 + d.IntN(6), Elapsed: max(d.seconds(), 0), Remaining: min(d.seconds(), time.Minute), Idempotent: d.IntN(2) == 0, ClassAttempt: 1,
	}
}

func (d dice) seconds() time.Duration {
	return time.Duration(pick(d, someSeconds...))*time.Second + time.Duration(d.IntN(3)-1)*time.Duration(d.IntN(2))*time.Millisecond
}

// compileRules loads a policy; nil if it is wrong (random ones may cost too much).
func compileRules(t *testing.T, text string) *interp.Policy {
	t.Helper()
	result := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte(text))}, interp.Options{})
	if result.Diagnostics.HasErrors() {
		if !strings.Contains(result.Diagnostics.Err().Error(), "RD1") && !strings.Contains(result.Diagnostics.Err().Error(), "reserved") {
			t.Fatalf("%v\n%s", result.Diagnostics.Err(), text)
		}
		return nil
	}
	return result.Program.Policy("p")
}

// TestNoVerdictIsWrong holds every verdict on random policies against the real rules
// on random failures: what is proven impossible never happens.
func TestNoVerdictIsWrong(t *testing.T) {
	policies, inputs := 400, 300
	if n, err := strconv.Atoi(os.Getenv("REDRESS_ANALYSIS_POLICIES")); err == nil {
		policies = n
	}
	var never, always, shadowed, possible, witnessed, same int
	for seed := range uint64(policies) {
		d := dice{rand.New(rand.NewPCG(seed, 20))}
		text := d.policy()
		p := compileRules(t, text)
		if p == nil {
			continue
		}
		scope := analysis.Scope{Attributes: p.Attributes(), MaxAttempts: 6, Deadline: time.Minute}
		l := analysis.NewList(scope, p.Classify())
		rules := l.Rules
		results := make([][]outcome, inputs)
		all := make([]*engine.Input, inputs)
		for k := range all {
			all[k] = d.input()
			for _, r := range rules {
				results[k] = append(results[k], outcomeOf(r, all[k]))
			}
		}
		wrong := func(i, k int, what string) {
			t.Errorf("seed %d, rule %s: said %s, but %+v %+v\n%s", seed, rules[i].ID, what, *all[k].Failure, *all[k], text)
		}
		for i := range rules {
			if rules[i].BuiltIn {
				continue
			}
			holds, holdsNot, errs, decides, differs := l.Holds(i).Answer(), l.HoldsNot(i).Answer(), l.Errs(i).Answer(), l.Decides(i).Answer(), l.Differs(i, engine.Unknown).Answer()
			var blockers []int
			if holds.Possible && decides.Never() {
				blockers = l.Blockers(i)
				shadowed++
			}
			never += count(holds.Never())
			always += count(holdsNot.Never())
			same += count(differs.Never() && decides.Possible)
			possible += count(decides.Possible)
			witnessed += count(decides.Witness != nil)
			for k, r := range results {
				earlier, next := -1, engine.Unknown
				for j := range rules {
					if r[j] == holdsThere && j != i {
						if j < i {
							earlier = j
						} else {
							next = rules[j].Class
						}
						break
					}
				}
				switch {
				case holds.Never() && r[i] == holdsThere:
					wrong(i, k, "it never holds")
				case holdsNot.Never() && r[i] != holdsThere:
					wrong(i, k, "it always holds")
				case errs.Never() && r[i] == errsThere:
					wrong(i, k, "it never errs")
				case decides.Never() && r[i] == holdsThere && earlier < 0:
					wrong(i, k, "it never decides")
				case differs.Never() && r[i] == holdsThere && earlier < 0 && next != rules[i].Class:
					wrong(i, k, "it makes no difference")
				}
				if blockers != nil && r[i] == holdsThere {
					blocked := false
					for _, j := range blockers {
						blocked = blocked || r[j] == holdsThere
					}
					if !blocked {
						wrong(i, k, fmt.Sprintf("it is blocked by %v", blockers))
					}
				}
			}
		}
	}
	t.Logf("%d rules never hold, %d always, %d are shadowed, %d make no difference; %d can decide, of which %d have a witness", never, always, shadowed, same, possible, witnessed)
	if never == 0 || always == 0 || shadowed == 0 || same == 0 || witnessed*10 < possible*7 {
		t.Error("the test does not see enough of some kind of verdict")
	}
}

type outcome uint8

const (
	holdsThere outcome = iota
	failsThere
	errsThere
)

func outcomeOf(r interp.Condition, in *engine.Input) outcome {
	switch holds, err := r.Test(in); {
	case err != nil:
		return errsThere
	case holds:
		return holdsThere
	}
	return failsThere
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
