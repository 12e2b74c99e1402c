package engine

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// This is the only file that sleeps. The operation is called here and, at first, in
// opening.go, which read the clock too; so does context.go, for the operation's sake.

// Call runs fn under the policy, on this goroutine: until it succeeds, or the policy
// says that it is enough. It returns the value of the last attempt and, if the call
// did not succeed, an [*Error] that wraps fn's own last error. A value beside an
// error is what the last attempt returned; it is zero if there was none.
//
// The context handed to fn ends with ctx, at the policy's deadline and at the
// attempt's timeout; fn is expected to return soon after. It is cancelled when fn
// returns an error, and when another attempt follows.
func Call[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), opts ...Option) (T, error) {
	if v, ok, err := callShort(ctx, p, fn, opts); ok {
		return v, err
	}
	var c call
	c.begin(ctx, p, opts)
	v := run(&c, fn)
	return v, c.err()
}

// Do is Call for operations without a value.
func Do(ctx context.Context, p *Policy, fn func(context.Context) error, opts ...Option) error {
	_, err := Call(ctx, p, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, opts...)
	return err
}

// Execute is Call, but returns all there is to know, and never an error.
func Execute[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), opts ...Option) Outcome[T] {
	var c call
	c.begin(ctx, p, opts)
	c.timed = true
	v := run(&c, fn)
	return outcomeOf(&c, v)
}

// run is the one loop behind every verb.
func run[T any](c *call, fn func(context.Context) (T, error)) (v T) {
	defer c.close()
	if c.policy.spec.Mode != Enforce {
		return runOnce(c, fn)
	}
	return attempts(c, fn, v, c.enter())
}

// resume is run for a call that opening.go began, whose first attempt returned v and err.
func resume[T any](c *call, fn func(context.Context) (T, error), v T, err error) T {
	defer c.close()
	again := false
	if err != nil {
		c.inOperation = false
		again = c.judgeFailed(err)
	} else {
		again = c.judgeResult(v, nil)
	}
	v, again = pause(c, v, again)
	return attempts(c, fn, v, again)
}

// attempts makes attempts as long as there is to be another one.
func attempts[T any](c *call, fn func(context.Context) (T, error), v T, again bool) T {
	for again {
		var err error
		v, err = fn(c.startAttempt())
		v, again = pause(c, v, judge(c, v, err))
	}
	return v
}

// judge goes on after an attempt that returned v and err.
func judge[T any](c *call, v T, err error) (again bool) {
	if err == nil && c.looksAtResults() {
		return c.judgeResult(v, resultError(c, v))
	}
	return c.judgeError(err)
}

// pause waits before the next attempt, and gives up what the last one returned, if there
// is to be one.
func pause[T any](c *call, v T, again bool) (T, bool) {
	if !again {
		return v, false
	}
	v = suspend(c, v)
	if !c.sleep() {
		return v, false
	}
	discard(c, v)
	return v, true
}

// looksAtResults reports whether a value without an error may be a failure.
func (c *call) looksAtResults() bool {
	return c.policy.spec.ClassifyResult != nil || c.settings.resultError != nil
}

// resultError asks the function of WithResultError.
func resultError[T any](c *call, v T) (err error) {
	f, ok := c.settings.resultError.(func(T) error)
	if !ok || f == nil {
		return nil
	}
	defer c.containHook("a result error function panicked")
	return f(v)
}

// suspend has the function of WithSuspend exchange a value before the call waits.
func suspend[T any](c *call, v T) (kept T) {
	f, ok := c.settings.suspend.(func(T) T)
	if !ok || f == nil {
		return v
	}
	kept = v
	defer c.containHook("a suspend function panicked")
	return f(v)
}

// discard gives a value that the caller will not get to the function of WithDiscard.
func discard[T any](c *call, v T) {
	f, ok := c.settings.discard.(func(T))
	if !ok || f == nil {
		return
	}
	defer c.containHook("a discard function panicked")
	f(v)
}

// A call is one run of an operation under a policy: the half that does. It lives on
// the stack of the goroutine that makes it.
type call struct {
	ctx      context.Context
	policy   *revision
	settings settings
	session  session

	ahead          time.Duration // of the call's time to a clock that ran backwards
	callerDeadline time.Duration // as session.at
	callerLimited  bool
	timed          bool // the outcome tells how long it took
	stepwise       bool // retries are handed out as states, see Step
	admitted       bool // the breaker's ticket is not yet given back
	watched        bool // a CallObserver was told of the start
	inOperation    bool
	began          time.Duration // the last attempt, as session.at
	record         *record       // nil until an attempt has failed
	attempt        *lazyContext  // of the last attempt; nil if that got the caller's

	reason    StopReason // NotStopped until the call ends
	note      string
	selector  string
	strategy  string
	pause     time.Duration // before the next attempt, once it has been decided
	nextDelay time.Duration
	ended     error // context.Cause of the caller's context, if that ended the call
	timeline  Timeline
}

func (c *call) begin(ctx context.Context, p *Policy, opts []Option) {
	c.ctx, c.policy, c.settings = ctx, p.current.Load(), p.settings
	c.settings.apply(opts)
	c.settings.observer = observerOf(&c.policy.spec, &c.settings)
	if clock := c.settings.clock; clock != nil {
		c.beginSession(clock.Now())
	} else {
		c.beginSession(time.Now())
	}
}

// beginSession begins what decides, for a call that began at zero.
func (c *call) beginSession(zero time.Time) {
	s := &c.session // zero so far; setting fields is quicker than copying a session
	s.policy, s.operation = c.policy, c.settings.operation
	s.notIdempotent, s.notReplayable = c.settings.notIdempotent, c.settings.notReplayable
	s.zero, s.deadline = zero, c.policy.spec.Deadline
	deadline, limited := c.ctx.Deadline()
	if limited {
		c.callerDeadline, c.callerLimited = s.place(deadline), true
		s.deadline = min(s.deadline, c.callerDeadline)
	}
}

// beginStep is begin for one step of a call. The caller's deadline bounds this step
// alone, not the sleep after it.
func (c *call) beginStep(ctx context.Context, p *Policy, state StepState, opts []Option) error {
	c.begin(ctx, p, opts)
	c.stepwise, c.timed = true, true
	if state.Version == 0 {
		c.session.deadline = c.policy.spec.Deadline
		return nil
	}
	return c.session.resume(&state)
}

// readClock keeps the time of the call. It never runs backwards: what a clock is set
// back by is made good, so that no clock makes a call outlive its deadline. The
// system's clock needs no such help: after the beginning its monotonic reading alone is
// looked at, which takes half as long.
func (c *call) readClock() {
	if c.settings.clock == nil {
		c.session.at = time.Since(c.session.zero)
		return
	}
	c.notBefore(c.session.at)
}

// notBefore reads a clock other than the system's; it must have come to t at least.
func (c *call) notBefore(t time.Duration) {
	s := &c.session
	s.at = s.place(c.settings.clock.Now()) + c.ahead
	if late := t - s.at; late > 0 {
		c.ahead += late
		s.at = t
	}
}

func (c *call) random() float64 {
	if c.settings.random != nil {
		return c.settings.random()
	}
	return systemRand()
}

// enter asks everybody who can refuse the call before its first attempt.
func (c *call) enter() bool {
	c.tellCallObservers(c.settings.observer, startOfCall)
	if !c.mayGoOn() {
		return false
	}
	if c.session.attempts >= c.policy.spec.MaxAttempts {
		return c.refuse()
	}
	b := c.policy.spec.Breaker
	if b == nil {
		return true
	}
	ticket, moved, ok := b.admit(c.session.now())
	if !ok {
		return c.finish(CircuitOpen)
	}
	c.session.ticket, c.admitted = ticket, true
	c.reportBreaker(moved)
	return true
}

// refuse ends a call that may not make its first attempt: its state comes from under
// a revision that allowed more of them, or its policy is none any more.
func (c *call) refuse() bool {
	if c.policy.spec.MaxAttempts > 0 {
		return c.finish(MaxAttemptsGlobal)
	}
	c.session.last.err, c.note = ErrPolicyRemoved, "a reload removed the policy"
	return c.finish(Aborted)
}

// mayGoOn looks at what can end a call between attempts: the caller's context, the
// abort function, the deadline.
func (c *call) mayGoOn() bool {
	if reason := c.callerEnded(); reason != NotStopped {
		return c.finish(reason)
	}
	if c.aborts() {
		return c.finish(Aborted)
	}
	if c.session.late(0) {
		return c.finish(DeadlineExceeded)
	}
	return true
}

// callerEnded says whether the caller's context has ended, by itself or by the
// call's clock, and how.
func (c *call) callerEnded() StopReason {
	if err := c.ctx.Err(); err != nil {
		return c.endedBy(err)
	}
	if c.callerLimited && c.session.at >= c.callerDeadline {
		c.ended = context.DeadlineExceeded
		return DeadlineExceeded
	}
	return NotStopped
}

func (c *call) endedBy(err error) StopReason {
	if c.ended = context.Cause(c.ctx); c.ended == nil {
		c.ended = err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return DeadlineExceeded
	}
	return Canceled
}

// aborts asks the abort function.
func (c *call) aborts() (yes bool) {
	if c.settings.abort == nil {
		return false
	}
	defer c.containHook("the abort function panicked and was not heeded")
	return c.settings.abort(c.ctx)
}

// replayable asks the function of WithReplayable.
func (c *call) replayable() (yes bool) {
	if c.settings.replayable == nil {
		return true
	}
	defer c.containHook("the replayable function panicked, which counts as no")
	return c.settings.replayable()
}

// containHook, deferred, ends a panic of a function that the caller gave, and reports it.
func (c *call) containHook(note string) {
	if v := recover(); v != nil {
		c.policy.counters.hookPanics.Add(1)
		c.report(fault{note: note, err: &panicError{v}})
	}
}

// startAttempt begins an attempt and returns the context for it.
func (c *call) startAttempt() context.Context {
	c.attempt.cancel()
	c.session.attempts++
	c.began = c.session.at
	ctx := c.attemptContext()
	if c.listening() {
		c.emit(Event{Kind: AttemptStart})
	}
	c.inOperation = true
	return ctx
}

// attemptContext makes the context of the attempt that begins, unless the caller's will do.
func (c *call) attemptContext() context.Context {
	timeout := c.policy.spec.AttemptTimeout
	if c.settings.callerContext && timeout == 0 {
		return c.ctx
	}
	deadline := c.session.deadline
	if timeout > 0 {
		deadline = c.session.at + min(timeout, c.session.remaining())
	}
	if c.callerLimited {
		deadline = min(deadline, c.callerDeadline)
	}
	c.attempt = newAttemptContext(c.ctx, c.session.zero.Add(deadline-c.ahead), c.policy, c.session.operation, c.session.attempts)
	if c.settings.clock != nil {
		c.attempt.clock = new(c.settings.clock)
	}
	return c.attempt
}

// judgeError goes on after an attempt that returned err, which may be nil.
func (c *call) judgeError(err error) (again bool) {
	c.inOperation = false
	if err == nil {
		return c.succeed()
	}
	c.readClock()
	return c.judgeFailed(err)
}

// judgeFailed goes on after an attempt that has just returned the error err.
func (c *call) judgeFailed(err error) (again bool) {
	c.attempt.cancel()
	ended := c.callerEnded()
	if ended == Canceled {
		return c.giveUp(Canceled, CauseError, err)
	}
	if ended == NotStopped && aborted(err) {
		return c.giveUp(Aborted, CauseError, err)
	}
	r := c.newRecord()
	r.failure.begin(&r.source, err, c.policy.spec.Attributes, maxInner)
	var j judgement
	c.policy.judgeError(&r.input, &r.failure, &j)
	c.reportAll(j.faults)
	return c.fail(&j, CauseError, err, ended)
}

// judgeResult goes on after an attempt that returned a value and no error. The rules for
// results are asked first; of what they do not know, failure, if there is one, is
// classified as an error is.
func (c *call) judgeResult(value any, failure error) (again bool) {
	c.inOperation = false
	if c.policy.spec.ClassifyResult != nil && !c.policy.silent(value) {
		c.readClock()
		r := c.newRecord()
		r.failure.beginResult(&r.source, value, c.policy.spec.ResultAttributes)
		var j judgement
		c.policy.judgeResult(&r.input, &r.failure, &j)
		c.reportAll(j.faults)
		if j.class != NoClass {
			r.failed = failure != nil
			return c.failResult(&j, nil)
		}
	}
	if failure == nil {
		return c.succeed()
	}
	c.readClock()
	r := c.newRecord()
	r.failure.begin(&r.source, failure, c.policy.spec.Attributes, maxInner)
	r.failed = true
	var j judgement
	c.policy.judgeError(&r.input, &r.failure, &j)
	c.reportAll(j.faults)
	return c.failResult(&j, failure)
}

// silent reports whether the rules for results are known to say nothing of value.
func (p *revision) silent(value any) bool {
	silent := p.spec.SilentResult
	if silent == nil || p.spec.ResultAttributes != nil {
		return false
	}
	if r, ok := value.(*http.Response); ok && r != nil { // the most frequent, told at once
		return silent(validStatus(r.StatusCode))
	}
	return resultGiven(value) == nil && silent(resultStatus(value))
}

func (c *call) failResult(j *judgement, err error) (again bool) {
	c.attempt.release() // the value may yet be what the caller gets
	return c.fail(j, CauseResult, err, c.callerEnded())
}

// A record is what rules are shown of an attempt: one for all attempts of a call, and then
// for those of another. Neither the functions of a policy nor events keep it.
type record struct {
	input   Input
	failure Failure
	source  source
	failed  bool // of results: the rules for errors are to be asked too
}

var records = sync.Pool{New: func() any { return new(record) }}

// newRecord begins the record of the attempt that has just ended.
func (c *call) newRecord() *record {
	if c.record == nil {
		c.record = records.Get().(*record)
	} else {
		c.record.failure = Failure{}
	}
	c.session.tell(&c.record.input)
	c.record.source.now = c.session.moment
	c.record.failed = false
	return c.record
}

// succeed ends the call. What time it is matters only to those who are told, to strategies
// that learn, and to a breaker's probe.
func (c *call) succeed() (again bool) {
	if c.timed || c.listening() || len(c.policy.learners) > 0 || c.session.ticket.probe != 0 {
		c.readClock()
	}
	c.attempt.release()
	c.reportAll(c.policy.learn(&c.session, true))
	if c.listening() {
		c.emit(Event{Kind: AttemptEnd, Decision: DecideSuccess, Reason: Success})
	}
	return c.finish(Success)
}

// fail decides what follows from a classified failure, and tells of it. It returns true
// if the call is to pause and then try again.
func (c *call) fail(j *judgement, cause Cause, err error, ended StopReason) (again bool) {
	c.session.fail(j, cause, err)
	c.reportAll(c.policy.learn(&c.session, false))
	d := decision{reason: ended, hint: j.hint, hasHint: j.hasHint}
	switch {
	case ended != NotStopped:
	case c.aborts():
		d.reason = Aborted
	default:
		c.session.notReplayable = c.session.notReplayable || !c.replayable()
		c.session.respond(&d, &c.record.input, j, c.random())
		c.reportAll(d.faults)
	}
	c.note, c.selector, c.strategy = d.note, d.selector, d.strategy
	if d.reason == NotStopped {
		d.reason = c.negotiate(&d)
	}
	if c.listening() {
		c.tellFailed(&d)
	}
	if d.reason != NotStopped {
		return c.finish(d.reason)
	}
	c.pause = d.sleep
	return true
}

// giveUp ends the call after an attempt that is not classified.
func (c *call) giveUp(reason StopReason, cause Cause, err error) (again bool) {
	c.session.last.err, c.session.last.cause = err, cause
	c.note, c.selector, c.strategy = "", "", ""
	if c.listening() {
		c.emit(Event{Kind: AttemptEnd, Decision: decisionOf(reason), Reason: reason, Cause: cause, Err: err})
	}
	return c.finish(reason)
}

// negotiate announces a retry, and lets the caller's functions say what becomes of
// it. It returns NotStopped to sleep.
func (c *call) negotiate(d *decision) StopReason {
	s := &c.session
	if c.listening() {
		c.tellRetry(d)
	}
	action := SleepThenRetry
	hooked := c.settings.beforeSleep != nil || c.settings.sleepHandler != nil
	if hooked {
		action = c.askHooks(d)
	}
	if c.stepwise && action == SleepThenRetry {
		action = DeferRetry
	}
	if hooked || c.listening() {
		c.readClock()
	}
	switch {
	case action == AbortRetry:
		return Aborted
	case s.late(d.sleep): // the functions took their time
		c.note = "the time ran out before the sleep began"
		return DeadlineExceeded
	case action == DeferRetry:
		c.nextDelay = d.sleep
		s.slept(d.sleep)
		return Scheduled
	}
	return NotStopped
}

// askHooks tells the caller's functions of a retry, and asks what becomes of it.
func (c *call) askHooks(d *decision) SleepAction {
	info := c.sleepInfo(d)
	c.tellBeforeSleep(info)
	return c.askSleepHandler(info)
}

func (c *call) sleepInfo(d *decision) SleepInfo {
	s := &c.session
	return SleepInfo{
		Policy:    c.policy.spec.Name,
		Operation: s.operation,
		Attempt:   s.attempts,
		Class:     s.last.class,
		Rule:      s.last.rule,
		Cause:     s.last.cause,
		Strategy:  d.strategy,
		Hint:      d.hint,
		HasHint:   d.hasHint,
		Sleep:     d.sleep,
		Elapsed:   s.elapsed(),
		Remaining: s.remaining(),
		Err:       s.last.err,
		State:     s.state(d.sleep),
	}
}

func (c *call) tellBeforeSleep(info SleepInfo) {
	if c.settings.beforeSleep == nil {
		return
	}
	defer c.containHook("the before-sleep hook panicked and was ignored")
	c.settings.beforeSleep(c.ctx, info)
}

func (c *call) askSleepHandler(info SleepInfo) (action SleepAction) {
	if c.settings.sleepHandler == nil {
		return SleepThenRetry
	}
	defer c.containHook("the sleep handler panicked and was ignored")
	action = c.settings.sleepHandler(c.ctx, info)
	if action > AbortRetry {
		c.report(fault{note: "the sleep handler's answer was ignored", err: errSleepAction})
		return SleepThenRetry
	}
	return action
}

// sleep waits before the next attempt, and reports whether there may be one.
func (c *call) sleep() (again bool) {
	if c.settings.suspend != nil {
		if c.readClock(); c.session.late(c.pause) {
			c.note = "the time ran out before the sleep began"
			return c.finish(DeadlineExceeded)
		}
	}
	c.session.slept(c.pause)
	err := c.wait(c.pause)
	c.note = ""
	if err != nil {
		return c.finish(c.endedBy(err))
	}
	if !c.mayGoOn() {
		return false
	}
	if !c.session.breakerHolds() {
		return c.finish(CircuitOpen)
	}
	return true
}

// wait sleeps. A clock other than the system's that returns without an error is taken
// at its word: the time has passed.
func (c *call) wait(d time.Duration) error {
	clock := c.settings.clock
	if d <= 0 {
		if c.listening() {
			c.readClock()
		}
		return nil
	}
	if clock == nil {
		err := systemClock{}.Sleep(c.ctx, d)
		c.readClock()
		return err
	}
	err := clock.Sleep(c.ctx, d)
	if err != nil {
		c.readClock()
		return err
	}
	c.notBefore(c.session.at + d)
	return nil
}

// finish ends the call: it tells of it, and then gives the breaker's ticket back. It
// returns false, for there is no next attempt.
func (c *call) finish(reason StopReason) bool {
	c.reason = reason
	if c.listening() {
		c.tellEnd()
	}
	if c.admitted {
		c.settle(verdictOf(reason))
	}
	return false
}

// settle gives the breaker's ticket back and reports what changed.
func (c *call) settle(v verdict) {
	c.admitted = false
	c.reportBreaker(c.policy.spec.Breaker.settle(c.session.ticket, v, c.session.last.class, c.session.now()))
}

// close, deferred, gives back what a call still holds when its operation, or a
// function that should not, ended the goroutine or panicked. It does not recover.
func (c *call) close() {
	if c.inOperation {
		c.inOperation = false
		c.attempt.cancel()
		c.readClock()
		if c.listening() {
			c.emit(Event{Kind: AttemptEnd, Decision: DecideStop, Note: "the operation did not return"})
		}
		if c.admitted {
			c.settle(ended)
		}
	}
	if c.admitted {
		c.settle(neutral)
	}
	if c.watched {
		c.tellCallObservers(c.settings.observer, endOfCall)
	}
	if c.record != nil {
		*c.record = record{}
		records.Put(c.record)
	}
}
