package ir

import (
	"fmt"
	"time"

	"github.com/redress-policy/redress/engine"
)

// Options give policies what documents cannot say.
type Options struct {
	Strategies map[string]engine.Strategy // by the name that `func` uses
	Observer   engine.Observer            // of every policy; may be nil
	Attributes engine.Extractor           // of err.attr, for every policy; may be nil

	ResultAttributes engine.ResultExtractor // of result.attr, for every policy; may be nil

	// Fleet is whose the budgets and breakers of scope fleet are; nil makes them local.
	Fleet engine.Fleet

	Now time.Time // overrides that have expired by then do not count; zero means that none has
}

// Build makes engine policies, in order, with breakers, budgets and strategies that are
// new: policies that point to the same breaker or budget share it among themselves, and
// with nobody else.
func (s *Set) Build(opts Options) ([]*engine.Policy, error) {
	b := &builder{opts, map[*Breaker]*engine.Breaker{}, map[*Budget]*engine.Budget{}}
	all := make([]*engine.Policy, len(s.Policies))
	for i, p := range s.Policies {
		spec, err := b.spec(p)
		if err != nil {
			return nil, fmt.Errorf("policy %q: %w", p.Name, err)
		}
		if all[i], err = engine.New(spec); err != nil {
			return nil, err
		}
	}
	return all, nil
}

type builder struct {
	opts     Options
	breakers map[*Breaker]*engine.Breaker
	budgets  map[*Budget]*engine.Budget
}

func (b *builder) spec(p *Policy) (spec engine.Spec, err error) {
	spec = engine.Spec{
		Name:               p.Name,
		Revision:           p.Revision,
		Mode:               p.Mode,
		Operations:         p.Operations,
		Deadline:           p.Deadline,
		AttemptTimeout:     p.AttemptTimeout,
		MaxAttempts:        p.MaxAttempts,
		MaxUnknownAttempts: p.MaxUnknownAttempts,
		DefaultClass:       p.DefaultClass,
		Classes:            map[engine.Class]engine.ClassSpec{},
		Lazy:               true,
		Observer:           b.opts.Observer,
		Attributes:         b.opts.Attributes,
		ResultAttributes:   b.opts.ResultAttributes,
	}
	if spec.Strategy, err = b.strategy(p.Strategy); err != nil {
		return spec, err
	}
	for _, c := range p.Classes {
		strategy, err := b.strategy(c.Strategy)
		if err != nil {
			return spec, err
		}
		spec.Classes[c.Class] = engine.ClassSpec{Strategy: strategy, MaxAttempts: c.MaxAttempts}
	}
	if err := b.rules(&spec, p); err != nil {
		return spec, err
	}
	if spec.Breaker, err = b.breaker(p.Breaker); err != nil {
		return spec, err
	}
	spec.Budget, err = b.budget(p.Budget)
	return spec, err
}

func (b *builder) rules(spec *engine.Spec, p *Policy) error {
	classify, err := p.Classify.Compile()
	if err != nil {
		return err
	}
	spec.Classify = classify.Decide
	if !p.ClassifyResult.empty() {
		results, err := p.ClassifyResult.Compile()
		if err != nil {
			return err
		}
		spec.ClassifyResult, spec.SilentResult = results.Decide, results.Silent
	}
	if !p.Select.empty() {
		spec.Select, spec.Selectable, err = b.selection(p)
	}
	return err
}

// selection makes the select function and the strategies that it may pick.
func (b *builder) selection(p *Policy) (engine.SelectFunc, []engine.Strategy, error) {
	list, err := p.Select.Compile()
	if err != nil {
		return nil, nil, err
	}
	strategies := make([]engine.Strategy, len(p.Selected))
	for i, s := range p.Selected {
		if strategies[i], err = b.strategy(s); err != nil {
			return nil, nil, err
		}
	}
	rules := p.Select.Rules
	return func(in *engine.Input) (picked engine.Selection) {
		first, errors := list.First(in)
		picked.Errors = errors
		if first >= 0 {
			picked.Strategy, picked.Rule = strategies[first], rules[first].ID
		}
		return picked
	}, strategies, nil
}

func (b *builder) breaker(written *Breaker) (*engine.Breaker, error) {
	if written == nil {
		return nil, nil
	}
	if made := b.breakers[written]; made != nil {
		return made, nil
	}
	spec := engine.BreakerSpec{
		Name:             written.Name,
		FailureThreshold: written.FailureThreshold,
		Window:           written.Window,
		RecoveryTimeout:  written.RecoveryTimeout,
		ProbeTimeout:     written.ProbeTimeout,
		TripOn:           written.TripOn,
		ClassThresholds:  map[engine.Class]int{},
	}
	for _, t := range written.ClassThresholds {
		spec.ClassThresholds[t.Class] = t.Calls
	}
	if written.Fleet && b.opts.Fleet != nil {
		if err := b.opts.Fleet.CheckBreaker(spec); err != nil {
			return nil, fmt.Errorf("circuit breaker %q: scope fleet cannot be had: %w", written.Name, err)
		}
		spec.Quorum = b.opts.Fleet.Quorum(spec)
	}
	made, err := engine.NewBreaker(spec)
	b.breakers[written] = made
	return made, err
}

func (b *builder) budget(written *Budget) (*engine.Budget, error) {
	if written == nil {
		return nil, nil
	}
	if made := b.budgets[written]; made != nil {
		return made, nil
	}
	spec := engine.BudgetSpec{Name: written.Name, MaxRetries: written.MaxRetries, Window: written.Window}
	if written.Fleet && b.opts.Fleet != nil {
		if err := b.opts.Fleet.CheckBudget(spec); err != nil {
			return nil, fmt.Errorf("budget %q: scope fleet cannot be had: %w", written.Name, err)
		}
		spec.Allowance = b.opts.Fleet.Allowance(spec)
	}
	made, err := engine.NewBudget(spec)
	b.budgets[written] = made
	return made, err
}

// strategy makes a strategy; nil for one that is not written.
func (b *builder) strategy(s *Strategy) (engine.Strategy, error) {
	if s == nil {
		return nil, nil
	}
	fallback, err := b.strategy(s.Fallback)
	if err != nil {
		return nil, err
	}
	switch s.Kind {
	case "decorrelated_jitter":
		return engine.DecorrelatedJitter{Base: s.Base, Max: s.Max}, nil
	case "equal_jitter":
		return engine.EqualJitter{Base: s.Base, Max: s.Max}, nil
	case "full_jitter":
		return engine.FullJitter{Base: s.Base, Max: s.Max}, nil
	case "token_backoff":
		return engine.TokenBackoff{Base: s.Base, Max: s.Max}, nil
	case "exponential":
		return engine.Exponential{Base: s.Base, Max: s.Max, Factor: s.Factor}, nil
	case "linear":
		return engine.Linear{Base: s.Base, Step: s.Step, Max: s.Max}, nil
	case "constant":
		return engine.Constant{Wait: s.Delay}, nil
	case "retry_after_or":
		return engine.RetryAfterOr{Fallback: fallback, Jitter: s.Jitter, Cap: s.Cap}, nil
	case "adaptive":
		return &engine.Adaptive{Fallback: fallback, Window: s.Window, TargetSuccess: s.TargetSuccess, MinMultiplier: s.MinMultiplier, MaxMultiplier: s.MaxMultiplier}, nil
	case "immediate":
		return engine.Immediate{}, nil
	case "stop":
		return engine.StopStrategy{}, nil
	case "func":
		return b.function(s.Func)
	}
	return nil, fmt.Errorf("%w: it has a strategy %q", ErrNewer, s.Kind)
}

func (b *builder) function(name string) (engine.Strategy, error) {
	if s := b.opts.Strategies[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("no strategy function is registered as %q; register it with WithStrategy(%q, ...)", name, name)
}
