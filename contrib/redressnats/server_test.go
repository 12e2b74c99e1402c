package redressnats

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

// A server is a nats-server of the test's own, which it may break.
type server struct {
	url     string
	process *exec.Cmd
}

// launch starts a private server with a configuration.
func launch(t *testing.T, configuration string) *server {
	t.Helper()
	binary, err := exec.LookPath("nats-server")
	if err != nil {
		proof.Missing(t, "a private NATS is needed: %v", err)
	}
	address, folder := proof.FreeAddress(t), t.TempDir()
	file := filepath.Join(folder, "nats.conf")
	if err := os.WriteFile(file, []byte("listen: \""+address+"\"\n"+configuration), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &server{url: "nats://" + address, process: exec.Command(binary, "-c", file, "-sd", folder)}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	eventually(t, "the private NATS listens", func() bool {
		conn, err := nats.Connect(s.url, nats.Timeout(time.Second))
		if err == nil {
			conn.Close()
		}
		return err == nil || errors.Is(err, nats.ErrAuthorization)
	})
	return s
}

// kill ends exactly this process.
func (s *server) kill() {
	if s.process.ProcessState == nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
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
			t.Fatalf("in vain: %s", what)
		}
	}
}

func connect(t testing.TB, url string, options ...nats.Option) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url, append(options, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// shared connects to the server that the tests share, which they may not break.
func shared(t testing.TB) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn := connect(t, "nats://"+proof.Address(t, "REDRESS_TEST_NATS", "127.0.0.1:4222"))
	return conn, streams(t, conn)
}

func streams(t testing.TB, conn *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// within is a context for one thing that should not take long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

const patience = 20 * time.Second

// stream makes a stream of the test's own; its name is also its subject.
func stream(t testing.TB, js jetstream.JetStream, config jetstream.StreamConfig) string {
	t.Helper()
	config.Name = "redress-" + rand.Text()
	config.Subjects = []string{config.Name}
	if _, err := js.CreateStream(within(t, patience), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = js.DeleteStream(within(t, patience), config.Name) })
	return config.Name
}

func policy(t testing.TB, text string, opts ...redress.LoadOption) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("policy.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: jobs\nclassify: [{use: std.nats}]\n"+text), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("jobs")
}
