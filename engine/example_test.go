package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/virtual"
)

// A busyError is what the dependency of these examples answers when it is busy.
type busyError struct{ after time.Duration }

func (e *busyError) Error() string { return "busy" }

// classify knows busy dependencies; all else is UNKNOWN.
func classify(in *engine.Input) engine.Verdict {
	if busy, ok := errors.AsType[*busyError](in.Failure.Err); ok {
		return engine.Verdict{Class: engine.RateLimit, Rule: "busy", RetryAfter: busy.after, HasRetryAfter: true}
	}
	return engine.Verdict{}
}

// payments makes the policy of these examples.
func payments() *engine.Policy {
	p, err := engine.New(engine.Spec{
		Name:        "payments",
		Classify:    classify,
		MaxAttempts: 3,
		Strategy:    engine.RetryAfterOr{Jitter: engine.None},
	})
	if err != nil {
		panic(err)
	}
	return p
}

// busy returns an operation that is busy n times, then works.
func busy(n int) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if n--; n >= 0 {
			return "", &busyError{after: 2 * time.Second}
		}
		return "receipt", nil
	}
}

// inVirtualTime has sleeps take no time.
func inVirtualTime() engine.Option { return engine.WithClock(virtual.NewClock(virtual.Epoch)) }

func ExampleNew() {
	_, err := engine.New(engine.Spec{Name: "payments", MaxAttempts: -1, Strategy: engine.Constant{Wait: -time.Second}})
	fmt.Println(err)
	// Output:
	// engine: policy "payments": MaxAttempts is -1, must be at least 1
	// Strategy: Wait is -1s, must not be negative
}

func ExampleCall() {
	receipt, err := engine.Call(context.Background(), payments(), busy(2), inVirtualTime())
	fmt.Println(receipt, err)

	_, err = engine.Call(context.Background(), payments(), busy(9), inVirtualTime())
	fmt.Println(err)
	if stopped, ok := errors.AsType[*engine.Error](err); ok {
		fmt.Println(stopped.Reason, stopped.Class, stopped.Attempts)
	}
	// Output:
	// receipt <nil>
	// payments: MAX_ATTEMPTS_GLOBAL after 3 attempts in 4s (RATE_LIMIT by rule busy): busy
	// MAX_ATTEMPTS_GLOBAL RATE_LIMIT 3
}

func ExampleDo() {
	err := engine.Do(context.Background(), payments(), func(context.Context) error { return os.ErrPermission })
	fmt.Println(errors.Is(err, os.ErrPermission))
	// Output:
	// true
}

func ExampleExecute() {
	o := engine.Execute(context.Background(), payments(), busy(2), inVirtualTime(), engine.WithTimeline())
	fmt.Println(o.OK, o.Value, o.Attempts, o.Elapsed)
	fmt.Print(o.Explain())
	// Output:
	// true receipt 3 4s
	// payments: SUCCESS after 3 attempts in 4s
	//         +0s  attempt 1 failed: RATE_LIMIT by rule busy (took 0s): retry in 2s, says retry_after_or
	//         +2s  attempt 2 failed: RATE_LIMIT by rule busy (took 0s): retry in 2s, says retry_after_or
	//         +4s  attempt 3 succeeded (took 0s)
}

func ExampleGo() {
	future := engine.Go(context.Background(), payments(), busy(1), inVirtualTime())
	// ... something else meanwhile ...
	fmt.Println(future.Wait().Value)
	// Output:
	// receipt
}

// A worker makes one attempt at a time and keeps the state with the job.
func ExampleStep() {
	clock, operation := virtual.NewClock(virtual.Epoch), busy(2)
	var job []byte // what the queue stores
	for {
		var state engine.StepState
		if job != nil {
			if err := json.Unmarshal(job, &state); err != nil {
				panic(err)
			}
		}
		o, next, err := engine.Step(context.Background(), payments(), state, operation, engine.WithClock(clock))
		if err != nil {
			panic(err)
		}
		fmt.Println(o.Reason, o.Attempts, o.NextDelay)
		if o.Reason != engine.Scheduled {
			break
		}
		job, _ = json.Marshal(next)
		clock.Advance(o.NextDelay) // the queue brings the job back in time
	}
	// Output:
	// SCHEDULED 1 2s
	// SCHEDULED 2 2s
	// SUCCESS 3 0s
}

func ExamplePolicy_Bind() {
	charge := payments().Bind(engine.WithOperation("charge"), inVirtualTime())
	for n := range 2 {
		o := engine.Execute(context.Background(), charge, busy(n))
		fmt.Println(o.Operation, o.Attempts)
	}
	// Output:
	// charge 1
	// charge 2
}

func ExamplePolicy_Stats() {
	p, _ := engine.New(engine.Spec{
		Name:     "careless",
		Strategy: engine.Func("mine", func(engine.DelayInput) engine.Delay { panic("oh") }),
	})
	_ = engine.Do(context.Background(), p, func(context.Context) error { return os.ErrClosed }, inVirtualTime())
	fmt.Println(p.Stats().StrategyFaults)
	// Output:
	// 1
}

func ExampleNewBreaker() {
	breaker, _ := engine.NewBreaker(engine.BreakerSpec{Name: "payments", FailureThreshold: 2})
	p, _ := engine.New(engine.Spec{Name: "payments", DefaultClass: engine.ServerError, MaxAttempts: 1, Breaker: breaker})
	for range 3 {
		o := engine.Execute(context.Background(), p, func(context.Context) (int, error) { return 0, os.ErrClosed })
		fmt.Println(o.Reason, o.Attempts, breaker.State())
	}
	// Output:
	// MAX_ATTEMPTS_GLOBAL 1 closed
	// MAX_ATTEMPTS_GLOBAL 1 open
	// CIRCUIT_OPEN 0 open
}

func ExampleNewBudget() {
	budget, _ := engine.NewBudget(engine.BudgetSpec{Name: "payments", MaxRetries: 3})
	p, _ := engine.New(engine.Spec{Name: "payments", Classify: classify, Strategy: engine.Immediate{}, Budget: budget})
	for range 2 {
		o := engine.Execute(context.Background(), p, busy(9))
		fmt.Println(o.Reason, o.Attempts)
	}
	// Output:
	// BUDGET_EXHAUSTED 4
	// BUDGET_EXHAUSTED 1
}

// A queue worker does not want to sleep: it hands retries on.
func ExampleWithSleepHandler() {
	handOn := func(_ context.Context, info engine.SleepInfo) engine.SleepAction {
		if info.Sleep > time.Second {
			return engine.DeferRetry
		}
		return engine.SleepThenRetry
	}
	o := engine.Execute(context.Background(), payments(), busy(1), engine.WithSleepHandler(handOn))
	fmt.Println(o.Reason, o.NextDelay)
	// Output:
	// SCHEDULED 2s
}

// Values that the caller will not get may own something.
func ExampleWithDiscard() {
	p, _ := engine.New(engine.Spec{
		Name:     "jobs",
		Strategy: engine.Immediate{},
		ClassifyResult: func(in *engine.Input) engine.Verdict {
			if in.Failure.Status == 202 {
				return engine.Verdict{Class: engine.Transient, Rule: "pending"}
			}
			return engine.Verdict{}
		},
	})
	type response struct{ StatusCode int }
	answers := []response{{202}, {200}}
	r, err := engine.Call(context.Background(), p, func(context.Context) (response, error) {
		r := answers[0]
		answers = answers[1:]
		return r, nil
	}, engine.WithDiscard(func(r response) { fmt.Println("closing", r.StatusCode) }))
	fmt.Println(r.StatusCode, err)
	// Output:
	// closing 202
	// 200 <nil>
}

func ExampleAttemptFrom() {
	_ = engine.Do(context.Background(), payments(), func(ctx context.Context) error {
		attempt, _ := engine.AttemptFrom(ctx)
		fmt.Println("attempt", attempt.Number)
		if attempt.Number < 2 {
			return &busyError{}
		}
		return nil
	}, inVirtualTime())
	// Output:
	// attempt 1
	// attempt 2
}

func ExampleObservers() {
	counts := map[string]int{}
	count := engine.MetricHook(func(event string, _ int, _ time.Duration, _ map[string]string) { counts[event]++ })
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	_, _ = engine.Call(context.Background(), payments(), busy(1), inVirtualTime(), engine.WithObserver(engine.Observers(count, engine.SlogObserver(logger))))
	fmt.Println(counts["retry"], counts["success"])
	// Output:
	// level=INFO msg=retry policy=payments class=RATE_LIMIT rule=busy strategy=retry_after_or cause=error attempt=1 elapsed=0s sleep=2s error=busy
	// 1 1
}

func ExampleFunc() {
	fibonacci := engine.Func("fibonacci", func(in engine.DelayInput) engine.Delay {
		a, b := 100*time.Millisecond, 100*time.Millisecond
		for range in.Attempt - 1 {
			a, b = b, a+b
		}
		return engine.Delay{Sleep: a}
	})
	p, _ := engine.New(engine.Spec{Name: "payments", Classify: classify, Strategy: fibonacci})
	o := engine.Execute(context.Background(), p, busy(4), inVirtualTime())
	fmt.Println(o.Attempts, o.Elapsed)
	// Output:
	// 5 700ms
}
