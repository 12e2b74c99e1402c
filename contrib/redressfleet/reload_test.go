package redressfleet

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

// A reload tells the quorum of new settings while calls that fail ask it: neither may
// wait for the other.
func TestAReloadAndFailuresDoNotWaitForEachOther(t *testing.T) {
	w := newWorld(t, 2)
	passed := 0
	w.run(10*time.Second, w.calling(&passed)) // one of two opens nothing
	i := w.all[0]
	i.fails = true
	spec := i.breaker.Spec()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 20_000 {
			i.call()
		}
	}()
	late := time.After(20 * time.Second)
	for reloads := 0; ; reloads++ {
		select {
		case <-ended:
			if reloads == 0 {
				t.Error("nothing was reloaded meanwhile")
			}
			return
		case <-late:
			t.Fatal("a reload and a call wait for each other")
		default:
		}
		if _, err := i.breaker.Reconfigure(spec); err != nil {
			t.Fatal(err)
		}
	}
}

// local and fleet reload an instance's breaker.
func (i *instance) local() { i.reload(func(spec *engine.BreakerSpec) { spec.Quorum = nil }) }

func (i *instance) ofFleet() {
	i.reload(func(spec *engine.BreakerSpec) { spec.Quorum = i.fleet.Quorum(*spec) })
}

func (i *instance) reload(change func(*engine.BreakerSpec)) {
	spec := i.breaker.Spec()
	change(&spec)
	if _, err := i.breaker.Reconfigure(spec); err != nil {
		i.world.t.Fatal(err)
	}
}

func TestABreakerThatBecomesLocalIsNoLongerTheFleets(t *testing.T) {
	w := newWorld(t, 3)
	passed := 0
	calls := w.calling(&passed)
	w.run(10*time.Second, calls)
	one := w.all[0]
	one.local()
	w.failing(func(k int) bool { return k > 0 })
	w.run(8*time.Second, calls)
	if states := w.states(); one.breaker.State() != engine.Closed || states[engine.Open] != 2 {
		t.Errorf("the fleet opened it: %v, of all %v", one.breaker.State(), states)
	}
	one.ofFleet()
	w.run(3*time.Second, calls)
	if state := one.breaker.State(); state != engine.Open {
		t.Errorf("the fleet's again, whose circuit is open: %v", state)
	}
}

func TestABreakerThatReturnsToTheFleetIsToldThatItIsStillOpen(t *testing.T) {
	w := newWorld(t, 3)
	passed := 0
	calls := w.calling(&passed)
	w.run(10*time.Second, calls)
	w.failing(func(int) bool { return true })
	w.run(8*time.Second, calls)
	one := w.all[0]
	one.local()
	one.breaker.Close(w.now) // its own probe
	one.ofFleet()
	w.run(2*time.Second, nil)
	if state := one.breaker.State(); state != engine.Open {
		t.Errorf("%v", state)
	}
}

// A set that is tried beside the one in force, or that is refused, has budgets and
// breakers of the same names.
func TestASetThatNoCallUsesChangesNothingForTheFleet(t *testing.T) {
	w := newWorld(t, 2)
	passed := 0
	var made ledger
	calls, spend := w.calling(&passed), w.spending(20, 1, &made)
	w.run(10*time.Second, func(i *instance) { calls(i); spend(i) })
	var kept []any
	defer func() { runtime.KeepAlive(kept) }()
	for _, i := range w.all {
		candidate := engine.BreakerSpec{Name: "c", FailureThreshold: 1, RecoveryTimeout: time.Hour}
		candidate.Quorum = i.fleet.Quorum(candidate)
		budget := engine.BudgetSpec{Name: "b", MaxRetries: 2000, Window: window}
		budget.Allowance = i.fleet.Allowance(budget)
		b, err := engine.NewBreaker(candidate)
		if err != nil {
			t.Fatal(err)
		}
		a, err := engine.NewBudget(budget)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, a, b)
	}
	w.failing(func(int) bool { return true })
	w.run(2*window, func(i *instance) { calls(i); spend(i) })
	if most := made.most(window); most > 20 {
		t.Errorf("%d retries of a budget of 20", most)
	}
	for _, i := range w.all {
		if left := i.breaker.RetryIn(w.now); left > recovery {
			t.Errorf("it refuses for another %v", left)
		}
	}
}

func TestAnObserverThatPanicsChangesNothingForTheFleet(t *testing.T) {
	w := newWorld(t, 2)
	told := 0
	for _, i := range w.all {
		i.fleet.opts.Observer = engine.ObserverFunc(func(context.Context, engine.Event) { told++; panic("observer") })
	}
	passed := 0
	calls := w.calling(&passed)
	w.run(10*time.Second, calls)
	w.failing(func(int) bool { return true })
	w.run(8*time.Second, calls)
	if states := w.states(); told != 2 || states[engine.Open] != 2 {
		t.Errorf("told %d times, %v", told, states)
	}
}
