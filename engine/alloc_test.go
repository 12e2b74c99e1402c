package engine_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

func TestASuccessfulCallAllocatesTheContextOfItsAttemptAndNothingElse(t *testing.T) {
	full := engine.Spec{
		AttemptTimeout: time.Second,
		Strategy:       engine.RetryAfterOr{},
		Classes:        map[engine.Class]engine.ClassSpec{engine.RateLimit: {Strategy: engine.Constant{Wait: time.Second}, MaxAttempts: 2}},
		Breaker:        breaker(t, engine.BreakerSpec{}),
		Budget:         budget(t, engine.BudgetSpec{MaxRetries: 10}),
		Observer:       idle{},
	}
	ctx := context.Background()
	op := func(context.Context) (int, error) { return 1, nil }
	do := func(context.Context) error { return nil }
	p := policy(t, full)
	bound := p.Bind(engine.WithOperation("op"), engine.NotIdempotent())
	for name, call := range map[string]func(){
		"Call":        func() { _, _ = engine.Call(ctx, p, op) },
		"Do":          func() { _ = engine.Do(ctx, p, do) },
		"Execute":     func() { _ = engine.Execute(ctx, p, op) },
		"Call, bound": func() { _, _ = engine.Call(ctx, bound, op) },
		"Call with options": func() {
			_, _ = engine.Call(ctx, p, op, engine.WithOperation("op"), engine.NotReplayable(), engine.WithObserver(idle{}))
		},
	} {
		if n := testing.AllocsPerRun(200, call); n != 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// idle is an observer that does nothing.
type idle struct{}

func (idle) Observe(context.Context, engine.Event) {}

func TestACallThatAnOpenBreakerRefusesAllocatesNothing(t *testing.T) {
	p := policy(t, engine.Spec{MaxAttempts: 1, Breaker: breaker(t, engine.BreakerSpec{FailureThreshold: 1, RecoveryTimeout: time.Hour})})
	op := func(context.Context) (int, error) { return 0, failure(engine.ServerError) }
	engine.Execute(t.Context(), p, op)
	ctx := context.Background()
	if n := testing.AllocsPerRun(200, func() { _, _ = engine.Call(ctx, p, op) }); n != 0 {
		t.Errorf("Call: %v allocations", n)
	}
	if n := testing.AllocsPerRun(200, func() { _ = engine.Execute(ctx, p, op) }); n != 0 {
		t.Errorf("Execute: %v allocations", n)
	}
}

func TestASuccessfulCallUnderTheCallersContextAllocatesNothing(t *testing.T) {
	result := func(status int) bool { return status < 400 }
	p := policy(t, engine.Spec{
		Strategy:       engine.RetryAfterOr{},
		Breaker:        breaker(t, engine.BreakerSpec{}),
		Budget:         budget(t, engine.BudgetSpec{MaxRetries: 10}),
		Observer:       idle{},
		ClassifyResult: func(*engine.Input) engine.Verdict { return engine.Verdict{} },
		SilentResult:   result,
	}).Bind(engine.WithCallerContext())
	ctx := t.Context()
	response := &http.Response{StatusCode: 200}
	for name, call := range map[string]func(){
		"Call": func() {
			_, _ = engine.Call(ctx, p, func(context.Context) (*http.Response, error) { return response, nil })
		},
		"Do":      func() { _ = engine.Do(ctx, p, func(context.Context) error { return nil }) },
		"Execute": func() { _ = engine.Execute(ctx, p, func(context.Context) (int, error) { return 1, nil }) },
	} {
		if n := testing.AllocsPerRun(200, call); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
