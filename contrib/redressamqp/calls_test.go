package redressamqp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/redress-policy/redress"
)

const quick = "retry: {max_attempts: 5, deadline: 30s, strategy: {constant: {delay: 20ms}}}\n"

func TestAPublicationAfterTheConnectionIsLostIsMadeOnANewOne(t *testing.T) {
	l := newLine(t)
	ch := channel(t, connect(t))
	q, err := ch.QueueDeclare("redress-"+t.Name(), false, true, false, false, amqp.Table{"x-expires": 60000})
	if err != nil {
		t.Fatal(err)
	}
	p := publisher(t, l.address, quick)
	ctx := within(t, patience)
	for n := range 3 {
		if err := p.Publish(ctx, "", q.Name, amqp.Publishing{Body: fmt.Append(nil, n)}); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		l.cut()
	}
	if n, err := ch.QueuePurge(q.Name, false); err != nil || n < 3 {
		t.Errorf("%d messages arrived, %v", n, err)
	}
}

func TestAnExceptionOfTheChannelDoesNotSpoilTheNextPublication(t *testing.T) {
	conn := connect(t)
	name := queue(t, channel(t, conn), nil)
	p := publisher(t, address(t), quick)
	ctx := within(t, patience)
	var failed *redress.Error
	if err := p.Publish(ctx, "redress-none", "", amqp.Publishing{}); !errors.As(err, &failed) || failed.Class != redress.ClassPermanent {
		t.Errorf("%v", err)
	}
	if err := p.Publish(ctx, "", name, amqp.Publishing{}); err != nil {
		t.Error(err)
	}
}

func TestManyMayPublishAtOnceAndEachIsToldOfItsOwn(t *testing.T) {
	conn := connect(t)
	name := queue(t, channel(t, conn), nil)
	p := publisher(t, address(t), quick)
	ctx := within(t, patience)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for range 20 {
				to := name
				if g%2 == 1 {
					to = "redress-none"
				}
				err := p.Publish(ctx, "", to, amqp.Publishing{})
				var reply *amqp.Error
				if routed := g%2 == 0; routed != (err == nil) || !routed && (!errors.As(err, &reply) || reply.Code != amqp.NoRoute) {
					t.Errorf("to %s: %v", to, err)
				}
			}
		})
	}
	all.Wait()
}

func TestAPublisherThatIsClosedPublishesNothing(t *testing.T) {
	p := publisher(t, address(t), quick)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	var failed *redress.Error
	if err := p.Publish(within(t, patience), "", "x", amqp.Publishing{}); !errors.As(err, &failed) || failed.Reason != redress.NonRetryableClass {
		t.Errorf("%v", err)
	}
}

func TestDelaysAreRoundedUpByAnEighthAtMost(t *testing.T) {
	for _, row := range []struct {
		delay time.Duration
		want  int64
	}{
		{0, 1}, {time.Microsecond, 1}, {time.Millisecond, 1}, {15 * time.Millisecond, 15}, {16 * time.Millisecond, 16},
		{17 * time.Millisecond, 18}, {31 * time.Millisecond, 32}, {time.Second, 1024}, {time.Hour, 3670016},
	} {
		if got := roundUp(row.delay); got != row.want {
			t.Errorf("%v: %d, want %d", row.delay, got, row.want)
		}
	}
	steps := map[int64]bool{}
	for ms := int64(16); ms <= 100_000; ms++ {
		got := roundUp(time.Duration(ms) * time.Millisecond)
		if got < ms || got*8 > ms*9 {
			t.Errorf("%d becomes %d", ms, got)
		}
		steps[got] = true
	}
	if len(steps) > 110 {
		t.Errorf("%d steps", len(steps))
	}
}

// A job is a message that is handled by a consumer of the test's own.
type job struct {
	t          *testing.T
	channel    *amqp.Channel
	handler    *Consumer
	deliveries <-chan amqp.Delivery
	dead       string // queue of dead letters
}

func newJob(t *testing.T, text string) *job {
	t.Helper()
	ch := channel(t, connect(t))
	declare := func(suffix string, arguments amqp.Table) string {
		q, err := ch.QueueDeclare("redress-"+t.Name()+suffix, false, true, false, false, arguments)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ch.QueuePurge(q.Name, false); err != nil {
			t.Fatal(err)
		}
		return q.Name
	}
	dead := declare("-dead", amqp.Table{"x-expires": 60000})
	name := declare("", amqp.Table{"x-expires": 60000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
	p := publisher(t, address(t), text)
	if err := p.Publish(within(t, patience), "", name, amqp.Publishing{Body: []byte("work"), Headers: amqp.Table{"kept": "yes"}}); err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume(name, "", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &job{t, ch, &Consumer{Policy: p.Policy, Publisher: p, Queue: name}, deliveries, dead}
}

// handle takes the next delivery and handles it with what fn returns.
func (j *job) handle(ctx context.Context, result error) redress.Outcome[struct{}] {
	j.t.Helper()
	select {
	case d := <-j.deliveries:
		if string(d.Body) != "work" || d.Headers["kept"] != "yes" {
			j.t.Errorf("delivered %q with %v", d.Body, d.Headers)
		}
		outcome, err := j.handler.Handle(ctx, &d, func(context.Context) error { return result })
		if err != nil {
			j.t.Fatal(err)
		}
		return outcome
	case <-within(j.t, patience).Done():
		j.t.Fatal("nothing is delivered")
	}
	panic("not reached")
}

// wantDead checks how many dead letters there are in the end.
func (j *job) wantDead(n int) {
	j.t.Helper()
	eventually(j.t, "dead letters arrive", func() bool {
		q, err := j.channel.QueueDeclarePassive(j.dead, false, true, false, false, nil)
		return err == nil && q.Messages == n
	})
}

func TestADeliveryComesAgainAfterTheDelayOfThePolicyAndCountsItsAttempts(t *testing.T) {
	j := newJob(t, "retry: {max_attempts: 5, deadline: 60s, strategy: {constant: {delay: 200ms}}}\n")
	down := redress.Transient(errors.New("down"))
	began := time.Now()
	if first := j.handle(context.Background(), down); first.Reason != redress.Scheduled || first.Attempts != 1 {
		t.Errorf("%+v", first)
	}
	second := j.handle(context.Background(), down)
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("it came again after %v", took)
	}
	if second.Reason != redress.Scheduled || second.Attempts != 2 {
		t.Errorf("%+v", second)
	}
	if third := j.handle(context.Background(), nil); !third.OK || third.Attempts != 3 {
		t.Errorf("%+v", third)
	}
	j.wantDead(0)
}

func TestADeliveryThatThePolicyGivesUpOnIsADeadLetter(t *testing.T) {
	j := newJob(t, "retry: {max_attempts: 2, deadline: 60s, strategy: immediate}\n")
	down := redress.Transient(errors.New("down"))
	j.handle(context.Background(), down)
	if last := j.handle(context.Background(), down); last.Reason != redress.MaxAttemptsGlobal {
		t.Errorf("%+v", last)
	}
	j.wantDead(1)
}

func TestADeliveryThatTheBreakerOrAShutdownKeptFromBeingHandledIsNotLost(t *testing.T) {
	j := newJob(t, "retry: {max_attempts: 1, deadline: 60s}\ncircuit_breaker: {failure_threshold: 1, recovery_timeout: 1s}\n")
	_ = redress.Do(context.Background(), j.handler.Policy, func(context.Context) error { return redress.Transient(errors.New("down")) })
	if refused := j.handle(context.Background(), nil); refused.Reason != redress.CircuitOpen {
		t.Errorf("%+v", refused)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if canceled := j.handle(ended, nil); canceled.Reason != redress.Canceled {
		t.Errorf("%+v", canceled)
	}
	if handled := j.handle(context.Background(), nil); !handled.OK {
		t.Errorf("%+v", handled)
	}
	j.wantDead(0)
}

func TestADeliveryWithADamagedStateIsADeadLetter(t *testing.T) {
	j := newJob(t, quick)
	d := <-j.deliveries
	d.Headers = amqp.Table{stateHeader: "{"}
	if _, err := j.handler.Handle(context.Background(), &d, func(context.Context) error { return nil }); err == nil {
		t.Error("no error")
	}
	j.wantDead(1)
}
