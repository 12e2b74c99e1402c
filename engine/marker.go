package engine

import (
	"errors"
	"time"
)

// Markers say in code what kind of failure an error is. The rules of a policy can
// read them as err.marker; every built-in pack follows them, and so does a policy of
// which no rule holds. A marked error prints as the error does, and errors.Is and
// errors.As reach it. Of several markers in a chain the outermost counts. Marking
// nil gives nil, so that `return MarkPermanent(f())` is safe.

// MarkAuth says that credentials are missing, wrong or expired: class AUTH.
func MarkAuth(err error) error { return mark(err, Auth, 0) }

// MarkPermission says that a known caller may not do this: class PERMISSION.
func MarkPermission(err error) error { return mark(err, Permission, 0) }

// MarkPermanent says that the same request will fail again: class PERMANENT.
func MarkPermanent(err error) error { return mark(err, Permanent, 0) }

// MarkConcurrency says that a race was lost, by a conflict or a deadlock: class
// CONCURRENCY.
func MarkConcurrency(err error) error { return mark(err, Concurrency, 0) }

// MarkRateLimit says that the dependency asks for fewer requests: class RATE_LIMIT.
// after is how long it asked to wait, and becomes err.retry_after; zero and less
// mean that it did not say.
func MarkRateLimit(err error, after time.Duration) error { return mark(err, RateLimit, after) }

// MarkServerError says that the dependency failed by itself: class SERVER_ERROR.
func MarkServerError(err error) error { return mark(err, ServerError, 0) }

// MarkTransient says that the path to the dependency failed, and may work the next
// time: class TRANSIENT.
func MarkTransient(err error) error { return mark(err, Transient, 0) }

// MarkUnknown says that nobody knows what this failure is: class UNKNOWN, which is
// retried little.
func MarkUnknown(err error) error { return mark(err, Unknown, 0) }

// MarkPhase says in code whether the request had left, whatever the errors that err
// wraps tell of it: NotSent that the dependency cannot have acted on it, or that what it
// did was undone. It is what err.phase is, and what calls with [NotIdempotent] go by. A
// marked error prints as the error does, and errors.Is and errors.As reach it. Of several
// marks along one chain the outermost counts. MarkPhase(nil, p) is nil.
func MarkPhase(err error, p Phase) error {
	if err == nil {
		return nil
	}
	return &phaseError{err: err, phase: p}
}

// ErrAbort is what errors.Is finds in every error made by [Abort]. An operation that
// has no error of its own to give may return it.
var ErrAbort = errors.New("engine: aborted")

// Abort has the call stop with ABORTED, whatever its policy says of err, and so do
// the calls around it. The error prints as err does, and errors.Is and errors.As
// reach it. Abort(nil) is nil: to stop without an error, return [ErrAbort].
func Abort(err error) error {
	if err == nil {
		return nil
	}
	return &abortError{err}
}

func mark(err error, c Class, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &markedError{err: err, class: c, after: max(after, 0)}
}

// A markedError carries a class, and how long to wait.
type markedError struct {
	err   error
	class Class
	after time.Duration
}

func (m *markedError) Error() string { return m.err.Error() }
func (m *markedError) Unwrap() error { return m.err }

// RetryAfter is the hint of a marker; zero is none.
func (m *markedError) RetryAfter() time.Duration { return m.after }

// A phaseError carries a phase.
type phaseError struct {
	err   error
	phase Phase
}

func (e *phaseError) Error() string       { return e.err.Error() }
func (e *phaseError) Unwrap() error       { return e.err }
func (e *phaseError) FailurePhase() Phase { return e.phase }

// An abortError asks for the end of the call.
type abortError struct{ err error }

func (a *abortError) Error() string        { return a.err.Error() }
func (a *abortError) Unwrap() error        { return a.err }
func (a *abortError) Is(target error) bool { return target == ErrAbort }

// aborted reports whether the operation asked for the end of the call: whether
// [ErrAbort] is anywhere in the chain, inner calls included.
func aborted(err error) bool { return err != nil && anyIs(err, ErrAbort) }
