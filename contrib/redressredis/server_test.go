package redressredis

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

// A server is a redis-server of the test's own, which it may break.
type server struct {
	t       *testing.T
	address string
	folder  string
	process *exec.Cmd
}

// launch starts a private server; args are options of redis-server. If ready, it waits
// until the server answers PING with PONG.
func launch(t *testing.T, ready bool, args ...string) *server {
	t.Helper()
	return launchIn(t, t.TempDir(), ready, args...)
}

func launchIn(t *testing.T, folder string, ready bool, args ...string) *server {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		proof.Missing(t, "a private Redis is needed: %v", err)
	}
	s := &server{t: t, address: proof.FreeAddress(t), folder: folder}
	_, port, _ := cutAddress(s.address)
	args = append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", filepath.Join(folder, "log"), "--enable-debug-command", "yes"}, args...)
	s.process = exec.Command(binary, args...)
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	if ready {
		c := plain(t, s.address)
		eventually(t, "the private Redis answers", func() bool { return c.Ping(context.Background()).Err() == nil })
	}
	return s
}

func cutAddress(address string) (host, port string, ok bool) {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == ':' {
			return address[:i], address[i+1:], true
		}
	}
	return address, "", false
}

// kill ends exactly this process.
func (s *server) kill() {
	if s.process.ProcessState == nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
	}
}

// do runs one command without a policy.
func (s *server) do(args ...any) {
	s.t.Helper()
	if err := plain(s.t, s.address).Do(context.Background(), args...).Err(); err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
}

// eventually waits for a condition of something outside of this process.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.NewTimer(20*time.Second)
	defer tick.Stop()
	defer end.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("%s: not within 20s", what)
		}
	}
}

// fit are options that [Use] accepts.
func fit(address string) *redis.Options {
	return &redis.Options{
		Addr: address, Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	}
}

// plain is a client without a policy.
func plain(t testing.TB, address string, changes ...func(*redis.Options)) *redis.Client {
	o := fit(address)
	for _, change := range changes {
		change(o)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// governed is a client with a policy, and what the policy's calls told.
func governed(t testing.TB, address, policy string, opts ...redress.Option) (*redis.Client, *story) {
	t.Helper()
	c := plain(t, address)
	told := &story{}
	if err := Use(c, load(t, policy, redress.WithPolicyObserver(told)), opts...); err != nil {
		t.Fatal(err)
	}
	return c, told
}

func load(t testing.TB, policy string, opts ...redress.LoadOption) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("test.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: test\nclassify: [{use: std.redis}]\n"+policy), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("test")
}
