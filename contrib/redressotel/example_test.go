package redressotel_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressotel"
)

func Example() {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	telemetry, err := redressotel.New(redressotel.Options{TracerProvider: provider})
	if err != nil {
		log.Fatal(err)
	}
	set, err := redress.Parse("payments.yaml", []byte(payments), redress.WithPolicyObserver(telemetry))
	if err != nil {
		log.Fatal(err)
	}
	telemetry.Watch(set)

	_ = redress.Do(context.Background(), set.MustPolicy("payments"), func(context.Context) error {
		return redress.Unauthenticated(errors.New("token expired"))
	}, redress.WithOperation("charge"))
	for _, span := range spans.GetSpans() {
		fmt.Println(span.Name, span.Status.Description, len(span.Events))
	}
	// Output:
	// charge NON_RETRYABLE_CLASS 1
}

const payments = `
apiVersion: redress/v1
kind: Policy
name: payments
classify: [{id: full, when: "err.code == 'FULL'", class: RATE_LIMIT}]
`
