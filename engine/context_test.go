package engine_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redress-policy/redress/engine"
)

// under returns the context that an operation is given, while the operation runs.
func under(ctx context.Context, p *engine.Policy, op func(context.Context) error, opts ...engine.Option) error {
	return engine.Do(ctx, p, op, opts...)
}

func TestTheAttemptsDeadlineIsTheEarliestOfThree(t *testing.T) {
	for _, row := range []struct {
		name                    string
		caller, policy, attempt time.Duration
		want                    time.Duration
	}{
		{"caller's", 1 * time.Second, 2 * time.Second, 3 * time.Second, time.Second},
		{"policy's", 2 * time.Second, 1 * time.Second, 3 * time.Second, time.Second},
		{"attempt's", 3 * time.Second, 2 * time.Second, 1 * time.Second, time.Second},
		{"default", 0, 0, 0, 60 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if row.caller > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, row.caller)
					defer cancel()
				}
				p := policy(t, engine.Spec{Deadline: row.policy, AttemptTimeout: row.attempt, MaxAttempts: 1})
				start := time.Now()
				_ = under(ctx, p, func(ctx context.Context) error {
					deadline, ok := ctx.Deadline()
					equal(t, "has a deadline", ok, true)
					equal(t, "deadline", deadline.Sub(start), row.want)
					if ctx.Err() != nil {
						t.Errorf("ended early: %v", ctx.Err())
					}
					<-ctx.Done()
					equal(t, "done", time.Since(start), row.want)
					equal(t, "err", ctx.Err(), context.DeadlineExceeded)
					return ctx.Err()
				})
			})
		})
	}
}

// TestLimitsAsLongAsCanBeEndNoAttempt holds for attempts that are not the first, too, and
// both for calls that are made the short way and for others.
func TestLimitsAsLongAsCanBeEndNoAttempt(t *testing.T) {
	const longest = time.Duration(math.MaxInt64)
	for _, spec := range []engine.Spec{{AttemptTimeout: longest}, {Deadline: longest}, {AttemptTimeout: longest, Deadline: longest}} {
		spec.Strategy, spec.Classify = engine.Constant{Wait: time.Millisecond}, byCode
		for _, opts := range [][]engine.Option{nil, {engine.WithAbort(never)}} {
			synctest.Test(t, func(t *testing.T) {
				p, attempts := policy(t, spec), 0
				for range 2 {
					_ = under(t.Context(), p, func(ctx context.Context) error {
						attempts++
						if err := ctx.Err(); err != nil {
							t.Errorf("%d options, timeout %v, deadline %v: attempt %d has ended: %v", len(opts), spec.AttemptTimeout, spec.Deadline, attempts, err)
						}
						return failure(engine.ServerError)
					}, opts...)
				}
				equal(t, "attempts", attempts, 2*engine.DefaultMaxAttempts)
			})
		}
	}
}

func TestAnAttemptEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		p := policy(t, engine.Spec{})
		time.AfterFunc(time.Second, func() { cancel(cause) })
		start := time.Now()
		err := under(ctx, p, func(ctx context.Context) error {
			derived, stop := context.WithTimeout(ctx, time.Hour)
			defer stop()
			<-derived.Done()
			equal(t, "cause", context.Cause(ctx), cause)
			equal(t, "err", derived.Err(), context.Canceled)
			return derived.Err()
		})
		equal(t, "after", time.Since(start), time.Second)
		if !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
	})
}

func TestADerivedContextEndsWithTheAttemptsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy(t, engine.Spec{AttemptTimeout: time.Second, MaxAttempts: 1})
		_ = under(t.Context(), p, func(ctx context.Context) error {
			derived, stop := context.WithCancel(ctx)
			defer stop()
			<-derived.Done()
			equal(t, "err", derived.Err(), context.DeadlineExceeded)
			return derived.Err()
		})
	})
}

func TestTheContextOfAFailedAttemptIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy(t, engine.Spec{MaxAttempts: 1})
		for _, armed := range []bool{false, true} {
			var kept context.Context
			_ = under(t.Context(), p, func(ctx context.Context) error {
				kept = ctx
				if armed {
					ctx.Done()
				}
				return failure(engine.Transient)
			})
			<-kept.Done()
			equal(t, "err", kept.Err(), context.Canceled)
		}
	})
}

func TestTheContextOfASuccessfulAttemptLivesOnWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, armed := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			p := policy(t, engine.Spec{AttemptTimeout: time.Second})
			var kept context.Context
			_ = under(ctx, p, func(ctx context.Context) error {
				kept = ctx
				if armed {
					ctx.Done()
				}
				return nil
			})
			time.Sleep(time.Hour)
			if kept.Err() != nil {
				t.Errorf("a body read under it would be cut: %v", kept.Err())
			}
			if _, limited := kept.Deadline(); limited {
				t.Error("it still has a deadline")
			}
			cancel()
			<-kept.Done()
			equal(t, "err", kept.Err(), context.Canceled)
		}
	})
}

func TestTheValueOfAFailedResultCanStillBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy(t, engine.Spec{AttemptTimeout: time.Second, MaxAttempts: 2, Strategy: engine.Constant{Wait: time.Minute / 2},
			ClassifyResult: func(*engine.Input) engine.Verdict { return engine.Verdict{Class: engine.Transient, Rule: "r"} }})
		var attempts []context.Context
		kept, _ := engine.Call(t.Context(), p, func(ctx context.Context) (context.Context, error) {
			attempts = append(attempts, ctx)
			return ctx, nil
		})
		time.Sleep(time.Hour)
		equal(t, "err of the last attempt's context", kept.Err(), nil)
		equal(t, "err of the superseded one's", attempts[0].Err(), context.Canceled)
	})
}

func TestACallersContextThatLivesLongHoldsNothingOfItsCalls(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := policy(t, engine.Spec{})
	const n = 1000
	alive := make(chan struct{}, n)
	for range n {
		_ = under(ctx, p, func(ctx context.Context) error {
			ctx.Done() // links it to the caller
			payload := new([64]byte)
			runtime.AddCleanup(payload, func(c chan struct{}) { c <- struct{}{} }, alive)
			context.AfterFunc(ctx, func() { runtime.KeepAlive(payload) })()
			return nil
		})
	}
	heap := func() int64 {
		for range 10 {
			runtime.GC()
			runtime.Gosched()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	// What is held grows with every round; what else is on the heap does not.
	least := int64(math.MaxInt64)
	for range 4 {
		before := heap()
		for range 20 * n {
			_ = under(ctx, p, func(ctx context.Context) error { ctx.Done(); return nil })
		}
		least = min(least, heap()-before)
	}
	if least > 100*20*n {
		t.Errorf("%d calls left %d bytes with their caller", 20*n, least)
	}
	equal(t, "values of ended operations that were let go of", len(alive), n)
}

func TestAttemptFromTellsWhichAttemptItIs(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}})
	var seen []engine.Attempt
	w.run(p, func(ctx context.Context) (int, error) {
		type key struct{}
		derived := context.WithValue(ctx, key{}, 1)
		a, ok := engine.AttemptFrom(derived)
		equal(t, "found", ok, true)
		seen = append(seen, a)
		if len(seen) < 2 {
			return 0, failure(engine.Transient)
		}
		return 0, nil
	}, engine.WithOperation("op"))
	equal(t, "first", seen[0], engine.Attempt{Policy: "p", Operation: "op", Number: 1})
	equal(t, "second", seen[1].Number, 2)
	if _, ok := engine.AttemptFrom(t.Context()); ok {
		t.Error("found in a context of nobody's attempt")
	}
	_ = engine.Go(t.Context(), p, func(ctx context.Context) (int, error) {
		a, ok := engine.AttemptFrom(ctx)
		equal(t, "found under Go", ok, true)
		equal(t, "number", a.Number, 1)
		return 0, nil
	}).Wait()
}

func TestDoneMayBeAskedForByManyAndLate(t *testing.T) {
	p := policy(t, engine.Spec{MaxAttempts: 1})
	for _, fail := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{}, 8)
		_ = under(ctx, p, func(ctx context.Context) error {
			for range cap(done) {
				go func() {
					<-ctx.Done()
					done <- struct{}{}
				}()
			}
			if fail {
				return failure(engine.Transient)
			}
			return nil
		})
		cancel()
		for range cap(done) {
			<-done
		}
	}
}

func TestUnderTheCallersContextNothingEndsTheOperationButTheCaller(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{MaxAttempts: 2, Deadline: time.Minute, Strategy: engine.Immediate{}})
	ctx := t.Context()
	attempts := 0
	o := w.runUnder(ctx, p, func(got context.Context) (int, error) {
		attempts++
		if got != ctx {
			t.Errorf("attempt %d: the context is not the caller's", attempts)
		}
		if _, ok := engine.AttemptFrom(got); ok {
			t.Errorf("attempt %d is found in the caller's context", attempts)
		}
		w.Advance(40 * time.Second)
		return 0, failure(engine.Transient)
	}, engine.WithCallerContext())
	equal(t, "attempts", attempts, 2)
	equal(t, "reason", o.Reason, engine.MaxAttemptsGlobal)
	equal(t, "elapsed", o.Elapsed, 80*time.Second)
}

func TestAnAttemptTimeoutHasItsContextAllTheSame(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{AttemptTimeout: time.Second})
	w.run(p, func(ctx context.Context) (int, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no deadline")
		}
		return 0, nil
	}, engine.WithCallerContext())
}

func TestAnOutcomeTellsHowLongASuccessTook(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{})
	o := engine.Execute(t.Context(), p, func(context.Context) (int, error) {
		w.Advance(3 * time.Second)
		return 1, nil
	}, engine.WithClock(w.Clock)) // and nobody who listens
	equal(t, "elapsed", o.Elapsed, 3*time.Second)
}
