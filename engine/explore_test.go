package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// This file looks at every state that a circuit can come into, in a world small enough:
// few settings, few calls at a time, time in ticks. From each state it does everything
// that can be done (a call comes, a call ends in every way, it is cancelled, time
// passes, the policy is reloaded) and holds what follows against the promises. States
// that differ only in what can no longer matter count as one, so that the search ends.
//
// A breaker may be a fleet's. Its quorum then answers yes and no, and opens and closes the
// circuit at any time: the promises hold whatever a quorum decides. What the quorums of a
// real fleet decide is explored where they are, in contrib/redressfleet.

const tick = time.Second

// exploredSpecs are what a reload may change to: a breaker of this process, or of a fleet.
var exploredSpecs = func() []BreakerSpec {
	specs := []BreakerSpec{
		{FailureThreshold: 2, Window: 2 * tick, RecoveryTimeout: 2 * tick, ProbeTimeout: tick},
		{FailureThreshold: 1, Window: tick, RecoveryTimeout: tick, ProbeTimeout: 2 * tick},
		{FailureThreshold: 2, Window: 2 * tick, RecoveryTimeout: tick, ProbeTimeout: tick, ClassThresholds: map[Class]int{RateLimit: 1}},
	}
	for _, spec := range specs[:2] {
		spec.Quorum = exploredQuorum
		specs = append(specs, spec)
	}
	return specs
}()

// exploredQuorum says what the present deed has it say.
var exploredQuorum = &council{}

// An explored is a circuit, the calls on their way, and what must be true of them, kept
// by other means than the circuit's own.
type explored struct {
	circuit circuit
	spec    int // of exploredSpecs
	now     time.Duration
	calls   []ticket
	opensAt time.Duration // while open: before then no call may pass
	places  []exploredPlace
	trail   *exploredStep
}

// An exploredPlace is that of a probe which has not given it back.
type exploredPlace struct {
	probe uint64
	until time.Duration
}

type exploredStep struct {
	deed string
	last *exploredStep
}

func (s *exploredStep) String() string {
	var deeds []string
	for ; s != nil; s = s.last {
		deeds = append(deeds, s.deed)
	}
	slices.Reverse(deeds)
	return strings.Join(deeds, ", ")
}

const maxExploredCalls = 2

func (e *explored) clone() *explored {
	next := *e
	next.circuit = (&Breaker{circuit: e.circuit}).history()
	next.calls, next.places = slices.Clone(e.calls), slices.Clone(e.places)
	return &next
}

// age is how long ago something was; what is older than every setting is equally old.
func (e *explored) age(at time.Duration) int { return int(min((e.now-at)/tick, 2)) }

// key is the same for states that cannot be told apart by what happens from now on. What
// must be true is part of it: a circuit that is wrong about it is another state.
func (e *explored) key() string {
	c := &e.circuit
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d ", e.spec, c.state)
	ages := func(r *ring) {
		if r == nil {
			b.WriteString("- ")
			return
		}
		for _, m := range r.sorted() {
			fmt.Fprintf(&b, "%d,", e.age(m))
		}
		fmt.Fprintf(&b, "/%d ", r.capacity)
	}
	ages(&c.all)
	ages(c.byClass[RateLimit])
	switch c.state {
	case Open:
		fmt.Fprintf(&b, "o%d,%d,%d ", e.age(c.opened), c.recovery, max(e.opensAt-e.now, 0))
	case HalfOpen:
		fmt.Fprintf(&b, "p%v,%d,%d ", c.probing, e.age(c.probeSince), c.probeFor)
		for _, p := range e.places {
			fmt.Fprintf(&b, "%v,%d ", p.probe == c.probes, max(p.until-e.now, 0))
		}
	}
	var calls []string
	for _, t := range e.calls {
		calls = append(calls, fmt.Sprint(t.generation == c.generation, t.probe != 0, t.probe == c.probes))
	}
	slices.Sort(calls)
	b.WriteString(strings.Join(calls, ";"))
	return b.String()
}

// deeds returns every state that can follow.
func (e *explored) deeds(t *testing.T) []*explored {
	var all []*explored
	do := func(deed string, f func(n *explored)) {
		n := e.clone()
		n.trail = &exploredStep{deed, e.trail}
		f(n)
		all = append(all, n)
		if t.Failed() {
			t.Fatalf("after: %v", n.trail)
		}
	}
	fleet := e.circuit.spec.Quorum != nil
	asked := func(deed string, f func(n *explored)) { // with each answer of the quorum, if there is one
		exploredQuorum.opens, exploredQuorum.probes = true, true
		do(deed, f)
		if fleet {
			exploredQuorum.opens, exploredQuorum.probes = false, false
			do(deed+", says the quorum no", f)
		}
	}
	do("tick", func(n *explored) { n.now += tick })
	if len(e.calls) < maxExploredCalls {
		asked("call", func(n *explored) { n.admit(t) })
	}
	for i := range e.calls {
		for _, end := range []struct {
			name  string
			v     verdict
			class Class
		}{{"succeeds", succeeded, NoClass}, {"fails", failed, ServerError}, {"is limited", failed, RateLimit}, {"fails otherwise", failed, Permanent}, {"is cancelled", neutral, NoClass}, {"panics", ended, NoClass}} {
			asked(fmt.Sprintf("call %d %s", i, end.name), func(n *explored) { n.settle(t, i, end.v, end.class) })
		}
	}
	for i := range exploredSpecs {
		do(fmt.Sprintf("reload %d", i), func(n *explored) { n.reload(t, i) })
	}
	if fleet {
		for _, recovery := range []time.Duration{0, tick, 2 * tick} {
			do(fmt.Sprintf("the fleet opens it for %v", recovery), func(n *explored) { n.openedByFleet(t, recovery) })
		}
		do("the fleet closes it", func(n *explored) { n.closedByFleet(t) })
	}
	return all
}

func (e *explored) at() time.Time { return time.Unix(0, 0).Add(e.now) }

func (e *explored) admit(t *testing.T) {
	before := e.circuit.state
	ticket, moved, ok := e.circuit.admit(e.at())
	taken := slices.ContainsFunc(e.places, func(p exploredPlace) bool { return e.now < p.until })
	probes := before == Open && e.now >= e.opensAt || before == HalfOpen && !taken
	switch want := before == Closed || probes && (e.circuit.spec.Quorum == nil || exploredQuorum.probes); {
	case ok != want:
		t.Errorf("admitted: %v, want %v (%v)", ok, want, before)
	case !ok && moved.sequence != 0:
		t.Error("a refused call moved the circuit")
	case ok && (ticket.probe != 0) != (before != Closed):
		t.Errorf("a probe in state %v: %v", before, ticket.probe != 0)
	}
	if ok {
		e.calls = append(e.calls, ticket)
	}
	if ok && ticket.probe != 0 {
		e.places = []exploredPlace{{ticket.probe, e.now + e.circuit.spec.ProbeTimeout}}
	}
}

func (e *explored) settle(t *testing.T, i int, v verdict, class Class) {
	ticket := e.calls[i]
	e.calls = slices.Delete(e.calls, i, i+1)
	was := e.clone()
	holds := slices.ContainsFunc(e.places, func(p exploredPlace) bool { return p.probe == ticket.probe && e.now < p.until })
	moved := e.circuit.settle(ticket, v, class, e.at())
	e.places = slices.DeleteFunc(e.places, func(p exploredPlace) bool { return p.probe == ticket.probe })
	counts := v == ended || v == failed && was.circuit.trips[class]
	switch {
	case moved.sequence == 0:
		if e.circuit.state != was.circuit.state {
			t.Errorf("%v became %v, and nobody is told", was.circuit.state, e.circuit.state)
		}
		if was.circuit.state == HalfOpen && holds && v != neutral {
			t.Error("the probe decided nothing")
		}
		return
	case moved.sequence != was.circuit.generation+1 || moved.from != was.circuit.state || moved.to != e.circuit.state:
		t.Errorf("the change is %+v, from %v to %v", moved, was.circuit.state, e.circuit.state)
	case ticket.generation != was.circuit.generation:
		t.Error("a call of another generation moved the circuit")
	case v == neutral:
		t.Error("a cancelled call moved the circuit")
	case moved.from == Open:
		t.Error("a call moved an open circuit")
	case moved.to == Open && !counts:
		t.Error("it opened by what does not count")
	case moved.from == HalfOpen && !holds:
		t.Error("a call without the probe's place decided")
	case moved.from == Closed && e.circuit.spec.Quorum != nil && !exploredQuorum.opens:
		t.Error("it opened against the quorum")
	case moved.to == Closed && counts:
		t.Error("it closed by a failure")
	}
	if moved.to == Open {
		e.opensAt = e.now + e.circuit.spec.RecoveryTimeout
	}
	e.places = nil
}

func (e *explored) reload(t *testing.T, spec int) {
	was := e.clone()
	e.circuit.reconfigure(exploredSpecs[spec].complete())
	e.spec = spec
	if e.circuit.state != was.circuit.state || e.circuit.generation != was.circuit.generation {
		t.Errorf("a reload made %v %v", was.circuit.state, e.circuit.state)
	}
	if len(e.circuit.all.moments) != len(was.circuit.all.moments) {
		t.Error("a reload forgot failures")
	}
	e.opensAt = min(e.opensAt, e.circuit.opened+e.circuit.spec.RecoveryTimeout)
	for i := range e.places {
		e.places[i].until = min(e.places[i].until, e.circuit.probeSince+e.circuit.spec.ProbeTimeout)
	}
}

// byFleet does to the circuit what a fleet does to a breaker.
func (e *explored) byFleet(f func(b *Breaker)) {
	b := &Breaker{circuit: e.circuit}
	f(b)
	e.circuit = b.history()
	e.places = nil
}

func (e *explored) openedByFleet(t *testing.T, recovery time.Duration) {
	was := e.clone()
	e.byFleet(func(b *Breaker) {
		if moved := b.Open(e.at(), recovery); moved != (was.circuit.state != Open) {
			t.Errorf("it says that it moved %v: %v", was.circuit.state, moved)
		}
	})
	if was.circuit.state != Open && e.circuit.generation != was.circuit.generation+1 {
		t.Error("calls from before still count")
	}
	if e.circuit.state != Open {
		t.Errorf("opened by the fleet, it is %v", e.circuit.state)
	}
	e.opensAt = e.now + recovery
}

func (e *explored) closedByFleet(t *testing.T) {
	was := e.clone()
	e.byFleet(func(b *Breaker) {
		if moved := b.Close(e.at()); moved != (was.circuit.state != Closed) {
			t.Errorf("it says that it moved %v: %v", was.circuit.state, moved)
		}
	})
	if was.circuit.state != Closed && (e.circuit.generation != was.circuit.generation+1 || len(e.circuit.all.moments) > 0) {
		t.Error("what was before still counts")
	}
	if e.circuit.state != Closed {
		t.Errorf("closed by the fleet, it is %v", e.circuit.state)
	}
}

// letsThrough checks that the state is no dead end: whoever waits is let through, and
// closes it by succeeding.
func (e *explored) letsThrough(t *testing.T) {
	exploredQuorum.probes = true
	later := e.clone()
	later.now += 10 * tick
	ticket, _, ok := later.circuit.admit(later.at())
	if !ok {
		t.Fatalf("stuck after: %v", e.trail)
	}
	if later.circuit.settle(ticket, succeeded, NoClass, later.at()); later.circuit.state != Closed {
		t.Fatalf("a success leaves it %v after: %v", later.circuit.state, e.trail)
	}
}

func TestEveryStateOfABreakerUnderReloadsProbesCancellationsAndQuorumsKeepsThePromises(t *testing.T) {
	start := &explored{circuit: newCircuit(exploredSpecs[0].complete())}
	start.circuit.epoch.at(start.at())
	seen := map[string]bool{start.key(): true}
	for queue := []*explored{start}; len(queue) > 0; queue = queue[1:] {
		queue[0].letsThrough(t)
		for _, next := range queue[0].deeds(t) {
			if key := next.key(); !seen[key] {
				seen[key] = true
				queue = append(queue, next)
			}
		}
	}
	t.Logf("%d states", len(seen))
	if len(seen) < 5000 {
		t.Errorf("only %d states: the search did not go far", len(seen))
	}
}

// TestEveryStateOfABudgetUnderReloadsKeepsThePromises does the same with a budget: what
// it grants is what a plain list of moments allows, and a reload refills nothing.
func TestEveryStateOfABudgetUnderReloadsKeepsThePromises(t *testing.T) {
	specs := []BudgetSpec{{MaxRetries: 2, Window: 2 * tick}, {MaxRetries: 1, Window: 3 * tick}, {MaxRetries: 3, Window: tick}, {Window: tick}}
	type state struct {
		deeds    []int // what led here: the budget is made anew from it
		now      time.Duration
		moments  []time.Duration // kept: as many as any spec so far allowed
		capacity int
		spec     int
	}
	within := func(s state) (n int) {
		for _, m := range s.moments {
			if s.now-m < specs[s.spec].Window {
				n++
			}
		}
		return n
	}
	at := func(d time.Duration) time.Time { return time.Unix(0, 0).Add(d) }
	run := func(deeds []int) state {
		b, _ := NewBudget(specs[0])
		s := state{deeds: deeds, capacity: specs[0].MaxRetries}
		for _, deed := range deeds {
			switch deed {
			case 0:
				s.now += tick
			case 1:
				want := within(s) < specs[s.spec].MaxRetries
				if got := b.take(at(s.now)); got != want {
					t.Fatalf("%v: granted %v, want %v", deeds, got, want)
				}
				if want {
					s.moments = append(s.moments, s.now)
					s.moments = s.moments[max(len(s.moments)-s.capacity, 0):]
				}
			default:
				s.spec = deed - 2
				if _, err := b.Reconfigure(specs[s.spec]); err != nil {
					t.Fatal(err)
				}
				s.capacity = max(s.capacity, specs[s.spec].MaxRetries)
			}
			if got, want := b.Remaining(at(s.now)), max(specs[s.spec].MaxRetries-within(s), 0); got != want {
				t.Fatalf("%v: %d remain, want %d", deeds, got, want)
			}
		}
		return s
	}
	seen := map[string]bool{}
	for queue := [][]int{nil}; len(queue) > 0; queue = queue[1:] {
		s := run(queue[0])
		var ages []time.Duration
		for _, m := range s.moments {
			ages = append(ages, min(s.now-m, 3*tick))
		}
		key := fmt.Sprint(ages, s.capacity, s.spec)
		if seen[key] {
			continue
		}
		seen[key] = true
		for deed := range 2 + len(specs) {
			queue = append(queue, append(slices.Clone(queue[0]), deed))
		}
	}
	t.Logf("%d states", len(seen))
	if len(seen) < 100 {
		t.Errorf("only %d states: the search did not go far", len(seen))
	}
}
