// Package redresssql runs transactions of database/sql under a policy. Begin, work and
// commit are the unit that is tried again:
//
//	err := redresssql.Do(ctx, db, nil, policy, func(ctx context.Context, tx *sql.Tx) error {
//		_, err := tx.ExecContext(ctx, "update accounts set balance = balance - 10 where id = 1")
//		return err
//	})
//
// A failure before COMMIT was sent is retried if the policy says so, whatever the
// transaction did, because the server undoes it: serialization failures, deadlocks, lost
// connections. So is a COMMIT that the server answered with an error. If it is not known
// what became of COMMIT, the transaction may be in the database, and the call stops with
// NOT_IDEMPOTENT and [ErrCommitUnknown].
//
// A query outside a transaction needs nothing of this package: give it to redress.Call, with
// redress.NotIdempotent() if running it twice does harm.
package redresssql
