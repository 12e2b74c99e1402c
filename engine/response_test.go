package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

// An answer is a value that an operation returns without an error, whatever it says.
type answer struct {
	class engine.Class // NoClass: fine
	from  string
}

func failedAnswer(a *answer) error {
	if a.class == engine.NoClass {
		return nil
	}
	return failure(a.class)
}

// answers is an operation that returns one answer after the other, the last for ever.
func answers(list ...*answer) func(context.Context) (*answer, error) {
	n := -1
	return func(context.Context) (*answer, error) {
		n = min(n+1, len(list)-1)
		return list[n], nil
	}
}

func TestAResultErrorIsClassifiedAsAnErrorAndTheValueIsKept(t *testing.T) {
	bad, good := &answer{class: engine.ServerError}, &answer{}
	for _, row := range []struct {
		name     string
		list     []*answer
		want     *answer
		reason   engine.StopReason
		attempts int
		class    engine.Class
		rule     string
		cause    engine.Cause
	}{
		{"fine", []*answer{good}, good, engine.Success, 1, engine.NoClass, "", engine.NoCause},
		{"fine at last", []*answer{bad, bad, good}, good, engine.Success, 3, engine.ServerError, "by-code", engine.CauseResult},
		{"never fine", []*answer{bad}, bad, engine.MaxAttemptsGlobal, 3, engine.ServerError, "by-code", engine.CauseResult},
		{"not to be tried again", []*answer{{class: engine.Permanent}}, nil, engine.NonRetryableClass, 1, engine.Permanent, "by-code", engine.CauseResult},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 3})
			o := engine.Execute(t.Context(), p, answers(row.list...), w.options(engine.WithResultError(failedAnswer))...)
			if row.want != nil && o.Value != row.want {
				t.Errorf("the value is %v, want %v", o.Value, row.want)
			}
			equal(t, "reason", o.Reason, row.reason)
			equal(t, "attempts", o.Attempts, row.attempts)
			equal(t, "class", o.Class, row.class)
			equal(t, "rule", o.Rule, row.rule)
			equal(t, "cause", o.Cause, row.cause)
			if failed := (*failing)(nil); o.OK == errors.As(o.Err(), &failed) {
				t.Errorf("ok: %v, and the error is %v", o.OK, o.Err())
			}
		})
	}
}

func TestARuleForResultsComesBeforeTheResultError(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 4, ClassifyResult: func(in *engine.Input) engine.Verdict {
		if in.Attempt == 1 {
			return engine.Verdict{Class: engine.Concurrency, Rule: "first"}
		}
		return engine.Verdict{}
	}})
	var rules []string
	watch := engine.ObserverFunc(func(_ context.Context, e engine.Event) {
		if e.Kind == engine.AttemptEnd {
			rules = append(rules, e.Rule)
		}
	})
	bad := &answer{class: engine.ServerError}
	o := engine.Execute(t.Context(), p, answers(bad, bad, &answer{}), w.options(engine.WithResultError(failedAnswer), engine.WithObserver(watch))...)
	equal(t, "rules", fmt.Sprint(rules), "[first by-code ]")
	equal(t, "reason", o.Reason, engine.Success)
}

func TestTheContextOfAFailedResultLivesUntilTheNextAttempt(t *testing.T) {
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 2, AttemptTimeout: time.Hour})
	var contexts []context.Context
	o := engine.Execute(t.Context(), p, func(ctx context.Context) (*answer, error) {
		contexts = append(contexts, ctx)
		return &answer{class: engine.Transient}, nil
	}, engine.WithResultError(failedAnswer))
	equal(t, "reason", o.Reason, engine.MaxAttemptsGlobal)
	equal(t, "of the first attempt", contexts[0].Err(), context.Canceled)
	equal(t, "of the last attempt", contexts[1].Err(), error(nil))
}

func TestAResultErrorFunctionThatPanicsCountsAsNil(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}})
	o := engine.Execute(t.Context(), p, answers(&answer{}), w.options(engine.WithResultError(func(*answer) error { panic("boom") }))...)
	equal(t, "reason", o.Reason, engine.Success)
}

func TestAValueIsSuspendedBeforeEveryWaitAndOnlyThen(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, MaxAttempts: 3})
	var suspended, discarded []string
	o := engine.Execute(t.Context(), p, answers(
		&answer{engine.Transient, "first"}, &answer{engine.Transient, "second"}, &answer{engine.Transient, "third"},
	), w.options(
		engine.WithResultError(failedAnswer),
		engine.WithSuspend(func(a *answer) *answer {
			suspended = append(suspended, a.from)
			return &answer{a.class, a.from + ", suspended"}
		}),
		engine.WithDiscard(func(a *answer) { discarded = append(discarded, a.from) }),
	)...)
	equal(t, "suspended", fmt.Sprint(suspended), "[first second]")
	equal(t, "discarded", fmt.Sprint(discarded), "[first, suspended second, suspended]")
	equal(t, "the value", o.Value.from, "third")
}

func TestACallThatEndsDuringTheWaitReturnsTheSuspendedValue(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}})
	asked := 0
	o := engine.Execute(t.Context(), p, answers(&answer{engine.Transient, "first"}), w.options(
		engine.WithResultError(failedAnswer),
		engine.WithSuspend(func(*answer) *answer { return &answer{from: "suspended"} }),
		engine.WithAbort(func(context.Context) bool { asked++; return asked == 3 }), // after the sleep
	)...)
	equal(t, "reason", o.Reason, engine.Aborted)
	equal(t, "the value", o.Value.from, "suspended")
}

func TestASuspendThatTakesTooLongEndsTheCallAtItsDeadline(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, Deadline: 10 * time.Second})
	o := engine.Execute(t.Context(), p, answers(&answer{engine.Transient, "first"}), w.options(
		engine.WithResultError(failedAnswer),
		engine.WithSuspend(func(a *answer) *answer { w.Advance(9 * time.Second); return a }),
	)...)
	equal(t, "reason", o.Reason, engine.DeadlineExceeded)
	equal(t, "elapsed", o.Elapsed, 9*time.Second)
}

func TestASuspendThatPanicsLeavesTheValue(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}})
	asked := 0
	o := engine.Execute(t.Context(), p, answers(&answer{engine.Transient, "first"}), w.options(
		engine.WithResultError(failedAnswer),
		engine.WithSuspend(func(*answer) *answer { panic("boom") }),
		engine.WithAbort(func(context.Context) bool { asked++; return asked == 3 }),
	)...)
	equal(t, "the value", o.Value.from, "first")
}

func TestReplayableIsAskedAfterEachFailure(t *testing.T) {
	for _, row := range []struct {
		name       string
		replayable func(asked int) bool
		class      engine.Class
		reason     engine.StopReason
		attempts   int
	}{
		{"always", func(int) bool { return true }, engine.Transient, engine.MaxAttemptsGlobal, 4},
		{"never", func(int) bool { return false }, engine.Transient, engine.ReasonNotReplayable, 1},
		{"once", func(asked int) bool { return asked == 1 }, engine.Transient, engine.ReasonNotReplayable, 2},
		{"it panics", func(int) bool { panic("boom") }, engine.Transient, engine.ReasonNotReplayable, 1},
		{"never, and the class forbids it too", func(int) bool { return false }, engine.Permanent, engine.NonRetryableClass, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 4})
			asked := 0
			o := engine.Execute(t.Context(), p, answers(&answer{class: row.class}), w.options(
				engine.WithResultError(failedAnswer),
				engine.WithReplayable(func() bool { asked++; return row.replayable(asked) }),
			)...)
			equal(t, "reason", o.Reason, row.reason)
			equal(t, "attempts", o.Attempts, row.attempts)
		})
	}
}

// watched is an error whose phase somebody has seen.
type watched struct {
	err   error
	phase engine.Phase
}

func (w *watched) Error() string              { return w.err.Error() }
func (w *watched) Unwrap() error              { return w.err }
func (w *watched) FailurePhase() engine.Phase { return w.phase }

func TestAnErrorThatKnowsThePhaseAnswersForWhatItWraps(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, row := range []struct {
		name string
		err  error
		want engine.Phase
	}{
		{"not sent, of a deadline", &watched{context.DeadlineExceeded, engine.NotSent}, engine.NotSent},
		{"sent, of a deadline", &watched{context.DeadlineExceeded, engine.Sent}, engine.Sent},
		{"sent, of a dial", &watched{refused, engine.Sent}, engine.Sent},
		{"unknown, of a dial", &watched{refused, engine.PhaseUnknown}, engine.PhaseUnknown},
		{"the outermost of two", &watched{&watched{refused, engine.NotSent}, engine.Sent}, engine.Sent},
		{"wrapped", fmt.Errorf("charging: %w", &watched{context.DeadlineExceeded, engine.NotSent}), engine.NotSent},
		{"beside another branch", errors.Join(&watched{context.DeadlineExceeded, engine.NotSent}, context.Canceled), engine.PhaseUnknown},
	} {
		t.Run(row.name, func(t *testing.T) {
			equal(t, "phase", engine.FailureOf(row.err, nil).Phase, row.want)
		})
	}
	f := engine.FailureOf(&watched{refused, engine.Sent}, nil)
	equal(t, "type", f.Type, "*net.OpError")
	equal(t, "code", f.Code, "ECONNREFUSED")
	equal(t, "causes", len(f.Causes), 2)
}

func TestAnErrorOfACallSaysWhetherItIsATimeout(t *testing.T) {
	for _, row := range []struct {
		err  error
		want bool
	}{
		{context.DeadlineExceeded, true},
		{fmt.Errorf("reading: %w", context.DeadlineExceeded), true},
		{errors.New("no"), false},
	} {
		err := engine.Do(t.Context(), policy(t, engine.Spec{MaxAttempts: 1}), func(context.Context) error { return row.err })
		timeout, ok := err.(interface{ Timeout() bool })
		if !ok || timeout.Timeout() != row.want {
			t.Errorf("of %v: %v, want %v", row.err, !row.want, row.want)
		}
	}
}

func TestABreakerSaysForHowLongItWillRefuse(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1, RecoveryTimeout: 30 * time.Second})
	p := policy(t, engine.Spec{Breaker: b, MaxAttempts: 1})
	equal(t, "closed", b.RetryIn(w.Now()), time.Duration(0))
	w.run(p, w.script(reply{err: failure(engine.ServerError)}))
	equal(t, "just opened", b.RetryIn(w.Now()), 30*time.Second)
	w.Advance(12 * time.Second)
	equal(t, "open", b.RetryIn(w.Now()), 18*time.Second)
	w.Advance(time.Minute)
	equal(t, "ready for a probe", b.RetryIn(w.Now()), time.Duration(0))
}
