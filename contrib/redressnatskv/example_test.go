package redressnatskv_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressnatskv"
	"github.com/redress-policy/redress/internal/proof"
)

func TestTheExampleRuns(t *testing.T) {
	t.Setenv("REDRESS_TEST_NATS", proof.Address(t, "REDRESS_TEST_NATS", "127.0.0.1:4222"))
	js := connect(t, "nats://"+os.Getenv("REDRESS_TEST_NATS"))
	newBucket(t, js, "redress-example")("quotes.yaml", quotes)
	Example()
}

// Run by TestTheExampleRuns, if there is a NATS.
func Example() {
	conn, err := nats.Connect("nats://"+os.Getenv("REDRESS_TEST_NATS"), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	js, _ := jetstream.New(conn)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	set, err := redress.Watch(ctx, redressnatskv.Bucket(js, "redress-example"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Names())
}

const quotes = `
apiVersion: redress/v1
kind: Policy
name: quotes
classify: [{use: std.net}]
retry: {deadline: 2s, max_attempts: 3}
`
