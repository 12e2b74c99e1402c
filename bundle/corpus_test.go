package bundle_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/bundle"
	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/ir"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/scenario"
	"github.com/redress-policy/redress/interp"
)

// Folders of policies, each a set.
var folders = []string{"../testdata/policies/ok", "../testdata/scenarios", "../examples/quickstart"}

var ownBackoff = engine.Func("my-backoff", func(engine.DelayInput) engine.Delay { return engine.Delay{Sleep: time.Second} })

// A corpus is a set in both forms.
type corpus struct {
	source *load.Result
	data   []byte      // the bundle, without the policies that need CEL
	left   []string    // those
	set    *bundle.Set // loaded from data
}

func read(t testing.TB, folder string) *corpus {
	t.Helper()
	source, err := load.FS(os.DirFS(folder), interp.Options{Strategies: map[string]engine.Strategy{"my-backoff": ownBackoff}})
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Diagnostics.Err(); err != nil {
		t.Fatal(err)
	}
	c := &corpus{source: source}
	plain := source.Program.IR()
	for _, p := range source.Program.Policies() {
		if len(p.Fallbacks()) > 0 {
			c.left = append(c.left, p.Name())
		}
	}
	plain.Policies = slices.DeleteFunc(plain.Policies, func(p *ir.Policy) bool { return slices.Contains(c.left, p.Name) })
	if c.data, err = ir.Encode(plain); err != nil {
		t.Fatal(err)
	}
	c.set = c.load(t)
	return c
}

func (c *corpus) load(t testing.TB) *bundle.Set {
	t.Helper()
	set, err := bundle.Load(c.data, bundle.WithStrategy("my-backoff", ownBackoff))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// fresh makes the bundle's policies anew, in the order of the source; those that are not
// in the bundle are the source's.
func (c *corpus) fresh(t testing.TB) []*engine.Policy {
	set, built := c.load(t), c.source.Program.Build()
	for i, p := range built {
		if !slices.Contains(c.left, p.Name()) {
			built[i] = set.MustPolicy(p.Name())
		}
	}
	return built
}

// TestScenariosComeOutAlikeOnBundles runs every scenario on the policies of the bundle.
func TestScenariosComeOutAlikeOnBundles(t *testing.T) {
	ran := 0
	for _, folder := range folders {
		c := read(t, folder)
		report := scenario.Run(c.source.Program, c.source.Set, scenario.Options{Build: func() []*engine.Policy { return c.fresh(t) }})
		for _, result := range report.Results {
			if len(result.Failures) > 0 {
				t.Errorf("%v", result)
			}
			if result.Scenario {
				ran++
			}
		}
	}
	if ran < 100 {
		t.Errorf("only %d scenarios ran", ran)
	}
}

// TestMostPoliciesFitIntoBundles keeps the other tests from comparing little.
func TestMostPoliciesFitIntoBundles(t *testing.T) {
	for _, folder := range folders {
		c := read(t, folder)
		if len(c.left) > 2 || len(c.set.Names()) == 0 {
			t.Errorf("%s: %d policies are in the bundle, and %v are not", folder, len(c.set.Names()), c.left)
		}
	}
}

// TestCasesComeOutAlikeOnBundles asks policies of both forms about every record of the
// tests in the documents.
func TestCasesComeOutAlikeOnBundles(t *testing.T) {
	asked := 0
	for _, folder := range folders {
		c := read(t, folder)
		for doc := range c.source.Set.All() {
			if doc.Test == nil || slices.Contains(c.left, doc.Test.Policy.V) {
				continue
			}
			policy := c.source.Program.Policy(doc.Test.Policy.V)
			for i := range doc.Test.Cases {
				one := &doc.Test.Cases[i]
				for _, r := range slices.Concat([]dsl.Record{one.Err, one.Result}, one.Each, one.EachResult) {
					if record, found := policy.Failure(&r); r.Set && len(found) == 0 {
						c.compare(t, policy, record, one.Operation.V)
						asked++
					}
				}
			}
		}
	}
	if asked < 100 {
		t.Errorf("only %d records were tried", asked)
	}
}

// TestRandomFailuresAreJudgedAlikeByBundles asks policies of both forms about failures of
// all kinds, also such whose attributes are not what the policy declares.
func TestRandomFailuresAreJudgedAlikeByBundles(t *testing.T) {
	for _, folder := range folders {
		c := read(t, folder)
		random := rand.New(rand.NewPCG(4, 15))
		for _, policy := range c.source.Program.Policies() {
			if slices.Contains(c.left, policy.Name()) {
				continue
			}
			for range 300 {
				c.compare(t, policy, randomFailure(random, policy.Attributes()), pick(random, "", "payments.charge", "x"))
			}
		}
	}
}

// compare asks the lists of both forms, and fails if they differ in a word.
func (c *corpus) compare(t *testing.T, policy *interp.Policy, f *engine.Failure, op string) {
	t.Helper()
	one, other := policy.Spec(), c.set.MustPolicy(policy.Name()).Spec()
	in := engine.Input{Failure: f, Operation: op, Attempt: 2, Elapsed: 3 * time.Second, Remaining: time.Minute, Idempotent: true}
	want, got := judge(one, in), judge(other, in)
	if want != got {
		t.Fatalf("policy %s, on %+v\nthe source says %s\nthe bundle says %s", policy.Name(), *f, want, got)
	}
}

// judge tells everything that a policy's rules say of one failure.
func judge(spec engine.Spec, in engine.Input) string {
	var b strings.Builder
	ask := in
	verdict := spec.Classify(&ask)
	fmt.Fprintf(&b, "classify %+v", verdict)
	if spec.ClassifyResult != nil {
		ask = in
		result := spec.ClassifyResult(&ask)
		fmt.Fprintf(&b, "; classify_result %+v", result)
		if spec.SilentResult(in.Failure.Status) && (result.Class != engine.NoClass || result.Errors != nil) {
			b.WriteString(", of which it said that there is nothing")
		}
	}
	if spec.Select != nil {
		ask = in
		ask.Class, ask.ClassAttempt, ask.RetryAfter, ask.HasRetryAfter = verdict.Class, 1, verdict.RetryAfter, verdict.HasRetryAfter
		fmt.Fprintf(&b, "; select %+v", spec.Select(&ask))
	}
	return b.String()
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func randomFailure(r *rand.Rand, declared map[string]string) *engine.Failure {
	f := &engine.Failure{
		Status:  pick(r, 0, 0, 200, 202, 400, 401, 403, 404, 408, 409, 412, 425, 429, 500, 502, 503, 504, 599),
		Code:    pick(r, "", "", "RATE", "QUOTA", "40001", "40P01", "23505", "08006", "UNAVAILABLE", "ABORTED", "ECONNRESET", "LOADING", "MOVED", "ThrottlingException", "BUSY"),
		Kind:    engine.Kind(pick(r, dsl.KindNames()...)),
		Phase:   engine.Phase(pick(r, dsl.PhaseNames()...)),
		Message: pick(r, "", "server busy", "connection reset by peer", "Überlast", "i/o timeout"),
		Type:    pick(r, "", "*net.OpError", "*pgconn.PgError"),
		Timeout: r.IntN(4) == 0,
		Headers: pick(r, nil, map[string]string{"retry-after": "3"}, map[string]string{"x-reason": "quota", "content-type": "text/html"}),
	}
	if r.IntN(3) == 0 {
		f.HasRetryAfter, f.RetryAfter = true, pick(r, 0, time.Second, time.Hour, -time.Second)
	}
	for range r.IntN(3) {
		f.Causes = append(f.Causes, engine.CauseRecord{Type: pick(r, "*url.Error", "x"), Message: pick(r, "busy", "eof"), Code: pick(r, "", "RATE"), Status: pick(r, 0, 503)})
	}
	values := map[string]any{
		"string": pick(r, "", "gold", "insufficient_funds"), "int": int64(r.IntN(5)), "double": pick(r, 0, 0.5, 2.0), "bool": r.IntN(2) == 0,
		"duration": pick(r, 0, time.Second, time.Hour), "list(string)": pick(r, nil, []string{"a", "b"}), "map(string, string)": pick(r, nil, map[string]string{"day": "5"}),
	}
	for name, typ := range declared {
		switch r.IntN(3) {
		case 0:
			set(f, name, values[typ])
		case 1:
			set(f, name, pick[any](r, "other", int64(7), true))
		}
	}
	return f
}

// TestTwoBuildsOfOneSetHaveTheSameBytes loads the documents twice.
func TestTwoBuildsOfOneSetHaveTheSameBytes(t *testing.T) {
	for _, folder := range folders {
		one, two := read(t, folder), read(t, folder)
		if string(one.data) != string(two.data) || one.set.Digest() != two.set.Digest() {
			t.Errorf("%s: digests %s and %s", folder, one.set.Digest(), two.set.Digest())
		}
		decoded, err := ir.Decode(one.data)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ir.Encode(decoded.Set); err != nil || string(again) != string(one.data) {
			t.Errorf("%s: a bundle of what was read from a bundle is another one: %v", folder, err)
		}
	}
}

// TestARuleThatNeedsCELIsInNoBundle: neither its condition nor its hint can.
func TestARuleThatNeedsCELIsInNoBundle(t *testing.T) {
	for _, rule := range []string{
		`{id: odd, when: 'err.headers[?"x"].optMap(v, v == "1").orValue(false)', class: TRANSIENT}`,
		`{id: odd, when: err.status == 503, class: TRANSIENT, retry_after: 'err.headers[?"x"].optMap(v, duration(v)).orValue(duration("1s"))'}`,
	} {
		loaded := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: p\nclassify: ["+rule+"]\n"))}, interp.Options{})
		if err := loaded.Diagnostics.Err(); err != nil {
			t.Fatal(err)
		}
		var unsupported *ir.UnsupportedError
		if _, err := ir.Encode(loaded.Program.IR()); !errors.As(err, &unsupported) || unsupported.Rule != "odd" {
			t.Errorf("Encode = %v, want an error that names the rule", err)
		}
		if left := loaded.Program.Policies()[0].Fallbacks(); len(left) != 1 || left[0].Rule != "odd" {
			t.Errorf("Fallbacks = %v, want the rule", left)
		}
	}
}

// TestPoliciesOfABundleShareWhatTheyNamed compares breakers and budgets with the source's.
func TestPoliciesOfABundleShareWhatTheyNamed(t *testing.T) {
	shared := 0
	for _, folder := range folders {
		c := read(t, folder)
		source, built := c.source.Program.Build(), c.fresh(t)
		for i := range source {
			for j := range i {
				if slices.Contains(c.left, source[i].Name()) || slices.Contains(c.left, source[j].Name()) {
					continue
				}
				want, got := source[i].Breaker() == source[j].Breaker(), built[i].Breaker() == built[j].Breaker()
				wantBudget, gotBudget := source[i].Budget() == source[j].Budget(), built[i].Budget() == built[j].Budget()
				if want != got || wantBudget != gotBudget {
					t.Errorf("%s and %s: shared in the source %v, %v, in the bundle %v, %v", source[i].Name(), source[j].Name(), want, wantBudget, got, gotBudget)
				}
				if want && source[i].Breaker() != nil {
					shared++
				}
			}
		}
	}
	if shared == 0 {
		t.Error("no policies share a breaker")
	}
}

// TestNumbersOfPoliciesAreTheSameInBundles compares everything of specs that can be
// compared.
func TestNumbersOfPoliciesAreTheSameInBundles(t *testing.T) {
	for _, folder := range folders {
		c := read(t, folder)
		for _, policy := range c.source.Program.Policies() {
			if slices.Contains(c.left, policy.Name()) {
				continue
			}
			want, got := tell(policy.Spec()), tell(c.set.MustPolicy(policy.Name()).Spec())
			if want != got {
				t.Errorf("policy %s\nof the source %s\nof the bundle %s", policy.Name(), want, got)
			}
		}
	}
}

func tell(s engine.Spec) string {
	s.Classify, s.ClassifyResult, s.Select, s.SilentResult = nil, nil, nil, nil
	breaker, budget := s.Breaker, s.Budget
	s.Breaker, s.Budget = nil, nil
	text := tellStrategies(s)
	s.Strategy, s.Classes, s.Selectable = nil, nil, nil
	text += fmt.Sprintf(" %+v", s)
	if breaker != nil {
		text += fmt.Sprintf(" breaker %+v", breaker.Spec())
	}
	if budget != nil {
		text += fmt.Sprintf(" budget %+v", budget.Spec())
	}
	return text
}

// tellStrategies asks every strategy for some delays, adaptive ones included.
func tellStrategies(s engine.Spec) string {
	var b strings.Builder
	tell := func(what string, x engine.Strategy) {
		if x == nil {
			return
		}
		fmt.Fprintf(&b, "%s %s:", what, x.Name())
		for attempt := range 4 {
			for _, hint := range []bool{false, true} {
				d := x.Delay(engine.DelayInput{Attempt: attempt + 1, U: 0.37, Class: engine.Transient, Hint: 5 * time.Second, HasHint: hint, Remaining: time.Minute})
				fmt.Fprintf(&b, " %v %v", d.Sleep, d.Stop)
			}
		}
		b.WriteByte('\n')
	}
	tell("strategy", s.Strategy)
	for _, class := range engine.Classes() {
		tell(class.String(), s.Classes[class].Strategy)
		fmt.Fprintf(&b, "%d", s.Classes[class].MaxAttempts)
	}
	for i, x := range s.Selectable {
		tell(fmt.Sprint("select ", i), x)
	}
	return b.String()
}

func set(f *engine.Failure, name string, value any) {
	if f.Attributes == nil {
		f.Attributes = map[string]any{}
	}
	f.Attributes[name] = value
}
