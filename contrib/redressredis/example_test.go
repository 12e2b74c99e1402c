package redressredis_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressredis"
	"github.com/redress-policy/redress/internal/proof"
)

func TestTheExampleRuns(t *testing.T) {
	t.Setenv("REDRESS_TEST_REDIS", proof.Address(t, "REDRESS_TEST_REDIS", "127.0.0.1:6379"))
	Example()
}

// Run by TestTheExampleRuns, if there is a Redis.
func Example() {
	set, err := redress.Parse("sessions.yaml", []byte(`
apiVersion: redress/v1
kind: Policy
name: sessions
classify: [{use: std.redis}]
retry: {deadline: 2s, attempt_timeout: 500ms, max_attempts: 3}
`))
	if err != nil {
		panic(err)
	}
	client := redis.NewClient(&redis.Options{
		Addr:       os.Getenv("REDRESS_TEST_REDIS"),
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	})
	defer client.Close()
	if err := redressredis.Use(client, set.MustPolicy("sessions")); err != nil {
		panic(err)
	}
	fmt.Println(client.Ping(context.Background()).Result())
}
