package redressfleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

// A world is a fleet in virtual time: everything but the clock and the network is the
// code that runs in production.
type world struct {
	t      testing.TB
	now    time.Time
	ahead  time.Duration // of the store's clock
	memory *Memory
	random *rand.Rand
	down   bool
	all    []*instance
}

type instance struct {
	world *world
	fleet *Fleet
	cut   bool // off from the store
	dead  bool
	next  time.Time

	allowance engine.Allowance
	budget    *engine.Budget
	policy    *engine.Policy
	breaker   *engine.Breaker
	fails     bool // what it calls does
}

var errCut = errors.New("the store cannot be reached")

// Exchange is the network between an instance and the store.
func (i *instance) Exchange(ctx context.Context, ask Ask) (Answer, error) {
	if i.cut || i.world.down {
		return Answer{}, errCut
	}
	return i.world.memory.Exchange(ctx, ask)
}

func newWorld(t testing.TB, n int) *world {
	w := &world{t: t, now: time.Unix(1_790_000_000, 0), random: rand.New(rand.NewPCG(1, 2))}
	w.memory = NewMemory(func() time.Time { return w.now.Add(w.ahead) })
	for k := range n {
		w.join(fmt.Sprint("instance ", k))
	}
	return w
}

func (w *world) join(name string) *instance {
	i := &instance{world: w, next: w.now.Add(time.Duration(w.random.Int64N(int64(time.Second))))}
	var err error
	if i.fleet, err = join(i, Options{Instance: name}, func() time.Time { return w.now }); err != nil {
		w.t.Fatal(err)
	}
	w.all = append(w.all, i)
	return i
}

const step = 50 * time.Millisecond

// run lets time pass; each is called for every instance that lives, in every step.
func (w *world) run(d time.Duration, each func(i *instance)) {
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(step) {
		for _, i := range w.all {
			if i.dead {
				continue
			}
			if each != nil {
				each(i)
			}
			select {
			case <-i.fleet.woken:
				i.next = w.now
			default:
			}
			if !w.now.Before(i.next) {
				i.fleet.exchange(context.Background())
				i.next = w.now.Add(time.Second - time.Duration(w.random.Int64N(int64(time.Second/8))))
			}
		}
	}
}

// A ledger is when retries were made.
type ledger []time.Time

// most is the greatest number in any window.
func (l ledger) most(window time.Duration) int {
	best, first := 0, 0
	for i, at := range l {
		for at.Sub(l[first]) >= window {
			first++
		}
		best = max(best, i-first+1)
	}
	return best
}

func (l ledger) since(from time.Time) ledger {
	i, _ := slices.BinarySearchFunc(l, from, time.Time.Compare)
	return l[i:]
}

const window = time.Minute

// spending has every instance want retries: rate of them a second.
func (w *world) spending(limit int, rate float64, l *ledger) func(*instance) {
	return func(i *instance) {
		if i.allowance == nil {
			spec := engine.BudgetSpec{Name: "b", MaxRetries: limit, Window: window}
			spec.Allowance = i.fleet.Allowance(spec)
			var err error
			if i.budget, err = engine.NewBudget(spec); err != nil {
				w.t.Fatal(err)
			}
			i.allowance = spec.Allowance
		}
		for p := rate * step.Seconds(); p > 0; p-- {
			if (p >= 1 || w.random.Float64() < p) && i.allowance.Take(w.now) {
				*l = append(*l, w.now)
			}
		}
	}
}

func TestAFleetSpendsNoMoreThanItsBudgetAndMostOfIt(t *testing.T) {
	for _, row := range []struct{ instances, limit int }{{1, 20}, {3, 20}, {10, 100}, {100, 1000}, {1000, 2000}, {1000, 300}} {
		t.Run(fmt.Sprintf("%d instances, %d retries", row.instances, row.limit), func(t *testing.T) {
			w := newWorld(t, row.instances)
			var made ledger
			want := 5 * float64(row.limit) / window.Seconds() / float64(row.instances) // five times what there is
			w.run(100*time.Second, w.spending(row.limit, want, &made))
			if most := made.most(window); most > row.limit || most < row.limit/2 {
				t.Errorf("%d retries in some minute, want at most %d, and at least half", most, row.limit)
			}
		})
	}
}

// In any window no more than twice the budget, whatever happens to the store; and what
// was is over a window and a lease after it has ended.
func TestAFleetInTroubleOverspendsByNoMoreThanItsBudget(t *testing.T) {
	minutes := func(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }
	troubles := map[string]func(w *world, run func(time.Duration)){
		"the store is gone": func(w *world, run func(time.Duration)) {
			w.down = true
			run(minutes(2))
			w.down = false
		},
		"the store comes and goes": func(w *world, run func(time.Duration)) {
			for range 20 {
				w.down = !w.down
				run(4 * time.Second)
			}
			w.down = false
		},
		"the store forgets": func(w *world, run func(time.Duration)) {
			w.memory.Flush()
			run(minutes(1))
		},
		"the store forgets again and again": func(w *world, run func(time.Duration)) {
			for range 6 {
				w.memory.Flush()
				run(7 * time.Second)
			}
		},
		"the store restarts empty": func(w *world, run func(time.Duration)) {
			w.down = true
			run(20 * time.Second)
			w.memory.Flush()
			w.down = false
			run(minutes(1))
		},
		"half is cut off": func(w *world, run func(time.Duration)) {
			for k, i := range w.all {
				i.cut = k%2 == 0
			}
			run(minutes(2))
			for _, i := range w.all {
				i.cut = false
			}
		},
		"the store's clock jumps ahead": func(w *world, run func(time.Duration)) {
			w.ahead = time.Hour
			run(minutes(1))
		},
		"the store's clock jumps back": func(w *world, run func(time.Duration)) {
			w.ahead = -time.Hour
			run(minutes(1))
		},
		"the store's clock wanders": func(w *world, run func(time.Duration)) {
			for range 10 {
				w.ahead += time.Duration(w.random.Int64N(int64(4*time.Second))) - 2*time.Second
				run(5 * time.Second)
			}
		},
		"instances die with what they hold": func(w *world, run func(time.Duration)) {
			for k, i := range w.all {
				i.dead = k%3 == 0
			}
			run(minutes(1))
		},
		"instances are replaced": func(w *world, run func(time.Duration)) {
			for k := range len(w.all) {
				if k%2 == 0 {
					w.all[k].dead = true
					w.join(fmt.Sprint("new ", k))
				}
			}
			run(minutes(1))
		},
	}
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			instances := simulated(t)
			limit := 4 * instances
			w := newWorld(t, instances)
			var made ledger
			spend := w.spending(limit, 0.5, &made) // seven times what there is
			run := func(d time.Duration) { w.run(d, spend) }
			run(minutes(1.5))
			trouble(w, run)
			healed := w.now
			run(minutes(3))
			most := made.most(window)
			if most > 2*limit {
				t.Errorf("%d retries in some minute, want at most %d", most, 2*limit)
			}
			t.Logf("%d instances: %d retries in some minute of a budget of %d", instances, most, limit)
			settled := healed.Add(window + 10*time.Second)
			if most := made.since(settled).most(window); most > limit || most < limit/2 {
				t.Errorf("%d retries in some minute after it was over, want at most %d, and at least half", most, limit)
			}
		})
	}
}

// simulated is how many instances there are in simulations of trouble: 200, or what
// REDRESS_SIMULATE says ("1000").
func simulated(t *testing.T) int {
	text := os.Getenv("REDRESS_SIMULATE")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 10 {
		t.Fatalf("REDRESS_SIMULATE is %q, want a number of instances, at least 10", text)
	}
	return n
}

func TestAThousandInstancesStayWithinTheBoundWhenTheirStoreIsLost(t *testing.T) {
	const instances, limit = 1000, 3000
	w := newWorld(t, instances)
	var made ledger
	spend := w.spending(limit, 0.2, &made)
	w.run(90*time.Second, spend)
	if most := made.most(window); most > limit {
		t.Errorf("%d retries in some minute before", most)
	}
	w.down = true
	w.run(30*time.Second, spend)
	w.memory.Flush()
	w.down = false
	w.run(2*time.Minute, spend)
	if most := made.most(window); most > 2*limit {
		t.Errorf("%d retries in some minute, want at most %d", most, 2*limit)
	}
}

func TestAnInstanceThatNeverHeardOfTheOthersHasNoShare(t *testing.T) {
	w := newWorld(t, 10)
	w.down = true
	var made ledger
	w.run(time.Minute, w.spending(100, 1, &made))
	if len(made) != 0 {
		t.Errorf("%d retries without ever having met", len(made))
	}
}

// Breakers.

// Now and Sleep make the world a clock of calls.
func (w *world) Now() time.Time { return w.now }

func (w *world) Sleep(context.Context, time.Duration) error { return nil }

const recovery = 10 * time.Second

var errBroken = engine.MarkServerError(errors.New("broken"))

// call makes one call under the instance's breaker; it reports whether it was let through.
func (i *instance) call() (reason engine.StopReason) {
	if i.policy == nil {
		spec := engine.BreakerSpec{Name: "c", FailureThreshold: 3, Window: window, RecoveryTimeout: recovery, ProbeTimeout: recovery}
		spec.Quorum = i.fleet.Quorum(spec)
		var err error
		if i.breaker, err = engine.NewBreaker(spec); err != nil {
			i.world.t.Fatal(err)
		}
		if i.policy, err = engine.New(engine.Spec{Name: "p", MaxAttempts: 1, Breaker: i.breaker}); err != nil {
			i.world.t.Fatal(err)
		}
	}
	outcome := engine.Execute(context.Background(), i.policy, func(context.Context) (struct{}, error) {
		if i.fails {
			return struct{}{}, errBroken
		}
		return struct{}{}, nil
	}, engine.WithClock(i.world))
	return outcome.Reason
}

// calling has every instance make a call in every tenth step, and counts those let
// through.
func (w *world) calling(passed *int) func(*instance) {
	return func(i *instance) {
		if i.policy != nil && w.random.IntN(10) != 0 {
			return
		}
		if i.call() != engine.CircuitOpen {
			*passed++
		}
	}
}

func (w *world) states() map[engine.State]int {
	n := map[engine.State]int{}
	for _, i := range w.all {
		if !i.dead && i.breaker != nil {
			n[i.breaker.State()]++
		}
	}
	return n
}

func (w *world) failing(yes func(k int) bool) {
	for k, i := range w.all {
		i.fails = yes(k)
	}
}

func TestABreakerOpensByQuorumAndNeverByLess(t *testing.T) {
	for _, row := range []struct {
		instances, failing int
		open               bool
	}{{2, 1, false}, {2, 2, true}, {3, 1, false}, {3, 2, true}, {10, 5, false}, {10, 6, true}, {1000, 500, false}, {1000, 501, true}} {
		t.Run(fmt.Sprintf("%d of %d", row.failing, row.instances), func(t *testing.T) {
			w := newWorld(t, row.instances)
			passed := 0
			calls := w.calling(&passed)
			w.run(10*time.Second, calls)
			w.failing(func(k int) bool { return k < row.failing })
			w.run(8*time.Second, calls)
			if states := w.states(); row.open && states[engine.Open] != row.instances || !row.open && states[engine.Closed] != row.instances {
				t.Errorf("%v", states)
			}
		})
	}
}

func TestOneProbeIsSentForTheWholeFleetAndItsSuccessClosesAllOfIt(t *testing.T) {
	n := simulated(t)
	w := newWorld(t, n)
	passed := 0
	calls := w.calling(&passed)
	w.run(10*time.Second, calls)
	w.failing(func(int) bool { return true })
	w.run(6*time.Second, calls)
	if states := w.states(); states[engine.Open] != n {
		t.Fatalf("%v", states)
	}
	passed = 0
	w.run(5*recovery, calls)
	if passed < 3 || passed > 5 {
		t.Errorf("%d probes in five recovery times, want one in each", passed)
	}
	w.failing(func(int) bool { return false })
	w.run(recovery+3*time.Second, calls)
	if states := w.states(); states[engine.Closed] != n {
		t.Errorf("%v", states)
	}
}

func TestTheLeaseOfAProbeWhoseHolderDiesPassesOn(t *testing.T) {
	n := simulated(t)
	w := newWorld(t, n)
	passed := 0
	calls := w.calling(&passed)
	w.run(10*time.Second, calls)
	w.failing(func(int) bool { return true })
	w.run(6*time.Second, calls)
	w.failing(func(int) bool { return false })
	// The first that may probe dies instead.
	var holder *instance
	w.run(recovery+2*time.Second, func(i *instance) {
		q := i.fleet.quorums["c"]
		if holder == nil && w.now.Before(q.lease) {
			holder, i.dead = i, true
			return
		}
		if holder == nil {
			q.Probe(w.now)
		}
	})
	if holder == nil {
		t.Fatal("nobody got the lease")
	}
	if states := w.states(); states[engine.Open] != n-1 {
		t.Fatalf("while the dead holds the lease: %v", states)
	}
	w.run(recovery+4*time.Second, calls)
	if states := w.states(); states[engine.Closed] != n-1 {
		t.Errorf("after the lease: %v", states)
	}
}

func TestAStoreThatForgetsClosesNoBreaker(t *testing.T) {
	n := simulated(t)
	w := newWorld(t, n)
	passed := 0
	calls := w.calling(&passed)
	w.run(10*time.Second, calls)
	w.failing(func(int) bool { return true })
	w.run(6*time.Second, calls)
	w.memory.Flush()
	passed = 0
	w.run(3*time.Second, calls)
	if states := w.states(); passed != 0 || states[engine.Open] != n {
		t.Errorf("%d calls passed; %v", passed, states)
	}
	w.run(recovery, calls)
	if states := w.states(); states[engine.Open] < n-1 { // by vote again; one may be probing
		t.Errorf("the fleet did not open it anew: %v", states)
	}
}

func TestWithoutAStoreEveryBreakerDecidesForItself(t *testing.T) {
	n := simulated(t)
	w := newWorld(t, n)
	passed := 0
	calls := w.calling(&passed)
	w.run(10*time.Second, calls)
	w.down = true
	w.run(4*time.Second, calls)
	w.failing(func(k int) bool { return k == 3 })
	w.run(5*time.Second, calls)
	if states := w.states(); states[engine.Open] != 1 || w.all[3].breaker.State() != engine.Open {
		t.Errorf("%v", states)
	}
	w.failing(func(int) bool { return false })
	w.run(recovery+2*time.Second, calls)
	if states := w.states(); states[engine.Closed] != n {
		t.Errorf("by its own probe: %v", states)
	}
}

func TestAnInstanceThatIsAloneDecidesForItself(t *testing.T) {
	w := newWorld(t, 1)
	passed := 0
	calls := w.calling(&passed)
	w.run(10*time.Second, calls)
	w.failing(func(int) bool { return true })
	w.run(5*time.Second, calls)
	if states := w.states(); states[engine.Open] != 1 {
		t.Errorf("%v", states)
	}
}
