package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

func moded(t *testing.T, mode engine.Mode) *engine.Policy {
	return policy(t, engine.Spec{
		Mode: mode, Deadline: time.Second, AttemptTimeout: time.Second, Strategy: engine.Constant{Wait: 300 * time.Millisecond},
		Breaker: breaker(t, engine.BreakerSpec{FailureThreshold: 1}), Budget: budget(t, engine.BudgetSpec{MaxRetries: 1}),
		ClassifyResult: func(in *engine.Input) engine.Verdict {
			return engine.Verdict{Class: engine.Transient, Rule: "pending"}
		},
	})
}

func TestAPolicyThatIsOffRunsTheOperationOnceAndDecidesNothing(t *testing.T) {
	w, p := newWorld(), moded(t, engine.Off)
	type key struct{}
	caller := context.WithValue(t.Context(), key{}, "mine")
	for range 3 {
		o := w.runUnder(caller, p, func(ctx context.Context) (int, error) {
			if ctx != caller {
				t.Error("it does not run under the caller's own context")
			}
			w.Advance(time.Hour)
			return 7, failure(engine.ServerError)
		})
		equal(t, "reason", o.Reason, engine.MaxAttemptsGlobal)
		equal(t, "attempts", o.Attempts, 1)
		equal(t, "class", o.Class, engine.NoClass)
		equal(t, "value", o.Value, 7)
		equal(t, "elapsed", o.Elapsed, time.Hour)
		equal(t, "note", o.Note, "the policy is off")
		equal(t, "events", w.names(), "max_attempts_exceeded")
	}
	equal(t, "breaker", p.Breaker().State(), engine.Closed)
	equal(t, "success", w.run(p, w.script(fine)).Reason, engine.Success)
	equal(t, "events", w.names(), "success")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	equal(t, "cancelled before", w.runUnder(gone, p, w.script(fine)).Attempts, 0)
	gone, cancel = context.WithCancel(t.Context())
	o := w.runUnder(gone, p, func(context.Context) (int, error) { cancel(); return 0, errPlain })
	equal(t, "cancelled meanwhile", o.Reason, engine.Canceled)
	equal(t, "the error", errors.Is(o.Err(), errPlain), true)
}

func TestAPolicyInShadowTellsWhatItWouldDoAndDoesNothing(t *testing.T) {
	w, p := newWorld(), moded(t, engine.Shadow)
	for _, row := range []struct {
		err    error
		class  engine.Class
		reason engine.StopReason
		note   string
	}{
		{failure(engine.ServerError), engine.ServerError, engine.MaxAttemptsGlobal, "in shadow: the policy would retry in 300ms, says constant"},
		{failure(engine.Permanent), engine.Permanent, engine.MaxAttemptsGlobal, "in shadow: the policy would stop with NON_RETRYABLE_CLASS"},
		{nil, engine.Transient, engine.Success, "in shadow: the policy would retry in 300ms, says constant"},
	} {
		o := w.run(p, func(context.Context) (int, error) { return 1, row.err })
		equal(t, "reason", o.Reason, row.reason)
		equal(t, "attempts", o.Attempts, 1)
		e := w.of(engine.AttemptEnd)[0]
		equal(t, "class", e.Class, row.class)
		equal(t, "note", e.Note, row.note)
		equal(t, "slept", w.Now(), newWorld().Now())
	}
	equal(t, "breaker", p.Breaker().State(), engine.Closed)
	equal(t, "budget", p.Budget().Remaining(w.Now()), 1)
}

func TestAModeThatIsNoneIsRefused(t *testing.T) {
	if _, err := engine.New(engine.Spec{Name: "p", Mode: 7}); err == nil {
		t.Error("it was accepted")
	}
	for _, m := range []engine.Mode{engine.Enforce, engine.Shadow, engine.Off} {
		parsed, ok := engine.ParseMode(m.String())
		equal(t, m.String(), ok && parsed == m, true)
	}
}
