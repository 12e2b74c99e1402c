package redressnats

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redress-policy/redress"
)

const quick = "retry: {max_attempts: 5, attempt_timeout: 200ms, strategy: {constant: {delay: 20ms}}}\n"

func TestARequestIsRepeatedUntilSomebodyAnswers(t *testing.T) {
	conn, _ := shared(t)
	subject := nats.NewInbox()
	events := 0
	observer := redress.ObserverFunc(func(_ context.Context, e redress.Event) {
		if events++; e.Attempt != 2 || e.Decision == 0 {
			return
		}
		if _, err := conn.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond([]byte("pong")) }); err != nil {
			t.Error(err)
		}
		if err := conn.Flush(); err != nil {
			t.Error(err)
		}
	})
	reply, err := Request(context.Background(), policy(t, quick), conn, nats.NewMsg(subject), redress.WithObserver(observer), redress.NotIdempotent())
	if err != nil || string(reply.Data) != "pong" {
		t.Errorf("%v, %v", reply, err)
	}
}

func TestARequestThatMayHaveBeenActedOnIsNotRepeatedUnlessIdempotent(t *testing.T) {
	conn, _ := shared(t)
	subject := nats.NewInbox()
	asked := make(chan struct{}, 10)
	if _, err := conn.Subscribe(subject, func(*nats.Msg) { asked <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	_, err := Request(context.Background(), policy(t, quick), conn, nats.NewMsg(subject), redress.NotIdempotent())
	var failed *redress.Error
	if !errors.As(err, &failed) || failed.Reason != redress.ReasonNotIdempotent {
		t.Errorf("%v", err)
	}
	if len(asked) != 1 {
		t.Errorf("asked %d times", len(asked))
	}
}

// A flaky publisher stores, and says that it did not.
type flaky struct {
	jetstream.JetStream
	left int
	ids  []string
}

func (f *flaky) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	f.ids = append(f.ids, msg.Header.Get(nats.MsgIdHdr))
	ack, err := f.JetStream.PublishMsg(ctx, msg, opts...)
	if f.left--; err == nil && f.left >= 0 {
		return nil, nats.ErrTimeout
	}
	return ack, err
}

func TestAPublicationThatIsRepeatedIsStoredOnce(t *testing.T) {
	_, js := shared(t)
	name := stream(t, js, jetstream.StreamConfig{})
	msg := nats.NewMsg(name)
	f := &flaky{JetStream: js, left: 2}
	ack, err := Publish(context.Background(), policy(t, quick), f, msg)
	if err != nil || !ack.Duplicate || ack.Sequence != 1 {
		t.Fatalf("%+v, %v", ack, err)
	}
	if len(f.ids) != 3 || f.ids[0] == "" || f.ids[0] != f.ids[2] {
		t.Errorf("ids %q", f.ids)
	}
	if msg.Header.Get(nats.MsgIdHdr) != "" {
		t.Error("the caller's message was written to")
	}
	own := nats.NewMsg(name)
	own.Header.Set(nats.MsgIdHdr, "mine")
	f.ids = nil
	if _, err := Publish(context.Background(), policy(t, quick), f, own); err != nil || f.ids[0] != "mine" {
		t.Errorf("%q, %v", f.ids, err)
	}
}

// A job is a message that is handled by a consumer of the test's own.
type job struct {
	t        *testing.T
	consumer jetstream.Consumer
	handler  *Consumer
}

func newJob(t *testing.T, p *redress.Policy) *job {
	t.Helper()
	_, js := shared(t)
	name := stream(t, js, jetstream.StreamConfig{})
	consumer, err := js.CreateConsumer(within(t, patience), name, jetstream.ConsumerConfig{Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	bucket := strings.ReplaceAll(name, "-", "_")
	states, err := js.CreateKeyValue(within(t, patience), jetstream.KeyValueConfig{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = js.DeleteKeyValue(within(t, patience), bucket) })
	if _, err := js.Publish(within(t, patience), name, []byte("work")); err != nil {
		t.Fatal(err)
	}
	return &job{t, consumer, &Consumer{Policy: p, States: states}}
}

// handle takes the next delivery and handles it with what fn returns.
func (j *job) handle(ctx context.Context, result error) redress.Outcome[struct{}] {
	j.t.Helper()
	msg, err := j.consumer.Next(jetstream.FetchMaxWait(patience))
	if err != nil {
		j.t.Fatal(err)
	}
	outcome, err := j.handler.Handle(ctx, msg, func(context.Context) error { return result })
	if err != nil {
		j.t.Fatal(err)
	}
	return outcome
}

// wantDone checks that nothing is left of the message, nor of its state.
func (j *job) wantDone() {
	j.t.Helper()
	eventually(j.t, "the message is settled", func() bool {
		info, err := j.consumer.Info(within(j.t, patience))
		return err == nil && info.NumAckPending == 0 && info.NumPending == 0
	})
	if keys, err := j.handler.States.Keys(within(j.t, patience)); !errors.Is(err, jetstream.ErrNoKeysFound) {
		j.t.Errorf("states left: %v, %v", keys, err)
	}
}

func TestAMessageComesAgainAfterTheDelayOfThePolicyAndCountsItsAttempts(t *testing.T) {
	j := newJob(t, policy(t, "retry: {max_attempts: 5, strategy: {constant: {delay: 200ms}}}\n"))
	down := redress.Transient(errors.New("down"))
	began := time.Now()
	first := j.handle(context.Background(), down)
	if first.Reason != redress.Scheduled || first.NextDelay != 200*time.Millisecond || first.Attempts != 1 {
		t.Errorf("%+v", first)
	}
	second := j.handle(context.Background(), down)
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("it came again after %v", took)
	}
	if second.Reason != redress.Scheduled || second.Attempts != 2 {
		t.Errorf("%+v", second)
	}
	if third := j.handle(context.Background(), nil); !third.OK || third.Attempts != 3 {
		t.Errorf("%+v", third)
	}
	j.wantDone()
}

func TestAMessageThatThePolicyGivesUpOnIsTerminated(t *testing.T) {
	j := newJob(t, policy(t, "retry: {max_attempts: 2, strategy: immediate}\n"))
	down := redress.Transient(errors.New("down"))
	j.handle(context.Background(), down)
	if last := j.handle(context.Background(), down); last.Reason != redress.MaxAttemptsGlobal {
		t.Errorf("%+v", last)
	}
	j.wantDone()
	j = newJob(t, policy(t, ""))
	if only := j.handle(context.Background(), redress.Permanent(errors.New("no"))); only.Reason != redress.NonRetryableClass {
		t.Errorf("%+v", only)
	}
	j.wantDone()
}

func TestAMessageThatTheBreakerOrAShutdownKeptFromBeingHandledIsNotLost(t *testing.T) {
	p := policy(t, "retry: {max_attempts: 1}\ncircuit_breaker: {failure_threshold: 1, recovery_timeout: 1s}\n")
	_ = redress.Do(context.Background(), p, func(context.Context) error { return redress.Transient(errors.New("down")) })
	j := newJob(t, p)
	began := time.Now()
	if refused := j.handle(context.Background(), nil); refused.Reason != redress.CircuitOpen {
		t.Errorf("%+v", refused)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if canceled := j.handle(ended, nil); canceled.Reason != redress.Canceled {
		t.Errorf("%+v", canceled)
	}
	if handled := j.handle(context.Background(), nil); !handled.OK {
		t.Errorf("%+v", handled)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("the breaker was asked again after %v", took)
	}
	j.wantDone()
}
