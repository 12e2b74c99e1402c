package redressgrpc

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/redress-policy/redress"
)

// A Server has each RPC that it serves be a call under a policy. While the policy's circuit
// breaker refuses calls, the handler is not called: the answer is UNAVAILABLE, with the time
// until the breaker lets a probe through in google.rpc.RetryInfo and grpc-retry-pushback-ms.
// Nothing is ever handled twice, whatever the policy says, and the handler's error is
// returned as it is. Its fields are not changed once it is in use.
type Server struct {
	// Policy returns the policy of a method, "/package.Service/Method". If it returns nil the
	// handler is called without one.
	Policy func(method string) *redress.Policy

	// Options are given with every call.
	Options []redress.Option
}

// ServerOptions are both interceptors, after those that are there already.
func (s *Server) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(s.Unary), grpc.ChainStreamInterceptor(s.Stream)}
}

// Unary is a grpc.UnaryServerInterceptor.
func (s *Server) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	err = s.serve(ctx, info.FullMethod, func(ctx context.Context) error {
		reply, err = handler(ctx, req)
		return err
	}, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) })
	return reply, err
}

// Stream is a grpc.StreamServerInterceptor.
func (s *Server) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return s.serve(ss.Context(), info.FullMethod, func(ctx context.Context) error {
		return handler(srv, &served{ss, ctx})
	}, ss.SetTrailer)
}

// A served stream has the context of the call.
type served struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *served) Context() context.Context { return s.ctx }

func (s *Server) serve(ctx context.Context, method string, handle func(context.Context) error, trailer func(metadata.MD)) error {
	p := s.Policy(method)
	if p == nil {
		return handle(ctx)
	}
	opts := append([]redress.Option{redress.WithOperation(method), redress.NotReplayable()}, s.Options...)
	outcome := redress.Execute(ctx, p, func(ctx context.Context) (struct{}, error) { return struct{}{}, handle(ctx) }, opts...)
	switch {
	case outcome.OK || outcome.LastErr != nil:
		return outcome.LastErr
	case outcome.Reason == redress.CircuitOpen:
		return refusal(p, trailer)
	}
	return withStatus(outcome.Err())
}

// refusal is the status of an open breaker.
func refusal(p *redress.Policy, trailer func(metadata.MD)) error {
	refused := status.New(codes.Unavailable, "the circuit breaker is open")
	b := p.Breaker()
	if b == nil {
		return refused.Err()
	}
	wait := max(b.RetryIn(time.Now()), time.Second) // half-open: until the probe is back
	trailer(metadata.Pairs("grpc-retry-pushback-ms", strconv.FormatInt(wait.Milliseconds(), 10)))
	if detailed, err := refused.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); err == nil {
		refused = detailed
	}
	return refused.Err()
}
