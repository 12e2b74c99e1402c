package redresshttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresshttp"
)

// What the public test suites of hashicorp/go-retryablehttp and failsafe-go/failsafehttp
// ask of a retrying client, asked of ours; what is not here is tested elsewhere in this
// package. Of theirs these do not apply: hooks that take part in the decision
// (CheckRetry, ResponseHandler, ErrorHandler, Backoff: policies do that), hclog loggers,
// the package's own Request type, fallbacks, bulkheads, hedges, adaptive limiters and
// priorities.

// go-retryablehttp TestClient_Do: for each kind of body, first nobody listens, then the
// server fails, and then all is well.
func TestEveryKindOfBodySurvivesAServerThatIsNotThereYet(t *testing.T) {
	for name, build := range map[string]func() io.Reader{
		"none":           func() io.Reader { return nil },
		"a string":       func() io.Reader { return strings.NewReader("hello") },
		"unknown reader": func() io.Reader { return io.MultiReader(strings.NewReader("hel"), strings.NewReader("lo")) },
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			s := serve(t, receive(&got, 500, 200))
			refusals := 2
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				if refusals--; refusals >= 0 {
					if r.Body != nil {
						_ = r.Body.Close()
					}
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
				}
				return s.base.RoundTrip(r)
			})
			req := request(t, "PUT", s.URL+"/v1/foo", build())
			req.Header.Set("Foo", "bar")
			resp, err := client(base, policy(t, "retry: {strategy: immediate}")).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = text(t, resp)
			equal(t, "status", resp.StatusCode, 200)
			equal(t, "attempts", outcome(t, resp, nil).Attempts, 4)
			want := map[bool]string{true: "[hello hello]", false: "[ ]"}[name != "none"]
			equal(t, "received", fmt.Sprint(got), want)
		})
	}
}

// go-retryablehttp TestClient_Get, _Head, _Post, _PostForm.
func TestTheConvenienceMethodsOfAClientWork(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Saw", r.Method+" "+r.RequestURI+" "+r.Header.Get("Content-Type")+" "+string(body))
	})
	c := s.client(policy(t))
	for want, do := range map[string]func() (*http.Response, error){
		"GET /foo/bar":  func() (*http.Response, error) { return c.Get(s.URL + "/foo/bar") },
		"HEAD /foo/bar": func() (*http.Response, error) { return c.Head(s.URL + "/foo/bar") },
		`POST /foo/bar application/json {"hello":"world"}`: func() (*http.Response, error) {
			return c.Post(s.URL+"/foo/bar", "application/json", strings.NewReader(`{"hello":"world"}`))
		},
		"POST /foo/bar application/x-www-form-urlencoded hello=world": func() (*http.Response, error) {
			return c.PostForm(s.URL+"/foo/bar", url.Values{"hello": {"world"}})
		},
	} {
		resp, err := do()
		if err != nil {
			t.Fatal(err)
		}
		_ = text(t, resp)
		equal(t, "saw", strings.TrimSpace(resp.Header.Get("Saw")), want)
	}
}

// go-retryablehttp TestClient_RequestLogHook, _ResponseLogHook.
func TestAttemptsCanBeLogged(t *testing.T) {
	s := serve(t, statuses(500, 200))
	var told []string
	note := func(what string) func(context.Context, redress.Event) {
		return func(_ context.Context, e redress.Event) {
			told = append(told, strings.TrimSpace(fmt.Sprint(what, " ", e.Attempt, " ", e.Rule)))
		}
	}
	c := s.client(policy(t), func(t *redresshttp.Transport) {
		t.Options = []redress.Option{redress.WithObserver(redress.AttemptHooks{Start: note("start"), End: note("end")})}
	})
	resp, err := c.Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "log", strings.Join(told, ", "), "start 1, end 1 std.http/server-error, start 2, end 2")
}

// go-retryablehttp TestClient_RequestWithContext.
func TestValuesOfTheContextReachTheAttempts(t *testing.T) {
	type key struct{}
	var got []string
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		got = append(got, fmt.Sprint(r.Context().Value(key{})))
		return &http.Response{StatusCode: 503}, nil
	})
	resp, err := client(base, policy(t)).Do(request(t, "GET", "http://x", nil).WithContext(context.WithValue(t.Context(), key{}, "tenant")))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "values", strings.Join(got, " "), "tenant tenant tenant")
}

// go-retryablehttp TestClient_CheckRetryStop.
func TestAPolicyThatStopsReturnsTheResponse(t *testing.T) {
	s := serve(t, statuses(500))
	resp, err := s.client(policy(t, "retry: {strategy: stop}")).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "Internal Server Error")
	equal(t, "requests", s.requests.Load(), 1)
}

// go-retryablehttp TestClient_DefaultBackoff: the hint of a 503 counts as that of a 429.
func TestTheHintOf503Counts(t *testing.T) {
	calls := 0
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(503)
		}
	})
	var slept []time.Duration
	p := policy(t, "retry: {strategy: {retry_after_or: {jitter: 0s}}}")
	resp, err := s.client(p, virtually(&slept)).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "slept", fmt.Sprint(slept), "[2s]")
}

// go-retryablehttp TestClient_DefaultRetryPolicy_TLS, _invalidscheme, _invalidheadername,
// _invalidheadervalue; failsafehttp TestClientRetryPolicyWithUnsupportedProtocolScheme.
func TestWhatCannotSucceedIsTriedOnce(t *testing.T) {
	secure := serve(t, statuses(200), func(s *httptest.Server) { s.Config.ErrorLog = log.New(io.Discard, "", 0); s.StartTLS() })
	plain := serve(t, statuses(200))
	for _, row := range []struct {
		name  string
		url   string
		alter func(*http.Request)
	}{
		{"a certificate that nobody knows", secure.URL, nil},
		{"a scheme that nobody knows", strings.Replace(plain.URL, "http", "ftp", 1), nil},
		{"a header's name", plain.URL, func(r *http.Request) { r.Header["Header-Name-\033"] = []string{"x"} }},
		{"a header's value", plain.URL, func(r *http.Request) { r.Header.Set("Header-Name", "bad \033") }},
		{"no host", "http:///path", nil},
	} {
		base := &http.Transport{} // does not know the certificate
		req := request(t, "GET", row.url, nil)
		if row.alter != nil {
			row.alter(req)
		}
		_, err := client(base, policy(t)).Do(req)
		if err == nil {
			t.Errorf("%s: there is no error", row.name)
			continue
		}
		stopped := failure(t, err)
		equal(t, row.name, stopped.Attempts, 1)
		equal(t, row.name, stopped.Reason, redress.NonRetryableClass)
	}
}

// go-retryablehttp TestRoundTripper_RoundTrip.
func TestAPolicyMaySay404IsTransient(t *testing.T) {
	s := serve(t, statuses(404, 404, 200))
	p := parse(t, "apiVersion: redress/v1\nkind: Policy\nname: api\nclassify:\n  - {id: not-yet, when: err.status == 404, class: TRANSIENT}\n  - use: std.http\nretry: {strategy: immediate}\n")
	resp, err := s.client(p).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "OK")
}

// go-retryablehttp TestRoundTripper_TransportFailureErrorHandling; failsafehttp
// TestClientRetryPolicyWithError.
func TestTheErrorsOfNetHTTPAreReachedThroughOurs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	_ = l.Close()
	_, err = client(&http.Transport{}, policy(t)).Do(request(t, "GET", address, nil))
	if u, ok := errors.AsType[*url.Error](err); !ok || u.Op != "Get" || u.URL != address {
		t.Errorf("%v is not what http.Client returns", err)
	}
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v does not lead to what happened", err)
	}
	equal(t, "attempts", failure(t, err).Attempts, 3)
}

// failsafehttp TestClientCancelWithContext, _WithTimeout.
func TestTheCallersContextEndsAnAttemptAtOnce(t *testing.T) {
	for _, row := range []struct {
		name   string
		end    func(context.Context) (context.Context, context.CancelFunc)
		want   error
		reason redress.StopReason
	}{
		{"cancelled", context.WithCancel, context.Canceled, redress.Canceled},
		{"its deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*time.Millisecond)
		}, context.DeadlineExceeded, redress.DeadlineExceeded},
	} {
		ctx, cancel := row.end(t.Context())
		address, base, conns := faulty(t, func(c net.Conn) {
			readRequest(c)
			if row.want == context.Canceled {
				cancel()
			}
			hang(c)
		})
		_, err := client(base, policy(t)).Do(request(t, "GET", address, nil).WithContext(ctx))
		cancel()
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
		equal(t, row.name, failure(t, err).Reason, row.reason)
		equal(t, row.name, conns.Load(), 1)
	}
}

// failsafehttp TestContextCancellation.
func TestALargeBodyIsReadWholeAfterRoundTripHasReturned(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 8<<20)) })
	resp, err := s.client(policy(t, "retry: {attempt_timeout: 10m}")).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "length", len(text(t, resp)), 8<<20)
}
