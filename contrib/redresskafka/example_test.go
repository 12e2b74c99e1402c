package redresskafka_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redresskafka"
)

func TestTheExampleRuns(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	t.Setenv("KAFKA", cluster.ListenAddrs()[0])
	Example()
}

// Run by TestTheExampleRuns.
func Example() {
	set, err := redress.Parse("orders.yaml", []byte(orders))
	if err != nil {
		log.Fatal(err)
	}
	client, err := kgo.NewClient(append(redresskafka.Options(), kgo.SeedBrokers(os.Getenv("KAFKA")))...)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	record := &kgo.Record{Topic: "orders", Key: []byte("order 1"), Value: []byte("created")}
	produced, err := redresskafka.Produce(ctx, set.MustPolicy("orders"), client, record, redress.WithOperation("orders.created"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored at", produced.Offset)
}

const orders = `
apiVersion: redress/v1
kind: Policy
name: orders
classify: [{use: std.kafka}]
retry: {attempt_timeout: 2s, max_attempts: 5, strategy: {full_jitter: {base: 50ms, max: 2s}}}
`
