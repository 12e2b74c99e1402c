package redresskafka

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/redress-policy/redress"
)

const quick = "retry: {max_attempts: 5, attempt_timeout: 2s, strategy: {constant: {delay: 5ms}}}\n"

func TestARecordIsProducedAgainUntilABrokerTakesIt(t *testing.T) {
	c := cluster(t)
	asked := answer(c, 3, kerr.NotEnoughReplicas)
	given := order()
	attempts := 0
	produced, err := Produce(within(t, patience), policy(t, quick), client(t, c.ListenAddrs()), given, redress.NotIdempotent(), redress.WithObserver(counting(&attempts)))
	if err != nil || produced.Offset != 0 || stored(c) != 1 {
		t.Fatalf("%+v, %v, %d stored", produced, err, stored(c))
	}
	if *asked != 3 || attempts != 4 {
		t.Errorf("refused %d times, %d attempts: the policy is to repeat, not the client", *asked, attempts)
	}
	if given.Context != nil || !given.Timestamp.IsZero() {
		t.Error("the caller's record was written to")
	}
}

func TestARecordThatMayBeStoredIsNotProducedAgainUnlessIdempotent(t *testing.T) {
	c := cluster(t)
	asked := answer(c, 1, kerr.NotEnoughReplicasAfterAppend)
	_, err := Produce(within(t, patience), policy(t, quick), client(t, c.ListenAddrs()), order(), redress.NotIdempotent())
	var failed *redress.Error
	if !errors.As(err, &failed) || failed.Reason != redress.ReasonNotIdempotent || *asked != 1 || stored(c) != 0 {
		t.Errorf("%v, asked %d times, %d stored", err, *asked, stored(c))
	}
	answer(c, 1, kerr.NotEnoughReplicasAfterAppend)
	if _, err := Produce(within(t, patience), policy(t, quick), client(t, c.ListenAddrs()), order()); err != nil || stored(c) != 1 {
		t.Errorf("%v, %d stored", err, stored(c))
	}
}

// TestTheClientAsksWhoLeadsBeforeTheNextAttempt has a broker say that it leads no more, without a word about
// who does: only new metadata tells.
func TestTheClientAsksWhoLeadsBeforeTheNextAttempt(t *testing.T) {
	c := cluster(t)
	cl := client(t, c.ListenAddrs())
	p := policy(t, quick)
	if _, err := Produce(within(t, patience), p, cl, order()); err != nil {
		t.Fatal(err)
	}
	refreshed := make(chan struct{})
	answer(c, 1, kerr.NotLeaderForPartition)
	c.ControlKey(kmsg.Metadata.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.DropControl()
		close(refreshed)
		return nil, nil, false
	})
	if _, err := Produce(within(t, patience), p, cl, order()); err != nil || stored(c) != 2 {
		t.Errorf("%v, %d stored", err, stored(c))
	}
	select {
	case <-refreshed:
	case <-within(t, patience).Done():
		t.Error("nobody asked")
	}
}

func TestARecordThatABrokerRefusesIsNotProducedAgain(t *testing.T) {
	c := cluster(t)
	asked := answer(c, 5, kerr.PolicyViolation)
	_, err := Produce(within(t, patience), policy(t, quick), client(t, c.ListenAddrs()), order())
	var failed *redress.Error
	if !errors.As(err, &failed) || failed.Class != redress.ClassPermanent || *asked != 1 || !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("%v, asked %d times", err, *asked)
	}
}

func TestAClientThatRetriesItselfIsRefused(t *testing.T) {
	for _, options := range [][]kgo.Opt{nil, {kgo.RecordRetries(0)}, {kgo.UnknownTopicRetries(0)}, append(Options(), kgo.RecordRetries(2))} {
		cl, err := kgo.NewClient(options...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Produce(t.Context(), policy(t, quick), cl, order())
		cl.Close()
		if err == nil || !strings.Contains(err.Error(), "redresskafka.Options()") {
			t.Errorf("%v", err)
		}
	}
}
