package telemetry

import (
	"strings"
	"sync"
	"time"

	"github.com/redress-policy/redress/engine"
)

// Policies is a set of policies: a *redress.Set, or whatever else finds policies by name.
type Policies interface {
	Names() []string
	Policy(name string) (*engine.Policy, error)
}

// A Watch reads sets of policies. The zero Watch is ready; it is safe for use by many
// goroutines.
type Watch struct {
	mu       sync.Mutex
	sets     []Policies                   // guarded by mu
	breakers map[*engine.Breaker]*watched // guarded by mu
	// gone is what breakers that no policy has any more leave to those of their name.
	gone map[string]times // guarded by mu
}

// watched is since when a breaker is known, and what it had been through then.
type watched struct {
	since  time.Time
	before times
	last   times
}

// times is how long a breaker has been in each state, by engine.State.
type times [3]time.Duration

// Add has the policies of set read from now on.
func (w *Watch) Add(set Policies, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sets = append(w.sets, set)
	for _, p := range w.policies() {
		w.know(p.Breaker(), now)
	}
}

// policies requires that mu is held. A set may change between its two answers.
func (w *Watch) policies() []*engine.Policy {
	var all []*engine.Policy
	for _, set := range w.sets {
		for _, name := range set.Names() {
			if p, err := set.Policy(name); err == nil {
				all = append(all, p)
			}
		}
	}
	return all
}

// know requires that mu is held.
func (w *Watch) know(b *engine.Breaker, now time.Time) {
	if b == nil || w.breakers[b] != nil {
		return
	}
	if w.breakers == nil {
		w.breakers, w.gone = map[*engine.Breaker]*watched{}, map[string]times{}
	}
	known := &watched{since: now}
	known.before[engine.Open], known.before[engine.HalfOpen] = b.Times(now)
	w.breakers[b] = known
}

// Read tells record what there is to read at now, each combination of labels once:
// where several have the same name, their values are added up.
func (w *Watch) Read(now time.Time, record Recorder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s sums
	breakers, budgets := map[*engine.Breaker]bool{}, map[*engine.Budget]bool{}
	for _, p := range w.policies() {
		readPolicy(&s, p)
		if b := p.Breaker(); b != nil && !breakers[b] {
			breakers[b] = true
			w.readBreaker(&s, b, now)
		}
		if b := p.Budget(); b != nil && !budgets[b] {
			budgets[b] = true
			s.add(BudgetLimit, float64(b.Spec().MaxRetries), b.Name())
			s.add(BudgetRemaining, float64(b.Remaining(now)), b.Name())
		}
	}
	w.forget(breakers)
	for name, spent := range w.gone {
		addTimes(&s, name, spent)
	}
	for _, one := range s.list {
		record(one.instrument, one.amount, one.values...)
	}
}

func readPolicy(s *sums, p *engine.Policy) {
	s.add(PolicyInfo, 1, p.Name(), p.Revision())
	stats := p.Stats()
	for _, fault := range []struct {
		name  string
		count uint64
	}{
		{"rule_panic", stats.RulePanics},
		{"strategy_fault", stats.StrategyFaults},
		{"hook_panic", stats.HookPanics},
		{"observer_panic", stats.ObserverPanics},
		{"lost_operation", stats.LostOperations},
	} {
		s.add(Faults, float64(fault.count), p.Name(), fault.name)
	}
}

// readBreaker requires that mu is held. What a breaker was not open or half-open, it was
// closed.
func (w *Watch) readBreaker(s *sums, b *engine.Breaker, now time.Time) {
	w.know(b, now)
	known, state := w.breakers[b], b.State()
	var spent times
	spent[engine.Open], spent[engine.HalfOpen] = b.Times(now)
	spent[engine.Open] -= known.before[engine.Open]
	spent[engine.HalfOpen] -= known.before[engine.HalfOpen]
	spent[engine.Closed] = now.Sub(known.since) - spent[engine.Open] - spent[engine.HalfOpen]
	for i := range spent { // a counter never falls, whatever the clock does
		spent[i] = max(spent[i], known.last[i])
	}
	known.last = spent
	addTimes(s, b.Name(), spent)
	for _, possible := range states {
		is := 0.0
		if possible == state {
			is = 1
		}
		s.add(BreakerState, is, b.Name(), possible.String())
	}
}

var states = []engine.State{engine.Closed, engine.Open, engine.HalfOpen}

func addTimes(s *sums, name string, spent times) {
	for _, state := range states {
		s.add(BreakerDuration, spent[state].Seconds(), name, state.String())
	}
}

// forget lets go of the breakers that no policy has. It requires that mu is held.
func (w *Watch) forget(present map[*engine.Breaker]bool) {
	for b, known := range w.breakers {
		if present[b] {
			continue
		}
		total := w.gone[b.Name()]
		for i, spent := range known.last {
			total[i] += spent
		}
		w.gone[b.Name()] = total
		delete(w.breakers, b)
	}
}

// sums adds up values of the same instrument and labels, and keeps their order.
type sums struct {
	list []sum
	at   map[string]int
}

type sum struct {
	instrument *Instrument
	amount     float64
	values     []string
}

func (s *sums) add(i *Instrument, amount float64, values ...string) {
	if s.at == nil {
		s.at = map[string]int{}
	}
	key := i.Name + "\x00" + strings.Join(values, "\x00")
	if at, ok := s.at[key]; ok {
		s.list[at].amount += amount
		return
	}
	s.at[key] = len(s.list)
	s.list = append(s.list, sum{i, amount, values})
}
