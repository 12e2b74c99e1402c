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

// A transfer that loses a race once is run again, as a whole.
func ExampleDo() {
	set, _ := redress.Parse("ledger.yaml", []byte(ledger))
	db := sql.OpenDB(&script{answers: map[string][]error{"update": {state("40001")}}})
	defer db.Close()

	runs := 0
	err := redresssql.Do(context.Background(), db, &sql.TxOptions{Isolation: sql.LevelDefault}, set.MustPolicy("ledger"),
		func(ctx context.Context, tx *sql.Tx) error {
			runs++
			_, err := tx.ExecContext(ctx, "update")
			return err
		})
	fmt.Println(runs, err)
	// Output: 2 <nil>
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
