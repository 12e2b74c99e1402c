package redresssql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"sync"
	"testing"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// A script is a database that answers as it is told and keeps what it was sent. Each
// command takes the first answer of its list; without one it succeeds.
type script struct {
	mu       sync.Mutex
	answers  map[string][]error
	commands []string
}

func (s *script) do(command string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, command)
	list := s.answers[command]
	if len(list) == 0 {
		return nil
	}
	s.answers[command] = list[1:]
	return list[0]
}

// sent is what the database saw.
func (s *script) sent() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.commands, " ")
}

func (s *script) Connect(context.Context) (driver.Conn, error) { return conn{s}, nil }
func (s *script) Driver() driver.Driver                        { return nil }

type conn struct{ *script }

func (c conn) Begin() (driver.Tx, error)                 { return c, c.do("begin") }
func (c conn) Commit() error                             { return c.do("commit") }
func (c conn) Rollback() error                           { return c.do("rollback") }
func (c conn) Close() error                              { return nil }
func (c conn) Prepare(q string) (driver.Stmt, error)     { return statement{c, q}, nil }
func (c conn) NumInput() int                             { return -1 }
func (c conn) Query([]driver.Value) (driver.Rows, error) { return nil, nil }

type statement struct {
	conn
	text string
}

func (s statement) Exec([]driver.Value) (driver.Result, error) {
	return driver.RowsAffected(1), s.do(s.text)
}

// open returns a pool of connections to s. When the test ends, none may be in use.
func open(t *testing.T, s *script) *sql.DB {
	t.Helper()
	db := sql.OpenDB(s)
	t.Cleanup(func() {
		if n := db.Stats().InUse; n != 0 {
			t.Errorf("%d connections were not given back", n)
		}
		_ = db.Close()
	})
	return db
}

// policy makes three attempts, without sleeps.
func policy(t testing.TB, more string) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("db.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: db\nclassify:\n  - use: std.sql\nretry: {max_attempts: 3, max_unknown_attempts: 3, strategy: immediate"+more))
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("db")
}
