package redresskafka

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/recorded"
)

// Error returns err with the record that the pack std.kafka reads: it is of kind broker,
// and its code is the name of an error in Kafka's protocol, as the client spells it
// ("NOT_LEADER_FOR_PARTITION"), or a word of the table in docs/brokers.md for what the
// client says itself. errors.Is and errors.As find what they found before. Other errors
// are returned as they are, nil too.
func Error(err error) error {
	for _, w := range words {
		if errors.Is(err, w.err) {
			return record(err, w.code, w.phase, w.timeout)
		}
	}
	var answer *kerr.Error
	if !errors.As(err, &answer) || answer == nil {
		return err
	}
	return record(err, answer.Message, phaseOf(answer), answer == kerr.RequestTimedOut)
}

func record(err error, code string, phase engine.Phase, timeout bool) error {
	return recorded.Error(err, func(f *engine.Failure) {
		f.Kind, f.Code, f.Phase = engine.KindBroker, code, phase
		f.Timeout = f.Timeout || timeout
	})
}

// words are what the client says itself. They stand before the answers of brokers: an
// error that has both is the client's, with the last answer beside it.
var words = []struct {
	err     error
	code    string
	phase   engine.Phase
	timeout bool
}{
	{kgo.ErrRecordRetries, "RECORD_RETRIES", engine.PhaseUnknown, false},
	{kgo.ErrRecordTimeout, "RECORD_TIMEOUT", engine.PhaseUnknown, true},
	{kgo.ErrMaxBuffered, "MAX_BUFFERED", engine.NotSent, false},
	{kgo.ErrAborting, "ABORTING", engine.PhaseUnknown, false},
	{kgo.ErrClientClosed, "CLIENT_CLOSED", engine.PhaseUnknown, false},
}

// phaseOf: what a broker refuses for what it is, it has not done. An answer that comes of
// waiting for others (replicas, another leader, a disk) leaves open whether the record is
// in the log: a leader that is deposed while it waits says that it is none.
func phaseOf(answer *kerr.Error) engine.Phase {
	switch answer {
	case kerr.NotEnoughReplicas, kerr.ThrottlingQuotaExceeded, kerr.CorruptMessage, kerr.MessageTooLarge, kerr.RecordListTooLarge,
		kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.InvalidTopicException, kerr.InvalidRequiredAcks, kerr.PolicyViolation,
		kerr.UnsupportedForMessageFormat, kerr.UnsupportedCompressionType, kerr.UnsupportedVersion,
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
		kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState:
		return engine.NotSent
	}
	return engine.PhaseUnknown
}
