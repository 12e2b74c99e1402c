package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redress-policy/redress/engine"
)

// never is an abort function that changes nothing, but has a call made in full.
func never(context.Context) bool { return false }

// TestACallMadeTheShortWayIsTheCallThatItWouldBeInFull makes random calls of random
// policies twice, in virtual time: as they are, and with an abort function that says no.
// What can be seen of them must be the same: errors, values, when attempts are made and
// under which deadline, what becomes of breaker and budget.
func TestACallMadeTheShortWayIsTheCallThatItWouldBeInFull(t *testing.T) {
	ends := map[string]int{}
	for seed := range uint64(400) {
		var seen [2]string
		for i, opts := range [][]engine.Option{nil, {engine.WithAbort(never)}} {
			synctest.Test(t, func(t *testing.T) { seen[i] = shortScript(t, seed, opts, ends) })
		}
		if seen[0] != seen[1] {
			t.Fatalf("seed %d, the short way:\n%s\nin full:\n%s", seed, seen[0], seen[1])
		}
	}
	for _, want := range []string{"nil", "panic", "exit", "CIRCUIT_OPEN", "MAX_ATTEMPTS_GLOBAL", "NON_RETRYABLE_CLASS", "DEADLINE_EXCEEDED", "CANCELED", "BUDGET_EXHAUSTED"} {
		if ends[want] == 0 {
			t.Errorf("no call ended with %s: %v", want, ends)
		}
	}
}

// shortScript makes the calls of a seed and tells what was seen.
func shortScript(t *testing.T, seed uint64, opts []engine.Option, ends map[string]int) string {
	r := rand.New(rand.NewPCG(seed, 5))
	var seen strings.Builder
	began := time.Now()
	note := func(format string, args ...any) {
		fmt.Fprintf(&seen, "%v ", time.Since(began))
		fmt.Fprintf(&seen, format+"\n", args...)
	}
	either := func() bool { return r.IntN(2) == 0 }
	spec := engine.Spec{
		Deadline: time.Duration(1+r.IntN(5)) * time.Second, MaxAttempts: 1 + r.IntN(3),
		Strategy: engine.Constant{Wait: time.Duration(r.IntN(3)) * time.Second},
		Classify: byCode,
	}
	if either() {
		spec.AttemptTimeout = time.Duration(1+r.IntN(3000)) * time.Millisecond
	}
	if either() {
		spec.Breaker = breaker(t, engine.BreakerSpec{FailureThreshold: 1 + r.IntN(3), RecoveryTimeout: 5 * time.Second})
	}
	if either() {
		spec.Budget = budget(t, engine.BudgetSpec{MaxRetries: r.IntN(4)})
	}
	if either() {
		spec.ClassifyResult = func(in *engine.Input) engine.Verdict {
			if in.Failure.Status >= 500 {
				return engine.Verdict{Class: engine.Transient, Rule: "result"}
			}
			return engine.Verdict{}
		}
		spec.SilentResult = func(status int) bool { return status > 0 && status < 500 }
	}
	if either() {
		spec.Observer = engine.SlogObserver(slog.New(slog.NewTextHandler(logLines{note}, &slog.HandlerOptions{ReplaceAttr: timeless})))
	}
	p := policy(t, spec)
	for _, o := range []engine.Option{engine.WithCallerContext(), engine.WithOperation("op"), engine.NotIdempotent(), engine.NotReplayable()} {
		if either() {
			p = p.Bind(o)
		}
	}
	for range 12 {
		ctx, cancel := context.WithCancel(context.Background())
		if r.IntN(4) == 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(4))*time.Second)
		}
		if r.IntN(8) == 0 {
			cancel()
		}
		if r.IntN(8) == 0 {
			ctx = overdue{ctx, time.Now().Add(-time.Duration(r.IntN(2)))}
		}
		op := func(ctx context.Context) (page, error) {
			deadline, ok := ctx.Deadline()
			attempt, _ := engine.AttemptFrom(ctx)
			note("attempt %d until %v, %v", attempt.Number, ok, deadline.Sub(began))
			if r.IntN(3) == 0 {
				select {
				case <-time.After(time.Duration(r.IntN(3000))*time.Millisecond + 7*time.Microsecond):
				case <-ctx.Done():
					return page{}, ctx.Err()
				}
			}
			switch r.IntN(16) {
			case 0:
				panic("it broke")
			case 1:
				runtime.Goexit()
			case 2:
				cancel()
				return page{}, errPlain
			case 3, 4, 5:
				return page{100 * r.IntN(6)}, nil
			case 6, 7, 8, 9, 10:
				return page{500}, failure(engine.ServerError)
			case 11:
				return page{}, notSent(engine.Transient)
			case 12:
				return page{}, failure(engine.Permanent)
			}
			return page{200}, nil
		}
		end := "exit"
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() {
				if v := recover(); v != nil {
					end = "panic"
				}
			}()
			v, err := engine.Call(ctx, p, op, opts...)
			end = "nil"
			var all engine.Error
			if e, ok := errors.AsType[*engine.Error](err); ok {
				end, all = e.Reason.String(), *e
			}
			note("%v, %+v", v, all)
		}()
		<-done
		cancel()
		note("%s", end)
		ends[end]++
		if b := spec.Breaker; b != nil {
			open, half := b.Times(time.Now())
			note("%v %v %v %v", b.State(), open, half, b.RetryIn(time.Now()))
		}
		if b := spec.Budget; b != nil {
			note("%d retries left", b.Remaining(time.Now()))
		}
		switch b := spec.Breaker; {
		case b != nil && either():
			time.Sleep(b.RetryIn(time.Now()) - time.Duration(r.IntN(2)))
		case either():
			time.Sleep(time.Duration(r.IntN(6000)) * time.Millisecond)
		}
	}
	note("%+v", p.Stats())
	return seen.String()
}

type page struct{ StatusCode int }

// overdue is a context that is past its deadline and has not noticed.
type overdue struct {
	context.Context
	deadline time.Time
}

func (c overdue) Deadline() (time.Time, bool) { return c.deadline, true }

// logLines notes lines of a log.
type logLines struct{ note func(string, ...any) }

func (l logLines) Write(line []byte) (int, error) {
	l.note("%s", line)
	return len(line), nil
}

func timeless(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// kinds wants events of some kinds, and fails if it is told of others.
type kinds struct {
	t    *testing.T
	want map[engine.EventKind]bool
	got  map[engine.EventKind]int
}

func (k kinds) Wants(_ context.Context, kinds engine.EventSet) bool {
	return slices.ContainsFunc(engine.EventKinds(), func(kind engine.EventKind) bool { return k.want[kind] && kinds.Has(kind) })
}

func (k kinds) Observe(_ context.Context, e engine.Event) {
	if !k.want[e.Kind] {
		k.t.Errorf("it is told of %v", e.Kind)
	}
	k.got[e.Kind]++
}

func TestASelectiveObserverIsToldOfAllThatItWantsAndOfNothingElse(t *testing.T) {
	for _, want := range engine.EventKinds() {
		k := kinds{t, map[engine.EventKind]bool{want: true}, map[engine.EventKind]int{}}
		all := map[engine.EventKind]int{}
		counted := engine.ObserverFunc(func(_ context.Context, e engine.Event) { all[e.Kind]++ })
		for _, o := range []engine.Observer{k, engine.Observers(k), engine.Observers(counted, k)} {
			b := breaker(t, engine.BreakerSpec{FailureThreshold: 2, RecoveryTimeout: time.Hour})
			p := policy(t, engine.Spec{Strategy: engine.Immediate{}, MaxAttempts: 2, Breaker: b, Observer: o})
			for _, replies := range [][]reply{{fine}, {fails(engine.ServerError), fine}, {fails(engine.Permanent)}, {fails(engine.ServerError)}, {fails(engine.ServerError)}, {fine}} {
				_, _ = engine.Call(t.Context(), p, newWorld().script(replies...))
			}
		}
		if k.got[want] != 3*all[want] {
			t.Errorf("%v: told %d times of %d", want, k.got[want], 3*all[want])
		}
	}
}

// brokenWants cannot say what it wants.
type brokenWants struct{ engine.ObserverFunc }

func (brokenWants) Wants(context.Context, engine.EventSet) bool { panic("no") }

func TestAnObserverThatCannotSayWhatItWantsIsToldEverything(t *testing.T) {
	n := 0
	o := brokenWants{func(context.Context, engine.Event) { n++ }}
	if _, err := engine.Call(t.Context(), policy(t, engine.Spec{Observer: o}), newWorld().script(fine)); err != nil || n != 3 {
		t.Errorf("%d events, %v", n, err)
	}
}

func TestRefusedCallsOfDifferentOperationsHaveErrorsOfTheirOwn(t *testing.T) {
	p := policy(t, engine.Spec{MaxAttempts: 1, Revision: "r", Breaker: breaker(t, engine.BreakerSpec{FailureThreshold: 1, RecoveryTimeout: time.Hour})})
	_, _ = engine.Call(t.Context(), p, newWorld().script(fails(engine.ServerError)))
	for _, operation := range []string{"a", "b", "a", ""} {
		_, err := engine.Call(t.Context(), p, newWorld().script(fine), engine.WithOperation(operation))
		want := &engine.Error{Policy: "p", Operation: operation, Revision: "r", Reason: engine.CircuitOpen}
		if !reflect.DeepEqual(err, error(want)) {
			t.Errorf("%#v", err)
		}
	}
}

func TestALoggerWantsTheEventsOfItsLevelAndAbove(t *testing.T) {
	wants := func(least slog.Level, kind engine.EventKind) bool {
		o := engine.SlogObserver(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: least})))
		return o.(engine.SelectiveObserver).Wants(t.Context(), engine.EventsOf(kind))
	}
	for _, kind := range engine.EventKinds() {
		if !wants(slog.LevelDebug, kind) {
			t.Errorf("%v is never logged", kind)
		}
		if wants(slog.LevelError+1, kind) {
			t.Errorf("%v is logged above the level of errors", kind)
		}
	}
	for kind, level := range map[engine.EventKind]slog.Level{engine.EventSuccess: slog.LevelDebug, engine.EventRetry: slog.LevelInfo, engine.EventBudgetExhausted: slog.LevelWarn, engine.EventCircuitOpened: slog.LevelError} {
		if !wants(level, kind) || wants(level+1, kind) {
			t.Errorf("%v is not logged at %v", kind, level)
		}
	}
}

// TestAnOpenBreakerLetsItsProbeThroughAtTheMomentThatItIsDue holds although calls that it
// refuses long before do not look at the clock.
func TestAnOpenBreakerLetsItsProbeThroughAtTheMomentThatItIsDue(t *testing.T) {
	for _, recovery := range []time.Duration{time.Millisecond, 200 * time.Millisecond, 30 * time.Second, time.Hour} {
		for _, after := range []time.Duration{0, recovery / 4} { // when it is given half of the recovery time
			synctest.Test(t, func(t *testing.T) {
				spec := engine.BreakerSpec{FailureThreshold: 1, RecoveryTimeout: recovery}
				b := breaker(t, spec)
				p := policy(t, engine.Spec{MaxAttempts: 1, Classify: byCode, Breaker: b}).Bind(engine.WithCallerContext())
				fails := func(context.Context) error { return failure(engine.ServerError) }
				refused := func() bool {
					made := false
					engine.Do(t.Context(), p, func(context.Context) error { made = true; return nil })
					return !made
				}
				if err := engine.Do(t.Context(), p, fails); b.State() != engine.Open {
					t.Fatalf("the breaker is %v after %v", b.State(), err)
				}
				due := recovery
				if after > 0 {
					time.Sleep(after)
					due = recovery / 2
					spec.RecoveryTimeout = due
					if _, err := b.Reconfigure(spec); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(due - after - 1)
				if !refused() {
					t.Errorf("recovery %v, due after %v: a call was made before", recovery, due)
				}
				time.Sleep(time.Nanosecond)
				if refused() {
					t.Errorf("recovery %v, due after %v: no probe was let through", recovery, due)
				}
			})
		}
	}
}

// TestAnOpenBreakerLetsItsProbeThroughHoweverItsRecoveryTimeIsMoved opens a breaker from
// outside again and again, for less and for more time, or closes it.
func TestAnOpenBreakerLetsItsProbeThroughHoweverItsRecoveryTimeIsMoved(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 9))
			b := breaker(t, engine.BreakerSpec{})
			p := policy(t, engine.Spec{MaxAttempts: 1, Breaker: b}).Bind(engine.WithCallerContext())
			due := time.Now()
			for step := range 50 {
				switch r.IntN(4) {
				case 0:
					b.Close(time.Now())
					due = time.Now()
				case 1, 2:
					recovery := time.Duration(r.Int64N(int64(time.Millisecond) << r.IntN(20)))
					b.Open(time.Now(), recovery)
					due = time.Now().Add(recovery)
				}
				if r.IntN(3) == 0 {
					time.Sleep(time.Until(due) - time.Duration(r.IntN(2)))
				} else {
					time.Sleep(time.Duration(r.Int64N(int64(time.Millisecond) << r.IntN(20))))
				}
				made := false
				_ = engine.Do(t.Context(), p, func(context.Context) error { made = true; return nil })
				if want := !time.Now().Before(due); made != want {
					t.Fatalf("seed %d, step %d, %v before the probe is due: made is %v", seed, step, time.Until(due), made)
				}
			}
		})
	}
}

func TestAGoroutineThatNeverYieldsGetsItsProbe(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b := breaker(t, engine.BreakerSpec{})
	p := policy(t, engine.Spec{MaxAttempts: 1, Breaker: b}).Bind(engine.WithCallerContext())
	b.Open(time.Now(), 250*time.Millisecond)
	for began, made := time.Now(), false; !made; {
		_ = engine.Do(t.Context(), p, func(context.Context) error { made = true; return nil })
		if time.Since(began) > 10*time.Second {
			t.Fatal("no probe was let through")
		}
	}
}

func TestABreakerWhoseRecoveryTimeIsProlongedMakesNoFurtherTimer(t *testing.T) {
	b, recovery := breaker(t, engine.BreakerSpec{}), time.Hour
	prolong := func() {
		recovery += time.Minute
		b.Open(time.Now(), recovery)
	}
	prolong()
	equal(t, "allocations", testing.AllocsPerRun(100, prolong), 0)
}
