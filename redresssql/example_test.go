package redresssql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresssql"
)

const ledger = `
apiVersion: redress/v1
kind: Policy
name: ledger
classify:
  - use: std.sql
retry: {max_attempts: 3, strategy: {full_jitter: {base: 10ms, max: 1s}}}
`

const (
	debit    = "update"
	credit   = "update"
	from, to = 1, 2
)

// A transfer that loses a race once is run again, as a whole.
func ExampleDo() {
	set, _ := redress.Parse("ledger.yaml", []byte(ledger))
	policy, ctx := set.MustPolicy("ledger"), context.Background()
	database := &script{answers: map[string][]error{"update": {nil, state("40001")}}}
	db := sql.OpenDB(database)
	defer db.Close()

	err := redresssql.Do(ctx, db, nil, policy, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, debit, 10, from); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, credit, 10, to)
		return err
	})
	fmt.Println(err, database.sent())
	// Output: <nil> begin update update rollback begin update update commit
}

// When the connection is lost during COMMIT, nobody knows whether the transfer took
// place: look before you do it again.
func ExampleDo_commitUnknown() {
	set, _ := redress.Parse("ledger.yaml", []byte(ledger))
	db := sql.OpenDB(&script{answers: map[string][]error{"commit": {io.ErrUnexpectedEOF}}})
	defer db.Close()

	err := redresssql.Do(context.Background(), db, nil, set.MustPolicy("ledger"), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "update")
		return err
	})
	var e *redress.Error
	fmt.Println(errors.Is(err, redresssql.ErrCommitUnknown), errors.As(err, &e) && e.Reason == redress.ReasonNotIdempotent)
	fmt.Println(e.Err)
	// Output:
	// true true
	// redresssql: the outcome of COMMIT is not known: unexpected EOF
}
