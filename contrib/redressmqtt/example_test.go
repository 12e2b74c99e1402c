package redressmqtt_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressmqtt"
	"github.com/redress-policy/redress/internal/proof"
)

func TestTheExampleRuns(t *testing.T) {
	t.Setenv("REDRESS_TEST_MOSQUITTO", proof.Address(t, "REDRESS_TEST_MOSQUITTO", "127.0.0.1:1883"))
	Example()
}

// Run by TestTheExampleRuns, if there is a Mosquitto.
func Example() {
	set, err := redress.Parse("orders.yaml", []byte(orders))
	if err != nil {
		log.Fatal(err)
	}
	publisher := &redressmqtt.Publisher{Policy: set.MustPolicy("orders"), Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", os.Getenv("REDRESS_TEST_MOSQUITTO"))
	}}
	defer publisher.Close()
	message := &paho.Publish{Topic: "redress/example", QoS: 1, Payload: []byte("order 1")}
	err = publisher.Publish(context.Background(), message, redress.WithOperation("orders.created"))
	fmt.Println(err)
}

const orders = `
apiVersion: redress/v1
kind: Policy
name: orders
classify: [{use: std.mqtt}]
retry: {deadline: 20s, attempt_timeout: 5s, strategy: {full_jitter: {base: 100ms, max: 2s}}}
`
