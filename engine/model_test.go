package engine_test

import (
	"math"

	"github.com/redress-policy/redress/engine"
)

// This file says once more, as plainly as it can be said, what a call does: lists
// instead of windows, one function instead of sessions, offsets in nanoseconds
// instead of times. It shares the names of classes, reasons and events with the
// engine, and nothing else. model_run_test.go runs both and compares.

// A modelWorld is a clock, and what has been said so far.
type modelWorld struct {
	now int64
	log []said
}

// A said is one event, or (kind 0) what an operation saw of its context.
type said struct {
	kind                     engine.EventKind
	policy, attempt          int
	at, elapsed              int64
	class                    engine.Class
	rule, selector, strategy string
	cause                    engine.Cause
	decision                 engine.Decision
	sleep                    int64
	reason                   engine.StopReason
	breaker                  int // 0: none
	from, to                 engine.State
	sequence                 uint64
	deadline                 int64 // of the operation's context
}

type modelPolicy struct {
	number         int
	deadline       int64
	attemptTimeout int64 // 0: none
	maxAttempts    int
	maxUnknown     int
	caps           map[engine.Class]int
	strategies     map[engine.Class]*modelStrategy
	strategy       *modelStrategy // nil: none
	defaultClass   engine.Class
	resultRules    bool
	selectRule     string // "", "class", "hurry", "errs", "panics"
	selectClass    engine.Class
	selected       *modelStrategy
	breaker        *modelBreaker
	budget         *modelBudget
}

type modelStrategy struct {
	kind      string
	base, max int64
	step      int64
	factor    float64
	jitter    int64
	cap       int64 // 0: none
	fallback  *modelStrategy
	window    int64
	target    float64
	low, high float64
	stop      engine.StopReason

	heard  []heard // of adaptive
	zero   int64
	latest int64
	began  bool
}

type heard struct {
	part int64
	ok   bool
}

type modelBreaker struct {
	number          int
	threshold       int
	window          int64
	recovery        int64
	probeTimeout    int64
	trips           map[engine.Class]bool
	classThresholds map[engine.Class]int

	state       engine.State
	generation  uint64
	failures    []modelFailure
	openedAt    int64
	probe       int
	probeTaken  bool
	probeSince  int64
	latest      int64
	latestKnown bool
}

type modelFailure struct {
	at    int64
	class engine.Class
}

type modelTicket struct {
	generation uint64
	probe      int
}

type modelBudget struct {
	maxRetries  int
	window      int64
	taken       []int64
	latest      int64
	latestKnown bool
}

// A modelCall is what is going to happen to one call.
type modelCall struct {
	policy        *modelPolicy
	replies       []modelReply
	us            []float64 // for the failures that are responded to, in order
	oversleeps    []int64   // added to each sleep
	callerEnds    int64     // the caller's deadline, from the start; negative: none
	cancelAt      int64     // negative: never
	abortAt       int64     // negative: never
	abortPanics   bool
	notIdempotent bool
	notReplayable bool
	hook          string // before-sleep hook: "", "slow", "panics"
	hookTakes     int64
	actions       []string // of the sleep handler, the last repeats: "sleep", "defer", "abort", "panics", "nonsense"; empty: none
}

// A modelReply is what the operation does in one attempt.
type modelReply struct {
	takes    int64
	obedient bool       // it stops when its context ends, with a failure of class cutClass
	nested   *modelCall // a call that it makes before anything else
	kind     string     // "ok", "error", "result", "abort", "panic"
	class    engine.Class
	rule     string // "holds", "none", "errs then holds", "panics"
	marker   engine.Class
	hint     int64 // negative: none
	notSent  bool
}

const cutClass = engine.Transient

type modelOutcome struct {
	panicked  bool
	reason    engine.StopReason
	attempts  int
	class     engine.Class
	rule      string
	cause     engine.Cause
	selector  string
	strategy  string
	elapsed   int64
	nextDelay int64
	lastErr   int // number of the attempt whose error it is; 0: none
}

// run is a call, from its beginning to its end.
func (w *modelWorld) run(c *modelCall) (o modelOutcome) {
	p := c.policy
	start, now := w.now, w.now // now is the time of the call: the clock's, but never backwards
	ahead := int64(0)
	read := func(notBefore int64) {
		now = w.now + ahead
		if now < notBefore {
			ahead += notBefore - now
			now = notBefore
		}
	}
	deadline := start + p.deadline
	if c.callerEnds >= 0 && start+c.callerEnds < deadline {
		deadline = start + c.callerEnds
	}
	say := func(s said) {
		s.policy, s.attempt, s.at, s.elapsed = p.number, o.attempts, now, now-start
		w.log = append(w.log, s)
	}
	moved := func(from, to engine.State, sequence uint64) {
		kind := map[engine.State]engine.EventKind{engine.Open: engine.EventCircuitOpened, engine.HalfOpen: engine.EventCircuitHalfOpen, engine.Closed: engine.EventCircuitClosed}[to]
		say(said{kind: kind, breaker: p.breaker.number, from: from, to: to, sequence: sequence})
	}
	ruleError := func(rule, selector, strategy string) {
		say(said{kind: engine.EventRuleError, rule: rule, selector: selector, strategy: strategy})
	}
	callerEnded := func() engine.StopReason {
		canceled := c.cancelAt >= 0 && w.now >= start+c.cancelAt
		timedOut := c.callerEnds >= 0 && w.now >= start+c.callerEnds
		switch {
		case canceled && (!timedOut || c.cancelAt < c.callerEnds):
			return engine.Canceled
		case timedOut, c.callerEnds >= 0 && now >= start+c.callerEnds:
			return engine.DeadlineExceeded
		}
		return 0
	}
	aborts := func() bool {
		if c.abortPanics {
			ruleError("", "", "")
			return false
		}
		return c.abortAt >= 0 && w.now >= start+c.abortAt
	}

	var ticket modelTicket
	admitted := false
	finish := func(reason engine.StopReason) modelOutcome {
		o.reason, o.elapsed = reason, now-start
		last := said{kind: lastEvents[reason], reason: reason, sleep: o.nextDelay}
		if reason != engine.Success {
			last.class, last.rule, last.cause, last.selector, last.strategy = o.class, o.rule, o.cause, o.selector, o.strategy
		}
		if reason == engine.CircuitOpen {
			last.breaker = p.breaker.number
		}
		say(last)
		if admitted {
			switch reason {
			case engine.Success:
				p.breaker.settle(ticket, "success", 0, now, moved)
			case engine.Canceled, engine.Aborted, engine.Scheduled:
				p.breaker.settle(ticket, "neutral", 0, now, moved)
			default:
				p.breaker.settle(ticket, "failure", o.class, now, moved)
			}
		}
		return o
	}

	// A1
	if reason := callerEnded(); reason != 0 {
		return finish(reason)
	}
	if aborts() {
		return finish(engine.Aborted)
	}
	if now >= deadline {
		return finish(engine.DeadlineExceeded)
	}
	if p.breaker != nil {
		if ticket, admitted = p.breaker.admit(now, moved); !admitted {
			return finish(engine.CircuitOpen)
		}
	}

	failures := map[engine.Class]int{}
	prev := int64(-1)
	responses, retries, sleeps := 0, 0, 0
	for {
		// A2
		o.attempts++
		attemptDeadline := deadline
		if c.callerEnds >= 0 {
			attemptDeadline = min(attemptDeadline, start+c.callerEnds)
		}
		if p.attemptTimeout > 0 {
			attemptDeadline = min(attemptDeadline, now+p.attemptTimeout)
		}
		say(said{kind: engine.AttemptStart})
		reply := c.replies[min(o.attempts, len(c.replies))-1]
		cancelAt := int64(math.MaxInt64)
		if c.cancelAt >= 0 {
			cancelAt = start + c.cancelAt
		}
		cut := w.operate(&reply, attemptDeadline-ahead, cancelAt)
		read(now)
		if cut {
			reply = modelReply{kind: "error", class: cutClass, rule: "holds", hint: -1}
		}
		if reply.kind == "panic" {
			say(said{kind: engine.AttemptEnd, decision: engine.DecideStop})
			if admitted {
				p.breaker.settle(ticket, "ended", 0, now, moved)
			}
			o.panicked = true
			return o
		}

		// A3
		if reply.kind == "ok" || reply.kind == "result" {
			matched := false
			if p.resultRules {
				matched = reply.kind == "result" && reply.rule != "none" && reply.rule != "panics"
				w.ruleFaults(&reply, reply.kind == "result", ruleError)
			}
			if !matched {
				p.hear(now, true)
				say(said{kind: engine.AttemptEnd, decision: engine.DecideSuccess, reason: engine.Success})
				return finish(engine.Success)
			}
		}
		cause, errNumber := engine.CauseError, o.attempts
		if reply.kind == "result" {
			cause, errNumber = engine.CauseResult, 0
		}

		// A4.1 and A4.2, for what is not classified
		ended := callerEnded()
		if cause == engine.CauseError && (ended == engine.Canceled || ended == 0 && reply.kind == "abort") {
			reason := engine.Aborted
			if ended == engine.Canceled {
				reason = engine.Canceled
			}
			o.cause, o.lastErr, o.selector, o.strategy = cause, errNumber, "", ""
			decision := engine.DecideStop
			if reason == engine.Aborted {
				decision = engine.DecideAborted
			}
			say(said{kind: engine.AttemptEnd, decision: decision, reason: reason, cause: cause})
			return finish(reason)
		}

		class, rule, hint := reply.class, "by-rule", reply.hint
		if cause == engine.CauseError {
			w.ruleFaults(&reply, true, ruleError)
			if reply.rule == "none" || reply.rule == "panics" {
				class, rule, hint = p.defaultClass, "default", -1
				if reply.marker != 0 {
					class, rule, hint = reply.marker, "marker", reply.hint
				}
			}
		}
		failures[class]++
		o.class, o.rule, o.cause, o.lastErr, o.selector, o.strategy = class, rule, cause, errNumber, "", ""
		p.hear(now, false)

		decide := func() (reason engine.StopReason, sleep int64) {
			if ended != 0 {
				return ended, 0 // A4.1
			}
			if aborts() {
				return engine.Aborted, 0 // A4.2
			}
			u := c.us[responses%len(c.us)]
			responses++
			if limit := p.caps[class]; limit > 0 && failures[class] >= limit {
				return engine.MaxAttemptsPerClass, 0 // A4.3
			}
			if class == engine.Auth || class == engine.Permission || class == engine.Permanent {
				return engine.NonRetryableClass, 0 // A4.4
			}
			if class == engine.Unknown && failures[class] >= p.maxUnknown {
				return engine.MaxUnknownAttempts, 0 // A4.5
			}
			if c.notIdempotent && !reply.notSent {
				return engine.ReasonNotIdempotent, 0 // A4.6
			}
			if c.notReplayable {
				return engine.ReasonNotReplayable, 0
			}
			if o.attempts >= p.maxAttempts {
				return engine.MaxAttemptsGlobal, 0 // A4.7
			}
			// A4.8
			strategy := p.strategies[class]
			if strategy == nil {
				strategy = p.strategy
			}
			switch {
			case p.selectRule == "class" && class == p.selectClass, p.selectRule == "hurry" && deadline-now < int64(2e9):
				strategy, o.selector = p.selected, p.selectRule
			case p.selectRule == "errs":
				ruleError("", "errs", "")
			case p.selectRule == "panics":
				ruleError("", "", "")
			}
			if strategy == nil {
				return engine.NoStrategy, 0
			}
			in := modelAsk{n: o.attempts, prev: prev, u: u, hint: hint, remaining: deadline - now, now: now}
			o.strategy = strategy.kind
			switch strategy.kind {
			case "panics":
				ruleError("", "", "panics")
				strategy = &modelStrategy{kind: "decorrelated_jitter", base: 250e6, max: 30e9}
				o.strategy = strategy.kind
			case "stops":
				if strategy.stop != engine.NonRetryableClass && strategy.stop != engine.DeadlineExceeded && strategy.stop != engine.BudgetExhausted {
					ruleError("", "", "stops")
					return engine.NonRetryableClass, 0
				}
				return strategy.stop, 0
			}
			sleep, reason = strategy.delay(in)
			if reason != 0 {
				return reason, 0
			}
			if now+sleep >= deadline || now+sleep < now {
				return engine.DeadlineExceeded, 0 // A4.9
			}
			if p.breaker != nil && !p.breaker.holds(ticket) {
				return engine.CircuitOpen, 0 // A4.10
			}
			if p.budget != nil && !p.budget.take(now) {
				return engine.BudgetExhausted, 0 // A4.11
			}
			return 0, sleep
		}
		reason, sleep := decide()
		if reason == 0 { // A4.12
			say(said{kind: engine.EventRetry, class: class, rule: rule, selector: o.selector, strategy: o.strategy, cause: cause, sleep: sleep})
			switch c.hook {
			case "slow":
				w.now += c.hookTakes
				read(now)
			case "panics":
				ruleError("", "", "")
			}
			action := "sleep"
			if len(c.actions) > 0 {
				action = c.actions[min(retries, len(c.actions)-1)]
			}
			retries++
			switch action {
			case "panics", "nonsense":
				ruleError("", "", "")
			}
			switch {
			case action == "abort":
				reason = engine.Aborted
			case now+sleep >= deadline:
				reason = engine.DeadlineExceeded
			case action == "defer":
				reason, o.nextDelay = engine.Scheduled, sleep
			}
		}
		end := said{kind: engine.AttemptEnd, class: class, rule: rule, selector: o.selector, strategy: o.strategy, cause: cause, reason: reason}
		switch reason {
		case 0:
			end.decision, end.sleep = engine.DecideRetry, sleep
		case engine.Scheduled:
			end.decision, end.sleep = engine.DecideScheduled, sleep
		case engine.Aborted:
			end.decision = engine.DecideAborted
		default:
			end.decision = engine.DecideStop
		}
		say(end)
		if reason != 0 {
			return finish(reason)
		}

		// A5
		prev = sleep
		if sleep > 0 {
			wake := w.now + sleep + c.oversleeps[sleeps%len(c.oversleeps)]
			sleeps++
			end := int64(math.MaxInt64)
			if c.callerEnds >= 0 {
				end = start + c.callerEnds
			}
			end = min(end, cancelAt)
			if end <= wake {
				w.now = max(w.now, end)
				read(now)
				return finish(callerEnded())
			}
			w.now = wake
			read(now + sleep)
		}
		if reason := callerEnded(); reason != 0 {
			return finish(reason)
		}
		if aborts() {
			return finish(engine.Aborted)
		}
		if now >= deadline {
			return finish(engine.DeadlineExceeded)
		}
		if p.breaker != nil && !p.breaker.holds(ticket) {
			return finish(engine.CircuitOpen)
		}
	}
}

// operate is what the operation does: it reports whether its context cut it short.
func (w *modelWorld) operate(r *modelReply, deadline, cancelAt int64) (cut bool) {
	w.log = append(w.log, said{at: w.now, deadline: deadline})
	if r.nested != nil {
		w.run(r.nested)
	}
	if end := min(deadline, cancelAt); r.obedient && end <= w.now+r.takes {
		w.now = max(w.now, end)
		return true
	}
	w.now += r.takes
	return false
}

// ruleFaults tells what goes wrong in the rules that look at a reply.
func (w *modelWorld) ruleFaults(r *modelReply, looked bool, ruleError func(rule, selector, strategy string)) {
	if !looked {
		return
	}
	switch r.rule {
	case "errs then holds":
		ruleError("broken", "", "")
	case "panics":
		ruleError("", "", "")
	}
}

var lastEvents = map[engine.StopReason]engine.EventKind{
	engine.Success:             engine.EventSuccess,
	engine.NonRetryableClass:   engine.EventPermanentFail,
	engine.ReasonNotIdempotent: engine.EventPermanentFail,
	engine.ReasonNotReplayable: engine.EventPermanentFail,
	engine.MaxAttemptsGlobal:   engine.EventMaxAttemptsExceeded,
	engine.MaxAttemptsPerClass: engine.EventMaxAttemptsExceeded,
	engine.MaxUnknownAttempts:  engine.EventMaxUnknownAttemptsExceeded,
	engine.DeadlineExceeded:    engine.EventDeadlineExceeded,
	engine.NoStrategy:          engine.EventNoStrategyConfigured,
	engine.BudgetExhausted:     engine.EventBudgetExhausted,
	engine.CircuitOpen:         engine.EventCircuitRejected,
	engine.Scheduled:           engine.EventScheduled,
	engine.Aborted:             engine.EventAborted,
	engine.Canceled:            engine.EventCanceled,
}

// C

type modelAsk struct {
	n         int
	prev      int64 // negative: none
	u         float64
	hint      int64 // negative: none
	remaining int64
	now       int64
}

func (s *modelStrategy) delay(in modelAsk) (sleep int64, stop engine.StopReason) {
	base, most, u := float64(s.base), float64(s.max), in.u
	clamp := func(x float64) int64 { return int64(max(0, min(x, most))) }
	switch s.kind {
	case "decorrelated_jitter":
		prev := base
		if in.prev >= 0 {
			prev = float64(in.prev)
		}
		return clamp(base + float64(u*(float64(3*prev)-base))), 0
	case "equal_jitter", "token_backoff":
		factor := 2.0
		if s.kind == "token_backoff" {
			factor = 1.5
		}
		c := float64(clamp(base * math.Pow(factor, float64(in.n))))
		return clamp(c/2 + float64(u*c/2)), 0
	case "full_jitter":
		return clamp(u * float64(clamp(base*math.Pow(2, float64(in.n-1))))), 0
	case "exponential":
		return clamp(base * math.Pow(s.factor, float64(in.n-1))), 0
	case "linear":
		return clamp(base + float64(float64(s.step)*float64(in.n-1))), 0
	case "constant":
		return s.base, 0
	case "immediate", "negative":
		return 0, 0
	case "stop":
		return 0, engine.NonRetryableClass
	case "retry_after_or":
		if in.hint < 0 {
			return s.fallback.delay(in)
		}
		if s.cap > 0 && in.hint > s.cap {
			if in.hint >= in.remaining {
				return 0, engine.DeadlineExceeded
			}
			return 0, engine.NonRetryableClass
		}
		return in.hint + int64(u*float64(s.jitter)), 0
	case "adaptive":
		sleep, stop = s.fallback.delay(in)
		if stop != 0 {
			return 0, stop
		}
		f, t := s.failureRate(in.now), 1-s.target
		multiplier := s.low
		if f > t {
			multiplier = s.low + float64((f-t)/(1-t)*(s.high-s.low))
		}
		return int64(float64(sleep) * multiplier), 0
	}
	panic("model: no strategy " + s.kind)
}

// part is which sixtieth of the window a moment lies in.
func (s *modelStrategy) part(now int64) int64 {
	if !s.began {
		s.began, s.zero = true, now
	}
	s.latest = max(s.latest, now-s.zero)
	return s.latest / max(s.window/60, 1)
}

func (s *modelStrategy) failureRate(now int64) float64 {
	part, good, bad := s.part(now), 0.0, 0.0
	for _, h := range s.heard {
		switch {
		case part-h.part >= 60:
		case h.ok:
			good++
		default:
			bad++
		}
	}
	if bad == 0 {
		return 0
	}
	return bad / (good + bad)
}

// hear tells the adaptive strategies of the policy, each once.
func (p *modelPolicy) hear(now int64, ok bool) {
	told := map[*modelStrategy]bool{}
	var tell func(s *modelStrategy)
	tell = func(s *modelStrategy) {
		if s == nil || told[s] {
			return
		}
		told[s] = true
		if s.kind == "adaptive" {
			s.heard = append(s.heard, heard{s.part(now), ok})
		}
		tell(s.fallback)
	}
	tell(p.strategy)
	tell(p.selected)
	for _, s := range p.strategies {
		tell(s)
	}
}

// D

func (b *modelBreaker) see(now int64) int64 {
	if !b.latestKnown || now > b.latest {
		b.latestKnown, b.latest = true, now
	}
	return b.latest
}

func (b *modelBreaker) move(to engine.State, report func(from, to engine.State, sequence uint64)) {
	b.generation++
	from := b.state
	b.state, b.probeTaken = to, false
	report(from, to, b.generation)
}

func (b *modelBreaker) admit(now int64, report func(from, to engine.State, sequence uint64)) (modelTicket, bool) {
	if b.state == engine.Closed {
		return modelTicket{generation: b.generation}, true
	}
	now = b.see(now)
	if b.state == engine.Open {
		if now-b.openedAt < b.recovery {
			return modelTicket{}, false
		}
		b.move(engine.HalfOpen, report)
	} else if b.probeTaken && now-b.probeSince < b.probeTimeout {
		return modelTicket{}, false
	}
	b.probe++
	b.probeTaken, b.probeSince = true, now
	return modelTicket{b.generation, b.probe}, true
}

func (b *modelBreaker) holds(t modelTicket) bool {
	return t.generation == b.generation || b.state == engine.Closed
}

func (b *modelBreaker) settle(t modelTicket, what string, class engine.Class, now int64, report func(from, to engine.State, sequence uint64)) {
	if t.generation != b.generation {
		return // D4
	}
	counts := what == "ended" || what == "failure" && b.trips[class]
	switch b.state {
	case engine.Closed:
		if what == "success" || what == "neutral" {
			return
		}
		now = b.see(now)
		if !counts {
			return
		}
		b.failures = append(b.failures, modelFailure{now, class}) // D1
		all, same := 0, 0
		for _, f := range b.failures {
			if now-f.at < b.window {
				all++
				if f.class == class {
					same++
				}
			}
		}
		threshold := b.classThresholds[class]
		if all >= b.threshold || threshold > 0 && same >= threshold {
			b.openedAt = now
			b.move(engine.Open, report)
		}
	case engine.HalfOpen:
		now = b.see(now)
		if !b.probeTaken || t.probe != b.probe {
			return
		}
		b.probeTaken = false
		if now-b.probeSince >= b.probeTimeout || what == "neutral" { // D4
			return
		}
		if counts { // D3
			b.openedAt = now
			b.move(engine.Open, report)
			return
		}
		b.failures = nil
		b.move(engine.Closed, report)
	}
}

// E

func (b *modelBudget) take(now int64) bool {
	if !b.latestKnown || now > b.latest {
		b.latestKnown, b.latest = true, now
	}
	recent := 0
	for _, at := range b.taken {
		if b.latest-at < b.window {
			recent++
		}
	}
	if recent >= b.maxRetries {
		return false
	}
	b.taken = append(b.taken, b.latest)
	return true
}
