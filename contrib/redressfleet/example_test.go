package redressfleet

import (
	"context"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"
	"github.com/redress-policy/redress"
)

// Run by TestTheExampleRuns, if there is a Redis.
func Example() {
	client := redis.NewClient(&redis.Options{Addr: os.Getenv("REDRESS_TEST_REDIS"), ContextTimeoutEnabled: true})
	defer client.Close()
	fleet, err := Join(NewRedis(client, "example"), Options{})
	if err != nil {
		panic(err)
	}
	defer fleet.Close()
	set, err := redress.Parse("payments.yaml", []byte(`
apiVersion: redress/v1
kind: Budget
name: payments
scope: fleet
max_retries: 600
window: 60s
---
apiVersion: redress/v1
kind: Policy
name: payments-api
classify: [{use: std.http}]
retry: {max_attempts: 3, budget: payments}
`), redress.WithFleet(fleet))
	if err != nil {
		panic(err)
	}
	fmt.Println(redress.Do(context.Background(), set.MustPolicy("payments-api"), func(context.Context) error { return nil }))
}
