package redresssql

import (
	"errors"
	"slices"

	"github.com/redress-policy/redress/engine"
)

// ErrCommitUnknown is what errors.Is finds in the error of a transaction whose COMMIT may
// have taken effect: the connection was lost, or the time ran out, before the server's answer
// came. Look for what the transaction did before you run it again.
var ErrCommitUnknown = errors.New("redresssql: the outcome of COMMIT is not known")

// CommitError says what an error of COMMIT means, for helpers that end transactions by
// themselves. Of nil it is nil. If the server answered that it did not commit, or if COMMIT
// was certainly not sent, the transaction is undone: the error is then marked so that a call
// with [redress.NotIdempotent] may run it again. Every other error is one of
// [ErrCommitUnknown]. Both unwrap to err.
//
// A driver.ErrBadConn counts as unknown, although database/sql asks drivers to return it only
// before they send anything: several have returned it after that.
func CommitError(err error) error {
	if err == nil {
		return nil
	}
	if f := engine.FailureOf(err, nil); refused(f) || f.Phase == engine.NotSent && f.Code != "BAD_CONN" {
		return engine.MarkPhase(err, engine.NotSent)
	}
	return &commitUnknown{engine.MarkPhase(err, engine.Sent)}
}

// refused reports whether a server's answer to COMMIT says that nothing was committed.
// PostgreSQL answers with an error only before it commits; what ends the session (08xxx,
// 57Pxx) is in phase unknown.
func refused(f *engine.Failure) bool {
	return f.Kind == engine.KindSQL && f.Phase == engine.Sent && !slices.Contains(undecided, f.Code)
}

// undecided are answers that leave open what became of COMMIT. MySQL Server Error Message
// Reference: ER_ERROR_DURING_COMMIT, ER_QUERY_INTERRUPTED, ER_QUERY_TIMEOUT; the last one but
// one is MariaDB's ER_STATEMENT_TIMEOUT.
var undecided = []string{"1180", "1317", "1969", "3024"}

// A commitUnknown is an error of ErrCommitUnknown.
type commitUnknown struct{ err error }

func (e *commitUnknown) Error() string        { return ErrCommitUnknown.Error() + ": " + e.err.Error() }
func (e *commitUnknown) Unwrap() error        { return e.err }
func (e *commitUnknown) Is(target error) bool { return target == ErrCommitUnknown }
