package redressfleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/redress-policy/redress/engine"
)

// In times between exchanges: how long a lease lasts, how long the last answer of the
// store counts, and for how long a store that remembers nothing only listens.
const (
	leaseBeats = 5
	staleBeats = 3
	quietBeats = 3
)

// Options are what an instance can be told. The zero Options are the defaults.
type Options struct {
	Instance string        // name of this process in the fleet, unique; random if empty
	Interval time.Duration // between exchanges with the store; 0 means 1s
	Timeout  time.Duration // of one exchange, at most Interval; 0 means a quarter of Interval
	// Observer is told when the fleet opens or closes a circuit (circuit_opened and
	// circuit_closed without a policy). It may be nil.
	Observer engine.Observer
}

// A Fleet is this process's part in a fleet. It implements engine.Fleet; give it to a set
// with redress.WithFleet. One goroutine talks to the store, until Close; calls never do.
// It is safe for use by many goroutines.
type Fleet struct {
	store Store
	opts  Options
	now   func() time.Time

	woken chan struct{}
	stop  context.CancelFunc
	ended chan struct{}

	mu      sync.Mutex
	budgets map[string]*allowance // guarded by mu
	quorums map[string]*quorum    // guarded by mu
	heard   time.Time             // guarded by mu: when the store last answered
	failure error                 // guarded by mu: of the last exchange
}

// Join makes this process an instance of the fleet that meets in store. It does not wait
// for the store, nor fail if there is none: until it answers, calls go by the local
// behaviour. The error says which option makes no sense.
func Join(store Store, opts Options) (*Fleet, error) {
	f, err := join(store, opts, time.Now)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	f.stop, f.ended = stop, make(chan struct{})
	go f.run(ctx)
	return f, nil
}

// join is Join without the goroutine.
func join(store Store, opts Options, now func() time.Time) (*Fleet, error) {
	var wrong []error
	if store == nil {
		wrong = append(wrong, errors.New("the store is nil"))
	}
	if opts.Interval < 0 || opts.Interval > 0 && opts.Interval < time.Millisecond {
		wrong = append(wrong, fmt.Errorf("the Interval is %v, must be at least 1ms", opts.Interval))
	}
	if opts.Timeout < 0 {
		wrong = append(wrong, fmt.Errorf("the Timeout is %v, must not be negative", opts.Timeout))
	}
	if opts.Interval == 0 {
		opts.Interval = time.Second
	}
	// An answer that takes longer would look like a store whose clock has stepped.
	if opts.Timeout > opts.Interval {
		wrong = append(wrong, fmt.Errorf("the Timeout is %v, must not be longer than the Interval of %v", opts.Timeout, opts.Interval))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("redressfleet: %w", err)
	}
	if opts.Timeout == 0 {
		opts.Timeout = opts.Interval / 4
	}
	if opts.Instance == "" {
		opts.Instance = rand.Text()
	}
	return &Fleet{
		store: store, opts: opts, now: now, woken: make(chan struct{}, 1),
		budgets: map[string]*allowance{}, quorums: map[string]*quorum{},
	}, nil
}

// Close ends the talk with the store and waits for that. Budgets and breakers go on by the
// local behaviour. What is leased is not given back; its time ends by itself.
func (f *Fleet) Close() error {
	f.stop()
	<-f.ended
	return nil
}

// CheckBudget refuses windows that are over before a lease is.
func (f *Fleet) CheckBudget(spec engine.BudgetSpec) error {
	if lease := leaseBeats * f.opts.Interval; spec.Window != 0 && spec.Window < lease {
		return fmt.Errorf("the window is %v, and retries are leased for %v", spec.Window, lease)
	}
	return f.checkName(spec.Name)
}

// CheckBreaker refuses what has no name.
func (f *Fleet) CheckBreaker(spec engine.BreakerSpec) error { return f.checkName(spec.Name) }

func (f *Fleet) checkName(name string) error {
	if name == "" {
		return errors.New("it has no name that other instances could know it by")
	}
	return nil
}

// Allowance returns this instance's part in the budget of that name.
func (f *Fleet) Allowance(spec engine.BudgetSpec) engine.Allowance {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.budgets[spec.Name]
	if a == nil {
		a = &allowance{name: spec.Name, wake: f.wake, beat: f.opts.Interval}
		f.budgets[spec.Name] = a
	}
	return a
}

// Quorum returns this instance's part in the breaker of that name.
func (f *Fleet) Quorum(spec engine.BreakerSpec) engine.Quorum {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.quorums[spec.Name]
	if q == nil {
		q = &quorum{name: spec.Name, wake: f.wake, beat: f.opts.Interval}
		f.quorums[spec.Name] = q
	}
	return q
}

// Store returns when the store last answered, zero if it never did, and the error of the
// last exchange, nil if it was answered.
func (f *Fleet) Store() (heard time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard, f.failure
}

// wake has the next exchange begin soon. It never blocks.
func (f *Fleet) wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// run talks to the store until ctx ends.
func (f *Fleet) run(ctx context.Context) {
	defer close(f.ended)
	for {
		if ctx.Err() != nil {
			return
		}
		_, failed := f.exchange(ctx)
		// Instances that began together drift apart; a store that is in trouble is not
		// asked more often because calls would like it.
		pause := f.opts.Interval - time.Duration(mathrand.Float64()*float64(f.opts.Interval)/8)
		least := f.opts.Interval / 50
		if failed {
			least = pause
		}
		if !f.pause(ctx, least, nil) || !f.pause(ctx, pause-least, f.woken) {
			return
		}
	}
}

// pause waits for d, or until woken, and reports whether to go on.
func (f *Fleet) pause(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-woken:
	}
	return true
}

// exchange tells the store what happened and takes what it answers. It reports whether
// the store has more to hear at once.
func (f *Fleet) exchange(ctx context.Context) (again, failed bool) {
	round := f.begin(f.now())
	if round == nil {
		return false, false
	}
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	answer, err := f.store.Exchange(ctx, round.ask)
	if err == nil && (len(answer.Budgets) != len(round.budgets) || len(answer.Breakers) != len(round.quorums)) {
		err = errors.New("redressfleet: the store did not answer everything")
	}
	now := f.now()
	f.mu.Lock()
	if f.failure = err; err == nil {
		f.heard = now
	}
	f.mu.Unlock()
	if err != nil {
		return false, true
	}
	return f.end(ctx, round, answer, now), false
}

// A round is one exchange: what is asked and by whom.
type round struct {
	ask     Ask
	sent    time.Time
	budgets []*allowance
	quorums []*quorum
}

// begin collects what is to be said; nil if that is nothing.
func (f *Fleet) begin(now time.Time) *round {
	f.mu.Lock()
	budgets, quorums := sorted(f.budgets), sorted(f.quorums)
	f.mu.Unlock()
	beat := f.opts.Interval
	r := &round{sent: now, ask: Ask{Instance: f.opts.Instance, Fresh: rand.Text(), Alive: staleBeats * beat, Quiet: quietBeats * beat}}
	for _, a := range budgets {
		if ask, ok := a.ask(now); ok {
			r.ask.Budgets, r.budgets = append(r.ask.Budgets, ask), append(r.budgets, a)
		}
	}
	for _, q := range quorums {
		if ask, ok := q.ask(now); ok {
			r.ask.Breakers, r.quorums = append(r.ask.Breakers, ask), append(r.quorums, q)
		}
	}
	if len(r.budgets)+len(r.quorums) == 0 {
		return nil
	}
	return r
}

// Those who are governed are remembered as long as somebody else does, the first first.
type governed[T any] []weak.Pointer[T]

func (g *governed[T]) add(one *T) {
	if w := weak.Make(one); !slices.Contains(*g, w) {
		*g = append(*g, w)
	}
}

// living returns those that are still there, and forgets the others.
func (g *governed[T]) living() (all []*T) {
	*g = slices.DeleteFunc(*g, func(w weak.Pointer[T]) bool {
		one := w.Value()
		if one != nil {
			all = append(all, one)
		}
		return one == nil
	})
	return all
}

func sorted[T any](m map[string]T) []T {
	all := make([]T, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[name])
	}
	return all
}

// end hands out what the store answered, and tells of circuits that moved.
func (f *Fleet) end(ctx context.Context, r *round, answer Answer, now time.Time) (again bool) {
	for i, a := range r.budgets {
		if a.answer(r.ask.Budgets[i], answer.Budgets[i], r.sent, now) {
			again = true
		}
	}
	for i, q := range r.quorums {
		if moved := q.answer(r.ask.Breakers[i], answer.Breakers[i], r.sent, now); moved != nil {
			f.tell(ctx, moved.event(now))
		}
	}
	if again {
		f.wake()
	}
	return again
}

// tell tells the observer, whose panic changes nothing.
func (f *Fleet) tell(ctx context.Context, e engine.Event) {
	if f.opts.Observer != nil {
		defer func() { _ = recover() }()
		engine.Observers(f.opts.Observer).Observe(ctx, e) // if it wants it
	}
}

func (m *move) event(now time.Time) engine.Event {
	e := engine.Event{Kind: engine.EventCircuitOpened, Time: now, Breaker: m.breaker, To: m.to, Note: m.note}
	if m.to == engine.Closed {
		e.Kind, e.From = engine.EventCircuitClosed, engine.Open
	}
	return e
}
