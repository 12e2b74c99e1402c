// Quickstart runs calls against an HTTP server that misbehaves, under the policy
// in policy.yaml, and tells the story of each: what was classified, what was done
// about it, and why it stopped. Everything happens on loopback and takes a few
// seconds.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/redress-policy/redress"
)

//go:embed policy.yaml
var policies embed.FS

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	set, err := redress.Load(policies, redress.WithAttributes(declineCode))
	if err != nil {
		return err
	}
	shop := newShop()
	defer shop.Close()
	policy := set.MustPolicy("shop-api")

	for _, step := range []struct{ title, path string }{
		{"An upstream that fails twice, then answers", "/flaky"},
		{"A declined card: nothing to retry", "/declined"},
		{"Throttled, with Retry-After: 1", "/throttled"},
		{"A job that is pending (202) at first: a result, not an error", "/pending"},
		{"A server that hangs: the attempt timeout ends each try", "/hangs-once"},
		{"The upstream is down (first call)", "/down"},
		{"The upstream is down (second call)", "/down"},
		{"The upstream is down (third call): the breaker opens", "/down"},
		{"The breaker is open: nothing is sent", "/flaky"},
	} {
		tell(out, policy, shop, step.title, step.path)
	}
	time.Sleep(600 * time.Millisecond)
	tell(out, policy, shop, "Half a second later a probe goes through and closes the breaker", "/flaky")
	return nil
}

// tell makes one call under the policy and prints its story.
func tell(out io.Writer, policy *redress.Policy, shop *httptest.Server, title, path string) {
	outcome := redress.Execute(context.Background(), policy, func(ctx context.Context) (*response, error) {
		return get(ctx, shop.Client(), shop.URL+path)
	}, redress.WithOperation("shop."+path[1:]), redress.WithTimeline())

	fmt.Fprintf(out, "── %s\n%s\n", title, outcome.Explain())
}

// A response is what the operation returns; the rules of classify_result see its status.
type response struct {
	StatusCode int
	Body       string
}

// A statusError is an answer that is an error. Rules see what its fields and methods
// tell: StatusCode is err.status, and the response gives headers and Retry-After.
type statusError struct {
	Response *http.Response
	Decline  string
}

func (e *statusError) Error() string   { return "shop answered " + e.Response.Status }
func (e *statusError) StatusCode() int { return e.Response.StatusCode }

// declineCode provides err.attr.decline_code, which the policy declares.
func declineCode(err error) map[string]any {
	if e, ok := errors.AsType[*statusError](err); ok && e.Decline != "" {
		return map[string]any{"decline_code": e.Decline}
	}
	return nil
}

func get(ctx context.Context, client *http.Client, url string) (*response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 400 {
		return nil, &statusError{Response: res, Decline: res.Header.Get("Decline-Code")}
	}
	return &response{StatusCode: res.StatusCode, Body: string(body)}, nil
}

// newShop starts the upstream that misbehaves in a different way at each path.
func newShop() *httptest.Server {
	var flaky, throttled, pending, hangs atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/flaky", func(w http.ResponseWriter, _ *http.Request) {
		if flaky.Add(1)%3 != 0 {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/declined", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Decline-Code", "insufficient_funds")
		http.Error(w, "declined", http.StatusPaymentRequired)
	})
	mux.HandleFunc("/throttled", func(w http.ResponseWriter, _ *http.Request) {
		if throttled.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "slow down", http.StatusTooManyRequests)
		}
	})
	mux.HandleFunc("/pending", func(w http.ResponseWriter, _ *http.Request) {
		if pending.Add(1) == 1 {
			w.WriteHeader(http.StatusAccepted)
		}
	})
	mux.HandleFunc("/hangs-once", func(_ http.ResponseWriter, r *http.Request) {
		if hangs.Add(1) == 1 {
			<-r.Context().Done()
		}
	})
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "down", http.StatusInternalServerError)
	})
	return httptest.NewServer(mux)
}
