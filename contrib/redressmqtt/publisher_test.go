package redressmqtt

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

const once = "retry: {max_attempts: 1, attempt_timeout: 10s}\n"

func TestAMessageIsPublishedAgainOverANewConnection(t *testing.T) {
	address := shared(t)
	var last net.Conn
	dials := 0
	p := publisher(t, address, "retry: {max_attempts: 5, attempt_timeout: 5s, strategy: {constant: {delay: 5ms}}}\n", nil)
	p.Dial = func(ctx context.Context) (net.Conn, error) {
		if dials++; dials == 1 {
			return nil, errors.New("connection refused")
		}
		conn, err := dial(address)(ctx)
		last = conn
		return conn, err
	}
	for qos := range byte(3) {
		if err := p.Publish(within(t, patience), &paho.Publish{Topic: "redress/test", QoS: qos}, redress.NotIdempotent()); err != nil {
			t.Errorf("QoS %d: %v", qos, err)
		}
	}
	if dials != 2 {
		t.Errorf("%d connections tried", dials)
	}
	_ = last.Close()
	<-p.link.client.Done()
	if err := p.Publish(within(t, patience), &paho.Publish{Topic: "redress/test", QoS: 1}, redress.NotIdempotent()); err != nil || dials != 3 {
		t.Errorf("%v, %d connections tried", err, dials)
	}
}

func TestFailuresOfMQTTHaveTheirClass(t *testing.T) {
	f := proof.New(t, "Mosquitto, MQTT 5, paho.golang", "std.mqtt")
	check := func(failure string, p *Publisher, msg *paho.Publish, want redress.Class) {
		t.Helper()
		var failed *redress.Error
		if err := p.Publish(within(t, patience), msg); !errors.As(err, &failed) {
			t.Fatalf("%s: %v", failure, err)
		}
		f.Check(t, failure, failed.Err, want)
	}
	message := func(qos byte) *paho.Publish { return &paho.Publish{Topic: "orders", QoS: qos, Payload: []byte("1")} }

	check("a message without a topic", publisher(t, shared(t), once, nil), &paho.Publish{QoS: 1}, redress.ClassPermanent)
	check("nothing listens", publisher(t, proof.FreeAddress(t), once, nil), message(1), redress.ClassTransient)

	rules := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(rules, []byte("topic read orders\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	guarded := launch(t, "allow_anonymous true\nacl_file "+rules+"\n")
	check("a topic that the user may not publish to, QoS 1", publisher(t, guarded.address, once, nil), message(1), redress.ClassPermission)
	check("a topic that the user may not publish to, QoS 2", publisher(t, guarded.address, once, nil), message(2), redress.ClassPermission)

	closed := launch(t, "allow_anonymous false\n")
	ann := &paho.Connect{ClientID: "ann", Username: "ann", UsernameFlag: true, Password: []byte("wrong"), PasswordFlag: true}
	check("a wrong user name or password", publisher(t, closed.address, once, ann), message(1), redress.ClassPermission)

	doomed := launch(t, "allow_anonymous true\n")
	lost := publisher(t, doomed.address, once, nil)
	if err := lost.Publish(within(t, patience), message(1)); err != nil {
		t.Fatal(err)
	}
	doomed.kill()
	<-lost.link.life.Done()
	var failed *redress.Error // end of file or reset, as it happens
	if err := redress.Do(t.Context(), lost.Policy, func(context.Context) error { return context.Cause(lost.link.life) }); !errors.As(err, &failed) || failed.Class != redress.ClassTransient {
		t.Errorf("the connection is lost: %v", err)
	}
	check("the server is killed", lost, message(1), redress.ClassTransient)

	ended := publisher(t, shared(t), once, nil)
	_ = ended.Close()
	check("a publisher that was closed", ended, message(1), redress.ClassPermanent)
}

func TestErrorKeepsWhatItDoesNotKnow(t *testing.T) {
	plain := errors.New("plain")
	for _, err := range []error{nil, plain, context.Canceled} {
		if got := Error(err, 0); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
	known := Error(paho.ErrInvalidArguments, 0)
	if !errors.Is(known, paho.ErrInvalidArguments) || Error(known, 0) != known {
		t.Errorf("%v", known)
	}
}
