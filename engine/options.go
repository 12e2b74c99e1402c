package engine

import (
	"context"
	"maps"
	"time"
)

// An Option says something about one call, or about all calls of a handle made by
// [Policy.Bind]. Of options of the same kind the last counts. The zero Option says
// nothing.
type Option struct {
	kind  optionKind
	text  string
	value any // functions and pointers, which fit without allocating
}

type optionKind uint8

const (
	optNothing optionKind = iota
	optOperation
	optNotIdempotent
	optIdempotent
	optNotReplayable
	optLabels
	optObserver
	optTimeline
	optTimelineErrors
	optClock
	optRand
	optAbort
	optBeforeSleep
	optSleepHandler
	optDiscard
	optSuspend
	optResultError
	optReplayable
	optCallerContext
)

// WithOperation names what the call does ("payments.charge"): rules see it as `op`,
// and it is a label of every event, so keep ids out of it.
func WithOperation(name string) Option { return Option{kind: optOperation, text: name} }

// NotIdempotent says that doing it twice does harm. Then only failures whose phase
// is not_sent are retried; others stop with NOT_IDEMPOTENT.
func NotIdempotent() Option { return Option{kind: optNotIdempotent} }

// Idempotent takes back a [NotIdempotent] that came before it: of a handle, or of a
// helper that assumes the worst.
func Idempotent() Option { return Option{kind: optIdempotent} }

// NotReplayable says that the operation cannot be run again, whatever the failure:
// the first one stops with NOT_REPLAYABLE.
func NotReplayable() Option { return Option{kind: optNotReplayable} }

// WithLabels adds labels to every event. Keep their number and their values bounded.
// The map is copied when the option is made.
func WithLabels(labels map[string]string) Option {
	return Option{kind: optLabels, value: maps.Clone(labels)}
}

// WithObserver has o told of the call's events, in place of the policy's observer;
// nil means nobody. [Observers] joins several.
func WithObserver(o Observer) Option { return Option{kind: optObserver, value: o} }

// WithTimeline keeps the call's events in [Outcome.Timeline], without error values.
func WithTimeline() Option { return Option{kind: optTimeline} }

// WithTimelineErrors is WithTimeline with the error values, which may hold whatever
// the dependency put into them.
func WithTimelineErrors() Option { return Option{kind: optTimelineErrors} }

// WithClock has the call read time from c and sleep on it; nil means the system's.
func WithClock(c Clock) Option { return Option{kind: optClock, value: c} }

// WithRand gives the source of jitter, a function that returns numbers in [0, 1) and
// is safe for use by many goroutines; nil means math/rand/v2. It is asked once for
// each failure that the policy responds to, whether or not a strategy jitters.
func WithRand(random func() float64) Option { return Option{kind: optRand, value: random} }

// WithAbort has the call stop with ABORTED once abort returns true. It is asked
// before the first attempt, after each failure and after each sleep. If it panics,
// the call goes on.
func WithAbort(abort func(ctx context.Context) bool) Option {
	return Option{kind: optAbort, value: abort}
}

// WithBeforeSleep has hook told of every retry before the sleep, and before the
// sleep handler is asked. If it panics, nothing changes.
func WithBeforeSleep(hook func(ctx context.Context, info SleepInfo)) Option {
	return Option{kind: optBeforeSleep, value: hook}
}

// WithSleepHandler has handler choose what becomes of each retry. If it panics, the
// call sleeps as if there were no handler.
func WithSleepHandler(handler func(ctx context.Context, info SleepInfo) SleepAction) Option {
	return Option{kind: optSleepHandler, value: handler}
}

// WithDiscard gives a function for values that the caller will not get: the value of
// each attempt that is followed by another one, just before that begins. Values may
// be zero, as operations return them beside errors. It has effect on calls whose
// operation returns a T. If discard panics, nothing changes.
func WithDiscard[T any](discard func(T)) Option { return Option{kind: optDiscard, value: discard} }

// WithSuspend gives a function for values that hold something which is better given back
// while the call waits, such as a connection. It is given the value of each attempt that
// failed and is to be followed by another one, before the call waits; what it returns
// takes the value's place, and is what the caller gets if the call ends during the wait.
// Its time counts against the deadline. It has effect on calls whose operation returns
// a T. If suspend panics, the value stays.
func WithSuspend[T any](suspend func(T) T) Option { return Option{kind: optSuspend, value: suspend} }

// WithResultError has failure say which values are failures, for operations that return
// an answer of every kind without an error, as HTTP clients do. It is asked of every
// value that came without an error. An error that it returns is classified by the rules
// for errors, unless a rule for results knows the value; nil means that these rules alone
// decide. The failure's cause is a result: the value is kept, its context lives, and the
// caller gets it if the call gives up; the error is [Outcome.LastErr]. It has effect on
// calls whose operation returns a T. If failure panics, that counts as nil.
func WithResultError[T any](failure func(T) error) Option {
	return Option{kind: optResultError, value: failure}
}

// WithReplayable asks replayable after each failure whether the operation can be run
// again. False stops the call with NOT_REPLAYABLE, where nothing else stops it before;
// so does a panic.
func WithReplayable(replayable func() bool) Option {
	return Option{kind: optReplayable, value: replayable}
}

// WithCallerContext hands the operation the caller's own context, so that a successful
// call allocates nothing. The operation must then end by itself: the policy's deadline
// still bounds attempts and sleeps, but does not interrupt an attempt, nor is the context
// cancelled when an attempt fails, and [AttemptFrom] does not find it. Under a policy with
// an attempt timeout the operation gets a context of the attempt's own all the same.
func WithCallerContext() Option { return Option{kind: optCallerContext} }

// A SleepInfo is what is known when a retry has been decided.
type SleepInfo struct {
	Policy    string
	Operation string
	Attempt   int // the one that failed, from 1
	Class     Class
	Rule      string
	Cause     Cause
	Strategy  string
	Hint      time.Duration // what the server asked for
	HasHint   bool
	Sleep     time.Duration // what the strategy chose
	Elapsed   time.Duration // since the call began
	Remaining time.Duration // until the effective deadline
	Err       error         // the attempt's error; nil for results
	// State is what [Step] goes on from, should the retry be deferred.
	State StepState
}

// A SleepAction is a sleep handler's answer.
type SleepAction uint8

// What a sleep handler may answer. Other values count as SleepThenRetry and are
// reported.
const (
	SleepThenRetry SleepAction = iota // as without a handler
	DeferRetry                        // somebody else will retry: the call stops with SCHEDULED and the next delay
	AbortRetry                        // the call stops with ABORTED
)

// settings are the options of a call. The zero settings are the defaults.
type settings struct {
	operation      string
	labels         map[string]string
	observer       Observer
	observed       bool           // the observer is not the policy's
	clock          Clock          // nil: the system's
	random         func() float64 // nil: math/rand/v2
	abort          func(context.Context) bool
	beforeSleep    func(context.Context, SleepInfo)
	sleepHandler   func(context.Context, SleepInfo) SleepAction
	discard        any // a func(T) for the call's T
	suspend        any // a func(T) T
	resultError    any // a func(T) error
	replayable     func() bool
	notIdempotent  bool
	notReplayable  bool
	callerContext  bool
	timeline       bool
	timelineErrors bool
}

// observerOf returns who is told of a call; nil is nobody.
func observerOf(spec *Spec, s *settings) Observer {
	if s.observed {
		return s.observer
	}
	return spec.Observer
}

func (s *settings) apply(opts []Option) {
	for i := range opts {
		s.set(&opts[i])
	}
}

func (s *settings) set(o *Option) {
	switch o.kind {
	case optOperation:
		s.operation = o.text
	case optNotIdempotent:
		s.notIdempotent = true
	case optIdempotent:
		s.notIdempotent = false
	case optNotReplayable:
		s.notReplayable = true
	case optLabels:
		s.labels, _ = o.value.(map[string]string)
	case optObserver:
		s.observer, _ = o.value.(Observer)
		s.observed = true
	case optTimeline:
		s.timeline, s.timelineErrors = true, false
	case optTimelineErrors:
		s.timeline, s.timelineErrors = true, true
	case optClock:
		s.clock, _ = o.value.(Clock)
	case optRand:
		s.random, _ = o.value.(func() float64)
	case optAbort:
		s.abort, _ = o.value.(func(context.Context) bool)
	case optBeforeSleep:
		s.beforeSleep, _ = o.value.(func(context.Context, SleepInfo))
	case optSleepHandler:
		s.sleepHandler, _ = o.value.(func(context.Context, SleepInfo) SleepAction)
	case optDiscard:
		s.discard = o.value
	case optSuspend:
		s.suspend = o.value
	case optResultError:
		s.resultError = o.value
	case optReplayable:
		s.replayable, _ = o.value.(func() bool)

	case optCallerContext:
		s.callerContext = true
	}
}
