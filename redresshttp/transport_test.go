package redresshttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/virtual"
	"github.com/redress-policy/redress/redresshttp"
)

// failure is what a client's error says of the call.
func failure(t testing.TB, err error) *redress.Error {
	t.Helper()
	stopped, ok := errors.AsType[*redress.Error](err)
	if !ok {
		t.Fatalf("%v (%T) is not of a call", err, err)
	}
	return stopped
}

func TestTheLastResponseIsReturnedIntact(t *testing.T) {
	for _, row := range []struct {
		name     string
		statuses []int
		status   int
		attempts int
		reason   redress.StopReason
		rule     string
	}{
		{"fine", []int{200}, 200, 1, redress.Success, ""},
		{"fine at last", []int{503, 502, 200}, 200, 3, redress.Success, "std.http/server-error"},
		{"down", []int{503}, 503, 3, redress.MaxAttemptsGlobal, "std.http/server-error"},
		{"throttled", []int{429}, 429, 3, redress.MaxAttemptsGlobal, "std.http/too-many-requests"},
		{"not found", []int{404}, 404, 1, redress.NonRetryableClass, "std.http/client-error"},
		{"unauthorised", []int{401}, 401, 1, redress.NonRetryableClass, "std.http/unauthorized"},
		{"a status that nobody knows", []int{499}, 499, 2, redress.MaxUnknownAttempts, "std.http/other-client-error"},
		{"not modified", []int{304}, 304, 1, redress.Success, ""},
		{"no content", []int{204}, 204, 1, redress.Success, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, statuses(row.statuses...))
			resp, err := s.client(policy(t)).Do(request(t, "GET", s.URL, nil))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "status", resp.StatusCode, row.status)
			o := outcome(t, resp, nil)
			equal(t, "attempts", o.Attempts, row.attempts)
			equal(t, "reason", o.Reason, row.reason)
			equal(t, "rule", o.Rule, row.rule)
			equal(t, "requests", int(s.requests.Load()), row.attempts)
			if row.status != 204 && row.status != 304 {
				equal(t, "body", text(t, resp), http.StatusText(row.status))
			}
		})
	}
}

func TestARuleForResultsComesFirstAndTheRulesForErrorsAreStillAsked(t *testing.T) {
	s := serve(t, statuses(202, 503, 200))
	p := policy(t, "classify_result:", "  - {id: pending, when: result.status == 202, class: TRANSIENT}", "retry: {strategy: immediate}")
	resp, err := s.client(p).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "OK")
	equal(t, "attempts", outcome(t, resp, nil).Attempts, 3)
}

func TestAResponseThatNoRuleKnowsHasTheDefaultClass(t *testing.T) {
	s := serve(t, statuses(503))
	p := parse(t, "apiVersion: redress/v1\nkind: Policy\nname: api\nclassify:\n  - {id: teapot, when: err.status == 418, class: PERMANENT}\nretry: {strategy: immediate}\n")
	resp, err := s.client(p).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "Service Unavailable")
	o := outcome(t, resp, nil)
	equal(t, "class", o.Class, redress.ClassUnknown)
	equal(t, "reason", o.Reason, redress.MaxUnknownAttempts)
}

func TestRulesSeeHeadersPhaseAndOperationOfAResponse(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Shed", "yes")
		w.WriteHeader(500)
	})
	p := parse(t, `
apiVersion: redress/v1
kind: Policy
name: api
classify:
  - id: shed
    when: err.status == 500 && err.headers["x-shed"] == "yes" && err.phase == "sent" && err.kind == "http" && op == "shop.list" && idempotent
    class: PERMISSION
`)
	req := request(t, "GET", s.URL, nil)
	resp, err := s.client(p).Do(req.WithContext(redresshttp.WithOperation(req.Context(), "shop.list")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	equal(t, "rule", outcome(t, resp, nil).Rule, "shed")
}

func TestRetryAfterIsObeyedCappedAndNeverShortened(t *testing.T) {
	date := func(after time.Duration) string { return virtual.Epoch.Add(after).Format(http.TimeFormat) }
	const obedient = "retry: {strategy: {retry_after_or: {cap: 20s, constant: {delay: 1s}}}, deadline: 1h}"
	for _, row := range []struct {
		name   string
		header map[string]string
		policy string
		least  time.Duration // -1: no retry
		most   time.Duration
		reason redress.StopReason
	}{
		{"seconds", map[string]string{"Retry-After": "7"}, obedient, 7 * time.Second, 7250 * time.Millisecond, redress.Success},
		{"a date", map[string]string{"Retry-After": date(10 * time.Second), "Date": date(0)}, obedient, 10 * time.Second, 10250 * time.Millisecond, redress.Success},
		{"a date, counted from the server's own", map[string]string{"Retry-After": date(time.Hour + 10*time.Second), "Date": date(time.Hour)}, obedient, 10 * time.Second, 10250 * time.Millisecond, redress.Success},
		{"a date in the past", map[string]string{"Retry-After": date(-time.Hour), "Date": date(0)}, obedient, 0, 250 * time.Millisecond, redress.Success},
		{"twice", map[string]string{"Retry-After": "2, 3"}, obedient, 3 * time.Second, 3250 * time.Millisecond, redress.Success},
		{"garbage", map[string]string{"Retry-After": "soon"}, obedient, time.Second, time.Second, redress.Success},
		{"none", nil, obedient, time.Second, time.Second, redress.Success},
		{"rate limit fields", map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "9"}, obedient, 9 * time.Second, 9250 * time.Millisecond, redress.Success},
		{"a rate limit field", map[string]string{"RateLimit": `"minute";r=0;t=11`}, obedient, 11 * time.Second, 11250 * time.Millisecond, redress.Success},
		{"above the cap", map[string]string{"Retry-After": "21"}, obedient, -1, 0, redress.NonRetryableClass},
		{"a day, above the cap and the deadline", map[string]string{"Retry-After": "86400"}, obedient, -1, 0, redress.DeadlineExceeded},
		{"beyond the deadline", map[string]string{"Retry-After": "61"}, "retry: {strategy: {retry_after_or: {}}}", -1, 0, redress.DeadlineExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, func() http.HandlerFunc {
				first := true
				return func(w http.ResponseWriter, _ *http.Request) {
					if !first {
						return
					}
					first = false
					for name, value := range row.header {
						w.Header().Set(name, value)
					}
					http.Error(w, "later", http.StatusTooManyRequests)
				}
			}())
			var slept []time.Duration
			resp, err := s.client(policy(t, row.policy), virtually(&slept)).Do(request(t, "GET", s.URL, nil))
			if err != nil {
				t.Fatal(err)
			}
			got := text(t, resp)
			equal(t, "reason", outcome(t, resp, nil).Reason, row.reason)
			if row.least < 0 {
				equal(t, "status", resp.StatusCode, 429)
				equal(t, "body", got, "later\n")
				equal(t, "retries", len(slept), 0)
				return
			}
			if len(slept) != 1 || slept[0] < row.least || slept[0] > row.most {
				t.Errorf("slept %v, want once, %v to %v", slept, row.least, row.most)
			}
		})
	}
}

func TestACallersDeadlineKeepsAWaitThatDoesNotFitFromBeginning(t *testing.T) {
	s := serve(t, statuses(503))
	c := s.client(policy(t, "retry: {strategy: {constant: {delay: 1h}}, deadline: 2h}"))
	c.Timeout = time.Minute
	resp, err := c.Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "Service Unavailable")
	equal(t, "reason", outcome(t, resp, nil).Reason, redress.DeadlineExceeded)
}

func TestACallerWhoCancelsDuringTheWaitGetsHisErrorAndNothingStaysOpen(t *testing.T) {
	s := serve(t, statuses(503))
	ctx, cancel := context.WithCancel(t.Context())
	c := s.client(policy(t, "retry: {strategy: {constant: {delay: 1h}}, deadline: 2h}"), func(t *redresshttp.Transport) {
		t.Options = []redress.Option{redress.WithBeforeSleep(func(context.Context, redress.SleepInfo) { cancel() })}
	})
	_, err := c.Do(request(t, "GET", s.URL, nil).WithContext(ctx))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not the end of the caller's context", err)
	}
	equal(t, "reason", failure(t, err).Reason, redress.Canceled)
}

func TestAnOpenBreakerRefusesWithAnError(t *testing.T) {
	s := serve(t, statuses(503))
	c := s.client(policy(t, "retry: {strategy: immediate, max_attempts: 1}", "circuit_breaker: {failure_threshold: 1}"))
	resp, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "Service Unavailable")
	b := newBody("hello")
	_, err = c.Do(request(t, "PUT", s.URL, b))
	stopped := failure(t, err)
	equal(t, "reason", stopped.Reason, redress.CircuitOpen)
	equal(t, "attempts", stopped.Attempts, 0)
	equal(t, "times the body was closed", b.closes.Load(), 1)
	equal(t, "times the body was read", b.reads.Load(), 0)
	equal(t, "requests", s.requests.Load(), 1)
	if _, ok := errors.AsType[*url.Error](err); !ok {
		t.Errorf("%T is not what http.Client returns", err)
	}
}

// The breaker opens while a call waits: the connection has been given back long before,
// and the response is still there.
func TestAResponseIsIntactIfTheCallEndsDuringTheWait(t *testing.T) {
	for _, row := range []struct {
		name  string
		size  int
		whole bool
	}{
		{"empty", 0, true},
		{"short", 1000, true},
		{"as long as is kept", 64 << 10, true},
		{"longer than is kept", 64<<10 + 1, false},
		{"much longer", 10 << 20, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(503)
				if r.URL.Path == "/sized" {
					_, _ = io.WriteString(w, strings.Repeat("x", row.size))
				}
			})
			p := policy(t, "retry: {strategy: immediate}", "circuit_breaker: {failure_threshold: 1}")
			other := s.client(p.Bind(redress.WithAbort(func(context.Context) bool { return false })))
			open := func(context.Context, redress.SleepInfo) {
				resp, err := other.Do(request(t, "POST", s.URL, nil))
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
			}
			c := s.client(p, func(t *redresshttp.Transport) { t.Options = []redress.Option{redress.WithBeforeSleep(open)} })
			resp, err := c.Do(request(t, "GET", s.URL+"/sized", nil))
			equal(t, "reason", outcome(t, resp, err).Reason, redress.CircuitOpen)
			if !row.whole {
				if err == nil {
					t.Error("a response that is not whole was returned")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "length", len(text(t, resp)), row.size)
		})
	}
}

func TestOnlyIdempotentRequestsAreSentAgain(t *testing.T) {
	for _, row := range []struct {
		method string
		header string
		again  bool
	}{
		{"GET", "", true}, {"HEAD", "", true}, {"OPTIONS", "", true}, {"TRACE", "", true}, {"PUT", "", true}, {"DELETE", "", true},
		{"POST", "", false}, {"PATCH", "", false}, {"LOCK", "", false},
		{"POST", "Idempotency-Key", true}, {"PATCH", "Idempotency-Key", true}, {"POST", "X-Idempotency-Key", true},
		{"POST", "X-Request-Id", false},
	} {
		t.Run(row.method+" "+row.header, func(t *testing.T) {
			s := serve(t, statuses(503, 200))
			req := request(t, row.method, s.URL, nil)
			if row.header != "" {
				req.Header.Set(row.header, "7f3a")
			}
			resp, err := s.client(policy(t)).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = text(t, resp)
			if row.again {
				equal(t, "status", resp.StatusCode, 200)
				return
			}
			equal(t, "status", resp.StatusCode, 503)
			equal(t, "reason", outcome(t, resp, nil).Reason, redress.ReasonNotIdempotent)
			equal(t, "requests", s.requests.Load(), 1)
		})
	}
}

func TestTheCallerAndThePolicyCanSayWhatIsIdempotent(t *testing.T) {
	s := serve(t, statuses(503))
	for _, row := range []struct {
		name     string
		method   string
		policy   *redress.Policy
		ask      func(*http.Request) bool
		attempts int
	}{
		{"the transport says yes", "POST", policy(t), func(r *http.Request) bool { return r.URL.Path == "/search" }, 3},
		{"the transport says no", "GET", policy(t), func(*http.Request) bool { return false }, 1},
		{"the policy says no", "GET", policy(t).Bind(redress.NotIdempotent()), nil, 1},
	} {
		resp, err := s.client(row.policy, func(t *redresshttp.Transport) { t.Idempotent = row.ask }).Do(request(t, row.method, s.URL+"/search", nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = text(t, resp)
		equal(t, row.name, outcome(t, resp, nil).Attempts, row.attempts)
	}
}

func TestAHeaderKeyWithoutAValueIsNotSent(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, sent := r.Header["Idempotency-Key"]; sent {
			t.Error("the header was sent")
		}
		w.WriteHeader(503)
	})
	req := request(t, "POST", s.URL, nil)
	req.Header["Idempotency-Key"] = nil
	resp, err := s.client(policy(t)).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	equal(t, "attempts", outcome(t, resp, nil).Attempts, 3)
}

func TestTheOperationComesFromATemplateAndNeverFromAURL(t *testing.T) {
	s := serve(t, statuses(200))
	named := func(r *http.Request) string {
		if r.URL.Path == "/users/7" {
			return "users.get"
		}
		return ""
	}
	for _, row := range []struct {
		name      string
		policy    *redress.Policy
		operation func(*http.Request) string
		context   string
		pattern   string
		path      string
		want      string
	}{
		{"nothing", policy(t), nil, "", "", "/users/7", ""},
		{"the policy's", policy(t).Bind(redress.WithOperation("bound")), nil, "", "", "/users/7", "bound"},
		{"the request's pattern", policy(t).Bind(redress.WithOperation("bound")), nil, "", "GET /users/{id}", "/users/7", "GET /users/{id}"},
		{"the context's", policy(t), nil, "users.read", "GET /users/{id}", "/users/7", "users.read"},
		{"the transport's", policy(t), named, "users.read", "GET /users/{id}", "/users/7", "users.get"},
		{"the transport has none", policy(t), named, "users.read", "", "/other", "users.read"},
	} {
		req := request(t, "GET", s.URL+row.path, nil)
		req.Pattern = row.pattern
		if row.context != "" {
			req = req.WithContext(redresshttp.WithOperation(req.Context(), row.context))
		}
		resp, err := s.client(row.policy, func(t *redresshttp.Transport) { t.Operation = row.operation }).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = text(t, resp)
		equal(t, row.name, outcome(t, resp, nil).Operation, row.want)
	}
}

func TestEachDependencyCanHaveItsOwnPolicy(t *testing.T) {
	down, up, other := serve(t, statuses(503)), serve(t, statuses(200)), serve(t, statuses(503))
	each := roundTripper(func(r *http.Request) (*http.Response, error) {
		for _, s := range []*server{down, up} {
			if strings.HasSuffix(s.URL, r.URL.Host) {
				return s.base.RoundTrip(r)
			}
		}
		return other.base.RoundTrip(r)
	})
	breaking := "circuit_breaker: {failure_threshold: 1}"
	policies := map[string]*redress.Policy{
		strings.TrimPrefix(down.URL, "http://"): policy(t, breaking),
		strings.TrimPrefix(up.URL, "http://"):   policy(t, breaking),
	}
	c := client(each, nil, func(t *redresshttp.Transport) {
		t.PolicyFor = func(r *http.Request) *redress.Policy { return policies[r.URL.Host] }
	})
	for _, s := range []*server{down, down, up} {
		resp, err := c.Do(request(t, "POST", s.URL, nil))
		if err != nil {
			equal(t, "reason", failure(t, err).Reason, redress.CircuitOpen)
			continue
		}
		_ = text(t, resp)
	}
	equal(t, "requests to the one that is down", down.requests.Load(), 1)
	equal(t, "requests to the other", up.requests.Load(), 1)

	// Without a policy the request goes to the base.
	resp, err := c.Do(request(t, "GET", other.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "Service Unavailable")
	if _, ok := redresshttp.OutcomeOf(resp); ok {
		t.Error("it has an outcome")
	}
}

func TestATransportWithoutAPolicyIsAnError(t *testing.T) {
	b := newBody("hello")
	if _, err := (&redresshttp.Transport{}).RoundTrip(request(t, "PUT", "http://127.0.0.1:1", b)); err == nil {
		t.Error("there is no error")
	}
	equal(t, "times the body was closed", b.closes.Load(), 1)
}

func TestTheRetryHeaderCountsTheAttemptsBefore(t *testing.T) {
	var got []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, fmt.Sprint(r.Header["X-Retry-Attempt"]))
		w.WriteHeader(503)
	})
	req := request(t, "GET", s.URL, nil)
	resp, err := s.client(policy(t), func(t *redresshttp.Transport) { t.RetryHeader = "X-Retry-Attempt" }).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "headers", strings.Join(got, " "), "[] [1] [2]")
	equal(t, "headers of the caller's request", len(req.Header), 0)
}

// A base that signs requests is called for each attempt, with the headers that the caller
// gave.
func TestTheBaseMakesEachAttempt(t *testing.T) {
	var got []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Signature"))
		w.WriteHeader(503)
	})
	signing := roundTripper(func(r *http.Request) (*http.Response, error) {
		a, _ := redress.AttemptFrom(r.Context())
		r = r.Clone(r.Context())
		r.Header.Add("Signature", strconv.Itoa(a.Number))
		return s.base.RoundTrip(r)
	})
	resp, err := client(signing, policy(t)).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "signatures", strings.Join(got, " "), "1 2 3")
	equal(t, "attempts", outcome(t, resp, nil).Attempts, 3)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestABaseThatBreaksItsContractDoesNotBreakTheCaller(t *testing.T) {
	closed := newBody("rest")
	for _, row := range []struct {
		name string
		base roundTripper
	}{
		{"neither a response nor an error", func(*http.Request) (*http.Response, error) { return nil, nil }},
		{"both", func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: closed}, errors.New("both")
		}},
	} {
		resp, err := (&redresshttp.Transport{Base: row.base, Policy: policy(t, "retry: {max_attempts: 1}")}).RoundTrip(request(t, "GET", "http://example.com", nil))
		if resp != nil || err == nil {
			t.Errorf("%s: %v, %v", row.name, resp, err)
		}
	}
	equal(t, "times the body was closed", closed.closes.Load(), 1)

	bare := roundTripper(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 503}, nil })
	resp, err := (&redresshttp.Transport{Base: bare, Policy: policy(t)}).RoundTrip(request(t, "GET", "http://example.com", nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the body that is missing", text(t, resp), "")
	equal(t, "attempts of a response without a request", outcome(t, resp, nil).Attempts, 3)
}

func TestTransportsCanBeNested(t *testing.T) {
	s := serve(t, statuses(503, 503, 200))
	inner := &redresshttp.Transport{Base: s.base, Policy: policy(t, "retry: {strategy: immediate, max_attempts: 2}")}
	resp, err := client(inner, policy(t).Bind(redress.WithOperation("outer"))).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	o := outcome(t, resp, nil)
	equal(t, "operation", o.Operation, "outer")
	equal(t, "attempts", o.Attempts, 2)
	equal(t, "requests", s.requests.Load(), 3)
}

func TestAnErrorHoldsNeitherURLsNorPasswordsNorResponses(t *testing.T) {
	s := serve(t, statuses(503))
	events := ""
	c := s.client(policy(t), func(t *redresshttp.Transport) {
		t.Options = []redress.Option{redress.WithObserver(redress.ObserverFunc(func(_ context.Context, e redress.Event) {
			events += fmt.Sprintln(e.LabelSet(), e.Note, e.Err)
		}))}
	})
	address := strings.Replace(s.URL, "http://", "http://user:secret@", 1)
	resp, err := c.Do(request(t, "GET", address+"/token?key=secret", nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	o, _ := redresshttp.OutcomeOf(resp)
	told := events + o.Explain() + o.Err().Error()
	if strings.Contains(told, "secret") || strings.Contains(told, "127.0.0.1") {
		t.Errorf("it tells of the URL: %s", told)
	}
	if !strings.Contains(o.Err().Error(), "status 503 Service Unavailable") {
		t.Errorf("%q does not name the status", o.Err())
	}
	if status, ok := errors.AsType[*redresshttp.StatusError](o.Err()); !ok || status.Response.StatusCode != 503 {
		t.Errorf("the outcome's error does not lead to the status: %v", o.Err())
	}
}

func TestAttributesCanBeReadFromAResponse(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Decline", "insufficient_funds")
		w.WriteHeader(503)
	})
	set, err := redress.Parse("p.yaml", []byte(`
apiVersion: redress/v1
kind: Policy
name: api
attributes: {decline: string}
classify:
  - {id: declined, when: err.attr.decline == "insufficient_funds", class: PERMANENT}
  - use: std.http
`), redress.WithAttributes(func(err error) map[string]any {
		if e, ok := errors.AsType[*redresshttp.StatusError](err); ok {
			return map[string]any{"decline": e.Response.Header.Get("X-Decline")}
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client(set.MustPolicy("api")).Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	equal(t, "rule", outcome(t, resp, nil).Rule, "declined")
}

func TestOutcomeOfKnowsOnlyItsOwnResponses(t *testing.T) {
	for _, resp := range []*http.Response{nil, {}, {Request: request(t, "GET", "http://example.com", nil)}} {
		if _, ok := redresshttp.OutcomeOf(resp); ok {
			t.Errorf("%v has an outcome", resp)
		}
	}
}

func TestTheOutcomeIsThereBehindAClientsTimeout(t *testing.T) {
	s := serve(t, statuses(503, 200))
	c := s.client(policy(t))
	c.Timeout = time.Minute // wraps the body
	resp, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "attempts", outcome(t, resp, nil).Attempts, 2)
}
