package redresshttp_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/virtual"
	"github.com/redress-policy/redress/redresshttp"
)

// TestMain fails the package if a test leaves a goroutine behind.
func TestMain(m *testing.M) { leak.Main(m) }

// policy loads a policy that uses std.http, waits for nothing, and has more keys as given.
func policy(t testing.TB, more ...string) *redress.Policy {
	t.Helper()
	text := "apiVersion: redress/v1\nkind: Policy\nname: api\nclassify: [{use: std.http}]\n"
	if len(more) == 0 {
		more = []string{"retry: {strategy: immediate, max_attempts: 3}"}
	}
	return parse(t, text+strings.Join(more, "\n")+"\n")
}

func parse(t testing.TB, text string) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy(set.Names()[0])
}

// A server counts connections, so that one that is not given back is seen.
type server struct {
	*httptest.Server
	opened, open atomic.Int64
	requests     atomic.Int64
	base         *http.Transport // to it
}

var servers atomic.Int64 // that run

// serve starts a server for the test. When the test ends, every connection to it must be
// idle or closed.
func serve(t testing.TB, handler http.HandlerFunc, protocols ...func(*httptest.Server)) *server {
	t.Helper()
	s := &server{}
	servers.Add(1)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		handler(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.opened.Add(1)
			s.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		}
	}
	if len(protocols) == 0 {
		s.Start()
	}
	for _, start := range protocols {
		start(s.Server)
	}
	s.base = s.Client().Transport.(*http.Transport)
	t.Cleanup(func() {
		given(t, s.base, &s.open)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func http2(s *httptest.Server) {
	s.EnableHTTP2 = true
	s.StartTLS()
}

// client makes requests to the server under the policy.
func (s *server) client(p *redress.Policy, more ...func(*redresshttp.Transport)) *http.Client {
	return client(s.base, p, more...)
}

func client(base http.RoundTripper, p *redress.Policy, more ...func(*redresshttp.Transport)) *http.Client {
	t := &redresshttp.Transport{Base: base, Policy: p}
	for _, f := range more {
		f(t)
	}
	return &http.Client{Transport: t}
}

// virtually has sleeps take no time, and notes them.
func virtually(slept *[]time.Duration) func(*redresshttp.Transport) {
	return func(t *redresshttp.Transport) {
		t.Options = append(t.Options, redress.WithClock(virtual.NewClock(virtual.Epoch)),
			redress.WithObserver(redress.ObserverFunc(func(_ context.Context, e redress.Event) {
				if e.Kind.String() == "retry" {
					*slept = append(*slept, e.Sleep)
				}
			})))
	}
}

// eventually waits until something holds that is not in the test's hands.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Errorf("after 10s there are still %s", what)
			return
		}
	}
}

// given fails the test unless all connections of a transport are closed once the idle
// ones are; open counts them at their other end. A connection of HTTP/2 becomes idle a
// little after its last response has been read.
func given(t testing.TB, base *http.Transport, open *atomic.Int64) {
	t.Helper()
	last := servers.Add(-1) == 0
	eventually(t, "connections that were not given back", func() bool {
		base.CloseIdleConnections()
		return open.Load() == 0
	})
	if last {
		eventually(t, "goroutines of client connections", func() bool {
			stacks := make([]byte, 1<<20)
			text := string(stacks[:runtime.Stack(stacks, true)])
			return !strings.Contains(text, "net/http.(*persistConn)") && !strings.Contains(text, "http2ClientConn")
		})
	}
}

// statuses answers with one status after the other, the last for ever; the body names it.
func statuses(list ...int) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		status := list[min(int(n.Add(1)), len(list))-1]
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, http.StatusText(status))
	}
}

// A body notes what is done to it.
type body struct {
	io.Reader
	reads, closes atomic.Int64
}

func newBody(text string) *body { return &body{Reader: strings.NewReader(text)} }

func (b *body) Read(p []byte) (int, error) {
	b.reads.Add(1)
	return b.Reader.Read(p)
}

func (b *body) Close() error {
	b.closes.Add(1)
	return nil
}

// request makes a request whose body net/http knows nothing of.
func request(t testing.TB, method, url string, b io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, b)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// text reads and closes the body of a response.
func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("reading the body: %v", err)
	}
	return string(all)
}

// outcome is that of a response, or of an error.
func outcome(t testing.TB, resp *http.Response, err error) redress.Error {
	t.Helper()
	if err != nil {
		return *failure(t, err)
	}
	o, ok := redresshttp.OutcomeOf(resp)
	if !ok {
		t.Fatal("the response has no outcome")
	}
	return redress.Error{Reason: o.Reason, Attempts: o.Attempts, Class: o.Class, Rule: o.Rule, Operation: o.Operation, Err: o.LastErr}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func dial(t testing.TB, s *server) (net.Conn, error) {
	t.Helper()
	return net.Dial("tcp", s.Listener.Addr().String())
}
