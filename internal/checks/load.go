package checks

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
)

// assumption is what is assumed of a policy in one environment.
type assumption struct {
	dsl.Assumptions
	where string // " in production", "" without an environment
}

// assumptions returns what is assumed of the policy, for each environment: what the
// environment says of it, else what it says of every policy, else what the policy
// says itself.
func (p *policy) assumptions() []assumption {
	if len(p.environments) == 0 {
		if !p.body.Assume.Set {
			return nil
		}
		return []assumption{{p.body.Assume, ""}}
	}
	var all []assumption
	for _, doc := range p.environments {
		merged := p.body.Assume
		merge(&merged, doc.Environment.Assume)
		for _, one := range doc.Environment.Policies {
			if one.Policy.V == p.Name() {
				merge(&merged, one.Assume)
			}
		}
		all = append(all, assumption{merged, " in " + doc.Name.V})
	}
	return all
}

// merge lays what is set in over on top of a.
func merge(a *dsl.Assumptions, over dsl.Assumptions) {
	take(&a.Rate, over.Rate)
	take(&a.Instances, over.Instances)
	take(&a.Latency, over.Latency)
	take(&a.BaselineErrors, over.BaselineErrors)
	take(&a.Utilisation, over.Utilisation)
	take(&a.Idempotent, over.Idempotent)
	a.Set = a.Set || over.Set
}

func take[T any](v *dsl.Value[T], over dsl.Value[T]) {
	if over.Set {
		*v = over
	}
}

// load reports retries that a dependency could not bear. While everything fails, each
// call makes as many attempts as it may, or as the budget lets it: the load multiplies
// by min(attempts, 1 + budget/calls). Above the capacity the dependency keeps failing
// because of the retries alone, also when what began it is over (Bronson et al.,
// Metastable Failures in Distributed Systems, HotOS 2021).
func (p *policy) load() {
	attempts := p.mostAttempts()
	if attempts < 2 {
		return
	}
	for _, a := range p.assumptions() {
		if !a.Utilisation.Set || a.Utilisation.V == 0 {
			continue
		}
		u := a.Utilisation.V
		amplification, why := float64(attempts), fmt.Sprintf("%d attempts a call", attempts)
		if p.spec.Budget != nil && a.Rate.Set {
			budget := p.spec.Budget.Spec()
			calls := a.Rate.V * budget.Window.Seconds()
			ratio := float64(budget.MaxRetries) / calls
			if 1+ratio < amplification {
				amplification = 1 + ratio
			}
			why = fmt.Sprintf("a budget of %d retries for %s calls in %v, and at most %d attempts a call", budget.MaxRetries, number(calls), budget.Window, attempts)
		}
		total := u * amplification
		if total <= 1 {
			continue
		}
		note := fmt.Sprintf("%s × %s = %s of its capacity, when everything fails%s: %s", number(u), number(amplification), number(total), a.where, why)
		var d *dsl.Diagnostic
		if p.spec.Budget == nil {
			most := math.Floor((1/u - 1) * 1000)
			help := "add retry.budget"
			if a.Rate.Set && most > 0 {
				help = fmt.Sprintf("add retry.budget: {max_retries: %d, window: 60s}", max(int(math.Floor((1/u-1)*a.Rate.V*60)), 1))
			}
			d = p.report(dsl.CodeNoBudget, p.retryPlace(), help, "retries would load the dependency with %s times its capacity, and no budget holds them", number(total))
		} else {
			help := ""
			if a.Rate.Set {
				help = fmt.Sprintf("allow at most %d retries in %v", int(math.Floor((1/u-1)*a.Rate.V*p.spec.Budget.Spec().Window.Seconds())), p.spec.Budget.Spec().Window)
			} else {
				help = "declare assume.rate, so that the budget can be reckoned with"
			}
			d = p.report(dsl.CodeMetastable, p.body.Retry.Budget.Range, help, "even with its budget, retries would load the dependency with %s times its capacity", number(total))
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

// mostAttempts is the most that a call makes on failures that the rules give.
func (p *policy) mostAttempts() int {
	most := 1
	for _, c := range p.envelope.Classes {
		if p.produced[c.Class] {
			most = max(most, c.Attempts)
		}
	}
	return most
}

// number writes a figure with at most three digits behind the point.
func number(x float64) string {
	s := fmt.Sprintf("%.3f", x)
	if x != 0 && math.Abs(x) < 0.01 {
		s = fmt.Sprintf("%.2g", x)
	}
	if strings.Contains(s, ".") && !strings.Contains(s, "e") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// budget reports budgets that never refuse, or refuse everything.
func (p *policy) budget() {
	if p.spec.Budget == nil {
		return
	}
	spec := p.spec.Budget.Spec()
	at := p.body.Retry.Budget.Range
	if spec.MaxRetries == 0 {
		p.report(dsl.CodeBudgetZero, at, "raise max_retries, or write max_attempts: 1", "the budget allows no retry at all")
		return
	}
	if p.body.Retry.Budget.Inline == nil {
		return // others take from it too
	}
	for _, a := range p.assumptions() {
		if !a.Rate.Set {
			continue
		}
		most := a.Rate.V * spec.Window.Seconds() * float64(p.mostAttempts()-1)
		if most < float64(spec.MaxRetries) {
			p.report(dsl.CodeBudgetIdle, at, "lower max_retries", "the budget never refuses: %s calls a second%s retry at most %s times in %v, and it allows %d", number(a.Rate.V), a.where, number(math.Floor(most)), spec.Window, spec.MaxRetries)
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
	if body.Window.Set && p.spec.AttemptTimeout > 0 && body.Window.V < 2*p.spec.AttemptTimeout {
		p.report(dsl.CodeShortWindow, body.Window.Range, fmt.Sprintf("make it at least %v, twice attempt_timeout", 2*p.spec.AttemptTimeout), "a window of %v hardly sees two attempts of %v: slow failures have left it before they are enough", body.Window.V, p.spec.AttemptTimeout)
	}
	for _, a := range p.assumptions() {
		if a.Rate.Set && p.sees(spec, body, a) {
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
	case !p.produced[class]:
		p.report(dsl.CodeUnproduced, name.Range, "remove it, or add a rule that gives it", "the breaker counts %s, which no rule of %s gives", class, p.Name())
	}
}

// sees reports a breaker that cannot open, or opens when nothing is wrong.
func (p *policy) sees(spec engine.BreakerSpec, body *dsl.CircuitBreaker, a assumption) (said bool) {
	least, at := spec.FailureThreshold, p.doc.Name.Range
	if len(spec.TripOn) == 0 {
		least = math.MaxInt
	}
	if body.FailureThreshold.Set {
		at = body.FailureThreshold.Range
	} else if p.body.CircuitBreaker.Set {
		at = p.body.CircuitBreaker.Range
	}
	for _, n := range spec.ClassThresholds {
		least = min(least, n)
	}
	calls := a.Rate.V * spec.Window.Seconds()
	if calls < float64(least) {
		p.report(dsl.CodeCannotTrip, at, fmt.Sprintf("count over a longer window, or fewer than %d", least),
			"the breaker can never open%s: %s calls a second are %s in %v, and it takes %d failures", a.where, number(a.Rate.V), number(calls), spec.Window, least)
		return true
	}
	if !a.BaselineErrors.Set {
		return false
	}
	const tolerable = 0.01
	if chance := analysis.FalseTrips(int(calls), a.BaselineErrors.V, least); chance > tolerable {
		p.report(dsl.CodeFalseTrips, at, fmt.Sprintf("count %d failures or more, or over a shorter window", enough(int(calls), a.BaselineErrors.V)),
			"the breaker opens when all is well%s: of %d calls in %v at least %d fail with a chance of %s %%, with baseline errors of %s", a.where, int(calls), spec.Window, least, number(100*chance), number(a.BaselineErrors.V))
		return true
	}
	return false
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
