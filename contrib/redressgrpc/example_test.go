package redressgrpc_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressgrpc"
)

const users = `
apiVersion: redress/v1
kind: Policy
name: users
classify:
  - use: std.grpc
retry: {max_attempts: 3, strategy: {retry_after_or: {full_jitter: {base: 10ms, max: 1s}}}}
`

// A client whose reads are retried under a policy; the second attempt succeeds.
func Example() {
	address, stop := start(&service{answers: []answer{{err: unavailable()}}})
	defer stop()
	set, err := redress.Parse("users.yaml", []byte(users))
	if err != nil {
		panic(err)
	}
	ctx, policy := context.Background(), set.MustPolicy("users")

	client := &redressgrpc.Client{
		Policy:     func(string) *redress.Policy { return policy },
		Idempotent: redressgrpc.Idempotent("/grpc.testing.TestService/UnaryCall"),
	}
	conn, err := grpc.NewClient(address, append(client.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	reply, err := pb.NewTestServiceClient(conn).UnaryCall(ctx, &pb.SimpleRequest{})
	fmt.Println(reply.GetUsername(), err)
	// Output: ada <nil>
}
