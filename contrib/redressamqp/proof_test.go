package redressamqp

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

const once = "retry: {max_attempts: 1, deadline: 30s}\n"

func TestFailuresOfRabbitMQHaveTheirClass(t *testing.T) {
	conn := connect(t)
	f := proof.New(t, "RabbitMQ, amqp091-go", "std.amqp")
	check := func(failure string, err error, want redress.Class) {
		t.Helper()
		f.Check(t, failure, Error(err), want)
	}
	ctx := within(t, patience)
	p := publisher(t, address(t), once)
	cause := func(err error) error { // of the call that failed
		var failed *redress.Error
		if errors.As(err, &failed) {
			return failed.Err
		}
		return err
	}
	check("a publication to an exchange that does not exist", cause(p.Publish(ctx, "redress-none", "", amqp.Publishing{})), redress.ClassPermanent)
	check("a message that no queue takes", cause(p.Publish(ctx, "", "redress-none", amqp.Publishing{})), redress.ClassPermanent)

	full := queue(t, channel(t, conn), amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	if err := p.Publish(ctx, "", full, amqp.Publishing{}); err != nil {
		t.Fatal(err)
	}
	check("a queue that is full", cause(p.Publish(ctx, "", full, amqp.Publishing{})), redress.ClassRateLimit)

	_, err := channel(t, conn).QueueDeclarePassive("redress-none", false, false, false, false, nil)
	check("a queue that does not exist", err, redress.ClassPermanent)
	_, err = channel(t, conn).QueueDeclare(full, false, false, true, false, nil)
	check("a queue that is declared otherwise", err, redress.ClassPermanent)
	_, err = channel(t, connect(t)).QueueDeclarePassive(full, false, false, true, false, nil)
	check("a queue that is another connection's", err, redress.ClassConcurrency)
	_, err = channel(t, conn).QueueDeclare("amq.redress", false, false, false, false, nil)
	check("a name that is reserved", err, redress.ClassPermission)

	closed := channel(t, conn)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	check("a channel that was closed", closed.PublishWithContext(ctx, "", full, false, false, amqp.Publishing{}), redress.ClassTransient)

	_, err = amqp.Dial("amqp://guest:wrong@" + address(t) + "/")
	check("a wrong password", err, redress.ClassAuth)
	_, err = amqp.Dial("amqp://guest:guest@" + address(t) + "/redress-none")
	check("a virtual host that does not exist", err, redress.ClassPermanent)
	_, err = amqp.Dial("amqp://guest:guest@" + proof.FreeAddress(t) + "/")
	check("nothing listens", err, redress.ClassTransient)

	l := newLine(t)
	cut, err := amqp.Dial("amqp://guest:guest@" + l.address + "/")
	if err != nil {
		t.Fatal(err)
	}
	closes := cut.NotifyClose(make(chan *amqp.Error, 1))
	l.cut()
	check("the connection is lost", <-closes, redress.ClassTransient)
}

// TestAConnectionThatAnOperatorClosesIsLostForNow closes a connection of its own, by the
// name that it has.
func TestAConnectionThatAnOperatorClosesIsLostForNow(t *testing.T) {
	name := t.Name()
	conn, err := amqp.DialConfig(url(t), amqp.Config{Properties: amqp.Table{"connection_name": name}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f := proof.New(t, "RabbitMQ, closed by an operator", "std.amqp")
	closes := conn.NotifyClose(make(chan *amqp.Error, 1))
	ctl := func(args ...string) string {
		out, err := exec.CommandContext(within(t, patience), "rabbitmqctl", args...).Output()
		if err != nil {
			proof.Missing(t, "rabbitmqctl does not reach the server: %v", err)
		}
		return string(out)
	}
	pid := ""
	eventually(t, "the connection is listed", func() bool {
		for line := range strings.Lines(ctl("-q", "list_connections", "pid", "client_properties")) {
			if id, properties, ok := strings.Cut(line, "\t"); ok && strings.Contains(properties, name) {
				pid = id
			}
		}
		return pid != ""
	})
	ctl("-q", "close_connection", pid, "for a test")
	f.Check(t, "an operator closes the connection", Error(<-closes), redress.ClassTransient)
}

func TestErrorKeepsWhatItDoesNotKnow(t *testing.T) {
	plain := errors.New("plain")
	for _, err := range []error{nil, plain, context.Canceled} {
		if got := Error(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
	known := Error(amqp.ErrClosed)
	if !errors.Is(known, amqp.ErrClosed) || Error(known) != known {
		t.Errorf("%v", known)
	}
}
