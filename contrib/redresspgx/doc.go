// Package redresspgx runs transactions of pgx under a policy. Begin, work and commit are the
// unit that is tried again:
//
//	err := redresspgx.Do(ctx, pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, policy,
//		func(ctx context.Context, tx pgx.Tx) error {
//			_, err := tx.Exec(ctx, "update accounts set balance = balance - 10 where id = 1")
//			return err
//		})
//
// It is what redresssql is for database/sql, with the same promises: a failure before COMMIT
// was sent, and a COMMIT that the server answered with an error, are retried if the policy
// says so; a COMMIT whose outcome is not known never is, and its error is one of
// redresssql.ErrCommitUnknown.
//
// A query outside a transaction needs nothing of this package: give it to redress.Call, with
// redress.NotIdempotent() if running it twice does harm.
package redresspgx
