package redressfleet

import (
	"slices"
	"sync"
	"time"

	"github.com/redress-policy/redress/engine"
)

// A quorum is this instance's part in one fleet breaker. It decides by the times it is
// given, and talks to nobody.
type quorum struct {
	name string
	wake func()
	beat time.Duration

	mu       sync.Mutex // guards all below; never held when a breaker is asked, which asks q while it is locked
	breakers governed[engine.Breaker]

	suspicion time.Time // own failures last reached a threshold, or a probe of its own failed; zero for not
	wants     bool      // a call asked to be the probe since the last exchange
	result    Result    // of the probe, until the store has it
	heard     time.Time // the store last answered
	epoch     string
	gen       int64
	open      bool // the fleet's circuit is
	quiet     bool
	instances int
	lease     time.Time // until when the probe is this instance's
}

// noGen is the number of no state.
const noGen = -1

// A move is what became of the fleet's circuit.
type move struct {
	breaker string
	to      engine.State
	note    string
}

// Govern remembers a breaker, as long as somebody else does.
func (q *quorum) Govern(b *engine.Breaker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.breakers.add(b)
}

// Trip votes for opening. The vote alone opens the circuit if there is nobody to ask, or
// nobody else.
func (q *quorum) Trip(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.suspicion = now
	q.wake()
	return !q.reachable(now) || q.instances <= 1 && !q.quiet
}

// Probe asks for the lease of the probe, while the circuit is open for the fleet.
func (q *quorum) Probe(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.reachable(now) || !q.open || now.Before(q.lease) {
		return true
	}
	if !q.wants {
		q.wants = true
		q.wake()
	}
	return false
}

// Moved notes what became of a probe.
func (q *quorum) Moved(from, to engine.State, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if from != engine.HalfOpen {
		return
	}
	won := to == engine.Closed
	switch {
	case won:
		q.suspicion = time.Time{}
	case !q.open: // the probe of its own circuit says what it would have the fleet do
		q.suspicion = now
	}
	switch {
	case !q.open:
	case !now.Before(q.lease):
		q.gen = noGen // not for this instance to decide: the store's word is taken again
	case won:
		q.result, q.lease = Won, time.Time{}
	default:
		q.result, q.lease = Lost, time.Time{}
	}
	q.wake()
}

func (q *quorum) reachable(now time.Time) bool {
	return !q.heard.IsZero() && now.Sub(q.heard) < staleBeats*q.beat
}

// governed returns the breakers that are still in use and have not become local.
func (q *quorum) governed() []*engine.Breaker {
	q.mu.Lock()
	all := q.breakers.living()
	q.mu.Unlock()
	return slices.DeleteFunc(all, func(b *engine.Breaker) bool { return b.Spec().Quorum != engine.Quorum(q) })
}

// ask says what the store is to know; ok is false if no breaker is governed.
func (q *quorum) ask(now time.Time) (ask BreakerAsk, ok bool) {
	breakers := q.governed()
	if len(breakers) == 0 {
		return BreakerAsk{}, false
	}
	spec, refuses := breakers[0].Spec(), breakers[0].RetryIn(now) > 0
	q.mu.Lock()
	defer q.mu.Unlock()
	ask = BreakerAsk{
		Name: q.name, Epoch: q.epoch, Gen: q.gen, Probe: q.wants, Result: q.result,
		// What it has opened by itself it would have the fleet open.
		Suspect:  !q.open && refuses || !q.suspicion.IsZero() && now.Sub(q.suspicion) < spec.Window,
		Recovery: spec.RecoveryTimeout, Lease: spec.ProbeTimeout, Window: spec.Window,
	}
	q.wants = false
	return ask, true
}

// answer takes what the store says to an ask that was sent at sent.
func (q *quorum) answer(ask BreakerAsk, answer BreakerAnswer, sent, now time.Time) *move {
	q.mu.Lock()
	moved, apply := q.decide(ask, answer, sent, now)
	q.mu.Unlock()
	if apply != nil {
		for _, b := range q.governed() {
			apply(b)
		}
	}
	return moved
}

// decide returns what to tell, and what to do with the breakers once q is unlocked.
func (q *quorum) decide(ask BreakerAsk, answer BreakerAnswer, sent, now time.Time) (*move, func(*engine.Breaker)) {
	q.heard, q.quiet, q.instances = now, answer.Quiet, answer.Instances
	known := answer.Epoch == q.epoch
	same := known && answer.Gen == q.gen
	refused := ask.Result != NoResult && ask.Result == q.result && same // it was not this instance's probe any more
	if ask.Result == q.result {
		q.result = NoResult
	}
	was := q.open
	q.epoch, q.gen, q.open = answer.Epoch, answer.Gen, answer.Open
	if answer.Probe {
		q.lease = sent.Add(answer.ProbeFor)
	}
	switch {
	case answer.Open && (!was || !same || refused):
		q.suspicion = time.Time{}
		recovery := answer.OpenFor
		if was && known && !refused && !same && ask.Result == Lost {
			return nil, func(b *engine.Breaker) { b.Open(now, recovery) } // its own probe, of which calls have told
		}
		m := &move{q.name, engine.Open, "the fleet opened it"}
		if was {
			m = nil
		}
		return m, func(b *engine.Breaker) { b.Open(now, recovery) }
	case was && !answer.Open && !known:
		q.suspicion = now // the store forgot: what was open is voted for again
		return nil, nil
	case was && !answer.Open:
		q.suspicion, q.lease = time.Time{}, time.Time{}
		if ask.Result == Won && !refused {
			return nil, nil
		}
		return &move{q.name, engine.Closed, "the fleet closed it"}, func(b *engine.Breaker) { b.Close(now) }
	case answer.Open && q.result == NoResult: // a breaker may have been local for a while, and closed
		return nil, func(b *engine.Breaker) {
			if b.State() == engine.Closed {
				b.Open(now, answer.OpenFor)
			}
		}
	}
	return nil, nil
}
