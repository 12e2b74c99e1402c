package engine

import "fmt"

// A StopReason says why a call ended. The set is closed, and the spelling is the
// same in errors, outcomes, events, metrics and policy tests.
type StopReason uint8

// The stop reasons. The zero value means that the call has not ended.
const (
	NotStopped          StopReason = iota
	Success                        // the operation succeeded
	MaxAttemptsGlobal              // this was attempt max_attempts
	MaxAttemptsPerClass            // the class's own cap was reached
	MaxUnknownAttempts             // max_unknown_attempts failures of class UNKNOWN
	DeadlineExceeded               // the deadline passed, or the next sleep cannot end before it
	NonRetryableClass              // the class is never retried, or the selected strategy is stop
	NoStrategy                     // no strategy is configured for the class
	BudgetExhausted                // the retry budget refused
	CircuitOpen                    // the circuit breaker refused
	Scheduled                      // the retry was handed to a scheduler
	Aborted                        // the operation, the abort function or the sleep handler said so
	Canceled                       // the caller's context was cancelled
	ReasonNotIdempotent            // the request may have been sent and must not be sent twice
	ReasonNotReplayable            // the operation cannot be run again
	reasonCount
)

var reasonNames = [reasonCount]string{
	"", "SUCCESS", "MAX_ATTEMPTS_GLOBAL", "MAX_ATTEMPTS_PER_CLASS", "MAX_UNKNOWN_ATTEMPTS", "DEADLINE_EXCEEDED",
	"NON_RETRYABLE_CLASS", "NO_STRATEGY", "BUDGET_EXHAUSTED", "CIRCUIT_OPEN", "SCHEDULED", "ABORTED", "CANCELED",
	"NOT_IDEMPOTENT", "NOT_REPLAYABLE",
}

// StopReasons returns every stop reason in its documented order, NotStopped excepted.
func StopReasons() []StopReason {
	all := make([]StopReason, 0, reasonCount-1)
	for r := Success; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}

// ParseStopReason finds the stop reason with that name ("BUDGET_EXHAUSTED").
func ParseStopReason(name string) (StopReason, bool) {
	for r := Success; r < reasonCount; r++ {
		if reasonNames[r] == name {
			return r, true
		}
	}
	return NotStopped, false
}

// String returns the reason's name; "" for NotStopped.
func (r StopReason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return fmt.Sprintf("StopReason(%d)", uint8(r))
}

// MarshalText writes the reason's name.
func (r StopReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a reason's name; the empty text is NotStopped.
func (r *StopReason) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = NotStopped
		return nil
	}
	parsed, ok := ParseStopReason(string(text))
	if !ok {
		return fmt.Errorf("engine: no stop reason is named %q", text)
	}
	*r = parsed
	return nil
}
