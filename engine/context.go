package engine

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An Attempt tells an operation which attempt of which call it is.
type Attempt struct {
	Policy    string
	Operation string
	Number    int // from 1
}

// AttemptFrom returns the attempt that ctx was made for. It finds nothing in a
// context that does not come from the one handed to an operation.
func AttemptFrom(ctx context.Context) (Attempt, bool) {
	c, ok := ctx.Value(attemptKey{}).(*lazyContext)
	if !ok {
		return Attempt{}, false
	}
	return Attempt{Policy: c.policy.spec.Name, Operation: c.operation, Number: int(c.number)}, true
}

type attemptKey struct{}

// A lazyContext is what an operation runs under. It ends when the caller's context
// ends or at the deadline by the call's clock. It costs one allocation until somebody
// asks for Done: only then are there a channel, a timer, and a link to the caller's
// context.
//
// When the attempt fails, the context is cancelled. When it succeeds, the deadline
// is lifted but the context lives on, because what was returned (a response body,
// rows) may still be read under it; it then ends with the caller's, for as long as
// somebody holds it.
type lazyContext struct {
	parent    context.Context
	deadline  time.Time // zero: the parent's
	clock     *Clock    // nil: the system's
	policy    *revision // nil if this is not the context of an attempt
	operation string
	number    int32
	phase     atomic.Uint32         // a contextPhase
	armed     atomic.Pointer[alarm] // nil until Done is asked for; then it does not change
}

// The phases of a context. Whoever changes the phase then looks whether there is an alarm,
// and whoever makes the alarm then looks at the phase: so no change passes the alarm by.
const (
	running uint32 = iota
	released
	canceled
)

// newAttemptContext makes the context of the attempt of that number.
func newAttemptContext(parent context.Context, deadline time.Time, p *revision, operation string, number int) *lazyContext {
	return &lazyContext{parent: parent, deadline: deadline, policy: p, operation: operation, number: int32(number)}
}

// Deadline is the earliest of the caller's, the policy's and the attempt's own. Once
// the attempt has succeeded, it is the caller's.
func (c *lazyContext) Deadline() (time.Time, bool) {
	if c.phase.Load() == released || c.deadline.IsZero() {
		return c.parent.Deadline()
	}
	return c.deadline, true
}

// Err implements context.Context.
func (c *lazyContext) Err() error {
	if a := c.armed.Load(); a != nil {
		if err := a.err(); err != nil {
			return err
		}
	}
	if c.phase.Load() == canceled {
		return context.Canceled
	}
	if err := c.parent.Err(); err != nil {
		return err
	}
	if c.limited() && c.left() <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// Done implements context.Context.
func (c *lazyContext) Done() <-chan struct{} { return c.arm().done }

// Value implements context.Context.
func (c *lazyContext) Value(key any) any {
	if key == (attemptKey{}) && c.policy != nil {
		return c
	}
	return c.parent.Value(key)
}

// AfterFunc has f run in a goroutine of its own once the context ends. Contexts
// derived from this one find it, and so need no goroutine to watch it.
func (c *lazyContext) AfterFunc(f func()) (stop func() bool) { return c.arm().afterFunc(f) }

func (c *lazyContext) limited() bool { return c.phase.Load() == running && !c.deadline.IsZero() }

// left is the time until the deadline.
func (c *lazyContext) left() time.Duration {
	if c.clock == nil {
		return time.Until(c.deadline)
	}
	return c.deadline.Sub((*c.clock).Now())
}

// arm makes the alarm that stands for this context, if there is none yet.
func (c *lazyContext) arm() *alarm {
	if a := c.armed.Load(); a != nil {
		return a
	}
	err := c.Err()
	a := &alarm{done: make(chan struct{})}
	a.mu.Lock() // others find an alarm that is set
	defer a.mu.Unlock()
	if !c.armed.CompareAndSwap(nil, a) {
		return c.armed.Load()
	}
	switch {
	case err != nil:
		a.end(err)
		return a
	case c.phase.Load() == canceled:
		a.end(context.Canceled)
		return a
	case c.limited():
		a.timer = time.AfterFunc(c.left(), a.expire)
	}
	if parent := c.parent; parent.Done() != nil {
		a.unlink = context.AfterFunc(parent, func() { a.ring(parent.Err()) })
	}
	if c.phase.Load() == released {
		a.lifted = true
		a.stopTimer()
		c.unlinkWithGarbage(a)
	}
	return a
}

// cancel ends the context: the attempt has failed, did not return, or is superseded. Like
// release, it does nothing if c is nil.
func (c *lazyContext) cancel() {
	if c == nil {
		return
	}
	c.phase.Store(canceled)
	c.ring()
}

// cancelUnlessReleased is cancel, but leaves alone what has succeeded.
func (c *lazyContext) cancelUnlessReleased() {
	if c.phase.CompareAndSwap(running, canceled) {
		c.ring()
	}
}

func (c *lazyContext) ring() {
	if a := c.armed.Load(); a != nil {
		a.ring(context.Canceled)
	}
}

// release lifts the deadline: the attempt has succeeded.
func (c *lazyContext) release() {
	if c == nil {
		return
	}
	c.phase.Store(released)
	if a := c.armed.Load(); a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.lifted = true // even if the timer has just fired
		a.stopTimer()
		c.unlinkWithGarbage(a)
	}
}

// unlinkWithGarbage takes the alarm off the caller's context, which may live long,
// once nobody holds this context; doing it twice does no harm. It requires that the
// alarm's mu is held. It must not touch the alarm's channel: the clean-up runs outside
// the bubble of a synctest test.
func (c *lazyContext) unlinkWithGarbage(a *alarm) {
	if unlink := a.unlink; unlink != nil {
		runtime.AddCleanup(c, func(unlink func() bool) { unlink() }, unlink)
	}
}

// An alarm is the part of a lazyContext that others wait for. It does not refer
// to the context, so that a caller's context can refer to it.
type alarm struct {
	done   chan struct{}
	unlink func() bool // takes it off the caller's context; nil if that never ends

	mu     sync.Mutex
	ended  error       // guarded by mu, like all below
	timer  *time.Timer // nil without a deadline
	lifted bool        // the deadline no longer counts
	after  []*func()
}

func (a *alarm) err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

// ring ends the context with err, unless it has ended.
func (a *alarm) ring(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end(err)
}

// end requires that mu is held.
func (a *alarm) end(err error) {
	if a.ended != nil {
		return
	}
	a.ended = err
	close(a.done)
	a.stopTimer()
	if a.unlink != nil {
		a.unlink()
	}
	for _, f := range a.after {
		go (*f)()
	}
	a.after = nil
}

// expire is what the timer does.
func (a *alarm) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.lifted {
		a.end(context.DeadlineExceeded)
	}
}

// stopTimer requires that mu is held.
func (a *alarm) stopTimer() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

func (a *alarm) afterFunc(f func()) (stop func() bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended != nil {
		go f()
		return func() bool { return false }
	}
	entry := &f
	a.after = append(a.after, entry)
	return func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		i := slices.Index(a.after, entry)
		if i < 0 {
			return false
		}
		a.after = slices.Delete(a.after, i, i+1)
		return true
	}
}
