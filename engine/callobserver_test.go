package engine_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

type callKey struct{}

// tracer is a CallObserver that notes what it is told, by the number of the call.
type tracer struct {
	name string

	mu    sync.Mutex
	calls int      // guarded by mu
	told  []string // guarded by mu
}

func (r *tracer) note(ctx context.Context, text string) {
	path, _ := ctx.Value(callKey{}).(string)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, path+" "+text)
}

func (r *tracer) StartCall(ctx context.Context, e engine.Event) context.Context {
	r.mu.Lock()
	r.calls++
	r.mu.Unlock()
	outer, _ := ctx.Value(callKey{}).(string)
	ctx = context.WithValue(ctx, callKey{}, outer+"/"+r.name)
	r.note(ctx, "start "+e.Policy+" "+e.Operation)
	return ctx
}

func (r *tracer) Observe(ctx context.Context, e engine.Event) { r.note(ctx, e.Kind.String()) }
func (r *tracer) EndCall(ctx context.Context)                 { r.note(ctx, "end") }

func TestACallObserverIsToldOfTheCallsStartAndEndAndItsContextIsTheOperations(t *testing.T) {
	w, r := newWorld(), &tracer{name: "a"}
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, MaxAttempts: 2})
	var seen []string
	script := w.script(fails(engine.Transient), fine)
	engine.Execute(context.Background(), p, func(ctx context.Context) (int, error) {
		path, _ := ctx.Value(callKey{}).(string)
		seen = append(seen, path)
		return script(ctx)
	}, w.options(engine.WithObserver(r), engine.WithOperation("op"))...)
	equal(t, "contexts of the operation", strings.Join(seen, " "), "/a /a")
	equal(t, "told", strings.Join(r.told, "; "), "/a start p op; /a attempt_start; /a retry; /a attempt_end; /a attempt_start; /a attempt_end; /a success; /a end")
}

func TestTheEndIsToldAfterTheBreakersEvents(t *testing.T) {
	r := &tracer{name: "a"}
	b := breaker(t, engine.BreakerSpec{FailureThreshold: 1})
	p := policy(t, engine.Spec{MaxAttempts: 1, Breaker: b, Observer: r})
	w := newWorld()
	op := w.script(fails(engine.Transient))
	for range 2 {
		engine.Execute(context.Background(), p, op, engine.WithClock(w.Clock))
	}
	equal(t, "told", strings.Join(r.told, "; "), "/a start p ; /a attempt_start; /a attempt_end; /a max_attempts_exceeded; /a circuit_opened; /a end; /a start p ; /a circuit_rejected; /a end")
}

func TestObserversThatAreJoinedEachGetTheirOwnTurn(t *testing.T) {
	a, b := &tracer{name: "a"}, &tracer{name: "b"}
	p := policy(t, engine.Spec{Observer: engine.Observers(a, engine.ObserverFunc(func(context.Context, engine.Event) {}), engine.Observers(b))})
	engine.Execute(context.Background(), p, func(context.Context) (int, error) { return 1, nil })
	equal(t, "a was told", strings.Join(a.told, "; "), "/a start p ; /a/b attempt_start; /a/b attempt_end; /a/b success; /a/b end")
	equal(t, "b was told", strings.Join(b.told, "; "), "/a/b start p ; /a/b attempt_start; /a/b attempt_end; /a/b success; /a/b end")
}

func TestTheEndIsToldWhenTheOperationPanics(t *testing.T) {
	r := &tracer{name: "a"}
	p := policy(t, engine.Spec{Observer: r})
	func() {
		defer func() { _ = recover() }()
		_ = engine.Do(context.Background(), p, func(context.Context) error { panic("boom") })
	}()
	equal(t, "told", strings.Join(r.told, "; "), "/a start p ; /a attempt_start; /a attempt_end; /a end")
}

// A tripwire panics at the start and at the end, and gives no context.
type tripwire struct{}

func (tripwire) StartCall(context.Context, engine.Event) context.Context { panic("start") }
func (tripwire) Observe(context.Context, engine.Event)                   {}
func (tripwire) EndCall(context.Context)                                 { panic("end") }

func TestACallObserverThatPanicsChangesNothing(t *testing.T) {
	r := &tracer{name: "a"}
	p := policy(t, engine.Spec{Observer: engine.Observers(tripwire{}, r)})
	v, err := engine.Call(context.Background(), p, func(context.Context) (int, error) { return 7, nil })
	equal(t, "value", v, 7)
	equal(t, "error", err, nil)
	equal(t, "panics counted", p.Stats().ObserverPanics, 2)
	equal(t, "the other was told of", len(r.told), 5)
}

func TestAnAttemptsEndTellsHowLongItTook(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Minute}, MaxAttempts: 2, Deadline: time.Hour})
	w.run(p, w.script(reply{err: failure(engine.Transient), after: 3 * time.Second}, reply{value: 1, after: 2 * time.Second}))
	ends := w.of(engine.AttemptEnd)
	equal(t, "the first took", ends[0].Took, 3*time.Second)
	equal(t, "the second took", ends[1].Took, 2*time.Second)
}

func TestTimesOfABreakerAddUp(t *testing.T) {
	g := newGuarded(t, engine.BreakerSpec{FailureThreshold: 1, RecoveryTimeout: 10 * time.Second})
	start := g.Now()
	want := func(at, open, half time.Duration) {
		t.Helper()
		gotOpen, gotHalf := g.b.Times(start.Add(at))
		equal(t, "open at "+at.String(), gotOpen, open)
		equal(t, "half-open at "+at.String(), gotHalf, half)
	}
	want(time.Hour, 0, 0) // never used
	g.at(5 * time.Second)
	g.call(engine.Transient)
	want(5*time.Second, 0, 0)
	want(8*time.Second, 3*time.Second, 0)
	want(25*time.Second, 20*time.Second, 0) // no call has come
	g.at(30 * time.Second)
	g.run(g.p, g.script(reply{value: 1, after: 2 * time.Second}))
	g.want(engine.Closed)
	want(32*time.Second, 25*time.Second, 2*time.Second)
	want(time.Hour, 25*time.Second, 2*time.Second)
	g.at(40 * time.Second)
	g.call(engine.Transient)
	want(41*time.Second, 26*time.Second, 2*time.Second)
	want(0, 25*time.Second, 2*time.Second) // asked with an earlier time, nothing is taken back
}
