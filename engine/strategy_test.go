package engine_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

const ms = time.Millisecond

func TestC_StrategiesFollowTheirFormulas(t *testing.T) {
	rows := []struct {
		name     string
		strategy engine.Strategy
		in       engine.DelayInput
		want     time.Duration
	}{
		{"decorrelated, before the first sleep", engine.DecorrelatedJitter{}, engine.DelayInput{Attempt: 1, U: 0.5}, 500 * ms},
		{"decorrelated, u = 0", engine.DecorrelatedJitter{}, engine.DelayInput{Attempt: 4, Prev: time.Second, HasPrev: true}, 250 * ms},
		{"decorrelated, after a second", engine.DecorrelatedJitter{}, engine.DelayInput{Attempt: 4, Prev: time.Second, HasPrev: true, U: 0.5}, 1625 * ms},
		{"decorrelated, clamped", engine.DecorrelatedJitter{Max: time.Second}, engine.DelayInput{Attempt: 4, Prev: time.Second, HasPrev: true, U: 0.5}, time.Second},
		{"equal", engine.EqualJitter{}, engine.DelayInput{Attempt: 1, U: 0.5}, 375 * ms},
		{"equal, third", engine.EqualJitter{Base: 100 * ms}, engine.DelayInput{Attempt: 3, U: 0.25}, 500 * ms},
		{"equal, clamped", engine.EqualJitter{Max: 300 * ms}, engine.DelayInput{Attempt: 9, U: 0}, 150 * ms},
		{"token", engine.TokenBackoff{}, engine.DelayInput{Attempt: 1, U: 0}, 187500 * time.Microsecond},
		{"token, clamped at 20s", engine.TokenBackoff{}, engine.DelayInput{Attempt: 99, U: 0}, 10 * time.Second},
		{"full", engine.FullJitter{}, engine.DelayInput{Attempt: 1, U: 0.5}, 125 * ms},
		{"full, third", engine.FullJitter{Base: 100 * ms, Max: 300 * ms}, engine.DelayInput{Attempt: 3, U: 0.5}, 150 * ms},
		{"exponential", engine.Exponential{}, engine.DelayInput{Attempt: 3}, time.Second},
		{"exponential, by three", engine.Exponential{Base: 100 * ms, Factor: 3}, engine.DelayInput{Attempt: 3}, 900 * ms},
		{"linear", engine.Linear{}, engine.DelayInput{Attempt: 3}, 750 * ms},
		{"linear, no step", engine.Linear{Base: 100 * ms, Step: engine.None}, engine.DelayInput{Attempt: 3}, 100 * ms},
		{"constant", engine.Constant{Wait: 7 * ms}, engine.DelayInput{Attempt: 3}, 7 * ms},
		{"immediate", engine.Immediate{}, engine.DelayInput{Attempt: 3}, 0},
		{"the hint plus jitter", engine.RetryAfterOr{}, engine.DelayInput{Attempt: 1, Hint: time.Second, HasHint: true, U: 0.5, Remaining: time.Minute}, 1125 * ms},
		{"the hint without jitter", engine.RetryAfterOr{Jitter: engine.None}, engine.DelayInput{Attempt: 1, Hint: time.Second, HasHint: true, U: 0.5}, time.Second},
		{"a hint of zero is a hint", engine.RetryAfterOr{Jitter: engine.None}, engine.DelayInput{Attempt: 1, HasHint: true, U: 0.5}, 0},
		{"no hint, the fallback", engine.RetryAfterOr{Fallback: engine.Constant{Wait: ms}}, engine.DelayInput{Attempt: 1, U: 0.5}, ms},
		{"no hint, the default fallback", engine.RetryAfterOr{}, engine.DelayInput{Attempt: 1, U: 0.5}, 500 * ms},
		{"a hint at the cap is followed", engine.RetryAfterOr{Cap: time.Second, Jitter: engine.None}, engine.DelayInput{Attempt: 1, Hint: time.Second, HasHint: true}, time.Second},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := row.strategy.Delay(row.in); got != (engine.Delay{Sleep: row.want}) {
				t.Errorf("got %+v, want %v", got, row.want)
			}
		})
	}
}

func TestC_AHintAboveTheCapStops(t *testing.T) {
	s := engine.RetryAfterOr{Cap: 30 * time.Second}
	for _, row := range []struct {
		hint time.Duration
		want engine.StopReason
	}{
		{31 * time.Second, engine.NonRetryableClass},
		{60 * time.Second, engine.DeadlineExceeded},
	} {
		d := s.Delay(engine.DelayInput{Attempt: 1, Hint: row.hint, HasHint: true, Remaining: 60 * time.Second})
		equal(t, "stop", d.Stop, row.want)
		if !strings.Contains(d.Note, "above the cap of 30s") {
			t.Errorf("note: %q", d.Note)
		}
	}
}

func TestC_StopNamesItself(t *testing.T) {
	equal(t, "stop", engine.StopStrategy{}.Delay(engine.DelayInput{}).Stop, engine.NonRetryableClass)
}

func TestC_StrategiesAreSafeForAnyInput(t *testing.T) {
	ns := []int{-1, 0, 1, 2, 63, 64, 1000, 10_000, math.MaxInt}
	us := []float64{0, 0.5, math.Nextafter(1, 0), 1, -1, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)}
	durations := []time.Duration{math.MinInt64, -time.Second, -1, 0, 1, time.Second, math.MaxInt64}
	try := func(name string, limit time.Duration, s engine.Strategy) {
		for _, n := range ns {
			for _, u := range us {
				for _, prev := range durations {
					in := engine.DelayInput{Attempt: n, U: u, Prev: prev, HasPrev: true, Hint: prev, HasHint: true, Remaining: prev}
					d := s.Delay(in)
					if d.Sleep < 0 || d.Sleep > limit {
						t.Fatalf("%s %+v of %+v: slept %v, limit %v", name, s, in, d.Sleep, limit)
					}
				}
			}
		}
	}
	for _, base := range durations {
		for _, limit := range durations {
			most := limit
			if limit == 0 {
				most = 30 * time.Second
			}
			most = max(most, 0)
			try("decorrelated_jitter", most, engine.DecorrelatedJitter{Base: base, Max: limit})
			try("equal_jitter", most, engine.EqualJitter{Base: base, Max: limit})
			try("token_backoff", most, engine.TokenBackoff{Base: base, Max: limit})
			try("full_jitter", most, engine.FullJitter{Base: base, Max: limit})
			try("linear", most, engine.Linear{Base: base, Step: limit, Max: limit})
			for _, factor := range []float64{0, 1, 1e300, -1, math.NaN(), math.Inf(1)} {
				try("exponential", most, engine.Exponential{Base: base, Max: limit, Factor: factor})
			}
		}
		try("constant", math.MaxInt64, engine.Constant{Wait: base})
		try("retry_after_or", math.MaxInt64, engine.RetryAfterOr{Jitter: base})
		try("adaptive", math.MaxInt64, &engine.Adaptive{Fallback: engine.Constant{Wait: base}, MaxMultiplier: math.Inf(1), MinMultiplier: math.NaN()})
	}
}

func TestC_NaNAndInfinitiesBecomeTheMaximum(t *testing.T) {
	for _, s := range []engine.Strategy{
		engine.DecorrelatedJitter{Max: time.Minute}, engine.EqualJitter{Max: time.Minute}, engine.TokenBackoff{Max: time.Minute}, engine.FullJitter{Max: time.Minute},
	} {
		for _, u := range []float64{math.NaN(), math.Inf(1)} {
			equal(t, s.Name(), s.Delay(engine.DelayInput{Attempt: 1, U: u}).Sleep, time.Minute)
		}
	}
	equal(t, "exponential at attempt 10,000", engine.Exponential{Max: time.Minute}.Delay(engine.DelayInput{Attempt: 10_000}).Sleep, time.Minute)
	equal(t, "a hint that overflows with its jitter",
		engine.RetryAfterOr{}.Delay(engine.DelayInput{Attempt: 1, Hint: math.MaxInt64, HasHint: true, U: 0.9}).Sleep, math.MaxInt64)
}

func TestC_AHintIsNeverShortened(t *testing.T) {
	for _, u := range []float64{0, 0.1, 0.999, -5, math.NaN()} {
		for _, hint := range []time.Duration{0, 1, time.Second, time.Hour} {
			d := engine.RetryAfterOr{}.Delay(engine.DelayInput{Attempt: 1, Hint: hint, HasHint: true, U: u, Remaining: math.MaxInt64})
			if d.Sleep < hint {
				t.Errorf("hint %v, u %v: slept %v", hint, u, d.Sleep)
			}
		}
	}
}

func TestC_AdaptiveMultipliesByTheFailureRate(t *testing.T) {
	now := time.Unix(1000, 0)
	a := &engine.Adaptive{Fallback: engine.Constant{Wait: time.Second}, TargetSuccess: 0.5, MaxMultiplier: 3}
	sleep := func() time.Duration { return a.Delay(engine.DelayInput{Attempt: 1, Now: now}).Sleep }
	equal(t, "nothing known", sleep(), time.Second)
	a.Learn(now, false)
	equal(t, "all failed", sleep(), 3*time.Second)
	a.Learn(now, true)
	equal(t, "half failed: at the target", sleep(), time.Second)
	a.Learn(now, false)
	a.Learn(now, false)
	equal(t, "three of four failed: half way", sleep(), 2*time.Second)
	now = now.Add(59 * time.Second)
	equal(t, "within the window", sleep(), 2*time.Second)
	now = now.Add(time.Second)
	equal(t, "a window later", sleep(), time.Second)
}

func TestC_AdaptiveOnlySlowsDown(t *testing.T) {
	for _, a := range []*engine.Adaptive{{MinMultiplier: 0.5}, {MaxMultiplier: 0.5}, {MinMultiplier: 4, MaxMultiplier: 2}, {TargetSuccess: 1.5}, {Window: -1}, {MaxMultiplier: math.NaN()}} {
		if _, err := engine.New(engine.Spec{Name: "p", Strategy: a}); err == nil {
			t.Errorf("%v is not refused", a)
		}
	}
}

func TestC_AdaptiveIsSharedByTheCallsOfAPolicyAndHearsOfAllAttempts(t *testing.T) {
	for name, spec := range map[string]engine.Spec{
		"default":  {Strategy: adaptive()},
		"by class": {Classes: map[engine.Class]engine.ClassSpec{engine.Transient: {Strategy: adaptive()}}},
		"nested":   {Strategy: engine.RetryAfterOr{Fallback: adaptive()}},
		"twice":    twice(adaptive()),
		"selected": selecting(adaptive()),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			p := policy(t, spec)
			for range 3 {
				w.run(p, w.script(fine))
			}
			o := w.run(p, w.script(fails(engine.Transient), fine))
			equal(t, "one of four attempts failed", o.Elapsed, time.Second)
			for range 3 {
				o = w.run(p, w.script(fails(engine.Transient), fails(engine.Transient), fine))
			}
			if o.Elapsed <= 2*time.Second {
				t.Errorf("it did not slow down: %v", o.Elapsed)
			}
		})
	}
}

func adaptive() *engine.Adaptive {
	return &engine.Adaptive{Fallback: engine.Constant{Wait: time.Second}, TargetSuccess: 0.5}
}

func twice(a *engine.Adaptive) engine.Spec {
	return engine.Spec{Strategy: a, Classes: map[engine.Class]engine.ClassSpec{engine.Transient: {Strategy: a}}}
}

func selecting(a *engine.Adaptive) engine.Spec {
	return engine.Spec{
		Select:     func(*engine.Input) engine.Selection { return engine.Selection{Strategy: a, Rule: "slow"} },
		Selectable: []engine.Strategy{a},
	}
}

func TestC_LookupIsSelectThenClassThenDefault(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{
		Strategy: engine.Constant{Wait: 1 * time.Second},
		Classes:  map[engine.Class]engine.ClassSpec{engine.RateLimit: {Strategy: engine.Constant{Wait: 2 * time.Second}}, engine.Unknown: {MaxAttempts: 5}},
		Select: func(in *engine.Input) engine.Selection {
			if in.Operation == "quick" {
				return engine.Selection{Strategy: engine.Immediate{}, Rule: "quick"}
			}
			return engine.Selection{}
		},
	})
	for _, row := range []struct {
		class     engine.Class
		operation string
		want      time.Duration
	}{{engine.RateLimit, "quick", 0}, {engine.RateLimit, "", 2 * time.Second}, {engine.Transient, "", time.Second}, {engine.Unknown, "", time.Second}} {
		o := w.run(p, w.script(fails(row.class), fine), engine.WithOperation(row.operation))
		equal(t, row.class.String()+" "+row.operation, o.Elapsed, row.want)
	}
}

func TestC_SelectSeesWhatClassificationSaid(t *testing.T) {
	w := newWorld()
	var got engine.Input
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, Select: func(in *engine.Input) engine.Selection {
		got = *in
		return engine.Selection{}
	}})
	w.run(p, w.script(fails(engine.RateLimit), reply{err: hinted(engine.RateLimit, time.Second), after: time.Second}, fine), engine.WithOperation("op"), engine.NotIdempotent(), engine.WithClock(w.Clock))
	equal(t, "not idempotent: no strategy is looked up", got.Attempt, 0)
	w.run(p, w.script(fails(engine.RateLimit), reply{err: hinted(engine.RateLimit, time.Second), after: time.Second}, fine), engine.WithOperation("op"))
	got.Failure = nil
	want := engine.Input{Operation: "op", Attempt: 2, Elapsed: time.Second, Remaining: 59 * time.Second, Idempotent: true,
		Class: engine.RateLimit, ClassAttempt: 2, RetryAfter: time.Second, HasRetryAfter: true}
	equal(t, "input", got, want)
}

func TestC_AStrategyMayNotEndACallWithAnyReason(t *testing.T) {
	for _, row := range []struct{ answer, want engine.StopReason }{
		{engine.NonRetryableClass, engine.NonRetryableClass},
		{engine.DeadlineExceeded, engine.DeadlineExceeded},
		{engine.BudgetExhausted, engine.BudgetExhausted},
		{engine.Success, engine.NonRetryableClass},
		{engine.Scheduled, engine.NonRetryableClass},
		{99, engine.NonRetryableClass},
	} {
		w := newWorld()
		p := policy(t, engine.Spec{Strategy: engine.Func("mine", func(engine.DelayInput) engine.Delay { return engine.Delay{Stop: row.answer} })})
		o := w.run(p, w.script(fails(engine.Transient), fine))
		equal(t, "reason", o.Reason, row.want)
		equal(t, "reported", len(w.of(engine.EventRuleError)) == 1, row.answer != row.want)
	}
}

func TestC_ANegativeSleepCountsAsZero(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Func("mine", func(engine.DelayInput) engine.Delay { return engine.Delay{Sleep: -time.Hour} })})
	o := w.run(p, w.script(fails(engine.Transient), fine))
	equal(t, "ok", o.OK, true)
	equal(t, "elapsed", o.Elapsed, 0)
}
