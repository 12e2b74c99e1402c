package redressnats

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

func TestFailuresOfNATSHaveTheirClass(t *testing.T) {
	conn, _ := shared(t)
	f := proof.New(t, "NATS, nats.go", "std.nats")
	check := func(failure string, err error, want redress.Class) {
		t.Helper()
		f.Check(t, failure, Error(err), want)
	}
	ctx := within(t, patience)

	_, err := conn.RequestWithContext(ctx, nats.NewInbox(), nil)
	check("a request that nobody listens to", err, redress.ClassTransient)

	silent := nats.NewInbox()
	if _, err := conn.Subscribe(silent, func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Request(silent, nil, 20*time.Millisecond)
	check("a request that nobody answers", err, redress.ClassTransient)
	_, err = conn.RequestWithContext(within(t, 20*time.Millisecond), silent, nil)
	check("a request that nobody answers within the attempt", err, redress.ClassTransient)

	slow := nats.NewInbox()
	sub, err := conn.SubscribeSync(slow)
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.SetPendingLimits(1, -1); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := conn.Publish(slow, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "messages are dropped", func() bool { n, _ := sub.Dropped(); return n > 0 })
	_, err = sub.NextMsg(time.Second)
	check("a subscriber that is too slow", err, redress.ClassTransient)

	check("a message larger than the server takes", conn.Publish(slow, make([]byte, conn.MaxPayload()+1)), redress.ClassPermanent)
	check("a publication without a subject", conn.Publish("", nil), redress.ClassPermanent)

	closed := connect(t, conn.ConnectedUrl())
	closed.Close()
	check("a client that was closed", closed.Publish(slow, nil), redress.ClassPermanent)

	_, err = nats.Connect("nats://" + proof.FreeAddress(t))
	check("nothing listens", err, redress.ClassTransient)

	guarded := launch(t, `authorization: {users: [{user: ann, password: right, permissions: {publish: {deny: "secret"}, subscribe: {deny: "secret"}}}]}`)
	_, err = nats.Connect(guarded.url, nats.UserInfo("ann", "wrong"))
	check("a wrong password", err, redress.ClassAuth)
	ann := connect(t, guarded.url, nats.UserInfo("ann", "right"), nats.PermissionErrOnSubscribe(true))
	sub, err = ann.SubscribeSync("secret")
	if err != nil {
		t.Fatal(err)
	}
	if err := ann.Flush(); err != nil {
		t.Fatal(err)
	}
	_, err = sub.NextMsgWithContext(ctx)
	check("a subscription that the user is not permitted", err, redress.ClassPermission)

	doomed := launch(t, "")
	lost := connect(t, doomed.url, nats.ReconnectBufSize(-1), nats.MaxReconnects(-1))
	doomed.kill()
	eventually(t, "the client notices", lost.IsReconnecting)
	check("the server is gone", lost.Publish("x", nil), redress.ClassTransient)
}

func TestFailuresOfJetStreamHaveTheirClass(t *testing.T) {
	_, js := shared(t)
	f := proof.New(t, "NATS JetStream, nats.go", "std.nats")
	check := func(failure string, err error, want redress.Class) {
		t.Helper()
		f.Check(t, failure, Error(err), want)
	}
	ctx := within(t, patience)

	_, err := js.Publish(ctx, nats.NewInbox(), nil, jetstream.WithRetryAttempts(0))
	check("a publication to a subject without a stream", err, redress.ClassTransient)
	_, err = js.Stream(ctx, "redress-none")
	check("a stream that does not exist", err, redress.ClassPermanent)

	full := stream(t, js, jetstream.StreamConfig{MaxMsgs: 1, Discard: jetstream.DiscardNew, MaxMsgSize: 100})
	if _, err := js.Publish(ctx, full, nil); err != nil {
		t.Fatal(err)
	}
	_, err = js.Consumer(ctx, full, "none")
	check("a consumer that does not exist", err, redress.ClassPermanent)
	_, err = js.Publish(ctx, full, nil, jetstream.WithExpectLastSequence(7))
	check("a stream at another sequence than expected", err, redress.ClassConcurrency)
	_, err = js.Publish(ctx, full, nil, jetstream.WithExpectStream("another"))
	check("another stream than expected", err, redress.ClassPermanent)
	_, err = js.Publish(ctx, full, nil)
	check("a stream that is full", err, redress.ClassRateLimit)
	_, err = js.Publish(ctx, full, make([]byte, 200))
	check("a message larger than the stream takes", err, redress.ClassPermanent)

	bare := streams(t, connect(t, launch(t, "").url))
	_, err = bare.AccountInfo(ctx)
	check("a server without JetStream", err, redress.ClassPermanent)
}

func TestErrorKeepsWhatItDoesNotKnow(t *testing.T) {
	plain := errors.New("plain")
	for _, err := range []error{nil, plain, context.Canceled} {
		if got := Error(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
	known := Error(nats.ErrNoResponders)
	if !errors.Is(known, nats.ErrNoResponders) || Error(known) != known {
		t.Errorf("%v", known)
	}
}
