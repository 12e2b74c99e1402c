package redresskafka

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

func counting(attempts *int) redress.Observer {
	return redress.ObserverFunc(func(_ context.Context, e redress.Event) { *attempts = max(*attempts, e.Attempt) })
}

// TestFailuresOfKafkaHaveTheirClass has the client meet brokers of kfake: what they refuse
// by themselves first, then what only a real cluster comes to say, put in their mouth.
func TestFailuresOfKafkaHaveTheirClass(t *testing.T) {
	f := proof.New(t, "Kafka's protocol by kfake, franz-go", "std.kafka")
	once := policy(t, "retry: {max_attempts: 1, attempt_timeout: 10s}\n")
	check := func(failure string, cl *kgo.Client, record *kgo.Record, want redress.Class) {
		t.Helper()
		_, err := Produce(within(t, patience), once, cl, record)
		var failed *redress.Error
		if !errors.As(err, &failed) {
			t.Fatalf("%s: %v", failure, err)
		}
		f.Check(t, failure, failed.Err, want)
	}
	c := cluster(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "1000"}))
	cl := client(t, c.ListenAddrs())
	check("a topic that does not exist", cl, &kgo.Record{Topic: "none"}, redress.ClassTransient)
	check("a record larger than the broker takes", cl, &kgo.Record{Topic: "orders", Value: noise(5000)}, redress.ClassPermanent)
	check("a record larger than the client sends", cl, &kgo.Record{Topic: "orders", Value: noise(2 << 20)}, redress.ClassPermanent)

	ann := func(password string) kgo.Opt {
		return kgo.SASL(plain.Auth{User: "ann", Pass: password}.AsMechanism())
	}
	guarded := cluster(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.User("PLAIN", "ann", "right"))
	check("a topic that the user may not write to", client(t, guarded.ListenAddrs(), ann("right")), order(), redress.ClassPermission)
	guarded.ControlKey(kmsg.SASLAuthenticate.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		guarded.KeepControl()
		response := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		response.ErrorCode = kerr.SaslAuthenticationFailed.Code // as Kafka answers; kfake hangs up
		return response, nil, true
	})
	check("a wrong password", client(t, guarded.ListenAddrs(), ann("wrong")), order(), redress.ClassAuth)
	check("nothing listens", client(t, []string{proof.FreeAddress(t)}), order(), redress.ClassTransient)

	for _, one := range []struct {
		answer *kerr.Error
		want   redress.Class
	}{
		{kerr.NotLeaderForPartition, redress.ClassTransient},
		{kerr.NotEnoughReplicas, redress.ClassTransient},
		{kerr.NotEnoughReplicasAfterAppend, redress.ClassTransient},
		{kerr.RequestTimedOut, redress.ClassTransient},
		{kerr.KafkaStorageError, redress.ClassTransient},
		{kerr.CorruptMessage, redress.ClassTransient},
		{kerr.ThrottlingQuotaExceeded, redress.ClassRateLimit},
		{kerr.OutOfOrderSequenceNumber, redress.ClassTransient}, // which the client repeats under a new number, or would
		{kerr.InvalidRecord, redress.ClassPermanent},
		{kerr.PolicyViolation, redress.ClassPermanent},
		{kerr.UnknownServerError, redress.ClassServerError},
	} {
		own := cluster(t)
		answer(own, 1, one.answer)
		check("a broker answers "+one.answer.Message, client(t, own.ListenAddrs()), order(), one.want)
	}

	lost := cluster(t)
	lost.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, errors.New("the connection is closed"), true
	})
	check("the connection is lost while a record is produced", client(t, lost.ListenAddrs()), order(), redress.ClassTransient)

	silent := cluster(t)
	silent.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
	once = policy(t, "retry: {max_attempts: 1, attempt_timeout: 500ms}\n")
	check("a broker that does not answer within the attempt", client(t, silent.ListenAddrs()), order(), redress.ClassTransient)

	closed := client(t, c.ListenAddrs())
	closed.Close()
	check("a client that was closed", closed, order(), redress.ClassPermanent)

	full := client(t, c.ListenAddrs(), kgo.ManualFlushing(), kgo.MaxBufferedRecords(1))
	full.Produce(t.Context(), order(), nil)
	check("a client whose buffer is full", full, order(), redress.ClassRateLimit)
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// TestEveryCodeOfTheProtocolHasAClass holds the pack against the client's table: what it
// calls retriable is retried, and else is not, except where said here.
func TestEveryCodeOfTheProtocolHasAClass(t *testing.T) {
	p := policy(t, "retry: {max_attempts: 2, strategy: immediate}\n")
	others := map[*kerr.Error]redress.Class{
		kerr.ConcurrentTransactions: redress.ClassConcurrency,
		kerr.UnknownServerError:     redress.ClassServerError,
	}
	seen := 0
	for code := int16(-1); code < 1000; code++ {
		answer := kerr.TypedErrorForCode(code)
		if answer == nil || answer.Code != code {
			continue
		}
		seen++
		err := redress.Do(t.Context(), p, func(context.Context) error { return Error(answer) })
		var failed *redress.Error
		if !errors.As(err, &failed) {
			t.Fatal(err)
		}
		if want, listed := others[answer]; listed {
			if failed.Class != want {
				t.Errorf("%s is %v, want %v", answer.Message, failed.Class, want)
			}
			continue
		}
		again := failed.Class == redress.ClassTransient || failed.Class == redress.ClassRateLimit
		if failed.Class == redress.ClassUnknown || again != answer.Retriable {
			t.Errorf("%s is %v, the table says retriable: %v", answer.Message, failed.Class, answer.Retriable)
		}
	}
	if seen < 130 {
		t.Errorf("only %d codes", seen)
	}
}

func TestErrorKeepsWhatItDoesNotKnow(t *testing.T) {
	plain := errors.New("plain")
	for _, err := range []error{nil, plain, context.Canceled} {
		if got := Error(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
	known := Error(kerr.NotLeaderForPartition)
	if !errors.Is(known, kerr.NotLeaderForPartition) || Error(known) != known {
		t.Errorf("%v", known)
	}
}
