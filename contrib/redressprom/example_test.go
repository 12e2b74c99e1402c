package redressprom_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressprom"
)

func Example() {
	metrics := redressprom.New(redressprom.Options{})
	set, err := redress.Parse("payments.yaml", []byte(payments), redress.WithPolicyObserver(metrics))
	if err != nil {
		log.Fatal(err)
	}
	metrics.Watch(set)
	prometheus.MustRegister(metrics)

	charge := func(context.Context) error { return nil }
	err = redress.Do(context.Background(), set.MustPolicy("payments"), charge, redress.WithOperation("charge"))
	fmt.Println(err)

	scrape := httptest.NewRecorder()
	promhttp.Handler().ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(scrape.Body.String()) {
		if strings.HasPrefix(line, "redress_calls_total") || strings.HasPrefix(line, "redress_breaker_state{") {
			fmt.Print(line)
		}
	}
	// Output:
	// <nil>
	// redress_breaker_state{breaker="payments",state="closed"} 1
	// redress_breaker_state{breaker="payments",state="half_open"} 0
	// redress_breaker_state{breaker="payments",state="open"} 0
	// redress_calls_total{operation="charge",policy="payments",stop_reason="SUCCESS"} 1
}

const payments = `
apiVersion: redress/v1
kind: Policy
name: payments
classify: [{use: std.http}]
circuit_breaker: {failure_threshold: 5}
`
