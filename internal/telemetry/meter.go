package telemetry

import (
	"cmp"
	"sync"

	"github.com/redress-policy/redress/engine"
)

// A Recorder is told a measurement: values is one value for each of the instrument's
// labels, in their order, and may not be kept.
type Recorder func(i *Instrument, amount float64, values ...string)

// A Meter turns events into measurements. It remembers the values of labels that it has
// seen, so that no label has more of them than its limit. The zero Meter is ready; it is
// safe for use by many goroutines.
type Meter struct {
	mu   sync.RWMutex
	seen map[*Label]map[string]struct{} // guarded by mu
}

// Measure tells record what an event measures.
func (m *Meter) Measure(e *engine.Event, record Recorder) {
	tell := func(i *Instrument, amount float64, values ...string) {
		for n, l := range i.Labels {
			values[n] = m.bounded(l, values[n])
		}
		record(i, amount, values...)
	}
	switch e.Kind {
	case engine.AttemptEnd:
		measureAttempt(e, tell)
	case engine.EventRuleError:
		tell(RuleErrors, 1, e.Policy, cmp.Or(e.Rule, e.Selector))
	case engine.EventCircuitOpened, engine.EventCircuitHalfOpen, engine.EventCircuitClosed:
		tell(BreakerTransitions, 1, e.Breaker, e.From.String(), e.To.String())
	case engine.EventPolicyReloaded:
		tell(PolicyReloads, 1, result(true))
	case engine.EventPolicyReloadFailed:
		tell(PolicyReloads, 1, result(false))
	default:
		if e.Reason != engine.NotStopped { // the last event of a call
			tell(Calls, 1, e.Policy, e.Operation, e.Reason.String())
			tell(CallDuration, e.Elapsed.Seconds(), e.Policy, e.Operation, result(e.Reason == engine.Success))
		}
	}
}

func measureAttempt(e *engine.Event, tell Recorder) {
	tell(Attempts, 1, e.Policy, e.Operation, e.Decision.String(), e.Class.String())
	tell(AttemptDuration, e.Took.Seconds(), e.Policy, e.Operation, result(e.Decision == engine.DecideSuccess))
	if e.Class != engine.NoClass {
		tell(Failures, 1, e.Policy, e.Class.String(), e.Rule)
	}
	if e.Decision == engine.DecideRetry || e.Decision == engine.DecideScheduled {
		tell(RetryDelay, e.Sleep.Seconds(), e.Policy, e.Strategy)
	}
}

func result(ok bool) string {
	if ok {
		return "ok"
	}
	return "failed"
}

// bounded returns value, or Other if the label has had its fill.
func (m *Meter) bounded(l *Label, value string) string {
	if l.Limit == 0 || value == "" {
		return value
	}
	m.mu.RLock()
	_, known := m.seen[l][value]
	full := len(m.seen[l]) >= l.Limit
	m.mu.RUnlock()
	if known {
		return value
	}
	if full {
		return Other
	}
	return m.admit(l, value)
}

// admit takes a value into what is known of a label, if another goroutine has not
// filled it meanwhile.
func (m *Meter) admit(l *Label, value string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[*Label]map[string]struct{}{}
	}
	if m.seen[l] == nil {
		m.seen[l] = map[string]struct{}{}
	}
	if _, known := m.seen[l][value]; !known && len(m.seen[l]) >= l.Limit {
		return Other
	}
	m.seen[l][value] = struct{}{}
	return value
}
