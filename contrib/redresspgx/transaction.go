package redresspgx

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/redresssql"
)

// A Beginner begins transactions, as *pgxpool.Pool, *pgxpool.Conn and *pgx.Conn do. The
// latter two stay with one connection: once that is lost, no attempt can succeed.
type Beginner interface {
	BeginTx(context.Context, pgx.TxOptions) (pgx.Tx, error)
}

// Do runs fn in a transaction, which it begins with txOpts, commits when fn returns nil, and
// rolls back when fn returns an error, panics or ends its goroutine. If the policy says so,
// all of that is tried again. The error is that of redress.Do; errors.Is and errors.As reach
// pgx's.
//
// fn may run several times, and must do nothing but work on tx that would do harm if done
// twice: no messages, no calls of other services. It must not commit or roll back, though
// savepoints (tx.Begin) are fine, and should return the first error it meets: PostgreSQL
// turns the COMMIT of a transaction in which a statement failed into a rollback. Its context
// ends with the attempt; what it has not finished by then is not committed.
//
// Calls are redress.NotIdempotent here, which for a transaction means that none is tried
// again after its COMMIT may have taken effect. For a transaction that can do no harm twice,
// give redress.Idempotent with the call.
func Do(ctx context.Context, db Beginner, txOpts pgx.TxOptions, p *redress.Policy, fn func(context.Context, pgx.Tx) error, opts ...redress.Option) error {
	_, err := Call(ctx, db, txOpts, p, func(ctx context.Context, tx pgx.Tx) (struct{}, error) {
		return struct{}{}, fn(ctx, tx)
	}, opts...)
	return err
}

// Call is [Do] for transactions that have a value. It returns the value of the transaction
// that was committed, or that redresssql.ErrCommitUnknown is about; of all others nothing
// came to be, and the value is zero. Rules of classify_result see the value when the
// transaction has been committed: a result that they take for a failure is returned with an
// error, and the transaction is not run again.
func Call[T any](ctx context.Context, db Beginner, txOpts pgx.TxOptions, p *redress.Policy, fn func(context.Context, pgx.Tx) (T, error), opts ...redress.Option) (T, error) {
	opts = slices.Insert(slices.Clone(opts), 0, redress.NotIdempotent())
	return redress.Call(ctx, p, func(ctx context.Context) (T, error) { return attempt(ctx, db, txOpts, fn) }, opts...)
}

// attempt runs one transaction.
func attempt[T any](ctx context.Context, db Beginner, txOpts pgx.TxOptions, fn func(context.Context, pgx.Tx) (T, error)) (T, error) {
	var none T
	tx, err := db.BeginTx(ctx, txOpts)
	if err != nil {
		return none, engine.MarkPhase(err, engine.NotSent)
	}
	returned := false
	defer func() {
		if !returned {
			_ = tx.Rollback(ctx)
		}
	}()
	v, err := fn(ctx, tx)
	returned = true
	if err == nil {
		err = ctx.Err() // nobody waits for this transaction any more
	}
	if err != nil {
		return none, undone(err, tx.Rollback(ctx)) // closes the connection if ctx has ended
	}
	switch err := redresssql.CommitError(tx.Commit(ctx)); {
	case errors.Is(err, redresssql.ErrCommitUnknown):
		return v, err
	case err != nil:
		return none, err
	}
	return v, nil
}

// undone is the error of a transaction that was rolled back, and so may be run again;
// unless fn ended it in its own way, or an inner transaction may have been committed.
func undone(err, rollback error) error {
	switch {
	case errors.Is(rollback, pgx.ErrTxClosed), errors.Is(err, redresssql.ErrCommitUnknown):
		return engine.MarkPhase(err, engine.Sent)
	case rollback != nil && !pgconn.SafeToRetry(rollback): // the server rolls back when the connection is gone
		err = fmt.Errorf("%w (rollback: %v)", err, rollback)
	}
	return engine.MarkPhase(err, engine.NotSent)
}
