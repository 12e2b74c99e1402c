package redress

import (
	"context"
	"log/slog"
	"time"

	"github.com/redress-policy/redress/engine"
)

// Call runs fn under the policy and returns its value. If the call fails it returns
// the last value that fn returned and an [*Error], which wraps fn's own last error:
// errors.Is and errors.As reach it. fn runs on the caller's goroutine, and gets a
// context that ends with the attempt.
func Call[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), opts ...Option) (T, error) {
	return engine.Call(ctx, p, fn, opts...)
}

// Do is Call for operations without a value.
func Do(ctx context.Context, p *Policy, fn func(context.Context) error, opts ...Option) error {
	return engine.Do(ctx, p, fn, opts...)
}

// Execute is Call that returns all there is to know instead of an error.
func Execute[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), opts ...Option) Outcome[T] {
	return engine.Execute(ctx, p, fn, opts...)
}

// Go is Execute on a goroutine of its own. The future can be waited for, cancelled,
// or abandoned.
func Go[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), opts ...Option) *Future[T] {
	return engine.Go(ctx, p, fn, opts...)
}

// Step makes one attempt of a call that goes on later, elsewhere: the state it
// returns is stored with the outcome's NextDelay, and given to the next Step. A call
// begins with the zero StepState. The error says that a state cannot be gone on from.
func Step[T any](ctx context.Context, p *Policy, state StepState, fn func(context.Context) (T, error), opts ...Option) (Outcome[T], StepState, error) {
	return engine.Step(ctx, p, state, fn, opts...)
}

// Attempt is what an operation can know of the attempt that it is.
type Attempt = engine.Attempt

// AttemptFrom returns the attempt that a context belongs to.
func AttemptFrom(ctx context.Context) (Attempt, bool) { return engine.AttemptFrom(ctx) }

// Answers of a sleep handler.
const (
	SleepThenRetry = engine.SleepThenRetry // as without a handler
	DeferRetry     = engine.DeferRetry     // stop with SCHEDULED; somebody retries later
	AbortRetry     = engine.AbortRetry     // stop with ABORTED
)

// WithOperation names what is called, for expressions, events and labels. Give a
// name of a bounded set, not a URL.
func WithOperation(name string) Option { return engine.WithOperation(name) }

// NotIdempotent says that the operation must not happen twice: only failures whose
// phase is not_sent are retried.
func NotIdempotent() Option { return engine.NotIdempotent() }

// Idempotent takes back a NotIdempotent that came before it: of a handle, or of a
// helper that assumes the worst, as redresssql does.
func Idempotent() Option { return engine.Idempotent() }

// NotReplayable says that the operation cannot be run again, because its input is
// used up.
func NotReplayable() Option { return engine.NotReplayable() }

// WithLabels adds labels to the call's events.
func WithLabels(labels map[string]string) Option { return engine.WithLabels(labels) }

// WithObserver has the call's events told to o, in place of the policy's observer.
func WithObserver(o Observer) Option { return engine.WithObserver(o) }

// WithTimeline keeps the call's events in the outcome.
func WithTimeline() Option { return engine.WithTimeline() }

// WithTimelineErrors is WithTimeline with the attempts' errors in it.
func WithTimelineErrors() Option { return engine.WithTimelineErrors() }

// WithClock gives the call another clock, for tests and simulations.
func WithClock(c Clock) Option { return engine.WithClock(c) }

// WithRand gives the call another source of jitter: numbers in [0, 1).
func WithRand(random func() float64) Option { return engine.WithRand(random) }

// WithAbort asks before every attempt and after every failure whether to stop with
// ABORTED.
func WithAbort(abort func(context.Context) bool) Option { return engine.WithAbort(abort) }

// WithBeforeSleep calls hook before every sleep.
func WithBeforeSleep(hook func(context.Context, SleepInfo)) Option {
	return engine.WithBeforeSleep(hook)
}

// WithSleepHandler asks handler what to do instead of sleeping.
func WithSleepHandler(handler func(context.Context, SleepInfo) SleepAction) Option {
	return engine.WithSleepHandler(handler)
}

// WithCallerContext hands the operation the caller's own context instead of one that
// ends with the attempt, so that a successful call allocates nothing.
func WithCallerContext() Option { return engine.WithCallerContext() }

// WithDiscard hands over every value that a later attempt takes the place of, such
// as a response whose body must be closed.
func WithDiscard[T any](discard func(T)) Option { return engine.WithDiscard(discard) }

// Func makes a strategy of a function; see [WithStrategy].
func Func(name string, delay func(DelayInput) Delay) Strategy {
	return engine.Func(name, delay)
}

// Observers makes one observer of several.
func Observers(list ...Observer) Observer { return engine.Observers(list...) }

// Markers say in code what class an error is of. Rules read them as err.marker, the
// built-in packs follow them, and so does a policy of which no rule holds. Marking
// nil gives nil.

// Unauthenticated marks an error with class AUTH.
func Unauthenticated(err error) error { return engine.MarkAuth(err) }

// PermissionDenied marks an error with class PERMISSION.
func PermissionDenied(err error) error { return engine.MarkPermission(err) }

// Permanent marks an error with class PERMANENT.
func Permanent(err error) error { return engine.MarkPermanent(err) }

// Conflict marks an error with class CONCURRENCY.
func Conflict(err error) error { return engine.MarkConcurrency(err) }

// RateLimited marks an error with class RATE_LIMIT; after is how long the dependency
// asked to wait, zero if it did not say.
func RateLimited(err error, after time.Duration) error { return engine.MarkRateLimit(err, after) }

// ServerFault marks an error with class SERVER_ERROR.
func ServerFault(err error) error { return engine.MarkServerError(err) }

// Transient marks an error with class TRANSIENT.
func Transient(err error) error { return engine.MarkTransient(err) }

// Unclassified marks an error with class UNKNOWN.
func Unclassified(err error) error { return engine.MarkUnknown(err) }

// Abort has the call stop with ABORTED, whatever its policy says of err.
func Abort(err error) error { return engine.Abort(err) }

// SlogObserver tells events to a structured logger.
func SlogObserver(l *slog.Logger) Observer { return engine.SlogObserver(l) }

// Hooks are observers for those who want functions of a certain shape.
type (
	// A MetricHook is told event, attempt, sleep and bounded labels.
	MetricHook = engine.MetricHook
	// A LogHook is told event and fields.
	LogHook = engine.LogHook
	// AttemptHooks are told of the start and the end of attempts.
	AttemptHooks = engine.AttemptHooks
)
