package redressamqp

import (
	"errors"
	"fmt"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/recorded"
)

// Error returns err with the record that the pack std.amqp reads: it is of kind broker,
// and its code is the broker's reply code ("404"), or a word of the table in
// docs/brokers.md for what the client says itself. errors.Is and errors.As find what they
// found before. Other errors are returned as they are, nil too.
func Error(err error) error {
	var reply *amqp.Error
	switch {
	case errors.Is(err, errNacked):
		return record(err, "NACKED", engine.NotSent)
	case !errors.As(err, &reply):
		return err
	}
	switch reply { // values of the client's, whose reply code says less
	case amqp.ErrClosed:
		return record(err, "NOT_OPEN", engine.NotSent)
	case amqp.ErrCredentials, amqp.ErrSASL:
		return record(err, "CREDENTIALS", engine.NotSent)
	case amqp.ErrVhost:
		return record(err, "VHOST", engine.NotSent)
	case amqp.ErrChannelMax:
		return record(err, "CHANNEL_MAX", engine.NotSent)
	}
	if reply.Code == amqp.FrameError && !reply.Server { // how the client puts that it could not read
		return record(err, "CONNECTION_LOST", engine.PhaseUnknown)
	}
	return record(err, strconv.Itoa(reply.Code), phaseOf(reply.Code))
}

// phaseOf: of what was under way when somebody closed the connection, or something else
// went wrong on it, nothing is known. What the broker refuses it has not done.
func phaseOf(code int) engine.Phase {
	switch code {
	case amqp.ContentTooLarge, amqp.NoRoute, amqp.NoConsumers, amqp.AccessRefused, amqp.NotFound, amqp.ResourceLocked, amqp.PreconditionFailed:
		return engine.NotSent
	}
	return engine.PhaseUnknown
}

func record(err error, code string, phase engine.Phase) error {
	return recorded.Error(err, func(f *engine.Failure) {
		f.Kind, f.Code, f.Phase = engine.KindBroker, code, phase
	})
}

// errNacked is what a publication fails with that the broker did not take.
var errNacked = errors.New("redressamqp: the broker did not take the message (basic.nack)")

// returned makes an error of a message that no queue took, with the reply code of a
// channel's.
func returned(r amqp.Return) error {
	return fmt.Errorf("redressamqp: the message was returned: %w", &amqp.Error{Code: int(r.ReplyCode), Reason: r.ReplyText, Server: true, Recover: true})
}
