package engine

import (
	"context"
	"fmt"
	"time"
)

// An EventKind names what happened. The set grows only by new kinds.
type EventKind uint8

// The events of a call and of what it shares. The policy_reload pair is emitted by
// live policy sets.
const (
	EventNone EventKind = iota
	AttemptStart
	AttemptEnd
	EventSuccess
	EventRetry
	EventPermanentFail
	EventDeadlineExceeded
	EventMaxAttemptsExceeded
	EventMaxUnknownAttemptsExceeded
	EventNoStrategyConfigured
	EventBudgetExhausted
	EventScheduled
	EventAborted
	EventCanceled
	EventCircuitOpened
	EventCircuitHalfOpen
	EventCircuitClosed
	EventCircuitRejected
	EventRuleError
	EventPolicyReloaded
	EventPolicyReloadFailed
	eventCount
)

var eventNames = [eventCount]string{
	"", "attempt_start", "attempt_end", "success", "retry", "permanent_fail", "deadline_exceeded", "max_attempts_exceeded",
	"max_unknown_attempts_exceeded", "no_strategy_configured", "budget_exhausted", "scheduled", "aborted", "canceled",
	"circuit_opened", "circuit_half_open", "circuit_closed", "circuit_rejected", "rule_error", "policy_reloaded",
	"policy_reload_failed",
}

// EventKinds returns every kind in its documented order.
func EventKinds() []EventKind {
	all := make([]EventKind, 0, eventCount-1)
	for k := AttemptStart; k < eventCount; k++ {
		all = append(all, k)
	}
	return all
}

// ParseEventKind finds the kind with that name ("circuit_opened").
func ParseEventKind(name string) (EventKind, bool) {
	for k := AttemptStart; k < eventCount; k++ {
		if eventNames[k] == name {
			return k, true
		}
	}
	return EventNone, false
}

// String returns the event's name as metrics, logs and policy tests spell it.
func (k EventKind) String() string {
	if k < eventCount {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// MarshalText writes the kind's name.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// An EventSet is a set of kinds of events. The zero EventSet is empty.
type EventSet uint32

// EventsOf returns the set of those kinds.
func EventsOf(kinds ...EventKind) (s EventSet) {
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has reports whether the set has that kind.
func (s EventSet) Has(k EventKind) bool { return s>>k&1 != 0 }

// A Decision is what was decided when an attempt ended.
type Decision uint8

// The decisions that an attempt_end event carries.
const (
	NoDecision Decision = iota
	DecideSuccess
	DecideRetry
	DecideStop
	DecideScheduled
	DecideAborted
)

var decisionNames = [...]string{"", "success", "retry", "stop", "scheduled", "aborted"}

// String returns the decision's name.
func (d Decision) String() string {
	if int(d) < len(decisionNames) {
		return decisionNames[d]
	}
	return fmt.Sprintf("Decision(%d)", uint8(d))
}

// MarshalText writes the decision's name.
func (d Decision) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// A Cause says whether a failure was a returned error or a result that a rule
// of classify_result recognised.
type Cause uint8

// The causes; NoCause when nothing failed.
const (
	NoCause Cause = iota
	CauseError
	CauseResult
)

var causeNames = [...]string{"", "error", "result"}

// String returns "error", "result" or "".
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}

// MarshalText writes the cause's name.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// An Event is one thing that happened during a call, flat: fields that do not
// apply to the kind are zero. Policy, Operation, Class, Rule, Reason and the
// states are bounded and fit for labels; Err is not and is for logs alone.
type Event struct {
	Kind      EventKind
	Time      time.Time     // by the call's clock
	Elapsed   time.Duration // since the call began
	Policy    string
	Operation string
	Revision  string
	Labels    map[string]string // as given by the caller; never written to
	Attempt   int               // from 1; 0 before the first
	Class     Class
	Rule      string // id of the rule that decided the class
	Selector  string // id of the select rule that chose the strategy, if one did
	Strategy  string // name of the strategy that chose the sleep
	Cause     Cause
	Decision  Decision      // of attempt_end
	Took      time.Duration // of attempt_end: how long the attempt took
	Sleep     time.Duration // before the next attempt; of retry, scheduled and attempt_end
	Reason    StopReason    // of events that end the call, and their attempt_end
	Note      string        // why, where the reason alone does not say; bounded text made of policy words and durations
	Breaker   string        // name of the breaker, of circuit_* events
	From, To  State         // of circuit_opened, circuit_half_open, circuit_closed
	Sequence  uint64        // of breaker transitions: orders them across goroutines
	Err       error         // the attempt's error, or a rule's error; nil unless there is one
	Reload    *Reload       // of policy_reloaded and policy_reload_failed; nil of others

	evidence *record // of attempt_end, while observers are told; see Evidence
}

// An Observer is told of events. Observe is called on the goroutine of the call,
// never under a lock, in the order in which things happened; it may be called by
// many goroutines at once. A panic in Observe is contained and counted, and
// changes nothing for the call. Observers should be quick: the call waits.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// A CallObserver is an observer that needs to know which events belong to one call, or
// that gives calls something to carry, such as a span: it is asked before a call does
// anything. An observer that wraps another hands both methods on; [Observers] does.
type CallObserver interface {
	Observer
	// StartCall returns the context that the call goes on under: ctx, or one that comes
	// from it. The operation's context comes from it, and every event of the call is told
	// with it. e says which call it is; its kind is EventNone.
	StartCall(ctx context.Context, e Event) context.Context
	// EndCall is called once for every StartCall, with the context of the call, when
	// nothing more will be told of it, however it ended: also if the operation panicked.
	EndCall(ctx context.Context)
}

// ObserverFunc makes an Observer of a function.
type ObserverFunc func(ctx context.Context, e Event)

// Observe calls f.
func (f ObserverFunc) Observe(ctx context.Context, e Event) { f(ctx, e) }
