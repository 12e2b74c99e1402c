package redressrediskv_test

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redis/go-redis/v9"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressrediskv"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

// A server is a redis-server of the test's own, which it may break.
type server struct {
	t       *testing.T
	address string
	folder  string
	process *exec.Cmd
}

func launch(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, address: proof.FreeAddress(t), folder: t.TempDir()}
	t.Cleanup(s.kill)
	s.start()
	return s
}

// start starts the server, with what it had written before it was killed.
func (s *server) start() {
	s.t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		proof.Missing(s.t, "a private Redis is needed: %v", err)
	}
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--dir", s.folder,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--logfile", filepath.Join(s.folder, "log"))
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	c := connect(s.t, s.address)
	proof.Await(s.t, "the private Redis answers", func() bool { return c.Ping(context.Background()).Err() == nil })
}

// kill ends exactly this process.
func (s *server) kill() {
	if s.process != nil && s.process.ProcessState == nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
	}
}

func connect(t *testing.T, address string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// do runs commands, each of which must succeed.
func do(t *testing.T, c *redis.Client, commands ...[]any) {
	t.Helper()
	for _, args := range commands {
		if err := c.Do(context.Background(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
}

// shared connects to the server that the tests share, which they may not break, and
// returns a key of the test's own.
func shared(t *testing.T) (*redis.Client, string) {
	t.Helper()
	c := connect(t, proof.Address(t, "REDRESS_TEST_REDIS", "127.0.0.1:6379"))
	key := "redress-[" + rand.Text() + "]*" // a key need not be what a pattern means by it
	t.Cleanup(func() { c.Del(context.Background(), key) })
	return c, key
}

// published puts files into a hash and tells of it.
func published(t *testing.T, c *redis.Client, key string) func(name, text string) {
	return func(name, text string) {
		t.Helper()
		do(t, c, []any{"HSET", key, name, text}, []any{"PUBLISH", key, "changed"})
	}
}

func TestWhatIsPublishedIsSeenAtOnce(t *testing.T) {
	c, key := shared(t)
	set := proof.Follow(t, redressrediskv.Hash(c, key), published(t, c, key))
	for attempts := 2; attempts < 10; attempts++ {
		set.Edit(attempts)
	}
	set.BreakAndMend()
	do(t, c, []any{"HSET", key, "version", "42", "by", "ann", "q.yml", strings.Replace(quotes, "name: quotes", "name: q", 1)}, []any{"PUBLISH", key, ""})
	set.Await("the version is told", func() bool { return set.Status().Version == "42" })
	if s := set.Status(); s.By != "ann" || s.From != "redis:"+key {
		t.Errorf("%+v", s)
	}
	if got := strings.Join(set.Names(), " "); got != "p q" {
		t.Errorf("policies %s", got)
	}
}

func TestAHashMayHoldABundle(t *testing.T) {
	c, key := shared(t)
	data, err := os.ReadFile("../../examples/bundle/policies.rbundle")
	if err != nil {
		t.Fatal(err)
	}
	do(t, c, []any{"HSET", key, "policies.rbundle", data, "by", "ann"})
	set, err := redress.Watch(t.Context(), redressrediskv.Hash(c, key))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(set.Names(), " "); got != "shop-orders" || set.Status().By != "ann" {
		t.Errorf("policies %s, status %+v", got, set.Status())
	}
}

func TestNotificationsOfTheKeyAreHeard(t *testing.T) {
	c, key := connect(t, launch(t).address), "policies"
	do(t, c, []any{"CONFIG", "SET", "notify-keyspace-events", "Kgh"})
	set := proof.Follow(t, redressrediskv.Hash(c, key), func(name, text string) { do(t, c, []any{"HSET", key, name, text}) })
	set.Edit(4)
	set.BreakAndMend()
	do(t, c, []any{"DEL", key})
	set.Await("that the key is gone is reported", func() bool { return set.Status().Err != nil })
	set.Edit(5)
}

func TestAServerThatIsKilledOrFlushedTakesNoPolicyAway(t *testing.T) {
	s := launch(t)
	c, key := connect(t, s.address), "policies"
	set := proof.Follow(t, redressrediskv.Hash(c, key), published(t, c, key))
	set.Edit(4)
	s.kill()
	if err := set.Reload(t.Context()); err == nil {
		t.Error("a server that is gone was read")
	}
	if got := set.Attempts(); got != 4 {
		t.Errorf("%d attempts while the server is gone, want 4 as before", got)
	}
	s.start()
	set.Await("the server is found again, untold", func() bool { return set.Status().Err == nil })
	set.BreakAndMend()

	do(t, c, []any{"FLUSHALL"}, []any{"PUBLISH", key, ""})
	set.Await("that it is empty is reported", func() bool { return set.Status().Err != nil })
	if err, want := set.Status().Err, `there is no key "policies"`; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if got := set.Attempts(); got != 2 {
		t.Errorf("%d attempts after FLUSHALL, want 2 as before", got)
	}
	set.Edit(6)
}

func TestWhatIsNoHashOfFilesIsAnError(t *testing.T) {
	c, key := shared(t)
	source := redressrediskv.Hash(c, key)
	for _, tt := range []struct {
		name, want string
		command    []any
	}{
		{"no key", "there is no key", []any{"DEL", key}},
		{"another type", "WRONGTYPE", []any{"SET", key, "x"}},
		{"a file without an ending", `field "payments" of`, []any{"HSET", key, "payments", "x", "a.yaml", "y"}},
	} {
		do(t, c, []any{"DEL", key}, tt.command)
		snapshot, err := source.Read(t.Context())
		if err == nil || !strings.Contains(err.Error(), tt.want) || len(snapshot.Files) != 0 {
			t.Errorf("%s: %+v, %v", tt.name, snapshot, err)
		}
	}
}

func TestAnEmptyLayerKeepsItsVersion(t *testing.T) {
	c, key := shared(t)
	base := redress.FS("embedded", fstest.MapFS{"quotes.yaml": &fstest.MapFile{Data: []byte(quotes)}})
	do(t, c, []any{"HSET", key, "version", "0"})
	emergency := redressrediskv.Hash(c, key)
	set := proof.Follow(t, redress.Layers(redress.Layer{Name: "base", Source: base}, redress.Layer{Name: "emergency", Source: emergency}), published(t, c, key))
	do(t, c, []any{"HDEL", key, "p.yaml"}, []any{"PUBLISH", key, ""})
	set.Await("the layer is empty", func() bool { return strings.Join(set.Names(), " ") == "quotes" && set.Status().Err == nil })
	do(t, c, []any{"DEL", key}, []any{"PUBLISH", key, ""})
	set.Await("that the layer is gone is reported", func() bool { return set.Status().Err != nil })
}
