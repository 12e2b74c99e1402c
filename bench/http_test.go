package bench

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresshttp"
)

// The same request to the same loopback server, by the bare client and by retrying ones
// over it. Only the first answers 200 at once; what is measured is what they add.
//
//   - redress: rules of std.http, deadline, budget, breaker, the phase from httptrace
//   - retryablehttp: three retries; no deadline, budget or breaker; bodies are read whole
//   - failsafehttp: the retry policy of its own builder; no deadline, budget or breaker

const httpPolicy = `
apiVersion: redress/v1
kind: Policy
name: api
classify: [{use: std.http}]
retry:
  max_attempts: 4
  budget: {max_retries: 1000000, window: 1m}
circuit_breaker: {failure_threshold: 5}
`

func httpClients(tb testing.TB, base http.RoundTripper) map[string]*http.Client {
	set, err := redress.Parse("api.yaml", []byte(httpPolicy))
	if err != nil {
		tb.Fatal(err)
	}
	hashicorp := retryablehttp.NewClient()
	hashicorp.Logger = nil
	hashicorp.RetryMax = 3
	hashicorp.HTTPClient = &http.Client{Transport: base}
	return map[string]*http.Client{
		"bare":          {Transport: base},
		"redress":       {Transport: &redresshttp.Transport{Base: base, Policy: set.MustPolicy("api")}},
		"retryablehttp": hashicorp.StandardClient(),
		"failsafehttp":  {Transport: failsafehttp.NewRoundTripper(base, failsafehttp.NewRetryPolicyBuilder().Build())},
	}
}

var httpOrder = []string{"bare", "redress", "retryablehttp", "failsafehttp"}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // all of it: net/http reads no more once the answer begins
	_, _ = w.Write(body)
}

func once(ctx context.Context, c *http.Client, method, url, body string) (string, error) {
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, b)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return string(got), err
}

// BenchmarkHTTP makes one request after the other over a kept connection.
func BenchmarkHTTP(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	clients := httpClients(b, base)
	for _, r := range []struct{ name, method, body string }{
		{"get", http.MethodGet, ""},
		{"put1k", http.MethodPut, strings.Repeat("x", 1<<10)},
	} {
		for _, name := range httpOrder {
			b.Run(r.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if got, err := once(context.Background(), clients[name], r.method, server.URL, r.body); err != nil || got != r.body {
						b.Fatalf("%d bytes, %v", len(got), err)
					}
				}
			})
		}
	}
}

// BenchmarkHTTPTransport is BenchmarkHTTP without a network: what is left is what the
// clients themselves cost.
func BenchmarkHTTPTransport(b *testing.B) {
	clients := httpClients(b, canned{})
	for _, name := range httpOrder {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := once(context.Background(), clients[name], http.MethodGet, "http://example.com", ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// canned answers every request at once.
type canned struct{}

func (canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

func TestHTTPClientsDoTheSame(t *testing.T) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { calls++; echo(w, r) }))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	for name, c := range httpClients(t, base) {
		calls = 0
		if got, err := once(t.Context(), c, http.MethodPut, server.URL, "hello"); err != nil || got != "hello" || calls != 1 {
			t.Errorf("%s: %q, %v after %d requests", name, got, err, calls)
		}
	}
}
