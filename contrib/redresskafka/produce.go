package redresskafka

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/redress-policy/redress"
)

// Options are options for a client whose records are produced under policies: its own
// retries of records are off, other requests, such as for metadata, are tried once more,
// at another broker; and an attempt ends when its time is up, even if the client does not
// know then whether the record was stored.
func Options() []kgo.Opt {
	return []kgo.Opt{
		kgo.RecordRetries(0),
		kgo.UnknownTopicRetries(0),
		kgo.RequestRetries(1),
		kgo.AllowIdempotentProduceCancellation(),
	}
}

// errRetries is what a call of Produce fails with whose client repeats by itself.
var errRetries = errors.New("redresskafka: the client retries records itself; make it with redresskafka.Options(), or RecordRetries(0) and UnknownTopicRetries(0)")

// Produce produces a record and waits for the answer, under p, with a client that was made
// with [Options]; one that retries records itself is an error. It returns the record as it
// was stored, with its partition and offset; the one given is not written to.
//
// Kafka's idempotent producer knows a record by a number that the client gives it for one
// attempt, so it does not help between attempts: a record of which it is not known whether
// it was stored (by a timeout, a lost connection, a leader that is none any more) is
// produced again under another number, and may be in the log twice. Give
// redress.NotIdempotent if that must not happen, or let consumers know a record by its key.
//
// With a client that has RecordRetries(0) and UnknownTopicRetries(0) but not
// AllowIdempotentProduceCancellation it is the client that repeats what may have been
// stored, under the same number, and no deadline ends it.
func Produce(ctx context.Context, p *redress.Policy, client *kgo.Client, record *kgo.Record, opts ...redress.Option) (*kgo.Record, error) {
	if retries(client, kgo.RecordRetries) || retries(client, kgo.UnknownTopicRetries) {
		return nil, errRetries
	}
	return redress.Call(ctx, p, func(ctx context.Context) (*kgo.Record, error) {
		own := *record // the client writes to it, and may not be done with one of an attempt before
		produced, err := client.ProduceSync(ctx, &own).First()
		if err == nil {
			return produced, nil
		}
		if kerr.IsRetriable(err) || errors.Is(err, kgo.ErrRecordRetries) {
			client.ForceMetadataRefresh() // another broker may lead now; the client asks for itself only when it retries
		}
		return nil, Error(err)
	}, opts...)
}

// retries tells whether an option, a number of retries, is not 0.
func retries(client *kgo.Client, option any) bool {
	n, ok := client.OptValue(option).(int64)
	return !ok || n != 0
}
