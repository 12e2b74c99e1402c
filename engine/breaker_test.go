package engine_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

// A dependency behind a breaker, with calls of one attempt.
type guarded struct {
	*world
	t testing.TB
	p *engine.Policy
	b *engine.Breaker
}

func newGuarded(t testing.TB, spec engine.BreakerSpec) *guarded {
	b := breaker(t, spec)
	return &guarded{newWorld(), t, policy(t, engine.Spec{MaxAttempts: 1, Breaker: b}), b}
}

// call makes a call that fails with the class, or succeeds if it is NoClass, and
// returns the call's events.
func (g *guarded) call(class engine.Class) string {
	op := g.script(fails(class))
	if class == engine.NoClass {
		op = g.script(fine)
	}
	g.run(g.p, op)
	return g.names()
}

// at moves time to an offset from the start.
func (g *guarded) at(d time.Duration) { g.AdvanceTo(newWorld().Now().Add(d)) }

func (g *guarded) want(state engine.State) {
	g.t.Helper()
	equal(g.t, "state", g.b.State(), state)
}

const ok = engine.NoClass

func TestD1_FailuresWithinTheWindowOpen(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 3})
	g.call(engine.ServerError)
	g.call(engine.Transient)
	g.want(engine.Closed)
	equal(t, "events", g.call(engine.ServerError), "max_attempts_exceeded circuit_opened")
	g.want(engine.Open)
	e := g.of(engine.EventCircuitOpened)[0]
	equal(t, "from", e.From, engine.Closed)
	equal(t, "to", e.To, engine.Open)
	equal(t, "sequence", e.Sequence, 1)
}

func TestD1_AFailureExactlyOneWindowOldNoLongerCounts(t *testing.T) {
	for _, row := range []struct {
		second time.Duration
		want   engine.State
	}{{60*time.Second - 1, engine.Open}, {60 * time.Second, engine.Closed}} {
		g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 2})
		g.call(engine.ServerError)
		g.at(row.second)
		g.call(engine.ServerError)
		g.want(row.want)
	}
}

func TestD1_OneClassMayHaveItsOwnThreshold(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 4, TripOn: []engine.Class{engine.ServerError}, ClassThresholds: map[engine.Class]int{engine.RateLimit: 2}})
	g.call(engine.RateLimit)
	g.call(engine.ServerError)
	g.call(engine.Transient) // does not count
	g.want(engine.Closed)
	g.call(engine.RateLimit)
	g.want(engine.Open)

	g = newGuarded(t, engine.BreakerSpec{FailureThreshold: 2, TripOn: []engine.Class{engine.ServerError}, ClassThresholds: map[engine.Class]int{engine.RateLimit: 9}})
	g.call(engine.RateLimit)
	g.call(engine.ServerError)
	g.want(engine.Open)
}

func TestD1_SuccessDoesNotClearTheWindow(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 2})
	g.call(engine.ServerError)
	for range 100 {
		g.call(ok)
	}
	g.call(engine.ServerError)
	g.want(engine.Open)
}

func TestD2_OpenRefusesUntilTheRecoveryTimeHasPassed(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 1})
	g.at(5 * time.Second)
	g.call(engine.ServerError)
	g.at(35*time.Second - 1)
	equal(t, "events", g.call(ok), "circuit_rejected")
	g.at(35 * time.Second)
	g.want(engine.Open)
	equal(t, "events", g.call(ok), "circuit_half_open success circuit_closed")
	g.want(engine.Closed)
}

func TestD3_SuccessOfTheProbeClearsTheHistory(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 2, ClassThresholds: map[engine.Class]int{engine.RateLimit: 2}, RecoveryTimeout: time.Second})
	g.call(engine.RateLimit)
	g.call(engine.ServerError)
	g.at(time.Second)
	g.call(ok)
	g.call(engine.RateLimit)
	g.want(engine.Closed)
	g.call(engine.RateLimit)
	g.want(engine.Open)
}

func TestD3_AFailingProbeOpensForTheWholeTimeAndOthersClose(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 1})
	g.call(engine.ServerError)
	g.at(40 * time.Second)
	equal(t, "events", g.call(engine.Transient), "circuit_half_open max_attempts_exceeded circuit_opened")
	g.at(70*time.Second - 1)
	equal(t, "events", g.call(ok), "circuit_rejected")
	g.at(70 * time.Second)
	equal(t, "a failure outside trip_on closes", g.call(engine.Permanent), "circuit_half_open permanent_fail circuit_closed")
}

func TestD3_OneProbeAtATime(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 1})
	g.call(engine.ServerError)
	g.at(30 * time.Second)
	var others []engine.StopReason
	o := g.run(g.p, func(context.Context) (int, error) {
		for range 3 {
			others = append(others, engine.Execute(t.Context(), g.p, g.script(fine), engine.WithClock(g.Clock)).Reason)
		}
		return 0, nil
	})
	equal(t, "the probe", o.Reason, engine.Success)
	for _, reason := range others {
		equal(t, "another", reason, engine.CircuitOpen)
	}
}

func TestD4_ResultsOfCallsAdmittedBeforeATransitionChangeNothing(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	p := policy(t, engine.Spec{MaxAttempts: 1, Breaker: b})
	for _, late := range []engine.Class{ok, engine.ServerError} {
		// A slow call of the closed breaker ends while another's failure has opened it,
		// and while a probe runs.
		w.Advance(time.Hour)
		w.run(p, w.script(fine))
		equal(t, "state before", b.State(), engine.Closed)
		w.run(p, func(ctx context.Context) (int, error) {
			engine.Execute(ctx, p, w.script(fails(engine.ServerError)), engine.WithClock(w.Clock))
			if late == ok {
				return 0, nil
			}
			return 0, failure(late)
		})
		equal(t, "late result while open", b.State(), engine.Open)

		w.Advance(30 * time.Second)
	}
}

func TestD4_ALateResultDoesNotDecideForTheProbe(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	p := policy(t, engine.Spec{MaxAttempts: 1, Breaker: b, Deadline: time.Hour})
	w.run(p, func(context.Context) (int, error) { // admitted while closed
		engine.Execute(t.Context(), p, w.script(fails(engine.ServerError)), engine.WithClock(w.Clock))
		w.Advance(30 * time.Second)
		engine.Execute(t.Context(), p, func(context.Context) (int, error) {
			equal(t, "a probe runs", b.State(), engine.HalfOpen)
			return 0, engine.Abort(errPlain) // neutral
		}, engine.WithClock(w.Clock))
		return 1, nil
	})
	equal(t, "state after the late success", b.State(), engine.HalfOpen)
}

func TestD4_AFailureFromBeforeTheBreakerOpenedAndClosedDoesNotCount(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	p := policy(t, engine.Spec{MaxAttempts: 1, Breaker: b, Deadline: time.Hour})
	w.run(p, func(context.Context) (int, error) {
		engine.Execute(t.Context(), p, w.script(fails(engine.ServerError)), engine.WithClock(w.Clock))
		w.Advance(30 * time.Second)
		engine.Execute(t.Context(), p, w.script(fine), engine.WithClock(w.Clock))
		equal(t, "closed again meanwhile", b.State(), engine.Closed)
		return 0, failure(engine.ServerError)
	})
	equal(t, "state after the late failure", b.State(), engine.Closed)
}

func TestD4_AProbeThatWasReplacedDoesNotDecideForTheOther(t *testing.T) {
	for _, verdict := range []engine.Class{ok, engine.ServerError} {
		g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 1, ProbeTimeout: time.Second})
		g.call(engine.ServerError)
		g.at(30 * time.Second)

		// The first probe hangs; the second one is in flight when the first returns.
		first, returned, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			engine.Execute(t.Context(), g.p, func(context.Context) (int, error) {
				close(first)
				<-returned
				if verdict == ok {
					return 1, nil
				}
				return 0, failure(verdict)
			}, engine.WithClock(g.Clock))
		}()
		<-first
		g.at(31 * time.Second)
		g.run(g.p, func(context.Context) (int, error) {
			close(returned)
			<-ended
			g.want(engine.HalfOpen)
			return 1, nil
		})
		g.want(engine.Closed)
	}
}

func TestA4_10_NoAttemptFollowsWhileAnotherCallProbes(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	victim := policy(t, engine.Spec{Name: "victim", Strategy: engine.Immediate{}, Breaker: b, Deadline: time.Hour})
	other := policy(t, engine.Spec{Name: "other", MaxAttempts: 1, Breaker: b})
	o := w.run(victim, func(ctx context.Context) (int, error) {
		engine.Execute(ctx, other, w.script(fails(engine.ServerError)), engine.WithClock(w.Clock))
		w.Advance(30 * time.Second)
		engine.Execute(ctx, other, w.script(reply{err: engine.ErrAbort}), engine.WithClock(w.Clock))
		equal(t, "state", b.State(), engine.HalfOpen)
		return 0, failure(engine.Transient)
	})
	equal(t, "reason", o.Reason, engine.CircuitOpen)
	equal(t, "attempts", o.Attempts, 1)
}

func TestD4_ANeutralProbeFreesItsPlace(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 1})
	retrying := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, Breaker: g.b})
	for name, probe := range map[string]func(){
		"cancelled": func() {
			g.runUnder(g.caller(t, 0, time.Millisecond), retrying, g.script(reply{after: time.Second}))
		},
		"aborted":  func() { g.run(retrying, g.script(reply{err: engine.Abort(errPlain)})) },
		"deferred": func() { g.run(retrying, g.script(fails(engine.Transient)), engine.WithSleepHandler(deferAll)) },
	} {
		t.Run(name, func(t *testing.T) {
			g.Advance(time.Hour)
			g.call(engine.ServerError)
			g.want(engine.Open)
			g.Advance(30 * time.Second)
			probe()
			g.want(engine.HalfOpen)
			equal(t, "events of the next probe", g.call(ok), "success circuit_closed")
		})
	}
}

func TestD4_AProbePastItsExpiryFreesItsPlaceAndIsNeutral(t *testing.T) {
	for _, verdict := range []engine.Class{ok, engine.ServerError} {
		g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 1, ProbeTimeout: 10 * time.Second})
		g.call(engine.ServerError)
		g.at(30 * time.Second)
		var meanwhile []engine.StopReason
		try := func() {
			o := engine.Execute(t.Context(), g.p, g.script(reply{err: engine.Abort(errPlain)}), engine.WithClock(g.Clock))
			meanwhile = append(meanwhile, o.Reason)
		}
		g.run(g.p, func(context.Context) (int, error) {
			g.at(40*time.Second - 1)
			try()
			g.at(40 * time.Second)
			try()
			if verdict == ok {
				return 1, nil
			}
			return 0, failure(verdict)
		})
		equal(t, "before the expiry", meanwhile[0], engine.CircuitOpen)
		equal(t, "after the expiry", meanwhile[1], engine.Aborted)
		g.want(engine.HalfOpen)
		equal(t, "events of the next probe", g.call(ok), "success circuit_closed")
	}
}

func TestD4_AProbePastItsExpiryThatNobodyReplacedIsNeutralToo(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 1, ProbeTimeout: time.Second})
	g.call(engine.ServerError)
	g.at(30 * time.Second)
	g.run(g.p, g.script(reply{err: failure(engine.ServerError), after: time.Second}))
	g.want(engine.HalfOpen)
	equal(t, "events of the next probe", g.call(ok), "success circuit_closed")
}

func TestD5_TransitionsAreReportedOnceAndOutsideTheLock(t *testing.T) {
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 10, RecoveryTimeout: time.Nanosecond, ProbeTimeout: time.Hour})
	var opened, halfOpened, closed atomic.Int64
	var mu sync.Mutex
	sequences := map[uint64]int{}
	observer := engine.ObserverFunc(func(_ context.Context, e engine.Event) {
		b.State() // would deadlock if it were called under the lock
		if e.Sequence == 0 {
			return
		}
		mu.Lock()
		sequences[e.Sequence]++
		mu.Unlock()
		switch e.Kind {
		case engine.EventCircuitOpened:
			opened.Add(1)
		case engine.EventCircuitHalfOpen:
			halfOpened.Add(1)
		case engine.EventCircuitClosed:
			closed.Add(1)
		}
	})
	p := policy(t, engine.Spec{MaxAttempts: 1, Breaker: b, Observer: observer})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 300 {
				_ = engine.Do(t.Context(), p, func(context.Context) error {
					if (n+g)%3 == 0 {
						return nil
					}
					return failure(engine.ServerError)
				})
			}
		})
	}
	wg.Wait()
	if opened.Load() == 0 || closed.Load() == 0 {
		t.Fatalf("opened %d, closed %d times", opened.Load(), closed.Load())
	}
	for sequence := range uint64(len(sequences)) {
		if n := sequences[sequence+1]; n != 1 {
			t.Errorf("transition %d was reported %d times", sequence+1, n)
		}
	}
	// Every way out of a state was a way in, but for the first and the last.
	open := opened.Load() - halfOpened.Load()
	if open != 0 && open != 1 {
		t.Errorf("opened %d times, half-opened %d times", opened.Load(), halfOpened.Load())
	}
}

func TestABreakerAndABudgetAreSharedByPointer(t *testing.T) {
	w := newWorld()
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 2})
	one := policy(t, engine.Spec{Name: "one", MaxAttempts: 1, Breaker: b})
	two := policy(t, engine.Spec{Name: "two", MaxAttempts: 1, Breaker: b})
	w.run(one, w.script(fails(engine.Transient)))
	w.run(two, w.script(fails(engine.Transient)))
	equal(t, "reason", w.run(one, w.script(fine)).Reason, engine.CircuitOpen)

	s := budget(t, engine.BudgetSpec{MaxRetries: 1})
	one = policy(t, engine.Spec{Name: "one", Strategy: engine.Immediate{}, Budget: s})
	two = policy(t, engine.Spec{Name: "two", Strategy: engine.Immediate{}, Budget: s})
	w.run(one, w.script(fails(engine.Transient), fine))
	equal(t, "reason", w.run(two, w.script(fails(engine.Transient), fine)).Reason, engine.BudgetExhausted)
}

func TestE_AtMostMaxRetriesInAnyWindow(t *testing.T) {
	w := newWorld()
	b := budget(t, engine.BudgetSpec{MaxRetries: 2, Window: 10 * time.Second})
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, Budget: b})
	retry := func() bool { return w.run(p, w.script(fails(engine.Transient), fine)).OK }
	equal(t, "first", retry(), true)
	w.Advance(4 * time.Second)
	equal(t, "second", retry(), true)
	equal(t, "third", retry(), false)
	w.Advance(6*time.Second - 1)
	equal(t, "just before the first leaves", retry(), false)
	w.Advance(1)
	equal(t, "remaining", b.Remaining(w.Now()), 1)
	equal(t, "when the first is one window old", retry(), true)
	equal(t, "and no more", retry(), false)
}

func TestE_TakingIsAtomicWithTheCheck(t *testing.T) {
	b := budget(t, engine.BudgetSpec{MaxRetries: 100, Window: time.Hour})
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 1000, Budget: b})
	var retries atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				o := engine.Execute(t.Context(), p, func(context.Context) (int, error) { return 0, failure(engine.Transient) })
				retries.Add(int64(o.Attempts - 1))
			}
		})
	}
	wg.Wait()
	equal(t, "retries", retries.Load(), 100)
}
