package redressnatskv_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressnatskv"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

// A server is a nats-server of the test's own, which it may break.
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
	binary, err := exec.LookPath("nats-server")
	if err != nil {
		proof.Missing(s.t, "a private NATS is needed: %v", err)
	}
	host, port, _ := strings.Cut(s.address, ":")
	s.process = exec.Command(binary, "-a", host, "-p", port, "-js", "-sd", s.folder)
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	proof.Await(s.t, "the private NATS listens", func() bool {
		conn, err := nats.Connect("nats://" + s.address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// kill ends exactly this process.
func (s *server) kill() {
	if s.process != nil && s.process.ProcessState == nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
	}
}

func connect(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// newBucket makes a bucket, and returns what puts a file there; "" deletes it.
func newBucket(t testing.TB, js jetstream.JetStream, name string) func(key, text string) {
	t.Helper()
	kv, err := js.CreateKeyValue(within(t), jetstream.KeyValueConfig{Bucket: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = js.DeleteKeyValue(within(t), name) })
	return func(key, text string) {
		t.Helper()
		var err error
		if text == "" {
			err = kv.Delete(within(t), key)
		} else {
			_, err = kv.PutString(within(t), key, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// shared is the server that the tests share, which they may not break, and a name for a
// bucket of the test's own.
func shared(t testing.TB) (jetstream.JetStream, string) {
	t.Helper()
	return connect(t, "nats://"+proof.Address(t, "REDRESS_TEST_NATS", "127.0.0.1:4222")), "redress-" + rand.Text()
}

func named(name string) string { return strings.Replace(quotes, "name: quotes", "name: "+name, 1) }

func TestWhatIsPutIsSeenAtOnce(t *testing.T) {
	js, name := shared(t)
	put := newBucket(t, js, name)
	set := proof.Follow(t, redressnatskv.Bucket(js, name), put)
	for attempts := 2; attempts < 10; attempts++ {
		set.Edit(attempts)
	}
	set.BreakAndMend()
	before := set.Status()
	if before.From != "nats:"+name || before.Version != "12" {
		t.Errorf("%+v", before)
	}
	put("q/q.yaml", named("q"))
	set.Await("a key that came", func() bool { return strings.Join(set.Names(), " ") == "p q" })
	put("q/q.yaml", "")
	set.Await("a key that went", func() bool { return strings.Join(set.Names(), " ") == "p" })
	put("p.yaml", "")
	set.Await("that the bucket is empty is reported", func() bool { return set.Status().Err != nil })
	if got := set.Attempts(); got != 2 {
		t.Errorf("%d attempts, want 2 as before", got)
	}
	set.Edit(5)
}

func TestABucketMayHoldABundle(t *testing.T) {
	js, name := shared(t)
	data, err := os.ReadFile("../../examples/bundle/policies.rbundle")
	if err != nil {
		t.Fatal(err)
	}
	newBucket(t, js, name)("policies.rbundle", string(data))
	set, err := redress.Watch(t.Context(), redressnatskv.Bucket(js, name))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(set.Names(), " "); got != "shop-orders" {
		t.Errorf("policies %s", got)
	}
}

func TestAServerThatIsKilledTakesNoPolicyAway(t *testing.T) {
	s := launch(t)
	js := connect(t, "nats://"+s.address)
	set := proof.Follow(t, redressnatskv.Bucket(js, "policies"), newBucket(t, js, "policies"))
	for _, attempts := range []int{4, 5} {
		set.Edit(attempts)
		s.kill()
		if got := set.Attempts(); got != attempts {
			t.Errorf("%d attempts while the server is gone, want %d as before", got, attempts)
		}
		s.start()
		set.BreakAndMend()
	}
	if err := set.Status().Notify; err != nil {
		t.Error(err)
	}
}

func TestABucketThatIsGoneTakesNoPolicyAway(t *testing.T) {
	js, name := shared(t)
	set := proof.Follow(t, redressnatskv.Bucket(js, name), newBucket(t, js, name))
	set.Edit(4)
	if err := js.DeleteKeyValue(within(t), name); err != nil {
		t.Fatal(err)
	}
	if err := set.Reload(t.Context()); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("%v", err)
	}
	if got := set.Attempts(); got != 4 {
		t.Errorf("%d attempts, want 4 as before", got)
	}
	newBucket(t, js, name)("p.yaml", named("p"))
	if err := set.Reload(t.Context()); err != nil || set.Attempts() == 4 {
		t.Errorf("%v", err)
	}
}

func TestThatTheConnectionIsClosedIsToldInTheStatus(t *testing.T) {
	js, name := shared(t)
	own := connect(t, "nats://"+proof.Address(t, "REDRESS_TEST_NATS", "127.0.0.1:4222"))
	set := proof.Follow(t, redressnatskv.Bucket(own, name), newBucket(t, js, name))
	set.Edit(2)
	own.Conn().Close()
	set.Await("it is told", func() bool { return errors.Is(set.Status().Notify, nats.ErrConnectionClosed) })
}
