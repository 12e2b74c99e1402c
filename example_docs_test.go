package redress_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redressreplay"
)

// The Examples here hold the code that the pages for people quote. What surrounds
// the quotation only makes it run.

// A Receipt is what charging gives in the pages.
type Receipt struct{ Number int }

// An Order is what is charged.
type Order struct{}

// A paymentsClient is the dependency of the pages. It gives its answers in turn; the
// last one repeats.
type paymentsClient struct{ answers []error }

func (c *paymentsClient) Charge(context.Context, Order) (Receipt, error) {
	answer := c.answers[0]
	if len(c.answers) > 1 {
		c.answers = c.answers[1:]
	}
	if answer != nil {
		return Receipt{}, answer
	}
	return Receipt{Number: 17}, nil
}

var errDeclined = errors.New("card declined")

func isDeclined(err error) bool { return errors.Is(err, errDeclined) }

// inFolder changes to a new folder in which the policy of the examples stands under
// policies/, until leave is called.
func inFolder() (leave func()) {
	before, err := os.Getwd()
	must(err)
	dir, err := os.MkdirTemp("", "redress")
	must(err)
	must(os.Mkdir(filepath.Join(dir, "policies"), 0o755))
	text := []byte("apiVersion: redress/v1\nkind: Policy\nname: payments-api\nclassify: [{use: std.http}]\n")
	must(os.WriteFile(filepath.Join(dir, "policies", "payments-api.yaml"), text, 0o644))
	must(os.Chdir(dir))
	return func() {
		must(os.Chdir(before))
		must(os.RemoveAll(dir))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func Example() {
	defer inFolder()()
	ctx, client, order := context.Background(), &paymentsClient{answers: []error{nil}}, Order{}

	set, err := redress.Load(os.DirFS("policies"))
	if err != nil {
		log.Fatal(err) // every mistake, with its line, a caret and what to write instead
	}
	receipt, err := redress.Call(ctx, set.MustPolicy("payments-api"), func(ctx context.Context) (Receipt, error) {
		return client.Charge(ctx, order)
	})

	fmt.Println(receipt, err)
	// Output:
	// {17} <nil>
}

// README: read why a call stopped.
func Example_stopped() {
	log := log.New(os.Stdout, "", 0)
	_, err := redress.Call(context.Background(), payments(), answers(401))

	if stopped, ok := errors.AsType[*redress.Error](err); ok {
		log.Println(stopped.Policy, stopped.Reason, stopped.Class, stopped.Rule, stopped.Attempts)
	}
	// Output:
	// payments NON_RETRYABLE_CLASS AUTH std.http/unauthorized 1
}

// The guide: fields of the error.
func Example_guideStopped() {
	_, err := redress.Call(context.Background(), payments(), answers(503), virtualTime())

	stopped, ok := errors.AsType[*redress.Error](err)
	if ok {
		fmt.Println(stopped.Reason, stopped.Class, stopped.Rule, stopped.Attempts)
	}
	// Output:
	// MAX_ATTEMPTS_GLOBAL SERVER_ERROR std.http/server-error 3
}

// README and guide: the story of a call.
func Example_explain() {
	charge := answers(503, 429, 0)
	ctx, policy := context.Background(), payments().Bind(virtualTime(), middle, redress.WithOperation("payments.charge"))

	outcome := redress.Execute(ctx, policy, charge, redress.WithTimeline())
	fmt.Print(outcome.Explain())
	// Output:
	// payments payments.charge: SUCCESS after 3 attempts in 2.63s
	//         +0s  attempt 1 failed: SERVER_ERROR by rule std.http/server-error (took 0s): retry in 1s, says constant
	//         +1s  attempt 2 failed: RATE_LIMIT by rule throttled (took 0s): retry in 1.63s, says retry_after_or
	//      +2.63s  attempt 3 succeeded (took 0s)
}

// A clockless stands for package time in the loop of the migration guide.
type clockless struct{}

func (clockless) Sleep(time.Duration) {}

func backoffFor(n int) time.Duration { return 100 * time.Millisecond << n }

// Migration guide: the loop, and what replaces it.
func Example_migrateLoop() {
	client, order, time := &paymentsClient{answers: []error{answered(503)}}, Order{}, clockless{}
	loop := func(ctx context.Context) (Receipt, error) {
		var lastErr error
		for i := range 5 {
			receipt, err := client.Charge(ctx, order)
			if err == nil {
				return receipt, nil
			}
			if isDeclined(err) {
				return Receipt{}, err
			}
			lastErr = err
			time.Sleep(backoffFor(i))
		}
		return Receipt{}, fmt.Errorf("charging failed: %w", lastErr)
	}
	policy := payments().Bind(virtualTime())
	call := func(ctx context.Context) (Receipt, error) {
		return redress.Call(ctx, policy, func(ctx context.Context) (Receipt, error) {
			return client.Charge(ctx, order)
		}, redress.WithOperation("payments.charge"))
	}

	_, before := loop(context.Background())
	_, after := call(context.Background())
	fmt.Println(before)
	fmt.Println(after)
	// Output:
	// charging failed: server answered 503
	// payments: payments.charge: MAX_ATTEMPTS_GLOBAL after 3 attempts in 2s (SERVER_ERROR by rule std.http/server-error): server answered 503
}

// A backoffLibrary and a breakerLibrary have just what the migration guide quotes.
type backoffLibrary struct{}

func (backoffLibrary) Retry(_ context.Context, fn func() (Receipt, error), _ ...int) (Receipt, error) {
	return fn()
}
func (backoffLibrary) Permanent(err error) error            { return err }
func (backoffLibrary) WithMaxTries(int) int                 { return 0 }
func (backoffLibrary) WithMaxElapsedTime(time.Duration) int { return 0 }

type breakerLibrary struct{}

func (breakerLibrary) Execute(fn func() (Receipt, error)) (Receipt, error) { return fn() }

// Migration guide: a backoff library around a breaker, before.
func Example_migrateLibraries() {
	ctx, client, order := context.Background(), &paymentsClient{answers: []error{nil}}, Order{}
	backoff, breaker := backoffLibrary{}, breakerLibrary{}

	receipt, err := backoff.Retry(ctx, func() (Receipt, error) {
		receipt, err := breaker.Execute(func() (Receipt, error) {
			return client.Charge(ctx, order)
		})
		if isDeclined(err) {
			return receipt, backoff.Permanent(err)
		}
		return receipt, err
	}, backoff.WithMaxTries(5), backoff.WithMaxElapsedTime(time.Minute))

	fmt.Println(receipt, err)
	// Output:
	// {17} <nil>
}

// Migration guide: and after, with what asked for the open breaker.
func Example_migrateBreaker() {
	order, policy := Order{}, func() *redress.Policy {
		set, err := redress.Parse("payments.yaml", []byte(`
apiVersion: redress/v1
kind: Policy
name: payments-api
classify: [{use: std.http}]
retry: {max_attempts: 1}
circuit_breaker: {failure_threshold: 1}
`))
		must(err)
		return set.MustPolicy("payments-api")
	}()
	client := &paymentsClient{answers: []error{answered(503)}}
	queueForLater := func(Order) error {
		fmt.Println("queued")
		return nil
	}
	charge := func(ctx context.Context) error {
		receipt, err := redress.Call(ctx, policy, func(ctx context.Context) (Receipt, error) {
			return client.Charge(ctx, order)
		}, redress.WithOperation("payments.charge"))

		if stopped, ok := errors.AsType[*redress.Error](err); ok && stopped.Reason == redress.CircuitOpen {
			return queueForLater(order)
		}
		if err == nil {
			fmt.Println(receipt)
		}
		return err
	}
	fmt.Println(charge(context.Background()) != nil)
	fmt.Println(charge(context.Background()))
	// Output:
	// true
	// queued
	// <nil>
}

// A tally counts events by labels, as a metrics library would.
type tally map[string]int

func (c tally) Inc(event string, labels ...string) { c[event+" "+strings.Join(labels, " ")]++ }

// Operations: observers for a whole set.
func Example_observers() {
	defer inFolder()()
	counters, logger := tally{}, slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))

	metrics := redress.MetricHook(func(event string, attempt int, sleep time.Duration, labels map[string]string) {
		counters.Inc(event, labels["policy"], labels["class"], labels["rule"], labels["stop_reason"])
	})
	logs := redress.SlogObserver(logger)
	set, err := redress.Load(os.DirFS("policies"), redress.WithPolicyObserver(redress.Observers(metrics, logs)))

	must(err)
	redress.Execute(context.Background(), set.MustPolicy("payments-api"), answers(503, 401), virtualTime(), middle)
	for _, line := range slices.Sorted(maps.Keys(counters)) {
		fmt.Println(line, counters[line])
	}
	// Output:
	// level=INFO msg=retry policy=payments-api class=SERVER_ERROR rule=std.http/server-error strategy=decorrelated_jitter cause=error attempt=1 elapsed=0s sleep=500ms error="server answered 503"
	// level=WARN msg=permanent_fail policy=payments-api class=AUTH rule=std.http/unauthorized cause=error stop_reason=NON_RETRYABLE_CLASS attempt=2 elapsed=500ms error="server answered 401"
	// attempt_end payments-api AUTH std.http/unauthorized NON_RETRYABLE_CLASS 1
	// attempt_end payments-api SERVER_ERROR std.http/server-error  1
	// attempt_start payments-api    2
	// permanent_fail payments-api AUTH std.http/unauthorized NON_RETRYABLE_CLASS 1
	// retry payments-api SERVER_ERROR std.http/server-error  1
}

// Operations: a change is tried on failures that happen, live and recorded.
func Example_replay() {
	defer inFolder()()
	must(os.CopyFS("next", os.DirFS("policies")))
	must(os.WriteFile("next/payments-api.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: payments-api\nclassify: [{id: busy, when: err.status == 503, class: RATE_LIMIT}]\n"), 0o644))
	file, err := os.Create("events.jsonl")
	must(err)
	logs := redress.SlogObserver(slog.New(slog.DiscardHandler))

	recorder, err := redressreplay.Record(file, redressreplay.RecordOptions{
		Fields: redressreplay.Fields{Headers: []string{"Retry-After"}, Attributes: []string{"region"}},
	})
	must(err)
	next, err := redress.Load(os.DirFS("next"))
	must(err)
	candidate, err := redressreplay.Shadow(next, redressreplay.ShadowOptions{})
	must(err)
	set, err := redress.Load(os.DirFS("policies"), redress.WithPolicyObserver(redress.Observers(logs, recorder, candidate)))

	must(err)
	_, err = redress.Call(context.Background(), set.MustPolicy("payments-api"), answers(503, 0), virtualTime())
	must(err)
	must(recorder.Close())
	must(file.Close())
	for _, d := range candidate.Report().Differences {
		fmt.Println(d.Policy, d.Class, d.Rule, "->", d.NewClass, d.NewRule, d.Count)
	}
	written, err := os.ReadFile("events.jsonl")
	must(err)
	fmt.Println(strings.Count(string(written), "\n"), "failure is recorded")
	// Output:
	// payments-api SERVER_ERROR std.http/server-error -> RATE_LIMIT busy 1
	// 1 failure is recorded
}

// A live set follows its folder, and tells of what has changed.
func ExampleWatch() {
	defer inFolder()()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	set, err := redress.Watch(ctx, redress.Dir("policies"),
		redress.Every(10*time.Second),
		redress.WithPolicyObserver(redress.SlogObserver(logger)))

	must(err)
	payments := set.MustPolicy("payments-api")
	fmt.Println(payments.Deadline())
	text := []byte("apiVersion: redress/v1\nkind: Policy\nname: payments-api\nclassify: [{use: std.http}]\nretry: {deadline: 5s}\n")
	must(os.WriteFile(filepath.Join("policies", "payments-api.yaml"), text, 0o644))
	must(set.Reload(ctx))
	fmt.Println(payments.Deadline())
	// Output:
	// 1m0s
	// level=INFO msg=policy_reloaded attempt=0 elapsed=0s note="documents: 1 changed; shared state: none changed" old_revision=ded537ee0d36 new_revision=e5c5fb9acf45 from=policies changes="Policy payments-api: changed: retry.deadline"
	// 5s
}

// A policy goes from shadow to enforcement, is switched off by an override in a layer of
// its own, and rolled back.
func ExampleLayers() {
	defer inFolder()()
	must(os.Mkdir("emergency", 0o755))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	source := redress.Layers(
		redress.Layer{Name: "base", Source: redress.Dir("policies")},
		redress.Layer{Name: "emergency", Source: redress.Dir("emergency")})

	put := func(path, text string) {
		must(os.WriteFile(filepath.FromSlash(path), []byte("apiVersion: redress/v1\n"+text), 0o644))
	}
	payments := func(more string) {
		put("policies/payments-api.yaml", "kind: Policy\nname: payments-api\nclassify: [{use: std.http}]\n"+more)
	}
	payments("mode: shadow\n")
	set, err := redress.Watch(ctx, source, redress.WithPolicyObserver(redress.ObserverFunc(func(_ context.Context, e redress.Event) {
		if e.Reload != nil {
			fmt.Println(e.Kind, e.Reload.Changes, e.Err)
		} else if e.Note != "" && e.Decision != 0 {
			fmt.Println(e.Class, "by", e.Rule, "-", e.Note)
		}
	})))
	must(err)
	call := func() {
		o := redress.Execute(ctx, set.MustPolicy("payments-api"), answers(503, 0), virtualTime(), middle)
		fmt.Println(o.Reason, o.Attempts)
	}
	call()
	payments("retry: {strategy: immediate}\n")
	must(set.Reload(ctx))
	call()
	put("emergency/off.yaml", "kind: Override\nname: incident-4711\npolicy: payments-api\nexpires: 2999-12-31\nset: {mode: off}\n")
	must(set.Reload(ctx))
	call()
	must(os.Remove("emergency/off.yaml"))
	payments("")
	must(set.Reload(ctx))
	call()
	// Output:
	// SERVER_ERROR by std.http/server-error - in shadow: the policy would retry in 500ms, says decorrelated_jitter
	// MAX_ATTEMPTS_GLOBAL 1
	// policy_reloaded [Policy payments-api: changed: mode, retry.strategy] <nil>
	// SUCCESS 2
	// policy_reloaded [Override incident-4711: added] <nil>
	//  by  - the policy is off
	// MAX_ATTEMPTS_GLOBAL 1
	// policy_reloaded [Override incident-4711: removed Policy payments-api: changed: retry.strategy] <nil>
	// SUCCESS 2
}
