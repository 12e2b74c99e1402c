// Package virtual is time that a program moves by itself: a clock whose sleeps
// take no time, and the contexts of callers who give up at a virtual moment.
// Scenarios, simulations and the test kit run the production engine on it.
package virtual

import (
	"context"
	"sync"
	"time"
)

// Epoch is where virtual time begins unless told otherwise. It is a date like any
// other, so that Retry-After dates make sense.
var Epoch = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

// A Clock stands still until something sleeps on it. It is safe for use by many
// goroutines, though sleeps of different goroutines simply add up.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	callers map[*Caller]struct{} // callers whose end is still to come
}

// NewClock returns a clock that shows start.
func NewClock(start time.Time) *Clock {
	return &Clock{now: start, callers: map[*Caller]struct{}{}}
}

// Now returns the virtual time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves time forward; d must not be negative.
func (c *Clock) Advance(d time.Duration) {
	if d < 0 {
		panic("virtual: time does not run backwards")
	}
	c.AdvanceTo(c.Now().Add(d))
}

// AdvanceTo moves time forward to t; an earlier t changes nothing.
func (c *Clock) AdvanceTo(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.now) {
		c.now = t
	}
	for caller := range c.callers {
		if ended, _ := caller.endedAt(c.now); ended {
			close(caller.done)
			delete(c.callers, caller)
		}
	}
}

// Sleep moves time forward by d, or to the moment at which ctx ends if that comes
// first; then it returns ctx's error. A ctx that has already ended takes no time.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wake := c.Now().Add(d)
	end, err, ends := endOf(ctx)
	if ends && !end.After(wake) {
		c.AdvanceTo(end)
		if now := ctx.Err(); now != nil {
			return now
		}
		return err
	}
	c.AdvanceTo(wake)
	return nil
}

// endOf returns when ctx will end by itself and with which error: at its
// deadline, or when the Caller that it descends from cancels.
func endOf(ctx context.Context) (at time.Time, err error, ends bool) {
	if deadline, ok := ctx.Deadline(); ok {
		at, err, ends = deadline, context.DeadlineExceeded, true
	}
	caller, ok := ctx.Value(callerKey{}).(*Caller)
	if ok && !caller.cancelAt.IsZero() && (!ends || caller.cancelAt.Before(at)) {
		at, err, ends = caller.cancelAt, context.Canceled, true
	}
	return at, err, ends
}

type callerKey struct{}

// A Caller is the context of somebody who waits only so long: it ends with
// context.DeadlineExceeded at its deadline and with context.Canceled when it is
// cancelled, by the virtual clock.
type Caller struct {
	clock    *Clock
	deadline time.Time // zero: none
	cancelAt time.Time // zero: never
	done     chan struct{}
}

// NewCaller returns a context on clock; zero times mean none. The clock forgets
// the caller when it ends or when Release is called.
func NewCaller(clock *Clock, deadline, cancelAt time.Time) *Caller {
	c := &Caller{clock: clock, deadline: deadline, cancelAt: cancelAt, done: make(chan struct{})}
	clock.mu.Lock()
	defer clock.mu.Unlock()
	if ended, _ := c.endedAt(clock.now); ended {
		close(c.done)
	} else if !deadline.IsZero() || !cancelAt.IsZero() {
		clock.callers[c] = struct{}{}
	}
	return c
}

// Release lets the clock forget the caller.
func (c *Caller) Release() {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	delete(c.clock.callers, c)
}

func (c *Caller) endedAt(now time.Time) (bool, error) {
	timedOut := !c.deadline.IsZero() && !now.Before(c.deadline)
	canceled := !c.cancelAt.IsZero() && !now.Before(c.cancelAt)
	switch {
	case canceled && (!timedOut || c.cancelAt.Before(c.deadline)):
		return true, context.Canceled
	case timedOut:
		return true, context.DeadlineExceeded
	}
	return false, nil
}

// Deadline implements context.Context.
func (c *Caller) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done implements context.Context; a caller who never gives up has a channel that
// is never closed.
func (c *Caller) Done() <-chan struct{} { return c.done }

// Err implements context.Context.
func (c *Caller) Err() error {
	_, err := c.endedAt(c.clock.Now())
	return err
}

// Value implements context.Context.
func (c *Caller) Value(key any) any {
	if key == (callerKey{}) {
		return c
	}
	return nil
}
