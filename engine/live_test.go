package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

// A living is a live set in a world.
type living struct {
	*world
	t    testing.TB
	live engine.Live
}

func newLiving(t testing.TB, specs ...engine.Spec) *living {
	l := &living{world: newWorld(), t: t}
	l.reload(specs...)
	return l
}

// reload replaces the set, and returns what became of the live state, a line each.
func (l *living) reload(specs ...engine.Spec) string { return l.fallBack("", specs...) }

func (l *living) fallBack(fallback string, specs ...engine.Spec) string {
	l.t.Helper()
	var next []*engine.Policy
	for _, spec := range specs {
		next = append(next, policy(l.t, spec))
	}
	carried, err := l.live.Reload(next, fallback)
	if err != nil {
		l.t.Fatal(err)
	}
	var lines []string
	for _, c := range carried {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

func (l *living) policy(name string) *engine.Policy {
	l.t.Helper()
	p, ok := l.live.Policy(name)
	if !ok {
		l.t.Fatalf("the set has no policy %s", name)
	}
	return p
}

// fail makes n calls that fail once.
func (l *living) fail(p *engine.Policy, n int) {
	for range n {
		l.run(p, l.script(fails(engine.ServerError)))
	}
}

func (l *living) wantReason(p *engine.Policy, op func(context.Context) (int, error), want engine.StopReason) {
	l.t.Helper()
	equal(l.t, "reason", l.run(p, op).Reason, want)
}

func once(name string, more ...func(*engine.Spec)) engine.Spec {
	spec := engine.Spec{Name: name, MaxAttempts: 1}
	for _, f := range more {
		f(&spec)
	}
	return spec
}

func with(b *engine.Breaker) func(*engine.Spec)    { return func(s *engine.Spec) { s.Breaker = b } }
func spending(b *engine.Budget) func(*engine.Spec) { return func(s *engine.Spec) { s.Budget = b } }
func revision(text string) func(*engine.Spec)      { return func(s *engine.Spec) { s.Revision = text } }
func retrying(s *engine.Spec)                      { s.MaxAttempts, s.Strategy = 100, engine.Immediate{} }

func TestHandlesFollowAReload(t *testing.T) {
	l := newLiving(t, once("p", revision("one")))
	p := l.policy("p")
	bound := p.Bind(engine.WithOperation("op"))
	l.reload(once("p", revision("two"), func(s *engine.Spec) { s.MaxAttempts, s.Strategy = 3, engine.Immediate{} }))
	for _, handle := range []*engine.Policy{p, bound, bound.Bind(), l.policy("p")} {
		o := l.run(handle, l.script(fails(engine.ServerError)))
		equal(t, "revision", o.Revision, "two")
		equal(t, "attempts", o.Attempts, 3)
		equal(t, "Revision", handle.Revision(), "two")
	}
	equal(t, "operation", l.run(bound, l.script(fine)).Operation, "op")
}

func TestACallFinishesOnTheRevisionOnWhichItBegan(t *testing.T) {
	l := newLiving(t, once("p", revision("one"), func(s *engine.Spec) { s.MaxAttempts, s.Strategy = 3, engine.Immediate{} }))
	p := l.policy("p")
	attempts := 0
	o := l.run(p, func(ctx context.Context) (int, error) {
		attempts++
		l.reload(once("p", revision(fmt.Sprint("reload ", attempts))))
		return 0, failure(engine.ServerError)
	})
	equal(t, "attempts", o.Attempts, 3)
	equal(t, "revision", o.Revision, "one")
	for _, e := range l.events {
		equal(t, "revision of "+e.Kind.String(), e.Revision, "one")
	}
	equal(t, "the next call's revision", l.run(p, l.script(fine)).Revision, "reload 3")
}

func TestTheObserverIsTheRevisionsUnlessTheHandleHasItsOwn(t *testing.T) {
	told := ""
	observer := func(name string) engine.Observer {
		return engine.ObserverFunc(func(_ context.Context, e engine.Event) {
			if e.Kind == engine.EventSuccess {
				told += name
			}
		})
	}
	watched := func(name string) engine.Spec {
		return once("p", func(s *engine.Spec) { s.Observer = observer(name) })
	}
	l := newLiving(t, watched("1"))
	p := l.policy("p")
	own := p.Bind(engine.WithObserver(observer("own")))
	nobody := p.Bind(engine.WithObserver(nil))
	l.reload(watched("2"))
	for _, handle := range []*engine.Policy{p, own, nobody} {
		_, _ = engine.Call(t.Context(), handle, l.script(fine))
	}
	equal(t, "told", told, "2own")
}

func TestCallsUnderARemovedPolicyFailClearlyUntilItReturns(t *testing.T) {
	l := newLiving(t, once("p"), once("q"))
	p := l.policy("p")
	o := l.run(p, func(context.Context) (int, error) {
		l.reload(once("q"))
		return 7, nil
	})
	equal(t, "the call in flight", o.Value, 7)

	_, err := engine.Call(t.Context(), p, func(context.Context) (int, error) {
		t.Error("the operation ran")
		return 0, nil
	})
	var stopped *engine.Error
	if !errors.Is(err, engine.ErrPolicyRemoved) || !errors.As(err, &stopped) {
		t.Fatalf("got %v", err)
	}
	equal(t, "reason", stopped.Reason, engine.Aborted)
	equal(t, "policy", stopped.Policy, "p")
	l.run(p, l.script(fine))
	equal(t, "events", l.names(), "aborted")
	if _, ok := l.live.Policy("p"); ok {
		t.Error("the set still has it")
	}
	l.reload(once("q"))
	l.reload(once("p"))
	equal(t, "after its return", l.run(p, l.script(fine)).Reason, engine.Success)
	equal(t, "handle", l.policy("p"), p)
}

func TestCallsUnderARemovedPolicyRunUnderTheFallbackPolicy(t *testing.T) {
	gentle := func(rev string) engine.Spec {
		return once("gentle", revision(rev), func(s *engine.Spec) { s.MaxAttempts, s.Strategy = 2, engine.Immediate{} })
	}
	l := newLiving(t, once("p", revision("1"), with(breaker(t, engine.BreakerSpec{Name: "p", FailureThreshold: 1}))), gentle("a"))
	p := l.policy("p")
	l.fail(p, 1)
	l.fallBack("gentle", gentle("b"))
	o := l.run(p, l.script(fails(engine.ServerError)))
	equal(t, "attempts", o.Attempts, 2)
	equal(t, "policy", o.Policy, "p")
	equal(t, "revision", o.Revision, "gentle@b")
	l.fallBack("gentle", gentle("c"))
	equal(t, "it follows the fallback", l.run(p, l.script(fine)).Revision, "gentle@c")

	l.fallBack("gentle", once("p", with(breaker(t, engine.BreakerSpec{Name: "p", FailureThreshold: 1}))), gentle("c"))
	l.wantReason(p, l.script(fine), engine.CircuitOpen)
	l.reload(gentle("c"))
	l.wantReason(p, l.script(fine), engine.Aborted)
}

func TestAReloadThatCannotBeChangesNothing(t *testing.T) {
	l := newLiving(t, once("p", revision("one")))
	b := func() *engine.Breaker { return breaker(t, engine.BreakerSpec{Name: "shared"}) }
	for _, row := range []struct {
		next     []engine.Spec
		fallback string
		want     string
	}{
		{[]engine.Spec{once("p"), once("p")}, "", `two policies are called "p"`},
		{[]engine.Spec{once("p")}, "gentle", `fallback policy "gentle"`},
		{[]engine.Spec{once("p", with(b())), once("q", with(b()))}, "", `called "shared"`},
	} {
		var next []*engine.Policy
		for _, spec := range row.next {
			next = append(next, policy(t, spec))
		}
		if _, err := l.live.Reload(next, row.fallback); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("got %v, want %s", err, row.want)
		}
		equal(t, "revision", l.policy("p").Revision(), "one")
	}
}

func TestAnOpenBreakerStaysOpenForTheLesserOfOldAndNewTime(t *testing.T) {
	for _, row := range []struct {
		was, is time.Duration
		opens   time.Duration // when the next call is let through
	}{{30 * time.Second, time.Hour, 30 * time.Second}, {30 * time.Second, 20 * time.Second, 20 * time.Second}, {30 * time.Second, 5 * time.Second, 10 * time.Second}} {
		with := func(recovery time.Duration) engine.Spec {
			return once("p", with(breaker(t, engine.BreakerSpec{Name: "p", FailureThreshold: 1, RecoveryTimeout: recovery})))
		}
		l := newLiving(t, with(row.was))
		p := l.policy("p")
		l.fail(p, 1)
		l.Advance(10 * time.Second)
		l.reload(with(row.is))
		equal(t, "state", p.Breaker().State(), engine.Open)
		if wait := row.opens - 10*time.Second; wait > 0 {
			l.Advance(wait - 1)
			l.wantReason(p, l.script(fine), engine.CircuitOpen)
			l.Advance(1)
		}
		equal(t, "reason", l.run(p, l.script(fails(engine.ServerError))).Attempts, 1)
		equal(t, "state", p.Breaker().State(), engine.Open)
		l.Advance(row.is - 1) // the new time, whole
		l.wantReason(p, l.script(fine), engine.CircuitOpen)
		l.Advance(1)
		l.wantReason(p, l.script(fine), engine.Success)
	}
}

func TestThresholdsAreHeldAgainstTheFailuresThatWereKept(t *testing.T) {
	spec := func(threshold int, window time.Duration) engine.Spec {
		return once("p", with(breaker(t, engine.BreakerSpec{Name: "p", FailureThreshold: threshold, Window: window})))
	}
	l := newLiving(t, spec(5, time.Minute))
	p := l.policy("p")
	l.fail(p, 3)
	equal(t, "carried", l.reload(spec(2, time.Minute)), "circuit_breaker p: resized: failure_threshold 5 to 2")
	equal(t, "a reload opens nothing", p.Breaker().State(), engine.Closed)
	l.reload(spec(5, time.Minute))
	l.reload(spec(4, time.Minute))
	l.fail(p, 1)
	equal(t, "four in all", p.Breaker().State(), engine.Open)

	l = newLiving(t, spec(3, time.Minute))
	p = l.policy("p")
	l.fail(p, 2)
	l.Advance(30 * time.Second)
	l.reload(spec(3, 20*time.Second))
	l.fail(p, 1)
	equal(t, "two are too old", p.Breaker().State(), engine.Closed)
	l.reload(spec(3, time.Minute))
	l.fail(p, 1)
	equal(t, "none is too old", p.Breaker().State(), engine.Open)
}

func TestAProbeKeepsItsPlaceOverAReload(t *testing.T) {
	spec := func(recovery time.Duration) engine.Spec {
		return once("p", with(breaker(t, engine.BreakerSpec{Name: "p", FailureThreshold: 1, RecoveryTimeout: recovery})))
	}
	l := newLiving(t, spec(30*time.Second))
	p := l.policy("p")
	l.fail(p, 1)
	l.Advance(30 * time.Second)
	o := l.run(p, func(context.Context) (int, error) {
		l.reload(spec(time.Minute))
		equal(t, "state", p.Breaker().State(), engine.HalfOpen)
		equal(t, "another", engine.Execute(t.Context(), p, l.script(fine), engine.WithClock(l.Clock)).Reason, engine.CircuitOpen)
		return 1, nil
	})
	equal(t, "the probe", o.Reason, engine.Success)
	equal(t, "its success closes", p.Breaker().State(), engine.Closed)
}

func TestNoReloadRefillsABudget(t *testing.T) {
	spec := func(retries int, window time.Duration) engine.Spec {
		return once("p", retrying, spending(budget(t, engine.BudgetSpec{Name: "b", MaxRetries: retries, Window: window})))
	}
	l := newLiving(t, spec(20, time.Minute))
	p := l.policy("p")
	l.fail(p, 1)
	left := func() int { return p.Budget().Remaining(l.Now()) }
	for _, row := range []struct {
		retries int
		window  time.Duration
		left    int
	}{{20, time.Minute, 0}, {5, time.Minute, 0}, {20, time.Minute, 0}, {25, time.Minute, 5}, {0, time.Second, 0}, {25, time.Hour, 5}} {
		l.reload(spec(row.retries, row.window))
		equal(t, fmt.Sprint("left of ", row.retries), left(), row.left)
	}
	l.Advance(30 * time.Minute)
	l.reload(spec(25, 31*time.Minute))
	equal(t, "left", left(), 5)
	equal(t, "carried", l.reload(spec(25, 31*time.Minute)), "budget b: kept")
}

func TestWhatIsDividedSharedOrRenamedInherits(t *testing.T) {
	opens := func(name string) *engine.Breaker {
		return breaker(t, engine.BreakerSpec{Name: name, FailureThreshold: 2})
	}
	state := func(l *living, name string) engine.State { return l.policy(name).Breaker().State() }

	own := newLiving(t, once("p", with(opens("p"))), once("q", with(opens("q"))))
	own.fail(own.policy("p"), 2)
	shared := opens("dep")
	carried := own.reload(once("p", with(shared)), once("q", with(shared)))
	equal(t, "shared", state(own, "q"), engine.Open)
	if want := "circuit_breaker dep: kept: takes over from p, q"; !strings.Contains(carried, want) {
		t.Errorf("carried %s, want %s", carried, want)
	}
	own.reload(once("p", with(opens("p2"))), once("q", with(opens("q2"))))
	equal(t, "divided", state(own, "p"), engine.Open)
	equal(t, "divided", state(own, "q"), engine.Open)
	own.Advance(30 * time.Second)
	own.wantReason(own.policy("p"), own.script(fine), engine.Success)
	equal(t, "each by itself", state(own, "p"), engine.Closed)
	equal(t, "each by itself", state(own, "q"), engine.Open)

	// One failure here and one there are two for both.
	two := newLiving(t, once("p", with(opens("p"))), once("q", with(opens("q"))))
	two.fail(two.policy("p"), 1)
	two.Advance(time.Second)
	three := breaker(t, engine.BreakerSpec{Name: "dep", FailureThreshold: 3})
	two.fail(two.policy("q"), 1)
	two.reload(once("p", with(three)), once("q", with(three)))
	two.fail(two.policy("q"), 1)
	equal(t, "together", state(two, "p"), engine.Open)

	// What stands under its name keeps its own state, whoever joins.
	joined := newLiving(t, once("p", with(opens("p"))), once("q", with(opens("dep"))))
	joined.fail(joined.policy("p"), 2)
	dep := opens("dep")
	joined.reload(once("p", with(dep)), once("q", with(dep)))
	equal(t, "joined", state(joined, "p"), engine.Closed)

	// By the same name, alone or shared, it is the same.
	same := newLiving(t, once("dep", with(opens("dep"))))
	same.fail(same.policy("dep"), 2)
	before := same.policy("dep").Breaker()
	both := opens("dep")
	same.reload(once("dep", with(both)), once("q", with(both)))
	equal(t, "the breaker", same.policy("q").Breaker(), before)

	spent := newLiving(t, once("p", retrying, spending(budget(t, engine.BudgetSpec{Name: "p", MaxRetries: 4}))), once("q", retrying, spending(budget(t, engine.BudgetSpec{Name: "q", MaxRetries: 3}))))
	spent.fail(spent.policy("p"), 1)
	spent.Advance(time.Second)
	spent.fail(spent.policy("q"), 1)
	pool := budget(t, engine.BudgetSpec{Name: "pool", MaxRetries: 10})
	spent.reload(once("p", retrying, spending(pool)), once("q", retrying, spending(pool)))
	equal(t, "left of the pool", spent.policy("p").Budget().Remaining(spent.Now()), 3)
	equal(t, "a minute after the first", spent.policy("p").Budget().Remaining(spent.Now().Add(59*time.Second)), 7)
}

func TestWhatLeavesTheSetIsKeptForItsReturn(t *testing.T) {
	spec := func(name string) engine.Spec {
		return once(name, retrying,
			with(breaker(t, engine.BreakerSpec{Name: name, FailureThreshold: 1, RecoveryTimeout: time.Hour})),
			spending(budget(t, engine.BudgetSpec{Name: name, MaxRetries: 3, Window: time.Hour})))
	}
	l := newLiving(t, spec("p"), once("q"))
	p := l.policy("p")
	l.fail(p, 1)
	want := "circuit_breaker p: kept: no policy has it now; it is kept for its return\nbudget p: kept: no policy has it now; it is kept for its return"
	equal(t, "carried", l.reload(once("q")), want)
	equal(t, "carried", l.reload(once("q")), "")
	l.reload(spec("p"))
	equal(t, "state", p.Breaker().State(), engine.Open)
	equal(t, "left", p.Budget().Remaining(l.Now()), 0)

	l.reload(once("p"))
	l.reload(spec("p"))
	equal(t, "state", p.Breaker().State(), engine.Open)
	for i := range 300 {
		l.reload(spec(fmt.Sprint("other ", i)))
	}
	said := l.reload(spec("p"))
	equal(t, "forgotten, after many others, but not by the policy", p.Breaker().State(), engine.Open)
	if !strings.Contains(said, "circuit_breaker p: kept: takes over from p") {
		t.Errorf("carried %s", said)
	}
}

func TestAnAdaptiveStrategyInheritsWhatThePolicyLearned(t *testing.T) {
	spec := func(window time.Duration) engine.Spec {
		return engine.Spec{Name: "p", MaxAttempts: 2, Classes: map[engine.Class]engine.ClassSpec{engine.ServerError: {Strategy: engine.RetryAfterOr{Fallback: &engine.Adaptive{
			Fallback: engine.Constant{Wait: time.Second}, Window: window, TargetSuccess: 1, MaxMultiplier: 5,
		}}}}}
	}
	slept := func(l *living) time.Duration {
		l.run(l.policy("p"), l.script(fails(engine.ServerError), fine))
		return l.of(engine.EventRetry)[0].Sleep
	}
	for _, row := range []struct {
		window time.Duration
		want   string
	}{{time.Minute, "adaptive p: kept"}, {10 * time.Minute, "adaptive p: resized: window 1m0s to 10m0s"}, {30 * time.Second, "adaptive p: resized: window 1m0s to 30s"}} {
		l := newLiving(t, spec(time.Minute))
		l.run(l.policy("p"), l.script(fine))
		l.run(l.policy("p"), l.script(fine))
		l.run(l.policy("p"), l.script(fine))
		equal(t, "before", slept(l), 2*time.Second) // one of four failed
		equal(t, "carried", l.reload(spec(row.window)), row.want)
		equal(t, "after", slept(l), time.Second+4*time.Second*2/6)
	}
	l := newLiving(t, spec(time.Minute))
	slept(l)
	equal(t, "carried", l.reload(once("p")), "adaptive p: reset: the policy has no adaptive strategy any more")
	equal(t, "carried", l.reload(spec(time.Minute)), "")
	equal(t, "afresh", slept(l), 5*time.Second)
}

func TestTheCountersOfAPolicyGoOn(t *testing.T) {
	wrong := once("p", func(s *engine.Spec) { s.Classify = func(*engine.Input) engine.Verdict { panic("wrong") } })
	l := newLiving(t, wrong)
	l.fail(l.policy("p"), 2)
	l.reload(wrong)
	l.fail(l.policy("p"), 1)
	equal(t, "panics", l.policy("p").Stats().RulePanics, 3)
}

func TestReconfigureRefusesWhatANewOneWouldRefuse(t *testing.T) {
	b := breaker(t, engine.BreakerSpec{Name: "b", FailureThreshold: 7})
	for _, spec := range []engine.BreakerSpec{{Name: "c"}, {Name: "b", Window: -1}, {Name: "b", TripOn: []engine.Class{}}} {
		if _, err := b.Reconfigure(spec); err == nil {
			t.Errorf("%+v: no error", spec)
		}
	}
	equal(t, "threshold", b.Spec().FailureThreshold, 7)
	u := budget(t, engine.BudgetSpec{Name: "u", MaxRetries: 7})
	for _, spec := range []engine.BudgetSpec{{Name: "v"}, {Name: "u", Window: -1}, {Name: "u", MaxRetries: -1}} {
		if _, err := u.Reconfigure(spec); err == nil {
			t.Errorf("%+v: no error", spec)
		}
	}
	equal(t, "retries", u.Spec().MaxRetries, 7)
}

// TestReloadsUnderLoadDropNoCall reloads while goroutines call: every call has one
// revision, and the budget grants what it may and no more.
func TestReloadsUnderLoadDropNoCall(t *testing.T) {
	spec := func(i int) []engine.Spec {
		shared := breaker(t, engine.BreakerSpec{Name: "b", FailureThreshold: 1 << 20, Window: time.Duration(1+i%3) * time.Minute})
		pool := budget(t, engine.BudgetSpec{Name: "pool", MaxRetries: 100 + i%7, Window: time.Hour})
		rev := revision(fmt.Sprint(i))
		return []engine.Spec{once("p", rev, retrying, with(shared), spending(pool)), once("q", rev, retrying, with(shared), spending(pool))}
	}
	l := newLiving(t, spec(0)...)
	var attempts, retries atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	for i := range 4 {
		p := l.policy([]string{"p", "q"}[i%2])
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				o := engine.Execute(context.Background(), p, func(context.Context) (int, error) {
					return 0, failure(engine.ServerError)
				}, engine.WithTimeline(), engine.WithObserver(nil))
				attempts.Add(int64(o.Attempts))
				retries.Add(int64(o.Attempts - 1))
				if o.Attempts == 0 {
					t.Errorf("dropped: %v", o.Reason)
				}
				for _, e := range o.Timeline {
					if e.Revision != o.Revision {
						t.Errorf("%v of revision %s in a call of %s", e.Kind, e.Revision, o.Revision)
					}
				}
			}
		})
	}
	for i := range 100 {
		l.reload(spec(i)...)
	}
	for attempts.Load() < 1000 {
		l.reload(spec(6)...)
	}
	close(stop)
	group.Wait()
	if n := retries.Load(); n < 100 || n > 106 {
		t.Errorf("%d retries, want 100 to 106", n)
	}
}
