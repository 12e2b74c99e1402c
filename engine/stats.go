package engine

import (
	"fmt"
	"sync/atomic"
)

// Stats counts what went wrong in the functions that a policy or a caller gave, since
// the policy was made; reloads do not begin anew. None of it changed the outcome of a call in any other way than
// documented.
type Stats struct {
	RuleErrors     uint64 // everything that was reported as rule_error: rules that could not be evaluated, and all below but observers
	RulePanics     uint64 // panics of Classify, ClassifyResult and Select
	StrategyFaults uint64 // strategies that panicked or answered with a reason that is none; the former were replaced by the default strategy
	HookPanics     uint64 // panics of abort functions, before-sleep hooks, sleep handlers, discards and learners
	ObserverPanics uint64
	// LostOperations counts operations under Go that panicked or ended their goroutine:
	// if nobody asks a future for its outcome, this and the breaker are where it shows.
	LostOperations uint64
}

// Stats returns the policy's counters. Handles made by Bind share them.
func (p *Policy) Stats() Stats {
	n := p.current.Load().counters
	return Stats{
		RuleErrors:     n.ruleErrors.Load(),
		RulePanics:     n.rulePanics.Load(),
		StrategyFaults: n.strategyFaults.Load(),
		HookPanics:     n.hookPanics.Load(),
		ObserverPanics: n.observerPanics.Load(),
		LostOperations: n.lostOperations.Load(),
	}
}

type counters struct {
	ruleErrors, rulePanics, strategyFaults, hookPanics, observerPanics, lostOperations atomic.Uint64
}

// A fault is something contained that has yet to be reported, as a rule_error.
type fault struct {
	rule, selector, strategy string
	note                     string
	err                      error
}

// A panicError is a contained panic. Its text names the kind of value alone where
// that is not an error or a string, for it may hold anything.
type panicError struct{ value any }

func (e *panicError) Error() string {
	switch v := e.value.(type) {
	case error:
		return "panic: " + messageOf(v)
	case string:
		return "panic: " + bounded(v, MaxMessage)
	}
	return fmt.Sprintf("panic of type %T", e.value)
}

// Unwrap returns the value of the panic if it is an error.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}
