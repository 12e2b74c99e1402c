package engine

import (
	"fmt"
	"math"
	"time"
)

// A session decides what becomes of one call: how often it is tried, how long it
// sleeps, why it stops. Time and randomness are given to it. It belongs to one
// goroutine; what it shares with other calls (breaker, budget, strategies) guards
// itself.
type session struct {
	policy        *revision
	operation     string
	notIdempotent bool
	notReplayable bool

	// The moment at which the clock was last read. Zero is when this run of the call began;
	// other times of a session are counted from there too.
	moment
	start    time.Duration // of the call: before zero if an earlier step began it
	deadline time.Duration // the earlier of the policy's and the caller's
	resumed  *StepState    // nil unless an earlier step began the call

	ticket ticket // of the breaker, if there is one

	attempts int               // begun so far
	failures [classCount]int32 // of each class so far
	prev     time.Duration     // the last sleep
	hasPrev  bool
	last     failureNote
}

// A failureNote is what is remembered of the last failure.
type failureNote struct {
	class Class
	rule  string
	cause Cause
	err   error
}

// A decision is what follows from an attempt that failed.
type decision struct {
	reason   StopReason // NotStopped to retry
	sleep    time.Duration
	note     string
	selector string
	strategy string
	hint     time.Duration
	hasHint  bool
	faults   []fault // contained on the way, in order
}

// place returns t as session.at is. What is further away than a call can take is put where
// sums do not overflow.
func (s *session) place(t time.Time) time.Duration {
	const far = math.MaxInt64 / 2 // 146 years
	return min(max(t.Sub(s.zero), -far), far)
}

// elapsed is how long the call has taken so far.
func (s *session) elapsed() time.Duration { return s.at - s.start }

// remaining is how long the call may go on.
func (s *session) remaining() time.Duration { return s.deadline - s.at }

// tell sets what rules may know of the call. The rest of in is theirs, or set by
// those who classify and select.
func (s *session) tell(in *Input) {
	in.Operation, in.Attempt, in.Idempotent = s.operation, s.attempts, !s.notIdempotent
	in.Elapsed, in.Remaining = s.elapsed(), s.remaining()
	in.Class, in.ClassAttempt, in.RetryAfter, in.HasRetryAfter = NoClass, 0, 0, false
}

// fail notes a classified failure.
func (s *session) fail(j *judgement, cause Cause, err error) {
	s.failures[j.class]++
	// Field by field: a copy of what has just been written waits for it.
	s.last.class, s.last.rule, s.last.cause, s.last.err = j.class, j.rule, cause, err
}

// respond decides what follows from the failure that fail has just noted: the first
// of the conditions that holds. What comes before them, the end of the caller's
// context and an abort, is the caller's to look at.
func (s *session) respond(d *decision, in *Input, j *judgement, u float64) {
	if d.reason = s.forbidden(j); d.reason != NotStopped {
		return
	}
	now := s.now()
	if s.wait(d, in, j, now, u); d.reason != NotStopped {
		return
	}
	if s.late(d.sleep) {
		d.note = fmt.Sprintf("a sleep of %v does not fit into the %v that remain", d.sleep, max(s.remaining(), 0))
		d.stop(DeadlineExceeded)
		return
	}
	if !s.breakerHolds() {
		d.stop(CircuitOpen)
		return
	}
	if b := s.policy.spec.Budget; b != nil && !b.take(now) {
		d.note = b.describe()
		d.stop(BudgetExhausted)
	}
}

// forbidden says what keeps the call from being tried again, whenever that would be.
func (s *session) forbidden(j *judgement) StopReason {
	if reason := s.capped(j); reason != NotStopped {
		return reason
	}
	if s.notIdempotent {
		if j.record.Need(ReadWhat); j.record.Phase != NotSent {
			return ReasonNotIdempotent
		}
	}
	if s.notReplayable {
		return ReasonNotReplayable
	}
	if s.attempts >= s.policy.spec.MaxAttempts {
		return MaxAttemptsGlobal
	}
	return NotStopped
}

// wouldDo says in words how the policy would respond to the first failure of a call, but
// for deadline, breaker and budget, which are not asked.
func (s *session) wouldDo(in *Input, j *judgement, u float64) string {
	if reason := s.capped(j); reason != NotStopped {
		return "stop with " + reason.String()
	}
	if s.attempts >= s.policy.spec.MaxAttempts {
		return "stop with " + MaxAttemptsGlobal.String()
	}
	var d decision
	if s.wait(&d, in, j, s.now(), u); d.reason != NotStopped {
		return "stop with " + d.reason.String()
	}
	return fmt.Sprintf("retry in %v, says %s", round(d.sleep), d.strategy)
}

// capped applies what the class alone decides.
func (s *session) capped(j *judgement) StopReason {
	n := int(s.failures[j.class])
	switch limit := s.policy.caps[j.class]; {
	case limit > 0 && n >= limit:
		return MaxAttemptsPerClass
	case !j.class.Retryable():
		return NonRetryableClass
	case j.class == Unknown && n >= s.policy.spec.MaxUnknownAttempts:
		return MaxUnknownAttempts
	}
	return NotStopped
}

// wait looks a strategy up and asks it.
func (s *session) wait(d *decision, in *Input, j *judgement, now time.Time, u float64) {
	in.Failure = j.record
	in.Class, in.ClassAttempt = j.class, int(s.failures[j.class])
	in.RetryAfter, in.HasRetryAfter = j.hint, j.hasHint

	chosen, faults := s.policy.choose(in, j.class)
	d.selector, d.faults = chosen.selector, faults
	d.hint, d.hasHint = j.hint, j.hasHint
	if chosen.strategy == nil {
		d.reason = NoStrategy
		return
	}
	s.policy.delay(chosen.strategy, &DelayInput{
		Attempt:   s.attempts,
		Prev:      s.prev,
		HasPrev:   s.hasPrev,
		U:         u,
		Class:     j.class,
		Hint:      j.hint,
		HasHint:   j.hasHint,
		Remaining: s.remaining(),
		Now:       now,
	}, d)
}

// late reports whether the deadline has passed, or a sleep from now cannot end
// before it.
func (s *session) late(sleep time.Duration) bool { return sleep >= s.remaining() }

// breakerHolds reports whether the breaker still lets this call make attempts.
func (s *session) breakerHolds() bool {
	b := s.policy.spec.Breaker
	return b == nil || b.holds(s.ticket)
}

// slept notes that the sleep was made, or handed to somebody else.
func (s *session) slept(d time.Duration) { s.prev, s.hasPrev = d, true }

// stop turns a decision to retry into one to stop.
func (d *decision) stop(reason StopReason) { d.reason, d.sleep = reason, 0 }

// verdictOf says what a call that ended for this reason tells the breaker.
func verdictOf(reason StopReason) verdict {
	switch reason {
	case Success:
		return succeeded
	case Canceled, Aborted, Scheduled:
		return neutral
	}
	return failed
}
