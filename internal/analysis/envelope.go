package analysis

import (
	"math"
	"time"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// An Envelope is what a call under a policy can cost at most, whatever happens.
type Envelope struct {
	Policy         string        `json:"policy"`
	Deadline       time.Duration `json:"deadline_ns"`
	AttemptTimeout time.Duration `json:"attempt_timeout_ns"` // 0 without one
	MaxAttempts    int           `json:"max_attempts"`       // of a call, whatever mixture of failures it meets
	Longest        time.Duration `json:"longest_ns"`         // of a call
	Classes        []ClassBounds `json:"classes"`
	Mixed          Mixture       `json:"-"`
}

// A Mixture is what bounds calls whose failures are of any of the classes that the
// policy gives, with whatever hints of the server its rules read.
type Mixture struct {
	Attempts   int             // the most
	Sleeps     []time.Duration // the least before attempts 2, 3, ...
	NeverStart int             // as in ClassBounds
	CutOff     int             // as in ClassBounds
}

// ClassBounds are the bounds of a call whose failures are all of one class and carry
// no hint of the server.
type ClassBounds struct {
	Class      engine.Class      `json:"class"`
	Given      bool              `json:"given"`                 // by a rule, or as the default
	Attempts   int               `json:"attempts"`              // the most
	Stop       engine.StopReason `json:"stop"`                  // what ends the call then, if the deadline does not
	Strategies []string          `json:"strategies,omitempty"`  // that may be asked
	Sleeps     []Bounds          `json:"sleeps,omitempty"`      // before attempts 2, 3, ...
	Longest    time.Duration     `json:"longest_ns"`            // of such a call
	NeverStart int               `json:"never_start,omitempty"` // the first attempt that cannot start even if every one before fails at once
	CutOff     int               `json:"cut_off,omitempty"`     // the first that cannot start if every one before it takes the attempt timeout
	Hint       time.Duration     `json:"longest_hint_ns"`       // the longest Retry-After that is followed; 0 if none is
	Hinted     bool              `json:"-"`                     // a rule that gives the class reads hints
	asked      []engine.Strategy // Strategies
}

// Bounds are the least and the most of a duration.
type Bounds struct {
	Least time.Duration `json:"least_ns"`
	Most  time.Duration `json:"most_ns"`
}

// maxListed bounds the attempts whose sleeps are worked out one by one.
const maxListed = 10_000

// EnvelopeOf works out the envelope of a policy.
func EnvelopeOf(policy *interp.Policy) *Envelope {
	spec := policy.Spec()
	e := &Envelope{Policy: spec.Name, Deadline: spec.Deadline, AttemptTimeout: spec.AttemptTimeout, MaxAttempts: 1}
	open := false
	given := map[engine.Class]bool{spec.DefaultClass: true}
	hinted := map[engine.Class]bool{}
	for _, rules := range [][]interp.Condition{policy.Classify(), policy.ClassifyResult()} {
		for i := range rules {
			class := rules[i].Class
			given[class] = true
			hinted[class] = hinted[class] || rules[i].RetryAfter != nil
		}
	}
	for _, class := range engine.Classes() {
		c := classBounds(policy, &spec, class)
		c.Given, c.Hinted = given[class], hinted[class]
		e.Classes = append(e.Classes, c)
		if c.Stop == engine.MaxAttemptsGlobal {
			open = true
		}
		e.MaxAttempts += c.Attempts - 1
		e.Longest = max(e.Longest, c.Longest)
	}
	// Failures of several classes add up: each may come as often as its cap lets it.
	if open || e.MaxAttempts > spec.MaxAttempts {
		e.MaxAttempts = spec.MaxAttempts
	}
	if e.MaxAttempts > 1 && e.Longest < spec.Deadline {
		e.Longest = mixedLongest(e, &spec)
	}
	e.mix(&spec)
	return e
}

// mix works out the mixture of the classes that are given and retried.
func (e *Envelope) mix(spec *engine.Spec) {
	m := &e.Mixed
	m.Attempts = 1
	var asked []engine.Strategy
	hinted := false
	for _, c := range e.Classes {
		if !c.Given || c.Attempts == 1 {
			continue
		}
		asked = append(asked, c.asked...)
		hinted = hinted || c.Hinted && c.Hint > 0
		if m.Attempts += c.Attempts - 1; c.Stop == engine.MaxAttemptsGlobal {
			m.Attempts = spec.MaxAttempts
		}
	}
	m.Attempts = min(m.Attempts, spec.MaxAttempts)
	var prev Bounds
	var slept time.Duration
	for i := 1; i < m.Attempts && i <= maxListed; i++ {
		if prev = anyOf(asked, i, prev, spec.Deadline); hinted {
			prev.Least = 0 // the server may ask for less
		}
		m.Sleeps = append(m.Sleeps, prev.Least)
		slept = plus(slept, prev.Least)
		m.NeverStart, m.CutOff = firstLate(m.NeverStart, m.CutOff, i, slept, spec)
	}
}

// anyOf bounds the sleep before attempt i+1, whichever of the strategies is asked.
func anyOf(strategies []engine.Strategy, i int, prev Bounds, deadline time.Duration) Bounds {
	one := Bounds{Least: math.MaxInt64}
	for _, s := range strategies {
		if b, ok := bounds(s, i, prev, deadline); ok {
			one.Least, one.Most = min(one.Least, b.Least), max(one.Most, b.Most)
		}
	}
	return one
}

// firstLate keeps the first attempts that cannot start, after i attempts and the least
// sleeps between them.
func firstLate(never, cutOff, i int, slept time.Duration, spec *engine.Spec) (int, int) {
	if never == 0 && slept >= spec.Deadline {
		never = i + 1
	}
	if cutOff == 0 && spec.AttemptTimeout > 0 && plus(slept, times(spec.AttemptTimeout, i)) >= spec.Deadline {
		cutOff = i + 1
	}
	return never, cutOff
}

// GivenAttempts is the most that a call makes on failures of one class that the policy
// gives.
func (e *Envelope) GivenAttempts() int {
	most := 1
	for _, c := range e.Classes {
		if c.Given {
			most = max(most, c.Attempts)
		}
	}
	return most
}

// mixedLongest bounds a call that meets failures of several classes.
func mixedLongest(e *Envelope, spec *engine.Spec) time.Duration {
	if spec.AttemptTimeout == 0 {
		return spec.Deadline
	}
	total := times(spec.AttemptTimeout, e.MaxAttempts)
	for i := range e.MaxAttempts - 1 {
		var most time.Duration
		for _, c := range e.Classes {
			if c.Hint > 0 {
				return spec.Deadline
			}
			// The i-th sleep may follow other classes' sleeps, which some strategies go by.
			for _, s := range c.Sleeps {
				most = max(most, s.Most)
			}
		}
		if total = plus(total, most); total >= spec.Deadline || i > maxListed {
			return spec.Deadline
		}
	}
	return min(total, spec.Deadline)
}

func classBounds(policy *interp.Policy, spec *engine.Spec, class engine.Class) ClassBounds {
	c := ClassBounds{Class: class, Attempts: 1}
	limit := spec.Classes[class].MaxAttempts
	strategies := strategiesFor(policy, spec, class)
	c.asked = strategies
	retried := false
	for _, s := range strategies {
		c.Strategies = append(c.Strategies, s.Name())
		retried = retried || s.Name() != (engine.StopStrategy{}).Name()
	}
	switch {
	case limit == 1:
		c.Stop = engine.MaxAttemptsPerClass
	case !class.Retryable():
		c.Stop = engine.NonRetryableClass
	case class == engine.Unknown && spec.MaxUnknownAttempts == 1:
		c.Stop = engine.MaxUnknownAttempts
	case spec.MaxAttempts == 1:
		c.Stop = engine.MaxAttemptsGlobal
	case len(strategies) == 0:
		c.Stop = engine.NoStrategy
	case !retried:
		c.Stop = engine.NonRetryableClass
	default:
		c.Attempts, c.Stop = spec.MaxAttempts, engine.MaxAttemptsGlobal
		if limit > 0 && limit <= c.Attempts {
			c.Attempts, c.Stop = limit, engine.MaxAttemptsPerClass
		}
		if class == engine.Unknown && spec.MaxUnknownAttempts < c.Attempts {
			c.Attempts, c.Stop = spec.MaxUnknownAttempts, engine.MaxUnknownAttempts
		}
	}
	c.sleeps(strategies, spec)
	return c
}

// strategiesFor lists the strategies that may be asked for a class: those of select
// rules that can hold for it, and what is asked when none does.
func strategiesFor(policy *interp.Policy, spec *engine.Spec, class engine.Class) []engine.Strategy {
	if !class.Retryable() {
		return nil
	}
	var list []engine.Strategy
	if selectors := policy.Select(); len(selectors) > 0 {
		l := NewList(ScopeOf(policy, []engine.Class{class}), selectors)
		for i := range selectors {
			if !l.Decides(i).Never() {
				list = append(list, spec.Selectable[i])
			}
			if l.HoldsNot(i).Never() {
				return list
			}
		}
	}
	s := spec.Classes[class].Strategy
	if s == nil {
		s = spec.Strategy
	}
	if s != nil {
		list = append(list, s)
	}
	return list
}

// ScopeOf is what is known of what the rules of a policy read. Classes are those that
// select can see; nil stands for all that are retried.
func ScopeOf(policy *interp.Policy, classes []engine.Class) Scope {
	spec := policy.Spec()
	return Scope{Attributes: policy.Attributes(), MaxAttempts: spec.MaxAttempts, Deadline: spec.Deadline, Classes: classes}
}

// sleeps works out the sleeps of a call and what follows from them.
func (c *ClassBounds) sleeps(strategies []engine.Strategy, spec *engine.Spec) {
	var prev Bounds
	var least, most time.Duration // of all sleeps so far
	for i := 1; i < c.Attempts && i <= maxListed; i++ {
		prev = anyOf(strategies, i, prev, spec.Deadline)
		c.Sleeps = append(c.Sleeps, prev)
		least, most = plus(least, prev.Least), plus(most, prev.Most)
		c.NeverStart, c.CutOff = firstLate(c.NeverStart, c.CutOff, i, least, spec)
	}
	for _, s := range strategies {
		c.Hint = max(c.Hint, hintOf(s, spec.Deadline))
	}
	c.Longest = spec.Deadline
	if spec.AttemptTimeout > 0 && c.Attempts <= maxListed && (c.Hint == 0 || c.Attempts == 1) {
		c.Longest = min(plus(most, times(spec.AttemptTimeout, c.Attempts)), spec.Deadline)
	}
}

// bounds asks a strategy for its least and longest sleep after a failure without a
// hint: sleeps go up and down evenly with chance and with the sleep before, so their
// extremes are at the ends of both. ok is false for a strategy that never sleeps.
func bounds(s engine.Strategy, attempt int, prev Bounds, deadline time.Duration) (b Bounds, ok bool) {
	switch s := s.(type) {
	case engine.StopStrategy:
		return b, false
	case engine.RetryAfterOr:
		return bounds(nested(s.Fallback), attempt, prev, deadline)
	case *engine.Adaptive:
		b, ok = bounds(nested(s.Fallback), attempt, prev, deadline)
		low, high := s.MinMultiplier, s.MaxMultiplier
		if low == 0 {
			low = 1
		}
		if high == 0 {
			high = max(5, low)
		}
		return Bounds{scale(b.Least, low), scale(b.Most, high)}, ok
	case engine.DecorrelatedJitter, engine.EqualJitter, engine.TokenBackoff, engine.FullJitter, engine.Exponential, engine.Linear, engine.Constant, engine.Immediate:
		b.Least = math.MaxInt64
		for _, u := range []float64{0, math.Nextafter(1, 0)} {
			for _, p := range []time.Duration{prev.Least, prev.Most} {
				d := s.Delay(engine.DelayInput{Attempt: attempt, U: u, Prev: p, HasPrev: attempt > 1, Remaining: deadline})
				b.Least, b.Most = min(b.Least, d.Sleep), max(b.Most, d.Sleep)
			}
		}
		return b, true
	}
	return Bounds{0, deadline}, true // a function of the program
}

func nested(s engine.Strategy) engine.Strategy {
	if s == nil {
		return engine.DecorrelatedJitter{}
	}
	return s
}

func scale(d time.Duration, by float64) time.Duration {
	if x := float64(d) * by; x < math.MaxInt64 {
		return time.Duration(x)
	}
	return math.MaxInt64
}

// hintOf is the longest hint of a server that a strategy follows.
func hintOf(s engine.Strategy, deadline time.Duration) time.Duration {
	switch s := s.(type) {
	case engine.RetryAfterOr:
		if s.Cap > 0 {
			return min(s.Cap, deadline)
		}
		return deadline
	case *engine.Adaptive:
		return hintOf(nested(s.Fallback), deadline)
	}
	return 0
}

// plus and times stop at the largest duration.
func plus(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func times(d time.Duration, n int) time.Duration {
	if n > 0 && d > math.MaxInt64/time.Duration(n) {
		return math.MaxInt64
	}
	return d * time.Duration(n)
}

// FalseTrips returns the chance that a window of n calls, of which each fails with
// probability p, sees at least k failures: the binomial tail.
func FalseTrips(n int, p float64, k int) float64 {
	switch {
	case k <= 0:
		return 1
	case k > n || p <= 0:
		return 0
	case p >= 1:
		return 1
	}
	// Adding up what does not trip is exact enough for chances that matter.
	sum := 0.0
	for i := range k {
		sum += math.Exp(lchoose(n, i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return max(0, 1-sum)
}

func lchoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}
