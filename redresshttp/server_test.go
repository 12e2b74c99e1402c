package redresshttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresshttp"
)

// guard has a handler answer one request.
func guard(p *redress.Policy, h http.HandlerFunc, opts ...redress.Option) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	redresshttp.Middleware(p, opts...)(h).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w
}

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// failsafehttp TestServerSuccess, TestServerCircuitBreaker.
func TestAnOpenBreakerAnswers503UntilItHasRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy(t, "circuit_breaker: {failure_threshold: 2, recovery_timeout: 30s}")
		equal(t, "fine", guard(p, answer(200)).Code, 200)
		equal(t, "first failure", guard(p, answer(500)).Code, 500)
		equal(t, "second failure", guard(p, answer(503)).Code, 503)

		untouched := func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") }
		for _, row := range []struct {
			after time.Duration
			want  string
		}{
			{0, "30"},
			{9500 * time.Millisecond, "21"},
			{20400 * time.Millisecond, "1"},
		} {
			<-time.After(row.after)
			w := guard(p, untouched)
			equal(t, "status", w.Code, 503)
			equal(t, "Retry-After", w.Header().Get("Retry-After"), row.want)
			equal(t, "body", w.Body.String(), "Service Unavailable\n")
		}
		<-time.After(time.Second)

		// One probe; while it is on its way, nobody knows how it ends.
		w := guard(p, func(w http.ResponseWriter, r *http.Request) {
			other := guard(p, untouched)
			equal(t, "status beside the probe", other.Code, 503)
			equal(t, "Retry-After beside the probe", other.Header().Get("Retry-After"), "1")
		})
		equal(t, "the probe", w.Code, 200)
		equal(t, "after the probe", guard(p, answer(204)).Code, 204)
	})
}

func TestAHandlerIsNeverCalledTwice(t *testing.T) {
	for status, want := range map[int]redress.StopReason{
		200: redress.Success, 404: redress.Success, 429: redress.Success, 503: redress.ReasonNotReplayable, 501: redress.NonRetryableClass,
	} {
		calls := 0
		var reason redress.StopReason
		watch := redress.ObserverFunc(func(_ context.Context, e redress.Event) { reason = e.Reason })
		w := guard(policy(t), func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "own words")
		}, redress.WithObserver(watch))
		equal(t, "calls", calls, 1)
		equal(t, "status", w.Code, status)
		equal(t, "body", w.Body.String(), "own words")
		equal(t, fmt.Sprintf("reason of %d", status), reason, want)
	}
}

func TestWhatAClientAskedForDoesNotOpenTheBreaker(t *testing.T) {
	p := policy(t, "circuit_breaker: {failure_threshold: 1, trip_on: [SERVER_ERROR, TRANSIENT, RATE_LIMIT, UNKNOWN]}")
	for _, status := range []int{400, 404, 408, 409, 421, 429, 499, 501} {
		equal(t, "status", guard(p, answer(status)).Code, status)
	}
	equal(t, "state", p.Breaker().State().String(), "closed")
	guard(p, answer(502))
	equal(t, "state", p.Breaker().State().String(), "open")
}

// failsafehttp TestServerCancelWithContext: clients that go away say nothing of the handler.
func TestAClientThatGoesAwayCountsNeitherWay(t *testing.T) {
	p := policy(t, "circuit_breaker: {failure_threshold: 1}")
	ctx, cancel := context.WithCancel(t.Context())
	h := redresshttp.Middleware(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
		w.WriteHeader(500)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	equal(t, "state", p.Breaker().State().String(), "closed")

	// Who has gone before he was served gets nothing.
	w := httptest.NewRecorder()
	h = redresshttp.Middleware(p)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") }))
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	equal(t, "written", w.Body.Len(), 0)
}

// failsafehttp TestServerCancelWithTimeout.
func TestTheHandlersContextEndsAtThePolicysDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := guard(policy(t, "retry: {deadline: 5s}"), func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			equal(t, "elapsed", time.Since(start), 5*time.Second)
			http.Error(w, "too slow", http.StatusServiceUnavailable)
		})
		equal(t, "body", w.Body.String(), "too slow\n")
	})
}

func TestAHandlerThatPanicsHasFailed(t *testing.T) {
	p := policy(t, "circuit_breaker: {failure_threshold: 1}")
	func() {
		defer func() { equal(t, "the panic", recover() == http.ErrAbortHandler, true) }()
		guard(p, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}()
	equal(t, "state", p.Breaker().State().String(), "open")
}

func TestRulesSeeStatusHeadersAndPatternOfAHandler(t *testing.T) {
	p := parse(t, `
apiVersion: redress/v1
kind: Policy
name: front
classify:
  - id: shedding
    when: err.status == 503 && err.headers["x-shed"] == "yes" && op == "GET /users/{id}"
    class: RATE_LIMIT
  - use: std.http
circuit_breaker: {failure_threshold: 1, trip_on: [RATE_LIMIT]}
`)
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", redresshttp.Middleware(p)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Shed", "yes")
		w.WriteHeader(503)
	})))
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/users/7", nil))
	equal(t, "state", p.Breaker().State().String(), "open")
}

func TestHandlersAroundTheMiddlewareStillSeeThePattern(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", answer(200))
	r := httptest.NewRequest("GET", "/users/7", nil)
	redresshttp.Middleware(policy(t))(mux).ServeHTTP(httptest.NewRecorder(), r)
	equal(t, "pattern", r.Pattern, "GET /users/{id}")
}

func TestTheWriterOfAHandlerCanWhatTheServersCan(t *testing.T) {
	handler := redresshttp.Middleware(policy(t))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, flushes := w.(http.Flusher)
		_, hijacks := w.(http.Hijacker)
		_, pushes := w.(http.Pusher)
		_, reads := w.(io.ReaderFrom)
		switch r.URL.Path {
		case "/flush":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/copy":
			_, _ = io.Copy(w, strings.NewReader("copied"))
		case "/controller":
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			}
		case "/hijack":
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\n")
			_ = rw.Flush()
		case "/hints":
			w.WriteHeader(103)
			w.WriteHeader(500)
		default:
			fmt.Fprint(w, flushes, hijacks, pushes, reads)
		}
	}))
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handler.ServeHTTP, protocol...)
			c := s.Client()
			get := func(path string) string {
				t.Helper()
				resp, err := c.Get(s.URL + path)
				if err != nil {
					t.Fatal(err)
				}
				return text(t, resp)
			}
			equal(t, "interfaces", get("/"), map[string]string{"HTTP/1.1": "true true false true", "HTTP/2": "true false true false"}[name])
			equal(t, "copied", get("/copy"), "copied")
			equal(t, "the controller's", get("/controller"), "")
			equal(t, "after early hints", get("/hints"), "")
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := c.Do(request(t, "GET", s.URL+"/flush", nil).WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "flushed", resp.StatusCode, 200)
			cancel()
			_ = resp.Body.Close()
		})
	}
	s := serve(t, handler.ServeHTTP)
	conn, err := dial(t, s)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if line != "HTTP/1.1 101 Switching Protocols\r\n" {
		t.Errorf("a hijacked connection says %q, %v", line, err)
	}

	// Of a writer that can do nothing, nothing is claimed.
	bare := struct{ http.ResponseWriter }{httptest.NewRecorder()}
	redresshttp.Middleware(policy(t))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, flushes := w.(http.Flusher); flushes {
			t.Error("it claims to flush")
		}
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("the controller says %v", err)
		}
	})).ServeHTTP(bare, httptest.NewRequest("GET", "/", nil))
}

// The two ends together: a service that sheds load, and a client that heeds it.
func TestAClientHeedsWhatAMiddlewareAnswers(t *testing.T) {
	guarded := policy(t, "circuit_breaker: {failure_threshold: 1, recovery_timeout: 30s}")
	s := serve(t, redresshttp.Middleware(guarded)(answer(500)).ServeHTTP)
	var slept []time.Duration
	p := policy(t, "retry: {strategy: {retry_after_or: {jitter: 0s, immediate: {}}}, max_attempts: 2}")
	resp, err := s.client(p, virtually(&slept)).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	resp, err = s.client(p, virtually(&slept)).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	if len(slept) != 2 || slept[0] != 0 || slept[1] < 25*time.Second || slept[1] > 30*time.Second {
		t.Errorf("slept %v", slept)
	}
}
