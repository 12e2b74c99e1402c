package checks

import (
	"fmt"
	"math"
	"slices"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
)

// load reports retries that a dependency could not bear.
func (p *policy) load() {
	for _, o := range p.outlooks {
		l, a := o.Load, o.Assumed
		if l == nil || l.Amplification <= 1 || l.Load <= 1 {
			continue
		}
		u := l.Utilisation
		note := fmt.Sprintf("%s × %s = %s of its capacity, when everything fails%s: %s", analysis.Number(u), analysis.Number(l.Amplification), analysis.Number(l.Load), o.Where(), l.Why)
		var d *dsl.Diagnostic
		if p.spec.Budget == nil {
			help := "add retry.budget"
			if a.Rate.Set && u < 1 {
				help = fmt.Sprintf("add retry.budget: {max_retries: %d, window: 60s}", max(int(math.Floor((1/u-1)*a.Rate.V*60)), 1))
			}
			d = p.report(dsl.CodeNoBudget, p.retryPlace(), help, "retries would load the dependency with %s times its capacity, and no budget holds them", analysis.Number(l.Load))
		} else {
			help := "declare assume.rate, so that the budget can be reckoned with"
			if a.Rate.Set {
				window := p.spec.Budget.Spec().Window
				help = fmt.Sprintf("allow at most %d retries in %v", int(math.Floor((1/u-1)*a.Rate.V*window.Seconds())), window)
			}
			d = p.report(dsl.CodeMetastable, p.body.Retry.Budget.Range, help, "even with its budget, retries would load the dependency with %s times its capacity", analysis.Number(l.Load))
		}
		d.Notes = append(d.Notes, note)
		d.Related = []dsl.Related{{Range: a.Utilisation.Range, Message: "the utilisation is assumed here"}}
		return
	}
}

// retryPlace is where the number of attempts is written, else the policy's name.
func (p *policy) retryPlace() dsl.Range {
	if r := &p.body.Retry; r.MaxAttempts.Set {
		return r.MaxAttempts.Range
	}
	return p.doc.Name.Range
}

// budget reports budgets that never refuse, or refuse everything.
func (p *policy) budget() {
	if p.spec.Budget == nil {
		return
	}
	spec := p.spec.Budget.Spec()
	at := p.body.Retry.Budget.Range
	if spec.MaxRetries == 0 {
		if inline := p.body.Retry.Budget.Inline; inline != nil {
			at = inline.MaxRetries.Range
		}
		p.report(dsl.CodeBudgetZero, at, "raise max_retries, or write max_attempts: 1", "the budget allows no retry at all")
		return
	}
	if p.body.Retry.Budget.Inline == nil {
		return // others take from it too
	}
	for _, o := range p.outlooks {
		if b := o.Budget; b != nil && !b.CanRefuse {
			p.report(dsl.CodeBudgetIdle, at, "lower max_retries", "the budget never refuses: %s calls a second%s retry at most %s times in %v, and it allows %d", analysis.Number(o.Assumed.Rate.V), o.Where(), analysis.Number(math.Floor(b.Retries)), spec.Window, spec.MaxRetries)
			return
		}
	}
}

// breaker looks at what the breaker counts, and whether it can see it.
func (p *policy) breaker() {
	if p.spec.Breaker == nil {
		return
	}
	spec := p.spec.Breaker.Spec()
	body := p.body.CircuitBreaker.Inline
	if body == nil {
		if doc := p.set.Find("CircuitBreaker", p.body.CircuitBreaker.Name.V); doc != nil {
			body = doc.Breaker
		}
	}
	if body == nil {
		return
	}
	for _, name := range body.TripOn.V {
		p.counted(name)
	}
	for _, t := range body.ClassThresholds {
		p.counted(t.Class)
	}
	if !body.TripOn.Set && !p.gives(engine.Transient) && !p.gives(engine.ServerError) && !slices.ContainsFunc(body.ClassThresholds, func(t dsl.ClassThreshold) bool { return p.givesNamed(t.Class.V) }) {
		p.report(dsl.CodeCannotTrip, p.body.CircuitBreaker.Range, "write trip_on with classes that rules give", "the breaker can never open: without trip_on it counts TRANSIENT and SERVER_ERROR, and no rule of %s gives them", p.Name())
		return
	}
	if body.Window.Set && p.spec.AttemptTimeout > 0 && body.Window.V < 2*p.spec.AttemptTimeout {
		p.report(dsl.CodeShortWindow, body.Window.Range, fmt.Sprintf("make it at least %v, twice attempt_timeout", 2*p.spec.AttemptTimeout), "a window of %v hardly sees two attempts of %v: slow failures have left it before they are enough", body.Window.V, p.spec.AttemptTimeout)
	}
	for _, o := range p.outlooks {
		if o.Breaker != nil && p.sees(spec, body, o) {
			return
		}
	}
}

// counted looks at one class that a breaker counts.
func (p *policy) counted(name dsl.Value[string]) {
	class, ok := engine.ParseClass(name.V)
	switch {
	case !ok || slices.ContainsFunc(p.found, func(d dsl.Diagnostic) bool { return d.Range == name.Range }):
	case class == engine.Auth || class == engine.Permission || class == engine.Permanent:
		p.report(dsl.CodeCallerErrors, name.Range, "remove it", "the breaker counts %s, which callers cause by themselves: one bad caller would cut off all others", class)
	case !p.gives(class):
		p.report(dsl.CodeUnproduced, name.Range, "remove it, or add a rule that gives it", "the breaker counts %s, which no rule of %s gives", class, p.Name())
	}
}

// sees reports a breaker that cannot open, or opens when nothing is wrong.
func (p *policy) sees(spec engine.BreakerSpec, body *dsl.CircuitBreaker, o analysis.Outlook) (said bool) {
	at := p.doc.Name.Range
	if body.FailureThreshold.Set {
		at = body.FailureThreshold.Range
	} else if p.body.CircuitBreaker.Set {
		at = p.body.CircuitBreaker.Range
	}
	b := o.Breaker
	if !b.CanOpen {
		p.report(dsl.CodeCannotTrip, at, fmt.Sprintf("count over a longer window, or fewer than %d", b.Least),
			"the breaker can never open%s: %s calls a second are %s in %v, and it takes %d failures", o.Where(), analysis.Number(o.Assumed.Rate.V), analysis.Number(b.Calls), spec.Window, b.Least)
		return true
	}
	const tolerable = 0.01
	if b.FalseTrip == nil || *b.FalseTrip <= tolerable {
		return false
	}
	baseline := o.Assumed.BaselineErrors.V
	p.report(dsl.CodeFalseTrips, at, fmt.Sprintf("count %d failures or more, or over a shorter window", enough(int(b.Calls), baseline)),
		"the breaker opens when all is well%s: of %d calls in %v at least %d fail with a chance of %s %%, with baseline errors of %s", o.Where(), int(b.Calls), spec.Window, b.Least, analysis.Number(100**b.FalseTrip), analysis.Number(baseline))
	return true
}

// enough is the least threshold that is hardly ever reached by chance.
func enough(calls int, baseline float64) int {
	k := 1
	for k < calls && analysis.FalseTrips(calls, baseline, k) > 0.001 {
		k++
	}
	return k
}

// guarantees proves or refutes what the policy promises; of max_amplification, the mesh
// tells.
func (p *policy) guarantees() {
	g := &p.body.Guarantees
	if g.MaxAttempts.Set && p.envelope.MaxAttempts > g.MaxAttempts.V {
		p.report(dsl.CodeGuarantee, g.MaxAttempts.Range, fmt.Sprintf("write retry: {max_attempts: %d}", g.MaxAttempts.V), "a call can make %d attempts, and %d are promised", p.envelope.MaxAttempts, g.MaxAttempts.V)
	}
	if g.MaxDuration.Set && p.envelope.Longest > g.MaxDuration.V {
		d := p.report(dsl.CodeGuarantee, g.MaxDuration.Range, fmt.Sprintf("write retry: {deadline: %v}", g.MaxDuration.V), "a call can take %v, and %v is promised", p.envelope.Longest, g.MaxDuration.V)
		if p.envelope.Longest == p.spec.Deadline {
			d.Notes = append(d.Notes, fmt.Sprintf("what ends it is the deadline of %v", p.spec.Deadline))
		} else {
			d.Notes = append(d.Notes, fmt.Sprintf("%d attempts of %v, and the longest sleeps between them", p.envelope.MaxAttempts, p.spec.AttemptTimeout))
		}
	}
}
