package redressdebug

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redress-policy/redress/engine"
)

// Bounds of what a page remembers, so that no traffic can make it large.
const (
	keptEnds      = 1000 // ends of calls
	keptFailures  = 50   // calls that failed, with their story
	keptAlike     = 5    // ... of the same policy for the same reason
	keptEvents    = 256  // of one call
	droppedAtOnce = 64
)

// A trace is what is remembered of a call while it lives. The engine tells of a call on
// one goroutine.
type trace struct {
	events  engine.Timeline
	omitted int
	last    engine.Event // that ended the call; of kind EventNone until then
}

type traceKey struct{}

// note keeps an event. Of a call with very many the middle is let go of.
func (t *trace) note(e engine.Event) {
	if len(t.events) == keptEvents {
		const from = keptEvents / 4
		t.events = append(t.events[:from], t.events[from+droppedAtOnce:]...)
		t.omitted += droppedAtOnce
	}
	t.events = append(t.events, e)
	if ends(&e) {
		t.last = e
	}
}

// ends reports whether e is the event with which a call ends.
func ends(e *engine.Event) bool {
	return e.Kind != engine.AttemptEnd && e.Reason != engine.NotStopped
}

// A history is what is remembered of calls that have ended.
type history struct {
	mu       sync.Mutex
	ends     []end     // guarded by mu; a ring once it is full
	oldest   int       // guarded by mu
	failures []failure // guarded by mu; oldest first
}

type end struct {
	time              time.Time
	policy, operation string
	reason            engine.StopReason
}

// A failure is a call that failed, and its story.
type failure struct {
	Time        time.Time `json:"time"`
	Policy      string    `json:"policy"`
	Operation   string    `json:"operation"`
	Revision    string    `json:"revision"`
	StopReason  string    `json:"stop_reason"`
	Class       string    `json:"class"`
	Rule        string    `json:"rule"`
	Attempts    int       `json:"attempts"`
	Elapsed     float64   `json:"elapsed_seconds"`
	Explanation string    `json:"explanation"`
}

// noReason stands where a stop reason would, had the operation returned.
const noReason = "operation did not return"

func (h *history) add(e end) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ends) < keptEnds {
		h.ends = append(h.ends, e)
		return
	}
	h.ends[h.oldest] = e
	h.oldest = (h.oldest + 1) % keptEnds
}

// addFailure keeps a failure. That the same thing happens often drives nothing else out.
func (h *history) addFailure(f failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	alike, first := 0, -1
	for i := range h.failures {
		if kept := &h.failures[i]; kept.Policy == f.Policy && kept.StopReason == f.StopReason {
			if alike++; first < 0 {
				first = i
			}
		}
	}
	switch {
	case alike >= keptAlike:
		h.failures = append(h.failures[:first], h.failures[first+1:]...)
	case len(h.failures) >= keptFailures:
		h.failures = append(h.failures[:0], h.failures[1:]...)
	}
	h.failures = append(h.failures, f)
}

// StartCall implements [redress.CallObserver].
func (p *Page) StartCall(ctx context.Context, _ engine.Event) context.Context {
	return context.WithValue(ctx, traceKey{}, &trace{})
}

// Observe implements [redress.Observer].
func (p *Page) Observe(ctx context.Context, e engine.Event) {
	if !p.options.Errors {
		e.Err = nil
	}
	if t, ok := ctx.Value(traceKey{}).(*trace); ok {
		t.note(e)
	}
}

// EndCall implements [redress.CallObserver].
func (p *Page) EndCall(ctx context.Context) {
	t, ok := ctx.Value(traceKey{}).(*trace)
	if !ok || len(t.events) == 0 {
		return
	}
	if t.last.Kind == engine.EventNone {
		p.history.addFailure(t.lost())
		return
	}
	p.history.add(end{t.last.Time, t.last.Policy, t.last.Operation, t.last.Reason})
	if t.last.Reason != engine.Success && t.last.Reason != engine.Scheduled {
		p.history.addFailure(t.failure())
	}
}

// failure tells of a call that ended.
func (t *trace) failure() failure {
	e := &t.last
	outcome := engine.Outcome[struct{}]{
		Reason: e.Reason, Attempts: e.Attempt, Class: e.Class, Rule: e.Rule, Cause: e.Cause, LastErr: e.Err,
		Selector: e.Selector, Strategy: e.Strategy, Note: e.Note, Elapsed: e.Elapsed, NextDelay: e.Sleep,
		Policy: e.Policy, Operation: e.Operation, Revision: e.Revision, Timeline: t.events,
	}
	return failure{
		Time: e.Time, Policy: e.Policy, Operation: e.Operation, Revision: e.Revision, StopReason: e.Reason.String(),
		Class: e.Class.String(), Rule: e.Rule, Attempts: e.Attempt, Elapsed: e.Elapsed.Seconds(),
		Explanation: outcome.Explain() + t.omission(),
	}
}

// lost tells of a call whose operation panicked or ended its goroutine.
func (t *trace) lost() failure {
	e := t.events[len(t.events)-1]
	return failure{
		Time: e.Time, Policy: e.Policy, Operation: e.Operation, Revision: e.Revision, StopReason: noReason,
		Attempts: e.Attempt, Elapsed: e.Elapsed.Seconds(),
		Explanation: t.events.String() + t.omission(),
	}
}

func (t *trace) omission() string {
	if t.omitted == 0 {
		return ""
	}
	return fmt.Sprintf("  %d events from the middle are left out\n", t.omitted)
}
