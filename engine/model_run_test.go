package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

var modelSeed = flag.Uint64("model.seed", 1, "seed of the first world of TestModel")

// modelCalls is how many calls TestModel makes: some seconds' worth, unless the
// environment asks for the long form.
func modelCalls(t *testing.T) int {
	text, set := os.LookupEnv("REDRESS_MODEL_CALLS")
	if !set {
		return modelCallsByDefault
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("REDRESS_MODEL_CALLS: %v", err)
	}
	return n
}

// TestModel runs random calls of random policies on random clocks through the engine
// and through the model, and compares every event, every sleep, every outcome and
// every breaker. A failure names the seed of its world: -model.seed=N begins with it.
func TestModel(t *testing.T) {
	var total tallyOfModel
	want := modelCalls(t)
	for seed := *modelSeed; total.calls < want; seed++ {
		w := randomWorld(seed)
		first, err := w.runEngine()
		if err == nil {
			err = w.runModel(first)
		}
		if err == nil && seed%16 == 0 {
			err = w.sameAgain(first)
		}
		if err != nil {
			t.Fatalf("world %d: %v", seed, err)
		}
		total.add(first)
	}
	t.Logf("%d calls in all, %d of them inside others; %d attempts, %d events, %d breaker transitions", total.calls, total.nested, total.attempts, total.events, total.transitions)
	for _, reason := range engine.StopReasons() {
		if total.reasons[reason] == 0 {
			t.Errorf("no call ended with %v", reason)
		}
		t.Logf("%-24v %d", reason, total.reasons[reason])
	}
}

type tallyOfModel struct {
	calls, nested, attempts, events, transitions int
	reasons                                      map[engine.StopReason]int
}

func (n *tallyOfModel) add(r *engineRun) {
	if n.reasons == nil {
		n.reasons = map[engine.StopReason]int{}
	}
	n.calls += r.calls
	n.nested += r.calls - len(r.outcomes)
	n.events += len(r.log)
	for _, s := range r.log {
		switch {
		case s.kind == engine.AttemptStart:
			n.attempts++
		case s.sequence > 0:
			n.transitions++
		case s.reason != 0 && s.kind != engine.AttemptEnd:
			n.reasons[s.reason]++
		}
	}
}

// A randomPlan is a world made from a seed: policies that may share breakers and
// budgets, and calls one after the other. The parts of the model in it carry state;
// fresh makes the world anew.
type randomPlan struct {
	seed     uint64
	policies []*modelPolicy
	breakers []*modelBreaker
	budgets  []*modelBudget
	calls    []*modelCall
	gaps     []int64 // before each call; may be negative
}

func randomWorld(seed uint64) *randomPlan {
	g := &generator{rand.New(rand.NewPCG(seed, 77))}
	plan := &randomPlan{seed: seed}
	for n := range g.IntN(3) {
		plan.breakers = append(plan.breakers, g.breaker(n+1))
	}
	for range g.IntN(3) {
		plan.budgets = append(plan.budgets, &modelBudget{maxRetries: g.IntN(6), window: g.duration(20e9)})
	}
	for n := range 1 + g.IntN(3) {
		plan.policies = append(plan.policies, g.policy(n+1, plan))
	}
	for range 4 + g.IntN(30) {
		plan.calls = append(plan.calls, g.call(plan, 3))
		gap := g.duration(10e9)
		if g.one(20) {
			gap = -gap
		}
		if g.one(10) {
			gap *= 20
		}
		plan.gaps = append(plan.gaps, gap)
	}
	return plan
}

type generator struct{ *rand.Rand }

// one is true once in n times.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

// duration is at least 1ns and mostly below limit, sometimes round.
func (g *generator) duration(limit int64) int64 {
	if g.one(3) {
		return (1 + g.Int64N(max(limit/1e9, 1))) * 1e9
	}
	return 1 + g.Int64N(limit)
}

// maybe is a duration, or -1.
func (g *generator) maybe(n int, limit int64) int64 {
	if g.one(n) {
		return g.Int64N(limit)
	}
	return -1
}

func (g *generator) class() engine.Class {
	if g.one(8) {
		return engine.Classes()[g.IntN(3)] // never retried
	}
	return engine.Classes()[3+g.IntN(5)]
}

func (g *generator) breaker(number int) *modelBreaker {
	b := &modelBreaker{
		number: number, threshold: 1 + g.IntN(4), window: g.duration(60e9), recovery: g.duration(30e9),
		trips: map[engine.Class]bool{}, classThresholds: map[engine.Class]int{},
	}
	b.probeTimeout = b.recovery
	if g.one(2) {
		b.probeTimeout = g.duration(20e9)
	}
	for range 1 + g.IntN(5) {
		b.trips[g.class()] = true
	}
	for range g.IntN(3) {
		class := g.class()
		b.trips[class], b.classThresholds[class] = true, 1+g.IntN(3)
	}
	return b
}

func (g *generator) policy(number int, plan *randomPlan) *modelPolicy {
	p := &modelPolicy{
		number: number, deadline: 60e9, maxAttempts: 6, maxUnknown: 2, defaultClass: engine.Unknown,
		caps: map[engine.Class]int{}, strategies: map[engine.Class]*modelStrategy{},
		resultRules: g.one(2),
	}
	if g.one(2) {
		p.deadline = g.duration(90e9)
	}
	if g.one(3) {
		p.attemptTimeout = g.duration(5e9)
	}
	if g.one(2) {
		p.maxAttempts = 1 + g.IntN(8)
	}
	if g.one(2) {
		p.maxUnknown = 1 + g.IntN(5)
	}
	if g.one(3) {
		p.defaultClass = g.class()
	}
	for range g.IntN(3) {
		p.caps[g.class()] = 1 + g.IntN(4)
	}
	for range g.IntN(3) {
		p.strategies[g.class()] = g.strategy(1)
	}
	if !g.one(4) {
		p.strategy = g.strategy(1)
	} else if len(p.strategies) == 0 {
		p.strategy = &modelStrategy{kind: "decorrelated_jitter", base: 250e6, max: 30e9}
	}
	if g.one(3) {
		p.selectRule = []string{"class", "hurry", "errs", "panics"}[g.IntN(4)]
		p.selectClass, p.selected = g.class(), g.strategy(1)
	}
	if len(plan.breakers) > 0 && !g.one(4) {
		p.breaker = plan.breakers[g.IntN(len(plan.breakers))]
	}
	if len(plan.budgets) > 0 && !g.one(4) {
		p.budget = plan.budgets[g.IntN(len(plan.budgets))]
	}
	return p
}

func (g *generator) strategy(depth int) *modelStrategy {
	kinds := []string{"decorrelated_jitter", "equal_jitter", "token_backoff", "full_jitter", "exponential", "linear", "constant", "immediate"}
	if depth > 0 {
		kinds = append(kinds, "panics", "negative", "retry_after_or", "adaptive", "retry_after_or", "adaptive", "decorrelated_jitter")
	}
	if g.one(8) {
		kinds = []string{"stop", "stops"}[:1+depth]
	}
	s := &modelStrategy{
		kind: kinds[g.IntN(len(kinds))], base: g.duration(2e9), max: g.duration(30e9), step: g.Int64N(2e9), factor: 1 + 2*g.Float64(),
		jitter: g.Int64N(2e9), window: g.duration(60e9), target: 1 - g.Float64()*0.9, low: 1 + g.Float64(), stop: engine.StopReason(1 + g.IntN(14)),
	}
	s.high = s.low + 4*g.Float64()
	if g.one(3) {
		s.cap = g.duration(10e9)
	}
	if s.kind == "retry_after_or" || s.kind == "adaptive" {
		s.fallback = g.strategy(0)
	}
	return s
}

func (g *generator) call(plan *randomPlan, depth int) *modelCall {
	c := &modelCall{
		policy:        plan.policies[g.IntN(len(plan.policies))],
		callerEnds:    g.maybe(5, 30e9),
		cancelAt:      g.maybe(5, 30e9),
		abortAt:       g.maybe(10, 30e9),
		abortPanics:   g.one(25),
		notIdempotent: g.one(8),
		notReplayable: g.one(25),
		oversleeps:    []int64{0},
	}
	for range 1 + g.IntN(5) {
		c.replies = append(c.replies, g.reply(plan, depth))
	}
	for range 1 + g.IntN(6) {
		c.us = append(c.us, []float64{g.Float64(), g.Float64(), 0, math.Nextafter(1, 0)}[g.IntN(4)])
	}
	if g.one(3) {
		c.oversleeps = []int64{g.Int64N(1e6), 0, g.duration(20e9)}
	}
	if g.one(8) {
		c.hook, c.hookTakes = []string{"slow", "panics"}[g.IntN(2)], g.duration(20e9)
	}
	if g.one(5) {
		for range 1 + g.IntN(3) {
			c.actions = append(c.actions, []string{"sleep", "sleep", "defer", "abort", "panics", "nonsense"}[g.IntN(6)])
		}
	}
	return c
}

func (g *generator) reply(plan *randomPlan, depth int) modelReply {
	r := modelReply{
		takes: g.duration(2e9), obedient: g.one(2), class: g.class(), rule: "holds", hint: g.maybe(3, 12e9), notSent: g.one(2),
		kind: []string{"ok", "error", "error", "error", "error", "error", "error", "error", "result", "result"}[g.IntN(10)],
	}
	if g.one(25) {
		r.kind = []string{"abort", "panic"}[g.IntN(2)]
	}
	switch g.IntN(8) {
	case 0:
		r.rule = "none"
	case 1:
		r.rule = "errs then holds"
	case 2:
		r.rule = "panics"
	}
	if g.one(3) {
		r.marker = g.class()
	}
	if g.one(10) {
		r.takes = g.duration(60e9)
	}
	if g.one(50) {
		r.takes = -r.takes // the clock was set back
	}
	if depth > 0 && g.one(10) {
		r.nested = g.call(plan, depth-1)
	}
	return r
}

// An engineRun is what the engine did with a plan.
type engineRun struct {
	clock    modelClock
	log      []said
	calls    int
	outcomes []modelOutcome
	ends     []int            // length of the log after each call
	states   [][]engine.State // of the breakers, after each call

	policies map[*modelPolicy]*engine.Policy
	breakers []*engine.Breaker
	granted  map[*modelBudget][]int64 // when retries were granted, as the events tell
	wrong    error
}

// A modelClock shows nanoseconds since an arbitrary moment.
type modelClock struct{ now int64 }

var modelEpoch = time.Unix(1_700_000_000, 0)

func (c *modelClock) Now() time.Time { return modelEpoch.Add(time.Duration(c.now)) }

func offset(t time.Time) int64 { return int64(t.Sub(modelEpoch)) }

// A modelCaller is the context of a caller of the model.
type modelCaller struct {
	context.Context
	clock              *modelClock
	deadline, cancelAt int64 // MaxInt64: never
}

func (c *modelCaller) Deadline() (time.Time, bool) {
	return modelEpoch.Add(time.Duration(c.deadline)), c.deadline != math.MaxInt64
}

func (c *modelCaller) Done() <-chan struct{} { return nil }

func (c *modelCaller) Err() error {
	canceled, timedOut := c.clock.now >= c.cancelAt, c.clock.now >= c.deadline
	switch {
	case canceled && (!timedOut || c.cancelAt < c.deadline):
		return context.Canceled
	case timedOut:
		return context.DeadlineExceeded
	}
	return nil
}

func (p *randomPlan) runEngine() (*engineRun, error) {
	r := &engineRun{policies: map[*modelPolicy]*engine.Policy{}, granted: map[*modelBudget][]int64{}}
	breakers, budgets := map[*modelBreaker]*engine.Breaker{}, map[*modelBudget]*engine.Budget{}
	for _, b := range p.breakers {
		made, err := engine.NewBreaker(b.spec())
		if err != nil {
			return nil, err
		}
		breakers[b] = made
		r.breakers = append(r.breakers, made)
	}
	for _, b := range p.budgets {
		made, err := engine.NewBudget(engine.BudgetSpec{MaxRetries: b.maxRetries, Window: time.Duration(b.window)})
		if err != nil {
			return nil, err
		}
		budgets[b] = made
	}
	for _, m := range p.policies {
		made, err := engine.New(m.spec(breakers[m.breaker], budgets[m.budget]))
		if err != nil {
			return nil, err
		}
		r.policies[m] = made
	}
	for i, c := range p.calls {
		r.clock.now += p.gaps[i]
		r.outcomes = append(r.outcomes, r.call(c))
		r.ends = append(r.ends, len(r.log))
		var states []engine.State
		for _, b := range r.breakers {
			states = append(states, b.State())
		}
		r.states = append(r.states, states)
	}
	if r.wrong == nil {
		r.wrong = p.checkBudgets(r)
	}
	return r, r.wrong
}

func (b *modelBreaker) spec() engine.BreakerSpec {
	spec := engine.BreakerSpec{
		Name: strconv.Itoa(b.number), FailureThreshold: b.threshold, Window: time.Duration(b.window),
		RecoveryTimeout: time.Duration(b.recovery), ProbeTimeout: time.Duration(b.probeTimeout), ClassThresholds: b.classThresholds,
		TripOn: slices.Sorted(maps.Keys(b.trips)),
	}
	return spec
}

func (m *modelPolicy) spec(breaker *engine.Breaker, budget *engine.Budget) engine.Spec {
	made := map[*modelStrategy]engine.Strategy{}
	spec := engine.Spec{
		Name: strconv.Itoa(m.number), Deadline: time.Duration(m.deadline), AttemptTimeout: time.Duration(m.attemptTimeout),
		MaxAttempts: m.maxAttempts, MaxUnknownAttempts: m.maxUnknown, DefaultClass: m.defaultClass,
		Strategy: m.strategy.build(made), Classes: map[engine.Class]engine.ClassSpec{}, Classify: modelRules, Breaker: breaker, Budget: budget,
	}
	for class, s := range m.strategies {
		spec.Classes[class] = engine.ClassSpec{Strategy: s.build(made)}
	}
	for class, limit := range m.caps {
		c := spec.Classes[class]
		c.MaxAttempts = limit
		spec.Classes[class] = c
	}
	if m.resultRules {
		spec.ClassifyResult = modelRules
	}
	if m.selectRule != "" {
		selected := m.selected.build(made)
		spec.Selectable = []engine.Strategy{selected}
		spec.Select = func(in *engine.Input) engine.Selection {
			switch {
			case m.selectRule == "panics":
				panic("select")
			case m.selectRule == "errs":
				return engine.Selection{Errors: []engine.RuleError{{Rule: "errs", Err: errPlain}}}
			case m.selectRule == "class" && in.Class == m.selectClass, m.selectRule == "hurry" && in.Remaining < 2*time.Second:
				return engine.Selection{Strategy: selected, Rule: m.selectRule}
			}
			return engine.Selection{}
		}
	}
	return spec
}

func (s *modelStrategy) build(made map[*modelStrategy]engine.Strategy) engine.Strategy {
	if s == nil {
		return nil
	}
	if made[s] != nil {
		return made[s]
	}
	base, most := time.Duration(s.base), time.Duration(s.max)
	none := func(d int64) time.Duration {
		if d == 0 {
			return engine.None
		}
		return time.Duration(d)
	}
	var b engine.Strategy
	switch s.kind {
	case "decorrelated_jitter":
		b = engine.DecorrelatedJitter{Base: base, Max: most}
	case "equal_jitter":
		b = engine.EqualJitter{Base: base, Max: most}
	case "token_backoff":
		b = engine.TokenBackoff{Base: base, Max: most}
	case "full_jitter":
		b = engine.FullJitter{Base: base, Max: most}
	case "exponential":
		b = engine.Exponential{Base: base, Max: most, Factor: s.factor}
	case "linear":
		b = engine.Linear{Base: base, Max: most, Step: none(s.step)}
	case "constant":
		b = engine.Constant{Wait: base}
	case "immediate":
		b = engine.Immediate{}
	case "stop":
		b = engine.StopStrategy{}
	case "panics":
		b = engine.Func("panics", func(engine.DelayInput) engine.Delay { panic("strategy") })
	case "negative":
		b = engine.Func("negative", func(engine.DelayInput) engine.Delay { return engine.Delay{Sleep: -base} })
	case "stops":
		b = engine.Func("stops", func(engine.DelayInput) engine.Delay { return engine.Delay{Stop: s.stop} })
	case "retry_after_or":
		b = engine.RetryAfterOr{Fallback: s.fallback.build(made), Jitter: none(s.jitter), Cap: time.Duration(s.cap)}
	case "adaptive":
		b = &engine.Adaptive{Fallback: s.fallback.build(made), Window: time.Duration(s.window), TargetSuccess: s.target, MinMultiplier: s.low, MaxMultiplier: s.high}
	}
	made[s] = b
	return b
}

// modelRules reads what a reply wants from the record's code.
func modelRules(in *engine.Input) engine.Verdict {
	how, name, _ := strings.Cut(in.Failure.Code, "/")
	class, _ := engine.ParseClass(name)
	v := engine.Verdict{Class: class, Rule: "by-rule", RetryAfter: in.Failure.RetryAfter, HasRetryAfter: in.Failure.HasRetryAfter}
	switch how {
	case "holds":
		return v
	case "errs then holds":
		v.Errors = []engine.RuleError{{Rule: "broken", Err: errPlain}}
		return v
	case "panics":
		panic("rule")
	}
	return engine.Verdict{}
}

// A modelValue is a result that is nothing but its record.
type modelValue struct{ record *engine.Failure }

func (v modelValue) FailureRecord() *engine.Failure { return v.record }

// A modelError is the error of one attempt.
type modelError struct {
	attempt int
	record  engine.Failure
}

func (e *modelError) Error() string                  { return "failed attempt " + strconv.Itoa(e.attempt) }
func (e *modelError) FailureRecord() *engine.Failure { return &e.record }

func (r *modelReply) record() engine.Failure {
	f := engine.Failure{Code: r.rule + "/" + r.class.String(), Phase: engine.Sent, Marker: r.marker}
	if r.notSent {
		f.Phase = engine.NotSent
	}
	if r.hint >= 0 {
		f.RetryAfter, f.HasRetryAfter = time.Duration(r.hint), true
	}
	return f
}

// An engineCall is one call while the engine makes it.
type engineCall struct {
	*engineRun
	plan     *modelCall
	caller   *modelCaller
	start    int64
	attempts int
	failed   int // answers drawn from us
	retries  int
	sleeps   int
	slept    int64
	last     *modelError
	events   []said
}

func (r *engineRun) call(plan *modelCall) (o modelOutcome) {
	c := &engineCall{engineRun: r, plan: plan, start: r.clock.now}
	c.caller = &modelCaller{context.Background(), &r.clock, math.MaxInt64, math.MaxInt64}
	if plan.callerEnds >= 0 {
		c.caller.deadline = c.start + plan.callerEnds
	}
	if plan.cancelAt >= 0 {
		c.caller.cancelAt = c.start + plan.cancelAt
	}
	r.calls++
	defer func() {
		if recover() != nil {
			o = modelOutcome{panicked: true, attempts: c.attempts, class: o.class}
		}
	}()
	outcome := engine.Execute(c.caller, r.policies[plan.policy], c.operate, c.options()...)
	o = modelOutcome{
		reason: outcome.Reason, attempts: outcome.Attempts, class: outcome.Class, rule: outcome.Rule, cause: outcome.Cause,
		selector: outcome.Selector, strategy: outcome.Strategy, elapsed: int64(outcome.Elapsed), nextDelay: int64(outcome.NextDelay),
	}
	if err, ok := errors.AsType[*modelError](outcome.LastErr); ok {
		o.lastErr = err.attempt
	}
	if r.wrong == nil {
		r.wrong = c.checkEnvelope(outcome)
	}
	return o
}

func (c *engineCall) options() []engine.Option {
	opts := []engine.Option{
		engine.WithClock(c),
		engine.WithObserver(c),
		engine.WithRand(func() float64 {
			c.failed++
			return c.plan.us[(c.failed-1)%len(c.plan.us)]
		}),
	}
	if c.plan.notIdempotent {
		opts = append(opts, engine.NotIdempotent())
	}
	if c.plan.notReplayable {
		opts = append(opts, engine.NotReplayable())
	}
	if c.plan.abortPanics || c.plan.abortAt >= 0 {
		opts = append(opts, engine.WithAbort(func(context.Context) bool {
			if c.plan.abortPanics {
				panic("abort")
			}
			return c.clock.now >= c.start+c.plan.abortAt
		}))
	}
	if c.plan.hook != "" {
		opts = append(opts, engine.WithBeforeSleep(func(context.Context, engine.SleepInfo) {
			if c.plan.hook == "panics" {
				panic("hook")
			}
			c.clock.now += c.plan.hookTakes
		}))
	}
	if len(c.plan.actions) > 0 {
		opts = append(opts, engine.WithSleepHandler(func(context.Context, engine.SleepInfo) engine.SleepAction {
			action := c.plan.actions[min(c.retries, len(c.plan.actions)-1)]
			c.retries++
			switch action {
			case "defer":
				return engine.DeferRetry
			case "abort":
				return engine.AbortRetry
			case "panics":
				panic("handler")
			case "nonsense":
				return 200
			}
			return engine.SleepThenRetry
		}))
	}
	return opts
}

// Now implements engine.Clock.
func (c *engineCall) Now() time.Time { return c.clock.Now() }

// Sleep implements engine.Clock: it may oversleep.
func (c *engineCall) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.slept += int64(d)
	wake := c.clock.now + int64(d) + c.plan.oversleeps[c.sleeps%len(c.plan.oversleeps)]
	c.sleeps++
	if end := min(c.caller.deadline, c.caller.cancelAt); end <= wake {
		c.clock.now = end
		return ctx.Err()
	}
	c.clock.now = wake
	return nil
}

// operate is the operation.
func (c *engineCall) operate(ctx context.Context) (modelValue, error) {
	c.attempts++
	reply := c.plan.replies[min(c.attempts, len(c.plan.replies))-1]
	deadline, _ := ctx.Deadline()
	c.log = append(c.log, said{at: c.clock.now, deadline: offset(deadline)})
	if reply.nested != nil {
		c.engineRun.call(reply.nested)
	}
	if end := min(offset(deadline), c.caller.cancelAt); reply.obedient && end <= c.clock.now+reply.takes {
		c.clock.now = max(c.clock.now, end)
		reply = modelReply{kind: "error", class: cutClass, rule: "holds", hint: -1}
	} else {
		c.clock.now += reply.takes
	}
	record := reply.record()
	switch reply.kind {
	case "ok":
		return modelValue{}, nil
	case "result":
		return modelValue{&record}, nil
	case "panic":
		panic("operation")
	}
	c.last = &modelError{c.attempts, record}
	if reply.kind == "abort" {
		return modelValue{}, engine.Abort(c.last)
	}
	return modelValue{}, c.last
}

// Observe implements engine.Observer.
func (c *engineCall) Observe(_ context.Context, e engine.Event) {
	policy, _ := strconv.Atoi(e.Policy)
	breaker, _ := strconv.Atoi(e.Breaker)
	s := said{
		kind: e.Kind, policy: policy, attempt: e.Attempt, at: offset(e.Time), elapsed: int64(e.Elapsed), class: e.Class,
		rule: e.Rule, selector: e.Selector, strategy: e.Strategy, cause: e.Cause, decision: e.Decision, sleep: int64(e.Sleep),
		reason: e.Reason, breaker: breaker, from: e.From, to: e.To, sequence: e.Sequence,
	}
	c.log = append(c.log, s)
	c.events = append(c.events, s)
	if e.Kind == engine.EventRetry && c.plan.policy.budget != nil {
		c.granted[c.plan.policy.budget] = append(c.granted[c.plan.policy.budget], s.at)
	}
}

// checkEnvelope holds one call to the promises that need no model.
func (c *engineCall) checkEnvelope(o engine.Outcome[modelValue]) error {
	p := c.plan.policy
	deadline := min(c.start+p.deadline, c.caller.deadline)
	if c.attempts > p.maxAttempts || o.Attempts != c.attempts {
		return fmt.Errorf("%d attempts made, %d told, %d allowed", c.attempts, o.Attempts, p.maxAttempts)
	}
	if c.slept > p.deadline {
		return fmt.Errorf("slept %d, deadline %d", c.slept, p.deadline)
	}
	failures, last, retries := map[engine.Class]int{}, 0, 0
	for i, e := range c.events {
		switch {
		case e.kind == engine.AttemptStart && e.at >= deadline:
			return fmt.Errorf("attempt %d began at %d, deadline %d", e.attempt, e.at, deadline)
		case e.kind == engine.AttemptEnd && e.decision == engine.DecideRetry:
			retries++
			if e.at+e.sleep >= deadline {
				return fmt.Errorf("a sleep of %d began at %d, deadline %d", e.sleep, e.at, deadline)
			}
			failures[e.class]++
			if limit := p.caps[e.class]; limit > 0 && failures[e.class] >= limit {
				return fmt.Errorf("failure %d of %v was retried, cap %d", failures[e.class], e.class, limit)
			}
			if e.class == engine.Unknown && failures[e.class] >= p.maxUnknown || !e.class.Retryable() {
				return fmt.Errorf("failure %d of %v was retried", failures[e.class], e.class)
			}
		case e.reason != 0 && e.kind != engine.AttemptEnd:
			if last++; last > 1 {
				return fmt.Errorf("the call ended twice")
			}
			for _, after := range c.events[i+1:] {
				if after.sequence == 0 {
					return fmt.Errorf("%v after the end of the call", after.kind)
				}
			}
		}
	}
	if last != 1 {
		return fmt.Errorf("the call ended %d times", last)
	}
	if err := o.Err(); !o.OK && c.last != nil && o.Cause == engine.CauseError && o.Attempts > 0 && !errors.Is(err, c.last) {
		return fmt.Errorf("%v does not reach the operation's error", err)
	}
	return nil
}

// checkBudgets holds all calls to their budgets, where the clock did not run backwards.
func (p *randomPlan) checkBudgets(r *engineRun) error {
	for b, granted := range r.granted {
		if !slices.IsSorted(granted) {
			continue
		}
		for i := range granted {
			if j := i + b.maxRetries; j < len(granted) && granted[j]-granted[i] < b.window {
				return fmt.Errorf("more than %d retries within %d", b.maxRetries, b.window)
			}
		}
	}
	return nil
}

// runModel runs the plan through the model and compares.
func (p *randomPlan) runModel(r *engineRun) error {
	w := &modelWorld{}
	for i, c := range p.calls {
		w.now += p.gaps[i]
		before := len(w.log)
		want := w.run(c)
		if err := compareLogs(r.log[:r.ends[i]], w.log, before); err != nil {
			return fmt.Errorf("call %d of policy %d: %w", i, c.policy.number, err)
		}
		got := r.outcomes[i]
		if want.panicked {
			want = modelOutcome{panicked: true, attempts: want.attempts}
		}
		if got != want {
			return fmt.Errorf("call %d of policy %d: outcome\n got %+v\nwant %+v", i, c.policy.number, got, want)
		}
		for n, b := range p.breakers {
			if r.states[i][n] != b.state {
				return fmt.Errorf("call %d: breaker %d is %v, want %v", i, n+1, r.states[i][n], b.state)
			}
		}
	}
	return nil
}

// compareLogs compares what was said from a place on.
func compareLogs(got, want []said, from int) error {
	at := from
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	if at == len(got) && at == len(want) {
		return nil
	}
	var story strings.Builder
	tell := func(word string, list []said, from, to int) {
		for _, s := range list[min(from, len(list)):min(to, len(list))] {
			fmt.Fprintf(&story, "\n%5s %v %+v", word, s.kind, s)
		}
	}
	tell("", want, max(from, at-6), at)
	tell("got", got, at, at+1)
	tell("want", want, at, at+1)
	return errors.New("events" + story.String())
}

// sameAgain holds that the same world, made again, does the same.
func (p *randomPlan) sameAgain(first *engineRun) error {
	again, err := randomWorld(p.seed).runEngine()
	if err != nil {
		return err
	}
	if !slices.Equal(first.log, again.log) || !slices.Equal(first.outcomes, again.outcomes) {
		return errors.New("the same world did not do the same again")
	}
	return nil
}

// TestG4_RandomStepsDecideAsOneCallDoes steps through random calls whose time does
// not depend on how they are made, and compares with the same calls made at once.
func TestG4_RandomStepsDecideAsOneCallDoes(t *testing.T) {
	steps := 0
	for seed := range uint64(3000) {
		story := func(make func(r *engineRun, p *engine.Policy, c *engineCall) engine.Outcome[modelValue]) string {
			g := &generator{rand.New(rand.NewPCG(seed, 7))}
			plan := &randomPlan{budgets: []*modelBudget{{maxRetries: g.IntN(9), window: g.duration(20e9)}}}
			plan.policies = []*modelPolicy{g.policy(1, plan)}
			c := g.call(plan, 0)
			c.callerEnds, c.cancelAt, c.abortAt, c.abortPanics, c.hook, c.actions, c.oversleeps = -1, -1, -1, false, "", nil, []int64{0}
			c.replies = slices.DeleteFunc(c.replies, func(r modelReply) bool { return r.kind == "panic" || r.takes < 0 })
			if len(c.replies) == 0 {
				c.replies = []modelReply{{kind: "ok"}}
			}
			run, err := plan.runEngine() // no calls yet: it builds the policies
			if err != nil {
				t.Fatal(err)
			}
			call := &engineCall{engineRun: run, plan: c, caller: &modelCaller{context.Background(), &run.clock, math.MaxInt64, math.MaxInt64}}
			o := make(run, run.policies[plan.policies[0]], call)
			return fmt.Sprint(o.Reason, o.Attempts, o.Class, o.Rule, o.Cause, o.Elapsed, o.Note)
		}
		once := story(func(r *engineRun, p *engine.Policy, c *engineCall) engine.Outcome[modelValue] {
			return engine.Execute(c.caller, p, c.operate, c.options()...)
		})
		stepped := story(func(r *engineRun, p *engine.Policy, c *engineCall) engine.Outcome[modelValue] {
			var state engine.StepState
			for {
				o, next, err := engine.Step(c.caller, p, state, c.operate, c.options()...)
				if err != nil {
					t.Fatal(err)
				}
				steps++
				if o.Reason != engine.Scheduled {
					return o
				}
				r.clock.now += int64(o.NextDelay)
				state = next
			}
		})
		if once != stepped {
			t.Fatalf("seed %d:\nat once   %s\nin steps  %s", seed, once, stepped)
		}
	}
	if steps < 3500 {
		t.Errorf("%d steps are too few to mean something", steps)
	}
}
