package redressamqp

import (
	"context"
	"crypto/rand"
	"net"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

func address(t testing.TB) string {
	return proof.Address(t, "REDRESS_TEST_RABBITMQ", "127.0.0.1:5672")
}

func url(t testing.TB) string { return "amqp://guest:guest@" + address(t) + "/" }

func connect(t testing.TB) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(url(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func channel(t testing.TB, conn *amqp.Connection) *amqp.Channel {
	t.Helper()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// queue declares a queue of the test's own, which goes with the connection.
func queue(t testing.TB, ch *amqp.Channel, arguments amqp.Table) string {
	t.Helper()
	q, err := ch.QueueDeclare("redress-"+rand.Text(), false, false, true, false, arguments)
	if err != nil {
		t.Fatal(err)
	}
	return q.Name
}

func policy(t testing.TB, text string) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("policy.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: orders\nclassify: [{use: std.amqp}]\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("orders")
}

func publisher(t testing.TB, address, text string) *Publisher {
	t.Helper()
	p := &Publisher{Policy: policy(t, text), Dial: func() (*amqp.Connection, error) {
		return amqp.Dial("amqp://guest:guest@" + address + "/")
	}}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// within is a context for one thing that should not take long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

const patience = 30 * time.Second

// eventually waits for a condition of something outside of this process.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick, end := time.NewTicker(10*time.Millisecond), time.NewTimer(patience)
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

// A line is what leads to the server, and can be cut.
type line struct {
	address string
	mu      sync.Mutex
	open    []net.Conn // guarded by mu
}

func newLine(t testing.TB) *line {
	t.Helper()
	server := address(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{address: listener.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server)
			if err != nil {
				_ = near.Close()
				continue
			}
			l.mu.Lock()
			l.open = append(l.open, near, far)
			l.mu.Unlock()
			all.Go(func() { pipe(far, near) })
			all.Go(func() { pipe(near, far) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		all.Wait()
	})
	return l
}

func pipe(to, from net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.open {
		_ = conn.Close()
	}
	l.open = nil
}
