package redresshttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// A requestBody is the caller's body, which one attempt after the other sends. Each gets
// a part of its own, which is cut off before the next begins: a transport that goes on
// reading after it has returned, as it may, reads no more of the body.
type requestBody struct {
	source  io.ReadCloser                 // the caller's
	getBody func() (io.ReadCloser, error) // nil if the request has none
	fits    bool                          // without getBody: the length is known, and can be kept
	limit   int64                         // of what is kept without getBody

	mu     sync.Mutex
	part   *part  // of the last attempt; guarded by mu, like all below
	broken bool   // there can be no further part
	kept   []byte // what was read of source, without getBody
	ended  error  // what source ended with
	closed bool   // source is
}

func newBody(req *http.Request, limit int64) *requestBody {
	return &requestBody{
		source:  req.Body,
		getBody: req.GetBody,
		fits:    req.ContentLength > 0 && req.ContentLength <= limit,
		limit:   limit,
	}
}

var (
	errCutOff        = errors.New("redresshttp: the attempt that this body was for is over")
	errNotReplayable = errors.New("redresshttp: the body cannot be sent again")
)

// rewinds reports whether net/http may ask for the body anew within an attempt.
func (b *requestBody) rewinds() bool { return b.getBody != nil || b.fits }

// replayable reports whether another attempt could send the body.
func (b *requestBody) replayable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.broken
}

// next returns the body for another attempt, once nobody reads from that of the last. It
// waits for a read that hangs until ctx ends.
func (b *requestBody) next(ctx context.Context) (io.ReadCloser, error) {
	last := b.current()
	if last == nil {
		return b.begin(b.source), nil
	}
	last.cut()
	if err := last.wait(ctx); err != nil {
		return nil, err
	}
	if !b.replayable() {
		return nil, errNotReplayable
	}
	if b.getBody == nil {
		return b.begin(nil), nil
	}
	source, err := b.getBody()
	if err != nil {
		b.stop()
		return nil, err
	}
	return b.begin(source), nil
}

// begin makes the next part. Without getBody all of them read from the one source.
func (b *requestBody) begin(source io.ReadCloser) *part {
	if b.getBody == nil {
		source = nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.part = &part{body: b, source: source}
	return b.part
}

func (b *requestBody) current() *part {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.part
}

// stop says that there is no further part: nothing need be kept any more.
func (b *requestBody) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = true
}

// finish lets go of the body at the end of the call. A transport that has responded may
// still be sending, and closes its part when it is done.
func (b *requestBody) finish(responded bool) {
	b.stop()
	last := b.current()
	switch {
	case last == nil:
		b.close()
	case responded:
		last.release()
	default:
		last.cut()
		last.release()
	}
}

// close closes the source, unless that has been done.
func (b *requestBody) close() error {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if closed {
		return nil
	}
	return b.source.Close()
}

// read is for parts without a source of their own, of which one reads at a time: what was
// kept, from at, and then the source.
func (b *requestBody) read(p []byte, at int) (n int, err error) {
	b.mu.Lock()
	if at < len(b.kept) {
		defer b.mu.Unlock()
		return copy(p, b.kept[at:]), nil
	}
	ended := b.ended
	b.mu.Unlock()
	if ended != nil {
		return 0, ended
	}
	n, err = b.source.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep(p[:n])
	b.ended = err
	b.broken = b.broken || err != nil && err != io.EOF
	return n, err
}

// keep requires that mu is held.
func (b *requestBody) keep(p []byte) {
	switch {
	case b.broken || len(p) == 0:
	case int64(len(b.kept)+len(p)) > b.limit:
		b.broken, b.kept = true, nil
	default:
		b.kept = append(b.kept, p...)
	}
}

// A part is the body of one attempt.
type part struct {
	body   *requestBody
	source io.ReadCloser // nil: that of the body
	at     int           // how much was read, without a source

	mu      sync.Mutex
	readers int           // guarded by mu, like all below
	idle    chan struct{} // closed when there are none; nil unless somebody waits
	closed  bool
	final   bool // no part follows
}

// Read implements io.Reader.
func (p *part) Read(b []byte) (int, error) {
	if !p.enter() {
		return 0, errCutOff
	}
	defer p.leave()
	if p.source != nil {
		return p.source.Read(b)
	}
	n, err := p.body.read(b, p.at)
	p.at += n
	return n, err
}

func (p *part) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.readers++
	return true
}

func (p *part) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers--; p.readers == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// Close implements io.Closer, for the transport. A body that other parts may go on with
// stays open.
func (p *part) Close() error {
	p.mu.Lock()
	closed, final := p.closed, p.final
	p.closed = true
	p.mu.Unlock()
	switch {
	case p.source != nil && !closed:
		return p.source.Close()
	case p.source == nil && final:
		return p.body.close()
	}
	return nil
}

// cut keeps a transport from reading on.
func (p *part) cut() { _ = p.Close() }

// wait returns when the last read has come back.
func (p *part) wait(ctx context.Context) error {
	p.mu.Lock()
	if p.readers == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release says that this part was the last.
func (p *part) release() {
	p.mu.Lock()
	p.final = true
	closed := p.closed
	p.mu.Unlock()
	if closed && p.source == nil {
		_ = p.body.close()
	}
}
