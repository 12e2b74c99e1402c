package redressamqp

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/redress-policy/redress"
)

// A Publisher publishes with confirms: a publication has succeeded when the broker has
// answered for the message. It makes its connection when it is needed, and anew after one
// was lost, within the attempt that needs it. It is safe for use by many goroutines, which
// share one channel.
type Publisher struct {
	Policy *redress.Policy
	// Dial makes a connection; amqp.DialConfig with a Dial function bounds how long that
	// takes. The client's own recovery must be off.
	Dial func() (*amqp.Connection, error)

	mu     sync.Mutex
	link   *link // guarded by mu; nil until it is needed
	closed bool  // guarded by mu
}

// Publish publishes msg to an exchange, under the policy. A message that no queue takes
// is a failure (312), as is one that the broker refuses (NACKED). If msg has no MessageId
// it is sent with one, the same in every attempt: a message of which it is not known
// whether the broker took it is sent again, unless redress.NotIdempotent is given, and
// consumers know the second one by that.
func (p *Publisher) Publish(ctx context.Context, exchange, key string, msg amqp.Publishing, opts ...redress.Option) error {
	if msg.MessageId == "" {
		msg.MessageId = rand.Text()
	}
	return redress.Do(ctx, p.Policy, func(ctx context.Context) error {
		return Error(p.once(ctx, exchange, key, msg))
	}, opts...)
}

// once is one attempt.
func (p *Publisher) once(ctx context.Context, exchange, key string, msg amqp.Publishing) error {
	l, err := p.open()
	if err != nil {
		return err
	}
	return l.publish(ctx, exchange, key, msg)
}

// Close closes the connection; publications that wait for the broker fail.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.link == nil {
		return nil
	}
	err := p.link.conn.Close()
	<-p.link.done
	if errors.Is(err, amqp.ErrClosed) {
		return nil
	}
	return err
}

// open returns the link, made anew if it was lost. Others wait while it is made.
func (p *Publisher) open() (*link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, redress.Permanent(errors.New("redressamqp: the publisher is closed"))
	}
	if p.link != nil && !p.link.channel.IsClosed() {
		return p.link, nil
	}
	var conn *amqp.Connection
	if p.link != nil && !p.link.conn.IsClosed() {
		conn = p.link.conn // an exception of the channel leaves the connection as it is
	}
	if conn == nil {
		var err error
		if conn, err = p.Dial(); err != nil {
			return nil, err
		}
	}
	l, err := newLink(conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	p.link = l
	return l, nil
}

// A link is a channel in confirm mode. One goroutine keeps what was returned on it; it
// ends with the channel.
type link struct {
	conn    *amqp.Connection
	channel *amqp.Channel
	ask     chan question
	done    chan struct{} // closed when the channel is; reason is set then
	reason  *amqp.Error
}

// A question is whether a message was returned. The broker returns before it confirms,
// and the client hands on in that order, so the answer is right once it is confirmed.
type question struct {
	id     string
	answer chan *amqp.Return
}

func newLink(conn *amqp.Connection) (*link, error) {
	channel, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	l := &link{conn: conn, channel: channel, ask: make(chan question), done: make(chan struct{})}
	go l.keep(channel.NotifyReturn(make(chan amqp.Return)), channel.NotifyClose(make(chan *amqp.Error, 1)))
	return l, nil
}

func (l *link) keep(returns <-chan amqp.Return, closes <-chan *amqp.Error) {
	defer close(l.done)
	kept := map[string]amqp.Return{}
	for {
		select {
		case r, open := <-returns:
			if !open { // the channel is closed; the reason was told before
				l.reason = <-closes
				return
			}
			kept[r.MessageId] = r
		case q := <-l.ask:
			if r, ok := kept[q.id]; ok {
				delete(kept, q.id)
				q.answer <- &r
			} else {
				q.answer <- nil
			}
		}
	}
}

// lost is why the channel closed.
func (l *link) lost() error {
	<-l.done
	if l.reason != nil {
		return l.reason
	}
	return amqp.ErrClosed
}

func (l *link) publish(ctx context.Context, exchange, key string, msg amqp.Publishing) error {
	confirmation, err := l.channel.PublishWithDeferredConfirmWithContext(ctx, exchange, key, true, false, msg)
	if err != nil {
		return err
	}
	taken, err := confirmation.WaitContext(ctx)
	if err != nil {
		return err
	}
	q := question{msg.MessageId, make(chan *amqp.Return, 1)}
	select {
	case l.ask <- q:
	case <-l.done:
	}
	select {
	case r := <-q.answer:
		if r != nil {
			return returned(*r)
		}
	case <-l.done:
	}
	switch {
	case taken:
		return nil
	case l.channel.IsClosed(): // the client calls what it waited for refused then
		return l.lost()
	}
	return errNacked
}
