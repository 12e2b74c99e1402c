package interp

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/ir"
)

// Build makes engine policies, in the order of the documents, with breakers, budgets
// and strategies that are new: policies that name the same breaker or budget share
// it among themselves, and with nobody else. The program must be free of errors.
func (p *Program) Build() []*engine.Policy { return built(p.IR(), p.opts) }

// IR returns the policies as plain data. The program must be free of errors.
func (p *Program) IR() *ir.Set {
	set := &ir.Set{FallbackPolicy: p.fallback.V}
	for _, policy := range p.policies {
		set.Policies = append(set.Policies, policy.plain())
	}
	return set
}

// built makes engine policies of what the documents' checks have passed.
func built(set *ir.Set, opts Options) []*engine.Policy {
	all, err := set.Build(opts)
	if err != nil {
		panic(fmt.Sprintf("interp: a checked document was refused: %v", err))
	}
	return all
}

// lists makes the lists of a policy's rules, each when it is first asked for.
func (p *Policy) lists() {
	p.classify = sync.OnceValue(func() *ir.List { return listOf(p.rules) })
	p.classifyResult = sync.OnceValue(func() *ir.List { return listOf(p.results) })
	p.choose = sync.OnceValue(func() *ir.List { return listOf(p.selectors) })
	p.conditions = sync.OnceValue(func() conditionLists {
		return conditionLists{
			conditions(p.rules, p.classify(), "classify"), conditions(p.results, p.classifyResult(), "classify_result"), conditions(p.selectors, p.choose(), "select"),
		}
	})
	p.plain = sync.OnceValue(p.translate)
	p.spec = sync.OnceValue(func() engine.Spec {
		return built(&ir.Set{Policies: []*ir.Policy{p.plain()}}, p.opts)[0].Spec()
	})
}

// translate says what the policy is, defaults left out.
func (p *Policy) translate() *ir.Policy {
	written := &p.doc.Policy.Retry
	made := &ir.Policy{
		Name:           p.Name(),
		Revision:       p.revision,
		Deadline:       written.Deadline.V,
		AttemptTimeout: written.AttemptTimeout.V,
		MaxAttempts:    written.MaxAttempts.V,
		DefaultClass:   classNamed(p.doc.Policy.DefaultClass),
		Strategy:       strategy(written.Strategy),
		Classify:       p.classify(),
		ClassifyResult: p.classifyResult(),
		Select:         p.choose(),
		Breaker:        p.breaker,
		Budget:         p.budget,
	}
	made.Mode, _ = engine.ParseMode(p.doc.Policy.Mode.V)
	for _, op := range p.doc.Policy.Operations.V {
		made.Operations = append(made.Operations, op.V)
	}
	if written.MaxUnknownAttempts.Set {
		made.MaxUnknownAttempts = max(written.MaxUnknownAttempts.V, 1)
	}
	for _, c := range written.Classes {
		one := ir.Class{Class: classNamed(c.Class), Strategy: strategy(c.Strategy)}
		if c.MaxAttempts.Set {
			one.MaxAttempts = max(c.MaxAttempts.V, 1)
		}
		made.Classes = append(made.Classes, one)
	}
	for _, s := range p.selectors {
		made.Selected = append(made.Selected, strategy(s.strategy))
	}
	return made
}

func classNamed(name dsl.Value[string]) engine.Class {
	class, _ := engine.ParseClass(name.V)
	return class
}

func breaker(name string, written *dsl.CircuitBreaker) *ir.Breaker {
	if written == nil { // of a document that is wrong
		return nil
	}
	made := &ir.Breaker{
		Name:             name,
		FailureThreshold: written.FailureThreshold.V,
		Window:           written.Window.V,
		RecoveryTimeout:  written.RecoveryTimeout.V,
		ProbeTimeout:     written.ProbeTimeout.V,
		Fleet:            written.Scope.V == "fleet",
	}
	for _, name := range written.TripOn.V {
		made.TripOn = append(made.TripOn, classNamed(name))
	}
	for _, t := range written.ClassThresholds {
		made.ClassThresholds = append(made.ClassThresholds, ir.Threshold{Class: classNamed(t.Class), Calls: t.Threshold.V})
	}
	return made
}

func budget(name string, written *dsl.Budget) *ir.Budget {
	if written == nil {
		return nil
	}
	return &ir.Budget{Name: name, MaxRetries: written.MaxRetries.V, Window: written.Window.V, Fleet: written.Scope.V == "fleet"}
}

// orNone is the engine's way to write a zero where zero means the default.
func orNone(v dsl.Value[time.Duration]) time.Duration {
	if v.Set && v.V == 0 {
		return engine.None
	}
	return v.V
}

// strategy translates a strategy; nil for one that is not written.
func strategy(s *dsl.Strategy) *ir.Strategy {
	if s == nil {
		return nil
	}
	return &ir.Strategy{
		Kind: s.Name.V, Base: s.Base.V, Max: s.Max.V, Step: orNone(s.Step), Delay: s.Delay.V, Jitter: orNone(s.Jitter), Cap: s.Cap.V,
		Window: s.Window.V, Factor: s.Factor.V, TargetSuccess: s.TargetSuccess.V, MinMultiplier: s.MinMultiplier.V, MaxMultiplier: s.MaxMultiplier.V,
		Func: s.Func.V, Fallback: strategy(s.Fallback),
	}
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
