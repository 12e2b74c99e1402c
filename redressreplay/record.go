package redressreplay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redress-policy/redress/engine"
)

// RecordOptions bound what a recorder writes. The zero RecordOptions records a little of
// everything.
type RecordOptions struct {
	Fields   Fields        // that may be written
	Samples  int           // failures of a policy, class and rule in each interval; 0 means 10
	Interval time.Duration // 0 means a minute, by the clocks of the calls
	MaxBytes int64         // of all lines together; 0 means 64 MiB, and less than 4096 is refused
}

const (
	queued    = 256 // lines that wait for the writer
	lastWords = 128 // bytes kept free for the line that says what was omitted
)

// A Recorder is an observer that writes failures down, one JSON object a line. Calls do
// not wait for the writer: what it is too slow for is dropped, and counted. It is safe for
// use by many goroutines.
type Recorder struct {
	options RecordOptions
	w       io.Writer
	lines   chan []byte
	done    chan struct{} // closed when all is written
	failed  atomic.Bool

	mu      sync.Mutex
	closed  bool           // guarded by mu, like all below
	written int64          // bytes, queued ones included
	since   time.Time      // when the interval began
	seen    map[sample]int // failures of this interval
	omitted Omitted        // and not told yet
	err     error          // of the writer
}

// A sample is what failures are counted by.
type sample struct{ policy, class, rule string }

// Record makes a recorder that writes to w, which the recorder does not close, and on
// which nobody else may write until [Recorder.Close] has returned. Negative options are
// errors.
func Record(w io.Writer, o RecordOptions) (*Recorder, error) {
	if o.Samples < 0 || o.Interval < 0 || o.MaxBytes < 0 {
		return nil, fmt.Errorf("redressreplay: %d samples in %v and at most %d bytes: none may be negative", o.Samples, o.Interval, o.MaxBytes)
	}
	if o.MaxBytes > 0 && o.MaxBytes < 4096 {
		return nil, fmt.Errorf("redressreplay: MaxBytes is %d, must be at least 4096", o.MaxBytes)
	}
	if o.Samples == 0 {
		o.Samples = 10
	}
	if o.Interval == 0 {
		o.Interval = time.Minute
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	r := &Recorder{options: o, w: w, lines: make(chan []byte, queued), done: make(chan struct{}), seen: map[sample]int{}}
	go r.write()
	return r, nil
}

// Observe implements redress.Observer.
func (r *Recorder) Observe(_ context.Context, e engine.Event) {
	if e.Kind != engine.AttemptEnd || e.Class == engine.NoClass || r.failed.Load() || !r.wants(&e) {
		return
	}
	evidence, ok := e.Evidence()
	if !ok {
		return
	}
	text, err := json.Marshal(lineOf(&e, &evidence, &r.options.Fields))
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || len(text) >= MaxLine || !r.add(text, lastWords) {
		r.omitted.Dropped++
	}
}

// wants counts a failure, and says whether it is one of the first of its interval.
func (r *Recorder) wants(e *engine.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if r.since.IsZero() || e.Time.Sub(r.since) >= r.options.Interval {
		r.tellOmitted(lastWords)
		r.since = e.Time
		clear(r.seen)
	}
	key := sample{e.Policy, e.Class.String(), e.Rule}
	if r.seen[key]++; r.seen[key] <= r.options.Samples {
		return true
	}
	r.omitted.Sampled++
	return false
}

// add queues a line if there is room for it that leaves reserve bytes. The caller holds mu.
func (r *Recorder) add(text []byte, reserve int64) bool {
	size := int64(len(text)) + 1
	if r.closed || r.written+size+reserve > r.options.MaxBytes {
		return false
	}
	select {
	case r.lines <- append(text, '\n'):
		r.written += size
		return true
	default:
		return false
	}
}

// tellOmitted queues the line that counts what was left out, if there is something to
// tell. The caller holds mu.
func (r *Recorder) tellOmitted(reserve int64) {
	if r.omitted == (Omitted{}) {
		return
	}
	if text := omittedLine(r.omitted); r.add(text, reserve) {
		r.omitted = Omitted{}
	}
}

func omittedLine(o Omitted) []byte {
	text, err := json.Marshal(&Line{Version: Version, Omitted: &o})
	if err != nil {
		panic(err) // numbers marshal
	}
	return text
}

// write is the goroutine that writes, until Close. After an error it only empties the
// queue.
func (r *Recorder) write() {
	defer close(r.done)
	for text := range r.lines {
		if r.failed.Load() {
			continue
		}
		r.put(text)
	}
}

// put writes a line. A writer that panics has failed.
func (r *Recorder) put(text []byte) {
	defer func() {
		if v := recover(); v != nil {
			r.fail(fmt.Errorf("the writer panicked: %v", v))
		}
	}()
	if _, err := r.w.Write(text); err != nil {
		r.fail(err)
	}
}

func (r *Recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = fmt.Errorf("redressreplay: recording has ended: %w", err)
	r.failed.Store(true)
}

// Err returns the writer's error, with which recording ended; nil while there is none.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// errClosed is what a second Close returns.
var errClosed = errors.New("redressreplay: the recorder is closed already")

// Close ends recording: it waits until all is written, with a last line that says how many
// failures were omitted, and returns what Err does. Failures of later calls are passed
// over. It does not close the writer. A second Close is an error.
func (r *Recorder) Close() error {
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.closed = true
		close(r.lines)
	}
	r.mu.Unlock()
	if closed {
		return errClosed
	}
	<-r.done
	r.mu.Lock()
	left := r.omitted
	r.mu.Unlock()
	if left != (Omitted{}) && !r.failed.Load() {
		r.put(append(omittedLine(left), '\n'))
	}
	return r.Err()
}
