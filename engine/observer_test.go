package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

func TestG3_TheMetricHookIsGivenNameAttemptSleepAndBoundedLabels(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, MaxAttempts: 2})
	var got []string
	hook := engine.MetricHook(func(event string, attempt int, sleep time.Duration, labels map[string]string) {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			all = append(all, name+"="+labels[name])
		}
		got = append(got, fmt.Sprintf("%s %d %v %s", event, attempt, sleep, strings.Join(all, " ")))
	})
	w.run(p, w.script(reply{err: failure(engine.RateLimit)}), engine.WithObserver(hook), engine.WithOperation("op"), engine.WithLabels(map[string]string{"zone": "a", "policy": "mine"}))
	want := []string{
		"attempt_start 1 0s operation=op policy=p zone=a",
		"retry 1 1s cause=error class=RATE_LIMIT operation=op policy=p rule=by-code strategy=constant zone=a",
		"attempt_end 1 1s cause=error class=RATE_LIMIT decision=retry operation=op policy=p rule=by-code strategy=constant zone=a",
		"attempt_start 2 0s operation=op policy=p zone=a",
		"attempt_end 2 0s cause=error class=RATE_LIMIT decision=stop operation=op policy=p rule=by-code stop_reason=MAX_ATTEMPTS_GLOBAL zone=a",
		"max_attempts_exceeded 2 0s cause=error class=RATE_LIMIT operation=op policy=p rule=by-code stop_reason=MAX_ATTEMPTS_GLOBAL zone=a",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestG3_TheLogHookIsGivenTheErrorToo(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{MaxAttempts: 1})
	real := failure(engine.Transient)
	var last map[string]any
	w.run(p, w.script(reply{err: real}), engine.WithObserver(engine.LogHook(func(event string, fields map[string]any) { last = fields })))
	equal(t, "error", last["error"], any(real))
	equal(t, "attempt", last["attempt"], any(1))
	equal(t, "stop reason", last["stop_reason"], any("MAX_ATTEMPTS_GLOBAL"))
}

func TestG3_AttemptHooksSeeAttemptsAlone(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}})
	var got []string
	note := func(_ context.Context, e engine.Event) { got = append(got, e.Kind.String()) }
	w.run(p, w.script(fails(engine.Transient), fine), engine.WithObserver(engine.AttemptHooks{Start: note, End: note}))
	equal(t, "hooks", strings.Join(got, " "), "attempt_start attempt_end attempt_start attempt_end")
	w.run(p, w.script(fine), engine.WithObserver(engine.AttemptHooks{}))
}

func TestG3_TheCallsObserverTakesThePlaceOfThePolicys(t *testing.T) {
	w, other := newWorld(), newWorld()
	p := policy(t, engine.Spec{Observer: other})
	engine.Execute(t.Context(), p, w.script(fine))
	equal(t, "told by default", len(other.events), 3)
	engine.Execute(t.Context(), p, w.script(fine), engine.WithObserver(w))
	equal(t, "told in its place", len(w.events), 3)
	equal(t, "not told", len(other.events), 3)
	engine.Execute(t.Context(), p, w.script(fine), engine.WithObserver(nil))
	equal(t, "nobody", len(other.events), 3)
}

func TestG3_EventsCarryTheCallersContext(t *testing.T) {
	type key struct{}
	p := policy(t, engine.Spec{})
	var got any
	observer := engine.ObserverFunc(func(ctx context.Context, _ engine.Event) { got = ctx.Value(key{}) })
	engine.Execute(context.WithValue(t.Context(), key{}, "trace"), p, newWorld().script(fine), engine.WithObserver(observer))
	equal(t, "value", got, any("trace"))
}

func TestTheSlogObserverLogsEveryEventAtItsLevel(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{Name: "pay", FailureThreshold: 1})
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, MaxAttempts: 2, Breaker: b})
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	w.run(p, w.script(reply{err: failure(engine.Transient)}), engine.WithObserver(engine.SlogObserver(logger)))
	want := `level=DEBUG msg=attempt_start policy=p attempt=1 elapsed=0s
level=INFO msg=retry policy=p class=TRANSIENT rule=by-code strategy=constant cause=error attempt=1 elapsed=0s sleep=1s error="failing with TRANSIENT"
level=DEBUG msg=attempt_end policy=p class=TRANSIENT rule=by-code strategy=constant cause=error decision=retry attempt=1 elapsed=0s sleep=1s error="failing with TRANSIENT"
level=DEBUG msg=attempt_start policy=p attempt=2 elapsed=1s
level=DEBUG msg=attempt_end policy=p class=TRANSIENT rule=by-code cause=error decision=stop stop_reason=MAX_ATTEMPTS_GLOBAL attempt=2 elapsed=1s error="failing with TRANSIENT"
level=WARN msg=max_attempts_exceeded policy=p class=TRANSIENT rule=by-code cause=error stop_reason=MAX_ATTEMPTS_GLOBAL attempt=2 elapsed=1s error="failing with TRANSIENT"
level=ERROR msg=circuit_opened policy=p breaker=pay from=closed to=open attempt=2 elapsed=1s
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestObserversAreToldInOrderWhateverOneOfThemDoes(t *testing.T) {
	var told []string
	say := func(name string) engine.Observer {
		return engine.ObserverFunc(func(context.Context, engine.Event) {
			told = append(told, name)
			if name == "b" {
				panic("b")
			}
		})
	}
	p := policy(t, engine.Spec{})
	engine.Execute(t.Context(), p, newWorld().script(fine), engine.WithObserver(engine.Observers(say("a"), nil, say("b"), say("c"))))
	equal(t, "order", strings.Join(told, ""), "abcabcabc")
	equal(t, "panics", p.Stats().ObserverPanics, 3)
}

func TestG1_TheTimelineHoldsErrorsOnlyIfAskedFor(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{MaxAttempts: 1})
	has := func(o engine.Outcome[int]) (n int) {
		for _, e := range o.Timeline {
			if e.Err != nil {
				n++
			}
		}
		return n
	}
	equal(t, "without", len(w.run(p, w.script(fails(engine.Transient))).Timeline), 0)
	o := w.run(p, w.script(fails(engine.Transient)), engine.WithTimeline())
	equal(t, "events", len(o.Timeline), 3)
	equal(t, "errors", has(o), 0)
	equal(t, "errors on request", has(w.run(p, w.script(fails(engine.Transient)), engine.WithTimelineErrors())), 2)
}

func TestG1_TheOutcomeSaysAllThereIsToKnow(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, Revision: "r7"})
	real := failure(engine.RateLimit)
	o := w.run(p, w.script(reply{err: real}, fails(engine.Auth)), engine.WithOperation("op"))
	last := o.LastErr
	o.LastErr = nil
	want := engine.Outcome[int]{Reason: engine.NonRetryableClass, Attempts: 2, Class: engine.Auth, Rule: "by-code", Cause: engine.CauseError,
		Elapsed: time.Second, Policy: "p", Operation: "op", Revision: "r7"}
	if fmt.Sprintf("%+v", o) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v\nwant %+v", o, want)
	}
	if !strings.Contains(last.Error(), "AUTH") {
		t.Errorf("last error: %v", last)
	}
}

func TestExplainTellsAnOnCallHumanWhatHappened(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{Name: "payments", FailureThreshold: 1, TripOn: []engine.Class{engine.RateLimit}})
	p := policy(t, engine.Spec{Name: "payments-api", Strategy: engine.RetryAfterOr{Fallback: engine.Constant{Wait: 1500 * time.Millisecond}, Jitter: engine.None}, Breaker: b,
		Classes: map[engine.Class]engine.ClassSpec{engine.RateLimit: {MaxAttempts: 2}},
		Classify: func(in *engine.Input) engine.Verdict {
			v := byCode(in)
			if in.Attempt == 2 {
				v.Errors = []engine.RuleError{{Rule: "shard", Err: errors.New("no such key: x-shard")}}
			}
			return v
		}})
	op := w.script(
		reply{err: hinted(engine.RateLimit, 3*time.Second), after: 20 * time.Millisecond},
		reply{err: errPlain, after: 250 * time.Millisecond},
		reply{err: failure(engine.RateLimit)})
	o := w.run(p, op, engine.WithOperation("payments.charge"), engine.WithTimelineErrors())
	want := `payments-api payments.charge: MAX_ATTEMPTS_PER_CLASS after 3 attempts in 4.77s
        +0s  attempt 1 failed: RATE_LIMIT by rule by-code (took 20ms): retry in 3s, says retry_after_or
     +3.02s  attempt 2 failed: UNKNOWN by default, as no rule held (took 250ms): retry in 1.5s, says retry_after_or
               rule shard could not be evaluated and does not match: no such key: x-shard
     +4.77s  attempt 3 failed: RATE_LIMIT by rule by-code (took 0s): MAX_ATTEMPTS_PER_CLASS
     +4.77s  circuit breaker payments: open, was closed
  why: max_attempts of class RATE_LIMIT allows no further attempt
  last error: failing with RATE_LIMIT
`
	if got := o.Explain(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	refused := w.run(p, w.script(fine))
	equal(t, "refused", refused.Explain(), `payments-api: CIRCUIT_OPEN after 0 attempts in 0s
  why: the circuit breaker is open: nothing was sent
`)
}

func TestExplainHasWordsForEveryStopReason(t *testing.T) {
	for _, reason := range engine.StopReasons() {
		o := engine.Outcome[int]{Reason: reason, Class: engine.Transient, Rule: "r", Attempts: 1}
		if text := o.Explain(); reason != engine.Success && !strings.Contains(text, "why: ") {
			t.Errorf("%v: %s", reason, text)
		}
	}
}

func TestEveryStopReasonHasItsLastEvent(t *testing.T) {
	// One call that ends for each reason; its last event must name the reason.
	w := newWorld()
	opened := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	w.run(policy(t, engine.Spec{MaxAttempts: 1, Breaker: opened}), w.script(fails(engine.ServerError)))
	fail := w.script(fails(engine.Transient))
	immediate := engine.Spec{Strategy: engine.Immediate{}}
	for reason, call := range map[engine.StopReason]func() engine.Outcome[int]{
		engine.Success:           func() engine.Outcome[int] { return w.run(policy(t, immediate), w.script(fine)) },
		engine.MaxAttemptsGlobal: func() engine.Outcome[int] { return w.run(policy(t, immediate), fail) },
		engine.MaxAttemptsPerClass: func() engine.Outcome[int] {
			return w.run(policy(t, engine.Spec{Classes: map[engine.Class]engine.ClassSpec{engine.Transient: {MaxAttempts: 1}}}), fail)
		},
		engine.MaxUnknownAttempts: func() engine.Outcome[int] { return w.run(policy(t, immediate), w.script(fails(engine.Unknown))) },
		engine.DeadlineExceeded: func() engine.Outcome[int] {
			return w.run(policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Hour}}), fail)
		},
		engine.NonRetryableClass: func() engine.Outcome[int] { return w.run(policy(t, immediate), w.script(fails(engine.Auth))) },
		engine.NoStrategy: func() engine.Outcome[int] {
			return w.run(policy(t, engine.Spec{Classes: map[engine.Class]engine.ClassSpec{engine.Unknown: {Strategy: engine.Immediate{}}}}), fail)
		},
		engine.BudgetExhausted: func() engine.Outcome[int] {
			return w.run(policy(t, engine.Spec{Strategy: engine.Immediate{}, Budget: budget(t, engine.BudgetSpec{})}), fail)
		},
		engine.CircuitOpen: func() engine.Outcome[int] { return w.run(policy(t, engine.Spec{Breaker: opened}), fail) },
		engine.Scheduled: func() engine.Outcome[int] {
			return w.run(policy(t, immediate), fail, engine.WithSleepHandler(deferAll))
		},
		engine.Aborted: func() engine.Outcome[int] { return w.run(policy(t, immediate), w.script(reply{err: engine.ErrAbort})) },
		engine.Canceled: func() engine.Outcome[int] {
			return w.runUnder(w.caller(t, 0, 1), policy(t, immediate), w.script(reply{after: 2}))
		},
		engine.ReasonNotIdempotent: func() engine.Outcome[int] { return w.run(policy(t, immediate), fail, engine.NotIdempotent()) },
		engine.ReasonNotReplayable: func() engine.Outcome[int] { return w.run(policy(t, immediate), fail, engine.NotReplayable()) },
	} {
		o := call()
		equal(t, "reason", o.Reason, reason)
		last := w.events[len(w.events)-1]
		if last.Reason != reason || last.Kind == engine.EventNone || last.Kind == engine.AttemptEnd {
			t.Errorf("%v: last event is %v with reason %v", reason, last.Kind, last.Reason)
		}
		if (o.Err() == nil) != (reason == engine.Success) {
			t.Errorf("%v: error %v", reason, o.Err())
		}
	}
}
