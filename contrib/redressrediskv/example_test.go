package redressrediskv_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressrediskv"
	"github.com/redress-policy/redress/internal/proof"
)

func TestTheExampleRuns(t *testing.T) {
	address := proof.Address(t, "REDRESS_TEST_REDIS", "127.0.0.1:6379")
	t.Setenv("REDRESS_TEST_REDIS", address)
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close()
	defer client.Del(context.Background(), "redress-example")
	if err := client.HSet(context.Background(), "redress-example", "quotes.yaml", quotes).Err(); err != nil {
		t.Fatal(err)
	}
	Example()
}

// Run by TestTheExampleRuns, if there is a Redis.
func Example() {
	client := redis.NewClient(&redis.Options{Addr: os.Getenv("REDRESS_TEST_REDIS")})
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	set, err := redress.Watch(ctx, redressrediskv.Hash(client, "redress-example"))
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
