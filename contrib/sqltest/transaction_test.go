package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
	"github.com/redress-policy/redress/redresssql"
)

func TestMain(m *testing.M) {
	_ = mysql.SetLogger(log.New(io.Discard, "", 0)) // it logs every lost connection
	leak.Main(m)
}

// A database is one that redresssql must work with, and how to talk to it.
type database struct {
	driver, variable, address string

	dsn       func(address, name string) string
	create    string // a namespace
	drop      string
	terminate string // some session of the namespace, by id
	sessions  string
}

var databases = map[string]database{
	"PostgreSQL": {
		driver: "pgx", variable: "REDRESS_TEST_POSTGRES", address: "127.0.0.1:5432",
		dsn: func(address, name string) string {
			return fmt.Sprintf("postgres://postgres@%s/test?sslmode=disable&search_path=%s&application_name=%[2]s", address, name)
		},
		create: "create schema %s", drop: "drop schema %s cascade",
		terminate: "select pg_terminate_backend(%d)",
		sessions:  "select pid from pg_stat_activity where application_name = '%s' and pid <> pg_backend_pid()",
	},
	"MariaDB": {
		driver: "mysql", variable: "REDRESS_TEST_MARIADB", address: "127.0.0.1:3306",
		dsn: func(address, name string) string {
			return fmt.Sprintf("root@tcp(%s)/%s?readTimeout=30s&writeTimeout=30s", address, name)
		},
		create: "create database %s", drop: "drop database %s",
		terminate: "kill %d",
		sessions:  "select id from information_schema.processlist where db = '%s' and id <> connection_id()",
	},
}

func open(t *testing.T, d database, address, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.driver, d.dsn(address, name))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(10)
	t.Cleanup(func() {
		until(t, "all connections are given back", func() bool { return db.Stats().InUse == 0 })
		_ = db.Close()
	})
	return db
}

// until asks again and again, for at most half a minute.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Errorf("in vain: %s", what)
			return
		}
	}
}

// ledger makes a namespace of the test's own with tables accounts and journal, and returns
// its name and a pool of connections to it.
func ledger(t *testing.T, d database) (db *sql.DB, address, name string) {
	t.Helper()
	address = proof.Address(t, d.variable, d.address)
	name = fmt.Sprintf("redress_%d_%d", os.Getpid(), rand.Uint32())
	admin := open(t, d, address, map[string]string{"mysql": "test", "pgx": "public"}[d.driver])
	exec(t, admin, fmt.Sprintf(d.create, name))
	t.Cleanup(func() { exec(t, admin, fmt.Sprintf(d.drop, name)) })
	db = open(t, d, address, name)
	exec(t, db, "create table accounts (id int primary key, balance int not null check (balance >= 0))")
	exec(t, db, "create table journal (id varchar(40) primary key, account int not null, foreign key (account) references accounts(id))")
	exec(t, db, "insert into accounts values (1, 1000), (2, 1000), (3, 1000), (4, 1000)")
	return db, address, name
}

func exec(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	if err := redress.Do(context.Background(), policy(t, "max_attempts: 20, strategy: immediate"), func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, statement)
		return err
	}); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t testing.TB, db *sql.DB, query string) int {
	t.Helper()
	n, err := redress.Call(context.Background(), policy(t, "max_attempts: 20, strategy: immediate"), func(ctx context.Context) (n int, err error) {
		return n, db.QueryRowContext(ctx, query).Scan(&n)
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

func everywhere(t *testing.T, test func(*testing.T, database)) {
	for name, d := range databases {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

func TestACommitThatIsCutOffIsNotRetried(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		for rows, when := range []string{"before the server saw it", "before the client saw the answer"} {
			t.Run(when, func(t *testing.T) {
				db, address, name := ledger(t, d)
				cut := open(t, d, proof.Cut(t, address, "commit", rows == 1), name)
				p := policy(t, "max_attempts: 3, strategy: immediate")
				runs := 0
				write := func(ctx context.Context, tx *sql.Tx) error {
					runs++
					_, err := tx.ExecContext(ctx, fmt.Sprintf("insert into journal values ('run %d', 1)", runs))
					return err
				}
				err := redresssql.Do(t.Context(), cut, nil, p, write)
				var e *redress.Error
				if !errors.As(err, &e) || e.Reason != redress.ReasonNotIdempotent || !errors.Is(err, redresssql.ErrCommitUnknown) || runs != 1 {
					t.Errorf("%v after %d runs", err, runs)
				}
				if n := count(t, db, "select count(*) from journal"); n != rows {
					t.Errorf("%d rows, want %d", n, rows)
				}
				if err := redresssql.Do(t.Context(), cut, nil, p, write, redress.Idempotent()); !errors.Is(err, redresssql.ErrCommitUnknown) || runs != 4 {
					t.Errorf("idempotent: %v after %d runs", err, runs)
				}
			})
		}
	})
}

func TestATransactionIsRunAgainWhenItsConnectionIsTerminated(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		db, _, name := ledger(t, d)
		runs := 0
		err := redresssql.Do(t.Context(), db, nil, policy(t, "max_attempts: 3, strategy: immediate"), func(ctx context.Context, tx *sql.Tx) error {
			runs++
			if _, err := tx.ExecContext(ctx, "insert into journal values ('once', 1)"); err != nil {
				return err
			}
			if runs == 1 {
				terminateAll(t, db, d, name)
			}
			_, err := tx.ExecContext(ctx, "update accounts set balance = balance - 10 where id = 1")
			return err
		})
		if err != nil || runs != 2 || count(t, db, "select count(*) from journal") != 1 || count(t, db, "select balance from accounts where id = 1") != 990 {
			t.Errorf("%v after %d runs", err, runs)
		}
	})
}

// terminateAll ends all sessions of the namespace but its own.
func terminateAll(t testing.TB, db *sql.DB, d database, name string) {
	rows, err := db.QueryContext(context.Background(), fmt.Sprintf(d.sessions, name))
	if err != nil {
		return // itself terminated
	}
	defer rows.Close()
	var ids []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Error(err)
		}
		ids = append(ids, id)
	}
	_ = rows.Close()
	for _, id := range ids {
		_, _ = db.ExecContext(context.Background(), fmt.Sprintf(d.terminate, id))
	}
}

// Transfers read, reckon and write under serializable isolation, over few accounts, while
// sessions are terminated. What is in the journal was done once, and nothing else.
func TestTransfersUnderContentionAndTerminatedSessionsHappenOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		const workers, transfers = 4, 8
		db, _, name := ledger(t, d)
		p := policy(t, "deadline: 55s, max_attempts: 200, max_unknown_attempts: 3, strategy: {full_jitter: {base: 2ms, max: 100ms}}")
		done := make(chan error, workers)
		for w := range workers {
			go func() {
				for i := range transfers {
					if err := transfer(db, p, fmt.Sprintf("%d/%d", w, i), 1+i%4); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for left := workers; left > 0; {
			select {
			case err := <-done:
				left--
				if err != nil {
					t.Error(err)
				}
			case <-tick.C:
				terminateAll(t, db, d, name)
			}
		}
		if n := count(t, db, "select count(*) from journal"); n != workers*transfers {
			t.Errorf("%d transfers happened, want %d", n, workers*transfers)
		}
		if n := count(t, db, "select count(*) from accounts a where balance <> 1000 - 10 * (select count(*) from journal j where j.account = a.id) + 10 * (select count(*) from journal j where j.account % 4 + 1 = a.id)"); n != 0 {
			t.Errorf("%d accounts do not add up", n)
		}
	})
}

// transfer moves 10 to the next account. When it is not known whether it has, it looks.
func transfer(db *sql.DB, p *redress.Policy, id string, from int) error {
	for range 20 {
		err := redresssql.Do(context.Background(), db, &sql.TxOptions{Isolation: sql.LevelSerializable}, p, func(ctx context.Context, tx *sql.Tx) error {
			for account, change := range map[int]int{from: -10, from%4 + 1: 10} {
				var balance int
				if err := tx.QueryRowContext(ctx, fmt.Sprintf("select balance from accounts where id = %d", account)).Scan(&balance); err != nil {
					return err
				}
				if _, err := tx.ExecContext(ctx, fmt.Sprintf("update accounts set balance = %d where id = %d", balance+change, account)); err != nil {
					return err
				}
			}
			_, err := tx.ExecContext(ctx, fmt.Sprintf("insert into journal values ('%s', %d)", id, from))
			return err
		})
		if !errors.Is(err, redresssql.ErrCommitUnknown) {
			return err
		}
		found, err := redress.Call(context.Background(), p, func(ctx context.Context) (n int, err error) {
			return n, db.QueryRowContext(ctx, fmt.Sprintf("select count(*) from journal where id = '%s'", id)).Scan(&n)
		})
		if err != nil || found == 1 {
			return err
		}
	}
	return errors.New("twenty times nobody knew")
}
