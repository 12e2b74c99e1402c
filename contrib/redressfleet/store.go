package redressfleet

import (
	"context"
	"time"
)

// A Store is where the instances of a fleet meet: Redis, by [NewRedis], or the memory of
// one process, by [NewMemory]. What it is asked and answers is this package's business;
// it is exported so that a program can wrap a store, to count or to break what it does.
type Store interface {
	// Exchange tells what an instance has done and wants, and returns what it gets: one
	// answer for each budget and each breaker, in order.
	Exchange(ctx context.Context, ask Ask) (Answer, error)
}

// An Ask is all that an instance says in one exchange. Durations are whole milliseconds
// to a store.
type Ask struct {
	Instance string
	Fresh    string        // the name of a new epoch, should the store need one
	Alive    time.Duration // for how long the instance counts as alive from now
	Quiet    time.Duration // for how long a new epoch grants nothing and opens nothing
	Budgets  []BudgetAsk
	Breakers []BreakerAsk
}

// A BudgetAsk is about one budget.
type BudgetAsk struct {
	Name    string
	Epoch   string        // that the instance knows; what follows Want counts only if it is the store's
	Limit   int           // retries of the fleet in any Span
	Span    time.Duration // the budget's window and the time of a lease
	Want    int           // retries to be leased
	Stepped bool          // the store's clock was seen to step: begin a new epoch
	Back    []Slot        // leased before, and not spent
	Told    []Past        // spent without a lease, or leased in an epoch that the store forgot
}

// A Slot is where a store notes retries that it leases.
type Slot struct {
	ID int64
	N  int
}

// A Past is N retries, Age ago.
type Past struct {
	Age time.Duration
	N   int
}

// A BreakerAsk is about one breaker.
type BreakerAsk struct {
	Name     string
	Epoch    string // that the instance knows
	Gen      int64  // of the state that Result is about
	Suspect  bool   // own failures have reached a threshold lately
	Probe    bool   // there is a call that could be the probe
	Result   Result // of the probe that it held the lease for
	Recovery time.Duration
	Lease    time.Duration // of a probe
	Window   time.Duration // of the breaker: keys live for at least that long
}

// A Result is what became of a probe.
type Result uint8

// Results.
const (
	NoResult Result = iota
	Won
	Lost
)

// An Answer is what a store says.
type Answer struct {
	Budgets  []BudgetAnswer
	Breakers []BreakerAnswer
}

// A BudgetAnswer is about one budget.
type BudgetAnswer struct {
	Epoch     string
	Quiet     bool // the epoch is new: the store waits to be told
	Granted   int
	Slot      int64
	Instances int           // alive
	Now       time.Duration // the store's clock
}

// A BreakerAnswer is about one breaker.
type BreakerAnswer struct {
	Epoch     string
	Quiet     bool
	Gen       int64 // number of the state in its epoch
	Open      bool
	OpenFor   time.Duration // until a probe may be sent
	Probe     bool          // the instance holds the lease of the probe
	ProbeFor  time.Duration
	Instances int
	Suspects  int
}

// slots is into how many parts a span is divided.
const slots = 20

// quorum is how many of n instances open a breaker: more than half, and never one alone.
func quorumOf(n int) int { return max(n/2+1, 2) }
