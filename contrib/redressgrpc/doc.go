// Package redressgrpc puts policies in front of gRPC calls, and circuit breakers in front of
// gRPC services.
//
//	client := &redressgrpc.Client{Policy: func(method string) *redress.Policy { return policy }}
//	conn, err := grpc.NewClient(target, append(client.DialOptions(), credentials)...)
//
// A unary call is one call of its policy. A call whose server streams is retried until the
// first message or header is handed to the program; of calls whose client streams, only the
// opening of the stream is. What a server says of retries is heeded: google.rpc.RetryInfo and
// grpc-retry-pushback-ms are err.retry_after, for strategies such as retry_after_or, and a
// pushback that is negative or no number stops the call with ABORTED.
//
// The attempt's deadline is that of the RPC, so servers see it as grpc-timeout. The number
// of attempts before this one is sent as grpc-previous-rpc-attempts.
package redressgrpc
