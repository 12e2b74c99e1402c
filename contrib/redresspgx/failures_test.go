package redresspgx_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

// inTx runs statements in one transaction, up to the first that fails, and commits.
func inTx(t testing.TB, pool *pgxpool.Pool, options pgx.TxOptions, statements ...string) error {
	t.Helper()
	return pgx.BeginTxFunc(t.Context(), pool, options, func(tx pgx.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
}

func begin(t testing.TB, pool *pgxpool.Pool, level pgx.TxIsoLevel, statements ...string) pgx.Tx {
	t.Helper()
	tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		must(t, tx, s)
	}
	return tx
}

func must(t testing.TB, tx pgx.Tx, statement string) {
	t.Helper()
	if _, err := tx.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// until asks again and again, for at most half a minute.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// TestFailuresOfPostgreSQLHaveTheirClass provokes every failure on a real server; those that
// would disturb others on one of its own.
func TestFailuresOfPostgreSQLHaveTheirClass(t *testing.T) {
	f := proof.New(t, "PostgreSQL, pgx", "std.sql")
	pool := open(t, address(t))
	none := pgx.TxOptions{}

	f.Check(t, "a row that another transaction changed (repeatable read)", conflict(t, pool), redress.ClassConcurrency)
	f.Check(t, "write skew, found at COMMIT (serializable)", skew(t, pool), redress.ClassConcurrency)
	f.Check(t, "a deadlock", deadlock(t, pool), redress.ClassConcurrency)
	f.Check(t, "a row that is locked, NOWAIT", locked(t, pool, "select 1 from accounts where id = 1 for update nowait"), redress.ClassConcurrency)
	f.Check(t, "a lock that takes longer than lock_timeout", locked(t, pool, "set local lock_timeout = '10ms'", "update accounts set balance = 1 where id = 1"), redress.ClassConcurrency)
	f.Check(t, "a statement that takes longer than statement_timeout", inTx(t, pool, none, "set local statement_timeout = '10ms'", "select pg_sleep(60)"), redress.ClassUnknown)
	f.Check(t, "a write in a read-only transaction", inTx(t, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, "delete from accounts"), redress.ClassConcurrency)
	f.Check(t, "the session is terminated by an administrator", inTx(t, pool, none, "select pg_terminate_backend(pg_backend_pid())"), redress.ClassTransient)
	f.Check(t, "a unique key that is taken", inTx(t, pool, none, "insert into accounts values (1, 0)"), redress.ClassPermanent)
	f.Check(t, "a reference to nothing", inTx(t, pool, none, "insert into journal values ('x', 99)"), redress.ClassPermanent)
	f.Check(t, "NULL where it may not be", inTx(t, pool, none, "insert into accounts values (9, null)"), redress.ClassPermanent)
	f.Check(t, "a CHECK that does not hold", inTx(t, pool, none, "update accounts set balance = -1"), redress.ClassPermanent)
	f.Check(t, "text that is no number", inTx(t, pool, none, "select 'x'::int"), redress.ClassPermanent)
	f.Check(t, "division by zero", inTx(t, pool, none, "select 1/0"), redress.ClassPermanent)
	f.Check(t, "no such table", inTx(t, pool, none, "select * from nowhere"), redress.ClassPermanent)
	f.Check(t, "a syntax error", inTx(t, pool, none, "selct 1"), redress.ClassPermanent)
	f.Check(t, "COMMIT after a statement that failed", swallowed(t, pool), redress.ClassUnknown)
	f.Check(t, "no row", pool.QueryRow(t.Context(), "select 1 where false").Scan(nil), redress.ClassPermanent)
	f.Check(t, "the attempt's own timeout", timeout(t, pool), redress.ClassTransient)

	f.Check(t, "no such database", connect(t, dsn(address(t), "postgres", "nowhere")), redress.ClassPermanent)
	f.Check(t, "connection refused", connect(t, dsn(proof.FreeAddress(t), "postgres", "test")), redress.ClassTransient)
	cut := throughCut(t, pool, "select 42", true)
	_, err := cut.Exec(t.Context(), "select 42")
	f.Check(t, "connection lost between statement and answer", err, redress.ClassTransient)
	cut.Close()
	f.Check(t, "the pool is closed", cut.Ping(t.Context()), redress.ClassPermanent)

	broken(t, f)
}

// broken does to a server of the test's own what no other would stand.
func broken(t *testing.T, f *proof.Failures) {
	server := proof.Postgres(t, "host all secret 127.0.0.1/32 scram-sha-256\nhost all stranger 127.0.0.1/32 reject",
		"max_connections=4", "superuser_reserved_connections=1", "max_wal_senders=0", "password_encryption=scram-sha-256")
	admin := session(t, dsn(server.Address, "postgres", "postgres"))
	for _, s := range []string{
		"create role secret login password 'right'", "create role stranger login", "create role nobody login",
		"create role one login connection limit 1", "create table owned (n int)",
	} {
		if _, err := admin.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	f.Check(t, "a wrong password", connect(t, strings.Replace(dsn(server.Address, "secret", "postgres"), "secret@", "secret:wrong@", 1)), redress.ClassAuth)
	f.Check(t, "a user whom pg_hba.conf rejects", connect(t, dsn(server.Address, "stranger", "postgres")), redress.ClassAuth)
	one := session(t, dsn(server.Address, "one", "postgres"))
	_, err := one.Exec(t.Context(), "select * from owned")
	f.Check(t, "no privilege on a table", err, redress.ClassPermission)
	f.Check(t, "more sessions than the role may have", connect(t, dsn(server.Address, "one", "postgres")), redress.ClassRateLimit)
	nobody := session(t, dsn(server.Address, "nobody", "postgres"))
	f.Check(t, "more sessions than max_connections", connect(t, dsn(server.Address, "nobody", "postgres")), redress.ClassRateLimit)

	f.Check(t, "the backend is killed", running(t, nobody, admin, func(pid int) {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			t.Error(err)
		}
	}), redress.ClassTransient)

	until(t, "the server recovers", func() bool { return connect(t, dsn(server.Address, "postgres", "postgres")) == nil })
	last, watch := session(t, dsn(server.Address, "postgres", "postgres")), session(t, dsn(server.Address, "postgres", "postgres"))
	f.Check(t, "the server is shut down", running(t, last, watch, func(int) {
		server.Signal(syscall.SIGTERM)
		var refused *pgconn.PgError
		until(t, "new sessions are refused", func() bool {
			return errors.As(connect(t, dsn(server.Address, "postgres", "postgres")), &refused)
		})
		f.Check(t, "a new session while the server shuts down", refused, redress.ClassTransient)
		server.Signal(syscall.SIGINT)
	}), redress.ClassTransient)
	server.Wait()
	f.Check(t, "a new session after the shutdown", connect(t, dsn(server.Address, "postgres", "postgres")), redress.ClassTransient)
}

// running returns the error of a statement that runs while something is done to its backend.
func running(t *testing.T, c, watch *pgx.Conn, do func(pid int)) error {
	t.Helper()
	pid := int(c.PgConn().PID())
	failed := make(chan error, 1)
	go func() {
		_, err := c.Exec(context.Background(), "select pg_sleep(60)")
		failed <- err
	}()
	until(t, "the statement runs", func() bool {
		var n int
		err := watch.QueryRow(t.Context(), "select count(*) from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'", pid).Scan(&n)
		return err == nil && n == 1
	})
	do(pid)
	return <-failed
}

// session connects, once sessions that have just ended have made room.
func session(t *testing.T, url string) (c *pgx.Conn) {
	t.Helper()
	until(t, "a session begins", func() (ok bool) {
		var err error
		c, err = pgx.Connect(t.Context(), url)
		return err == nil
	})
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// connect is the error of a new session.
func connect(t *testing.T, url string) error {
	c, err := pgx.Connect(t.Context(), url)
	if err == nil {
		_ = c.Close(t.Context())
	}
	return err
}

func conflict(t *testing.T, pool *pgxpool.Pool) error {
	tx := begin(t, pool, pgx.RepeatableRead, "select * from accounts")
	defer tx.Rollback(context.Background())
	exec(t, pool, "update accounts set balance = balance + 1 where id = 1")
	_, err := tx.Exec(t.Context(), "update accounts set balance = balance + 1 where id = 1")
	return err
}

func skew(t *testing.T, pool *pgxpool.Pool) error {
	a := begin(t, pool, pgx.Serializable, "select sum(balance) from accounts", "update accounts set balance = 1 where id = 1")
	defer a.Rollback(context.Background())
	b := begin(t, pool, pgx.Serializable, "select sum(balance) from accounts", "update accounts set balance = 1 where id = 2")
	defer b.Rollback(context.Background())
	if err := a.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b.Commit(t.Context())
}

func deadlock(t *testing.T, pool *pgxpool.Pool) error {
	const patience = "set local deadlock_timeout = '1min'"
	a := begin(t, pool, "", patience, "update accounts set balance = 1 where id = 1")
	defer a.Rollback(context.Background())
	b := begin(t, pool, "", "set local deadlock_timeout = '1ms'", "update accounts set balance = 1 where id = 2")
	defer b.Rollback(context.Background())
	waited := make(chan error, 1)
	go func() {
		_, err := a.Exec(context.Background(), "update accounts set balance = 1 where id = 2")
		waited <- err
	}()
	until(t, "the first transaction waits", func() bool {
		return count(t, pool, "select count(*) from pg_stat_activity where application_name = current_setting('application_name') and wait_event_type = 'Lock'") == 1
	})
	_, err := b.Exec(t.Context(), "update accounts set balance = 1 where id = 1")
	_ = b.Rollback(context.Background())
	if err := <-waited; err != nil {
		t.Errorf("the other transaction: %v", err)
	}
	return err
}

// locked runs statements while another transaction holds a row.
func locked(t *testing.T, pool *pgxpool.Pool, statements ...string) error {
	tx := begin(t, pool, "", "update accounts set balance = 1 where id = 1")
	defer tx.Rollback(context.Background())
	return inTx(t, pool, pgx.TxOptions{}, statements...)
}

func swallowed(t *testing.T, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, _ = tx.Exec(t.Context(), "select 1/0")
		return nil
	})
}

func timeout(t *testing.T, pool *pgxpool.Pool) error {
	c, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = c.Exec(ctx, "select pg_sleep(60)")
	return err
}
