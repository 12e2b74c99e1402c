package redressfleet

import (
	"sync"
	"time"

	"github.com/redress-policy/redress/engine"
)

// An allowance is the part of one fleet budget that this instance may spend. It decides
// by the times it is given, and talks to nobody.
type allowance struct {
	name string
	wake func()
	beat time.Duration // the time between exchanges

	mu      sync.Mutex // guards all below; never held when a budget is asked, which asks a while it is locked
	budgets governed[engine.Budget]
	limit   int
	window  time.Duration
	used    bool // a call has asked for a retry: from then on it takes part

	lots    []lot   // leased and not spent, oldest first
	back    []Slot  // of lots whose lease is over
	leased  history // in the last span, but for what was given back
	alone   history // spent without a lease in the last span
	untold  history // that of alone which the store has not been told
	spent   history // all, in the last window
	demand  int     // retries asked for since the last exchange
	fleet   int     // instances, as last told by a store that was not quiet; 0 if never
	epoch   string
	tell    bool // the epoch is new to this instance: tell everything
	granted bool // the store last answered that it leases
	heard   time.Time
	clock   time.Duration // of the store, when it was heard
	stepped bool
}

// A lot is what one exchange leased.
type lot struct {
	n     int
	until time.Time
	slot  int64
}

// span is within what time the store leases no more than the limit: retries that are
// leased at its beginning can be spent a lease later, and the store's clock may step a
// little before anybody notices.
func (a *allowance) span() time.Duration { return a.window + a.lease() + tolerance(a.beat) }

func tolerance(beat time.Duration) time.Duration { return max(time.Second, 2*beat) }

func (a *allowance) lease() time.Duration { return leaseBeats * a.beat }

// Govern remembers a budget, as long as somebody else does.
func (a *allowance) Govern(b *engine.Budget) {
	a.mu.Lock()
	a.budgets.add(b)
	a.mu.Unlock()
	a.governed()
}

// governed takes the limits of the budget that is in use, and reports whether one is.
func (a *allowance) governed() bool {
	a.mu.Lock()
	all := a.budgets.living()
	a.mu.Unlock()
	for _, b := range all {
		if spec := b.Spec(); spec.Allowance == engine.Allowance(a) {
			a.limits(spec.MaxRetries, spec.Window)
			return true
		}
	}
	return false
}

// limits sets what the budget allows the fleet.
func (a *allowance) limits(limit int, window time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.window != window { // another window has another key in the store
		a.epoch, a.back = "", nil
	}
	a.limit, a.window = limit, window
}

// Take spends a leased retry; without one, of the share that is this instance's while
// the store does not lease.
func (a *allowance) Take(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used = true
	a.demand++
	a.settle(now)
	if len(a.lots) > 0 {
		a.lots[0].n--
		if a.lots[0].n == 0 {
			a.lots = a.lots[1:]
		}
		if a.held() < a.demand {
			a.wake()
		}
		a.spent.add(now, 1, a.window)
		return true
	}
	a.wake()
	if a.leases(now) || a.spent.sum() >= a.share() {
		return false
	}
	a.spent.add(now, 1, a.window)
	a.alone.add(now, 1, a.span())
	a.untold.add(now, 1, a.span())
	return true
}

// Left returns what Take would grant at now.
func (a *allowance) Left(now time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settle(now)
	left := a.held()
	if !a.leases(now) {
		left = max(left, a.share()-a.spent.sum())
	}
	return left
}

// leases reports whether the store leases retries: then there is no share besides.
func (a *allowance) leases(now time.Time) bool {
	return a.granted && now.Sub(a.heard) < staleBeats*a.beat
}

// share is what an instance may spend in a window without the store. An instance that
// never heard how many there are has none.
func (a *allowance) share() int {
	if a.fleet == 0 {
		return 0
	}
	return a.limit / a.fleet
}

func (a *allowance) held() int {
	n := 0
	for _, l := range a.lots {
		n += l.n
	}
	return n
}

// settle puts aside what time has ended.
func (a *allowance) settle(now time.Time) {
	kept := a.lots[:0]
	for _, l := range a.lots {
		if l.until.After(now) {
			kept = append(kept, l)
		} else {
			a.back = append(a.back, Slot{l.slot, l.n})
			a.leased.take(l.slot, l.n)
		}
	}
	a.lots = kept
	a.spent.forget(now, a.window)
	a.leased.forget(now, a.span())
	a.alone.forget(now, a.span())
	a.untold.forget(now, a.span())
}

// ask says what the store is to know; ok is false if no budget is governed, or none has
// been used yet.
func (a *allowance) ask(now time.Time) (ask BudgetAsk, ok bool) {
	if !a.governed() {
		return BudgetAsk{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.used {
		return BudgetAsk{}, false
	}
	a.settle(now)
	ask = BudgetAsk{Name: a.name, Epoch: a.epoch, Limit: a.limit, Span: a.span(), Want: max(a.target()-a.held(), 0), Stepped: a.stepped}
	// Should the answer be lost, nothing is given back twice: that would make retries.
	ask.Back, a.back = a.back, nil
	told := &a.untold
	if a.tell {
		ask.Back = nil // what was leased in another epoch is told without it
		told = &a.alone
		ask.Told = a.leased.ages(now)
	}
	ask.Told = append(ask.Told, told.ages(now)...)
	return ask, true
}

// target is how much to hold: a little at rest, and somewhat more than was asked for of
// late.
func (a *allowance) target() int {
	target := 0
	if a.fleet > 0 {
		target = a.limit / (4 * a.fleet)
	}
	return max(target, min(a.demand+a.demand/2, (a.limit+1)/2))
}

// answer takes what the store says to an ask that was sent at sent. It reports whether
// the store should be asked again at once.
func (a *allowance) answer(ask BudgetAsk, answer BudgetAnswer, sent, now time.Time) (again bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stepped = !a.heard.IsZero() && stepped(answer.Now-a.clock, now.Sub(a.heard), a.beat)
	a.heard, a.clock = now, answer.Now
	if a.stepped { // what it leased it would not have, had it known the time
		answer.Granted = 0
	}
	if answer.Epoch != ask.Epoch {
		a.epoch, a.tell, a.granted, a.back = answer.Epoch, true, false, nil
		return true
	}
	a.tell = false
	if ask.Told != nil {
		a.untold = nil // what was spent meanwhile is told again with the next epoch only
		a.resumeUntold(sent)
	}
	a.granted = !answer.Quiet
	if a.granted {
		a.fleet = answer.Instances
		a.demand = 0
	} else if a.fleet > 0 {
		a.fleet = max(a.fleet, answer.Instances)
	}
	if answer.Granted > 0 {
		// From when it was asked for: the store cannot have leased it before.
		a.lots = append(a.lots, lot{answer.Granted, sent.Add(a.lease()), answer.Slot})
		a.leased = append(a.leased, past{at: sent, n: answer.Granted, slot: answer.Slot})
	}
	return a.stepped
}

// resumeUntold keeps for the next exchange what was spent after this one was sent.
func (a *allowance) resumeUntold(sent time.Time) {
	for _, p := range a.alone {
		if p.at.After(sent) {
			a.untold = append(a.untold, p)
		}
	}
}

// stepped reports whether a clock moved otherwise than this one.
func stepped(theirs, ours, beat time.Duration) bool {
	return (theirs - ours).Abs() > tolerance(beat)
}

// A history is how many retries when, oldest first.
type history []past

type past struct {
	began, at time.Time // of the first and the last
	n         int
	slot      int64 // of a lease
}

// add notes n more. What lies close together becomes one entry, which is as old as its
// youngest, so that the length of a history is bounded.
func (h *history) add(now time.Time, n int, window time.Duration) {
	if last := len(*h) - 1; last >= 0 && now.Sub((*h)[last].began) < window/(8*slots) {
		(*h)[last].n, (*h)[last].at = (*h)[last].n+n, now
		return
	}
	*h = append(*h, past{began: now, at: now, n: n})
}

// take removes n of a slot's.
func (h history) take(slot int64, n int) {
	for i := range h {
		if h[i].slot == slot {
			less := min(n, h[i].n)
			h[i].n -= less
			n -= less
		}
	}
}

func (h *history) forget(now time.Time, window time.Duration) {
	i := 0
	for i < len(*h) && now.Sub((*h)[i].at) >= window {
		i++
	}
	*h = (*h)[i:]
}

func (h history) sum() int {
	n := 0
	for _, p := range h {
		n += p.n
	}
	return n
}

func (h history) ages(now time.Time) []Past {
	var all []Past
	for _, p := range h {
		if p.n > 0 {
			all = append(all, Past{max(now.Sub(p.at), 0), p.n})
		}
	}
	return all
}
