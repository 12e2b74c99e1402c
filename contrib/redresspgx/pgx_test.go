package redresspgx_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redresspgx"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
	"github.com/redress-policy/redress/redresssql"
)

func TestMain(m *testing.M) { leak.Main(m) }

func address(t testing.TB) string {
	return proof.Address(t, "REDRESS_TEST_POSTGRES", "127.0.0.1:5432")
}

func dsn(address, user, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable&connect_timeout=10", user, address, database)
}

// open returns a pool whose sessions have a schema of the test's own, with tables accounts
// and journal. When the test ends, no connection may be in use.
func open(t *testing.T, address string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn(address, "postgres", "test"))
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("redress_%d_%d", os.Getpid(), rand.Uint32())
	config.ConnConfig.RuntimeParams["search_path"] = schema
	config.ConnConfig.RuntimeParams["application_name"] = schema
	config.MaxConns = 10
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, pool, "create schema "+schema)
	t.Cleanup(func() {
		tick := time.NewTicker(10 * time.Millisecond) // closed connections leave the pool in a goroutine of its own
		defer tick.Stop()
		for deadline := time.Now().Add(10 * time.Second); pool.Stat().AcquiredConns() != 0 && time.Now().Before(deadline); {
			<-tick.C
		}
		if n := pool.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections were not given back", n)
		}
		exec(t, pool, "drop schema "+schema+" cascade")
		pool.Close()
	})
	exec(t, pool, "create table accounts (id int primary key, balance int not null check (balance >= 0))")
	exec(t, pool, "create table journal (id text primary key, account int not null references accounts)")
	exec(t, pool, "insert into accounts select n, 1000 from generate_series(1, 4) n")
	return pool
}

func exec(t testing.TB, pool *pgxpool.Pool, statement string, args ...any) {
	t.Helper()
	if err := redress.Do(context.Background(), policy(t, "max_attempts: 20, strategy: immediate"), func(ctx context.Context) error {
		_, err := pool.Exec(ctx, statement, args...)
		return err
	}); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t testing.TB, pool *pgxpool.Pool, query string) (n int) {
	t.Helper()
	n, err := redress.Call(context.Background(), policy(t, "max_attempts: 20, strategy: immediate"), func(ctx context.Context) (n int, err error) {
		return n, pool.QueryRow(ctx, query).Scan(&n)
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func policy(t testing.TB, retry string) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("ledger.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: ledger\nclassify:\n  - use: std.sql\nretry: {"+retry+"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("ledger")
}

func TestATransactionThatFailsBeforeCommitIsRunAgain(t *testing.T) {
	pool := open(t, address(t))
	runs := 0
	v, err := redresspgx.Call(t.Context(), pool, pgx.TxOptions{}, policy(t, "max_attempts: 3, strategy: immediate"), func(ctx context.Context, tx pgx.Tx) (int, error) {
		runs++
		if _, err := tx.Exec(ctx, "insert into journal values ('once', 1)"); err != nil {
			return 0, err
		}
		if runs == 1 { // the backend dies under the transaction
			_, err := tx.Exec(ctx, "select pg_terminate_backend(pg_backend_pid())")
			return 0, err
		}
		return runs, nil
	})
	if err != nil || v != 2 || count(t, pool, "select count(*) from journal") != 1 {
		t.Errorf("%d, %v", v, err)
	}
}

// throughCut returns a pool that reaches the same schema through proof.Cut.
func throughCut(t *testing.T, pool *pgxpool.Pool, word string, forward bool) *pgxpool.Pool {
	t.Helper()
	config := pool.Config()
	proxied := proof.Cut(t, address(t), word, forward)
	if _, err := fmt.Sscanf(proxied, "127.0.0.1:%d", &config.ConnConfig.Port); err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Host = "127.0.0.1"
	config.ConnConfig.Fallbacks = nil
	cut, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cut.Close)
	return cut
}

func TestACommitThatIsCutOffIsNotRetried(t *testing.T) {
	for _, row := range []struct {
		name    string
		forward bool
		rows    int
	}{
		{"before the server saw it", false, 0},
		{"before the client saw the answer", true, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			pool := open(t, address(t))
			cut := throughCut(t, pool, "commit", row.forward)
			p := policy(t, "max_attempts: 3, strategy: immediate")
			runs := 0
			write := func(ctx context.Context, tx pgx.Tx) error {
				runs++
				_, err := tx.Exec(ctx, "insert into journal values ($1, 1)", fmt.Sprint("run ", runs))
				return err
			}
			err := redresspgx.Do(t.Context(), cut, pgx.TxOptions{}, p, write)
			var e *redress.Error
			if !errors.As(err, &e) || e.Reason != redress.ReasonNotIdempotent || !errors.Is(err, redresssql.ErrCommitUnknown) || runs != 1 {
				t.Errorf("%v after %d runs", err, runs)
			}
			if n := count(t, pool, "select count(*) from journal"); n != row.rows {
				t.Errorf("%d rows, want %d", n, row.rows)
			}
			if err := redresspgx.Do(t.Context(), cut, pgx.TxOptions{}, p, write, redress.Idempotent()); !errors.Is(err, redresssql.ErrCommitUnknown) || runs != 4 {
				t.Errorf("idempotent: %v after %d runs", err, runs)
			}
		})
	}
}

func TestATransactionIsRolledBackWhateverEndsItsFunction(t *testing.T) {
	pool := open(t, address(t))
	p := policy(t, "max_attempts: 1")
	write := func(ctx context.Context, tx pgx.Tx) {
		if _, err := tx.Exec(ctx, "insert into journal values ('x', 1)"); err != nil {
			t.Error(err)
		}
	}
	_ = redresspgx.Do(t.Context(), pool, pgx.TxOptions{}, p, func(ctx context.Context, tx pgx.Tx) error { write(ctx, tx); return errors.New("no") })
	func() {
		defer func() { _ = recover() }()
		_ = redresspgx.Do(t.Context(), pool, pgx.TxOptions{}, p, func(ctx context.Context, tx pgx.Tx) error { write(ctx, tx); panic("no") })
	}()
	ctx, cancel := context.WithCancel(t.Context())
	err := redresspgx.Do(ctx, pool, pgx.TxOptions{}, p, func(ctx context.Context, tx pgx.Tx) error { write(ctx, tx); cancel(); return nil })
	var e *redress.Error
	if !errors.As(err, &e) || e.Reason != redress.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	if n := count(t, pool, "select count(*) from journal"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestATransactionThatItsFunctionCommittedIsNotRunAgain(t *testing.T) {
	pool := open(t, address(t))
	err := redresspgx.Do(t.Context(), pool, pgx.TxOptions{}, policy(t, "max_attempts: 3, strategy: immediate, max_unknown_attempts: 3"), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "insert into journal values ('x', 1)"); err != nil {
			return err
		}
		return errors.Join(tx.Commit(ctx), errors.New("no"))
	})
	var e *redress.Error
	if !errors.As(err, &e) || e.Reason != redress.ReasonNotIdempotent || count(t, pool, "select count(*) from journal") != 1 {
		t.Errorf("got %v", err)
	}
}

// Transfers read, reckon and write under serializable isolation, over few accounts, while
// backends are terminated. What is in the journal was done once, and nothing else.
func TestTransfersUnderContentionAndTerminatedBackendsHappenOnce(t *testing.T) {
	const workers, transfers = 6, 12
	pool := open(t, address(t))
	p := policy(t, "deadline: 55s, max_attempts: 200, max_unknown_attempts: 3, strategy: {full_jitter: {base: 2ms, max: 100ms}}")
	done := make(chan error, workers)
	for w := range workers {
		go func() {
			for i := range transfers {
				if err := transfer(pool, p, fmt.Sprintf("%d/%d", w, i), 1+i%4); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for left := workers; left > 0; {
		select {
		case err := <-done:
			left--
			if err != nil {
				t.Error(err)
			}
		case <-tick.C:
			_, _ = pool.Exec(context.Background(), "select pg_terminate_backend(pid) from pg_stat_activity where application_name = current_setting('application_name') and pid <> pg_backend_pid() order by random() limit 1")
		}
	}
	if n := count(t, pool, "select count(*) from journal"); n != workers*transfers {
		t.Errorf("%d transfers happened, want %d", n, workers*transfers)
	}
	if n := count(t, pool, "select count(*) from accounts a where balance <> 1000 - 10 * (select count(*) from journal j where j.account = a.id) + 10 * (select count(*) from journal j where j.account % 4 + 1 = a.id)"); n != 0 {
		t.Errorf("%d accounts do not add up", n)
	}
	if n := count(t, pool, "select sum(balance) from accounts"); n != 4000 {
		t.Errorf("the total is %d", n)
	}
}

// transfer moves 10 to the next account. When it is not known whether it has, it looks.
func transfer(pool *pgxpool.Pool, p *redress.Policy, id string, from int) error {
	for range 20 {
		err := redresspgx.Do(context.Background(), pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, p, func(ctx context.Context, tx pgx.Tx) error {
			for account, change := range map[int]int{from: -10, from%4 + 1: 10} {
				var balance int
				if err := tx.QueryRow(ctx, "select balance from accounts where id = $1", account).Scan(&balance); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, "update accounts set balance = $1 where id = $2", balance+change, account); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, "insert into journal values ($1, $2)", id, from)
			return err
		})
		if !errors.Is(err, redresssql.ErrCommitUnknown) {
			return err
		}
		found, err := redress.Call(context.Background(), p, func(ctx context.Context) (n int, err error) {
			return n, pool.QueryRow(ctx, "select count(*) from journal where id = $1", id).Scan(&n)
		})
		if err != nil || found == 1 {
			return err
		}
	}
	return errors.New("twenty times nobody knew")
}

// pgx says of a statement of the simple protocol that it is safe to retry when the
// connection is lost before the answer.
func TestAStatementThatIsCutOffIsNotRunAgainUnlessItIsIdempotent(t *testing.T) {
	pool := open(t, address(t))
	cut := throughCut(t, pool, "insert into journal", true)
	err := redress.Do(t.Context(), policy(t, "max_attempts: 3, strategy: immediate"), func(ctx context.Context) error {
		_, err := cut.Exec(ctx, "insert into journal values (gen_random_uuid()::text, 1)")
		return err
	}, redress.NotIdempotent())
	var e *redress.Error
	if n := count(t, pool, "select count(*) from journal"); n != 1 || !errors.As(err, &e) || e.Reason != redress.ReasonNotIdempotent {
		t.Errorf("%d rows, %v", n, err)
	}
}
