package redressmqtt

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

const patience = 20 * time.Second

// A server is a Mosquitto of the test's own, which it may break.
type server struct {
	address string
	process *exec.Cmd
}

// launch starts a private server with a configuration.
func launch(t *testing.T, configuration string) *server {
	t.Helper()
	binary, err := exec.LookPath("mosquitto")
	if err != nil {
		binary = "/usr/sbin/mosquitto"
	}
	s := &server{address: proof.FreeAddress(t)}
	_, port, _ := net.SplitHostPort(s.address)
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(file, []byte("listener "+port+" 127.0.0.1\nuser root\n"+configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	s.process = exec.Command(binary, "-c", file)
	if err := s.process.Start(); err != nil {
		proof.Missing(t, "a private Mosquitto is needed: %v", err)
	}
	t.Cleanup(s.kill)
	tick, end := time.NewTicker(5*time.Millisecond), time.NewTimer(patience)
	defer tick.Stop()
	defer end.Stop()
	for {
		if conn, err := net.Dial("tcp", s.address); err == nil {
			_ = conn.Close()
			return s
		}
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatal("the private Mosquitto does not listen")
		}
	}
}

// kill ends exactly this process.
func (s *server) kill() {
	if s.process.ProcessState == nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
	}
}

// shared is the server that the tests share, which they may not break.
func shared(t testing.TB) string {
	return proof.Address(t, "REDRESS_TEST_MOSQUITTO", "127.0.0.1:1883")
}

func dial(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
}

func publisher(t testing.TB, address, text string, connect *paho.Connect) *Publisher {
	t.Helper()
	p := &Publisher{Policy: policy(t, text), Dial: dial(address), Connect: connect}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func policy(t testing.TB, text string) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("policy.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: orders\nclassify: [{use: std.mqtt}]\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("orders")
}

// within is a context for one thing that should not take long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
