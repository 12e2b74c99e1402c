package engine

import (
	"context"
	"fmt"
)

// A Mode says how far a policy has its way.
type Mode uint8

// The modes.
const (
	// Enforce does as the policy says.
	Enforce Mode = iota
	// Shadow runs the operation once, as Off does, and tells what the policy would have
	// made of the failure: class and rule stand in events and errors, and the note of
	// attempt_end says what would have been done. Strategies learn; breaker and budget
	// are neither asked nor told.
	Shadow
	// Off runs the operation once, under the caller's context itself, whatever the policy
	// says: no deadline, no breaker, no budget, no rule. An error ends the call with
	// MAX_ATTEMPTS_GLOBAL, without a class. Events are told.
	Off
	modeCount
)

var modeNames = [modeCount]string{"enforce", "shadow", "off"}

// ParseMode finds the mode with that name ("shadow").
func ParseMode(name string) (Mode, bool) {
	for m := range modeCount {
		if modeNames[m] == name {
			return m, true
		}
	}
	return Enforce, false
}

// String returns the mode's name in policies.
func (m Mode) String() string {
	if m < modeCount {
		return modeNames[m]
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// runOnce is the loop of a policy that does not enforce.
func runOnce[T any](c *call, fn func(context.Context) (T, error)) (v T) {
	c.tellCallObservers(c.settings.observer, startOfCall)
	if reason := c.callerEnded(); reason != NotStopped {
		c.finish(reason)
		return v
	}
	c.session.attempts++
	c.began = c.session.at
	if c.listening() {
		c.emit(Event{Kind: AttemptStart})
	}
	c.inOperation = true
	v, err := fn(c.ctx)
	c.inOperation = false
	c.readClock()
	if c.policy.spec.Mode == Shadow {
		c.judgeInShadow(v, err)
	} else {
		c.endOnce(&judgement{}, err, "the policy is off")
	}
	return v
}

// judgeInShadow classifies what the attempt came to, and acts on nothing.
func (c *call) judgeInShadow(value any, err error) {
	var j judgement
	spec := &c.policy.spec
	switch {
	case err != nil:
		r := c.newRecord()
		r.failure.begin(&r.source, err, spec.Attributes, maxInner)
		c.policy.judgeError(&r.input, &r.failure, &j)
	case spec.ClassifyResult != nil && !c.policy.silent(value):
		r := c.newRecord()
		r.failure.beginResult(&r.source, value, spec.ResultAttributes)
		c.policy.judgeResult(&r.input, &r.failure, &j)
	}
	c.reportAll(j.faults)
	c.reportAll(c.policy.learn(&c.session, j.class == NoClass))
	if j.class == NoClass {
		c.endOnce(&j, err, "")
		return
	}
	c.session.fail(&j, causeOf(err), err)
	c.endOnce(&j, err, "in shadow: the policy would "+c.session.wouldDo(&c.record.input, &j, c.random()))
}

func causeOf(err error) Cause {
	if err != nil {
		return CauseError
	}
	return CauseResult
}

// endOnce tells of the only attempt, and ends the call: only an error is a failure.
func (c *call) endOnce(j *judgement, err error, note string) {
	reason := Success
	if err != nil {
		c.session.last.err, c.session.last.cause, c.note = err, CauseError, note
		if reason = c.callerEnded(); reason == NotStopped {
			reason = MaxAttemptsGlobal
		}
	}
	if c.listening() {
		e := Event{Kind: AttemptEnd, Decision: decisionOf(reason), Reason: reason, Class: j.class, Rule: j.rule, Err: err}
		if err != nil || j.class != NoClass {
			e.Cause, e.Note = causeOf(err), note
		}
		c.emit(e)
	}
	c.finish(reason)
}
