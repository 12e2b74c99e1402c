package interp

import (
	"fmt"
	"slices"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
)

// Build makes engine policies, in the order of the documents, with breakers, budgets
// and strategies that are new: policies that name the same breaker or budget share
// it among themselves, and with nobody else. The program must be free of errors.
func (p *Program) Build() []*engine.Policy {
	b := newBuilder()
	all := make([]*engine.Policy, len(p.policies))
	for i, policy := range p.policies {
		all[i] = b.build(policy)
	}
	return all
}

type builder struct {
	breakers map[string]*engine.Breaker
	budgets  map[string]*engine.Budget
}

func newBuilder() *builder {
	return &builder{breakers: map[string]*engine.Breaker{}, budgets: map[string]*engine.Budget{}}
}

// must is for what the documents' checks have made impossible.
func must[T any](x T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("interp: a checked document was refused: %v", err))
	}
	return x
}

func (b *builder) build(p *Policy) *engine.Policy {
	written := p.doc.Policy
	spec := engine.Spec{
		Name:             p.Name(),
		Revision:         p.revision,
		Deadline:         written.Retry.Deadline.V,
		AttemptTimeout:   written.Retry.AttemptTimeout.V,
		MaxAttempts:      written.Retry.MaxAttempts.V,
		Lazy:             true,
		Classes:          map[engine.Class]engine.ClassSpec{},
		Classify:         p.classify().Decide,
		Observer:         p.opts.Observer,
		Attributes:       p.opts.Attributes,
		ResultAttributes: p.opts.ResultAttributes,
	}
	for _, op := range written.Operations.V {
		spec.Operations = append(spec.Operations, op.V)
	}
	if written.Retry.MaxUnknownAttempts.Set {
		spec.MaxUnknownAttempts = max(written.Retry.MaxUnknownAttempts.V, 1)
	}
	spec.DefaultClass, _ = engine.ParseClass(written.DefaultClass.V)
	if len(p.results) > 0 {
		spec.ClassifyResult, spec.SilentResult = p.classifyResult().Decide, p.classifyResult().Silent
	}
	spec.Strategy = p.strategy(written.Retry.Strategy)
	for _, c := range written.Retry.Classes {
		class, _ := engine.ParseClass(c.Class.V)
		one := engine.ClassSpec{Strategy: p.strategy(c.Strategy)}
		if c.MaxAttempts.Set {
			one.MaxAttempts = max(c.MaxAttempts.V, 1)
		}
		spec.Classes[class] = one
	}
	spec.Select, spec.Selectable = p.selection()
	spec.Breaker = b.breaker(p)
	spec.Budget = b.budget(p)
	return must(engine.New(spec))
}

// selection builds the select function and the strategies that it may pick.
func (p *Policy) selection() (engine.SelectFunc, []engine.Strategy) {
	if len(p.selectors) == 0 {
		return nil, nil
	}
	strategies := make([]engine.Strategy, len(p.selectors))
	for i, s := range p.selectors {
		strategies[i] = p.strategy(s.strategy)
	}
	list := p.choose()
	return func(in *engine.Input) (picked engine.Selection) {
		first, errors := list.First(in)
		picked.Errors = errors
		if first >= 0 {
			picked.Strategy, picked.Rule = strategies[first], p.selectors[first].id
		}
		return picked
	}, strategies
}

func (b *builder) breaker(p *Policy) *engine.Breaker {
	if p.breaker == nil {
		return nil
	}
	if made := b.breakers[p.breaker.name]; made != nil {
		return made
	}
	written := p.breaker.breaker
	spec := engine.BreakerSpec{
		Name:             p.breaker.name,
		FailureThreshold: written.FailureThreshold.V,
		Window:           written.Window.V,
		RecoveryTimeout:  written.RecoveryTimeout.V,
		ProbeTimeout:     written.ProbeTimeout.V,
		ClassThresholds:  map[engine.Class]int{},
	}
	for _, name := range written.TripOn.V {
		class, _ := engine.ParseClass(name.V)
		spec.TripOn = append(spec.TripOn, class)
	}
	for _, t := range written.ClassThresholds {
		class, _ := engine.ParseClass(t.Class.V)
		spec.ClassThresholds[class] = t.Threshold.V
	}
	if spec.Name == "" {
		spec.Name = p.Name()
		return must(engine.NewBreaker(spec))
	}
	b.breakers[spec.Name] = must(engine.NewBreaker(spec))
	return b.breakers[spec.Name]
}

func (b *builder) budget(p *Policy) *engine.Budget {
	if p.budget == nil {
		return nil
	}
	if made := b.budgets[p.budget.name]; made != nil {
		return made
	}
	written := p.budget.budget
	spec := engine.BudgetSpec{Name: p.budget.name, MaxRetries: written.MaxRetries.V, Window: written.Window.V}
	if spec.Name == "" {
		spec.Name = p.Name()
		return must(engine.NewBudget(spec))
	}
	b.budgets[spec.Name] = must(engine.NewBudget(spec))
	return b.budgets[spec.Name]
}

// orNone is the engine's way to write a zero where zero means the default.
func orNone(v dsl.Value[time.Duration]) time.Duration {
	if v.Set && v.V == 0 {
		return engine.None
	}
	return v.V
}

// strategy builds a strategy; nil for one that is not written.
func (p *Policy) strategy(s *dsl.Strategy) engine.Strategy {
	if s == nil {
		return nil
	}
	switch s.Name.V {
	case "decorrelated_jitter":
		return engine.DecorrelatedJitter{Base: s.Base.V, Max: s.Max.V}
	case "equal_jitter":
		return engine.EqualJitter{Base: s.Base.V, Max: s.Max.V}
	case "full_jitter":
		return engine.FullJitter{Base: s.Base.V, Max: s.Max.V}
	case "token_backoff":
		return engine.TokenBackoff{Base: s.Base.V, Max: s.Max.V}
	case "exponential":
		return engine.Exponential{Base: s.Base.V, Max: s.Max.V, Factor: s.Factor.V}
	case "linear":
		return engine.Linear{Base: s.Base.V, Step: orNone(s.Step), Max: s.Max.V}
	case "constant":
		return engine.Constant{Wait: s.Delay.V}
	case "retry_after_or":
		return engine.RetryAfterOr{Fallback: p.strategy(s.Fallback), Jitter: orNone(s.Jitter), Cap: s.Cap.V}
	case "adaptive":
		return &engine.Adaptive{Fallback: p.strategy(s.Fallback), Window: s.Window.V, TargetSuccess: s.TargetSuccess.V, MinMultiplier: s.MinMultiplier.V, MaxMultiplier: s.MaxMultiplier.V}
	case "immediate":
		return engine.Immediate{}
	case "stop":
		return engine.StopStrategy{}
	}
	return p.opts.Strategies[s.Func.V]
}

// strategies checks that functions which the policy names are registered.
func (c *setCompiler) strategies(written *dsl.Policy) {
	all := []*dsl.Strategy{written.Retry.Strategy}
	for _, s := range written.Retry.Select {
		all = append(all, s.Strategy)
	}
	for _, class := range written.Retry.Classes {
		all = append(all, class.Strategy)
	}
	for _, s := range all {
		for ; s != nil; s = s.Fallback {
			if s.Name.V == "func" && s.Func.Set && c.opts.Strategies[s.Func.V] == nil {
				c.unregistered(s.Func)
			}
		}
	}
}

func (c *setCompiler) unregistered(name dsl.Value[string]) {
	var known []string
	for n := range c.opts.Strategies {
		known = append(known, n)
	}
	slices.Sort(known)
	help := fmt.Sprintf("register it in Go with redress.WithStrategy(%q, ...), and name it to the linter with --func %s", name.V, name.V)
	if near, ok := dsl.Nearest(name.V, known); ok {
		c.report(name.Range, dsl.CodeUnknownRef, help, "no strategy function is registered as %q; did you mean %q?", name.V, near)
		return
	}
	c.report(name.Range, dsl.CodeUnknownRef, help, "no strategy function is registered as %q", name.V)
}
