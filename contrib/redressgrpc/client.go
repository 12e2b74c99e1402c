package redressgrpc

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
)

// A Client runs calls under policies. Its fields are not changed once it is in use.
type Client struct {
	// Policy returns the policy of a method, "/package.Service/Method". If it returns nil the
	// call goes out without one.
	Policy func(method string) *redress.Policy

	// Idempotent says which methods do no harm when they are carried out twice. Of the others
	// only what never reached a server is retried. Nil means [DeclaredIdempotent].
	Idempotent func(method string) bool

	// Options are given with every call.
	Options []redress.Option
}

// DialOptions are what a connection needs: both interceptors, after those that are there
// already, and an end to gRPC's own retries, which would multiply with those of policies.
func (c *Client) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(c.Unary), grpc.WithChainStreamInterceptor(c.Stream), grpc.WithDisableRetry()}
}

// Unary is a grpc.UnaryClientInterceptor. The error of a call is a *redress.Error with the
// status of its last attempt; a call that made none has a status too: UNAVAILABLE if the
// breaker is open. The reply is that of the last attempt alone.
func (c *Client) Unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	p := c.Policy(method)
	if p == nil {
		return invoker(ctx, method, req, reply, cc, opts...)
	}
	return withStatus(redress.Do(ctx, p, func(ctx context.Context) error {
		var seen attempt
		reset(reply)
		return seen.failure(invoker(numbered(ctx), method, req, reply, cc, seen.watch(opts)...))
	}, c.options(method)...))
}

// Stream is a grpc.StreamClientInterceptor.
func (c *Client) Stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	p := c.Policy(method)
	if p == nil {
		return streamer(ctx, desc, cc, method, opts...)
	}
	open := func(ctx context.Context, seen *attempt) (grpc.ClientStream, error) {
		return streamer(numbered(ctx), desc, cc, method, seen.watch(opts)...)
	}
	if !desc.ClientStreams {
		return &downstream{ctx: ctx, policy: p, options: c.options(method), open: open}, nil
	}
	s, err := redress.Call(ctx, p, func(ctx context.Context) (grpc.ClientStream, error) {
		var seen attempt
		s, err := open(ctx, &seen)
		return s, seen.failure(err)
	}, c.options(method)...)
	if err != nil {
		return nil, withStatus(err)
	}
	return s, nil
}

func (c *Client) options(method string) []redress.Option {
	opts := []redress.Option{redress.WithOperation(method)}
	idempotent := c.Idempotent
	if idempotent == nil {
		idempotent = DeclaredIdempotent
	}
	if !idempotent(method) {
		opts = append(opts, redress.NotIdempotent())
	}
	return append(opts, c.Options...)
}

// numbered tells the server how many attempts came before this one.
func numbered(ctx context.Context) context.Context {
	if a, _ := redress.AttemptFrom(ctx); a.Number > 1 {
		return metadata.AppendToOutgoingContext(ctx, "grpc-previous-rpc-attempts", strconv.Itoa(a.Number-1))
	}
	return ctx
}

func reset(reply any) {
	if m, ok := reply.(proto.Message); ok {
		proto.Reset(m)
	}
}

// An attempt is what was seen of one.
type attempt struct {
	peer    peer.Peer
	trailer metadata.MD
}

func (a *attempt) watch(opts []grpc.CallOption) []grpc.CallOption {
	return append(slices.Clone(opts), grpc.Peer(&a.peer), grpc.Trailer(&a.trailer))
}

// failure adds to the error of an attempt what its trailer and its connection say.
func (a *attempt) failure(err error) error {
	if err == nil {
		return nil
	}
	f := &failure{err: err, phase: engine.NotSent}
	if a.peer.Addr != nil { // the RPC had been given to a connection
		f.phase = engine.FailureOf(err, nil).Phase
	}
	values := a.trailer.Get("grpc-retry-pushback-ms")
	if len(values) == 0 {
		return f
	}
	ms, bad := strconv.Atoi(values[0])
	if bad != nil || ms < 0 || len(values) > 1 {
		return redress.Abort(f)
	}
	f.pushback = time.Duration(ms) * time.Millisecond
	return f
}

// A failure is the error of an attempt, and what only the transport knows.
type failure struct {
	err      error
	phase    engine.Phase
	pushback time.Duration
}

func (f *failure) Error() string              { return f.err.Error() }
func (f *failure) Unwrap() error              { return f.err }
func (f *failure) FailurePhase() engine.Phase { return f.phase }
func (f *failure) RetryAfter() time.Duration  { return f.pushback }

// withStatus gives a status to an error of a call that has none of a server.
func withStatus(err error) error {
	var e *redress.Error
	if _, has := status.FromError(err); has || !errors.As(err, &e) {
		return err
	}
	code := codes.Unknown
	switch e.Reason {
	case redress.CircuitOpen:
		code = codes.Unavailable
	case redress.Canceled:
		code = codes.Canceled
	case redress.DeadlineExceeded:
		code = codes.DeadlineExceeded
	}
	return &statusError{err, code}
}

type statusError struct {
	error
	code codes.Code
}

func (e *statusError) Unwrap() error              { return e.error }
func (e *statusError) GRPCStatus() *status.Status { return status.New(e.code, e.Error()) }

// A downstream is the stream of a call with one request. The RPC begins when the program
// first asks for an answer; until then nothing has been handed out, and it may begin again.
type downstream struct {
	ctx     context.Context
	policy  *redress.Policy
	options []redress.Option
	open    func(context.Context, *attempt) (grpc.ClientStream, error)

	request any
	stream  grpc.ClientStream // nil until committed
	failed  error             // why it never will be
}

// Context implements grpc.ClientStream.
func (d *downstream) Context() context.Context {
	if d.stream != nil {
		return d.stream.Context()
	}
	return d.ctx
}

// SendMsg keeps the request until the first answer.
func (d *downstream) SendMsg(m any) error { d.request = m; return nil }

// CloseSend implements grpc.ClientStream. The request is the only message.
func (d *downstream) CloseSend() error { return nil }

// Trailer implements grpc.ClientStream.
func (d *downstream) Trailer() metadata.MD {
	if d.stream == nil {
		return nil
	}
	return d.stream.Trailer()
}

// Header waits for the server's, and commits.
func (d *downstream) Header() (md metadata.MD, err error) {
	if d.stream != nil {
		return d.stream.Header()
	}
	err = d.begin(func(s grpc.ClientStream) (err error) { md, err = s.Header(); return err })
	return md, err
}

// RecvMsg commits when it returns a message, or the end of the stream.
func (d *downstream) RecvMsg(m any) error {
	if d.stream != nil {
		return d.stream.RecvMsg(m)
	}
	var end error
	if err := d.begin(func(s grpc.ClientStream) error {
		reset(m)
		err := s.RecvMsg(m)
		if errors.Is(err, io.EOF) {
			end, err = err, nil
		}
		return err
	}); err != nil {
		return err
	}
	return end
}

// begin runs the RPC up to the first answer.
func (d *downstream) begin(answer func(grpc.ClientStream) error) error {
	if d.failed != nil {
		return d.failed
	}
	d.stream, d.failed = redress.Call(d.ctx, d.policy, func(ctx context.Context) (grpc.ClientStream, error) {
		var seen attempt
		s, err := d.open(ctx, &seen)
		if err == nil {
			err = s.SendMsg(d.request)
		}
		if err == nil {
			err = s.CloseSend()
		}
		if err == nil || errors.Is(err, io.EOF) { // the status is yet to be read
			err = answer(s)
		}
		return s, seen.failure(err)
	}, d.options...)
	if d.failed != nil {
		d.stream, d.failed = nil, withStatus(d.failed)
	}
	return d.failed
}
