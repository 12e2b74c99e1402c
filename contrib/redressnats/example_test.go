package redressnats_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressnats"
	"github.com/redress-policy/redress/internal/proof"
)

func TestTheExampleRuns(t *testing.T) {
	t.Setenv("REDRESS_TEST_NATS", proof.Address(t, "REDRESS_TEST_NATS", "127.0.0.1:4222"))
	Example()
}

// Run by TestTheExampleRuns, if there is a NATS.
func Example() {
	set, err := redress.Parse("quotes.yaml", []byte(quotes))
	if err != nil {
		log.Fatal(err)
	}
	conn, err := nats.Connect("nats://" + os.Getenv("REDRESS_TEST_NATS"))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := redressnats.Request(ctx, set.MustPolicy("quotes"), conn, nats.NewMsg("redress.example.nobody"), redress.WithOperation("quotes.get"))
	fmt.Println(reply, err)
}

const quotes = `
apiVersion: redress/v1
kind: Policy
name: quotes
classify: [{use: std.nats}]
retry: {attempt_timeout: 500ms, max_attempts: 3, strategy: {full_jitter: {base: 50ms, max: 500ms}}}
`
