package engine_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

// stepThrough makes a call step by step, its state stored as JSON in between.
func stepThrough(t testing.TB, w *world, p *engine.Policy, op func(context.Context) (int, error), opts ...engine.Option) engine.Outcome[int] {
	t.Helper()
	var state engine.StepState
	for {
		o, next, err := engine.Step(context.Background(), p, state, op, w.options(opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		if o.Reason != engine.Scheduled {
			return o
		}
		stored, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		state = engine.StepState{}
		if err := json.Unmarshal(stored, &state); err != nil {
			t.Fatal(err)
		}
		if due := w.Now().Add(o.NextDelay); !state.Due.Equal(due) {
			t.Fatalf("due %v, want %v", state.Due, due)
		}
		w.Advance(o.NextDelay)
	}
}

func TestG4_StepsInTimeDecideAsOneCallDoes(t *testing.T) {
	spec := engine.Spec{
		Deadline: 20 * time.Second, MaxAttempts: 8, MaxUnknownAttempts: 2,
		Classes: map[engine.Class]engine.ClassSpec{engine.RateLimit: {MaxAttempts: 3, Strategy: engine.RetryAfterOr{}}, engine.Transient: {Strategy: engine.DecorrelatedJitter{}}},
	}
	for name, replies := range map[string][]reply{
		"per-class cap over steps":  {fails(engine.RateLimit), fails(engine.Transient), fails(engine.RateLimit)},
		"deadline over steps":       {{err: failure(engine.Transient), after: 5 * time.Second}},
		"previous sleep over steps": {fails(engine.Transient), fails(engine.Transient), fails(engine.Transient), fine},
		"unknown cap over steps":    {fails(engine.Unknown)},
		"no strategy":               {fails(engine.ServerError)},
	} {
		t.Run(name, func(t *testing.T) {
			one, many := newWorld(), newWorld()
			one.u, many.u = 0.7, 0.7
			want := one.run(policy(t, spec), one.script(replies...))
			got := stepThrough(t, many, policy(t, spec), many.script(replies...))
			equal(t, "reason", got.Reason, want.Reason)
			equal(t, "attempts", got.Attempts, want.Attempts)
			equal(t, "elapsed", got.Elapsed, want.Elapsed)
			equal(t, "class", got.Class, want.Class)
		})
	}
}

func TestG4_TheCallersDeadlineBoundsTheStepAlone(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: 30 * time.Second}})
	o, state, err := engine.Step(w.caller(t, time.Second, 0), p, engine.StepState{}, w.script(fails(engine.Transient)), w.options()...)
	equal(t, "err", err, nil)
	equal(t, "reason", o.Reason, engine.Scheduled)
	equal(t, "deadline", state.Deadline.Sub(state.Started), 60*time.Second)
}

func TestG4_AStateThatComesTooLateEndsWithoutAnAttempt(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}})
	_, state, _ := engine.Step(t.Context(), p, engine.StepState{}, w.script(fails(engine.Transient)), w.options()...)
	w.Advance(time.Hour)
	o, next, err := engine.Step(t.Context(), p, state, w.script(fine), w.options()...)
	equal(t, "err", err, nil)
	equal(t, "reason", o.Reason, engine.DeadlineExceeded)
	equal(t, "attempts", o.Attempts, 1)
	equal(t, "next version", next.Version, 0)
}

func TestG4_AStateWithAllItsAttemptsMadeGetsNoFurtherOne(t *testing.T) {
	w := newWorld()
	_, state, _ := engine.Step(t.Context(), policy(t, engine.Spec{Strategy: engine.Immediate{}}), engine.StepState{}, w.script(fails(engine.Transient)), w.options()...)
	stricter := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 1})
	o, _, err := engine.Step(t.Context(), stricter, state, w.script(fine), w.options()...)
	equal(t, "err", err, nil)
	equal(t, "reason", o.Reason, engine.MaxAttemptsGlobal)
	equal(t, "attempts", o.Attempts, 1)
}

func TestG4_TheSleepHandlersInfoCarriesTheState(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, MaxAttempts: 2})
	var state engine.StepState
	w.run(p, w.script(fails(engine.Transient)), engine.WithSleepHandler(func(_ context.Context, info engine.SleepInfo) engine.SleepAction {
		state = info.State
		return engine.DeferRetry
	}))
	w.Advance(time.Second)
	o, _, err := engine.Step(t.Context(), p, state, w.script(fails(engine.Transient)), w.options()...)
	equal(t, "err", err, nil)
	equal(t, "attempts", o.Attempts, 2)
	equal(t, "reason", o.Reason, engine.MaxAttemptsGlobal)
}

func TestG4_DamagedStatesAreRefusedByField(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}})
	_, good, _ := engine.Step(t.Context(), p, engine.StepState{}, w.script(fails(engine.Transient)), w.options()...)
	for _, row := range []struct {
		damage func(*engine.StepState)
		want   string
	}{
		{func(s *engine.StepState) { s.Version = 2 }, "version"},
		{func(s *engine.StepState) { s.Policy = "other" }, "policy"},
		{func(s *engine.StepState) { s.Attempts = 0 }, "attempts"},
		{func(s *engine.StepState) { s.Attempts = 1 << 40 }, "attempts"},
		{func(s *engine.StepState) { s.PrevSleep = -1 }, "prev_sleep_ns"},
		{func(s *engine.StepState) { s.Deadline = time.Time{} }, "deadline"},
		{func(s *engine.StepState) { s.Failures = map[engine.Class]int{77: 1} }, "failures"},
		{func(s *engine.StepState) { s.Failures = map[engine.Class]int{engine.Transient: -1} }, "failures"},
		{func(s *engine.StepState) { s.Class = 77 }, "class"},
	} {
		state := good
		row.damage(&state)
		o, _, err := engine.Step(t.Context(), p, state, func(context.Context) (int, error) { t.Error("an attempt was made"); return 0, nil })
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got outcome %v, error %v", row.want, o.Reason, err)
		}
	}
}

// FuzzStepState holds that no stored state, however damaged, makes Step panic, run
// away, or make more attempts than the policy allows.
func FuzzStepState(f *testing.F) {
	w := newWorld()
	p := policy(f, engine.Spec{Strategy: engine.DecorrelatedJitter{}, MaxAttempts: 3})
	_, good, _ := engine.Step(context.Background(), p, engine.StepState{}, w.script(fails(engine.Transient)), w.options()...)
	stored, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored)
	f.Add([]byte(`{"version":1,"policy":"p","attempts":1073741824,"failures":{"UNKNOWN":1073741824},"prev_sleep_ns":9223372036854775807,"started":"0001-01-01T00:00:01Z","deadline":"9999-12-31T23:59:59Z"}`))
	f.Add([]byte(`{"version":1,"policy":"p","attempts":1,"started":"9999-12-31T23:59:59Z","deadline":"9999-12-31T23:59:59Z"}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		var state engine.StepState
		if json.Unmarshal(stored, &state) != nil {
			return
		}
		w := newWorld()
		made := 0
		for range 5 {
			o, next, err := engine.Step(context.Background(), p, state, func(context.Context) (int, error) {
				made++
				return 0, failure(engine.Transient)
			}, w.options()...)
			if err != nil {
				return
			}
			if o.Elapsed < 0 || o.NextDelay < 0 {
				t.Fatalf("elapsed %v, next delay %v", o.Elapsed, o.NextDelay)
			}
			if o.Reason != engine.Scheduled {
				break
			}
			w.Advance(o.NextDelay)
			state = next
		}
		if made > 3 {
			t.Fatalf("%d attempts", made)
		}
	})
}
