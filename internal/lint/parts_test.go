package lint

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/checks"
	"github.com/redress-policy/redress/internal/config"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/rules"
	"github.com/redress-policy/redress/interp"
)

// documents refer to each other in every way there is; some do so wrongly. Sets of them
// have findings of all kinds.
var documents = []string{
	`{kind: Policy, name: a, classify: [{use: shared}], calls: [b, c], operations: [x], retry: {budget: pool}, circuit_breaker: door}`,
	`{kind: Policy, name: b, classify: [{use: shared}, {id: late, when: err.status == 503, class: TRANSIENT}], calls: [c], guarantees: {max_amplification: 2}}`,
	`{kind: Policy, name: c, classify: [{use: std.http}], calls: [d], retry: {max_attempts: 9, deadline: 90s}}`,
	`{kind: Policy, name: d, classify: [{use: nested}]}`,
	`{kind: Policy, name: e, classify: [{use: std.http}], calls: [f]}`,
	`{kind: Policy, name: f, classify: [{use: std.http}], calls: [e], guarantees: {max_amplification: 2}}`,
	`{kind: Policy, name: a, classify: [{use: std.net}]}`,
	`{kind: Policy, name: g, classify: [{use: shard}], retry: {budget: pol}, calls: [z], operations: [x]}`,
	`{kind: Policy, name: h, classify: [{use: wrong}]}`,
	`{kind: Policy, name: i, classify: [{use: round}]}`,
	`{kind: Policy, name: j, classify: [{id: never, when: err.status == 42900, class: TRANSIENT}]}`,
	`{kind: Policy, name: k, classify: [{use: std.sql}], retry: {max_attempts: 5}, circuit_breaker: door}`,
	`{kind: Classifier, name: shared, classify: [{id: busy, when: err.status == 503, class: RATE_LIMIT}, {use: nested}]}`,
	`{kind: Classifier, name: nested, attributes: {n: int}, classify: [{id: gone, when: err.attr.n == 410, class: PERMANENT}]}`,
	`{kind: Classifier, name: wrong, classify: [{id: w, when: err.staus == 1, class: PERMANENT}]}`,
	`{kind: Classifier, name: round, classify: [{use: trip}]}`,
	`{kind: Classifier, name: trip, classify: [{use: round}]}`,
	`{kind: Classifier, name: idle, classify: [{id: x, when: err.timeout, class: TRANSIENT}, {id: y, when: err.timeout, class: PERMANENT}]}`,
	`{kind: Budget, name: pool, max_retries: 100, window: 10s}`,
	`{kind: Budget, name: idle, max_retries: 10, window: 1s}`,
	`{kind: CircuitBreaker, name: door, failure_threshold: 50, window: 1s}`,
	`{kind: PolicyTest, policy: a, cases: [{name: one, err: {status: 503}, expect: {class: RATE_LIMIT, rule: shared/busy}}]}`,
	`{kind: PolicyTest, policy: b, cases: [{name: one, err: {status: 410}, expect: {class: PERMANENT, rule: shared/bsy}}]}`,
	`{kind: PolicyTest, policy: zz, cases: [{name: one, err: {status: 410}, expect: {class: PERMANENT}}]}`,
	`{kind: Environment, name: live, assume: {rate: 2, latency: 20ms}, policies: {a: {rate: 1}}}`,
	`{kind: Environment, name: dead, policies: {nobody: {rate: 1}}}`,
	`{kind: Set, name: this, fallback_policy: a}`,
	`{kind: Set, name: that, fallback_policy: a}`,
	`{kind: Set, name: other, fallback_policy: bb}`,
	`{kind: Policy, name: broken, classify: [`,
	`{kind: Polcy, name: odd}`,
}

// TestPartsSayWhatTheWholeSays spreads documents over files, and compares what checking
// part by part says with what loading and checking everything at once does.
func TestPartsSayWhatTheWholeSays(t *testing.T) {
	seen := map[string]bool{}
	divided := 0
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		texts := make([]strings.Builder, 1+random.IntN(8))
		for _, doc := range documents {
			if seed%2 == 0 && random.IntN(3) > 0 || seed%2 == 1 && !mistaken(doc) {
				fmt.Fprintf(&texts[random.IntN(len(texts))], "---\n%s\n", inStyle(doc, random.IntN(2) == 0))
			}
		}
		if seed%5 == 0 { // too large to be held parsed
			fmt.Fprintf(&texts[0], "# %s\n", strings.Repeat("x", 300_000))
		}
		if seed%5 == 0 { // too large to be held
			fmt.Fprintf(&texts[0], "\n# %s\n", strings.Repeat("x", 300_000))
		}
		var sources []*dsl.Source
		for i := range texts {
			sources = append(sources, dsl.NewSource(fmt.Sprintf("%d.yaml", i), []byte(texts[i].String())))
		}
		l := linter{config: &config.Config{}}
		got := l.check(sources)
		divided += load.Split(sources, interp.Options{}).Len()

		whole := load.Sources(sources, interp.Options{})
		want := whole.Diagnostics
		if whole.Sound {
			want = append(want, checks.Check(whole.Set, whole.Program, checks.Options{})...)
		} else {
			got.found = slices.DeleteFunc(got.found, func(d dsl.Diagnostic) bool {
				rule, _ := rules.Find(d.Code.ID)
				return !rule.Fixed
			})
		}
		want.Sort()
		if a, b := printAll(got.found), printAll(l.leveled(want)); a != b {
			t.Fatalf("seed %d: -as a whole +part by part:\n%s", seed, unified("found", []byte(b), []byte(a)))
		}
		for _, d := range got.found {
			seen[d.Code.ID] = true
		}
	}
	if len(seen) < 12 || divided < 600 {
		t.Errorf("only %d rules were met, in %d parts", len(seen), divided)
	}
}

// inStyle writes a document as one flow mapping, or with its keys on lines of their own.
func inStyle(doc string, flow bool) string {
	inner, isWhole := strings.CutSuffix(doc[1:], "}")
	if flow || !isWhole {
		return "{apiVersion: redress/v1, " + doc[1:]
	}
	lines, depth := []byte("apiVersion: redress/v1\n"), 0
	for i := range inner {
		switch c := inner[i]; {
		case c == ',' && depth == 0:
			lines = append(lines, '\n')
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ' ' && lines[len(lines)-1] == '\n':
			continue
		}
		lines = append(lines, inner[i])
	}
	return string(lines)
}

// mistaken reports whether a document keeps a set from loading.
func mistaken(doc string) bool {
	for _, sign := range []string{"std.net", "shard", "wrong", "round", "bsy", "zz", "nobody", "broken", "Polcy", "z]", "bb"} {
		if strings.Contains(doc, sign) {
			return true
		}
	}
	return false
}

func printAll(found dsl.Diagnostics) string {
	var b strings.Builder
	for _, d := range found {
		d.Print(&b, dsl.PrintOptions{})
	}
	return b.String()
}

// TestABrokenFileDoesNotHideFindingsElsewhere: parts that load are checked.
func TestABrokenFileDoesNotHideFindingsElsewhere(t *testing.T) {
	l := linter{config: &config.Config{}}
	found := l.check([]*dsl.Source{
		dsl.NewSource("a.yaml", []byte("{apiVersion: redress/v1, kind: Policy, name: a, clasify: []}\n")),
		dsl.NewSource("b.yaml", []byte("{apiVersion: redress/v1, kind: Policy, name: b, classify: [{id: never, when: err.status == 42900, class: TRANSIENT}]} # redress:ignore RD302 -- the test knows\n")),
	}).found
	files := map[string]bool{}
	for _, d := range found {
		files[d.Range.Source.Name] = true
		if d.Code == dsl.CodeUnusedIgnore {
			t.Errorf("a suppression is called unused although not everything was looked at: %s", d.Message)
		}
	}
	if !files["a.yaml"] || !files["b.yaml"] {
		t.Errorf("findings stand in %v only:\n%s", files, printAll(found))
	}
}

// TestProgressIsShownOfLongRunsOnly: after half a second, ten times a second, and it goes
// away.
func TestProgressIsShownOfLongRunsOnly(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := &progress{w: &out, now: func() time.Time { return now }, total: 1000, next: now.Add(progressAfter)}
	for range 100 {
		p.add(10)
		now = now.Add(10 * time.Millisecond)
	}
	p.end()
	const want = "\r\x1b[Kchecked 510 of 1000 files\r\x1b[Kchecked 610 of 1000 files\r\x1b[Kchecked 710 of 1000 files\r\x1b[Kchecked 810 of 1000 files\r\x1b[Kchecked 910 of 1000 files\r\x1b[K"
	if out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
	out.Reset()
	p = &progress{w: &out, now: func() time.Time { return now }, total: 1, next: now.Add(progressAfter)}
	p.add(1)
	p.end()
	if out.Len() > 0 {
		t.Errorf("a short run shows %q", &out)
	}
}

// TestOneThingToDoNeedsNoOtherGoroutine: on a new one the stack would grow again.
func TestOneThingToDoNeedsNoOtherGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	inParallel(1, func(int) {
		if now := runtime.NumGoroutine(); now > before {
			t.Errorf("for one thing to do there are %d goroutines, and there were %d", now, before)
		}
	})
}
