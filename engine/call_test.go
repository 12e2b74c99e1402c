package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

func TestA1_AbortCheckComesBeforeTheBreakerAndTheBreakerBeforeTheFirstAttempt(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{Name: "b", FailureThreshold: 1})
	p := policy(t, engine.Spec{Breaker: b, MaxAttempts: 1})
	w.run(p, w.script(fails(engine.ServerError)))
	w.Advance(30 * time.Second) // the next call would be the probe

	o := w.run(p, w.script(fine), engine.WithAbort(func(context.Context) bool { return true }))
	equal(t, "reason", o.Reason, engine.Aborted)
	equal(t, "attempts", o.Attempts, 0)
	equal(t, "events", w.names(), "aborted")
	equal(t, "state", b.State(), engine.Open)

	w.run(p, w.script(fails(engine.ServerError)))
	o = w.run(p, w.script(fine))
	equal(t, "reason", o.Reason, engine.CircuitOpen)
	equal(t, "attempts", o.Attempts, 0)
	equal(t, "events", w.names(), "circuit_rejected")
	if err, ok := errors.AsType[*engine.Error](o.Err()); !ok || err.Err != nil {
		t.Errorf("error of a call that was refused: %#v", o.Err())
	}
}

func TestA1_ACallerWhoHasGoneMakesNoAttempt(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{})
	cause := errors.New("the user closed the page")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	o := w.runUnder(ctx, p, w.script(fine))
	equal(t, "reason", o.Reason, engine.Canceled)
	equal(t, "attempts", o.Attempts, 0)
	if err := o.Err(); !errors.Is(err, cause) {
		t.Errorf("%v does not wrap the cause", err)
	}
}

func TestA2_AttemptsAreNumberedFromOneAndEndWithTheDecision(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, MaxAttempts: 3})
	w.run(p, w.script(reply{err: failure(engine.Transient), after: time.Millisecond}))
	var got []string
	for _, e := range w.events {
		got = append(got, fmt.Sprintf("%v %d %v %v %v %v %v %v", e.Kind, e.Attempt, e.Elapsed, e.Decision, e.Class, e.Rule, e.Sleep, e.Reason))
	}
	want := []string{
		"attempt_start 1 0s    0s ",
		"retry 1 1ms  TRANSIENT by-code 1s ",
		"attempt_end 1 1ms retry TRANSIENT by-code 1s ",
		"attempt_start 2 1.001s    0s ",
		"retry 2 1.002s  TRANSIENT by-code 1s ",
		"attempt_end 2 1.002s retry TRANSIENT by-code 1s ",
		"attempt_start 3 2.002s    0s ",
		"attempt_end 3 2.003s stop TRANSIENT by-code 0s MAX_ATTEMPTS_GLOBAL",
		"max_attempts_exceeded 3 2.003s  TRANSIENT by-code 0s MAX_ATTEMPTS_GLOBAL",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestA3_AMatchedResultIsAFailureAndNoMatchIsSuccess(t *testing.T) {
	p := policy(t, engine.Spec{
		Strategy: engine.Immediate{},
		ClassifyResult: func(in *engine.Input) engine.Verdict {
			if in.Failure.Status == 202 {
				return engine.Verdict{Class: engine.Transient, Rule: "pending"}
			}
			return engine.Verdict{}
		},
		MaxAttempts: 2,
	})
	type response struct{ StatusCode int }
	statuses := []int{202, 200, 202, 202}
	next := func(context.Context) (response, error) {
		r := response{statuses[0]}
		statuses = statuses[1:]
		return r, nil
	}
	o := engine.Execute(t.Context(), p, next)
	if !o.OK || o.Attempts != 2 || o.Value.StatusCode != 200 {
		t.Errorf("got %+v", o)
	}
	v, err := engine.Call(t.Context(), p, next)
	equal(t, "value of the call that gave up", v.StatusCode, 202)
	stopped, ok := errors.AsType[*engine.Error](err)
	if !ok || stopped.Cause != engine.CauseResult || stopped.Rule != "pending" || stopped.Err != nil {
		t.Errorf("got %#v", err)
	}
}

// Each row makes two conditions hold, and the earlier one decides.
func TestA4_TheFirstConditionThatHoldsDecides(t *testing.T) {
	stopSelected := func(in *engine.Input) engine.Selection {
		return engine.Selection{Strategy: engine.StopStrategy{}, Rule: "no-more"}
	}
	rows := []struct {
		name     string
		spec     engine.Spec
		opts     []engine.Option
		replies  []reply
		cancelAt time.Duration
		deadline time.Duration
		want     engine.StopReason
		attempts int
		events   string
	}{
		{name: "1 before 2: cancelled and aborted", cancelAt: time.Second, opts: []engine.Option{engine.WithAbort(abortAfter(1))},
			replies: []reply{{after: 2 * time.Second}}, want: engine.Canceled, attempts: 1, events: "canceled"},
		{name: "1 before 2: the caller's deadline and an abort", deadline: time.Second, opts: []engine.Option{engine.WithAbort(abortAfter(1))},
			replies: []reply{{after: 2 * time.Second}}, want: engine.DeadlineExceeded, attempts: 1, events: "deadline_exceeded"},
		{name: "1 before 4: cancelled while a permanent failure returns", cancelAt: time.Second,
			replies: []reply{{after: 2 * time.Second}}, want: engine.Canceled, attempts: 1, events: "canceled"},
		{name: "2 before 3: abort marker and a cap", spec: engine.Spec{Classes: map[engine.Class]engine.ClassSpec{engine.Transient: {MaxAttempts: 1}}},
			replies: []reply{{err: engine.Abort(failure(engine.Transient))}}, want: engine.Aborted, attempts: 1, events: "aborted"},
		{name: "2 before 4: abort function and a permanent failure", opts: []engine.Option{engine.WithAbort(abortAfter(1))},
			replies: []reply{fails(engine.Permanent)}, want: engine.Aborted, attempts: 1, events: "aborted"},
		{name: "3 before 4: cap of a class that is never retried", spec: engine.Spec{Classes: map[engine.Class]engine.ClassSpec{engine.Auth: {MaxAttempts: 1}}},
			replies: []reply{fails(engine.Auth)}, want: engine.MaxAttemptsPerClass, attempts: 1, events: "max_attempts_exceeded"},
		{name: "3 before 5: cap of UNKNOWN itself", spec: engine.Spec{MaxUnknownAttempts: 1, Classes: map[engine.Class]engine.ClassSpec{engine.Unknown: {MaxAttempts: 1}}},
			replies: []reply{fails(engine.Unknown)}, want: engine.MaxAttemptsPerClass, attempts: 1, events: "max_attempts_exceeded"},
		{name: "4 before 6: permanent and not idempotent", opts: []engine.Option{engine.NotIdempotent()},
			replies: []reply{fails(engine.Permission)}, want: engine.NonRetryableClass, attempts: 1, events: "permanent_fail"},
		{name: "5 before 6: unknown and not idempotent", spec: engine.Spec{MaxUnknownAttempts: 1}, opts: []engine.Option{engine.NotIdempotent()},
			replies: []reply{fails(engine.Unknown)}, want: engine.MaxUnknownAttempts, attempts: 1, events: "max_unknown_attempts_exceeded"},
		{name: "6 idempotent before replayable", opts: []engine.Option{engine.NotIdempotent(), engine.NotReplayable()},
			replies: []reply{fails(engine.Transient)}, want: engine.ReasonNotIdempotent, attempts: 1, events: "permanent_fail"},
		{name: "6: not idempotent, but that was taken back", opts: []engine.Option{engine.NotIdempotent(), engine.Idempotent()}, spec: engine.Spec{Strategy: engine.Immediate{}},
			replies: []reply{fails(engine.Transient), fine}, want: engine.Success, attempts: 2, events: "retry success"},
		{name: "6: marked as not sent", opts: []engine.Option{engine.NotIdempotent()}, spec: engine.Spec{Strategy: engine.Immediate{}},
			replies: []reply{{err: engine.MarkPhase(failure(engine.Transient), engine.NotSent)}, fine}, want: engine.Success, attempts: 2, events: "retry success"},
		{name: "6: not sent, but not replayable", opts: []engine.Option{engine.NotIdempotent(), engine.NotReplayable()},
			replies: []reply{{err: notSent(engine.Transient)}}, want: engine.ReasonNotReplayable, attempts: 1, events: "permanent_fail"},
		{name: "6 before 7: not replayable and the last attempt", spec: engine.Spec{MaxAttempts: 1}, opts: []engine.Option{engine.NotReplayable()},
			replies: []reply{fails(engine.Transient)}, want: engine.ReasonNotReplayable, attempts: 1, events: "permanent_fail"},
		{name: "7 before 8: the last attempt and no strategy", spec: engine.Spec{MaxAttempts: 1, Classes: map[engine.Class]engine.ClassSpec{engine.RateLimit: {Strategy: engine.Immediate{}}}},
			replies: []reply{fails(engine.Transient)}, want: engine.MaxAttemptsGlobal, attempts: 1, events: "max_attempts_exceeded"},
		{name: "8: no strategy for the class and no default", spec: engine.Spec{Deadline: time.Nanosecond, Classes: map[engine.Class]engine.ClassSpec{engine.RateLimit: {Strategy: engine.Immediate{}}}},
			replies: []reply{{err: failure(engine.Transient), after: time.Second}}, want: engine.NoStrategy, attempts: 1, events: "no_strategy_configured"},
		{name: "8 before 9: strategy stop and the deadline has passed", spec: engine.Spec{Deadline: time.Second, Select: stopSelected},
			replies: []reply{fails(engine.Transient)}, want: engine.NonRetryableClass, attempts: 1, events: "permanent_fail"},
		{name: "9: the sleep cannot end before the deadline", spec: engine.Spec{Deadline: time.Second, Strategy: engine.Constant{Wait: time.Second}},
			replies: []reply{fails(engine.Transient)}, want: engine.DeadlineExceeded, attempts: 1, events: "deadline_exceeded"},
		{name: "9 before 11: no time and no budget", spec: engine.Spec{Deadline: time.Second, Strategy: engine.Constant{Wait: time.Second}, Budget: budget(t, engine.BudgetSpec{})},
			replies: []reply{fails(engine.Transient)}, want: engine.DeadlineExceeded, attempts: 1, events: "deadline_exceeded"},
		{name: "11: the budget refuses", spec: engine.Spec{Strategy: engine.Immediate{}, Budget: budget(t, engine.BudgetSpec{MaxRetries: 1})},
			replies: []reply{fails(engine.Transient)}, want: engine.BudgetExhausted, attempts: 2, events: "retry budget_exhausted"},
		{name: "12: none of them", spec: engine.Spec{Strategy: engine.Immediate{}},
			replies: []reply{fails(engine.Transient), fine}, want: engine.Success, attempts: 2, events: "retry success"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			o := w.runUnder(w.caller(t, row.deadline, row.cancelAt), policy(t, row.spec), w.script(row.replies...), row.opts...)
			equal(t, "reason", o.Reason, row.want)
			equal(t, "attempts", o.Attempts, row.attempts)
			equal(t, "events", w.names(), row.events)
		})
	}
}

// abortAfter returns an abort function that says so from the nth question on, the
// one before the first attempt being number 0.
func abortAfter(n int) func(context.Context) bool {
	asked := 0
	return func(context.Context) bool {
		asked++
		return asked > n
	}
}

func TestA4_1_AnAttemptsOwnTimeoutIsAnOrdinaryFailure(t *testing.T) {
	w := newWorld()
	timedOut := func(in *engine.Input) engine.Verdict {
		if in.Failure.Timeout {
			return engine.Verdict{Class: engine.Transient, Rule: "timeout"}
		}
		return engine.Verdict{}
	}
	p := policy(t, engine.Spec{AttemptTimeout: time.Second, Strategy: engine.Immediate{}, Classify: timedOut})
	o := w.run(p, w.script(reply{after: time.Minute}, fine))
	if !o.OK || o.Attempts != 2 || o.Elapsed != time.Second || o.Rule != "timeout" {
		t.Errorf("got %+v", o)
	}
}

func TestA4_1_AFailureIsClassifiedWhenTheCallersDeadlineEndedTheCall(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	p := policy(t, engine.Spec{Breaker: b, DefaultClass: engine.Transient})
	o := w.runUnder(w.caller(t, time.Second, 0), p, w.script(reply{after: time.Minute}))
	equal(t, "reason", o.Reason, engine.DeadlineExceeded)
	equal(t, "class", o.Class, engine.Transient)
	equal(t, "the breaker sees a dependency that hangs", b.State(), engine.Open)
}

func TestA4_1_AnErrorIsNotClassifiedWhenTheCallerCancelled(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}})
	o := w.runUnder(w.caller(t, 0, time.Second), p, w.script(fails(engine.RateLimit), reply{after: time.Minute}))
	equal(t, "reason", o.Reason, engine.Canceled)
	equal(t, "class of the failure before", o.Class, engine.RateLimit)
	equal(t, "rule of the failure before", o.Rule, "by-code")
	if !errors.Is(o.Err(), context.Canceled) {
		t.Errorf("got %v", o.Err())
	}
}

func TestA4_8_AStopNamesTheSelectingRule(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Select: func(*engine.Input) engine.Selection {
		return engine.Selection{Strategy: engine.StopStrategy{}, Rule: "give-up-early"}
	}})
	o := w.run(p, w.script(fails(engine.Transient)))
	equal(t, "reason", o.Reason, engine.NonRetryableClass)
	equal(t, "selector", o.Selector, "give-up-early")
	equal(t, "selector of the event", w.of(engine.EventPermanentFail)[0].Selector, "give-up-early")
}

func TestA4_9_NoSleepEndsAtOrAfterTheDeadline(t *testing.T) {
	for _, row := range []struct {
		deadline time.Duration
		want     engine.StopReason
	}{
		{time.Second, engine.DeadlineExceeded},
		{time.Second + 1, engine.Success},
	} {
		for _, ofCaller := range []bool{false, true} {
			w := newWorld()
			spec, ctx := engine.Spec{Strategy: engine.Constant{Wait: time.Second}}, context.Background()
			if ofCaller {
				ctx = w.caller(t, row.deadline, 0)
			} else {
				spec.Deadline = row.deadline
			}
			o := w.runUnder(ctx, policy(t, spec), w.script(fails(engine.Transient), fine))
			if o.Reason != row.want {
				t.Errorf("deadline %v, of the caller %v: got %v, want %v", row.deadline, ofCaller, o.Reason, row.want)
			}
			if row.want == engine.DeadlineExceeded && o.Elapsed != 0 {
				t.Errorf("slept into the deadline for %v", o.Elapsed)
			}
		}
	}
}

func TestA4_10_NoAttemptFollowsABreakerThatOpenedMeanwhile(t *testing.T) {
	rows := []struct {
		name string
		wait time.Duration
		when int // the attempt of the outer call during which the breaker opens
	}{{"before the decision", time.Second, 1}, {"without a sleep", 0, 1}}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			b := breaker(t, engine.BreakerSpec{Name: "shared", FailureThreshold: 1})
			victim := policy(t, engine.Spec{Name: "victim", Strategy: engine.Constant{Wait: row.wait}, Breaker: b})
			other := policy(t, engine.Spec{Name: "other", MaxAttempts: 1, Breaker: b})
			real := failure(engine.Transient)
			o := w.run(victim, func(ctx context.Context) (int, error) {
				_ = engine.Do(ctx, other, func(context.Context) error { return failure(engine.ServerError) }, engine.WithClock(w.Clock))
				return 0, real
			})
			equal(t, "reason", o.Reason, engine.CircuitOpen)
			equal(t, "attempts", o.Attempts, 1)
			if !errors.Is(o.Err(), real) {
				t.Errorf("%v does not wrap the last real error", o.Err())
			}
			equal(t, "events", w.names(), "circuit_rejected")
		})
	}
	t.Run("during the sleep", func(t *testing.T) {
		w := newWorld()
		b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
		victim := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, Breaker: b})
		other := policy(t, engine.Spec{MaxAttempts: 1, Breaker: b})
		o := w.run(victim, w.script(fails(engine.Transient)), engine.WithBeforeSleep(func(ctx context.Context, _ engine.SleepInfo) {
			_ = engine.Do(ctx, other, func(context.Context) error { return failure(engine.ServerError) }, engine.WithClock(w.Clock))
		}))
		equal(t, "reason", o.Reason, engine.CircuitOpen)
		equal(t, "attempts", o.Attempts, 1)
		equal(t, "events", w.names(), "retry circuit_rejected")
	})
}

func TestA4_12_TheSleepHandlerSleepsDefersOrAborts(t *testing.T) {
	for _, row := range []struct {
		action   engine.SleepAction
		want     engine.StopReason
		decision engine.Decision
		next     time.Duration
		events   string
	}{
		{engine.SleepThenRetry, engine.Success, engine.DecideRetry, 0, "retry success"},
		{engine.DeferRetry, engine.Scheduled, engine.DecideScheduled, 3 * time.Second, "retry scheduled"},
		{engine.AbortRetry, engine.Aborted, engine.DecideAborted, 0, "retry aborted"},
		{99, engine.Success, engine.DecideRetry, 0, "retry rule_error success"},
	} {
		w := newWorld()
		var got engine.SleepInfo
		p := policy(t, engine.Spec{Strategy: engine.RetryAfterOr{Jitter: engine.None}})
		o := w.run(p, w.script(reply{err: hinted(engine.RateLimit, 3*time.Second), after: time.Second}, fine), engine.WithOperation("op"),
			engine.WithSleepHandler(func(_ context.Context, info engine.SleepInfo) engine.SleepAction {
				got = info
				return row.action
			}))
		equal(t, "reason", o.Reason, row.want)
		equal(t, "next delay", o.NextDelay, row.next)
		equal(t, "decision", w.of(engine.AttemptEnd)[0].Decision, row.decision)
		equal(t, "events", w.names(), row.events)
		got.State, got.Err = engine.StepState{}, nil
		want := engine.SleepInfo{Policy: "p", Operation: "op", Attempt: 1, Class: engine.RateLimit, Rule: "by-code", Cause: engine.CauseError,
			Strategy: "retry_after_or", Hint: 3 * time.Second, HasHint: true, Sleep: 3 * time.Second, Elapsed: time.Second, Remaining: 59 * time.Second}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func TestA5_ASleepEndsWithTheCallersContext(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: 10 * time.Second}})
	o := w.runUnder(w.caller(t, 0, 4*time.Second), p, w.script(fails(engine.Transient)))
	equal(t, "reason", o.Reason, engine.Canceled)
	equal(t, "elapsed", o.Elapsed, 4*time.Second)
	equal(t, "events", w.names(), "retry canceled")
	equal(t, "class", o.Class, engine.Transient)
}

func TestA5_AbortIsAskedAfterEachSleep(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}})
	o := w.run(p, w.script(fails(engine.Transient)), engine.WithAbort(abortAfter(2)))
	equal(t, "reason", o.Reason, engine.Aborted)
	equal(t, "attempts", o.Attempts, 1)
	equal(t, "events", w.names(), "retry aborted")
}

func TestA5_AClockThatOversleepsDoesNotMakeAnotherAttempt(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, Deadline: 2 * time.Second})
	o := w.run(p, w.script(fails(engine.Transient)), engine.WithClock(oversleeping{w}))
	equal(t, "reason", o.Reason, engine.DeadlineExceeded)
	equal(t, "attempts", o.Attempts, 1)
}

type oversleeping struct{ *world }

func (c oversleeping) Sleep(ctx context.Context, d time.Duration) error {
	return c.world.Sleep(ctx, d+time.Hour)
}

func TestNoClockMakesACallSleepLongerThanItsDeadline(t *testing.T) {
	for name, clock := range map[string]*oddClock{
		"that does not move while it sleeps": {},
		"that is set back at every sleep":    {step: -time.Minute},
	} {
		p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: 9 * time.Second}, MaxAttempts: 1000})
		o := engine.Execute(t.Context(), p, func(context.Context) (int, error) { return 0, failure(engine.Transient) }, engine.WithClock(clock))
		equal(t, name+": reason", o.Reason, engine.DeadlineExceeded)
		equal(t, name+": slept", clock.slept, 54*time.Second)
		equal(t, name+": elapsed", o.Elapsed, 54*time.Second)
	}
}

func TestTheTimeOfACallStandsStillWhenItsClockIsSetBackByCenturies(t *testing.T) {
	clock := &oddClock{}
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, MaxAttempts: 3, Classify: byCode})
	o := engine.Execute(t.Context(), p, func(context.Context) (int, error) {
		clock.broken = true
		return 0, failure(engine.Transient)
	}, engine.WithClock(clock))
	equal(t, "reason", o.Reason, engine.MaxAttemptsGlobal)
	equal(t, "elapsed", o.Elapsed, 2*time.Second)
}

type oddClock struct {
	offset, step, slept time.Duration
	broken              bool
}

func (c *oddClock) Now() time.Time {
	if c.broken {
		return time.Time{}
	}
	return time.Unix(1e9, 0).Add(c.offset)
}

func (c *oddClock) Sleep(_ context.Context, d time.Duration) error {
	c.slept += d
	c.offset += c.step
	return nil
}

func TestA6_TheBreakerRecordsOneOutcomePerCallAfterItsLastEvent(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 2})
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 3, Breaker: b})
	w.run(p, w.script(fails(engine.Transient)))
	equal(t, "state after one call of three attempts", b.State(), engine.Closed)
	w.run(p, w.script(fails(engine.Transient)))
	equal(t, "state after two calls", b.State(), engine.Open)
	equal(t, "events", w.names(), "retry retry max_attempts_exceeded circuit_opened")
}

func TestA6_TheClassOfTheLastFailureCounts(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1, TripOn: []engine.Class{engine.ServerError}})
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 2, Breaker: b})
	w.run(p, w.script(fails(engine.ServerError), fails(engine.Transient)))
	equal(t, "last failure TRANSIENT", b.State(), engine.Closed)
	w.run(p, w.script(fails(engine.Transient), fails(engine.ServerError)))
	equal(t, "last failure SERVER_ERROR", b.State(), engine.Open)
}

func TestA6_CanceledAbortedAndScheduledCallsAreNeutral(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Minute / 2}, Breaker: b})
	w.runUnder(w.caller(t, 0, time.Second), p, w.script(fails(engine.Transient)))
	w.run(p, w.script(fails(engine.Transient)), engine.WithAbort(abortAfter(1)))
	w.run(p, w.script(fails(engine.Transient)), engine.WithSleepHandler(deferAll))
	equal(t, "state", b.State(), engine.Closed)
}

func deferAll(context.Context, engine.SleepInfo) engine.SleepAction { return engine.DeferRetry }

func TestA7_CapsCountAttempts(t *testing.T) {
	for _, limit := range []int{1, 2, 3} {
		w := newWorld()
		p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 9, MaxUnknownAttempts: limit,
			Classes: map[engine.Class]engine.ClassSpec{engine.RateLimit: {MaxAttempts: limit}}})
		o := w.run(p, w.script(fails(engine.RateLimit)))
		equal(t, "attempts", o.Attempts, limit)
		equal(t, "reason", o.Reason, engine.MaxAttemptsPerClass)
		o = w.run(p, w.script(fails(engine.Unknown)))
		equal(t, "attempts", o.Attempts, limit)
		equal(t, "reason", o.Reason, engine.MaxUnknownAttempts)
	}
}

func TestA7_CapsCountTheFailuresOfTheirClassAlone(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 9, Classes: map[engine.Class]engine.ClassSpec{engine.RateLimit: {MaxAttempts: 2}}})
	o := w.run(p, w.script(fails(engine.RateLimit), fails(engine.Transient), fails(engine.Unknown), fails(engine.RateLimit)))
	equal(t, "attempts", o.Attempts, 4)
	equal(t, "reason", o.Reason, engine.MaxAttemptsPerClass)
}

func TestA8_MaxAttemptsCountsTheFirst(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		w := newWorld()
		o := w.run(policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: n}), w.script(fails(engine.Transient)))
		equal(t, "attempts", o.Attempts, n)
		equal(t, "retries", len(w.of(engine.EventRetry)), n-1)
	}
}

func TestA9_NothingIsRetriedAfterSuccess(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, Observer: engine.ObserverFunc(func(context.Context, engine.Event) { panic("observer") })})
	calls := 0
	o := engine.Execute(t.Context(), p, func(context.Context) (int, error) { calls++; return 1, nil },
		engine.WithClock(w.Clock), engine.WithAbort(abortAfter(1)))
	equal(t, "ok", o.OK, true)
	equal(t, "attempts", calls, 1)
}

func TestA9_PanicsOfWhatIsGivenAreContainedCountedAndReported(t *testing.T) {
	boom := func() { panic("boom") }
	rows := []struct {
		name   string
		spec   engine.Spec
		opts   []engine.Option
		reason engine.StopReason
		check  func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats)
	}{
		{name: "classify: no rule held",
			spec:   engine.Spec{Classify: func(*engine.Input) engine.Verdict { boom(); return engine.Verdict{} }, DefaultClass: engine.Permanent},
			reason: engine.NonRetryableClass,
			check: func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {
				equal(t, "rule", o.Rule, "default")
				equal(t, "rule panics", s.RulePanics, 1)
			}},
		{name: "classify result: no rule held",
			spec:   engine.Spec{Strategy: engine.Immediate{}, ClassifyResult: func(*engine.Input) engine.Verdict { boom(); return engine.Verdict{} }},
			reason: engine.Success,
			check: func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {
				equal(t, "rule panics", s.RulePanics, 1)
			}},
		{name: "select: no rule held",
			spec:   engine.Spec{Strategy: engine.Constant{Wait: time.Second}, Select: func(*engine.Input) engine.Selection { boom(); return engine.Selection{} }},
			reason: engine.Success,
			check: func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {
				equal(t, "sleep", o.Elapsed, time.Second)
				equal(t, "rule panics", s.RulePanics, 1)
			}},
		{name: "strategy: the default takes its place",
			spec:   engine.Spec{Strategy: engine.Func("mine", func(engine.DelayInput) engine.Delay { boom(); return engine.Delay{} })},
			reason: engine.Success,
			check: func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {
				equal(t, "sleep of decorrelated jitter with u = 0", o.Elapsed, 250*time.Millisecond)
				equal(t, "strategy", o.Strategy, "decorrelated_jitter")
				equal(t, "strategy faults", s.StrategyFaults, 1)
				equal(t, "strategy of the report", w.of(engine.EventRuleError)[0].Strategy, "mine")
			}},
		{name: "abort function: not heeded", spec: engine.Spec{Strategy: engine.Immediate{}},
			opts:   []engine.Option{engine.WithAbort(func(context.Context) bool { boom(); return true })},
			reason: engine.Success,
			check: func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {
				equal(t, "hook panics", s.HookPanics, 3) // before the call, after the failure, after the sleep
			}},
		{name: "before-sleep hook: ignored", spec: engine.Spec{Strategy: engine.Immediate{}},
			opts:   []engine.Option{engine.WithBeforeSleep(func(context.Context, engine.SleepInfo) { boom() })},
			reason: engine.Success,
			check: func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {
				equal(t, "hook panics", s.HookPanics, 1)
			}},
		{name: "sleep handler: ignored", spec: engine.Spec{Strategy: engine.Immediate{}},
			opts:   []engine.Option{engine.WithSleepHandler(func(context.Context, engine.SleepInfo) engine.SleepAction { boom(); return engine.AbortRetry })},
			reason: engine.Success,
			check: func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {
				equal(t, "hook panics", s.HookPanics, 1)
			}},
		{name: "discard: ignored", spec: engine.Spec{Strategy: engine.Immediate{}},
			opts:   []engine.Option{engine.WithDiscard(func(int) { boom() })},
			reason: engine.Success,
			check: func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {
				equal(t, "hook panics", s.HookPanics, 1)
			}},
		{name: "extractor: no attributes", spec: engine.Spec{Strategy: engine.Immediate{}, Attributes: func(error) map[string]any { boom(); return nil }},
			reason: engine.Success,
			check:  func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {}},
		{name: "learner: ignored", spec: engine.Spec{Strategy: unteachable{}},
			reason: engine.Success,
			check: func(t *testing.T, w *world, o engine.Outcome[int], s engine.Stats) {
				equal(t, "hook panics", s.HookPanics, 2)
			}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			if row.spec.Classify == nil {
				row.spec.DefaultClass = engine.Transient
			}
			p := policy(t, row.spec)
			o := w.run(p, w.script(reply{err: errPlain}, fine), row.opts...)
			equal(t, "reason", o.Reason, row.reason)
			reports := w.of(engine.EventRuleError)
			if len(reports) == 0 {
				t.Error("not reported")
			}
			for _, e := range reports {
				if e.Err == nil {
					t.Errorf("report without an error: %+v", e)
				}
			}
			equal(t, "rule errors", p.Stats().RuleErrors, uint64(len(reports)))
			row.check(t, w, o, p.Stats())
		})
	}
}

// unteachable is a strategy that panics when it is told how an attempt ended.
type unteachable struct{ engine.Immediate }

func (unteachable) Learn(time.Time, bool) { panic("learn") }

func TestA9_AnObserverThatPanicsChangesNothingAndIsCounted(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}})
	o := engine.Execute(t.Context(), p, w.script(fails(engine.Transient), fine), engine.WithClock(w.Clock),
		engine.WithObserver(engine.Observers(engine.ObserverFunc(func(context.Context, engine.Event) { panic("observer") }), w)))
	equal(t, "ok", o.OK, true)
	equal(t, "events that the other observer was told", len(w.events), 6)
	equal(t, "observer panics", p.Stats().ObserverPanics, 6)
}

func TestA9_AnOperationThatDoesNotReturnGivesEveryPermitBack(t *testing.T) {
	endings := map[string]func(){
		"panic":  func() { panic(io.ErrUnexpectedEOF) },
		"goexit": runtime.Goexit,
	}
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			b := breaker(t, engine.BreakerSpec{FailureThreshold: 2, TripOn: []engine.Class{engine.ServerError}})
			p := policy(t, engine.Spec{Breaker: b, MaxAttempts: 1})
			w.run(p, w.script(fails(engine.ServerError)))

			got := inGoroutine(func() {
				w.run(p, func(context.Context) (int, error) { end(); return 0, nil })
			})
			if name == "panic" && got != io.ErrUnexpectedEOF {
				t.Errorf("the panic did not go on untouched: %v", got)
			}
			equal(t, "events", w.names(), "circuit_opened")
			last := w.of(engine.AttemptEnd)
			if len(last) != 1 || last[0].Decision != engine.DecideStop {
				t.Errorf("attempt_end: %+v", last)
			}
			equal(t, "counts whatever trip_on says", b.State(), engine.Open)

			w.Advance(30 * time.Second)
			inGoroutine(func() { w.run(p, func(context.Context) (int, error) { end(); return 0, nil }) })
			equal(t, "events of the probe", w.names(), "circuit_half_open circuit_opened")

			w.Advance(30 * time.Second)
			o := w.run(p, w.script(fine))
			equal(t, "the place of the probe is free", o.OK, true)
		})
	}
}

// inGoroutine runs f on a goroutine of its own and returns the value it panicked with.
func inGoroutine(f func()) (panicked any) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		f()
	}()
	<-done
	return panicked
}

func TestA9_AnObserverThatEndsTheGoroutineStillGivesTheProbeBack(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	p := policy(t, engine.Spec{Breaker: b, MaxAttempts: 1})
	w.run(p, w.script(fails(engine.ServerError)))
	w.Advance(30 * time.Second)
	inGoroutine(func() {
		w.run(p, w.script(fine), engine.WithObserver(engine.ObserverFunc(func(_ context.Context, e engine.Event) {
			if e.Kind == engine.EventSuccess {
				runtime.Goexit()
			}
		})))
	})
	o := w.run(p, w.script(fine))
	equal(t, "the place of the probe is free", o.OK, true)
}

func TestA10_AnInnerCallsErrorIsClassifiedByItsReasonThenByWhatItWraps(t *testing.T) {
	w := newWorld()
	inner := policy(t, engine.Spec{Name: "inner", Strategy: engine.Immediate{}, MaxAttempts: 2})
	byReason := func(in *engine.Input) engine.Verdict {
		if in.Failure.Kind == engine.KindRedress && in.Failure.Code == "CIRCUIT_OPEN" {
			return engine.Verdict{Class: engine.Permanent, Rule: "inner-gave-up"}
		}
		return byCode(in)
	}
	outer := policy(t, engine.Spec{Name: "outer", Strategy: engine.Immediate{}, MaxAttempts: 3, Classify: byReason})
	real := failure(engine.RateLimit)
	o := w.run(outer, func(ctx context.Context) (int, error) {
		return engine.Call(ctx, inner, func(context.Context) (int, error) { return 0, real }, engine.WithClock(w.Clock))
	})
	equal(t, "class of what the inner call wraps", o.Class, engine.RateLimit)
	equal(t, "rule", o.Rule, "by-code")
	equal(t, "attempts", o.Attempts, 3)
	if !errors.Is(o.Err(), real) {
		t.Errorf("%v does not reach the first error", o.Err())
	}

	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	guarded := policy(t, engine.Spec{Name: "guarded", MaxAttempts: 1, Breaker: b})
	w.run(guarded, w.script(fails(engine.ServerError)))
	o = w.run(outer, func(ctx context.Context) (int, error) {
		return engine.Call(ctx, guarded, w.script(fine), engine.WithClock(w.Clock))
	})
	equal(t, "rule", o.Rule, "inner-gave-up")
	equal(t, "attempts", o.Attempts, 1)
}

func TestA10_AnAbortOfAnInnerCallAbortsTheOuterOne(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}})
	o := w.run(p, func(ctx context.Context) (int, error) {
		return engine.Call(ctx, p, func(context.Context) (int, error) { return 0, engine.Abort(errPlain) }, engine.WithClock(w.Clock))
	})
	equal(t, "reason", o.Reason, engine.Aborted)
	equal(t, "attempts", o.Attempts, 1)
}

func TestMarkersDecideWhenNoRuleHolds(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.RetryAfterOr{Jitter: engine.None}, MaxAttempts: 2})
	o := w.run(p, w.script(reply{err: engine.MarkRateLimit(errPlain, 7*time.Second)}, fine))
	equal(t, "class", o.Class, engine.RateLimit)
	equal(t, "rule", o.Rule, engine.RuleMarker)
	equal(t, "the marker's hint", o.Elapsed, 7*time.Second)
	o = w.run(p, w.script(reply{err: engine.MarkPermanent(failure(engine.Transient))}, fine))
	equal(t, "a rule that holds comes first", o.Rule, "by-code")
	o = w.run(p, w.script(reply{err: errPlain}, fine))
	equal(t, "class", o.Class, engine.Unknown)
	equal(t, "rule", o.Rule, engine.RuleDefault)
}

func TestE_FirstAttemptsAreFreeAndARefusalKeepsTheError(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, Budget: budget(t, engine.BudgetSpec{MaxRetries: 0})})
	for range 100 {
		if o := w.run(p, w.script(fine)); !o.OK {
			t.Fatalf("a first attempt was refused: %v", o.Err())
		}
	}
	real := failure(engine.Transient)
	o := w.run(p, w.script(reply{err: real}))
	equal(t, "reason", o.Reason, engine.BudgetExhausted)
	if !errors.Is(o.Err(), real) {
		t.Errorf("%v does not wrap the operation's error", o.Err())
	}
}

func TestE_ARetryThatIsNotMadeStaysCounted(t *testing.T) {
	w := newWorld()
	b := budget(t, engine.BudgetSpec{MaxRetries: 2})
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: 10 * time.Second}, Budget: b})
	w.runUnder(w.caller(t, 0, time.Second), p, w.script(fails(engine.Transient)))
	equal(t, "remaining", b.Remaining(w.Now()), 1)
}

func TestNoLastAttemptPaysForASleepOrTheBudget(t *testing.T) {
	w := newWorld()
	b := budget(t, engine.BudgetSpec{MaxRetries: 5})
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, MaxAttempts: 1, Budget: b})
	o := w.run(p, w.script(fails(engine.Transient)))
	equal(t, "elapsed", o.Elapsed, 0)
	equal(t, "remaining", b.Remaining(w.Now()), 5)
}

func TestG2_TheVerbsAgreeCallForCall(t *testing.T) {
	spec := engine.Spec{
		Strategy:       engine.Constant{Wait: time.Second},
		MaxAttempts:    3,
		ClassifyResult: func(in *engine.Input) engine.Verdict { return engine.Verdict{} },
	}
	scripts := map[string][]reply{
		"success":            {fine},
		"success at last":    {fails(engine.Transient), fine},
		"gives up":           {fails(engine.Transient)},
		"permanent":          {fails(engine.Transient), fails(engine.Permanent)},
		"aborts":             {{err: engine.Abort(errPlain)}},
		"value beside error": {{value: 7, err: failure(engine.Permanent)}},
	}
	for name, replies := range scripts {
		t.Run(name, func(t *testing.T) {
			// Each verb in a world of its own, told as (value, error text, events).
			tell := func(w *world, value int, err error) string {
				return fmt.Sprintf("%d %v [%s] %v", value, err, w.names(), w.Now().Sub(newWorld().Now()))
			}
			var stories []string
			w := newWorld()
			value, err := engine.Call(t.Context(), policy(t, spec), w.script(replies...), w.options()...)
			stories = append(stories, tell(w, value, err))

			w = newWorld()
			o := engine.Execute(t.Context(), policy(t, spec), w.script(replies...), w.options()...)
			stories = append(stories, tell(w, o.Value, o.Err()))

			w = newWorld()
			o = engine.Go(t.Context(), policy(t, spec), w.script(replies...), w.options()...).Wait()
			stories = append(stories, tell(w, o.Value, o.Err()))

			w = newWorld()
			op := w.script(replies...)
			err = engine.Do(t.Context(), policy(t, spec), func(ctx context.Context) error {
				var err error
				value, err = op(ctx)
				return err
			}, w.options()...)
			stories = append(stories, tell(w, value, err))

			w = newWorld()
			o = stepThrough(t, w, policy(t, spec), w.script(replies...))
			stories = append(stories, tell(w, o.Value, o.Err()))
			for i, story := range stories[:4] {
				if story != stories[0] {
					t.Errorf("verb %d: got %s, want %s", i, story, stories[0])
				}
			}
			equal(t, "reason of Step", o.Reason, engine.Execute(t.Context(), policy(t, spec), newWorld().script(replies...), newWorld().options()...).Reason)
		})
	}
}

func TestErrorTextHoldsNoResult(t *testing.T) {
	p := policy(t, engine.Spec{MaxAttempts: 1, ClassifyResult: func(*engine.Input) engine.Verdict {
		return engine.Verdict{Class: engine.Transient, Rule: "pending"}
	}})
	type response struct{ Body string }
	o := engine.Execute(t.Context(), p, func(context.Context) (response, error) { return response{"SECRET"}, nil }, engine.WithTimeline(), engine.WithOperation("read"))
	for _, text := range []string{o.Err().Error(), o.Explain()} {
		if strings.Contains(text, "SECRET") {
			t.Errorf("the result is shown: %s", text)
		}
	}
	equal(t, "text", o.Err().Error()[:strings.Index(o.Err().Error(), " in ")], "p: read: MAX_ATTEMPTS_GLOBAL after 1 attempt")
}

func TestTheCauseOfTheCallersEndIsReachable(t *testing.T) {
	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Hour}, Deadline: 2 * time.Hour})
	real := failure(engine.Transient)
	_, err := engine.Call(ctx, p, func(context.Context) (int, error) {
		cancel(cause)
		return 0, real
	})
	if !errors.Is(err, cause) || !errors.Is(err, real) {
		t.Errorf("%v reaches the cause: %v, the operation's error: %v", err, errors.Is(err, cause), errors.Is(err, real))
	}
}

func TestDiscardIsGivenEveryValueTheCallerDoesNotGet(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 3, ClassifyResult: func(in *engine.Input) engine.Verdict {
		return engine.Verdict{Class: engine.Transient, Rule: "never-good"}
	}})
	var discarded []int
	o := w.run(p, w.script(reply{value: 1}, reply{value: 2}, reply{value: 3}), engine.WithDiscard(func(v int) { discarded = append(discarded, v) }))
	equal(t, "value", o.Value, 3)
	if !reflect.DeepEqual(discarded, []int{1, 2}) {
		t.Errorf("discarded %v", discarded)
	}
}

func TestG5_ABoundHandleKeepsItsOptionsAndTheCallsOwnWin(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}})
	bound := p.Bind(w.options(engine.WithOperation("charge"), engine.WithLabels(map[string]string{"tenant": "a"}))...)
	o := engine.Execute(t.Context(), bound, w.script(fine))
	equal(t, "operation", o.Operation, "charge")
	equal(t, "label", w.events[0].Labels["tenant"], "a")
	o = engine.Execute(t.Context(), bound, w.script(fine), engine.WithOperation("refund"))
	equal(t, "operation of the call", o.Operation, "refund")
	o = engine.Execute(t.Context(), p, w.script(fine))
	equal(t, "operation of the policy itself", o.Operation, "")
}
