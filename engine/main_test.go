package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/virtual"
)

// TestMain fails the package if a test leaves a goroutine behind.
func TestMain(m *testing.M) { leak.Main(m) }

// failing is an error that is nothing but its record. Its code is the class that
// byCode gives it.
type failing struct{ record engine.Failure }

func (f *failing) Error() string                  { return "failing with " + f.record.Code }
func (f *failing) FailureRecord() *engine.Failure { return &f.record }

func failure(class engine.Class) *failing {
	return &failing{engine.Failure{Code: class.String(), Phase: engine.Sent}}
}

func notSent(class engine.Class) *failing {
	return &failing{engine.Failure{Code: class.String(), Phase: engine.NotSent}}
}

func hinted(class engine.Class, after time.Duration) *failing {
	return &failing{engine.Failure{Code: class.String(), RetryAfter: after, HasRetryAfter: true}}
}

// byCode is a classifier with one rule: the class that the record's code names.
func byCode(in *engine.Input) engine.Verdict {
	class, ok := engine.ParseClass(in.Failure.Code)
	if !ok {
		return engine.Verdict{}
	}
	return engine.Verdict{Class: class, Rule: "by-code", RetryAfter: in.Failure.RetryAfter, HasRetryAfter: in.Failure.HasRetryAfter}
}

// policy makes a policy of the spec, by name "p" and by rule byCode unless it says otherwise.
func policy(t testing.TB, spec engine.Spec) *engine.Policy {
	t.Helper()
	if spec.Name == "" {
		spec.Name = "p"
	}
	if spec.Classify == nil {
		spec.Classify = byCode
	}
	p, err := engine.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func breaker(t testing.TB, spec engine.BreakerSpec) *engine.Breaker {
	t.Helper()
	b, err := engine.NewBreaker(spec)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func budget(t testing.TB, spec engine.BudgetSpec) *engine.Budget {
	t.Helper()
	b, err := engine.NewBudget(spec)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A reply is what a scripted operation does in one attempt.
type reply struct {
	value int
	err   error
	after time.Duration // it takes this long, or until its context ends
}

func fails(class engine.Class) reply { return reply{err: failure(class)} }

var fine = reply{value: 1}

// A world is where a test's calls happen: virtual time, a fixed u, recorded events.
type world struct {
	*virtual.Clock
	u float64

	mu     sync.Mutex
	events []engine.Event
}

func newWorld() *world { return &world{Clock: virtual.NewClock(virtual.Epoch)} }

// options has a call happen in this world.
func (w *world) options(more ...engine.Option) []engine.Option {
	return append([]engine.Option{
		engine.WithClock(w.Clock),
		engine.WithRand(func() float64 { return w.u }),
		engine.WithObserver(w),
	}, more...)
}

// Observe implements engine.Observer.
func (w *world) Observe(_ context.Context, e engine.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// script returns an operation that replies in order; the last reply repeats.
func (w *world) script(replies ...reply) func(context.Context) (int, error) {
	n := 0
	return func(ctx context.Context) (int, error) {
		r := replies[min(n, len(replies)-1)]
		n++
		if r.after > 0 {
			if err := w.Sleep(ctx, r.after); err != nil {
				return 0, err
			}
		}
		return r.value, r.err
	}
}

// run executes one call in this world and forgets the events before it.
func (w *world) run(p *engine.Policy, op func(context.Context) (int, error), opts ...engine.Option) engine.Outcome[int] {
	return w.runUnder(context.Background(), p, op, opts...)
}

func (w *world) runUnder(ctx context.Context, p *engine.Policy, op func(context.Context) (int, error), opts ...engine.Option) engine.Outcome[int] {
	w.events = nil
	return engine.Execute(ctx, p, op, w.options(opts...)...)
}

// caller is a context that ends at those offsets from now; zero means never.
func (w *world) caller(t testing.TB, deadline, cancelAt time.Duration) context.Context {
	at := func(d time.Duration) time.Time {
		if d == 0 {
			return time.Time{}
		}
		return w.Now().Add(d)
	}
	c := virtual.NewCaller(w.Clock, at(deadline), at(cancelAt))
	t.Cleanup(c.Release)
	return c
}

// names of the events so far; attempts are left out.
func (w *world) names() string {
	var names []string
	for _, e := range w.events {
		if e.Kind != engine.AttemptStart && e.Kind != engine.AttemptEnd {
			names = append(names, e.Kind.String())
		}
	}
	return strings.Join(names, " ")
}

// of returns the events of a kind.
func (w *world) of(kind engine.EventKind) []engine.Event {
	return slices.DeleteFunc(slices.Clone(w.events), func(e engine.Event) bool { return e.Kind != kind })
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

var errPlain = errors.New("plain")
