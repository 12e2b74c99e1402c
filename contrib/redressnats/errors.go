package redressnats

import (
	"errors"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/recorded"
)

// Error returns err with the record that the pack std.nats reads: it is of kind broker,
// and its code is a word of the table in docs/brokers.md for what the client says, or the
// number of an error of JetStream ("10071"), with the status beside it. errors.Is and
// errors.As find what they found before. Other errors are returned as they are, nil too.
func Error(err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api != nil {
		return recordAPI(err, api)
	}
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil { // a value of the client's, such as ErrStreamNotFound
		return recordAPI(err, js.APIError())
	}
	for _, w := range words {
		if errors.Is(err, w.err) {
			return recorded.Error(err, func(f *engine.Failure) {
				f.Kind, f.Code, f.Phase = engine.KindBroker, w.code, w.phase
				f.Timeout = f.Timeout || w.timeout
			})
		}
	}
	return err
}

func recordAPI(err error, api *jetstream.APIError) error {
	return recorded.Error(err, func(f *engine.Failure) {
		f.Kind, f.Code, f.Phase = engine.KindBroker, strconv.Itoa(int(api.ErrorCode)), engine.Sent
		if api.Code >= 100 && api.Code <= 599 {
			f.Status = api.Code
		}
	})
}

// words are the errors of the client that a policy can do something about.
var words = []struct {
	err     error
	code    string
	phase   engine.Phase
	timeout bool
}{
	{nats.ErrNoResponders, "NO_RESPONDERS", engine.NotSent, false},
	{jetstream.ErrNoStreamResponse, "NO_STREAM_RESPONSE", engine.NotSent, false},
	{nats.ErrTimeout, "TIMEOUT", engine.PhaseUnknown, true},
	{jetstream.ErrAsyncPublishTimeout, "TIMEOUT", engine.PhaseUnknown, true},
	{nats.ErrSlowConsumer, "SLOW_CONSUMER", engine.Sent, false},
	{jetstream.ErrTooManyStalledMsgs, "STALLED", engine.NotSent, false},
	{jetstream.ErrNoMessages, "NO_MESSAGES", engine.Sent, false},
	{jetstream.ErrNoHeartbeat, "NO_HEARTBEAT", engine.PhaseUnknown, false},
	{jetstream.ErrServerShutdown, "SERVER_SHUTDOWN", engine.PhaseUnknown, false},
	{jetstream.ErrConsumerLeadershipChanged, "LEADERSHIP_CHANGED", engine.PhaseUnknown, false},
	{jetstream.ErrConsumerDeleted, "CONSUMER_DELETED", engine.Sent, false},
	{jetstream.ErrMsgAlreadyAckd, "ALREADY_ACKED", engine.NotSent, false},
	{nats.ErrNoServers, "NO_SERVERS", engine.NotSent, false},
	{nats.ErrConnectionReconnecting, "RECONNECTING", engine.NotSent, false},
	{nats.ErrReconnectBufExceeded, "RECONNECT_BUFFER_FULL", engine.NotSent, false},
	{nats.ErrDisconnected, "DISCONNECTED", engine.PhaseUnknown, false},
	{nats.ErrStaleConnection, "STALE_CONNECTION", engine.PhaseUnknown, false},
	{nats.ErrMaxConnectionsExceeded, "MAX_CONNECTIONS", engine.NotSent, false},
	{nats.ErrMaxAccountConnectionsExceeded, "MAX_CONNECTIONS", engine.NotSent, false},
	{nats.ErrMaxSubscriptionsExceeded, "MAX_SUBSCRIPTIONS", engine.NotSent, false},
	{nats.ErrAuthorization, "AUTHORIZATION", engine.NotSent, false},
	{nats.ErrAuthExpired, "AUTH_EXPIRED", engine.NotSent, false},
	{nats.ErrAccountAuthExpired, "AUTH_EXPIRED", engine.NotSent, false},
	{nats.ErrAuthRevoked, "AUTH_REVOKED", engine.NotSent, false},
	{nats.ErrPermissionViolation, "PERMISSIONS_VIOLATION", engine.NotSent, false},
	{nats.ErrConnectionClosed, "CLIENT_CLOSED", engine.NotSent, false},
	{jetstream.ErrConnectionClosed, "CLIENT_CLOSED", engine.NotSent, false},
	{nats.ErrConnectionDraining, "CLIENT_DRAINING", engine.NotSent, false},
	{nats.ErrMaxPayload, "MAX_PAYLOAD", engine.NotSent, false},
	{nats.ErrBadSubject, "BAD_SUBJECT", engine.NotSent, false},
	{jetstream.ErrInvalidSubject, "BAD_SUBJECT", engine.NotSent, false},
	{nats.ErrInvalidMsg, "INVALID_MESSAGE", engine.NotSent, false},
}
