package engine

import "time"

// A budget or a breaker can belong to a fleet: instances of a service that share it
// through a store somewhere. What they agree on reaches the engine through the types
// of this file; who implements them talks to the store on goroutines of its own.

// A Fleet makes what budgets and breakers of scope fleet need. It is safe for use by many
// goroutines.
type Fleet interface {
	// CheckBudget and CheckBreaker say why a spec cannot be a fleet's. They change nothing.
	CheckBudget(spec BudgetSpec) error
	CheckBreaker(spec BreakerSpec) error
	// Allowance and Quorum return those of the name. What the specs say counts only once a
	// budget or breaker of it is governed: sets are made that calls never see.
	Allowance(spec BudgetSpec) Allowance
	Quorum(spec BreakerSpec) Quorum
}

// An Allowance is what a process may spend of a budget that is the fleet's. Take and Left
// are called while the budget is locked, and on the path of a call that wants to retry:
// they decide by what is known, and neither block nor call the budget. All must be safe
// for use by many goroutines.
type Allowance interface {
	// Govern is told which budget it is for, when that is made or reconfigured: its Spec
	// has the limits. One whose Spec has another Allowance by now is no longer governed,
	// and of several the first is the one that calls take from.
	Govern(b *Budget)
	// Take spends one retry at now, if there is one.
	Take(now time.Time) bool
	// Left returns how many retries could be spent at now.
	Left(now time.Time) int
}

// A Quorum has a say in what the circuit of a breaker does, so that it opens and closes
// for a whole fleet. Calls of a closed circuit that succeed never ask it. Trip and Probe
// are called while the breaker is locked: they decide by what is known, and neither
// block nor call the breaker. All must be safe for use by many goroutines.
type Quorum interface {
	// Govern is told which breaker it is for, when that is made or reconfigured. It is
	// how the fleet's decisions come in, see [Breaker.Open] and [Breaker.Close]. One whose
	// Spec has another Quorum by now is no longer governed, and of several the first is
	// the one that calls ask.
	Govern(b *Breaker)
	// Trip is told that failures of this process reached a threshold at now, and again
	// with every further one. It reports whether that alone opens the circuit.
	Trip(now time.Time) bool
	// Probe reports whether this process may send a probe at now, its recovery time being
	// over.
	Probe(now time.Time) bool
	// Moved is told of every transition that a call brought about, in order, once the
	// breaker is unlocked.
	Moved(from, to State, now time.Time)
}

// Open opens the circuit for recovery from now, whatever it has counted itself, or
// changes how long an open one refuses. A call that is between attempts makes no other,
// and the result of a probe on its way decides nothing. It reports whether the circuit
// was not open before.
func (b *Breaker) Open(now time.Time, recovery time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &b.circuit
	at := c.epoch.at(now)
	moved := c.state != Open
	if moved {
		c.probing = false
		c.move(Open, at)
	}
	c.opened, c.recovery = at, recovery
	b.mirror()
	return moved
}

// Close closes the circuit at now and forgets the failures it has counted. It reports
// whether the circuit was not closed before.
func (b *Breaker) Close(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.circuit.state == Closed {
		return false
	}
	b.circuit.probing = false
	b.circuit.close(b.circuit.epoch.at(now))
	b.mirror()
	return true
}

// govern tells the quorum of a spec whom it is for.
func (b *Breaker) govern(spec BreakerSpec) {
	if spec.Quorum != nil {
		spec.Quorum.Govern(b)
	}
}

// govern tells the allowance of a spec whom it is for.
func (b *Budget) govern(spec BudgetSpec) {
	if spec.Allowance != nil {
		spec.Allowance.Govern(b)
	}
}

// tell passes a transition on to the quorum, if there was one and there is one.
func (c change) tell(q Quorum, now time.Time) {
	if q != nil && c.sequence != 0 {
		q.Moved(c.from, c.to, now)
	}
}

// mayProbe asks the quorum, if there is one.
func (c *circuit) mayProbe(now time.Time) bool {
	return c.spec.Quorum == nil || c.spec.Quorum.Probe(now)
}

// mayOpen asks the quorum, if there is one.
func (c *circuit) mayOpen(now time.Time) bool {
	return c.spec.Quorum == nil || c.spec.Quorum.Trip(now)
}

// scope is what policies call it.
func scope(fleet bool) string {
	if fleet {
		return "fleet"
	}
	return "local"
}
