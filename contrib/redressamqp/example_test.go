package redressamqp_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressamqp"
	"github.com/redress-policy/redress/internal/proof"
)

func TestTheExampleRuns(t *testing.T) {
	t.Setenv("REDRESS_TEST_RABBITMQ", proof.Address(t, "REDRESS_TEST_RABBITMQ", "127.0.0.1:5672"))
	Example()
}

// Run by TestTheExampleRuns, if there is a RabbitMQ.
func Example() {
	set, err := redress.Parse("orders.yaml", []byte(orders))
	if err != nil {
		log.Fatal(err)
	}
	publisher := &redressamqp.Publisher{Policy: set.MustPolicy("orders"), Dial: func() (*amqp.Connection, error) {
		return amqp.Dial("amqp://guest:guest@" + os.Getenv("REDRESS_TEST_RABBITMQ") + "/")
	}}
	defer publisher.Close()
	err = publisher.Publish(context.Background(), "", "redress.example.nobody", amqp.Publishing{Body: []byte("order 1")}, redress.WithOperation("orders.created"))
	var failed *redress.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Reason, failed.Rule)
	}
}

const orders = `
apiVersion: redress/v1
kind: Policy
name: orders
classify: [{use: std.amqp}]
retry: {deadline: 20s, attempt_timeout: 5s, strategy: {full_jitter: {base: 100ms, max: 2s}}}
`
