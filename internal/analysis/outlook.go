package analysis

import (
	"fmt"
	"math"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// An Outlook is what is to be expected of a policy under the assumptions of one
// environment. What depends on an assumption that nobody made is nil.
type Outlook struct {
	Environment string          `json:"environment,omitempty"` // its name; "" for what the policy itself assumes
	Assumed     dsl.Assumptions `json:"-"`
	Breaker     *BreakerOutlook `json:"breaker,omitempty"`
	Budget      *BudgetOutlook  `json:"budget,omitempty"`
	Load        *LoadOutlook    `json:"load,omitempty"`
}

// A BreakerOutlook says what a breaker sees of the calls of one instance.
type BreakerOutlook struct {
	Calls     float64  `json:"calls"` // in its window
	Least     int      `json:"least"` // failed calls that open it
	CanOpen   bool     `json:"can_open"`
	FalseTrip *float64 `json:"false_trip,omitempty"` // the chance that a window of calls that fail by the baseline opens it
}

// A BudgetOutlook says how much of a budget one policy of one instance can use.
type BudgetOutlook struct {
	Retries   float64 `json:"retries"` // the most in its window
	Allowed   int     `json:"allowed"`
	CanRefuse bool    `json:"can_refuse"`
}

// A LoadOutlook is the load of the dependency while every call fails, as a share of its
// capacity. Each call makes as many attempts as it may, or as the budget lets it: the load
// multiplies by min(attempts, 1 + budget/calls). Above the capacity the dependency keeps
// failing because of the retries alone, also when what began it is over (Bronson et al.,
// Metastable Failures in Distributed Systems, HotOS 2021).
type LoadOutlook struct {
	Utilisation   float64 `json:"utilisation"` // when all is well
	Amplification float64 `json:"amplification"`
	Load          float64 `json:"load"`
	Why           string  `json:"why"`
}

// Where says in which environment: " in production", or "".
func (o *Outlook) Where() string {
	if o.Environment == "" {
		return ""
	}
	return " in " + o.Environment
}

// Outlooks reckons with what is assumed of a policy in each environment: what the
// environment says of it, else what it says of every policy, else what the policy says
// itself.
func Outlooks(p *interp.Policy, e *Envelope, environments []*dsl.Document) []Outlook {
	own := p.Document().Policy.Assume
	if len(environments) == 0 {
		if !own.Set {
			return nil
		}
		return []Outlook{outlook(p, e, "", own)}
	}
	var all []Outlook
	for _, doc := range environments {
		merged := own
		merge(&merged, doc.Environment.Assume)
		for _, one := range doc.Environment.Policies {
			if one.Policy.V == p.Name() {
				merge(&merged, one.Assume)
			}
		}
		all = append(all, outlook(p, e, doc.Name.V, merged))
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

func outlook(p *interp.Policy, e *Envelope, environment string, a dsl.Assumptions) Outlook {
	o := Outlook{Environment: environment, Assumed: a}
	spec, attempts := p.Spec(), e.GivenAttempts()
	if spec.Breaker != nil && a.Rate.Set {
		o.Breaker = breakerOutlook(spec.Breaker.Spec(), a)
	}
	if spec.Budget != nil && a.Rate.Set {
		budget := spec.Budget.Spec()
		most := a.Rate.V * budget.Window.Seconds() * float64(attempts-1)
		o.Budget = &BudgetOutlook{Retries: most, Allowed: budget.MaxRetries, CanRefuse: most >= float64(budget.MaxRetries)}
	}
	if u := a.Utilisation; u.Set && u.V > 0 {
		o.Load = &LoadOutlook{Utilisation: u.V, Amplification: float64(attempts), Why: fmt.Sprintf("%d attempts a call", attempts)}
		if spec.Budget != nil && a.Rate.Set {
			budget := spec.Budget.Spec()
			calls := a.Rate.V * budget.Window.Seconds()
			o.Load.Amplification = min(o.Load.Amplification, 1+float64(budget.MaxRetries)/calls)
			o.Load.Why = fmt.Sprintf("a budget of %d retries for %s calls in %v, and at most %d attempts a call", budget.MaxRetries, Number(calls), budget.Window, attempts)
		}
		o.Load.Load = u.V * o.Load.Amplification
	}
	return o
}

func breakerOutlook(spec engine.BreakerSpec, a dsl.Assumptions) *BreakerOutlook {
	b := &BreakerOutlook{Calls: a.Rate.V * spec.Window.Seconds(), Least: spec.FailureThreshold}
	if len(spec.TripOn) == 0 {
		b.Least = math.MaxInt
	}
	for _, n := range spec.ClassThresholds {
		b.Least = min(b.Least, n)
	}
	b.CanOpen = b.Calls >= float64(b.Least)
	if a.BaselineErrors.Set && b.CanOpen {
		b.FalseTrip = new(FalseTrips(int(b.Calls), a.BaselineErrors.V, b.Least))
	}
	return b
}

// Number writes a figure with at most three digits behind the point.
func Number(x float64) string {
	s := fmt.Sprintf("%.3f", x)
	if x != 0 && math.Abs(x) < 0.01 {
		s = fmt.Sprintf("%.2g", x)
	}
	if strings.Contains(s, ".") && !strings.Contains(s, "e") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
