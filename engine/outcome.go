package engine

import "time"

// An Outcome is all there is to know about a call that has ended.
type Outcome[T any] struct {
	OK       bool
	Value    T // of the last attempt, also of one that failed
	Reason   StopReason
	Attempts int

	// Of the last failure; a call that succeeded after retries keeps them.
	Class   Class
	Rule    string // "default" or "marker" if no rule held
	Cause   Cause
	LastErr error // what the operation returned; of results what WithResultError said, or nil

	Selector  string // id of the select rule that chose a strategy after the last failure, if one did
	Strategy  string // name of the strategy asked after the last failure
	Note      string // why it stopped, where Reason alone does not say
	Elapsed   time.Duration
	NextDelay time.Duration // of SCHEDULED: when to go on
	Ended     error         // context.Cause of the caller's context, if that ended the call

	Policy    string
	Operation string
	Revision  string
	Timeline  Timeline // with WithTimeline
}

// Err returns nil if the call succeeded, else what [Call] returns: an [*Error].
func (o Outcome[T]) Err() error {
	if o.OK {
		return nil
	}
	return &Error{
		Policy: o.Policy, Operation: o.Operation, Revision: o.Revision, Reason: o.Reason,
		Class: o.Class, Rule: o.Rule, Cause: o.Cause, Attempts: o.Attempts, Elapsed: o.Elapsed,
		NextDelay: o.NextDelay, Note: o.Note, Err: o.LastErr, Ended: o.Ended,
	}
}

// err is what the verbs with an error return.
func (c *call) err() error {
	if c.reason == Success {
		return nil
	}
	last := &c.session.last
	return &Error{
		Policy: c.policy.spec.Name, Operation: c.session.operation, Revision: c.policy.spec.Revision, Reason: c.reason,
		Class: last.class, Rule: last.rule, Cause: last.cause, Attempts: c.session.attempts, Elapsed: c.session.elapsed(),
		NextDelay: c.nextDelay, Note: c.note, Err: last.err, Ended: c.ended,
	}
}

func outcomeOf[T any](c *call, v T) Outcome[T] {
	last := &c.session.last
	return Outcome[T]{
		OK: c.reason == Success, Value: v, Reason: c.reason, Attempts: c.session.attempts,
		Class: last.class, Rule: last.rule, Cause: last.cause, LastErr: last.err,
		Selector: c.selector, Strategy: c.strategy, Note: c.note,
		Elapsed: c.session.elapsed(), NextDelay: c.nextDelay, Ended: c.ended,
		Policy: c.policy.spec.Name, Operation: c.session.operation, Revision: c.policy.spec.Revision,
		Timeline: c.timeline,
	}
}
