package redresspgx_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redresspgx"
)

// A transaction that loses a race, or its connection, is run again, as a whole.
func Example() {
	set, err := redress.Load(os.DirFS("testdata/policies"))
	if err != nil {
		panic(err)
	}
	pool, err := pgxpool.New(context.Background(), os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	n, err := redresspgx.Call(context.Background(), pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, set.MustPolicy("ledger"),
		func(ctx context.Context, tx pgx.Tx) (n int, err error) {
			return n, tx.QueryRow(ctx, "select count(*) from pg_am where amname = 'btree'").Scan(&n)
		})
	fmt.Println(n, err) // 1 <nil>
}

func TestTheExampleRuns(t *testing.T) {
	t.Setenv("DATABASE_URL", dsn(address(t), "postgres", "test"))
	Example()
}
