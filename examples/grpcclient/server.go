package main

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// serve starts a service that misbehaves, and returns its address.
func serve() (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := grpc.NewServer()
	health.RegisterHealthServer(server, &service{calls: map[string]int{}})
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), server.Stop, nil
}

// A service answers by the name that it is asked for.
type service struct {
	health.UnimplementedHealthServer

	mu    sync.Mutex
	calls map[string]int // guarded by mu
}

// Check implements health.HealthServer.
func (s *service) Check(ctx context.Context, req *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	switch n := s.count(req.GetService()); {
	case req.GetService() == "down", req.GetService() == "flaky" && n <= 2:
		return nil, status.Error(codes.Unavailable, "nobody is here")
	case req.GetService() == "throttled" && n == 1:
		return nil, throttled(100 * time.Millisecond)
	case req.GetService() == "missing":
		return nil, status.Error(codes.NotFound, "no such service")
	case req.GetService() == "hangs" && n == 1:
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return &health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}, nil
}

func (s *service) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
	return s.calls[name]
}

// throttled is an answer that says when to come again.
func throttled(after time.Duration) error {
	s := status.New(codes.ResourceExhausted, "too many calls")
	with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	if err != nil {
		return s.Err()
	}
	return with.Err()
}
