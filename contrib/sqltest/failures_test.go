package sqltest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

// inTx runs statements in one transaction, up to the first that fails, and commits. Its
// connection is not used again: statements may have changed the session.
func inTx(t testing.TB, db *sql.DB, options *sql.TxOptions, statements ...string) error {
	t.Helper()
	tx := begin(t, db, options)
	for _, s := range statements {
		if _, err := tx.ExecContext(t.Context(), s); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// begin begins a transaction on a connection of its own, which ends with the test.
func begin(t testing.TB, db *sql.DB, options *sql.TxOptions, statements ...string) *sql.Tx {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tx, err := c.BeginTx(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = tx.Rollback()
		_ = c.Close()
	})
	for _, s := range statements {
		if _, err := tx.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return tx
}

// with returns a pool without idle connections, so that no session is used twice.
func with(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(-1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func connect(t *testing.T, dsn string) error { return with(t, "mysql", dsn).PingContext(t.Context()) }

// TestFailuresOfMariaDBHaveTheirClass provokes every failure on a real server; those that
// would disturb others on one of its own.
func TestFailuresOfMariaDBHaveTheirClass(t *testing.T) {
	f := proof.New(t, "MariaDB, go-sql-driver", "std.sql")
	d := databases["MariaDB"]
	_, address, name := ledger(t, d)
	db := with(t, "mysql", d.dsn(address, name))
	once := func(failure string, want redress.Class, options *sql.TxOptions, statements ...string) {
		t.Helper()
		// Its locks are given back before the next one.
		t.Run(failure, func(t *testing.T) { f.Check(t, failure, inTx(t, db, options, statements...), want) })
	}
	t.Run("deadlock", func(t *testing.T) { f.Check(t, "a deadlock", deadlock(t, db), redress.ClassConcurrency) })
	t.Run("locked", func(t *testing.T) {
		begin(t, db, nil, "update accounts set balance = 1 where id = 1")
		f.Check(t, "a lock that takes longer than innodb_lock_wait_timeout", inTx(t, db, nil, "set innodb_lock_wait_timeout = 1", "update accounts set balance = 1 where id = 1"), redress.ClassConcurrency)
		f.Check(t, "a row that is locked, NOWAIT", inTx(t, db, nil, "select * from accounts where id = 1 for update nowait"), redress.ClassConcurrency)
	})
	t.Run("snapshot", func(t *testing.T) {
		tx := begin(t, db, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}, "set innodb_snapshot_isolation = on", "select * from accounts")
		if err := inTx(t, db, nil, "update accounts set balance = balance + 1 where id = 2"); err != nil {
			t.Fatal(err)
		}
		_, err := tx.ExecContext(t.Context(), "update accounts set balance = balance + 1 where id = 2")
		f.Check(t, "a row that another transaction changed (innodb_snapshot_isolation)", err, redress.ClassConcurrency)
	})
	once("a write in a read-only transaction", redress.ClassConcurrency, &sql.TxOptions{ReadOnly: true}, "delete from journal")
	once("a statement that takes longer than max_statement_time", redress.ClassUnknown, nil, "set max_statement_time = 0.1", "select count(*) from information_schema.columns a, information_schema.columns b, information_schema.columns c")
	once("a unique key that is taken", redress.ClassPermanent, nil, "insert into accounts values (1, 0)")
	once("a reference to nothing", redress.ClassPermanent, nil, "insert into journal values ('x', 99)")
	once("a row that is referred to", redress.ClassPermanent, nil, "insert into journal values ('x', 3)", "delete from accounts where id = 3")
	once("NULL where it may not be", redress.ClassPermanent, nil, "insert into accounts values (9, null)")
	once("a CHECK that does not hold", redress.ClassPermanent, nil, "update accounts set balance = -1")
	once("a number out of range", redress.ClassPermanent, nil, "insert into accounts values (99999999999, 1)")
	once("text that is no number", redress.ClassPermanent, nil, "insert into accounts values ('x', 1)")
	once("text that is too long", redress.ClassPermanent, nil, "insert into journal values (repeat('x', 41), 1)")
	once("a column without a value", redress.ClassPermanent, nil, "insert into accounts (id) values (9)")
	once("too few values", redress.ClassPermanent, nil, "insert into accounts values (9)")
	once("no such table", redress.ClassPermanent, nil, "select * from nowhere")
	once("no such column", redress.ClassPermanent, nil, "select nothing from accounts")
	once("a syntax error", redress.ClassPermanent, nil, "selct 1")
	f.Check(t, "no row", db.QueryRowContext(t.Context(), "select 1 from accounts where false").Scan(), redress.ClassPermanent)
	f.Check(t, "a statement that is too long for the driver", inTx(t, with(t, "mysql", d.dsn(address, name)+"&maxAllowedPacket=64"), nil, "select '"+strings.Repeat("x", 100)+"'"), redress.ClassPermanent)

	f.Check(t, "the statement is killed", killed(t, db, "kill query"), redress.ClassUnknown)
	f.Check(t, "the session is killed", killed(t, db, "kill connection"), redress.ClassTransient)
	f.Check(t, "no such database", connect(t, d.dsn(address, "nowhere")), redress.ClassPermanent)
	f.Check(t, "no database chosen", inTx(t, with(t, "mysql", d.dsn(address, "")), nil, "select * from accounts"), redress.ClassPermanent)
	f.Check(t, "connection refused", connect(t, d.dsn(proof.FreeAddress(t), "test")), redress.ClassTransient)
	cut := with(t, "mysql", d.dsn(proof.Cut(t, address, "select 42", true), name))
	_, err := cut.ExecContext(t.Context(), "select 42")
	f.Check(t, "connection lost between statement and answer (2013 of other clients)", err, redress.ClassTransient)
	f.Check(t, "a session that has ended is used (2006 of other clients)", gone(t, db), redress.ClassTransient)

	ofItsOwn(t, f)
}

// ofItsOwn does to a server of the test's own what no other would stand.
func ofItsOwn(t *testing.T, f *proof.Failures) {
	server := proof.MariaDB(t, "--max-connections=10", "--read-only")
	dsn := func(user, name string) string { return user + "@tcp(" + server.Address + ")/" + name }
	root := with(t, "mysql", dsn("root", "mysql"))
	for _, s := range []string{
		"create user secret identified by 'right'", "create user nobody", "create user one with max_user_connections 1",
		"create database own", "create table own.t (n int) engine=innodb", "grant insert on own.* to nobody", "create database theirs",
	} {
		if _, err := root.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	f.Check(t, "a wrong password", connect(t, dsn("secret:wrong", "")), redress.ClassAuth)
	f.Check(t, "no privilege on the database", connect(t, dsn("nobody", "theirs")), redress.ClassPermission)
	f.Check(t, "no privilege on the table", inTx(t, with(t, "mysql", dsn("nobody", "own")), nil, "select * from t"), redress.ClassPermission)
	f.Check(t, "a write on a read-only server", inTx(t, with(t, "mysql", dsn("nobody", "own")), nil, "insert into t values (1)"), redress.ClassConcurrency)
	held := begin(t, with(t, "mysql", dsn("one", "")), nil)
	f.Check(t, "more sessions than the user may have", connect(t, dsn("one", "")), redress.ClassRateLimit)
	_ = held.Rollback()

	nobody := with(t, "mysql", dsn("nobody", "own"))
	var full error
	for range 11 { // max_connections
		c, err := nobody.Conn(t.Context())
		if err != nil {
			full = err
			break
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	f.Check(t, "more sessions than max_connections", full, redress.ClassRateLimit)
	server.Signal(syscall.SIGKILL)
	server.Wait()
	f.Check(t, "a new session after the server has died", connect(t, dsn("nobody", "own")), redress.ClassTransient)
}

// deadlock is the error of the transaction that InnoDB chose to roll back.
func deadlock(t *testing.T, db *sql.DB) error {
	a := begin(t, db, nil, "update accounts set balance = 1 where id = 1")
	b := begin(t, db, nil, "update accounts set balance = 1 where id = 2")
	waited := make(chan error, 1)
	go func() {
		_, err := a.ExecContext(context.Background(), "update accounts set balance = 1 where id = 2")
		waited <- err
	}()
	_, err := b.ExecContext(t.Context(), "update accounts set balance = 1 where id = 1")
	_ = b.Rollback()
	if other := <-waited; err == nil {
		err = other
	} else if other != nil {
		t.Errorf("both transactions failed: %v, %v", err, other)
	}
	_ = a.Rollback()
	return err
}

func session(t *testing.T, db *sql.DB) (c *sql.Conn, id int) {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
		err = c.QueryRowContext(t.Context(), "select connection_id()").Scan(&id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, id
}

// killed is the error of a statement that runs while it, or its session, is killed.
func killed(t *testing.T, db *sql.DB, how string) error {
	c, id := session(t, db)
	failed := make(chan error, 1)
	go func() {
		_, err := c.ExecContext(context.Background(), "select count(*) from information_schema.columns a, information_schema.columns b, information_schema.columns c")
		failed <- err
	}()
	until(t, "the statement runs", func() bool {
		return count(t, db, fmt.Sprintf("select count(*) from information_schema.processlist where id = %d and info like 'select count%%'", id)) == 1
	})
	exec(t, db, fmt.Sprintf("%s %d", how, id))
	return <-failed
}

// gone is the error of a statement on a session that has been killed.
func gone(t *testing.T, db *sql.DB) error {
	c, id := session(t, db)
	exec(t, db, fmt.Sprintf("kill %d", id))
	until(t, "the session ends", func() bool {
		return count(t, db, fmt.Sprintf("select count(*) from information_schema.processlist where id = %d", id)) == 0
	})
	_, err := c.ExecContext(t.Context(), "select 1")
	return err
}
