package redressnats

import (
	"context"
	"crypto/rand"
	"maps"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redress-policy/redress"
)

// Request sends msg as a request and returns the reply, under p. A reply ends the
// attempt, whatever is in it. A request that nobody listens to has not been sent, all
// others may have been acted on: give redress.NotIdempotent if that must not happen
// twice. Give the policy an attempt_timeout, or the first request to a responder that
// does not answer takes all the time there is.
func Request(ctx context.Context, p *redress.Policy, conn *nats.Conn, msg *nats.Msg, opts ...redress.Option) (*nats.Msg, error) {
	return redress.Call(ctx, p, func(ctx context.Context) (*nats.Msg, error) {
		reply, err := conn.RequestMsgWithContext(ctx, msg)
		return reply, Error(err)
	}, opts...)
}

// Publish stores msg in a stream, under p. If msg has no Nats-Msg-Id it is sent with one,
// the same in every attempt, so that a stream knows what it has stored already: within
// its duplicate window a message is stored once, however often it is sent. The client's
// own retries are off.
func Publish(ctx context.Context, p *redress.Policy, js jetstream.Publisher, msg *nats.Msg, opts ...redress.Option) (*jetstream.PubAck, error) {
	msg = withID(msg)
	return redress.Call(ctx, p, func(ctx context.Context) (*jetstream.PubAck, error) {
		ack, err := js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
		return ack, Error(err)
	}, opts...)
}

// withID returns msg, or a copy that has an id.
func withID(msg *nats.Msg) *nats.Msg {
	if msg == nil || msg.Header.Get(nats.MsgIdHdr) != "" {
		return msg
	}
	own := &nats.Msg{Subject: msg.Subject, Reply: msg.Reply, Data: msg.Data, Header: maps.Clone(msg.Header)}
	if own.Header == nil {
		own.Header = nats.Header{}
	}
	own.Header.Set(nats.MsgIdHdr, rand.Text())
	return own
}
