package redressgrpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressgrpc"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

// A service answers calls in turn as it is told; after that, all is well.
type service struct {
	pb.UnimplementedTestServiceServer

	mu       sync.Mutex
	answers  []answer
	previous []string // grpc-previous-rpc-attempts of each RPC
	deadline time.Time
}

type answer struct {
	err      error
	pushback []string
	messages int // of a stream, before err
	hangs    bool
}

func (s *service) next(ctx context.Context) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	md, _ := metadata.FromIncomingContext(ctx)
	previous := ""
	if v := md.Get("grpc-previous-rpc-attempts"); len(v) > 0 {
		previous = v[0]
	}
	s.previous = append(s.previous, previous)
	s.deadline, _ = ctx.Deadline()
	if len(s.answers) == 0 {
		return answer{messages: 2}
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return a
}

func (s *service) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.previous
}

func pushed(a answer) metadata.MD {
	md := metadata.MD{}
	md.Append("grpc-retry-pushback-ms", a.pushback...)
	return md
}

func (s *service) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	a := s.next(ctx)
	if a.pushback != nil {
		_ = grpc.SetTrailer(ctx, pushed(a))
	}
	if a.hangs {
		<-ctx.Done()
	}
	return &pb.SimpleResponse{Username: "ada"}, a.err
}

func (s *service) StreamingOutputCall(_ *pb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	a := s.next(out.Context())
	if a.pushback != nil {
		out.SetTrailer(pushed(a))
	}
	for range a.messages {
		if err := out.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: []byte("x")}}); err != nil {
			return err
		}
	}
	return a.err
}

func (s *service) FullDuplexCall(both grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	return s.next(both.Context()).err
}

func serve(t testing.TB, s *service, opts ...grpc.ServerOption) string {
	t.Helper()
	address, stop := start(s, opts...)
	t.Cleanup(stop)
	return address
}

func start(s *service, opts ...grpc.ServerOption) (address string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(opts...)
	pb.RegisterTestServiceServer(server, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	return l.Addr().String(), func() { server.Stop(); <-done }
}

func policy(t testing.TB, more string) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("p.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: p\nclassify:\n  - use: std.grpc\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("p")
}

const quick = "retry: {max_attempts: 3, strategy: immediate, deadline: 20s}\n"

func dial(t testing.TB, address string, c *redressgrpc.Client) pb.TestServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, append(c.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pb.NewTestServiceClient(conn)
}

func all(p *redress.Policy) func(string) *redress.Policy {
	return func(string) *redress.Policy { return p }
}

var every = redressgrpc.Idempotent("/grpc.testing.TestService/")

func unavailable() error { return status.Error(codes.Unavailable, "no") }

func reason(t *testing.T, err error) redress.StopReason {
	t.Helper()
	var e *redress.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no error of a call", err)
	}
	return e.Reason
}

func TestAUnaryCallIsRetriedAndTheServerSeesTheAttempts(t *testing.T) {
	s := &service{answers: []answer{{err: unavailable()}, {err: status.Error(codes.Aborted, "race")}}}
	client := dial(t, serve(t, s), &redressgrpc.Client{Policy: all(policy(t, quick)), Idempotent: every})
	reply, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
	if err != nil || reply.Username != "ada" {
		t.Errorf("%v, %v", reply, err)
	}
	if got := s.seen(); len(got) != 3 || got[0] != "" || got[1] != "1" || got[2] != "2" {
		t.Errorf("the server saw %q", got)
	}
	if left := time.Until(s.deadline); left <= 0 || left > 20*time.Second {
		t.Errorf("the server's deadline is %v away", left)
	}
}

func TestTheErrorOfACallHasTheStatusOfItsLastAttempt(t *testing.T) {
	s := &service{answers: []answer{{err: status.Error(codes.InvalidArgument, "what")}}}
	client := dial(t, serve(t, s), &redressgrpc.Client{Policy: all(policy(t, quick)), Idempotent: every})
	_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
	if status.Code(err) != codes.InvalidArgument || reason(t, err) != redress.NonRetryableClass || len(s.seen()) != 1 {
		t.Errorf("%v", err)
	}
}

func TestWhatReachedAServerIsRetriedOnlyIfItsMethodIsIdempotent(t *testing.T) {
	s := &service{answers: []answer{{err: unavailable()}}}
	client := dial(t, serve(t, s), &redressgrpc.Client{Policy: all(policy(t, quick))}) // none is declared so
	_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
	if status.Code(err) != codes.Unavailable || reason(t, err) != redress.ReasonNotIdempotent || len(s.seen()) != 1 {
		t.Errorf("%v after %d", err, len(s.seen()))
	}
}

func TestWhatReachedNoServerIsRetriedWhateverTheMethod(t *testing.T) {
	client := dial(t, proof.FreeAddress(t), &redressgrpc.Client{Policy: all(policy(t, quick))})
	_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
	var e *redress.Error
	if !errors.As(err, &e) || e.Reason != redress.MaxAttemptsGlobal || e.Attempts != 3 {
		t.Errorf("%v", err)
	}
}

func TestPushbackAndRetryInfoAreHints(t *testing.T) {
	detailed, err := status.New(codes.ResourceExhausted, "full").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(70 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{answers: []answer{{err: detailed.Err()}, {err: detailed.Err(), pushback: []string{"90"}}}}
	var sleeps []time.Duration
	client := dial(t, serve(t, s), &redressgrpc.Client{
		Policy:     all(policy(t, "retry: {max_attempts: 3, strategy: {retry_after_or: {constant: {delay: 1ms}, jitter: 0s}}}\n")),
		Idempotent: every,
		Options:    []redress.Option{redress.WithBeforeSleep(func(_ context.Context, i redress.SleepInfo) { sleeps = append(sleeps, i.Sleep) })},
	})
	if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
	if len(sleeps) != 2 || sleeps[0] != 70*time.Millisecond || sleeps[1] != 90*time.Millisecond {
		t.Errorf("slept %v", sleeps)
	}
}

// gRFC A6: a pushback that is negative, no number, or there twice means: do not retry.
func TestAServerCanForbidRetries(t *testing.T) {
	for _, pushback := range [][]string{{"-1"}, {"soon"}, {"1", "2"}} {
		s := &service{answers: []answer{{err: unavailable(), pushback: pushback}, {err: unavailable(), pushback: pushback}}}
		client := dial(t, serve(t, s), &redressgrpc.Client{Policy: all(policy(t, quick)), Idempotent: every})
		_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
		if reason(t, err) != redress.Aborted || status.Code(err) != codes.Unavailable || len(s.seen()) != 1 {
			t.Errorf("%q: %v", pushback, err)
		}
		stream, _ := client.StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{})
		if _, err := stream.Recv(); reason(t, err) != redress.Aborted || len(s.seen()) != 2 {
			t.Errorf("%q: stream %v", pushback, err)
		}
	}
}

func TestAnAttemptThatTakesTooLongIsRetried(t *testing.T) {
	s := &service{answers: []answer{{hangs: true}}}
	client := dial(t, serve(t, s), &redressgrpc.Client{Policy: all(policy(t, "retry: {max_attempts: 3, strategy: immediate, attempt_timeout: 500ms}\n")), Idempotent: every})
	if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil || len(s.seen()) != 2 {
		t.Errorf("%v after %d", err, len(s.seen()))
	}
}

func received(stream grpc.ServerStreamingClient[pb.StreamingOutputCallResponse]) (n int, err error) {
	for {
		if _, err = stream.Recv(); err != nil {
			return n, err
		}
		n++
	}
}

func TestAStreamIsRetriedUntilItsFirstMessage(t *testing.T) {
	s := &service{answers: []answer{{err: unavailable()}}}
	client := dial(t, serve(t, s), &redressgrpc.Client{Policy: all(policy(t, quick)), Idempotent: every})
	stream, err := client.StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := received(stream); n != 2 || !errors.Is(err, io.EOF) || len(s.seen()) != 2 {
		t.Errorf("%d messages, %v after %d", n, err, len(s.seen()))
	}
}

func TestNothingIsRetriedOnceAMessageWasHandedOut(t *testing.T) {
	s := &service{answers: []answer{{err: unavailable(), messages: 1}}}
	client := dial(t, serve(t, s), &redressgrpc.Client{Policy: all(policy(t, quick)), Idempotent: every})
	stream, err := client.StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := received(stream); n != 1 || status.Code(err) != codes.Unavailable || len(s.seen()) != 1 {
		t.Errorf("%d messages, %v after %d", n, err, len(s.seen()))
	}
}

func TestAStreamOfTheClientIsNotRetriedOnceItIsOpen(t *testing.T) {
	s := &service{answers: []answer{{err: unavailable()}}}
	client := dial(t, serve(t, s), &redressgrpc.Client{Policy: all(policy(t, quick)), Idempotent: every})
	stream, err := client.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || len(s.seen()) != 1 {
		t.Errorf("%v after %d", err, len(s.seen()))
	}
	refused := dial(t, proof.FreeAddress(t), &redressgrpc.Client{Policy: all(policy(t, quick))})
	var e *redress.Error
	if _, err := refused.FullDuplexCall(t.Context()); !errors.As(err, &e) || e.Attempts != 3 || status.Code(err) != codes.Unavailable {
		t.Errorf("nobody listens: %v", err)
	}
}

const breaking = "retry: {max_attempts: 1}\ncircuit_breaker: {failure_threshold: 1, recovery_timeout: 60s, trip_on: [TRANSIENT]}\n"

func TestAnOpenBreakerOfTheClientIsUnavailable(t *testing.T) {
	s := &service{answers: []answer{{err: unavailable()}}}
	client := dial(t, serve(t, s), &redressgrpc.Client{Policy: all(policy(t, breaking)), Idempotent: every})
	_, _ = client.UnaryCall(t.Context(), &pb.SimpleRequest{})
	_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
	if status.Code(err) != codes.Unavailable || reason(t, err) != redress.CircuitOpen || len(s.seen()) != 1 {
		t.Errorf("%v after %d", err, len(s.seen()))
	}
}

func TestAnOpenBreakerOfTheServerSaysWhenToComeBack(t *testing.T) {
	s := &service{answers: []answer{{err: unavailable()}}}
	guard := &redressgrpc.Server{Policy: all(policy(t, breaking))}
	conn, err := grpc.NewClient("passthrough:///"+serve(t, s, guard.ServerOptions()...), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := pb.NewTestServiceClient(conn)
	if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}); status.Convert(err).Message() != "no" {
		t.Errorf("the handler's error is %v", err)
	}
	var trailer metadata.MD
	_, err = client.UnaryCall(t.Context(), &pb.SimpleRequest{}, grpc.Trailer(&trailer))
	refused(t, err, trailer)
	stream, err := client.StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	refused(t, err, stream.Trailer())
	if len(s.seen()) != 1 {
		t.Errorf("the handler was called %d times", len(s.seen()))
	}
}

func refused(t *testing.T, err error, trailer metadata.MD) {
	t.Helper()
	var delay time.Duration
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			delay = info.RetryDelay.AsDuration()
		}
	}
	if status.Code(err) != codes.Unavailable || delay < 30*time.Second || delay > time.Minute || len(trailer.Get("grpc-retry-pushback-ms")) != 1 {
		t.Errorf("%v, come back in %v, trailer %v", err, delay, trailer)
	}
}

// What a real server and a real client make of failures.
func TestFailuresOfGRPCHaveTheirClass(t *testing.T) {
	f := proof.New(t, "gRPC, grpc-go", "std.grpc")
	s := &service{}
	connect := func(address string) pb.TestServiceClient {
		conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return pb.NewTestServiceClient(conn)
	}
	client := connect(serve(t, s, grpc.MaxRecvMsgSize(1000)))
	for code, want := range []redress.Class{
		codes.Canceled: redress.ClassPermanent, codes.Unknown: redress.ClassUnknown, codes.InvalidArgument: redress.ClassPermanent,
		codes.DeadlineExceeded: redress.ClassTransient, codes.NotFound: redress.ClassPermanent, codes.AlreadyExists: redress.ClassPermanent,
		codes.PermissionDenied: redress.ClassPermission, codes.ResourceExhausted: redress.ClassRateLimit, codes.FailedPrecondition: redress.ClassPermanent,
		codes.Aborted: redress.ClassConcurrency, codes.OutOfRange: redress.ClassPermanent, codes.Unimplemented: redress.ClassPermanent,
		codes.Internal: redress.ClassServerError, codes.Unavailable: redress.ClassTransient, codes.DataLoss: redress.ClassServerError,
		codes.Unauthenticated: redress.ClassAuth,
	} {
		if code := codes.Code(code); code != codes.OK {
			s.answers = []answer{{err: status.Error(code, "no")}}
			_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
			f.Check(t, "a handler answers with "+code.String(), err, want)
		}
	}
	_, err := client.EmptyCall(t.Context(), &pb.Empty{})
	f.Check(t, "a method that the server does not have", err, redress.ClassPermanent)
	_, err = client.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: &pb.Payload{Body: make([]byte, 2000)}})
	f.Check(t, "a request that is larger than the server takes", err, redress.ClassRateLimit)
	_, err = connect(proof.FreeAddress(t)).UnaryCall(t.Context(), &pb.SimpleRequest{})
	f.Check(t, "connection refused", err, redress.ClassTransient)
	s.answers = []answer{{hangs: true}}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = client.UnaryCall(ctx, &pb.SimpleRequest{})
	f.Check(t, "the attempt's own timeout", err, redress.ClassTransient)
}
