package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/virtual"
	"github.com/redress-policy/redress/interp"
)

// runScenario runs the calls of a scenario one after the other, on breakers and
// budgets of its own.
func runScenario(built []*engine.Policy, policy *interp.Policy, s *dsl.Scenario, covered *coverage) Result {
	w := &world{
		policy:  policy,
		target:  target(built, policy.Name()),
		clock:   virtual.NewClock(virtual.Epoch),
		random:  rand.New(rand.NewPCG(uint64(s.Seed.V), 0x9E3779B97F4A7C15)),
		covered: covered,
	}
	result := Result{Policy: policy.Name(), Name: s.Name.V, Range: s.Range, Scenario: true}
	for i := range s.Calls {
		call := &s.Calls[i]
		times := 1
		if call.Repeat.Set {
			times = call.Repeat.V
		}
		for n := range times {
			c := checks{prefix: fmt.Sprintf("calls[%d]: ", i)}
			if times > 1 {
				c.prefix = fmt.Sprintf("calls[%d] (%d of %d): ", i, n+1, times)
			}
			trace := w.call(call, n, &c)
			if len(c.failures) > 0 && len(result.Failures) == 0 {
				result.Trace = trace // of the first call that went wrong; later ones follow from it
			}
			result.Failures = append(result.Failures, c.failures...)
		}
	}
	return result
}

func target(policies []*engine.Policy, name string) *engine.Policy {
	for _, p := range policies {
		if p.Name() == name {
			return p
		}
	}
	panic("scenario: the program has lost policy " + name)
}

// A world is where the calls of one scenario happen.
type world struct {
	policy  *interp.Policy
	target  *engine.Policy
	clock   *virtual.Clock
	random  *rand.Rand
	covered *coverage
}

// call runs one call and checks it. n counts repetitions: `at` is the start of the
// first, the others follow at once.
func (w *world) call(call *dsl.ScenarioCall, n int, c *checks) (trace string) {
	if call.At.Set && n == 0 {
		start := virtual.Epoch.Add(call.At.V)
		if now := w.clock.Now(); start.Before(now) {
			c.fail(call.At.Range, "at", call.At.V.String(), fmt.Sprintf("the call before ended at %v", now.Sub(virtual.Epoch)))
		}
		w.clock.AdvanceTo(start)
	}
	r := &run{world: w, call: call, start: w.clock.Now()}
	outcome := r.execute()
	for _, e := range r.events {
		w.covered.see(w.policy, e.Rule, e.Selector)
	}
	r.check(outcome, c)
	if len(c.failures) == 0 {
		return ""
	}
	return r.trace(outcome)
}

// A run is one call while it runs.
type run struct {
	*world
	call     *dsl.ScenarioCall
	start    time.Time
	attempts int
	slept    time.Duration
	events   []engine.Event
	last     *engine.Failure // record of the last attempt that failed
	broken   dsl.Diagnostics // records that could not be built
	panicked bool
}

// Now and Sleep make the run the engine's clock, which also adds up the sleeps.
func (r *run) Now() time.Time { return r.clock.Now() }

func (r *run) Sleep(ctx context.Context, d time.Duration) error {
	before := r.clock.Now()
	err := r.clock.Sleep(ctx, d)
	r.slept += r.clock.Now().Sub(before)
	return err
}

func (r *run) execute() (outcome engine.Outcome[*virtual.Record]) {
	ctx := virtual.NewCaller(r.clock, r.moment(r.call.Deadline), r.moment(r.call.CancelAt))
	defer ctx.Release()
	defer func() {
		if r.panicked {
			recover()
		}
	}()
	return engine.Execute(ctx, r.target, r.operation, r.options()...)
}

func (r *run) moment(offset dsl.Value[time.Duration]) time.Time {
	if !offset.Set {
		return time.Time{}
	}
	return r.start.Add(offset.V)
}

func (r *run) options() []engine.Option {
	opts := []engine.Option{
		engine.WithClock(r),
		engine.WithRand(r.random.Float64),
		engine.WithTimeline(),
		engine.WithObserver(engine.ObserverFunc(func(_ context.Context, e engine.Event) { r.events = append(r.events, e) })),
	}
	if r.call.Operation.Set {
		opts = append(opts, engine.WithOperation(r.call.Operation.V))
	}
	if r.call.Idempotent.Set && !r.call.Idempotent.V {
		opts = append(opts, engine.NotIdempotent())
	}
	if r.call.Replayable.Set && !r.call.Replayable.V {
		opts = append(opts, engine.NotReplayable())
	}
	if abort := r.moment(r.call.AbortAt); !abort.IsZero() {
		opts = append(opts, engine.WithAbort(func(context.Context) bool { return !r.clock.Now().Before(abort) }))
	}
	if r.call.Defer.V {
		opts = append(opts, engine.WithSleepHandler(func(context.Context, engine.SleepInfo) engine.SleepAction { return engine.DeferRetry }))
	}
	return opts
}

// operation plays the next outcome; the last one repeats.
func (r *run) operation(ctx context.Context) (*virtual.Record, error) {
	r.attempts++
	next := &r.call.Outcomes[min(r.attempts, len(r.call.Outcomes))-1]
	if next.After.Set {
		if err := r.clock.Sleep(ctx, next.After.V); err != nil {
			r.last = engine.FailureOf(err, nil)
			return nil, err
		}
	}
	switch {
	case next.Word.V == "panic":
		r.panicked = true
		panic("panic of the scenario")
	case next.Word.V == "abort":
		return nil, engine.Abort(errors.New("abort of the scenario"))
	case next.Err.Set:
		r.last = r.record(&next.Err)
		r.note(engine.CauseError)
		return nil, (*virtual.Record)(r.last)
	case next.Result.Set:
		r.last = r.record(&next.Result)
		r.note(engine.CauseResult)
		return (*virtual.Record)(r.last), nil
	}
	return nil, nil
}

// note remembers what the parts of conditions come to on the last record.
func (r *run) note(cause engine.Cause) {
	elapsed := r.clock.Now().Sub(r.start)
	r.covered.note(r.policy, &engine.Input{
		Failure: r.last, Operation: r.call.Operation.V, Attempt: r.attempts, Elapsed: elapsed, Remaining: r.target.Deadline() - elapsed,
		Idempotent: !r.call.Idempotent.Set || r.call.Idempotent.V,
	}, cause)
}

func (r *run) record(written *dsl.Record) *engine.Failure {
	record, broken := r.policy.Failure(written)
	r.broken = append(r.broken, broken...)
	return record
}

// check compares what happened with what the call expects.
func (r *run) check(o engine.Outcome[*virtual.Record], c *checks) {
	for _, d := range r.broken {
		c.fail(d.Range, "record", "a record of the policy's types", d.Message)
	}
	want := &r.call.Expect
	check(c, "ok", want.OK, o.OK)
	check(c, "attempts", want.Attempts, r.attempts)
	check(c, "stop_reason", want.StopReason, o.Reason.String())
	check(c, "class", want.Class, o.Class.String())
	checkRule(c, want.Rule, o.Rule, o.Selector)
	check(c, "cause", want.Cause, o.Cause.String())
	checkBounds(c, "slept", want.Slept, r.slept)
	checkBounds(c, "elapsed", want.Elapsed, r.clock.Now().Sub(r.start))
	checkBounds(c, "next_delay", want.NextDelay, o.NextDelay)
	if b := r.target.Breaker(); want.Breaker.Set {
		state := "none"
		if b != nil {
			state = b.State().String()
		}
		check(c, "breaker", want.Breaker, state)
	}
	seen, ruleErrors := r.visible()
	check(c, "rule_errors", want.RuleErrors, ruleErrors)
	if want.Events.Set {
		if w, got := list(names(want.Events.V)), list(seen); w != got {
			c.fail(want.Events.Range, "events", w, got)
		}
	}
}

// visible returns the names of the call's events, attempts left out, and how many
// rules erred.
func (r *run) visible() (seen []string, ruleErrors int) {
	for _, e := range r.events {
		switch e.Kind {
		case engine.AttemptStart, engine.AttemptEnd:
			continue
		case engine.EventRuleError:
			ruleErrors++
		}
		seen = append(seen, e.Kind.String())
	}
	return seen, ruleErrors
}

func checkBounds(c *checks, what string, want dsl.Bounds, got time.Duration) {
	switch {
	case !want.Set:
	case want.Min.Set && want.Max.Set && want.Min.V == want.Max.V:
		if got != want.Min.V {
			c.fail(want.Range, what, want.Min.V.String(), got.String())
		}
	case want.Min.Set && got < want.Min.V:
		c.fail(want.Range, what, "at least "+want.Min.V.String(), got.String())
	case want.Max.Set && got > want.Max.V:
		c.fail(want.Range, what, "at most "+want.Max.V.String(), got.String())
	}
}

// trace tells the story of a call, and how its last failure was classified.
func (r *run) trace(o engine.Outcome[*virtual.Record]) string {
	var b strings.Builder
	b.WriteString(o.Explain())
	if r.last != nil && r.attempts > 0 {
		b.WriteString("\nhow the last failure was classified:\n")
		in := &engine.Input{Failure: r.last, Operation: r.call.Operation.V, Attempt: r.attempts, Elapsed: r.clock.Now().Sub(r.start), Idempotent: !r.call.Idempotent.Set || r.call.Idempotent.V}
		in.Remaining = r.target.Deadline() - in.Elapsed
		r.policy.Explain(in, max(o.Cause, engine.CauseError)).Print(&b)
	}
	return b.String()
}
