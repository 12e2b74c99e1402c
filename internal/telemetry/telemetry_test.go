package telemetry

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/virtual"
)

func TestMain(m *testing.M) { leak.Main(m) }

var update = flag.Bool("update", false, "write the tables of docs/telemetry.md anew")

const (
	page  = "../../docs/telemetry.md"
	begin = "<!-- tables, made by go test ./internal/telemetry -update -->\n"
	end   = "<!-- end of tables -->"
)

func TestThePageHoldsTheTable(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the tables", page)
	}
	want := before + begin + "\n" + Tables() + "\n" + end + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the table; -update writes it", page)
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestNamesAreUniqueAndEveryLabelIsListed(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range Instruments() {
		if seen[i.Name] || seen[i.PrometheusName()] {
			t.Errorf("%s is there twice", i.Name)
		}
		seen[i.Name], seen[i.PrometheusName()] = true, true
		for _, l := range i.Labels {
			if !slices.Contains(Labels(), l) {
				t.Errorf("%s has label %s, which is not listed", i.Name, l.Name)
			}
		}
	}
}

// lines notes measurements as text.
type lines struct{ list []string }

func (l *lines) record(i *Instrument, amount float64, values ...string) {
	if len(values) != len(i.Labels) {
		panic(fmt.Sprintf("%s has %d labels and was given %d values", i.Name, len(i.Labels), len(values)))
	}
	l.list = append(l.list, fmt.Sprintf("%s{%s} %v", i.Name, strings.Join(values, ","), amount))
}

func (l *lines) want(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(l.list, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestACallIsMeasuredByItsAttemptsAndItsEnd(t *testing.T) {
	clock := virtual.NewClock(virtual.Epoch)
	breaker := must(engine.NewBreaker(engine.BreakerSpec{Name: "db", FailureThreshold: 1}))
	p := must(engine.New(engine.Spec{Name: "p", MaxAttempts: 2, Strategy: engine.Constant{Wait: 2 * time.Second}, Breaker: breaker}))
	var meter Meter
	var got lines
	observer := engine.ObserverFunc(func(_ context.Context, e engine.Event) { meter.Measure(&e, got.record) })
	engine.Execute(context.Background(), p, func(ctx context.Context) (int, error) {
		clock.AdvanceTo(clock.Now().Add(time.Second))
		return 0, engine.MarkTransient(errors.New("down"))
	}, engine.WithClock(clock), engine.WithObserver(observer), engine.WithOperation("op"), engine.WithLabels(map[string]string{"user": "4711"}))
	got.want(t,
		"redress.attempts{p,op,retry,TRANSIENT} 1",
		"redress.attempt.duration{p,op,failed} 1",
		"redress.failures{p,TRANSIENT,marker} 1",
		"redress.retry.delay{p,constant} 2",
		"redress.attempts{p,op,stop,TRANSIENT} 1",
		"redress.attempt.duration{p,op,failed} 1",
		"redress.failures{p,TRANSIENT,marker} 1",
		"redress.calls{p,op,MAX_ATTEMPTS_GLOBAL} 1",
		"redress.call.duration{p,op,failed} 4",
		"redress.breaker.transitions{db,closed,open} 1",
	)
}

func TestEveryKindOfEventThatEndsACallCountsOnce(t *testing.T) {
	for _, kind := range engine.EventKinds() {
		var meter Meter
		calls := 0
		e := engine.Event{Kind: kind}
		if kind != engine.AttemptStart {
			e.Reason = engine.Aborted
		}
		meter.Measure(&e, func(i *Instrument, _ float64, _ ...string) {
			if i == Calls {
				calls++
			}
		})
		want := 1
		switch kind {
		case engine.AttemptStart, engine.AttemptEnd, engine.EventRuleError, engine.EventPolicyReloaded, engine.EventPolicyReloadFailed,
			engine.EventCircuitOpened, engine.EventCircuitHalfOpen, engine.EventCircuitClosed:
			want = 0
		}
		if calls != want {
			t.Errorf("%v: %d calls, want %d", kind, calls, want)
		}
	}
}

func TestALabelNeverHasMoreValuesThanItsLimit(t *testing.T) {
	var meter Meter
	var mu sync.Mutex
	seen := map[string]bool{}
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for n := range 500 {
				e := engine.Event{Kind: engine.EventSuccess, Reason: engine.Success, Policy: "p", Operation: fmt.Sprintf("/users/%d/%d", g, n)}
				meter.Measure(&e, func(i *Instrument, _ float64, values ...string) {
					mu.Lock()
					defer mu.Unlock()
					seen[values[1]] = true
				})
			}
		})
	}
	all.Wait()
	if len(seen) != Operation.Limit+1 || !seen[Other] {
		t.Errorf("%d values, want %d and %q", len(seen), Operation.Limit, Other)
	}
}

// policies is a set that can be changed.
type policies map[string]*engine.Policy

func (s policies) Names() []string {
	var names []string
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s policies) Policy(name string) (*engine.Policy, error) {
	if p := s[name]; p != nil {
		return p, nil
	}
	return nil, errors.New("there is none")
}

func read(w *Watch, now time.Time, only *Instrument) *lines {
	var got lines
	w.Read(now, func(i *Instrument, amount float64, values ...string) {
		if i == only {
			got.record(i, amount, values...)
		}
	})
	return &got
}

func TestABreakerThatWasNeverUsedHasBeenClosedSinceItIsWatched(t *testing.T) {
	start := virtual.Epoch
	set := policies{"p": must(engine.New(engine.Spec{Name: "p", Breaker: must(engine.NewBreaker(engine.BreakerSpec{Name: "db"}))}))}
	var w Watch
	w.Add(set, start)
	read(&w, start.Add(90*time.Second), BreakerDuration).want(t,
		"redress.breaker.state.duration{db,closed} 90",
		"redress.breaker.state.duration{db,open} 0",
		"redress.breaker.state.duration{db,half_open} 0",
	)
	read(&w, start.Add(90*time.Second), BreakerState).want(t,
		"redress.breaker.state{db,closed} 1",
		"redress.breaker.state{db,open} 0",
		"redress.breaker.state{db,half_open} 0",
	)
}

// open opens the breaker of a policy at the time of a clock.
func open(p *engine.Policy, clock *virtual.Clock) {
	engine.Execute(context.Background(), p, func(context.Context) (int, error) {
		return 0, engine.MarkTransient(errors.New("down"))
	}, engine.WithClock(clock))
}

func guarded(name, breaker string) *engine.Policy {
	b := must(engine.NewBreaker(engine.BreakerSpec{Name: breaker, FailureThreshold: 1}))
	return must(engine.New(engine.Spec{Name: name, MaxAttempts: 1, Breaker: b}))
}

func TestTimeInStatesNeverFallsWhenABreakerIsReplacedOrTheClockGoesBack(t *testing.T) {
	clock := virtual.NewClock(virtual.Epoch)
	start := clock.Now()
	set := policies{"p": guarded("p", "db")}
	var w Watch
	w.Add(set, start)
	clock.AdvanceTo(start.Add(10 * time.Second))
	open(set["p"], clock)
	want := func(at time.Duration, closed, open int) {
		t.Helper()
		read(&w, start.Add(at), BreakerDuration).want(t,
			fmt.Sprintf("redress.breaker.state.duration{db,closed} %d", closed),
			fmt.Sprintf("redress.breaker.state.duration{db,open} %d", open),
			"redress.breaker.state.duration{db,half_open} 0",
		)
	}
	want(15*time.Second, 10, 5)
	want(12*time.Second, 10, 5)
	set["p"] = guarded("p", "db")
	want(20*time.Second, 10, 5)
	want(30*time.Second, 20, 5)
}

func TestWhatHasTheSameNameAddsUp(t *testing.T) {
	budget := func(n int) *engine.Budget {
		return must(engine.NewBudget(engine.BudgetSpec{Name: "shared", MaxRetries: n}))
	}
	one := budget(10)
	set := policies{
		"p": must(engine.New(engine.Spec{Name: "p", Budget: one})),
		"q": must(engine.New(engine.Spec{Name: "q", Budget: one})),
		"r": must(engine.New(engine.Spec{Name: "r", Budget: budget(5)})),
	}
	var w Watch
	w.Add(set, virtual.Epoch)
	read(&w, virtual.Epoch, BudgetLimit).want(t, "redress.budget.limit{shared} 15")
	read(&w, virtual.Epoch, BudgetRemaining).want(t, "redress.budget.remaining{shared} 15")
}

func TestRevisionsAndFaultsAreRead(t *testing.T) {
	p := must(engine.New(engine.Spec{Name: "p", Revision: "r1", Classify: func(*engine.Input) engine.Verdict { panic("rule") }, MaxAttempts: 1}))
	open(p, virtual.NewClock(virtual.Epoch))
	var w Watch
	w.Add(policies{"p": p}, virtual.Epoch)
	read(&w, virtual.Epoch, PolicyInfo).want(t, "redress.policy.info{p,r1} 1")
	read(&w, virtual.Epoch, Faults).want(t,
		"redress.faults{p,rule_panic} 1", "redress.faults{p,strategy_fault} 0", "redress.faults{p,hook_panic} 0",
		"redress.faults{p,observer_panic} 0", "redress.faults{p,lost_operation} 0",
	)
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}
