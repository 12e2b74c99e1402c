package redresshttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/redress-policy/redress/engine"
)

// DefaultMaxBuffer is how much of a body without GetBody is kept for another attempt.
const DefaultMaxBuffer = 64 << 10

// NewClient returns a client whose requests are made under the policy, over
// http.DefaultTransport. Where more is to be said, use a [Transport].
func NewClient(p *engine.Policy) *http.Client {
	return &http.Client{Transport: &Transport{Policy: p}}
}

// A Transport is an http.RoundTripper that makes requests under policies. It needs
// Policy or PolicyFor; its other fields are optional. It must not be changed once it is
// in use, and is safe for use by many goroutines.
//
// One call of RoundTrip is one call under the policy. A client that follows redirects
// makes one for each hop.
//
// RoundTrip returns a response and a nil error, or an [*engine.Error] and no response,
// which the client wraps in a *url.Error. It closes the request's body in every case,
// perhaps after it has returned, and does not change the request.
//
// The deadline and the attempt timeout of the policy hold until the response is
// returned. From then on its body can be read for as long as the request's context
// lives: give the request a deadline, or the client a Timeout, to bound that too.
// Timeout is a deadline of the call, so that no wait is begun which does not fit into it.
//
// While a call waits for its next attempt, it holds no connection: the response that is
// given up on is read, for at most a quarter of a second and 64 KiB, and closed, so that
// its connection can be used again. If the call ends during the wait, the response that
// was read is returned, unless it was not read to its end: then the error is.
//
// net/http makes some requests again by itself: on an idle connection that the server
// has just closed, and on HTTP/2 after GOAWAY and REFUSED_STREAM. These are part of an
// attempt, and requests that are not idempotent are among them only if the server did
// not process them.
type Transport struct {
	// Base makes the attempts; nil means http.DefaultTransport. What signs requests,
	// or counts attempts, belongs here: it is called for each.
	Base http.RoundTripper
	// Policy governs every request that PolicyFor does not.
	Policy *engine.Policy
	// PolicyFor chooses a policy by request, so that each dependency has its own
	// breaker. It takes the place of Policy; if it returns nil, the request is handed to
	// Base as it is.
	PolicyFor func(*http.Request) *engine.Policy
	// Operation names what a request does ("payments.charge"): rules see it as `op`, and
	// it is a label. Return a name of a bounded set, such as a route's template, and
	// never a URL. If it is nil or returns "", the name is that of [WithOperation], or
	// the request's Pattern, or what the policy is bound to.
	Operation func(*http.Request) string
	// Idempotent says whether a request may be sent again although it may have arrived;
	// nil means the function [Idempotent]. A policy that is bound to
	// engine.NotIdempotent says no to all.
	Idempotent func(*http.Request) bool
	// MaxBuffer is how many bytes of a body without GetBody are kept while it is sent, so
	// that it can be sent again. 0 means DefaultMaxBuffer, less than 0 none. Of a body
	// that turns out to be larger nothing is kept, and a failure stops the call with
	// NOT_REPLAYABLE. Bodies are never read before they are sent.
	MaxBuffer int64
	// RetryHeader is the name of a header that tells the server how many attempts came
	// before: X-Retry-Attempt, say, is 1 in the first retry. It is not in first attempts.
	// Empty means that none is sent.
	RetryHeader string
	// Options are given with every call: labels, an observer, a timeline.
	Options []engine.Option
}

// An Outcome is all there is to know of how a response came about.
type Outcome = engine.Outcome[*http.Response]

// OutcomeOf returns the outcome of the call that returned the response; false if it did
// not come from a [Transport]. After redirects it is that of the last hop. Of a call
// that failed without a response the [*engine.Error] tells as much.
func OutcomeOf(resp *http.Response) (Outcome, bool) {
	if resp == nil {
		return Outcome{}, false
	}
	x := exchangeOf(resp.Request)
	if x == nil {
		return Outcome{}, false
	}
	return x.outcome, true
}

// Idempotent reports whether a request can be repeated without harm: by its method,
// RFC 9110 section 9.2.2, or because it has a header Idempotency-Key or
// X-Idempotency-Key. As for net/http, a header that is present without a value
// (req.Header["Idempotency-Key"] = nil) counts and is not sent.
func Idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	_, key := req.Header["Idempotency-Key"]
	_, older := req.Header["X-Idempotency-Key"]
	return key || older
}

// WithOperation returns a context for requests that do what name says; see
// [Transport.Operation].
func WithOperation(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, operationKey{}, name)
}

type operationKey struct{}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	p := t.Policy
	if t.PolicyFor != nil {
		if p = t.PolicyFor(req); p == nil {
			return t.base().RoundTrip(req)
		}
	}
	if p == nil {
		closeBody(req.Body)
		return nil, errNoPolicy
	}
	x := &exchange{transport: t, request: req}
	defer x.close()
	if req.Body != nil && req.Body != http.NoBody {
		x.body = newBody(req, t.maxBuffer())
	}
	x.outcome = engine.Execute(req.Context(), p, x.attempt, x.options()...)
	return x.result()
}

// CloseIdleConnections closes those of Base; http.Client calls it.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

func (t *Transport) maxBuffer() int64 {
	if t.MaxBuffer == 0 {
		return DefaultMaxBuffer
	}
	return max(t.MaxBuffer, 0)
}

func (t *Transport) operation(req *http.Request) string {
	if t.Operation != nil {
		if name := t.Operation(req); name != "" {
			return name
		}
	}
	if name, _ := req.Context().Value(operationKey{}).(string); name != "" {
		return name
	}
	return req.Pattern
}

func (t *Transport) idempotent(req *http.Request) bool {
	if t.Idempotent == nil {
		return Idempotent(req)
	}
	return t.Idempotent(req)
}

var (
	errNoPolicy   = errors.New("redresshttp: the transport has neither Policy nor PolicyFor")
	errNoResponse = errors.New("redresshttp: the base transport returned neither a response nor an error")
	errCancelled  = errors.New("redresshttp: the request's Cancel channel is closed")
)

// An exchange is one request and all its attempts.
type exchange struct {
	transport *Transport
	request   *http.Request // the caller's
	body      *requestBody  // nil without one
	outcome   Outcome
	returned  bool // the caller has the response
	room      [8]engine.Option
}

// options says to the engine what it must know of the request.
func (x *exchange) options() []engine.Option {
	t := x.transport
	opts := append(x.room[:0], t.Options...)
	opts = append(opts, engine.WithResultError(statusError), engine.WithDiscard(discard), engine.WithSuspend(suspend))
	if name := t.operation(x.request); name != "" {
		opts = append(opts, engine.WithOperation(name))
	}
	if !t.idempotent(x.request) {
		opts = append(opts, engine.NotIdempotent())
	}
	if x.body != nil {
		opts = append(opts, engine.WithReplayable(x.body.replayable))
	}
	return opts
}

// attempt makes one.
func (x *exchange) attempt(ctx context.Context) (*http.Response, error) {
	if x.cancelled() {
		return nil, engine.Abort(errCancelled)
	}
	w := &watch{}
	req, err := x.prepare(&attemptContext{Context: w.under(ctx), engine: ctx, exchange: x})
	if err != nil {
		return nil, err
	}
	resp, err := x.transport.base().RoundTrip(req)
	switch {
	case err != nil && x.cancelled():
		err = engine.Abort(err)
	case err != nil:
		err = w.failure(err, Idempotent(req))
	case resp == nil:
		err = errNoResponse
	}
	if err != nil {
		if resp != nil { // which a RoundTripper must not do
			closeBody(resp.Body)
		}
		return nil, err
	}
	if exchangeOf(resp.Request) != x {
		resp.Request = req
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	return resp, nil
}

// prepare makes the request of an attempt: a copy of the caller's with a body of its own.
func (x *exchange) prepare(ctx context.Context) (*http.Request, error) {
	req := x.request.WithContext(ctx)
	if x.body != nil {
		body, err := x.body.next(ctx)
		if err != nil {
			return nil, err
		}
		req.Body = body
		if req.GetBody = nil; x.body.rewinds() {
			req.GetBody = func() (io.ReadCloser, error) { return x.body.next(ctx) }
		}
	}
	if a, ok := engine.AttemptFrom(ctx); ok && a.Number > 1 && x.transport.RetryHeader != "" {
		if req.Header = req.Header.Clone(); req.Header == nil {
			req.Header = http.Header{}
		}
		req.Header.Set(x.transport.RetryHeader, strconv.Itoa(a.Number-1))
	}
	return req, nil
}

// cancelled heeds Request.Cancel, which is deprecated but not gone: it ends the attempt
// that runs and keeps another one from being made. It does not end a wait.
func (x *exchange) cancelled() bool {
	cancel := x.request.Cancel //lint:ignore SA1019 what old programs set
	if cancel == nil {
		return false
	}
	select {
	case <-cancel:
		return true
	default:
		return false
	}
}

// result is what RoundTrip returns: the last response if there is one that can still be
// read, else the error.
func (x *exchange) result() (*http.Response, error) {
	o := &x.outcome
	resp := o.Value
	if resp != nil && o.Ended == nil && resp.Body != lost {
		x.returned = true
		return resp, nil
	}
	if resp != nil {
		closeBody(resp.Body)
	}
	return nil, o.Err()
}

// close lets go of the caller's body, also when an attempt has panicked.
func (x *exchange) close() {
	if x.body != nil {
		x.body.finish(x.returned)
	}
}

// An attemptContext is the context of an attempt's request: that of the engine, with a
// trace and the exchange to be found in it.
type attemptContext struct {
	context.Context
	engine   context.Context
	exchange *exchange
}

type exchangeKey struct{}

// Value implements context.Context.
func (c *attemptContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.exchange
	}
	return c.Context.Value(key)
}

// AfterFunc saves contexts derived from this one the goroutine that would watch it.
func (c *attemptContext) AfterFunc(f func()) (stop func() bool) {
	if e, ok := c.engine.(interface{ AfterFunc(func()) func() bool }); ok {
		return e.AfterFunc(f)
	}
	return context.AfterFunc(c.engine, f)
}

func exchangeOf(req *http.Request) *exchange {
	if req == nil {
		return nil
	}
	x, _ := req.Context().Value(exchangeKey{}).(*exchange)
	return x
}
