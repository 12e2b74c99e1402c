package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/avast/retry-go/v5"
	"github.com/cenkalti/backoff/v5"
	"github.com/eapache/go-resiliency/breaker"
	"github.com/eapache/go-resiliency/retrier"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	goretry "github.com/sethvargo/go-retry"
	"github.com/sony/gobreaker/v2"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
)

// The comparison
//
// Every library makes the same call: an operation that takes a context and returns a
// response and an error, under as much of the following as the library offers.
//
//   - at most three attempts, nothing to sleep between them
//   - a deadline of 60s for the call
//   - retries for statuses 408, 429 and 5xx, none for other errors
//   - a circuit breaker over a rolling window of 10s
//   - a budget for retries, which is never exhausted
//
// What each is configured to do, and what it cannot do, is said at its entry in
// libraries. What can be made in advance (policies, options, adapters between the
// operation and the signature that a library wants) is made once for each goroutine,
// for every library, unless its API asks for a new one with each call.
// TestCallsDoTheSame counts attempts and looks at results.
//
// mercari/go-circuitbreaker, which not every module proxy has, is in mercari_test.go.

type (
	operation = func(context.Context) (*http.Response, error)
	// A caller is a call of one goroutine, ready to be made.
	caller = func() (*http.Response, error)
	// A binder makes a caller of an operation.
	binder = func(context.Context, operation) caller
)

// A scenario is what happens to a call.
type scenario struct {
	name     string
	attempts int              // that each call makes
	ok       bool             // the call succeeds
	retries  bool             // there is more than one attempt
	open     bool             // the breaker is open
	watch    bool             // the operation asks its context for Done
	make     func() operation // one for each goroutine
}

var scenarios = []scenario{
	// The first attempt succeeds.
	{name: "success", attempts: 1, ok: true, make: succeeding},
	// The same; the operation asks its context for Done, as HTTP clients do.
	{name: "watched", attempts: 1, ok: true, watch: true, make: watching},
	// Two attempts fail with 503, the third succeeds.
	{name: "third", attempts: 3, ok: true, retries: true, make: thirdTime},
	// Three attempts fail with 503, and the call with them.
	{name: "giveup", attempts: 3, retries: true, make: func() operation { return failing(unavailable) }},
	// One attempt fails with 400, which is not retried.
	{name: "stop", attempts: 1, make: func() operation { return failing(badRequest) }},
	// The breaker is open and refuses the call.
	{name: "open", attempts: 0, open: true, make: func() operation { return failing(unavailable) }},
}

var (
	response    = &http.Response{StatusCode: http.StatusOK}
	unavailable = &statusError{http.StatusServiceUnavailable, "service unavailable"}
	badRequest  = &statusError{http.StatusBadRequest, "bad request"}
)

// A statusError is what clients make of an HTTP status.
type statusError struct {
	status  int
	message string
}

func (e *statusError) Error() string   { return e.message }
func (e *statusError) StatusCode() int { return e.status }

func succeeding() operation {
	return func(context.Context) (*http.Response, error) { return response, nil }
}

func watching() operation {
	return func(ctx context.Context) (*http.Response, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		default:
			return response, nil
		}
	}
}

func thirdTime() operation {
	n := 0
	return func(context.Context) (*http.Response, error) {
		if n++; n%3 != 0 {
			return nil, unavailable
		}
		return response, nil
	}
}

func failing(err error) operation {
	return func(context.Context) (*http.Response, error) { return nil, err }
}

// retryable is the classification for libraries that take a function: what the rules
// of policyText say.
func retryable(err error) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && retryableStatus(e.status)
}

func retryableStatus(status int) bool {
	switch {
	case status == 429:
		return true
	case status == 502 || status == 503 || status == 504:
		return true
	case status == 408:
		return true
	case status >= 500 && status < 600:
		return true
	case status >= 400 && status < 500:
		return false
	}
	return false
}

// retryableResult is the same for errors and results.
func retryableResult(r *http.Response, err error) bool {
	if err != nil {
		return retryable(err)
	}
	return r != nil && retryableStatus(r.StatusCode)
}

const (
	maxAttempts = 3
	deadline    = 60 * time.Second
	patience    = time.Second      // attempt timeout
	rolling     = 10 * time.Second // window of breakers that have one
	recovery    = time.Hour        // of breakers: longer than any benchmark
	never       = 1 << 30          // failures: the breaker stays closed
)

// threshold is how many failures open a breaker. Where attempts fail on purpose, it is
// never reached.
func (s scenario) threshold() int {
	if s.retries {
		return never
	}
	return 5
}

// A library is one row.
type library struct {
	name    string
	breaks  bool // has a breaker
	retries bool // has retries
	bounds  bool // the operation's context ends at a deadline of the call or the attempt; of bare, to compare with
	build   func(testing.TB, scenario) binder
}

// takes reports whether the library can do what the scenario needs.
func (l library) takes(s scenario) bool {
	return (!s.retries || l.retries) && (!s.open || l.breaks) && (!s.watch || l.bounds)
}

var libraries = []library{
	// A call and nothing else: the operation gets the caller's context.
	{name: "bare", bounds: true, build: bare},
	// A loop as written by hand: attempts, classification, deadline, end of the caller's
	// context. Nothing shared between calls, no context for the operation.
	{name: "loop", retries: true, build: loop(retryLoop)},
	// The same, looking at results too.
	{name: "loop+results", retries: true, build: loop(resultLoop)},

	// A policy from YAML: retries by class after five rules, deadline, budget, breaker.
	// The operation's context ends at the deadline.
	{name: "redress", retries: true, breaks: true, bounds: true, build: fromYAML(policyOptions{}, call)},
	{name: "redress.Do", retries: true, breaks: true, bounds: true, build: fromYAML(policyOptions{}, do)},
	{name: "redress.Execute", retries: true, breaks: true, bounds: true, build: fromYAML(policyOptions{}, execute)},
	// The same with an observer that does nothing.
	{name: "redress+observer", retries: true, breaks: true, bounds: true, build: fromYAML(policyOptions{observed: true}, call)},
	// The same without observer, with five rules for results.
	{name: "redress+results", retries: true, breaks: true, bounds: true, build: fromYAML(policyOptions{results: true}, call)},
	// The same with a timeout for each attempt, shorter than the deadline.
	{name: "redress+timeout", retries: true, breaks: true, bounds: true, build: fromYAML(policyOptions{timeout: true}, call)},

	// The operation gets the caller's context: the deadline bounds attempts and sleeps, but
	// does not interrupt an attempt, as in most libraries below.
	{name: "redress-ctx", retries: true, breaks: true, build: fromYAML(policyOptions{lean: true}, call)},
	// The same with an observer that logs failures, and has nothing to do here.
	{name: "redress-ctx+log", retries: true, breaks: true, build: fromYAML(policyOptions{lean: true, logged: true}, call)},
	// The same with five rules for results; with an observer that is told everything and
	// does nothing.
	{name: "redress-ctx+results", retries: true, breaks: true, build: fromYAML(policyOptions{lean: true, results: true}, call)},
	{name: "redress-ctx+results+observer", retries: true, breaks: true, build: fromYAML(policyOptions{lean: true, results: true, observed: true}, call)},

	// The engine without rules of CEL. It has no call without a deadline.
	{name: "engine-retry", retries: true, bounds: true, build: engineRetry},
	{name: "engine-breaker", breaks: true, bounds: true, build: engineBreaker},

	// Retries by predicate. Policies are reused, the operation does not see the call's
	// context, and a deadline there is only with the timeout policy.
	{name: "failsafe-retry", retries: true, build: failsafeGo(failsafeOptions{retry: true})},
	{name: "failsafe-breaker", breaks: true, build: failsafeGo(failsafeOptions{breaker: true})},
	{name: "failsafe-retry-breaker", retries: true, breaks: true, build: failsafeGo(failsafeOptions{retry: true, breaker: true})},
	// The same, looking at results too.
	{name: "failsafe-results", retries: true, breaks: true, build: failsafeGo(failsafeOptions{retry: true, breaker: true, results: true})},
	// A timeout for the call, retries with a budget, a breaker. Its breaker counts
	// attempts, redress's counts calls; its budget bounds the share of retries among
	// calls in flight, redress's their number in a window.
	{name: "failsafe-all", retries: true, breaks: true, build: failsafeGo(failsafeOptions{timeout: true, retry: true, breaker: true})},
	// The same with the caller's context, which its API binds to a new executor for each
	// call, handed on to the operation.
	{name: "failsafe-all-context", retries: true, breaks: true, bounds: true, build: failsafeGo(failsafeOptions{timeout: true, retry: true, breaker: true, context: true})},

	// A breaker over a rolling window of ten buckets of one second. No retries.
	{name: "gobreaker", breaks: true, build: sonyBreaker},
	// A breaker that counts errors, all of them alike, without a window. No retries.
	{name: "eapache-breaker", breaks: true, build: eapacheBreaker},

	// Retries with a deadline, checked between attempts. A zero delay arms a timer. What
	// must not be retried is wrapped by the operation. Options are prepared.
	{name: "cenkalti", retries: true, build: cenkalti},
	// Retries by predicate, no deadline. A zero delay arms a timer. The retrier is
	// reused, as its documentation asks; so it cannot have the call's context.
	{name: "avast", retries: true, build: avast},
	// The same with the caller's context, which needs a new retrier for each call.
	{name: "avast-context", retries: true, build: avastContext},
	// Retries of errors that the operation wraps. Its constant backoff refuses zero; a
	// BackoffFunc can return it, and arms a timer. Backoffs count, so each call makes
	// one. No deadline.
	{name: "sethvargo", retries: true, build: sethvargo},
	// Retries by classifier; zero delays arm timers. No deadline; the value is left in a
	// variable.
	{name: "eapache-retrier", retries: true, build: eapacheRetrier},

	// What one assembles without this module: context.WithTimeout around cenkalti around
	// gobreaker.
	{name: "assembled", retries: true, breaks: true, bounds: true, build: assembled},
}

// BenchmarkCalls measures one call, on as many goroutines as there are processors:
// use -cpu=1,2.
func BenchmarkCalls(b *testing.B) {
	for _, s := range scenarios {
		b.Run(s.name, func(b *testing.B) {
			for _, l := range libraries {
				if !l.takes(s) {
					continue
				}
				bind := l.build(b, s)
				b.Run(l.name, func(b *testing.B) {
					b.ReportAllocs()
					ctx := b.Context()
					b.RunParallel(func(pb *testing.PB) {
						call := bind(ctx, s.make())
						for pb.Next() {
							if _, err := call(); (err == nil) != s.ok {
								b.Errorf("the call ended with %v", err)
								return
							}
						}
					})
				})
			}
		})
	}
}

// TestCallsDoTheSame checks that every library does what its scenario says.
func TestCallsDoTheSame(t *testing.T) {
	for _, s := range scenarios {
		for _, l := range libraries {
			if !l.takes(s) {
				continue
			}
			t.Run(s.name+"/"+l.name, func(t *testing.T) {
				n := 0
				op := s.make()
				counted := func(ctx context.Context) (*http.Response, error) {
					n++
					return op(ctx)
				}
				call := l.build(t, s)(t.Context(), counted)
				const calls = 50
				for range calls {
					r, err := call()
					if (err == nil) != s.ok || s.ok && r != response {
						t.Fatalf("it ended with %v, %v", r, err)
					}
				}
				if n != calls*s.attempts {
					t.Errorf("%d attempts in %d calls, want %d each", n, calls, s.attempts)
				}
			})
		}
	}
}

func bare(testing.TB, scenario) binder {
	return func(ctx context.Context, op operation) caller {
		return func() (*http.Response, error) { return op(ctx) }
	}
}

func loop(run func(context.Context, operation) (*http.Response, error)) func(testing.TB, scenario) binder {
	return func(testing.TB, scenario) binder {
		return func(ctx context.Context, op operation) caller {
			return func() (*http.Response, error) { return run(ctx, op) }
		}
	}
}

func retryLoop(ctx context.Context, op operation) (*http.Response, error) {
	start := time.Now()
	for attempt := 1; ; attempt++ {
		r, err := op(ctx)
		if err == nil || !retryable(err) || attempt == maxAttempts || ctx.Err() != nil || time.Since(start) >= deadline {
			return r, err
		}
	}
}

func resultLoop(ctx context.Context, op operation) (*http.Response, error) {
	start := time.Now()
	for attempt := 1; ; attempt++ {
		r, err := op(ctx)
		if !retryableResult(r, err) || attempt == maxAttempts || ctx.Err() != nil || time.Since(start) >= deadline {
			return r, err
		}
	}
}

// policyOptions are the variants of the policy.
type policyOptions struct{ timeout, results, observed, logged, lean bool }

// policyText writes the policy for a scenario. Where retries are made all the time,
// the windows of budget and breaker are so short that the one is never exhausted and
// the other never opens; both count all the same.
func policyText(o policyOptions, s scenario) string {
	rules := func(list, record, prefix string) string {
		return fmt.Sprintf(`
%[1]s:
  - {id: %[3]sthrottled, when: %[2]s.status == 429, class: RATE_LIMIT}
  - {id: %[3]sunavailable, when: '%[2]s.status in [502, 503, 504]', class: TRANSIENT}
  - {id: %[3]stimed-out, when: %[2]s.status == 408, class: TRANSIENT}
  - {id: %[3]sserver-error, when: %[2]s.status >= 500 && %[2]s.status < 600, class: SERVER_ERROR}
  - {id: %[3]sclient-error, when: %[2]s.status >= 400 && %[2]s.status < 500, class: PERMANENT}`, list, record, prefix)
	}
	text := "apiVersion: redress/v1\nkind: Policy\nname: calls" + rules("classify", "err", "")
	if o.results {
		text += rules("classify_result", "result", "result-")
	}
	text += fmt.Sprintf("\nretry:\n  deadline: %v\n  max_attempts: %d\n  strategy: immediate\n", deadline, maxAttempts)
	if o.timeout {
		text += fmt.Sprintf("  attempt_timeout: %v\n", patience)
	}
	count, window := s.threshold(), rolling
	if s.retries {
		count, window = 20_000, time.Millisecond
	}
	text += fmt.Sprintf("  budget: {max_retries: %d, window: %v}\n", max(count, 20), window)
	return text + fmt.Sprintf("circuit_breaker: {failure_threshold: %d, window: %v, recovery_timeout: %v}\n", count, window, recovery)
}

func fromYAML(o policyOptions, verb func(*redress.Policy) binder) func(testing.TB, scenario) binder {
	return func(tb testing.TB, s scenario) binder {
		var opts []redress.LoadOption
		if o.logged {
			opts = append(opts, redress.WithPolicyObserver(redress.SlogObserver(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1})))))
		}
		if o.observed {
			opts = append(opts, redress.WithPolicyObserver(idle{}))
		}
		set, err := redress.Parse("calls.yaml", []byte(policyText(o, s)), opts...)
		if err != nil {
			tb.Fatal(err)
		}
		p := set.MustPolicy("calls")
		if o.lean {
			p = p.Bind(redress.WithCallerContext())
		}
		return opened(tb, s, p, verb(p))
	}
}

// opened opens the breaker if the scenario says so.
func opened(tb testing.TB, s scenario, p *redress.Policy, bind binder) binder {
	if !s.open {
		return bind
	}
	call := bind(context.Background(), failing(unavailable))
	for range 100 {
		_, _ = call()
	}
	if p.Breaker().State() != engine.Open {
		tb.Fatal("the breaker is not open")
	}
	return bind
}

func call(p *redress.Policy) binder {
	return func(ctx context.Context, op operation) caller {
		return func() (*http.Response, error) { return redress.Call(ctx, p, op) }
	}
}

func do(p *redress.Policy) binder {
	return func(ctx context.Context, op operation) caller {
		var r *http.Response
		fn := func(ctx context.Context) (err error) {
			r, err = op(ctx)
			return err
		}
		return func() (*http.Response, error) {
			err := redress.Do(ctx, p, fn)
			return r, err
		}
	}
}

var errFailed = errors.New("the call failed")

func execute(p *redress.Policy) binder {
	return func(ctx context.Context, op operation) caller {
		return func() (*http.Response, error) {
			if o := redress.Execute(ctx, p, op); o.OK {
				return o.Value, nil
			}
			return nil, errFailed
		}
	}
}

// idle is an observer that does nothing.
type idle struct{}

func (idle) Observe(context.Context, engine.Event) {}

// classify is the five rules by hand.
func classify(in *engine.Input) engine.Verdict {
	switch status := in.Failure.Status; {
	case status == 429:
		return engine.Verdict{Class: engine.RateLimit, Rule: "throttled"}
	case status == 502 || status == 503 || status == 504:
		return engine.Verdict{Class: engine.Transient, Rule: "unavailable"}
	case status == 408:
		return engine.Verdict{Class: engine.Transient, Rule: "timed-out"}
	case status >= 500 && status < 600:
		return engine.Verdict{Class: engine.ServerError, Rule: "server-error"}
	case status >= 400 && status < 500:
		return engine.Verdict{Class: engine.Permanent, Rule: "client-error"}
	}
	return engine.Verdict{}
}

func engineRetry(tb testing.TB, _ scenario) binder {
	p, err := engine.New(engine.Spec{Name: "retry", MaxAttempts: maxAttempts, Strategy: engine.Immediate{}, Classify: classify})
	if err != nil {
		tb.Fatal(err)
	}
	return call(p)
}

func engineBreaker(tb testing.TB, s scenario) binder {
	breaker, err := engine.NewBreaker(engine.BreakerSpec{RecoveryTimeout: recovery})
	if err != nil {
		tb.Fatal(err)
	}
	p, err := engine.New(engine.Spec{Name: "breaker", MaxAttempts: 1, Classify: classify, Breaker: breaker})
	if err != nil {
		tb.Fatal(err)
	}
	return opened(tb, s, p, call(p))
}

// failsafeOptions say which policies are composed: timeout around retries around breaker.
type failsafeOptions struct{ timeout, retry, breaker, results, context bool }

func failsafeGo(o failsafeOptions) func(testing.TB, scenario) binder {
	return func(_ testing.TB, s scenario) binder {
		handled := func(_ *http.Response, err error) bool { return retryable(err) }
		if o.results {
			handled = retryableResult
		}
		var policies []failsafe.Policy[*http.Response]
		if o.timeout {
			policies = append(policies, timeout.New[*http.Response](deadline))
		}
		if o.retry {
			retries := retrypolicy.NewBuilder[*http.Response]().WithMaxAttempts(maxAttempts).HandleIf(handled)
			if o.timeout {
				retries.WithBudget(budget.NewBuilder().WithMaxRate(1).WithMinConcurrency(never).Build())
			}
			policies = append(policies, retries.Build())
		}
		if o.breaker {
			breaker := circuitbreaker.NewBuilder[*http.Response]().HandleIf(handled).
				WithFailureThresholdPeriod(uint(s.threshold()), rolling).WithDelay(recovery).Build()
			if s.open {
				breaker.Open()
			}
			policies = append(policies, breaker)
		}
		executor := failsafe.With(policies...)
		return func(ctx context.Context, op operation) caller {
			if o.context {
				fn := func(e failsafe.Execution[*http.Response]) (*http.Response, error) { return op(e.Context()) }
				return func() (*http.Response, error) { return executor.WithContext(ctx).GetWithExecution(fn) }
			}
			fn := func() (*http.Response, error) { return op(ctx) }
			return func() (*http.Response, error) { return executor.Get(fn) }
		}
	}
}

func newSonyBreaker(s scenario) *gobreaker.CircuitBreaker[*http.Response] {
	threshold := uint32(s.threshold())
	cb := gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{
		Interval:     rolling,
		BucketPeriod: time.Second,
		Timeout:      recovery,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.TotalFailures >= threshold },
		IsSuccessful: func(err error) bool { return err == nil || !retryable(err) },
	})
	if s.open {
		for range threshold {
			_, _ = cb.Execute(func() (*http.Response, error) { return nil, unavailable })
		}
	}
	return cb
}

func sonyBreaker(_ testing.TB, s scenario) binder {
	cb := newSonyBreaker(s)
	return func(ctx context.Context, op operation) caller {
		fn := func() (*http.Response, error) { return op(ctx) }
		return func() (*http.Response, error) { return cb.Execute(fn) }
	}
}

func eapacheBreaker(_ testing.TB, s scenario) binder {
	br := breaker.New(never, 1, recovery)
	if s.open {
		br = breaker.New(1, 1, recovery)
		_ = br.Run(func() error { return unavailable })
	}
	return func(ctx context.Context, op operation) caller {
		var r *http.Response
		fn := func() (err error) {
			r, err = op(ctx)
			return err
		}
		return func() (*http.Response, error) {
			err := br.Run(fn)
			return r, err
		}
	}
}

func eapacheRetrier(testing.TB, scenario) binder {
	re := retrier.New(make([]time.Duration, maxAttempts-1), byStatus{})
	return func(ctx context.Context, op operation) caller {
		var r *http.Response
		fn := func(ctx context.Context) (err error) {
			r, err = op(ctx)
			return err
		}
		return func() (*http.Response, error) {
			err := re.RunCtx(ctx, fn)
			return r, err
		}
	}
}

// byStatus is the classifier of eapacheRetrier.
type byStatus struct{}

func (byStatus) Classify(err error) retrier.Action {
	switch {
	case err == nil:
		return retrier.Succeed
	case retryable(err):
		return retrier.Retry
	}
	return retrier.Fail
}

func cenkaltiOptions() []backoff.RetryOption {
	return []backoff.RetryOption{
		backoff.WithBackOff(&backoff.ZeroBackOff{}), // it has no state
		backoff.WithMaxTries(maxAttempts),
		backoff.WithMaxElapsedTime(deadline),
	}
}

func cenkalti(testing.TB, scenario) binder {
	return func(ctx context.Context, op operation) caller {
		opts := cenkaltiOptions()
		fn := func() (*http.Response, error) {
			r, err := op(ctx)
			if err != nil && !retryable(err) {
				err = backoff.Permanent(err)
			}
			return r, err
		}
		return func() (*http.Response, error) { return backoff.Retry(ctx, fn, opts...) }
	}
}

func avastOptions() []retry.Option {
	return []retry.Option{
		retry.Attempts(maxAttempts),
		retry.DelayType(func(uint, error, retry.DelayContext) time.Duration { return 0 }),
		retry.RetryIf(retryable),
		retry.LastErrorOnly(true),
	}
}

func avast(testing.TB, scenario) binder {
	re := retry.NewWithData[*http.Response](avastOptions()...)
	return func(ctx context.Context, op operation) caller {
		fn := func() (*http.Response, error) { return op(ctx) }
		return func() (*http.Response, error) { return re.Do(fn) }
	}
}

func avastContext(testing.TB, scenario) binder {
	return func(ctx context.Context, op operation) caller {
		opts := append(avastOptions(), retry.Context(ctx))
		fn := func() (*http.Response, error) { return op(ctx) }
		return func() (*http.Response, error) { return retry.NewWithData[*http.Response](opts...).Do(fn) }
	}
}

func sethvargo(testing.TB, scenario) binder {
	return func(ctx context.Context, op operation) caller {
		zero := goretry.BackoffFunc(func() (time.Duration, bool) { return 0, false })
		fn := func(ctx context.Context) (*http.Response, error) {
			r, err := op(ctx)
			if err != nil && retryable(err) {
				err = goretry.RetryableError(err)
			}
			return r, err
		}
		return func() (*http.Response, error) {
			return goretry.DoValue(ctx, goretry.WithMaxRetries(maxAttempts-1, zero), fn)
		}
	}
}

func assembled(_ testing.TB, s scenario) binder {
	cb := newSonyBreaker(s)
	return func(ctx context.Context, op operation) caller {
		opts := cenkaltiOptions()
		return func() (*http.Response, error) {
			ctx, cancel := context.WithTimeout(ctx, deadline)
			defer cancel()
			return backoff.Retry(ctx, func() (*http.Response, error) {
				r, err := cb.Execute(func() (*http.Response, error) { return op(ctx) })
				if err != nil && !retryable(err) { // be it that the breaker is open
					err = backoff.Permanent(err)
				}
				return r, err
			}, opts...)
		}
	}
}
