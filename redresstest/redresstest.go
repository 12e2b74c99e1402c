// Package redresstest is the kit for testing failure policies and the code that
// uses them: PolicyTest documents under go test, scripted dependencies, virtual
// time, recorded events, fixed seeds.
package redresstest

import (
	"context"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/scenario"
	"github.com/redress-policy/redress/internal/virtual"
	"github.com/redress-policy/redress/interp"
)

// Run loads fsys as one set and runs its PolicyTest documents, each case and
// scenario as a subtest named POLICY/NAME. Mistakes in the documents fail t, and so
// does a set without tests. Strategies that policies name by `func` are given by
// name; scenarios run them.
func Run(t *testing.T, fsys fs.FS, functions ...Function) {
	t.Helper()
	opts := registered(t, functions)
	loaded, err := load.FS(fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Diagnostics.Err(); err != nil {
		t.Fatal(err)
	}
	report := scenario.Run(loaded.Program, loaded.Set, scenario.Options{})
	if len(report.Results) == 0 {
		t.Fatal("the set holds no PolicyTest case or scenario")
	}
	for _, result := range report.Results {
		t.Run(result.Policy+"/"+result.Name, func(t *testing.T) {
			if len(result.Failures) > 0 {
				t.Error("\n" + result.String())
			}
		})
	}
}

// A Function is a strategy registered by name.
type Function struct {
	Name     string
	Strategy engine.Strategy
}

func registered(t testing.TB, functions []Function) interp.Options {
	t.Helper()
	opts := interp.Options{Strategies: map[string]engine.Strategy{}}
	for _, f := range functions {
		opts.Strategies[f.Name] = f.Strategy
	}
	if err := load.CheckOptions(opts); err != nil {
		t.Fatal(err)
	}
	return opts
}

// Clock is virtual time: pass it to a call with redress.WithClock, and sleeps take
// none. It is safe for use by many goroutines.
type Clock = virtual.Clock

// NewClock returns a clock that shows midnight, 1 January 2025 UTC.
func NewClock() *Clock { return virtual.NewClock(virtual.Epoch) }

// Caller returns a context that is cancelled at a moment of the clock, or ends at
// a deadline, both from now; zero means never. Pass it as the ctx of a call.
func Caller(t testing.TB, clock *Clock, deadline, cancelAt time.Duration) context.Context {
	moment := func(d time.Duration) time.Time {
		if d == 0 {
			return time.Time{}
		}
		return clock.Now().Add(d)
	}
	caller := virtual.NewCaller(clock, moment(deadline), moment(cancelAt))
	t.Cleanup(caller.Release)
	return caller
}

// Seeded returns a source of jitter that gives the same numbers for the same seed,
// for redress.WithRand. It is safe for use by many goroutines.
func Seeded(seed uint64) func() float64 {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, seed))
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64()
	}
}

// A Script is a dependency that answers from a list; the last answer repeats. It is
// safe for use by many goroutines, which share the list.
type Script[T any] struct {
	clock   *Clock
	answers []Answer[T]

	mu    sync.Mutex
	calls int
}

// An Answer is one answer of a Script: it takes After on the script's clock, then
// gives Value and Err. If the caller's context ends first, its error is given instead.
type Answer[T any] struct {
	Value T
	Err   error
	After time.Duration
}

// NewScript returns a dependency that answers in order. A nil clock is allowed if
// no answer takes time. It panics without answers.
func NewScript[T any](clock *Clock, answers ...Answer[T]) *Script[T] {
	if len(answers) == 0 {
		panic("redresstest: a script needs an answer")
	}
	return &Script[T]{clock: clock, answers: slices.Clone(answers)}
}

// Call gives the next answer; pass it as the operation of a call.
func (s *Script[T]) Call(ctx context.Context) (T, error) {
	s.mu.Lock()
	answer := s.answers[min(s.calls, len(s.answers)-1)]
	s.calls++
	s.mu.Unlock()
	if answer.After > 0 {
		if err := s.clock.Sleep(ctx, answer.After); err != nil {
			var zero T
			return zero, err
		}
	}
	return answer.Value, answer.Err
}

// Calls tells how often Call was called.
func (s *Script[T]) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// A Recorder is an observer that keeps every event. The zero Recorder is ready to
// use, by many goroutines.
type Recorder struct {
	mu     sync.Mutex
	events []engine.Event
}

// Observe implements redress.Observer.
func (r *Recorder) Observe(_ context.Context, e engine.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// Events returns a copy of the events so far, in the order in which they were told.
func (r *Recorder) Events() []engine.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Names returns the names of the events so far, attempt_start and attempt_end left
// out: what `events` means in a scenario.
func (r *Recorder) Names() []string {
	var names []string
	for _, e := range r.Events() {
		if e.Kind != engine.AttemptStart && e.Kind != engine.AttemptEnd {
			names = append(names, e.Kind.String())
		}
	}
	return names
}

// Reset forgets the events.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// A Record is an error, or a result, that is nothing but what rules see of it, for
// tests that need a failure of a certain status, code or kind. Use it by pointer.
type Record = virtual.Record

// Status returns an error whose status is all that is known of it.
func Status(code int) error { return &Record{Status: code, Phase: engine.Sent} }

// Policy parses text, which holds one policy and what it refers to, and returns the
// policy. Mistakes in the text fail t.
func Policy(t testing.TB, text string, functions ...Function) *engine.Policy {
	t.Helper()
	opts := registered(t, functions)
	loaded := load.Sources([]*dsl.Source{dsl.NewSource("policy.yaml", []byte(text))}, opts)
	if err := loaded.Diagnostics.Err(); err != nil {
		t.Fatal(err)
	}
	policies := loaded.Program.Build()
	if len(policies) != 1 {
		t.Fatalf("the text holds %d policies, want one", len(policies))
	}
	return policies[0]
}

// OneAttempt returns a policy that never retries: a stand-in where retries are not
// what is tested.
func OneAttempt(name string) *engine.Policy { return stub(engine.Spec{Name: name, MaxAttempts: 1}) }

// Immediate returns a policy that retries every failure at once, up to so many
// attempts.
func Immediate(name string, attempts int) *engine.Policy {
	return stub(engine.Spec{Name: name, MaxAttempts: attempts, Strategy: engine.Immediate{}, DefaultClass: engine.Transient})
}

// Refusing returns a policy whose circuit breaker is open and stays so: every call
// ends with CIRCUIT_OPEN before its first attempt.
func Refusing(name string) *engine.Policy {
	breaker, err := engine.NewBreaker(engine.BreakerSpec{
		Name: name, FailureThreshold: 1, RecoveryTimeout: math.MaxInt64, TripOn: []engine.Class{engine.Transient},
	})
	if err != nil {
		panic(err)
	}
	p := stub(engine.Spec{Name: name, MaxAttempts: 1, DefaultClass: engine.Transient, Breaker: breaker})
	// The failure that opens it happened at the beginning of virtual time.
	_ = engine.Do(context.Background(), p, func(context.Context) error { return Status(503) }, engine.WithClock(NewClock()))
	return p
}

func stub(spec engine.Spec) *engine.Policy {
	p, err := engine.New(spec)
	if err != nil {
		panic(err)
	}
	return p
}
