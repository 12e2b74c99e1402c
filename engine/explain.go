package engine

import (
	"fmt"
	"strings"
	"time"
)

// Explain tells the story of the call to a human: what was classified, what response
// was chosen, why it stopped. With a timeline it tells every attempt. It prints the
// last error's text, and never a value.
func (o Outcome[T]) Explain() string {
	var b strings.Builder
	b.WriteString(o.headline())
	b.WriteByte('\n')
	o.Timeline.tell(&b)
	if o.Timeline == nil && o.Class != NoClass {
		fmt.Fprintf(&b, "  last failure: %s\n", classified(o.Class, o.Rule, o.Cause))
	}
	if why := o.why(); why != "" {
		fmt.Fprintf(&b, "  why: %s\n", why)
	}
	if o.LastErr != nil && !o.OK {
		fmt.Fprintf(&b, "  last error: %s\n", indent(messageOf(o.LastErr)))
	}
	if o.Ended != nil && o.Ended != o.LastErr {
		fmt.Fprintf(&b, "  the caller's context ended: %s\n", indent(messageOf(o.Ended)))
	}
	return b.String()
}

// headline is `payments-api payments.charge: MAX_ATTEMPTS_GLOBAL after 6 attempts in 12.3s`.
func (o Outcome[T]) headline() string {
	name := o.Policy
	if o.Operation != "" {
		name += " " + o.Operation
	}
	return fmt.Sprintf("%s: %v after %s in %v", name, o.Reason, plural(o.Attempts, "attempt"), round(o.Elapsed))
}

// why says in words why the call stopped.
func (o Outcome[T]) why() string {
	var why string
	switch o.Reason {
	case MaxAttemptsGlobal:
		why = "max_attempts allows no further attempt"
	case MaxAttemptsPerClass:
		why = fmt.Sprintf("max_attempts of class %v allows no further attempt", o.Class)
	case MaxUnknownAttempts:
		why = "failures that no rule knows are retried only as far as max_unknown_attempts says"
	case DeadlineExceeded:
		why = "the time is up"
	case NonRetryableClass:
		why = fmt.Sprintf("failures of class %v are never retried", o.Class)
		if o.Class.Retryable() {
			why = "the strategy chose not to retry"
		}
	case NoStrategy:
		why = fmt.Sprintf("no strategy is configured for class %v", o.Class)
	case BudgetExhausted:
		why = "the retry budget is spent"
	case CircuitOpen:
		why = "the circuit breaker opened while this call was between attempts"
		if o.Attempts == 0 {
			why = "the circuit breaker is open: nothing was sent"
		}
	case Scheduled:
		why = fmt.Sprintf("the retry was handed on, due in %v", round(o.NextDelay))
	case Aborted:
		why = "the operation or the caller asked to stop"
	case Canceled:
		why = "the caller went away"
	case ReasonNotIdempotent:
		why = "the request may have been sent, and must not be sent twice"
	case ReasonNotReplayable:
		why = "the operation cannot be run again"
	}
	if o.Selector != "" && o.Reason == NonRetryableClass {
		why += fmt.Sprintf(" (select rule %s)", o.Selector)
	}
	if o.Note != "" {
		why += "; " + o.Note
	}
	return why
}

// A Timeline is the events of one call, in order.
type Timeline []Event

// String tells the timeline, a line for each attempt and for whatever else happened.
func (t Timeline) String() string {
	var b strings.Builder
	t.tell(&b)
	return b.String()
}

func (t Timeline) tell(b *strings.Builder) {
	var began time.Duration // of the attempt
	var asides []string     // what happened during an attempt is told after its line
	for i := range t {
		e := &t[i]
		switch e.Kind {
		case AttemptStart:
			began = e.Elapsed
		case AttemptEnd:
			tellAt(b, began, fmt.Sprintf("attempt %d %s", e.Attempt, e.attemptEnd(e.Elapsed-began)))
			tellAsides(b, asides)
			asides = nil
		case EventCircuitOpened, EventCircuitHalfOpen, EventCircuitClosed:
			tellAt(b, e.Elapsed, fmt.Sprintf("circuit breaker %s: %v, was %v", e.Breaker, e.To, e.From))
		case EventCircuitRejected:
			tellAt(b, e.Elapsed, fmt.Sprintf("circuit breaker %s refused", e.Breaker))
		case EventRuleError:
			asides = append(asides, e.ruleError())
		}
	}
	tellAsides(b, asides)
}

func tellAt(b *strings.Builder, at time.Duration, text string) {
	fmt.Fprintf(b, "  %9s  %s\n", "+"+round(at).String(), text)
}

func tellAsides(b *strings.Builder, asides []string) {
	for _, text := range asides {
		fmt.Fprintf(b, "  %9s    %s\n", "", text)
	}
}

// attemptEnd tells how an attempt ended, and what was decided.
func (e *Event) attemptEnd(took time.Duration) string {
	if e.Decision == DecideSuccess {
		return fmt.Sprintf("succeeded (took %v)", round(took))
	}
	if e.Class == NoClass {
		return fmt.Sprintf("ended without a class (took %v): %s", round(took), e.decided())
	}
	return fmt.Sprintf("failed: %s (took %v): %s", classified(e.Class, e.Rule, e.Cause), round(took), e.decided())
}

// decided tells the response that was chosen.
func (e *Event) decided() string {
	switch e.Decision {
	case DecideRetry, DecideScheduled:
		text := fmt.Sprintf("retry in %v, says %s", round(e.Sleep), e.Strategy)
		if e.Selector != "" {
			text += fmt.Sprintf(" chosen by select rule %s", e.Selector)
		}
		if e.Decision == DecideScheduled {
			text += ", handed on"
		}
		return text
	case DecideStop, DecideAborted:
		if e.Reason == NotStopped {
			return e.Note
		}
		return e.Reason.String()
	}
	return e.Decision.String()
}

func (e *Event) ruleError() string {
	what := e.Note
	switch {
	case e.Rule != "":
		what = "rule " + e.Rule + " could not be evaluated and does not match"
	case e.Selector != "":
		what = "select rule " + e.Selector + " could not be evaluated and does not match"
	case e.Strategy != "" && what == "":
		what = "strategy " + e.Strategy + " erred"
	}
	if e.Err != nil {
		what += ": " + indent(messageOf(e.Err))
	}
	return what
}

// classified is `RATE_LIMIT by rule throttled`.
func classified(c Class, rule string, cause Cause) string {
	text := c.String()
	switch rule {
	case RuleDefault:
		text += " by default, as no rule held"
	case RuleMarker:
		text += " by the error's marker"
	default:
		text += " by rule " + rule
	}
	if cause == CauseResult {
		text += ", from the result"
	}
	return text
}

// indent keeps an error of several lines in its place.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n    ") }
