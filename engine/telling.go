package engine

import (
	"context"
	"time"
)

// What a call tells observers, its timeline and the policy's counters.

// tellFailed tells how the attempt that failed ended, and what was decided.
func (c *call) tellFailed(d *decision) {
	last := &c.session.last
	c.emit(Event{
		Kind: AttemptEnd, Decision: decisionOf(d.reason), Reason: d.reason, Note: c.note,
		Class: last.class, Rule: last.rule, Selector: d.selector, Strategy: d.strategy, Cause: last.cause,
		Sleep: d.sleepFor(d.reason), Err: last.err,
	})
}

// tellRetry tells of a retry before the sleep.
func (c *call) tellRetry(d *decision) {
	last := &c.session.last
	c.emit(Event{
		Kind: EventRetry, Class: last.class, Rule: last.rule, Selector: d.selector, Strategy: d.strategy,
		Cause: last.cause, Sleep: d.sleep, Err: last.err,
	})
}

// tellEnd tells why the call ended.
func (c *call) tellEnd() {
	e := Event{Kind: eventOf[c.reason], Reason: c.reason, Note: c.note, Sleep: c.nextDelay}
	if c.reason != Success {
		last := &c.session.last
		e.Class, e.Rule, e.Cause, e.Err = last.class, last.rule, last.cause, last.err
		e.Selector, e.Strategy = c.selector, c.strategy
	}
	if c.reason == CircuitOpen {
		e.Breaker = c.policy.spec.Breaker.Name()
	}
	c.emit(e)
}

// eventOf is the last event of a call, by why it ended.
var eventOf = [reasonCount]EventKind{
	Success:             EventSuccess,
	MaxAttemptsGlobal:   EventMaxAttemptsExceeded,
	MaxAttemptsPerClass: EventMaxAttemptsExceeded,
	MaxUnknownAttempts:  EventMaxUnknownAttemptsExceeded,
	DeadlineExceeded:    EventDeadlineExceeded,
	NonRetryableClass:   EventPermanentFail,
	NoStrategy:          EventNoStrategyConfigured,
	BudgetExhausted:     EventBudgetExhausted,
	CircuitOpen:         EventCircuitRejected,
	Scheduled:           EventScheduled,
	Aborted:             EventAborted,
	Canceled:            EventCanceled,
	ReasonNotIdempotent: EventPermanentFail,
	ReasonNotReplayable: EventPermanentFail,
}

func decisionOf(reason StopReason) Decision {
	switch reason {
	case NotStopped:
		return DecideRetry
	case Success:
		return DecideSuccess
	case Scheduled:
		return DecideScheduled
	case Aborted:
		return DecideAborted
	}
	return DecideStop
}

// sleepFor is the sleep that an attempt_end tells of.
func (d *decision) sleepFor(reason StopReason) time.Duration {
	if reason == NotStopped || reason == Scheduled {
		return d.sleep
	}
	return 0
}

// listening reports whether anybody wants events, so that none is built in vain.
func (c *call) listening() bool { return c.settings.observer != nil || c.settings.timeline }

// emit completes an event and tells it.
func (c *call) emit(e Event) {
	e.Time, e.Elapsed = c.session.now(), c.session.elapsed()
	e.Policy, e.Operation, e.Revision = c.policy.spec.Name, c.session.operation, c.policy.spec.Revision
	e.Labels, e.Attempt = c.settings.labels, c.session.attempts
	if e.Kind == AttemptEnd {
		e.Took = c.session.at - c.began
		e.evidence = c.record
	}
	if c.settings.timeline {
		kept := e
		kept.evidence = nil
		if !c.settings.timelineErrors {
			kept.Err = nil
		}
		c.timeline = append(c.timeline, kept)
	}
	if c.settings.observer != nil {
		c.policy.observe(c.ctx, c.settings.observer, e)
	}
}

type edge bool

const (
	startOfCall edge = true
	endOfCall   edge = false
)

// tellCallObservers tells o of the start or the end of the call if it is a CallObserver,
// and those that it joins.
func (c *call) tellCallObservers(o Observer, at edge) {
	switch o := o.(type) {
	case nil:
	case fanOut:
		for _, one := range o {
			c.tellCallObservers(one, at)
		}
	case CallObserver:
		c.watched = true
		if at == startOfCall {
			c.startCall(o)
		} else {
			c.endCall(o)
		}
	}
}

func (c *call) startCall(o CallObserver) {
	defer c.containObserver()
	e := Event{
		Time: c.session.now(), Elapsed: c.session.elapsed(), Policy: c.policy.spec.Name, Operation: c.session.operation,
		Revision: c.policy.spec.Revision, Labels: c.settings.labels, Attempt: c.session.attempts,
	}
	if ctx := o.StartCall(c.ctx, e); ctx != nil {
		c.ctx = ctx
	}
}

func (c *call) endCall(o CallObserver) {
	defer c.containObserver()
	o.EndCall(c.ctx)
}

// containObserver, deferred, ends a panic of an observer.
func (c *call) containObserver() {
	if recover() != nil {
		c.policy.counters.observerPanics.Add(1)
	}
}

func (p *revision) observe(ctx context.Context, o Observer, e Event) {
	defer func() {
		if recover() != nil {
			p.counters.observerPanics.Add(1)
		}
	}()
	tell(ctx, o, e)
}

// reportBreaker tells of a transition, if there was one.
func (c *call) reportBreaker(moved change) {
	if moved.sequence == 0 || !c.listening() {
		return
	}
	e := Event{Breaker: c.policy.spec.Breaker.Name(), From: moved.from, To: moved.to, Sequence: moved.sequence}
	switch moved.to {
	case Open:
		e.Kind = EventCircuitOpened
	case HalfOpen:
		e.Kind = EventCircuitHalfOpen
	default:
		e.Kind = EventCircuitClosed
	}
	c.emit(e)
}

func (c *call) reportAll(faults []fault) {
	for i := range faults {
		c.report(faults[i])
	}
}

// report counts something contained, and tells of it. Functions that err may have
// taken their time.
func (c *call) report(f fault) {
	c.policy.counters.ruleErrors.Add(1)
	c.readClock()
	if c.listening() {
		c.emit(Event{Kind: EventRuleError, Rule: f.rule, Selector: f.selector, Strategy: f.strategy, Note: f.note, Err: f.err})
	}
}
