package proof

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Server is a database of the test's own, on a free loopback port, that the test may break.
// It is ended with the test.
type Server struct {
	Address string
	Dir     string // holds its data and its log

	t     testing.TB
	start func() *exec.Cmd
	ready string // what its log says when connections are taken
	cmd   *exec.Cmd
}

// Postgres starts a PostgreSQL with settings such as "max_connections=5" and the lines of
// access (pg_hba.conf) before one that trusts everybody. Without the programs the test is
// skipped; in CI it fails.
func Postgres(t testing.TB, access string, settings ...string) *Server {
	t.Helper()
	initdb := program(t, "initdb", "/usr/lib/postgresql/*/bin/initdb")
	postgres := filepath.Join(filepath.Dir(initdb), "postgres")
	s := newServer(t, "postgres", "database system is ready to accept connections")
	data := filepath.Join(s.Dir, "data")
	s.run("postgres", initdb, "--pgdata="+data, "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale")
	hba := filepath.Join(data, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte(access+"\nhost all all 127.0.0.1/32 trust\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(s.Address)
	args := []string{"-D", data, "-h", host, "-p", port, "-k", "", "-c", "fsync=off"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	s.start = func() *exec.Cmd { return as("postgres", postgres, args...) }
	s.Start()
	return s
}

// MariaDB starts a MariaDB with options such as "--max-connections=2" and a user root
// without a password. Without the programs the test is skipped; in CI it fails.
func MariaDB(t testing.TB, options ...string) *Server {
	t.Helper()
	install := program(t, "mariadb-install-db", "/usr/bin/mariadb-install-db")
	mariadbd := program(t, "mariadbd", "/usr/sbin/mariadbd")
	s := newServer(t, "mysql", "ready for connections")
	data := "--datadir=" + filepath.Join(s.Dir, "data")
	s.run("mysql", install, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db")
	host, port, _ := net.SplitHostPort(s.Address)
	args := slices.Concat([]string{"--no-defaults", data, "--bind-address=" + host, "--port=" + port,
		"--socket=" + filepath.Join(s.Dir, "socket"), "--pid-file=" + filepath.Join(s.Dir, "pid"), "--skip-name-resolve",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"}, options)
	s.start = func() *exec.Cmd { return as("mysql", mariadbd, args...) }
	s.Start()
	return s
}

// newServer makes a folder that account owns: databases refuse to run as root.
func newServer(t testing.TB, account, ready string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "redress-"+account+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		u, err := user.Lookup(account)
		if err != nil {
			Missing(t, "the server cannot run as root: %v", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return &Server{Address: FreeAddress(t), Dir: dir, t: t, ready: ready}
}

// as runs a program as account if the test runs as root.
func as(account, name string, args ...string) *exec.Cmd {
	if os.Getuid() == 0 {
		args = slices.Concat([]string{"--reuid=" + account, "--regid=" + account, "--clear-groups", "--", name}, args)
		name = "setpriv"
	}
	return exec.Command(name, args...)
}

// program finds a program by its name, or the newest where packages put it.
func program(t testing.TB, name, pattern string) string {
	t.Helper()
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
	}
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, "a server of the test's own needs %s: %v", name, err)
	}
	return path
}

func (s *Server) run(account, name string, args ...string) {
	s.t.Helper()
	cmd := as(account, name, args...)
	cmd.Dir = s.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
	}
}

// Start starts a server that has ended, and returns when it takes connections.
func (s *Server) Start() {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.Dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := s.start()
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = cmd
	s.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(syscall.SIGQUIT)
			_ = cmd.Wait()
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if text, _ := os.ReadFile(log.Name()); strings.Contains(string(text), s.ready) {
			return
		}
	}
	text, _ := os.ReadFile(log.Name())
	s.t.Fatalf("the server did not start:\n%s", text)
}

// Signal sends the server a signal. PostgreSQL takes SIGTERM to wait for its sessions,
// SIGINT to end them, SIGQUIT to end at once.
func (s *Server) Signal(signal os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Wait returns when the server has ended.
func (s *Server) Wait() { _ = s.cmd.Wait() }
