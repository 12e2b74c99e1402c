package redresshttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresshttp"
)

const payments = `
apiVersion: redress/v1
kind: Policy
name: payments-api
classify:
  - use: std.http
retry: {strategy: {retry_after_or: {immediate: {}}}, max_attempts: 3}
`

// payment is a dependency that fails once, and then answers.
func payment() *httptest.Server {
	var n atomic.Int64
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "paid")
	}))
}

func Example() {
	server := payment()
	defer server.Close()
	set, err := redress.Parse("payments.yaml", []byte(payments))
	if err != nil {
		log.Fatal(err)
	}
	client := redresshttp.NewClient(set.MustPolicy("payments-api"))
	resp, err := client.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body), err)
	client.CloseIdleConnections()
	// Output: 200 paid <nil>
}

func ExampleOutcomeOf() {
	server := payment()
	defer server.Close()
	set, err := redress.Parse("payments.yaml", []byte(payments))
	if err != nil {
		log.Fatal(err)
	}
	client := redresshttp.NewClient(set.MustPolicy("payments-api"))
	defer client.CloseIdleConnections()
	resp, err := client.Get(server.URL)
	if stopped, ok := errors.AsType[*redress.Error](err); ok {
		log.Fatal(stopped.Reason) // no response: the dependency did not answer, or was not asked
	}
	defer resp.Body.Close()
	if outcome, ok := redresshttp.OutcomeOf(resp); ok {
		fmt.Println(outcome.Reason, "after", outcome.Attempts, "attempts; before that", outcome.Class, "by", outcome.Rule)
	}
	// Output: SUCCESS after 2 attempts; before that SERVER_ERROR by std.http/server-error
}

func ExampleTransport() {
	server := payment()
	defer server.Close()
	set, err := redress.Parse("payments.yaml", []byte(payments))
	if err != nil {
		log.Fatal(err)
	}
	transport := &redresshttp.Transport{
		Policy:      set.MustPolicy("payments-api"),
		RetryHeader: "X-Retry-Attempt",
		Options:     []redress.Option{redress.WithLabels(map[string]string{"team": "payments"})},
	}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	ctx := redresshttp.WithOperation(context.Background(), "payments.charge")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", "7f3a-order-1001")
	resp, err := client.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output: 200
}

func ExampleMiddleware() {
	set, err := redress.Parse("front.yaml", []byte(`
apiVersion: redress/v1
kind: Policy
name: front
classify:
  - use: std.http
circuit_breaker: {failure_threshold: 1, recovery_timeout: 30s}
`))
	if err != nil {
		log.Fatal(err)
	}
	guard := redresshttp.Middleware(set.MustPolicy("front"))
	mux := http.NewServeMux()
	mux.Handle("GET /report", guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "the database is down", http.StatusBadGateway)
	})))
	for range 2 {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/report", nil))
		fmt.Printf("%d, Retry-After: %q\n", w.Code, w.Header().Get("Retry-After"))
	}
	// Output:
	// 502, Retry-After: ""
	// 503, Retry-After: "30"
}
