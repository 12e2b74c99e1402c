// Package proof is for tests that hold the rule packs against real servers: where a
// server is, and the table of what its failures were classified as, from which
// docs/dependencies.md is made.
package proof

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress"
)

var update = flag.Bool("update-failures", false, "write testdata/failures.tsv anew from what the servers answer")

// Address returns where a server for the test is: the value of the environment variable,
// or address. If nothing answers there the test is skipped; in CI (CI=true) it fails.
func Address(t testing.TB, variable, address string) string {
	t.Helper()
	if given := os.Getenv(variable); given != "" {
		address = given
	}
	conn, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		Missing(t, "no server answers at %s (another address can be given in %s): %v", address, variable, err)
	}
	_ = conn.Close()
	return address
}

// Missing skips a test that needs something which is not there; in CI it fails.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// FreeAddress returns a loopback address that nothing listened on a moment ago.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A Row is what one failure of a dependency was classified as.
type Row struct {
	Dependency string // "PostgreSQL 15, pgx"
	Failure    string // what was done to provoke it
	Seen       string // what rules can see: kind, code, status, phase
	Class      string
	Rule       string
}

func (r Row) line() string {
	return strings.Join([]string{r.Dependency, r.Failure, r.Seen, r.Class, r.Rule}, "\t")
}

// Header is the first line of testdata/failures.tsv.
const Header = "dependency\tfailure\tseen\tclass\trule"

// ParseRows reads the text of a failures.tsv.
func ParseRows(text string) ([]Row, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != Header {
		return nil, fmt.Errorf("the first line is %q, not %q", lines[0], Header)
	}
	var rows []Row
	for i, line := range lines[1:] {
		f := strings.Split(line, "\t")
		if len(f) != 5 {
			return nil, fmt.Errorf("line %d has %d columns, not 5", i+2, len(f))
		}
		rows = append(rows, Row{f[0], f[1], f[2], f[3], f[4]})
	}
	return rows, nil
}

// Failures is the table of one dependency: testdata/failures.tsv of the package under
// test holds it, beside those of others.
type Failures struct {
	dependency string
	policy     *redress.Policy

	mu   sync.Mutex
	rows []Row // guarded by mu
}

const file = "testdata/failures.tsv"

var files sync.Mutex // guards the file

// New makes the table of a dependency whose failures are classified by a policy that does
// nothing but use pack. When the test ends, with all its subtests, the table must be the
// one in the file: more, fewer or other rows are an error. With -update-failures the file
// is written.
func New(t *testing.T, dependency, pack string) *Failures {
	t.Helper()
	text := "apiVersion: redress/v1\nkind: Policy\nname: proof\nclassify:\n  - use: " + pack + "\nretry: {max_attempts: 1}\n"
	set, err := redress.Parse("proof.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f := &Failures{dependency: dependency, policy: set.MustPolicy("proof")}
	t.Cleanup(func() { f.compare(t) })
	return f
}

// Check classifies err, which a server or a client library really returned, notes the row
// and fails the test if the class is not the one wanted.
func (f *Failures) Check(t testing.TB, failure string, err error, want redress.Class) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", failure)
		return
	}
	outcome := redress.Execute(context.Background(), f.policy, func(context.Context) (struct{}, error) { return struct{}{}, err })
	if outcome.Class != want {
		t.Errorf("%s: class %v by rule %q, not %v: %v (%T)", failure, outcome.Class, outcome.Rule, want, err, err)
	}
	row := Row{f.dependency, failure, seen(err), outcome.Class.String(), outcome.Rule}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, row)
}

func (f *Failures) compare(t *testing.T) {
	if t.Failed() || t.Skipped() {
		return
	}
	files.Lock()
	defer files.Unlock()
	text, err := os.ReadFile(file)
	if err != nil && !(*update && os.IsNotExist(err)) {
		t.Errorf("%v: -update-failures writes it", err)
		return
	}
	var kept []Row
	if err == nil {
		if kept, err = ParseRows(string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
			return
		}
	}
	if *update {
		f.write(t, kept)
		return
	}
	want := map[string]bool{}
	for _, r := range kept {
		if r.Dependency == f.dependency {
			want[r.line()] = true
		}
	}
	for _, r := range f.rows {
		if !want[r.line()] {
			t.Errorf("%s has no row\n%s\nif that is right, -update-failures writes it", file, r.line())
		}
		delete(want, r.line())
	}
	for line := range want {
		t.Errorf("%s has a row that was not seen:\n%s", file, line)
	}
}

// write keeps the rows of other dependencies, and their place.
func (f *Failures) write(t *testing.T, kept []Row) {
	var b strings.Builder
	b.WriteString(Header + "\n")
	written := false
	own := func() {
		for _, r := range f.rows {
			b.WriteString(r.line() + "\n")
		}
		written = true
	}
	for _, r := range kept {
		if r.Dependency != f.dependency {
			b.WriteString(r.line() + "\n")
		} else if !written {
			own()
		}
	}
	if !written {
		own()
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
