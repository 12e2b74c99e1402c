package redress_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing/fstest"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresstest"
)

// policyText is the policy that most examples run under. Its waits are constant, so
// that the examples print the same every time.
const policyText = `
apiVersion: redress/v1
kind: Policy
name: payments
operations: ["payments.*"]
attributes:
  decline_code: string
classify:
  - id: declined
    when: err.attr.decline_code != ""
    class: PERMANENT
  - id: throttled
    when: err.status == 429
    class: RATE_LIMIT
    retry_after: err.retry_after
  - use: std.http
classify_result:
  - id: pending
    when: result.status == 202
    class: TRANSIENT
retry:
  deadline: 30s
  max_attempts: 3
  strategy: {constant: {delay: 1s}}
  classes:
    RATE_LIMIT: {strategy: {retry_after_or: {jitter: 0s}}}
`

func payments(opts ...redress.LoadOption) *redress.Policy {
	set, err := redress.Parse("payments.yaml", []byte(policyText), opts...)
	if err != nil {
		panic(err)
	}
	return set.MustPolicy("payments")
}

// virtualTime has sleeps take no time.
func virtualTime() redress.Option { return redress.WithClock(redresstest.NewClock()) }

// middle has strategies with jitter answer the middle of what they may.
var middle = redress.WithRand(func() float64 { return 0.5 })

// answered is the error of a client whose server answered with this status. The
// engine finds the status by the name of the method.
type answered int

func (s answered) Error() string       { return fmt.Sprintf("server answered %d", int(s)) }
func (s answered) HTTPStatusCode() int { return int(s) }

// answers returns an operation that fails with each status in turn; 0 succeeds.
func answers(statuses ...int) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		status := statuses[0]
		if len(statuses) > 1 {
			statuses = statuses[1:]
		}
		if status == 0 {
			return "done", nil
		}
		return "", answered(status)
	}
}

// Load reads a folder of policies; here one that is made up in memory.
func ExampleLoad() {
	policies := fstest.MapFS{
		"payments.yaml":  {Data: []byte(policyText)},
		"catalogue.yaml": {Data: []byte("apiVersion: redress/v1\nkind: Policy\nname: catalogue\nclassify: [{use: std.http}]\n")},
	}
	set, err := redress.Load(policies) // in a program: os.DirFS("policies"), or an embed.FS
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Names())
	// Output:
	// [catalogue payments]
}

// A set with a mistake does not load; the error holds every finding, with its place.
func ExampleLoad_mistake() {
	policies := fstest.MapFS{"payments.yaml": {Data: []byte(`apiVersion: redress/v1
kind: Policy
name: payments
classify:
  - id: throttled
    when: err.statsu == 429
    class: RATE_LIMIT
`)}}
	_, err := redress.Load(policies)
	if wrong, ok := errors.AsType[*redress.DocumentError](err); ok {
		for _, d := range wrong.Diagnostics {
			fmt.Println(d.Code.ID, d.Message)
		}
	}
	// Output:
	// RD102 err has no field statsu; did you mean status?
}

// Parse reads one source as a set of its own.
func ExampleParse() {
	set, err := redress.Parse("inline.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: catalogue\nclassify: [{use: std.http}]\n"))
	fmt.Println(set.Names(), err)
	// Output:
	// [catalogue] <nil>
}

// Call runs an operation under a policy and returns its value.
func ExampleCall() {
	policy := payments()
	value, err := redress.Call(context.Background(), policy, answers(503, 0), virtualTime())
	fmt.Println(value, err)

	_, err = redress.Call(context.Background(), policy, answers(503), virtualTime())
	fmt.Println(err)
	// Output:
	// done <nil>
	// payments: MAX_ATTEMPTS_GLOBAL after 3 attempts in 2s (SERVER_ERROR by rule std.http/server-error): server answered 503
}

// The error of a call wraps the operation's own and says why the call stopped.
func ExampleError() {
	notFound := redress.Permanent(os.ErrNotExist)
	_, err := redress.Call(context.Background(), payments(), func(context.Context) (string, error) {
		return "", notFound
	})
	stopped, _ := errors.AsType[*redress.Error](err)
	fmt.Println(stopped.Policy, stopped.Reason, stopped.Class, stopped.Rule, stopped.Attempts)
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output:
	// payments NON_RETRYABLE_CLASS PERMANENT std.marker/permanent 1
	// true
}

// Do is Call for operations that return an error alone.
func ExampleDo() {
	err := redress.Do(context.Background(), payments(), func(ctx context.Context) error {
		return nil
	})
	fmt.Println(err)
	// Output:
	// <nil>
}

// Execute returns all there is to know, and no error.
func ExampleExecute() {
	outcome := redress.Execute(context.Background(), payments(), answers(503, 401), virtualTime())
	fmt.Println(outcome.OK, outcome.Reason, outcome.Class, outcome.Attempts, outcome.Elapsed)
	// Output:
	// false NON_RETRYABLE_CLASS AUTH 2 1s
}

// A result can be a failure: rules of classify_result look at it.
func ExampleExecute_result() {
	type job struct{ StatusCode int }
	states := []job{{202}, {202}, {200}}
	outcome := redress.Execute(context.Background(), payments(), func(context.Context) (job, error) {
		state := states[0]
		states = states[1:]
		return state, nil
	}, virtualTime())
	fmt.Println(outcome.OK, outcome.Value, outcome.Attempts, outcome.Elapsed)
	// Output:
	// true {200} 3 2s
}

// Go runs a call beside the caller.
func ExampleGo() {
	future := redress.Go(context.Background(), payments(), answers(503, 0), virtualTime())
	outcome := future.Wait()
	fmt.Println(outcome.Value, outcome.Attempts)
	// Output:
	// done 2
}

// Step makes one attempt at a time. Between two attempts a worker stores the state
// as JSON and puts the job back into its queue.
func ExampleStep() {
	policy, clock := payments(), redresstest.NewClock()
	operation := answers(503, 0)

	var stored []byte
	for {
		var state redress.StepState // zero: the call begins
		if stored != nil {
			if err := json.Unmarshal(stored, &state); err != nil {
				panic(err)
			}
		}
		outcome, next, err := redress.Step(context.Background(), policy, state, operation, redress.WithClock(clock))
		if err != nil {
			panic(err)
		}
		fmt.Println(outcome.Reason, outcome.NextDelay)
		if outcome.Reason != redress.Scheduled {
			return
		}
		if stored, err = json.Marshal(next); err != nil {
			panic(err)
		}
		clock.Advance(outcome.NextDelay) // the queue delivers the job again
	}
	// Output:
	// SCHEDULED 1s
	// SUCCESS 0s
}

// Bind fixes options for many calls.
func ExamplePolicy_Bind() {
	charges := payments().Bind(redress.WithOperation("payments.charge"), virtualTime())
	for range 2 {
		outcome := redress.Execute(context.Background(), charges, answers(0))
		fmt.Println(outcome.Operation, outcome.Reason)
	}
	// Output:
	// payments.charge SUCCESS
	// payments.charge SUCCESS
}

// Policy finds a policy by name.
func ExampleSet_Policy() {
	set, _ := redress.Parse("payments.yaml", []byte(policyText))
	policy, err := set.Policy("payments")
	fmt.Println(policy.Name(), err)

	_, err = set.Policy("payment")
	fmt.Println(err)
	// Output:
	// payments <nil>
	// redress: no policy is called "payment"; did you mean "payments"?
}

// MustPolicy is for start-up code: it panics if there is no such policy.
func ExampleSet_MustPolicy() {
	set, _ := redress.Parse("payments.yaml", []byte(policyText))
	fmt.Println(set.MustPolicy("payments").Name())
	// Output:
	// payments
}

// For finds the policy that governs an operation.
func ExampleSet_For() {
	set, _ := redress.Parse("payments.yaml", []byte(policyText))
	policy, err := set.For("payments.refund")
	if err != nil {
		fmt.Println(err)
		return
	}
	outcome := redress.Execute(context.Background(), policy, answers(0))
	fmt.Println(outcome.Policy, outcome.Operation)
	// Output:
	// payments payments.refund
}

// Names lists the policies of a set.
func ExampleSet_Names() {
	set, _ := redress.Parse("payments.yaml", []byte(policyText))
	fmt.Println(set.Names())
	// Output:
	// [payments]
}

// Warnings are findings that do not keep a set from loading.
func ExampleSet_Warnings() {
	set, _ := redress.Parse("payments.yaml", []byte(policyText))
	fmt.Println(len(set.Warnings()))
	// Output:
	// 0
}

// WithResultAttributes provides facts of results: what a rule of classify_result
// reads as result.attr.
func ExampleWithResultAttributes() {
	set, err := redress.Parse("jobs.yaml", []byte(`
apiVersion: redress/v1
kind: Policy
name: jobs
attributes: {state: string}
classify: [{use: std.http}]
classify_result:
  - {id: still-running, when: result.attr.state == "RUNNING", class: TRANSIENT}
retry: {strategy: immediate}
`), redress.WithResultAttributes(func(value any) map[string]any {
		job, _ := value.(string)
		return map[string]any{"state": job}
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	states := []string{"RUNNING", "RUNNING", "DONE"}
	job, err := redress.Call(context.Background(), set.MustPolicy("jobs"), func(context.Context) (string, error) {
		state := states[0]
		states = states[1:]
		return state, nil
	})
	fmt.Println(job, err)
	// Output: DONE <nil>
}

// WithAttributes provides the facts that only this dependency's errors carry.
func ExampleWithAttributes() {
	declined := errors.New("card declined")
	policy := payments(redress.WithAttributes(func(err error) map[string]any {
		if errors.Is(err, declined) {
			return map[string]any{"decline_code": "insufficient_funds"}
		}
		return nil
	}))
	err := redress.Do(context.Background(), policy, func(context.Context) error { return declined })
	stopped, _ := errors.AsType[*redress.Error](err)
	fmt.Println(stopped.Class, stopped.Rule)
	// Output:
	// PERMANENT declined
}

// WithStrategy registers a strategy written in Go.
func ExampleWithStrategy() {
	set, err := redress.Parse("payments.yaml", []byte(`
apiVersion: redress/v1
kind: Policy
name: payments
classify: [{use: std.http}]
retry: {strategy: {func: tens}}
`), redress.WithStrategy("tens", redress.Func("tens", func(in redress.DelayInput) redress.Delay {
		return redress.Delay{Sleep: 10 * time.Millisecond}
	})))
	if err != nil {
		fmt.Println(err)
		return
	}
	outcome := redress.Execute(context.Background(), set.MustPolicy("payments"), answers(503, 503, 0), virtualTime())
	fmt.Println(outcome.Elapsed)
	// Output:
	// 20ms
}

// NotIdempotent says that a request must not be sent twice: it is retried only if
// it cannot have been sent.
func ExampleNotIdempotent() {
	outcome := redress.Execute(context.Background(), payments(), answers(503, 0), virtualTime(), redress.NotIdempotent())
	fmt.Println(outcome.Reason, outcome.Attempts)
	// Output:
	// NOT_IDEMPOTENT 1
}

// NotReplayable says that the operation cannot run twice.
func ExampleNotReplayable() {
	outcome := redress.Execute(context.Background(), payments(), answers(503, 0), virtualTime(), redress.NotReplayable())
	fmt.Println(outcome.Reason, outcome.Attempts)
	// Output:
	// NOT_REPLAYABLE 1
}

// WithTimeline keeps the events of a call, and Explain tells them.
func ExampleWithTimeline() {
	outcome := redress.Execute(context.Background(), payments(), answers(503, 429, 0), virtualTime(), middle, redress.WithTimeline())
	fmt.Print(outcome.Explain())
	// Output:
	// payments: SUCCESS after 3 attempts in 2.63s
	//         +0s  attempt 1 failed: SERVER_ERROR by rule std.http/server-error (took 0s): retry in 1s, says constant
	//         +1s  attempt 2 failed: RATE_LIMIT by rule throttled (took 0s): retry in 1.63s, says retry_after_or
	//      +2.63s  attempt 3 succeeded (took 0s)
}

// WithObserver has the events of a call reported.
func ExampleWithObserver() {
	observer := redress.ObserverFunc(func(_ context.Context, e redress.Event) {
		fmt.Println(e.Kind, e.Attempt, e.Class, e.Sleep)
	})
	redress.Execute(context.Background(), payments(), answers(503, 0), virtualTime(), redress.WithObserver(observer))
	// Output:
	// attempt_start 1  0s
	// retry 1 SERVER_ERROR 1s
	// attempt_end 1 SERVER_ERROR 1s
	// attempt_start 2  0s
	// attempt_end 2  0s
	// success 2  0s
}

// WithPolicyObserver has the events of every call under any policy of the set
// reported.
func ExampleWithPolicyObserver() {
	recorder := &redresstest.Recorder{}
	policy := payments(redress.WithPolicyObserver(recorder))
	redress.Execute(context.Background(), policy, answers(503, 0), virtualTime())
	fmt.Println(recorder.Names())
	// Output:
	// [retry success]
}

// Observers for log/slog write one record for each event.
func ExampleSlogObserver() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	redress.Execute(context.Background(), payments(), answers(503, 0), virtualTime(), redress.WithObserver(redress.SlogObserver(logger)))
	// Output:
	// level=INFO msg=retry policy=payments class=SERVER_ERROR rule=std.http/server-error strategy=constant cause=error attempt=1 elapsed=0s sleep=1s error="server answered 503"
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// WithOperation names the call site in events and errors, and in rules as `op`.
func ExampleWithOperation() {
	err := redress.Do(context.Background(), payments(), func(context.Context) error {
		return answered(401)
	}, redress.WithOperation("payments.refund"))
	stopped, _ := errors.AsType[*redress.Error](err)
	fmt.Println(stopped.Operation, stopped.Reason)
	// Output:
	// payments.refund NON_RETRYABLE_CLASS
}

// WithLabels adds labels of your own to the events of a call.
func ExampleWithLabels() {
	observer := redress.ObserverFunc(func(_ context.Context, e redress.Event) {
		fmt.Println(e.Kind, e.Labels["region"])
	})
	redress.Execute(context.Background(), payments(), answers(0), redress.WithObserver(observer),
		redress.WithLabels(map[string]string{"region": "eu"}))
	// Output:
	// attempt_start eu
	// attempt_end eu
	// success eu
}

// WithAbort ends a call from outside, while a service shuts down for example.
func ExampleWithAbort() {
	shuttingDown := false
	outcome := redress.Execute(context.Background(), payments(), func(context.Context) (string, error) {
		shuttingDown = true
		return "", answered(503)
	}, virtualTime(), redress.WithAbort(func(context.Context) bool { return shuttingDown }))
	fmt.Println(outcome.Reason, outcome.Attempts)
	// Output:
	// ABORTED 1
}

// Abort ends a call from inside the operation, whatever the policy says.
func ExampleAbort() {
	outcome := redress.Execute(context.Background(), payments(), func(context.Context) (string, error) {
		return "", redress.Abort(errors.New("the order is gone"))
	})
	fmt.Println(outcome.Reason, outcome.LastErr)
	// Output:
	// ABORTED the order is gone
}

// WithSleepHandler decides about every wait. A worker that must not block defers.
func ExampleWithSleepHandler() {
	outcome := redress.Execute(context.Background(), payments(), answers(503, 0), redress.WithSleepHandler(
		func(_ context.Context, s redress.SleepInfo) redress.SleepAction {
			return redress.DeferRetry
		}))
	fmt.Println(outcome.Reason, outcome.NextDelay)
	// Output:
	// SCHEDULED 1s
}

// WithBeforeSleep is told of every wait before it begins.
func ExampleWithBeforeSleep() {
	redress.Execute(context.Background(), payments(), answers(503, 0), virtualTime(), redress.WithBeforeSleep(
		func(_ context.Context, s redress.SleepInfo) {
			fmt.Println("waiting", s.Sleep, "after a", s.Class)
		}))
	// Output:
	// waiting 1s after a SERVER_ERROR
}

// WithDiscard closes what the caller will not get: the value of an attempt that is
// followed by another.
func ExampleWithDiscard() {
	type answer struct{ StatusCode int }
	states := []answer{{202}, {200}}
	outcome := redress.Execute(context.Background(), payments(), func(context.Context) (answer, error) {
		state := states[0]
		states = states[1:]
		return state, nil
	}, virtualTime(), redress.WithDiscard(func(a answer) { fmt.Println("closing", a.StatusCode) }))
	fmt.Println(outcome.Value.StatusCode)
	// Output:
	// closing 202
	// 200
}

// WithClock gives a call its own time; redresstest has a virtual one.
func ExampleWithClock() {
	clock := redresstest.NewClock()
	outcome := redress.Execute(context.Background(), payments(), answers(503, 503, 0), redress.WithClock(clock))
	fmt.Println(outcome.Elapsed)
	// Output:
	// 2s
}

// WithRand gives a call its own jitter, so that a test gives the same waits each time.
func ExampleWithRand() {
	set, _ := redress.Parse("jitter.yaml", []byte(`
apiVersion: redress/v1
kind: Policy
name: jitter
classify: [{use: std.http}]
`))
	middle := func() float64 { return 0.5 }
	outcome := redress.Execute(context.Background(), set.MustPolicy("jitter"), answers(503, 0), virtualTime(), redress.WithRand(middle))
	fmt.Println(outcome.Elapsed) // 250ms + 0.5·(3·250ms − 250ms)
	// Output:
	// 500ms
}

// AttemptFrom tells an operation which attempt it is.
func ExampleAttemptFrom() {
	redress.Execute(context.Background(), payments(), func(ctx context.Context) (string, error) {
		attempt, _ := redress.AttemptFrom(ctx)
		fmt.Println("attempt", attempt.Number)
		return "", answered(503)
	}, virtualTime())
	// Output:
	// attempt 1
	// attempt 2
	// attempt 3
}

// Markers say in code what kind of failure an error is.
func ExamplePermanent() {
	err := redress.Do(context.Background(), payments(), func(context.Context) error {
		return redress.Permanent(errors.New("no such account"))
	})
	stopped, _ := errors.AsType[*redress.Error](err)
	fmt.Println(stopped.Reason, stopped.Class, stopped.Rule)
	// Output:
	// NON_RETRYABLE_CLASS PERMANENT std.marker/permanent
}

// RateLimited carries what the dependency asked for; retry_after_or obeys it.
func ExampleRateLimited() {
	calls := 0
	outcome := redress.Execute(context.Background(), payments(), func(context.Context) (string, error) {
		calls++
		if calls == 1 {
			return "", redress.RateLimited(errors.New("slow down"), 7*time.Second)
		}
		return "done", nil
	}, virtualTime())
	fmt.Println(outcome.Value, outcome.Elapsed)
	// Output:
	// done 7s
}

// classOf calls an operation that fails with err, and returns the class it was given.
func classOf(err error) redress.Class {
	outcome := redress.Execute(context.Background(), payments(), func(context.Context) (string, error) { return "", err }, virtualTime())
	return outcome.Class
}

// Unauthenticated says that credentials are missing, wrong or expired.
func ExampleUnauthenticated() {
	fmt.Println(classOf(redress.Unauthenticated(errors.New("token expired"))))
	// Output:
	// AUTH
}

// PermissionDenied says that the caller may not do this.
func ExamplePermissionDenied() {
	fmt.Println(classOf(redress.PermissionDenied(errors.New("not your account"))))
	// Output:
	// PERMISSION
}

// Conflict says that a race was lost.
func ExampleConflict() {
	fmt.Println(classOf(redress.Conflict(errors.New("version 7 is stale"))))
	// Output:
	// CONCURRENCY
}

// ServerFault says that the dependency failed by itself.
func ExampleServerFault() {
	fmt.Println(classOf(redress.ServerFault(errors.New("out of disk"))))
	// Output:
	// SERVER_ERROR
}

// Transient says that the path to the dependency failed.
func ExampleTransient() {
	fmt.Println(classOf(redress.Transient(errors.New("link down"))))
	// Output:
	// TRANSIENT
}

// Unclassified says that nobody knows what this failure is.
func ExampleUnclassified() {
	fmt.Println(classOf(redress.Unclassified(errors.New("what?"))))
	// Output:
	// UNKNOWN
}

// Func makes a strategy of a function. What it is told includes the class and what
// the dependency asked for.
func ExampleFunc() {
	patient := redress.Func("patient", func(in redress.DelayInput) redress.Delay {
		if in.HasHint {
			return redress.Delay{Sleep: 2 * in.Hint}
		}
		return redress.Delay{Sleep: time.Second}
	})
	fmt.Println(patient.Delay(redress.DelayInput{Hint: 3 * time.Second, HasHint: true}).Sleep)
	// Output:
	// 6s
}

// Observers joins several observers.
func ExampleObservers() {
	first, second := &redresstest.Recorder{}, &redresstest.Recorder{}
	redress.Execute(context.Background(), payments(), answers(0), redress.WithObserver(redress.Observers(first, second)))
	fmt.Println(first.Names(), second.Names())
	// Output:
	// [success] [success]
}

// WithTimelineErrors keeps the attempts' errors in the timeline, too.
func ExampleWithTimelineErrors() {
	outcome := redress.Execute(context.Background(), payments(), answers(503, 0), virtualTime(), redress.WithTimelineErrors())
	for _, e := range outcome.Timeline {
		if e.Err != nil {
			fmt.Println(e.Kind, e.Err)
		}
	}
	// Output:
	// retry server answered 503
	// attempt_end server answered 503
}

// A MetricHook gets what metrics need: names and bounded labels.
func ExampleMetricHook() {
	hook := redress.MetricHook(func(event string, attempt int, sleep time.Duration, labels map[string]string) {
		if event == "attempt_end" {
			fmt.Println(event, attempt, sleep, labels["class"], labels["stop_reason"])
		}
	})
	redress.Execute(context.Background(), payments(), answers(401), redress.WithObserver(hook))
	// Output:
	// attempt_end 1 0s AUTH NON_RETRYABLE_CLASS
}

// A LogHook gets everything, the error included.
func ExampleLogHook() {
	hook := redress.LogHook(func(event string, fields map[string]any) {
		if err, ok := fields["error"]; ok {
			fmt.Println(event, fields["rule"], err)
		}
	})
	redress.Execute(context.Background(), payments(), answers(401), redress.WithObserver(hook))
	// Output:
	// attempt_end std.http/unauthorized server answered 401
	// permanent_fail std.http/unauthorized server answered 401
}

// AttemptHooks are told of attempts alone.
func ExampleAttemptHooks() {
	hooks := redress.AttemptHooks{
		End: func(_ context.Context, e redress.Event) { fmt.Println(e.Attempt, e.Decision) },
	}
	redress.Execute(context.Background(), payments(), answers(503, 0), virtualTime(), redress.WithObserver(hooks))
	// Output:
	// 1 retry
	// 2 success
}

// Cancel ends a call that runs beside its caller.
func ExampleFuture_Cancel() {
	future := redress.Go(context.Background(), payments(), func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	future.Cancel()
	fmt.Println(future.Wait().Reason)
	// Output:
	// CANCELED
}

// A set whose budgets or breakers are a fleet's says so, and loads with the store that
// the fleet shares: contrib/redressfleet joins one in Redis.
func ExampleWithFleet() {
	document := []byte(`
apiVersion: redress/v1
kind: Budget
name: payments
scope: fleet
max_retries: 600
window: 60s
---
apiVersion: redress/v1
kind: Policy
name: payments-api
classify: [{use: std.http}]
retry: {budget: payments}
`)
	_, err := redress.Parse("payments.yaml", document)
	fmt.Println("alone:", err != nil)
	_, err = redress.Parse("payments.yaml", document, redress.WithFleet(noStore{}))
	fmt.Println("with a fleet:", err)
	// Output:
	// alone: true
	// with a fleet: <nil>
}
