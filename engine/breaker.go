package engine

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A State is that of a circuit breaker.
type State uint8

// The states of a circuit breaker.
const (
	Closed   State = iota // calls pass
	Open                  // calls are refused
	HalfOpen              // one call at a time is let through as a probe
)

var stateNames = [...]string{"closed", "open", "half_open"}

// String returns the state's name in policies, labels and logs.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A BreakerSpec is what a circuit breaker is made of. Zero fields have the
// documented default; values that make no sense are refused by [NewBreaker].
type BreakerSpec struct {
	Name             string        // a label of circuit events; may be empty
	FailureThreshold int           // calls that fail within Window before it opens; 0 means 5
	Window           time.Duration // 0 means 60s; a failure exactly this old no longer counts
	RecoveryTimeout  time.Duration // how long it refuses before a probe; 0 means 30s
	ProbeTimeout     time.Duration // how long a probe keeps its place; 0 means RecoveryTimeout
	// TripOn names the classes that count as failures; nil means TRANSIENT and
	// SERVER_ERROR. The classes of ClassThresholds count too.
	TripOn []Class
	// ClassThresholds opens the circuit earlier for some classes.
	ClassThresholds map[Class]int
	// Quorum makes the breaker a fleet's; nil means that it decides by itself.
	Quorum Quorum
}

// A Breaker refuses calls to a dependency that keeps failing. It counts calls, not
// attempts. Policies that are given the same Breaker share it. It is safe for use by
// many goroutines and starts none. While it is open it has a timer, which holds it in
// memory until it fires; a breaker that opens in a bubble of testing/synctest stays there.
type Breaker struct {
	name string
	// word mirrors generation and state of circuit, so that the calls of a closed
	// circuit need no lock. Written under mu.
	word atomic.Uint64
	// until mirrors when an open circuit is due for a probe, as time since the process
	// started, so that it refuses calls without a lock; never if it is not open.
	until atomic.Int64
	// shut is until, from when an open circuit is due for a probe later on until a timer
	// says that it soon will be: so long it refuses calls without a look at the clock.
	// Else it is never.
	shut atomic.Int64

	mu      sync.Mutex
	circuit circuit       // guarded by mu, like all below
	waking  time.Duration // when what the next timer waits for is due; never if there is none
}

// NewBreaker makes a closed breaker; its error names every field that is wrong.
func NewBreaker(spec BreakerSpec) (*Breaker, error) {
	if err := spec.check(); err != nil {
		return nil, fmt.Errorf("engine: circuit breaker %q: %w", spec.Name, err)
	}
	spec = spec.complete()
	b := &Breaker{name: spec.Name, circuit: newCircuit(spec), waking: never}
	b.until.Store(int64(never))
	b.shut.Store(int64(never))
	b.govern(spec)
	return b, nil
}

func (s BreakerSpec) check() error {
	wrong := []error{notNegative(field{"Window", s.Window}, field{"RecoveryTimeout", s.RecoveryTimeout}, field{"ProbeTimeout", s.ProbeTimeout})}
	if s.FailureThreshold < 0 {
		wrong = append(wrong, fmt.Errorf("FailureThreshold is %d, must be at least 1", s.FailureThreshold))
	}
	if s.TripOn != nil && len(s.TripOn)+len(s.ClassThresholds) == 0 {
		wrong = append(wrong, errors.New("TripOn is empty and there are no ClassThresholds: it would never open"))
	}
	for _, class := range s.TripOn {
		if !class.valid() {
			wrong = append(wrong, fmt.Errorf("TripOn holds %v, which is not a class", class))
		}
	}
	for _, class := range slices.Sorted(maps.Keys(s.ClassThresholds)) {
		if !class.valid() {
			wrong = append(wrong, fmt.Errorf("ClassThresholds holds %v, which is not a class", class))
		}
		if n := s.ClassThresholds[class]; n < 1 {
			wrong = append(wrong, fmt.Errorf("ClassThresholds[%v] is %d, must be at least 1", class, n))
		}
	}
	return errors.Join(wrong...)
}

func (s BreakerSpec) complete() BreakerSpec {
	if s.FailureThreshold == 0 {
		s.FailureThreshold = 5
	}
	s.Window = or(s.Window, 60*time.Second)
	s.RecoveryTimeout = or(s.RecoveryTimeout, 30*time.Second)
	s.ProbeTimeout = or(s.ProbeTimeout, s.RecoveryTimeout)
	if s.TripOn == nil {
		s.TripOn = []Class{ServerError, Transient}
	}
	s.TripOn = slices.Clone(s.TripOn)
	s.ClassThresholds = maps.Clone(s.ClassThresholds)
	return s
}

// Name returns the breaker's name.
func (b *Breaker) Name() string { return b.name }

// Spec returns what the breaker is made of, defaults filled in.
func (b *Breaker) Spec() BreakerSpec {
	b.mu.Lock()
	defer b.mu.Unlock()
	spec := b.circuit.spec
	spec.TripOn, spec.ClassThresholds = slices.Clone(spec.TripOn), maps.Clone(spec.ClassThresholds)
	return spec
}

// Reconfigure gives the breaker other settings while calls run. It is no transition:
// an open circuit stays open, for what remains of the old recovery time or of the new
// one, whichever is less; a probe keeps its place, by the same rule. Failures that were
// counted stay counted, and the next one is held against the new thresholds with them.
// A class that gets a threshold of its own is counted from now on. The name must be the
// same.
func (b *Breaker) Reconfigure(spec BreakerSpec) (Carried, error) {
	if err := spec.check(); err != nil {
		return Carried{}, fmt.Errorf("engine: circuit breaker %q: %w", spec.Name, err)
	}
	if spec.Name != b.name {
		return Carried{}, fmt.Errorf("engine: circuit breaker %q cannot become %q", b.name, spec.Name)
	}
	b.mu.Lock()
	carried := b.circuit.reconfigure(spec.complete())
	b.mirror()
	b.mu.Unlock()
	b.govern(spec)
	return carried, nil
}

// inherit takes over what other breakers know into this one, which must be new: all
// their failures, and that it is open if one of them is. Probes on their way stay with
// the breaker that let them through.
func (b *Breaker) inherit(from []*Breaker) {
	for _, other := range from {
		was := other.history()
		b.mu.Lock()
		b.circuit.inherit(&was)
		b.mirror()
		b.mu.Unlock()
	}
}

// history returns a copy of what is known.
func (b *Breaker) history() circuit {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.circuit
	was.all = was.all.clone()
	for class, r := range was.byClass {
		if r != nil {
			own := r.clone()
			was.byClass[class] = &own
		}
	}
	return was
}

// State returns the state. An open circuit stays open until a call comes, however
// long ago its recovery time has passed: that call makes it half-open.
func (b *Breaker) State() State { return State(b.word.Load() & 3) }

// Times returns how long the circuit has been open, and how long half-open, from when the
// breaker was made to now. The rest of the time it was closed. An open circuit whose
// recovery time has passed counts as open until a call comes.
func (b *Breaker) Times(now time.Time) (open, halfOpen time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &b.circuit
	spent := c.spent
	if c.state != Closed {
		spent[c.state] += max(0, now.Sub(c.epoch.zero)-c.since)
	}
	return spent[Open], spent[HalfOpen]
}

// RetryIn returns for how long the breaker will go on refusing calls, as seen at now: of
// an open one what is left of its recovery time; 0 if it is closed, if the next call
// would be the probe, or if a probe is on its way, of which nobody knows how it ends.
func (b *Breaker) RetryIn(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.circuit.state != Open {
		return 0
	}
	return max(b.circuit.recovery-(b.circuit.epoch.at(now)-b.circuit.opened), 0)
}

// admit asks for a place. The ticket of an admitted call must be given to settle,
// once; the change is to be reported by the caller.
func (b *Breaker) admit(now time.Time) (t ticket, c change, ok bool) {
	if b.closed(&t) {
		return t, change{}, true
	}
	b.mu.Lock()
	t, c, ok = b.circuit.admit(now)
	b.mirror()
	quorum := b.circuit.spec.Quorum
	b.mu.Unlock()
	c.tell(quorum, now)
	return t, c, ok
}

// closed reports whether the circuit is closed, and then sets the ticket of the call that
// it admits. It takes no lock.
func (b *Breaker) closed(t *ticket) bool {
	word := b.word.Load()
	t.generation = word >> 2
	return State(word&3) == Closed
}

// holds reports whether a call with this ticket may make another attempt.
func (b *Breaker) holds(t ticket) bool {
	word := b.word.Load()
	return word>>2 == t.generation || State(word&3) == Closed
}

// settle gives the ticket back with what became of the call.
func (b *Breaker) settle(t ticket, v verdict, class Class, now time.Time) change {
	if v != failed && v != ended && t.probe == 0 {
		return change{} // nothing changes unless a probe succeeds, or something fails
	}
	b.mu.Lock()
	c := b.circuit.settle(t, v, class, now)
	b.mirror()
	quorum := b.circuit.spec.Quorum
	b.mu.Unlock()
	c.tell(quorum, now)
	return c
}

// mirror writes what has changed; processors share it. It requires that mu is held.
func (b *Breaker) mirror() {
	until := never
	if c := &b.circuit; c.state == Open {
		until = c.epoch.zero.Add(c.opened + c.recovery).Sub(started)
	}
	if until != time.Duration(b.until.Load()) {
		b.until.Store(int64(until))
		b.shutUntil(until)
	}
	if word := b.circuit.generation<<2 | uint64(b.circuit.state); word != b.word.Load() {
		b.word.Store(word)
	}
}

// shutUntil has calls refused without a look at the clock until shortly before the time
// given. On wasm it does not: there no timer fires while a goroutine runs. It requires that
// mu is held.
func (b *Breaker) shutUntil(until time.Duration) {
	now := time.Since(started)
	if until == never || until-now <= 2*lead || runtime.GOARCH == "wasm" {
		b.shut.Store(int64(never))
		return
	}
	b.shut.Store(int64(until))
	if now < b.waking && b.waking <= until {
		return // the timer that waits for that will see to the rest
	}
	b.waking = until
	time.AfterFunc(until-now-lead, b.wake)
}

// wake is what the timer does.
func (b *Breaker) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waking = never
	b.shutUntil(time.Duration(b.until.Load()))
}

// lead is how long before a probe is due calls begin to look at the clock again: a timer
// that is late by less makes no probe late.
const lead = 100 * time.Millisecond

// never is before all times.
const never = time.Duration(math.MinInt64)

// refuses reports whether the circuit is open and certain to refuse a call that comes
// when at has passed since the process started. It takes no lock.
func (b *Breaker) refuses(at time.Duration) bool { return at < time.Duration(b.until.Load()) }

// refusesAnyway reports whether the circuit is open and certain to refuse a call whatever
// the time is. It takes no lock.
func (b *Breaker) refusesAnyway() bool { return time.Duration(b.shut.Load()) != never }

// A ticket is the place of one admitted call.
type ticket struct {
	generation uint64 // of the circuit when it was admitted
	probe      uint64 // number of the probe; 0 for other calls
}

// A verdict is what became of an admitted call.
type verdict uint8

const (
	neutral   verdict = iota // cancelled, aborted, scheduled: says nothing of the dependency
	succeeded                // ended without failure
	failed                   // with a class
	ended                    // the operation did not return: counts whatever its class
)

// A change is a transition that the caller reports; the zero change is none.
type change struct {
	from, to State
	sequence uint64 // from 1
}

// A circuit is the breaker without its lock. It decides by the times it is given.
type circuit struct {
	spec       BreakerSpec
	trips      [classCount]bool
	state      State
	generation uint64 // transitions so far: results of an older generation are void
	epoch      epoch
	opened     time.Duration
	recovery   time.Duration    // how long it refuses since then
	since      time.Duration    // when it came into its state
	spent      [3]time.Duration // in each state, up to then
	all        ring
	byClass    [classCount]*ring // nil if it never had a threshold of its own

	probes     uint64 // numbers them
	probing    bool   // the place is taken
	probeSince time.Duration
	probeFor   time.Duration // how long it keeps its place
}

func newCircuit(spec BreakerSpec) circuit {
	var c circuit
	c.configure(spec)
	return c
}

// configure sets what follows from the spec alone. Rings never shrink: what a lower
// threshold has no use for may be asked for again.
func (c *circuit) configure(spec BreakerSpec) {
	c.spec, c.trips = spec, [classCount]bool{}
	c.all.grow(spec.FailureThreshold)
	for _, class := range spec.TripOn {
		c.trips[class] = true
	}
	for class, n := range spec.ClassThresholds {
		c.trips[class] = true
		if c.byClass[class] == nil {
			c.byClass[class] = &ring{}
		}
		c.byClass[class].grow(n)
	}
}

func (c *circuit) reconfigure(spec BreakerSpec) Carried {
	var changes changes
	changes.add("failure_threshold", c.spec.FailureThreshold, spec.FailureThreshold)
	changes.add("window", c.spec.Window, spec.Window)
	changes.add("recovery_timeout", c.spec.RecoveryTimeout, spec.RecoveryTimeout)
	changes.add("probe_timeout", c.spec.ProbeTimeout, spec.ProbeTimeout)
	changes.add("trip_on", c.spec.TripOn, spec.TripOn)
	changes.add("class_thresholds", c.spec.ClassThresholds, spec.ClassThresholds)
	changes.add("scope", scope(c.spec.Quorum != nil), scope(spec.Quorum != nil))
	c.recovery = min(c.recovery, spec.RecoveryTimeout)
	c.probeFor = min(c.probeFor, spec.ProbeTimeout)
	c.configure(spec)
	return changes.carried("circuit_breaker", spec.Name)
}

// inherit takes over what another circuit knows.
func (c *circuit) inherit(was *circuit) {
	if !was.epoch.began {
		return
	}
	shift := c.epoch.adopt(&was.epoch)
	c.all.merge(&was.all, shift)
	for class, r := range was.byClass {
		if r != nil && c.byClass[class] != nil {
			c.byClass[class].merge(r, shift)
		}
	}
	if was.state == Closed {
		return
	}
	opened, recovery := was.opened+shift, min(was.recovery, c.spec.RecoveryTimeout)
	if c.state == Closed {
		c.move(Open, c.epoch.latest)
	} else if recovery-(c.epoch.latest-opened) <= c.recovery-(c.epoch.latest-c.opened) {
		return
	}
	c.opened, c.recovery = opened, recovery
}

func (c *circuit) admit(now time.Time) (ticket, change, bool) {
	at := c.epoch.at(now)
	var moved change
	switch c.state {
	case Closed:
		return ticket{generation: c.generation}, change{}, true
	case Open:
		if at-c.opened < c.recovery || !c.mayProbe(now) {
			return ticket{}, change{}, false
		}
		moved = c.move(HalfOpen, at)
	case HalfOpen:
		if c.probing && !c.expired(at) || !c.mayProbe(now) {
			return ticket{}, change{}, false
		}
	}
	c.probes++
	c.probing, c.probeSince, c.probeFor = true, at, c.spec.ProbeTimeout
	return ticket{generation: c.generation, probe: c.probes}, moved, true
}

func (c *circuit) settle(t ticket, v verdict, class Class, now time.Time) change {
	if t.generation != c.generation {
		return change{}
	}
	at := c.epoch.at(now)
	counts := v == failed && c.trips[class]
	if v == ended {
		class, counts = NoClass, true
	}
	switch c.state {
	case Closed:
		if counts && c.count(at, class) && c.mayOpen(now) {
			return c.open(at)
		}
	case HalfOpen:
		return c.settleProbe(t, v, counts, at)
	}
	return change{}
}

// settleProbe gives the place of a probe back. A probe that has lost its place, or
// kept it too long, decides nothing.
func (c *circuit) settleProbe(t ticket, v verdict, counts bool, at time.Duration) change {
	if !c.probing || t.probe != c.probes {
		return change{}
	}
	late := c.expired(at)
	c.probing = false
	switch {
	case late || v == neutral:
		return change{}
	case counts:
		return c.open(at)
	}
	return c.close(at)
}

// count adds a failure and reports whether a threshold is reached.
func (c *circuit) count(at time.Duration, class Class) bool {
	c.all.add(at)
	reached := c.all.full(c.spec.FailureThreshold, at, c.spec.Window)
	if n := c.spec.ClassThresholds[class]; n > 0 {
		c.byClass[class].add(at)
		reached = reached || c.byClass[class].full(n, at, c.spec.Window)
	}
	return reached
}

func (c *circuit) expired(at time.Duration) bool { return at-c.probeSince >= c.probeFor }

func (c *circuit) open(at time.Duration) change {
	c.opened, c.recovery = at, c.spec.RecoveryTimeout
	return c.move(Open, at)
}

func (c *circuit) close(at time.Duration) change {
	c.all.clear()
	for _, r := range c.byClass {
		if r != nil {
			r.clear()
		}
	}
	return c.move(Closed, at)
}

func (c *circuit) move(to State, at time.Duration) change {
	moved := change{from: c.state, to: to}
	c.spent[c.state] += at - c.since
	c.since = at
	c.state = to
	c.generation++
	moved.sequence = c.generation
	return moved
}
