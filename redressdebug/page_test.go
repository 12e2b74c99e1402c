package redressdebug

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/virtual"
)

func TestMain(m *testing.M) { leak.Main(m) }

const policies = `
apiVersion: redress/v1
kind: Policy
name: payments
operations: ["payments.*"]
classify:
  - id: throttled
    when: err.message.contains("slow down")
    class: RATE_LIMIT
  - use: std.marker
retry:
  max_attempts: 3
  deadline: 20s
  strategy: {constant: {delay: 100ms}}
  budget: {max_retries: 10, window: 60s}
circuit_breaker: {failure_threshold: 2, recovery_timeout: 30s}
---
apiVersion: redress/v1
kind: Policy
name: search
classify: [{use: std.marker}]
retry: {max_attempts: 1}
`

// A world is a page and the set that it watches, in virtual time.
type world struct {
	t     testing.TB
	page  *Page
	set   *redress.Set
	clock *virtual.Clock
}

func newWorld(t testing.TB, options Options) *world {
	t.Helper()
	page := New(options)
	set, err := redress.Parse("policies.yaml", []byte(policies), redress.WithPolicyObserver(page))
	if err != nil {
		t.Fatal(err)
	}
	page.Watch(set)
	return &world{t, page, set, virtual.NewClock(virtual.Epoch)}
}

func (w *world) call(policy, operation string, fn func(context.Context) error) {
	_ = redress.Do(context.Background(), w.set.MustPolicy(policy), fn, redress.WithOperation(operation), redress.WithClock(w.clock))
}

func returns(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func (w *world) get(target string, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, target, nil)
	if len(header) == 2 {
		request.Header.Set(header[0], header[1])
	}
	answer := httptest.NewRecorder()
	w.page.ServeHTTP(answer, request)
	return answer
}

func (w *world) report() report {
	w.t.Helper()
	answer := w.get("/debug/redress?format=json")
	var r report
	if err := json.Unmarshal(answer.Body.Bytes(), &r); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestTheReportTellsPoliciesBreakersAndBudgets(t *testing.T) {
	w := newWorld(t, Options{})
	for range 2 {
		w.call("payments", "payments.charge", returns(redress.ServerFault(errors.New("down"))))
	}
	r := w.report()
	equal(t, "policies", len(r.Policies), 2)
	p := r.Policies[0]
	equal(t, "policy", p.Name, "payments")
	equal(t, "revision", p.Revision, w.set.MustPolicy("payments").Revision())
	equal(t, "operations", strings.Join(p.Operations, " "), "payments.*")
	equal(t, "deadline", p.Deadline, 20)
	equal(t, "breakers", len(r.Breakers), 1)
	b := r.Breakers[0]
	equal(t, "breaker", fmt.Sprintf("%s %v %s %d %v", b.Name, b.Policies, b.State, b.FailureThreshold, b.RecoveryTimeout), "payments [payments] open 2 30")
	equal(t, "budgets", len(r.Budgets), 1)
	equal(t, "limit", r.Budgets[0].MaxRetries, 10)
}

func TestStopReasonsAreCountedByPolicyAndOperation(t *testing.T) {
	w := newWorld(t, Options{})
	for range 3 {
		w.call("payments", "payments.charge", returns(nil))
	}
	w.call("payments", "payments.charge", returns(redress.Permanent(errors.New("no"))))
	w.call("search", "", returns(nil))
	r := w.report()
	var got []string
	for _, e := range r.Ends {
		got = append(got, fmt.Sprintf("%s %s %s %d", e.Policy, e.Operation, e.StopReason, e.Count))
	}
	equal(t, "ends", strings.Join(got, "; "), "payments payments.charge SUCCESS 3; payments payments.charge NON_RETRYABLE_CLASS 1; search  SUCCESS 1")
	equal(t, "calls", r.Calls, 5)
}

func TestAFailureIsExplainedAttemptByAttempt(t *testing.T) {
	w := newWorld(t, Options{})
	w.call("payments", "payments.charge", returns(errors.New("slow down, secret 4711")))
	failures := w.report().Failures
	equal(t, "failures", len(failures), 1)
	f := failures[0]
	equal(t, "reason", f.StopReason, "MAX_ATTEMPTS_GLOBAL")
	equal(t, "class", f.Class, "RATE_LIMIT")
	equal(t, "attempts", f.Attempts, 3)
	for _, line := range []string{
		"payments payments.charge: MAX_ATTEMPTS_GLOBAL after 3 attempts in 200ms\n",
		"attempt 1 failed: RATE_LIMIT by rule throttled (took 0s): retry in 100ms, says constant\n",
		"attempt 3 failed: RATE_LIMIT by rule throttled (took 0s): MAX_ATTEMPTS_GLOBAL\n",
		"why: max_attempts allows no further attempt\n",
	} {
		if !strings.Contains(f.Explanation, line) {
			t.Errorf("the explanation lacks %q:\n%s", line, f.Explanation)
		}
	}
}

func TestErrorTextsAreShownOnlyIfAskedFor(t *testing.T) {
	for _, asked := range []bool{false, true} {
		w := newWorld(t, Options{Errors: asked})
		w.call("payments", "", returns(errors.New("slow down, secret 4711")))
		for _, format := range []string{"json", "html"} {
			shown := strings.Contains(w.get("/?format="+format).Body.String(), "4711")
			equal(t, fmt.Sprintf("asked %v, %s, shown", asked, format), shown, asked)
		}
	}
}

func TestADeferredCallIsNoFailureAndARefusedOneIs(t *testing.T) {
	w := newWorld(t, Options{})
	p := w.set.MustPolicy("payments")
	_, _, err := redress.Step(context.Background(), p, redress.StepState{}, func(context.Context) (int, error) {
		return 0, errors.New("slow down")
	}, redress.WithClock(w.clock))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "failures", len(w.report().Failures), 0)
	for range 3 {
		w.call("payments", "", returns(redress.ServerFault(errors.New("down"))))
	}
	latest := w.report().Failures[0]
	equal(t, "reason", latest.StopReason, "CIRCUIT_OPEN")
	if !strings.Contains(latest.Explanation, "nothing was sent") {
		t.Error(latest.Explanation)
	}
}

func TestTheStoryHoldsWhatTheBreakerDidAfterTheCall(t *testing.T) {
	w := newWorld(t, Options{})
	for range 2 {
		w.call("payments", "", returns(redress.ServerFault(errors.New("down"))))
	}
	if story := w.report().Failures[0].Explanation; !strings.Contains(story, "circuit breaker payments: open, was closed") {
		t.Error(story)
	}
}

func TestAnOperationThatPanicsIsAFailure(t *testing.T) {
	w := newWorld(t, Options{})
	func() {
		defer func() { _ = recover() }()
		w.call("search", "find", func(context.Context) error { panic("boom") })
	}()
	r := w.report()
	equal(t, "failures", len(r.Failures), 1)
	equal(t, "reason", r.Failures[0].StopReason, noReason)
	if !strings.Contains(r.Failures[0].Explanation, "the operation did not return") {
		t.Error(r.Failures[0].Explanation)
	}
	equal(t, "calls that ended", r.Calls, 0)
}

func TestOneReasonThatRepeatsDrivesNoOtherOut(t *testing.T) {
	w := newWorld(t, Options{})
	w.call("payments", "rare", returns(redress.Permanent(errors.New("no"))))
	for range 200 {
		w.call("payments", "", returns(redress.ServerFault(errors.New("down"))))
	}
	counts := map[string]int{}
	for _, f := range w.report().Failures {
		counts[f.StopReason]++
	}
	equal(t, "of the rare reason", counts["NON_RETRYABLE_CLASS"], 1)
	equal(t, "of the common reason", counts["CIRCUIT_OPEN"], keptAlike)
}

func TestWhatAPageRemembersIsBounded(t *testing.T) {
	w := newWorld(t, Options{})
	var h history
	for n := range 3 * keptEnds {
		h.add(end{policy: "p", operation: fmt.Sprint(n), reason: engine.Success})
		h.addFailure(failure{Policy: fmt.Sprint(n)})
	}
	equal(t, "ends", len(h.ends), keptEnds)
	equal(t, "the oldest end", h.ends[h.oldest].operation, fmt.Sprint(2*keptEnds))
	equal(t, "failures", len(h.failures), keptFailures)
	equal(t, "the latest failure", h.failures[keptFailures-1].Policy, fmt.Sprint(3*keptEnds-1))

	p, err := engine.New(engine.Spec{Name: "many", MaxAttempts: 1000, MaxUnknownAttempts: 1000, Strategy: engine.Constant{Wait: time.Millisecond}, Observer: w.page})
	if err != nil {
		t.Fatal(err)
	}
	_ = engine.Do(context.Background(), p, returns(errors.New("no")), engine.WithClock(w.clock))
	story := w.report().Failures[0].Explanation
	for _, part := range []string{"attempt 1 failed", "attempt 1000 failed", "events from the middle are left out"} {
		if !strings.Contains(story, part) {
			t.Errorf("the story lacks %q", part)
		}
	}
	if lines := strings.Count(story, "\n"); lines > keptEvents {
		t.Errorf("%d lines", lines)
	}
}

func TestTheFormatIsTheOneNamedAndElseTheOneAccepted(t *testing.T) {
	w := newWorld(t, Options{})
	for _, row := range []struct{ target, accept, kind string }{
		{"/debug/redress", "", "text/html; charset=utf-8"},
		{"/debug/redress", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"},
		{"/debug/redress", "application/json", "application/json"},
		{"/debug/redress", "application/json, text/html", "application/json"},
		{"/debug/redress?format=json", "text/html", "application/json"},
		{"/debug/redress?format=html", "application/json", "text/html; charset=utf-8"},
	} {
		answer := w.get(row.target, "Accept", row.accept)
		equal(t, row.target+" "+row.accept, answer.Header().Get("Content-Type"), row.kind)
		equal(t, "status", answer.Code, http.StatusOK)
	}
	equal(t, "another format", w.get("/?format=xml").Code, http.StatusBadRequest)
}

func TestThePageCanOnlyBeRead(t *testing.T) {
	w := newWorld(t, Options{})
	server := httptest.NewServer(w.page)
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	for method, status := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 405} {
		request, err := http.NewRequest(method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		equal(t, method, response.StatusCode, status)
		if status == 405 {
			equal(t, "Allow", response.Header.Get("Allow"), "GET, HEAD")
		}
	}
}

func TestWhatCallersNameIsEscaped(t *testing.T) {
	w := newWorld(t, Options{Errors: true})
	const hostile = `<script>alert(1)</script>" onmouseover="x`
	w.call("payments", hostile, returns(redress.Permanent(errors.New(hostile))))
	body := w.get("/").Body.String()
	if strings.Contains(body, "<script>") || strings.Contains(body, `" onmouseover="`) {
		t.Error(body)
	}
	if json := w.get("/?format=json").Body.String(); strings.Contains(json, "<script>") {
		t.Error(json)
	}
}

func TestAPageWithoutASetIsAPage(t *testing.T) {
	page := New(Options{})
	answer := httptest.NewRecorder()
	page.ServeHTTP(answer, httptest.NewRequest("GET", "/?format=json", nil))
	if body := answer.Body.String(); strings.Contains(body, "null") {
		t.Errorf("empty lists are lists: %s", body)
	}
}

func TestManyMayCallAndLookAtOnce(t *testing.T) {
	w := newWorld(t, Options{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				_ = redress.Do(context.Background(), w.set.MustPolicy("search"), returns(errors.New("no")))
				w.get("/")
			}
		})
	}
	all.Wait()
	equal(t, "calls", w.report().Calls, 200)
}
