package redresshttp

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/redress-policy/redress/engine"
)

// A watch sees how far the request of one attempt came. net/http tells it from several
// goroutines.
type watch struct {
	trace httptrace.ClientTrace
	seen  atomic.Uint32
}

// What a watch has seen.
const (
	sought       uint32 = 1 << iota // a connection was asked for
	connected                       // and there was one
	wroteHeaders                    // the dependency may act on what it got
	wroteNothing                    // writing ended in an error before the headers were out
	repeated                        // net/http began anew after it had written headers
)

// under returns a context under which net/http tells the watch.
func (w *watch) under(ctx context.Context) context.Context {
	w.trace = httptrace.ClientTrace{
		GetConn:      w.getConn,
		GotConn:      w.gotConn,
		WroteHeaders: w.wroteHeaders,
		WroteRequest: w.wroteRequest,
	}
	return httptrace.WithClientTrace(ctx, &w.trace)
}

// getConn may be called more than once, when net/http tries again by itself.
func (w *watch) getConn(string) {
	for {
		old := w.seen.Load()
		now := sought | old&repeated
		if old&wroteHeaders != 0 {
			now |= repeated
		}
		if w.seen.CompareAndSwap(old, now) {
			return
		}
	}
}

func (w *watch) gotConn(httptrace.GotConnInfo) { w.seen.Or(connected) }
func (w *watch) wroteHeaders()                 { w.seen.Or(wroteHeaders) }

func (w *watch) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err != nil && w.seen.Load()&wroteHeaders == 0 {
		w.seen.Or(wroteNothing)
	}
}

// failure adds to an error what was seen.
func (w *watch) failure(err error, idempotent bool) error {
	return &attemptError{err: err, seen: w.seen.Load(), idempotent: idempotent}
}

// An attemptError is the error of an attempt, with the phase in which the request was.
// It is the wrapped error in everything else.
type attemptError struct {
	err        error
	seen       uint32
	idempotent bool
}

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// FailurePhase tells the engine whether the request had left. What the error itself says
// counts first: it may be the server that says it did nothing, as HTTP/2 can. Where no
// connection was asked for, the base transport does not tell, and nothing is known.
func (e *attemptError) FailurePhase() engine.Phase {
	told := engine.FailureOf(e.err, nil).Phase
	switch {
	// Of requests that are not idempotent, net/http repeats only what was not processed.
	case e.seen&repeated != 0 && e.idempotent:
		return engine.Sent
	case told == engine.NotSent || told == engine.Sent:
		return told
	case e.seen&wroteHeaders != 0:
		return engine.Sent
	case e.seen&wroteNothing != 0, e.seen&(sought|connected) == sought:
		return engine.NotSent
	}
	return engine.PhaseUnknown
}
