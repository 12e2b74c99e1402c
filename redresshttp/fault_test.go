package redresshttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/proof"
	"github.com/redress-policy/redress/redresshttp"
)

// faulty starts a server that does with one connection after the other what the steps say,
// the last for ever. It returns its address, a transport to it, and how many connections
// there were.
func faulty(t testing.TB, steps ...func(net.Conn)) (url string, base *http.Transport, conns *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns = &atomic.Int64{}
	servers.Add(1)
	done := make(chan struct{})
	var open atomic.Int64
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			step := steps[min(int(conns.Add(1)), len(steps))-1]
			open.Add(1)
			go func() {
				defer open.Add(-1)
				defer c.Close()
				step(c)
			}()
		}
	}()
	base = &http.Transport{}
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		given(t, base, &open)
	})
	return "http://" + l.Addr().String(), base, conns
}

// readRequest reads the headers of a request, and its body if it has a length.
func readRequest(c net.Conn) bool {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return err == nil
}

// say answers with these bytes and closes the connection in good order.
func say(answer string) func(net.Conn) {
	return func(c net.Conn) {
		if readRequest(c) {
			_, _ = io.WriteString(c, answer)
		}
	}
}

// reset closes the connection so that the peer gets a RST.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
}

func resetAfterRequest(c net.Conn) {
	readRequest(c)
	reset(c)
}

// hang reads the request, and whatever comes until the peer goes away.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"

func TestWhatFailsOnTheWayIsTriedAgain(t *testing.T) {
	for _, row := range []struct {
		name    string
		step    func(net.Conn)
		timeout string
	}{
		{"closed before the answer", resetAfterRequest, "1h"},
		{"closed at once", reset, "1h"},
		{"closed in good order", func(c net.Conn) { readRequest(c) }, "1h"},
		{"half a status line", say("HTTP/1.1 20"), "1h"},
		{"half the headers", say("HTTP/1.1 200 OK\r\nContent-Le"), "1h"},
		{"no HTTP", say("220 mail.example.com ESMTP\r\n"), "1h"},
		{"headers that come too late", hang, "1s"},
	} {
		t.Run(row.name, func(t *testing.T) {
			address, base, conns := faulty(t, row.step, row.step, say(fine))
			p := policy(t, "retry: {strategy: immediate, max_attempts: 4, attempt_timeout: "+row.timeout+"}")
			resp, err := client(base, p).Do(request(t, "PUT", address, strings.NewReader("hello")))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "body", text(t, resp), "OK")
			equal(t, "attempts", outcome(t, resp, nil).Attempts, 3)
			equal(t, "connections", conns.Load(), 3)
		})
	}
}

// What may have arrived is not sent again, unless it may be.
func TestAPostIsSentAgainOnlyIfItCannotHaveArrived(t *testing.T) {
	refused := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	hanging := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	for _, row := range []struct {
		name     string
		step     func(net.Conn)
		dial     func(context.Context, string, string) (net.Conn, error)
		attempts int
		reason   redress.StopReason
		phase    engine.Phase
	}{
		{"refused", nil, refused, 2, redress.MaxAttemptsGlobal, engine.NotSent},
		{"no connection within the attempt's time", nil, hanging, 2, redress.MaxAttemptsGlobal, engine.NotSent},
		{"no answer within the attempt's time", hang, nil, 1, redress.ReasonNotIdempotent, engine.Sent},
		{"closed before the answer", resetAfterRequest, nil, 1, redress.ReasonNotIdempotent, engine.Sent},
		{"closed within the answer", say("HTTP/1.1 200 OK\r\nConte"), nil, 1, redress.ReasonNotIdempotent, engine.Sent},
	} {
		t.Run(row.name, func(t *testing.T) {
			address, base, _ := faulty(t, row.step)
			base.DialContext = row.dial
			p := policy(t, "retry: {strategy: immediate, attempt_timeout: 100ms, max_attempts: 2}")
			_, err := client(base, p).Do(request(t, "POST", address, strings.NewReader("hello")))
			stopped := failure(t, err)
			equal(t, "attempts", stopped.Attempts, row.attempts)
			equal(t, "reason", stopped.Reason, row.reason)
			equal(t, "phase", engine.FailureOf(stopped.Err, nil).Phase, row.phase)
		})
	}
}

func TestAnIdleConnectionThatTheServerHasClosedIsNoFailure(t *testing.T) {
	twice := func(c net.Conn) { // answers, and takes the next request without a word
		if readRequest(c) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
			readRequest(c)
		}
	}
	address, base, _ := faulty(t, twice)
	c := client(base, policy(t))
	for range 3 {
		resp, err := c.Do(request(t, "PUT", address, strings.NewReader("hello")))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "body", text(t, resp), "OK")
	}
}

// The response was returned: what becomes of its body is the caller's to see. It is not
// asked for again.
func TestABodyThatBreaksOffIsTheCallersToSee(t *testing.T) {
	address, base, conns := faulty(t, say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
	resp, err := client(base, policy(t)).Do(request(t, "GET", address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); string(got) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read %q, %v", got, err)
	}
	equal(t, "connections", conns.Load(), 1)
}

// An error page that breaks off, or that never ends, does not keep the next attempt.
func TestAResponseThatIsGivenUpOnCannotHoldTheCall(t *testing.T) {
	const head = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\nhalf"
	for name, step := range map[string]func(net.Conn){
		"it breaks off": say(head),
		"it stops":      func(c net.Conn) { say(head)(c); hang(c) },
		"it trickles": func(c net.Conn) {
			say("HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n")(c)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := io.WriteString(c, "1\r\nx\r\n"); err != nil {
					return
				}
			}
		},
		"it pours": func(c net.Conn) {
			say("HTTP/1.1 503 Service Unavailable\r\n\r\n")(c)
			for line := strings.Repeat("x", 1<<16); ; {
				if _, err := io.WriteString(c, line); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, base, conns := faulty(t, step, step, say(fine))
			start := time.Now()
			resp, err := client(base, policy(t)).Do(request(t, "GET", address, nil))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "body", text(t, resp), "OK")
			equal(t, "connections", conns.Load(), 3)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestResponsesThatAreGivenUpOnGiveTheirConnectionBack(t *testing.T) {
	const tries = 20
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			waiting := 0
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(503)
				_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
			}, protocol...)
			count := func(context.Context, redress.SleepInfo) { waiting++ }
			c := s.client(policy(t, fmt.Sprintf("retry: {strategy: immediate, max_attempts: %d}", tries)), func(t *redresshttp.Transport) {
				t.Options = []redress.Option{redress.WithBeforeSleep(count)}
			})
			for range 5 {
				resp, err := c.Do(request(t, "GET", s.URL, nil))
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "length of the last", len(text(t, resp)), 10_000)
			}
			equal(t, "retries", waiting, 5*(tries-1))
			// One, but for what a machine under load does not read in time.
			if n := s.opened.Load(); n > 5 {
				t.Errorf("%d connections were opened", n)
			}
		})
	}
}

// Whoever waits holds no connection: with room for one, two calls that are retried get
// along.
func TestACallThatWaitsHoldsNoConnection(t *testing.T) {
	s := serve(t, statuses(503))
	s.base.MaxConnsPerHost = 1
	p := policy(t, "retry: {strategy: immediate, max_attempts: 2}")
	inner := s.client(p)
	waits := policy(t, "retry: {strategy: {constant: {delay: 1s}}, max_attempts: 2}")
	c := s.client(waits, func(tr *redresshttp.Transport) {
		tr.Options = []redress.Option{redress.WithClock(pausing{func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			resp, err := inner.Do(request(t, "GET", s.URL, nil).WithContext(ctx))
			if err != nil {
				t.Errorf("there was no connection during the wait: %v", err)
				return
			}
			_ = text(t, resp)
		}})}
	})
	resp, err := c.Do(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "requests", s.requests.Load(), 4)
}

// pausing is the system's clock, with something to do in place of sleeping.
type pausing struct{ during func() }

func (pausing) Now() time.Time { return time.Now() }
func (p pausing) Sleep(ctx context.Context, _ time.Duration) error {
	p.during()
	return ctx.Err()
}

func TestTheAttemptsContextLivesAsLongAsTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(r.Context()) // as transports do
			t.Cleanup(cancel)
			return &http.Response{StatusCode: 200, Body: io.NopCloser(readerFunc(func([]byte) (int, error) {
				select {
				case <-ctx.Done():
					return 0, ctx.Err()
				default:
					return 0, io.EOF
				}
			}))}, nil
		})
		p := policy(t, "retry: {attempt_timeout: 1s, deadline: 2s}")
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := (&redresshttp.Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", "http://x", nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour) // far past both
		if _, err := resp.Body.Read(nil); err != io.EOF {
			t.Errorf("reading after an hour: %v", err)
		}
		cancel()
		synctest.Wait()
		if _, err := resp.Body.Read(nil); err != context.Canceled {
			t.Errorf("reading after the caller has gone: %v", err)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestTheCallersContextEndsTheReadingOfABody(t *testing.T) {
	released := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-released:
		}
	})
	defer close(released)
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := s.client(policy(t)).Do(request(t, "GET", s.URL, nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.ReadFull(resp.Body, make([]byte, 5))
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("reading ended with %v", err)
	}
}

func TestAClientsTimeoutIsATimeoutToItsCaller(t *testing.T) {
	address, base, _ := faulty(t, hang)
	for name, c := range map[string]*http.Client{
		"of the client":  {Transport: &redresshttp.Transport{Base: base, Policy: policy(t)}, Timeout: 100 * time.Millisecond},
		"of the attempt": client(base, policy(t, "retry: {attempt_timeout: 100ms, max_attempts: 1}")),
	} {
		_, err := c.Get(address)
		u, ok := errors.AsType[*url.Error](err)
		if !ok || !u.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v is no timeout", name, err)
		}
	}
}

func TestRequestCancelEndsTheCall(t *testing.T) {
	stop := make(chan struct{})
	address, base, conns := faulty(t, func(c net.Conn) { close(stop); hang(c) })
	req := request(t, "GET", address, nil)
	//lint:ignore SA1019 what old programs set
	req.Cancel = stop
	_, err := client(base, policy(t)).Do(req)
	equal(t, "reason", failure(t, err).Reason, redress.Aborted)
	equal(t, "connections", conns.Load(), 1)
}

func TestInformationalAnswersAreNotTheAnswer(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(103)
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(200)
	})
	var seen []int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { seen = append(seen, code); return nil },
	})
	resp, err := s.client(policy(t)).Do(request(t, "GET", s.URL, nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "status", resp.StatusCode, 200)
	equal(t, "seen by the caller's own trace", fmt.Sprint(seen), "[103]")
}

func TestABodyThatTheServerDoesNotWantToSeeIsStillThere(t *testing.T) {
	first := true
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if first { // without 100 Continue
			first = false
			w.WriteHeader(503)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	b := newBody("hello")
	req := request(t, "PUT", s.URL, b)
	req.Header.Set("Expect", "100-continue")
	s.base.ExpectContinueTimeout = 10 * time.Second
	resp, err := s.client(policy(t)).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "hello")
	eventually(t, "bodies that are not closed", func() bool { return b.closes.Load() == 1 })
}

func TestAConnectionThatChangesItsProtocolIsHandedOver(t *testing.T) {
	address, base, _ := faulty(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(c, in)
	})
	req := request(t, "GET", address, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := client(base, policy(t)).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is a %T, which cannot be written to", resp.Body)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "hello")
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTrailersAndLengthsAreKept(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "HEAD" {
			w.Header().Set("Content-Length", "1000000")
			w.WriteHeader(503)
			return
		}
		w.Header().Set("Trailer", "Checksum")
		w.WriteHeader(503)
		_, _ = io.WriteString(w, "sorry")
		w.Header().Set("Checksum", "7f3a")
	})
	for _, p := range []*redress.Policy{policy(t), policy(t, "retry: {max_attempts: 1}")} {
		resp, err := s.client(p).Do(request(t, "GET", s.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "body", text(t, resp), "sorry")
		equal(t, "trailer", resp.Trailer.Get("Checksum"), "7f3a")
	}
	resp, err := s.client(policy(t)).Head(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "length", resp.ContentLength, 1_000_000)
	equal(t, "attempts", outcome(t, resp, nil).Attempts, 3)
}

func TestEachHopOfARedirectIsACallOfItsOwn(t *testing.T) {
	flaky := statuses(503, 200)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/again":
			http.Redirect(w, r, "/target", http.StatusTemporaryRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			body, _ := io.ReadAll(r.Body)
			if string(body) != "hello" {
				t.Errorf("the body is %q", body)
			}
			flaky(w, r)
		}
	})
	c := s.client(policy(t))
	resp, err := c.Do(request(t, "PUT", s.URL+"/again", strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "OK")
	equal(t, "attempts of the last hop", outcome(t, resp, nil).Attempts, 2)
	equal(t, "requests", s.requests.Load(), 3)

	_, err = c.Get(s.URL + "/loop")
	if err == nil || !strings.Contains(err.Error(), "stopped after 10 redirects") {
		t.Errorf("a loop of redirects ends with %v", err)
	}
	equal(t, "requests of the loop", s.requests.Load()-3, 10)
}

func TestAPanicOfTheBaseGoesOnAndGivesTheProbeBack(t *testing.T) {
	s := serve(t, statuses(503, 200))
	p := policy(t, "retry: {max_attempts: 1}", "circuit_breaker: {failure_threshold: 2, recovery_timeout: 1ms}")
	panicking := client(roundTripper(func(*http.Request) (*http.Response, error) { panic("boom") }), p)
	for range 2 {
		func() {
			defer func() { equal(t, "the panic", fmt.Sprint(recover()), "boom") }()
			_, _ = panicking.Get(s.URL)
		}()
	}
	equal(t, "state", p.Breaker().State().String(), "open")
}

func TestRealFailuresOfHTTPAreClassified(t *testing.T) {
	table := proof.New(t, "HTTP/1.1 server, net/http", "std.http")
	never := policy(t, "retry: {max_attempts: 1}")
	provoke := func(base *http.Transport, address string) error {
		resp, err := client(base, never).Do(request(t, "GET", address, nil))
		if err != nil {
			return failure(t, err).Err
		}
		_ = resp.Body.Close()
		o, _ := redresshttp.OutcomeOf(resp)
		return o.LastErr
	}
	for _, row := range []struct {
		status int
		class  redress.Class
	}{
		{400, redress.ClassPermanent}, {401, redress.ClassAuth}, {403, redress.ClassPermission}, {404, redress.ClassPermanent},
		{408, redress.ClassTransient}, {409, redress.ClassConcurrency}, {421, redress.ClassTransient}, {423, redress.ClassConcurrency},
		{425, redress.ClassRateLimit}, {429, redress.ClassRateLimit}, {499, redress.ClassUnknown}, {500, redress.ClassServerError},
		{501, redress.ClassPermanent}, {502, redress.ClassServerError}, {503, redress.ClassServerError}, {504, redress.ClassServerError},
	} {
		address, base, _ := faulty(t, say(fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", row.status, http.StatusText(row.status))))
		table.Check(t, fmt.Sprintf("it answers %d %s", row.status, http.StatusText(row.status)), provoke(base, address), row.class)
	}
	for _, row := range []struct {
		what  string
		step  func(net.Conn)
		class redress.Class
	}{
		{"it closes the connection after the request", func(c net.Conn) { readRequest(c) }, redress.ClassTransient},
		{"it resets the connection after the request", resetAfterRequest, redress.ClassTransient},
		{"half a header, then the connection is closed", say("HTTP/1.1 200 OK\r\nContent-Le"), redress.ClassServerError},
		{"half the headers, then the connection is closed", say("HTTP/1.1 200 OK\r\nServer: x\r\n"), redress.ClassTransient},
		{"it answers in another protocol", say("220 mail.example.com ESMTP\r\n"), redress.ClassServerError},
	} {
		address, base, _ := faulty(t, row.step)
		table.Check(t, row.what, provoke(base, address), row.class)
	}
	base := &http.Transport{}
	table.Check(t, "nothing listens at its address", provoke(base, "http://"+proof.FreeAddress(t)), redress.ClassTransient)
	table.Check(t, "the address has an unknown scheme", provoke(base, "gopher://127.0.0.1"), redress.ClassPermanent)
	address, base, _ := faulty(t, hang)
	resp, err := client(base, policy(t, "retry: {attempt_timeout: 50ms, max_attempts: 1}")).Do(request(t, "GET", address, nil))
	if err == nil {
		_ = resp.Body.Close()
	}
	table.Check(t, "it does not answer within the attempt's timeout", failure(t, err).Err, redress.ClassTransient)
}
