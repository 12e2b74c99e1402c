package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

func BenchmarkCall(b *testing.B) {
	breaker, err := engine.NewBreaker(engine.BreakerSpec{})
	if err != nil {
		b.Fatal(err)
	}
	budget, err := engine.NewBudget(engine.BudgetSpec{MaxRetries: 10})
	if err != nil {
		b.Fatal(err)
	}
	p, err := engine.New(engine.Spec{Name: "full", AttemptTimeout: time.Second, Breaker: breaker, Budget: budget})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	fn := func(context.Context) (int, error) { n++; return n, nil }
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := fn(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("full policy", func(b *testing.B) {
		b.ReportAllocs()
		ctx := b.Context()
		for b.Loop() {
			if _, err := engine.Call(ctx, p, fn); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("full policy, options", func(b *testing.B) {
		b.ReportAllocs()
		ctx := b.Context()
		for b.Loop() {
			if _, err := engine.Call(ctx, p, fn, engine.WithOperation("op"), engine.NotIdempotent()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
