package redresshttp

import (
	"bufio"
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/redress-policy/redress/engine"
)

// Middleware returns a wrapper for handlers, which has each request be a call under the
// policy. While the policy's circuit breaker refuses calls, the handler is not called:
// the answer is 503 with a Retry-After of the seconds until the breaker lets a probe
// through, 1 where that is not known.
//
// A handler has failed if it answers with a status of 500 or higher, or panics. The rules
// of `classify` see the status and the headers, and name the class; `trip_on` says
// whether it counts for the breaker. Lower statuses are answers that the client asked
// for. Nothing is ever handled twice, whatever the policy says: a failure that it would
// retry stops with NOT_REPLAYABLE, and what the handler wrote is sent as it is written.
// A client that goes away counts neither for nor against the handler.
//
// The context of the request that the handler gets ends at the policy's deadline, 60s
// unless it says otherwise, and after its attempt timeout. What streams for longer needs
// a policy with a longer one.
//
// The operation is the request's Pattern, if it has one when it comes here: wrap the
// handlers of a mux, rather than the mux. The options given come after that.
func Middleware(p *engine.Policy, opts ...engine.Option) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return &guarded{next: next, policy: p, options: opts}
	}
}

type guarded struct {
	next    http.Handler
	policy  *engine.Policy
	options []engine.Option
}

// ServeHTTP implements http.Handler.
func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w}
	opts := []engine.Option{engine.NotReplayable(), engine.WithResultError(rec.failure)}
	if r.Pattern != "" {
		opts = append(opts, engine.WithOperation(r.Pattern))
	}
	outcome := engine.Execute(r.Context(), g.policy, func(ctx context.Context) (struct{}, error) {
		inner := r.WithContext(ctx)
		g.next.ServeHTTP(rec.writer(), inner)
		r.Pattern = inner.Pattern // for handlers around this one
		return struct{}{}, nil
	}, append(opts, g.options...)...)
	if outcome.Attempts == 0 && outcome.Reason != engine.Canceled {
		g.refuse(w, outcome.Reason)
	}
}

// refuse answers in place of the handler.
func (g *guarded) refuse(w http.ResponseWriter, reason engine.StopReason) {
	if b := g.policy.Breaker(); reason == engine.CircuitOpen && b != nil {
		seconds := math.Ceil(b.RetryIn(time.Now()).Seconds())
		w.Header().Set("Retry-After", strconv.Itoa(max(int(seconds), 1)))
	}
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}

// A recorder notes the status that a handler answers with.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the header is written
}

// failure says whether the handler has failed.
func (r *recorder) failure(struct{}) error {
	if r.status < 500 {
		return nil
	}
	return &StatusError{&http.Response{StatusCode: r.status, Header: r.Header()}}
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.note(status)
	r.ResponseWriter.WriteHeader(status)
}

// note passes over informational answers, after which another follows.
func (r *recorder) note(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
}

// Write implements io.Writer.
func (r *recorder) Write(p []byte) (int, error) {
	r.note(http.StatusOK)
	return r.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// writer returns a writer that has the optional interfaces that the server's has, for
// handlers that ask for them by type.
func (r *recorder) writer() http.ResponseWriter {
	_, flushes := r.ResponseWriter.(http.Flusher)
	_, hijacks := r.ResponseWriter.(http.Hijacker)
	_, pushes := r.ResponseWriter.(http.Pusher)
	switch {
	case flushes && hijacks:
		return connWriter{flushWriter{r}}
	case flushes && pushes:
		return pushWriter{flushWriter{r}}
	case flushes:
		return flushWriter{r}
	}
	return r
}

type flushWriter struct{ *recorder }

// Flush implements http.Flusher.
func (w flushWriter) Flush() {
	w.note(http.StatusOK)
	w.ResponseWriter.(http.Flusher).Flush()
}

// A connWriter is that of HTTP/1.
type connWriter struct{ flushWriter }

// Hijack implements http.Hijacker.
func (w connWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// ReadFrom implements io.ReaderFrom, by which net/http sends files.
func (w connWriter) ReadFrom(src io.Reader) (int64, error) {
	w.note(http.StatusOK)
	return io.Copy(w.ResponseWriter, src)
}

// A pushWriter is that of HTTP/2.
type pushWriter struct{ flushWriter }

// Push implements http.Pusher.
func (w pushWriter) Push(target string, opts *http.PushOptions) error {
	return w.ResponseWriter.(http.Pusher).Push(target, opts)
}
