package redressmqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
)

// A Publisher publishes messages, under a policy. It makes its connection when it is
// needed, and anew after one was lost, within the attempt that needs it, each with a clean
// start. It is safe for use by many goroutines, which share one connection.
type Publisher struct {
	Policy *redress.Policy
	// Dial makes a network connection to a broker.
	Dial func(ctx context.Context) (net.Conn, error)
	// Connect is what the client says of itself: user name, password, keep alive and so
	// on. Nil is a client without a name, with a keep alive of 30 seconds. A keep alive of
	// 0 turns it off: a broker that is silent is then waited for in every attempt.
	Connect *paho.Connect

	mu     sync.Mutex
	link   *link // guarded by mu; nil until it is needed
	closed bool  // guarded by mu
}

// Publish publishes msg. With QoS 1 and 2 it has succeeded when the broker has answered for
// the message; with QoS 0 when it was written to the connection, and a broker that refuses
// or loses it says nothing. A message of which it is not known whether the broker took it
// is published again, unless redress.NotIdempotent is given: each attempt is a message of
// its own to the broker, so QoS 2 does not keep subscribers from getting it twice.
func (p *Publisher) Publish(ctx context.Context, msg *paho.Publish, opts ...redress.Option) error {
	return redress.Do(ctx, p.Policy, func(ctx context.Context) error { return p.once(ctx, msg) }, opts...)
}

// once is one attempt.
func (p *Publisher) once(ctx context.Context, msg *paho.Publish) error {
	l, err := p.open(ctx)
	if err != nil {
		return engine.MarkPhase(err, engine.NotSent)
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.life, cancel)()
	own := *msg // the client writes to it
	answer, err := l.client.Publish(waiting, &own)
	switch {
	case answer != nil && answer.ReasonCode >= 0x80: // with QoS 2 the client calls this no error
		return Error(refused(answer), answer.ReasonCode)
	case err == nil:
		return nil
	case l.life.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return err
	}
	if known := Error(err, 0); known != err {
		return known
	}
	select { // the connection was lost; the client tells why elsewhere
	case <-l.life.Done():
		return context.Cause(l.life)
	case <-ctx.Done():
		return err
	}
}

func refused(answer *paho.PublishResponse) error {
	text := ""
	if answer.Properties != nil && answer.Properties.ReasonString != "" {
		text = ": " + answer.Properties.ReasonString
	}
	return fmt.Errorf("redressmqtt: the broker did not take the message, reason %s%s", hex(answer.ReasonCode), text)
}

// Close ends the connection; publications that wait for the broker fail.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.link == nil || p.link.gone() {
		return nil
	}
	return p.link.client.Disconnect(&paho.Disconnect{})
}

// open returns the link, made anew if it was lost. Others wait while it is made.
func (p *Publisher) open(ctx context.Context) (*link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, redress.Permanent(errors.New("redressmqtt: the publisher is closed"))
	}
	if p.link != nil && !p.link.gone() {
		return p.link, nil
	}
	conn, err := p.Dial(ctx)
	if err != nil {
		return nil, err
	}
	l, err := newLink(ctx, conn, p.Connect)
	if err != nil {
		return nil, err
	}
	p.link = l
	return l, nil
}

// A link is a connection that a broker has accepted.
type link struct {
	client *paho.Client
	life   context.Context // ends with the connection; the cause is why
}

// newLink connects; it closes conn if the broker does not accept.
func newLink(ctx context.Context, conn net.Conn, connect *paho.Connect) (*link, error) {
	life, end := context.WithCancelCause(context.Background())
	l := &link{life: life}
	l.client = paho.NewClient(paho.ClientConfig{
		Conn:               packets.NewThreadSafeConn(conn),
		OnServerDisconnect: func(d *paho.Disconnect) { end(disconnected(d)) },
		OnClientError:      end,
	})
	own := paho.Connect{KeepAlive: 30}
	if connect != nil {
		own = *connect
	}
	own.CleanStart = true
	answer, err := l.client.Connect(ctx, &own)
	switch {
	case err != nil && answer != nil:
		return nil, Error(fmt.Errorf("%w, reason %s", err, hex(answer.ReasonCode)), answer.ReasonCode)
	case err != nil:
		return nil, err
	}
	return l, nil
}

// gone tells whether the connection is closed.
func (l *link) gone() bool {
	select {
	case <-l.client.Done():
		return true
	default:
		return false
	}
}
