// Package telemetry is the one table of what redress measures. contrib/redressprom,
// contrib/redressotel and docs/telemetry.md are made from it.
package telemetry

import "strings"

// A Kind says how an instrument's values are to be understood.
type Kind string

// The kinds.
const (
	Counter   Kind = "counter"   // a sum that only grows
	Histogram Kind = "histogram" // a distribution
	Gauge     Kind = "gauge"     // a value that comes and goes; values of several sources add up
)

// A Label is something that values are divided by.
type Label struct {
	Name      string // in Prometheus
	Attribute string // in OpenTelemetry
	// Limit is how many values one observer tells apart; those that come later are told
	// as [Other]. 0 means that the values are few by themselves.
	Limit int
	Help  string
}

// Other stands for all values of a label that came after its limit was reached.
const Other = "_other"

// The labels. What is written in documents is limited too, as documents change while a
// process lives.
var (
	Policy     = &Label{"policy", "redress.policy", 500, "name of the policy"}
	Operation  = &Label{"operation", "redress.operation", 200, "name given by WithOperation; empty if there was none"}
	StopReason = &Label{"stop_reason", "redress.stop_reason", 0, "why the call ended; a closed set"}
	Class      = &Label{"class", "error.type", 0, "class of the failure, a closed set; empty if nothing failed"}
	Rule       = &Label{"rule", "redress.rule", 1000, "id of the rule that decided"}
	Decision   = &Label{"decision", "redress.decision", 0, "what followed the attempt: success, retry, stop, scheduled, aborted"}
	Result     = &Label{"result", "redress.result", 0, "ok or failed"}
	Strategy   = &Label{"strategy", "redress.strategy", 100, "name of the strategy that chose the delay"}
	Breaker    = &Label{"breaker", "redress.breaker", 500, "name of the circuit breaker; that of the policy if it has its own"}
	State      = &Label{"state", "redress.breaker.state", 0, "closed, open or half_open"}
	From       = &Label{"from", "redress.breaker.from", 0, "the state before"}
	To         = &Label{"to", "redress.breaker.to", 0, "the state after"}
	Budget     = &Label{"budget", "redress.budget", 500, "name of the retry budget; that of the policy if it has its own"}
	Revision   = &Label{"revision", "redress.revision", 0, "revision of the policy in force"}
	Fault      = &Label{"fault", "redress.fault", 0, "rule_panic, strategy_fault, hook_panic, observer_panic or lost_operation"}
)

// Labels returns the labels in the order of the documentation.
func Labels() []*Label {
	return []*Label{Policy, Operation, StopReason, Class, Rule, Decision, Result, Strategy, Breaker, State, From, To, Budget, Revision, Fault}
}

// An Instrument is one thing that is measured.
type Instrument struct {
	Name   string // in OpenTelemetry
	Unit   string // of UCUM, as OpenTelemetry wants it
	Kind   Kind
	Labels []*Label
	// Read says that values are read off a set when they are asked for, not told by events.
	Read bool
	Help string
}

// The instruments.
var (
	Calls              = &Instrument{"redress.calls", "{call}", Counter, []*Label{Policy, Operation, StopReason}, false, "Calls that ended. A deferred call counts at each of its steps."}
	CallDuration       = &Instrument{"redress.call.duration", "s", Histogram, []*Label{Policy, Operation, Result}, false, "How long calls took, all attempts and sleeps included."}
	Attempts           = &Instrument{"redress.attempts", "{attempt}", Counter, []*Label{Policy, Operation, Decision, Class}, false, "Attempts that ended."}
	AttemptDuration    = &Instrument{"redress.attempt.duration", "s", Histogram, []*Label{Policy, Operation, Result}, false, "How long attempts took."}
	Failures           = &Instrument{"redress.failures", "{failure}", Counter, []*Label{Policy, Class, Rule}, false, "Failures by the rule that classified them."}
	RetryDelay         = &Instrument{"redress.retry.delay", "s", Histogram, []*Label{Policy, Strategy}, false, "How long the next attempt was put off, by sleeping or deferring."}
	RuleErrors         = &Instrument{"redress.rule.errors", "{error}", Counter, []*Label{Policy, Rule}, false, "Rules, strategies and hooks that erred and were passed over; rule is empty where none was at fault."}
	PolicyReloads      = &Instrument{"redress.policy.reloads", "{reload}", Counter, []*Label{Result}, false, "Reloads of policies."}
	BreakerTransitions = &Instrument{"redress.breaker.transitions", "{transition}", Counter, []*Label{Breaker, From, To}, false, "Changes of circuit breakers' states."}
	BreakerState       = &Instrument{"redress.breaker.state", "{breaker}", Gauge, []*Label{Breaker, State}, true, "1 for the state that a circuit breaker is in, 0 for the others."}
	BreakerDuration    = &Instrument{"redress.breaker.state.duration", "s", Counter, []*Label{Breaker, State}, true, "Time that a circuit breaker has spent in each state since it is watched."}
	BudgetLimit        = &Instrument{"redress.budget.limit", "{retry}", Gauge, []*Label{Budget}, true, "Retries that a budget allows in any window."}
	BudgetRemaining    = &Instrument{"redress.budget.remaining", "{retry}", Gauge, []*Label{Budget}, true, "Retries that a budget would grant now."}
	PolicyInfo         = &Instrument{"redress.policy.info", "{policy}", Gauge, []*Label{Policy, Revision}, true, "1 for every policy, with the revision in force."}
	Faults             = &Instrument{"redress.faults", "{fault}", Counter, []*Label{Policy, Fault}, true, "Faults of functions that were given to a policy, contained; operations lost under Go."}
)

// Instruments returns the instruments in the order of the documentation.
func Instruments() []*Instrument {
	return []*Instrument{
		Calls, CallDuration, Attempts, AttemptDuration, Failures, RetryDelay, RuleErrors, PolicyReloads,
		BreakerTransitions, BreakerState, BreakerDuration, BudgetLimit, BudgetRemaining, PolicyInfo, Faults,
	}
}

// Buckets returns the upper bounds of the histograms, in seconds: those that the
// semantic conventions advise for requests, without three, and on to the default deadline.
func Buckets() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
}

// PrometheusName returns the name in Prometheus, by the rules under which OpenTelemetry
// names are translated.
func (i *Instrument) PrometheusName() string {
	name := strings.ReplaceAll(i.Name, ".", "_")
	if i.Unit == "s" {
		name += "_seconds"
	}
	if i.Kind == Counter {
		name += "_total"
	}
	return name
}

// LabelNames returns the names of the instrument's labels in Prometheus.
func (i *Instrument) LabelNames() []string {
	names := make([]string, len(i.Labels))
	for n, l := range i.Labels {
		names[n] = l.Name
	}
	return names
}
