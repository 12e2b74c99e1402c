package redresshttp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresshttp"
)

// receive answers with one status after the other and keeps the bodies it got.
func receive(got *[]string, list ...int) http.HandlerFunc {
	var mu sync.Mutex
	answer := statuses(list...)
	return func(w http.ResponseWriter, r *http.Request) {
		all, err := io.ReadAll(r.Body)
		if err != nil {
			all = []byte(err.Error())
		}
		mu.Lock()
		*got = append(*got, string(all))
		mu.Unlock()
		answer(w, r)
	}
}

func TestABodyIsSentWholeWithEveryAttempt(t *testing.T) {
	const hello = "hello"
	reader := func(r io.Reader) func() *http.Request {
		return func() *http.Request { return request(t, "PUT", "http://x", r) }
	}
	sized := func(n int64) func() *http.Request {
		return func() *http.Request {
			req := request(t, "PUT", "http://x", newBody(hello))
			req.ContentLength = n
			return req
		}
	}
	for name, build := range map[string]func() *http.Request{
		"bytes.Buffer":             reader(bytes.NewBufferString(hello)),
		"bytes.Reader":             reader(bytes.NewReader([]byte(hello))),
		"strings.Reader":           reader(strings.NewReader(hello)),
		"a reader of its own kind": sized(-1),
		"a reader of known length": sized(5),
		"a pipe": func() *http.Request {
			r, w := io.Pipe()
			go func() {
				_, _ = io.WriteString(w, hello)
				_ = w.Close()
			}()
			return request(t, "PUT", "http://x", r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			s := serve(t, receive(&got, 503, 502, 200))
			req := build()
			req.URL.Host = strings.TrimPrefix(s.URL, "http://")
			resp, err := s.client(policy(t)).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "body", text(t, resp), "OK")
			equal(t, "received", fmt.Sprint(got), "[hello hello hello]")
		})
	}
}

func TestABodyThatIsTooLargeToKeepIsSentOnce(t *testing.T) {
	for _, row := range []struct {
		name     string
		buffer   int64
		size     int
		attempts int
		reason   redress.StopReason
	}{
		{"what is kept by default", 0, redresshttp.DefaultMaxBuffer, 3, redress.MaxAttemptsGlobal},
		{"one more", 0, redresshttp.DefaultMaxBuffer + 1, 1, redress.ReasonNotReplayable},
		{"eight megabytes", 0, 8 << 20, 1, redress.ReasonNotReplayable},
		{"eight megabytes, allowed", 8 << 20, 8 << 20, 3, redress.MaxAttemptsGlobal},
		{"nothing is kept", -1, 1, 1, redress.ReasonNotReplayable},
		{"nothing is kept, nothing is there", -1, 0, 3, redress.MaxAttemptsGlobal},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			s := serve(t, receive(&got, 503))
			b := newBody(strings.Repeat("x", row.size))
			resp, err := s.client(policy(t), func(t *redresshttp.Transport) { t.MaxBuffer = row.buffer }).Do(request(t, "PUT", s.URL, b))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "body", text(t, resp), "Service Unavailable")
			o := outcome(t, resp, nil)
			equal(t, "attempts", o.Attempts, row.attempts)
			equal(t, "reason", o.Reason, row.reason)
			for i, body := range got {
				equal(t, fmt.Sprintf("length of body %d", i+1), len(body), row.size)
			}
			eventually(t, "bodies that are not closed", func() bool { return b.closes.Load() == 1 })
		})
	}
}

func TestAnUploadOfEightMegabytesIsReplayed(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 8<<20/16)
	want := sha256.Sum256(content)
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			var wrong atomic.Int64
			answer := statuses(503, 502, 200)
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				sum := sha256.New()
				if n, err := io.Copy(sum, r.Body); err != nil || n != int64(len(content)) || !bytes.Equal(sum.Sum(nil), want[:]) {
					wrong.Add(1)
				}
				answer(w, r)
			}, protocol...)
			resp, err := s.client(policy(t)).Do(request(t, "PUT", s.URL, bytes.NewReader(content)))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "body", text(t, resp), "OK")
			equal(t, "requests", s.requests.Load(), 3)
			equal(t, "bodies that were not whole", wrong.Load(), 0)
		})
	}
}

// A server may answer before it has read the request. What the transport is still sending
// of it is cut off, and the next attempt sends the whole.
func TestAServerThatDoesNotReadTheBodyGetsItWholeTheNextTime(t *testing.T) {
	content := strings.Repeat("x", 8<<20)
	var received atomic.Int64
	first := true
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if first {
			first = false
			w.WriteHeader(503)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		received.Store(n)
	})
	resp, err := s.client(policy(t)).Do(request(t, "PUT", s.URL, strings.NewReader(content)))
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	equal(t, "status", resp.StatusCode, 200)
	equal(t, "received", received.Load(), int64(len(content)))
}

// Only what was read is lost: a body that nobody has begun to read can be sent, however
// large it is. And nothing is read before there is a connection.
func TestABodyIsNotReadBeforeThereIsAConnection(t *testing.T) {
	s := serve(t, statuses(200))
	refusals := 2
	base := s.base.Clone()
	t.Cleanup(base.CloseIdleConnections)
	b := newBody(strings.Repeat("x", 1<<20))
	dialer := &net.Dialer{}
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		equal(t, "reads of the body", b.reads.Load(), 0)
		if refusals--; refusals >= 0 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return dialer.DialContext(ctx, network, address)
	}
	defer base.CloseIdleConnections()
	resp, err := client(base, policy(t)).Do(request(t, "POST", s.URL, b))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", text(t, resp), "OK")
	equal(t, "attempts", outcome(t, resp, nil).Attempts, 3)
	eventually(t, "bodies that are not closed", func() bool { return b.closes.Load() == 1 })
}

func TestTheCallersBodyIsClosedOnEveryPath(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	sloppy := func(err error) roundTripper { // closes nothing
		return func(*http.Request) (*http.Response, error) { return nil, err }
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	canceled := make(chan struct{})
	close(canceled)
	for _, row := range []struct {
		name string
		base roundTripper
		req  func(*http.Request) *http.Request
	}{
		{"an error that is not retried", sloppy(errors.New("no")), nil},
		{"an error that is", sloppy(refused), nil},
		{"neither response nor error", sloppy(nil), nil},
		{"it panics", func(*http.Request) (*http.Response, error) { panic("boom") }, nil},
		{"it panics half way", func(r *http.Request) (*http.Response, error) { _, _ = r.Body.Read(make([]byte, 1)); panic("boom") }, nil},
		{"the context has ended", sloppy(nil), func(r *http.Request) *http.Request { return r.WithContext(ended) }},
		//lint:ignore SA1019 what old programs set
		{"Cancel is closed", sloppy(nil), func(r *http.Request) *http.Request { r.Cancel = canceled; return r }},
		{"GetBody fails", sloppy(refused), func(r *http.Request) *http.Request {
			r.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("the file is gone") }
			return r
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBody("hello")
			req := request(t, "PUT", "http://example.com", b)
			if row.req != nil {
				req = row.req(req)
			}
			func() {
				defer func() { _ = recover() }()
				if resp, err := (&redresshttp.Transport{Base: row.base, Policy: policy(t)}).RoundTrip(req); err == nil {
					t.Errorf("it returned %v", resp)
				}
			}()
			equal(t, "times it was closed", b.closes.Load(), 1)
		})
	}
}

func TestABodyThatCannotBeMadeAnewStopsTheCall(t *testing.T) {
	gone := errors.New("the file is gone")
	s := serve(t, statuses(503))
	req := request(t, "PUT", s.URL, strings.NewReader("hello"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, gone }
	_, err := s.client(policy(t)).Do(req)
	if !errors.Is(err, gone) {
		t.Errorf("%v does not say why", err)
	}
	equal(t, "reason", failure(t, err).Reason, redress.ReasonNotReplayable)
}

func TestABodyThatFailsToBeReadIsNotSentAgain(t *testing.T) {
	broken := errors.New("the disk is broken")
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	_, err := s.client(policy(t)).Do(request(t, "PUT", s.URL, io.MultiReader(strings.NewReader("hello"), failing{broken})))
	if !errors.Is(err, broken) {
		t.Errorf("%v does not say why", err)
	}
	stopped := failure(t, err)
	equal(t, "reason", stopped.Reason, redress.ReasonNotReplayable)
	equal(t, "attempts", stopped.Attempts, 1)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A transport that reads on after it has returned: what it reads then must neither be
// missing in the next attempt nor race with it. The body knows no lock; the race detector
// watches.
func TestASlowTransportDoesNotSpoilTheNextAttempt(t *testing.T) {
	const content = "0123456789"
	for _, row := range []struct {
		name  string
		build func() *http.Request
	}{
		{"kept", func() *http.Request {
			return request(t, "PUT", "http://x", io.NopCloser(io.MultiReader(strings.NewReader(content))))
		}},
		{"one reader, rewound by GetBody", func() *http.Request {
			shared := strings.NewReader(content)
			req := request(t, "PUT", "http://x", io.NopCloser(shared))
			req.GetBody = func() (io.ReadCloser, error) {
				_, _ = shared.Seek(0, io.SeekStart)
				return io.NopCloser(shared), nil
			}
			return req
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for range 50 {
				var readers sync.WaitGroup
				attempts, whole := 0, ""
				base := roundTripper(func(r *http.Request) (*http.Response, error) {
					if attempts++; attempts < 3 {
						started := make(chan struct{})
						readers.Go(func() {
							p := make([]byte, 1)
							_, _ = r.Body.Read(p)
							close(started)
							_, _ = io.Copy(io.Discard, r.Body)
							_ = r.Body.Close()
						})
						<-started
						return nil, io.ErrUnexpectedEOF
					}
					all, err := io.ReadAll(r.Body)
					_ = r.Body.Close()
					whole = string(all)
					return &http.Response{StatusCode: 200, Body: http.NoBody}, err
				})
				if _, err := (&redresshttp.Transport{Base: base, Policy: policy(t)}).RoundTrip(row.build()); err != nil {
					t.Fatal(err)
				}
				readers.Wait()
				equal(t, "what arrived", whole, content)
			}
		})
	}
}

// A read that hangs is waited for, as long as the attempt may take.
func TestAReadThatHangsKeepsTheNextAttemptFromBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		attempts := 0
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			attempts++
			if attempts > 1 {
				t.Error("an attempt began while the body was being read")
			}
			go func() { _, _ = r.Body.Read(make([]byte, 1)) }()
			synctest.Wait()
			return nil, io.ErrUnexpectedEOF
		})
		start := time.Now()
		p := policy(t, "retry: {strategy: immediate, deadline: 10s}")
		_, err := (&redresshttp.Transport{Base: base, Policy: p}).RoundTrip(request(t, "PUT", "http://x", r))
		equal(t, "reason", failure(t, err).Reason, redress.DeadlineExceeded)
		equal(t, "elapsed", time.Since(start), 10*time.Second)
		if _, err := w.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the body is not closed: %v", err)
		}
	})
}

func TestTheCallersRequestIsNotChanged(t *testing.T) {
	s := serve(t, statuses(503))
	b := newBody("hello")
	req := request(t, "PUT", s.URL, b)
	req.Header.Set("X-Own", "1")
	before := *req
	resp, err := (&redresshttp.Transport{Base: s.base, Policy: policy(t), RetryHeader: "X-Retry-Attempt"}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, resp)
	if req.Body != before.Body || req.GetBody != nil || req.Context() != before.Context() || req.ContentLength != before.ContentLength || len(req.Header) != 1 {
		t.Errorf("it is now %+v", req)
	}
}
