package redresshttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresshttp"
)

var protocols = map[string][]func(*httptest.Server){"HTTP/1.1": nil, "HTTP/2": {http2}}

// A thousand calls at once, of which each is answered 503 twice and then with its own
// body: no answer is lost or mixed up, and no connection, goroutine or body is left.
func TestAThousandCallsAtOnce(t *testing.T) {
	const calls, connections = 1000, 50
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			var tries sync.Map
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				n, _ := tries.LoadOrStore(r.URL.Path, new(atomic.Int64))
				if n.(*atomic.Int64).Add(1) < 3 {
					http.Error(w, strings.Repeat("busy ", 100), http.StatusServiceUnavailable)
					return
				}
				_, _ = w.Write(body)
			}, protocol...)
			s.base.MaxConnsPerHost, s.base.MaxIdleConnsPerHost = connections, connections
			c := s.client(policy(t, "retry: {strategy: {full_jitter: {base: 1ms, max: 5ms}}, max_attempts: 5}"))
			bodies := make([]*body, calls)
			var all sync.WaitGroup
			for i := range calls {
				bodies[i] = newBody(fmt.Sprintf("body %d", i))
				var b io.Reader = bodies[i]
				if i%2 == 0 {
					b = strings.NewReader(fmt.Sprintf("body %d", i))
				}
				req := request(t, "PUT", fmt.Sprintf("%s/%d", s.URL, i), b)
				all.Go(func() {
					resp, err := c.Do(req)
					if err != nil {
						t.Errorf("call %d: %v", i, err)
						return
					}
					equal(t, "answer", text(t, resp), fmt.Sprintf("body %d", i))
					if o, _ := redresshttp.OutcomeOf(resp); o.Reason != redress.Success || o.Attempts != 3 {
						t.Errorf("call %d: %v after %d attempts", i, o.Reason, o.Attempts)
					}
				})
			}
			all.Wait()
			equal(t, "requests", s.requests.Load(), 3*calls)
			// If each response that was given up on cost a connection, it would be 2000.
			if n := s.opened.Load(); n > calls/2 {
				t.Errorf("%d connections were opened, %d are enough", n, connections)
			}
			for i := 1; i < calls; i += 2 {
				eventually(t, "bodies that are not closed", func() bool { return bodies[i].closes.Load() == 1 })
			}
		})
	}
}
