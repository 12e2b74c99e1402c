package engine

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Adaptive slows down while too much fails: it multiplies Fallback's sleep by a
// number that grows with the failure rate f of the recent attempts. With
// t = 1 - TargetSuccess the multiplier is MinMultiplier while f <= t, else
// MinMultiplier + (f-t)/(1-t)*(MaxMultiplier-MinMultiplier).
//
// It is shared by the calls of a policy: use it by pointer, in one policy, and do
// not change it after New has seen it. Attempts are counted in sixtieths of Window;
// one leaves the count with its sixtieth.
type Adaptive struct {
	Fallback      Strategy      // nil means DecorrelatedJitter{}
	Window        time.Duration // 0 means 60s
	TargetSuccess float64       // above 0, at most 1; 0 means 0.9
	MinMultiplier float64       // at least 1; 0 means 1
	MaxMultiplier float64       // at least MinMultiplier; 0 means 5, or MinMultiplier if that is more

	recent atomic.Pointer[memory] // nil until it is asked for, see memory
}

// A memory is what an adaptive strategy knows. It goes over to the one that takes its
// place when a policy is reloaded.
type memory struct {
	mu    sync.Mutex
	part  time.Duration // guarded by mu, like all below: how long one part of the window is
	tally tally
}

// Name returns "adaptive".
func (a *Adaptive) Name() string { return "adaptive" }

// Learn counts an attempt.
func (a *Adaptive) Learn(now time.Time, ok bool) {
	m := a.memory()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tally.add(now, m.part, ok)
}

// Delay implements Strategy.
func (a *Adaptive) Delay(in DelayInput) Delay {
	d := a.nested().Delay(in)
	if d.Stop == NotStopped {
		d.Sleep = bound(float64(d.Sleep)*a.multiplier(in.Now), math.MaxInt64)
	}
	return d
}

func (a *Adaptive) multiplier(now time.Time) float64 {
	m := a.memory()
	m.mu.Lock()
	rate := m.tally.failureRate(now, m.part)
	m.mu.Unlock()

	lowest, highest := a.bounds()
	tolerated := 1 - orNumber(a.TargetSuccess, 0.9)
	if rate <= tolerated {
		return lowest
	}
	return lowest + float64((rate-tolerated)/(1-tolerated)*(highest-lowest))
}

func (a *Adaptive) bounds() (lowest, highest float64) {
	lowest = orNumber(a.MinMultiplier, 1)
	return lowest, orNumber(a.MaxMultiplier, max(5, lowest))
}

func (a *Adaptive) memory() *memory {
	if m := a.recent.Load(); m != nil {
		return m
	}
	a.recent.CompareAndSwap(nil, &memory{part: a.part()})
	return a.recent.Load()
}

// inherit takes over what another one knows, and divides it by this one's window. The
// other, under which calls may still run, goes on with the same memory; copied says
// that it should keep its own.
func (a *Adaptive) inherit(other *Adaptive, copied bool) Carried {
	m := other.memory()
	m.mu.Lock()
	defer m.mu.Unlock()
	var changes changes
	changes.add("window", or(other.Window, 60*time.Second), or(a.Window, 60*time.Second))
	if copied {
		m = &memory{part: m.part, tally: m.tally}
	}
	if to := a.part(); to != m.part {
		m.tally.resize(m.part, to)
		m.part = to
	}
	a.recent.Store(m)
	return changes.carried("adaptive", "")
}

// part is how long one part of the window is.
func (a *Adaptive) part() time.Duration {
	return max(or(a.Window, 60*time.Second)/tallyParts, 1)
}

func (a *Adaptive) nested() Strategy {
	if a.Fallback == nil {
		return defaultStrategy
	}
	return a.Fallback
}

func (a *Adaptive) check() error {
	wrong := []error{notNegative(field{"Window", a.Window})}
	if t := a.TargetSuccess; t != 0 && !(t > 0 && t <= 1) {
		wrong = append(wrong, fmt.Errorf("TargetSuccess is %v, must be above 0 and at most 1", t))
	}
	lowest, highest := a.bounds()
	if !(lowest >= 1) || math.IsInf(lowest, 0) {
		wrong = append(wrong, fmt.Errorf("MinMultiplier is %v, must be at least 1: adaptive only slows down", lowest))
	}
	if !(highest >= lowest) || math.IsInf(highest, 0) {
		wrong = append(wrong, fmt.Errorf("MaxMultiplier is %v, must be at least MinMultiplier, %v", highest, lowest))
	}
	return errors.Join(wrong...)
}

func orNumber(x, otherwise float64) float64 {
	if x == 0 {
		return otherwise
	}
	return x
}
