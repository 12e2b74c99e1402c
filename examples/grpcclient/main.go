// Grpcclient asks a gRPC service that misbehaves, under the policy in policy.yaml, and
// tells how each call went. The service is gRPC's health service, on loopback.
//
//	go run ./examples/grpcclient
package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressgrpc"
)

//go:embed policy.yaml
var policies embed.FS

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "grpcclient:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	story := &teller{}
	set, err := redress.Load(policies, redress.WithPolicyObserver(story))
	if err != nil {
		return err
	}
	policy := set.MustPolicy("directory")
	address, stop, err := serve()
	if err != nil {
		return err
	}
	defer stop()

	client := &redressgrpc.Client{
		Policy:     func(string) *redress.Policy { return policy },
		Idempotent: redressgrpc.Idempotent("/grpc.health.v1.Health/"),
	}
	conn, err := grpc.NewClient(address, append(client.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		return err
	}
	defer conn.Close()

	for _, step := range []struct{ title, service string }{
		{"A server that is not there twice, then answers", "flaky"},
		{"Throttled, with RetryInfo of 100ms", "throttled"},
		{"What does not exist", "missing"},
		{"A server that hangs once: the attempt timeout ends it", "hangs"},
		{"A server that is down (first call)", "down"},
		{"A server that is down (second call): the breaker opens", "down"},
		{"The breaker is open: nothing is sent", "flaky"},
	} {
		reply, err := health.NewHealthClient(conn).Check(ctx, &health.HealthCheckRequest{Service: step.service})
		fmt.Fprintf(out, "── %s\n%s", step.title, story.tell())
		if err == nil {
			fmt.Fprintf(out, "   %v\n", reply.GetStatus())
		}
	}
	return nil
}

// A teller writes down the events of a call, a line each, those of attempts left out.
type teller struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

// Observe implements redress.Observer.
func (t *teller) Observe(_ context.Context, e redress.Event) {
	if strings.HasPrefix(e.Kind.String(), "attempt_") {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(&t.text, "   %s", e.Kind)
	for _, word := range []string{e.Class.String(), e.Rule, e.Reason.String()} {
		if word != "" {
			fmt.Fprintf(&t.text, " %s", word)
		}
	}
	if e.Sleep > 0 {
		fmt.Fprintf(&t.text, ", next in %v", e.Sleep.Round(time.Millisecond))
	}
	t.text.WriteString("\n")
}

// tell returns what was written since it was last asked.
func (t *teller) tell() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.text.Reset()
	return t.text.String()
}
