package engine

import (
	"context"
	"time"
)

// Most calls succeed at their first attempt, or are refused by an open breaker, and
// nobody wants to be told of them. They need little of what a call may need. This file
// makes them with that little; one that turns out to need more goes on as the call that
// it would have been from the beginning. Nothing is decided here that call.go does not
// decide alike.

// callShort makes the call the short way. It is not ok, and has done nothing, if that
// cannot be.
func callShort[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), opts []Option) (v T, ok bool, err error) {
	s := &p.settings
	if len(opts) > 0 {
		own := p.settings
		own.apply(opts)
		s = &own
	}
	o := opening{ctx: ctx, policy: p.current.Load()}
	if !o.simple(s) {
		return v, false, nil
	}
	if b := o.policy.spec.Breaker; b != nil && !b.closed(&o.ticket) {
		if !o.refused(b) {
			return v, false, nil
		}
		return v, true, o.policy.refuse(s.operation)
	}
	if !o.begin(s) {
		return v, false, nil
	}
	v, err = first(&o, s, fn)
	if err == nil && (o.policy.spec.ClassifyResult == nil || o.policy.silent(v)) {
		o.attempt.release()
		return v, true, nil
	}
	v, err = goOn(&o, s, fn, v, err)
	return v, true, err
}

// An opening is what a call has until its first attempt has ended.
type opening struct {
	ctx      context.Context
	policy   *revision
	observer Observer      // may be nil
	at       time.Duration // when it began, as time since the process started
	deadline time.Time     // of the attempt; zero if it gets the caller's context
	ticket   ticket
	attempt  *lazyContext // nil if the attempt gets the caller's context
	returned bool         // the operation
}

// simple reports whether operation, rules and breaker alone have a say, the caller is
// there, and nobody wants to be told of a success.
func (o *opening) simple(s *settings) bool {
	spec := &o.policy.spec
	switch {
	case s.timeline, s.clock != nil, s.abort != nil, s.resultError != nil:
		return false
	case spec.Mode != Enforce, spec.MaxAttempts == 0, len(o.policy.learners) > 0:
		return false
	case o.ctx.Err() != nil:
		return false
	}
	o.observer = observerOf(spec, s)
	return o.observer == nil || !watchesCalls(o.observer) && !wants(o.ctx, o.observer, successEvents)
}

// refused reports whether the breaker, which is not closed, is certain to refuse the call,
// and nobody wants to be told of that.
func (o *opening) refused(b *Breaker) bool {
	if o.observer != nil && wants(o.ctx, o.observer, EventsOf(EventCircuitRejected)) {
		return false
	}
	end, limited := o.ctx.Deadline()
	if !limited && b.refusesAnyway() {
		return true
	}
	r, age := lately()
	return b.refuses(r.at+age) && (!limited || end.Sub(r.time) > age)
}

// begin reads the clock. It reports whether the caller's deadline is still to come.
func (o *opening) begin(s *settings) bool {
	spec := &o.policy.spec
	end, limited := o.ctx.Deadline()
	if s.callerContext && spec.AttemptTimeout == 0 && !limited {
		o.at = time.Since(started) // takes half as long as time.Now
		return true
	}
	r, age := lately()
	o.at = r.at + age
	if limited && end.Sub(r.time) <= age {
		return false
	}
	if s.callerContext && spec.AttemptTimeout == 0 {
		return true
	}
	limit := spec.Deadline
	if t := spec.AttemptTimeout; t > 0 {
		limit = min(limit, t)
	}
	o.deadline = r.time.Add(max(age+limit, limit)) // limit, if the sum is more than there is
	if limited && end.Before(o.deadline) {
		o.deadline = end
	}
	return true
}

// first makes the first attempt.
func first[T any](o *opening, s *settings, fn func(context.Context) (T, error)) (v T, err error) {
	ctx := o.ctx
	if !o.deadline.IsZero() {
		o.attempt = newAttemptContext(ctx, o.deadline, o.policy, s.operation, 1)
		ctx = o.attempt
	}
	defer o.close(s)
	v, err = fn(ctx)
	o.returned = true
	return v, err
}

// close, deferred, ends the call as others end, if its operation did not return.
func (o *opening) close(s *settings) {
	if !o.returned {
		var c call
		c.takeOver(o, s)
		c.close()
	}
}

// goOn makes the rest of a call whose first attempt needs judging.
func goOn[T any](o *opening, s *settings, fn func(context.Context) (T, error), v T, err error) (T, error) {
	var c call
	c.takeOver(o, s)
	v = resume(&c, fn, v, err)
	return v, c.err()
}

// takeOver makes c what it would be, had it begun as the opening did, when the operation
// has just ended.
func (c *call) takeOver(o *opening, s *settings) {
	c.ctx, c.policy, c.settings = o.ctx, o.policy, *s
	c.settings.observer = o.observer
	r, age := lately()
	passed := r.at + age - o.at
	c.beginSession(r.time.Add(age - passed))
	c.session.at = passed
	c.session.ticket, c.admitted = o.ticket, c.policy.spec.Breaker != nil
	c.session.attempts = 1
	c.attempt, c.inOperation = o.attempt, true
}

// refuse returns the error of a call of that operation that an open breaker refuses.
func (r *revision) refuse(operation string) error {
	last := r.refusal.Load()
	if last != nil && last.Operation == operation && last.Revision == r.spec.Revision && last.Policy == r.spec.Name {
		return last
	}
	next := &Error{Policy: r.spec.Name, Operation: operation, Revision: r.spec.Revision, Reason: CircuitOpen}
	r.refusal.Store(next)
	return next
}
