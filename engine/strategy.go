package engine

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// A Strategy says how long to wait before the next attempt. Delay must be safe for
// use by many goroutines. Results below zero count as zero. If Delay panics, the
// call takes the default strategy in its place for that retry, and reports it.
type Strategy interface {
	// Name is the strategy's name in policies ("decorrelated_jitter"); it becomes a label.
	Name() string
	Delay(in DelayInput) Delay
}

// A DelayInput is what a strategy may know.
type DelayInput struct {
	Attempt   int           // the attempt that failed, from 1
	Prev      time.Duration // the last sleep of this call
	HasPrev   bool          // false before the first sleep
	U         float64       // uniform in [0, 1)
	Class     Class
	Hint      time.Duration // what the server asked for
	HasHint   bool
	Remaining time.Duration // until the effective deadline
	Now       time.Time
}

// A Delay is a strategy's answer: a sleep, or a reason not to retry.
type Delay struct {
	Sleep time.Duration
	// Stop is NotStopped to sleep; else NonRetryableClass, DeadlineExceeded or
	// BudgetExhausted. Any other reason is reported and counts as NonRetryableClass.
	Stop StopReason
	Note string // with Stop: why, in words that may be logged
}

// A Learner is a strategy that wants to know how attempts end. [New] finds learners
// in Spec.Strategy, Spec.Classes and Spec.Selectable, nested ones included; each is
// told of every attempt of the policy's calls that succeeded or failed, before the
// sleep after it is chosen. Attempts that were cancelled or aborted are not told.
type Learner interface {
	Strategy
	Learn(now time.Time, ok bool)
}

// Defaults of the strategies' fields.
const (
	DefaultBase     = 250 * time.Millisecond
	DefaultMax      = 30 * time.Second
	DefaultTokenMax = 20 * time.Second // of TokenBackoff
	DefaultStep     = 250 * time.Millisecond
	DefaultFactor   = 2.0
	DefaultJitter   = 250 * time.Millisecond // of RetryAfterOr
)

// None says "none" in a field whose zero value means its default.
const None time.Duration = -1

// DecorrelatedJitter spreads sleeps between Base and three times the last sleep of
// the call: base + u*(3*prev - base), where prev is Base before the first sleep.
type DecorrelatedJitter struct {
	Base time.Duration // 0 means 250ms
	Max  time.Duration // 0 means 30s
}

// EqualJitter keeps half of an exponential backoff and spreads the other half:
// c/2 + u*c/2, where c = min(max, base*2^n).
type EqualJitter struct {
	Base time.Duration // 0 means 250ms
	Max  time.Duration // 0 means 30s
}

// TokenBackoff is EqualJitter with the gentler c = min(max, base*1.5^n).
type TokenBackoff struct {
	Base time.Duration // 0 means 250ms
	Max  time.Duration // 0 means 20s
}

// FullJitter spreads sleeps over a whole exponential backoff: u*min(max, base*2^(n-1)).
type FullJitter struct {
	Base time.Duration // 0 means 250ms
	Max  time.Duration // 0 means 30s
}

// Exponential multiplies: min(max, base*factor^(n-1)), without jitter.
type Exponential struct {
	Base   time.Duration // 0 means 250ms
	Max    time.Duration // 0 means 30s
	Factor float64       // 0 means 2
}

// Linear adds: min(max, base + step*(n-1)), without jitter.
type Linear struct {
	Base time.Duration // 0 means 250ms
	Step time.Duration // 0 means 250ms, None means none
	Max  time.Duration // 0 means 30s
}

// Constant always sleeps Wait.
type Constant struct {
	Wait time.Duration // 0 means that it retries at once
}

// Immediate retries at once.
type Immediate struct{}

// StopStrategy does not retry: the call stops with NON_RETRYABLE_CLASS.
type StopStrategy struct{}

// RetryAfterOr does as the server asked: it sleeps for the hint plus u*Jitter, never
// less than the hint, and asks Fallback when there is no hint. A hint above Cap
// stops the call rather than waiting shorter than the server asked.
type RetryAfterOr struct {
	Fallback Strategy      // nil means DecorrelatedJitter{}
	Jitter   time.Duration // 0 means 250ms, None means none
	Cap      time.Duration // 0 means that any hint is followed
}

// Func makes a strategy of a function, known by name in policies, events and labels.
func Func(name string, delay func(DelayInput) Delay) Strategy {
	return funcStrategy{name, delay}
}

type funcStrategy struct {
	name  string
	delay func(DelayInput) Delay
}

// defaultStrategy is what a policy has that names none, and what takes the place of
// a strategy that panics.
var defaultStrategy Strategy = DecorrelatedJitter{}

// Name returns "decorrelated_jitter".
func (DecorrelatedJitter) Name() string { return "decorrelated_jitter" }

// Name returns "equal_jitter".
func (EqualJitter) Name() string { return "equal_jitter" }

// Name returns "token_backoff".
func (TokenBackoff) Name() string { return "token_backoff" }

// Name returns "full_jitter".
func (FullJitter) Name() string { return "full_jitter" }

// Name returns "exponential".
func (Exponential) Name() string { return "exponential" }

// Name returns "linear".
func (Linear) Name() string { return "linear" }

// Name returns "constant".
func (Constant) Name() string { return "constant" }

// Name returns "immediate".
func (Immediate) Name() string { return "immediate" }

// Name returns "stop".
func (StopStrategy) Name() string { return "stop" }

// Name returns "retry_after_or".
func (RetryAfterOr) Name() string { return "retry_after_or" }

// Name returns the name given to Func.
func (s funcStrategy) Name() string { return s.name }

// Delay implements Strategy.
func (s DecorrelatedJitter) Delay(in DelayInput) Delay {
	base, limit := or(s.Base, DefaultBase), or(s.Max, DefaultMax)
	prev := base
	if in.HasPrev {
		prev = in.Prev
	}
	return Delay{Sleep: bound(float64(base)+float64(in.U*(float64(3*float64(prev))-float64(base))), limit)}
}

// Delay implements Strategy.
func (s EqualJitter) Delay(in DelayInput) Delay {
	return Delay{Sleep: halfJitter(or(s.Base, DefaultBase), or(s.Max, DefaultMax), 2, in)}
}

// Delay implements Strategy.
func (s TokenBackoff) Delay(in DelayInput) Delay {
	return Delay{Sleep: halfJitter(or(s.Base, DefaultBase), or(s.Max, DefaultTokenMax), 1.5, in)}
}

func halfJitter(base, limit time.Duration, factor float64, in DelayInput) time.Duration {
	c := float64(grow(base, factor, in.Attempt, limit))
	return bound(c/2+float64(in.U*c/2), limit)
}

// Delay implements Strategy.
func (s FullJitter) Delay(in DelayInput) Delay {
	limit := or(s.Max, DefaultMax)
	return Delay{Sleep: bound(in.U*float64(grow(or(s.Base, DefaultBase), 2, in.Attempt-1, limit)), limit)}
}

// Delay implements Strategy.
func (s Exponential) Delay(in DelayInput) Delay {
	factor := s.Factor
	if factor == 0 {
		factor = DefaultFactor
	}
	return Delay{Sleep: grow(or(s.Base, DefaultBase), factor, in.Attempt-1, or(s.Max, DefaultMax))}
}

// Delay implements Strategy.
func (s Linear) Delay(in DelayInput) Delay {
	base, step := or(s.Base, DefaultBase), orNone(s.Step, DefaultStep)
	return Delay{Sleep: bound(float64(base)+float64(float64(step)*float64(in.Attempt-1)), or(s.Max, DefaultMax))}
}

// Delay implements Strategy.
func (s Constant) Delay(DelayInput) Delay { return Delay{Sleep: max(s.Wait, 0)} }

// Delay implements Strategy.
func (Immediate) Delay(DelayInput) Delay { return Delay{} }

// Delay implements Strategy.
func (StopStrategy) Delay(DelayInput) Delay {
	return Delay{Stop: NonRetryableClass, Note: "the strategy is stop"}
}

// Delay implements Strategy.
func (s RetryAfterOr) Delay(in DelayInput) Delay {
	if !in.HasHint {
		return s.nested().Delay(in)
	}
	if s.Cap > 0 && in.Hint > s.Cap {
		stop := NonRetryableClass
		if in.Hint >= in.Remaining {
			stop = DeadlineExceeded
		}
		return Delay{Stop: stop, Note: fmt.Sprintf("the server asked for %v, which is above the cap of %v", in.Hint, s.Cap)}
	}
	hint := max(in.Hint, 0)
	jitter := bound(in.U*float64(orNone(s.Jitter, DefaultJitter)), math.MaxInt64)
	return Delay{Sleep: hint + min(jitter, math.MaxInt64-hint)}
}

// Delay calls the function.
func (s funcStrategy) Delay(in DelayInput) Delay { return s.delay(in) }

// Products are converted to float64 before they are added, here and above: that keeps
// the compiler from fusing the two, and results the same on every machine.

// grow returns min(limit, base*factor^n), and limit where that cannot be computed.
func grow(base time.Duration, factor float64, n int, limit time.Duration) time.Duration {
	return bound(float64(base)*math.Pow(factor, float64(n)), limit)
}

// bound turns nanoseconds into a duration in [0, limit]. What is not a number, or
// infinite, becomes limit: waiting long is the safe mistake.
func bound(ns float64, limit time.Duration) time.Duration {
	switch {
	case math.IsNaN(ns), math.IsInf(ns, 0), ns >= float64(limit):
		return max(limit, 0)
	case ns <= 0:
		return 0
	}
	return time.Duration(ns)
}

// or returns d, or the default if d is zero.
func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// orNone is or for fields where None means zero.
func orNone(d, otherwise time.Duration) time.Duration {
	if d == None {
		return 0
	}
	return or(d, otherwise)
}

// A nesting strategy has another one inside.
type nesting interface{ nested() Strategy }

func (s RetryAfterOr) nested() Strategy {
	if s.Fallback == nil {
		return defaultStrategy
	}
	return s.Fallback
}

// checkStrategy says what is wrong with a strategy of this package, and with those
// nested in it; strategies of others check themselves.
func checkStrategy(s Strategy) error { return checkNested(s, 0) }

// maxNesting is how many strategies may be nested in one another.
const maxNesting = 8

func checkNested(s Strategy, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("strategies are nested more than %d deep", maxNesting)
	}
	var wrong []error
	if v, ok := s.(interface{ check() error }); ok {
		if err := v.check(); err != nil {
			wrong = append(wrong, err)
		}
	}
	if n, ok := s.(nesting); ok {
		if err := checkNested(n.nested(), depth+1); err != nil {
			wrong = append(wrong, fmt.Errorf("in Fallback: %w", err))
		}
	}
	return errors.Join(wrong...)
}

func (s DecorrelatedJitter) check() error {
	return notNegative(field{"Base", s.Base}, field{"Max", s.Max})
}
func (s EqualJitter) check() error  { return notNegative(field{"Base", s.Base}, field{"Max", s.Max}) }
func (s TokenBackoff) check() error { return notNegative(field{"Base", s.Base}, field{"Max", s.Max}) }
func (s FullJitter) check() error   { return notNegative(field{"Base", s.Base}, field{"Max", s.Max}) }
func (s Constant) check() error     { return notNegative(field{"Wait", s.Wait}) }

func (s Linear) check() error {
	return notNegative(field{"Base", s.Base}, field{"Max", s.Max}, field{"Step", orNone(s.Step, 0)})
}

func (s RetryAfterOr) check() error {
	return notNegative(field{"Jitter", orNone(s.Jitter, 0)}, field{"Cap", s.Cap})
}

func (s Exponential) check() error {
	err := notNegative(field{"Base", s.Base}, field{"Max", s.Max})
	if s.Factor != 0 && (!(s.Factor > 0) || math.IsInf(s.Factor, 0)) {
		err = errors.Join(err, fmt.Errorf("%s is %v, must be a number above zero", "Factor", s.Factor))
	}
	return err
}

func (s funcStrategy) check() error {
	var wrong []error
	if s.name == "" {
		wrong = append(wrong, errors.New("the strategy function has no name"))
	}
	if s.delay == nil {
		wrong = append(wrong, fmt.Errorf("strategy function %q is nil", s.name))
	}
	return errors.Join(wrong...)
}

// A field is a duration and the name by which errors call it.
type field struct {
	name  string
	value time.Duration
}

func notNegative(fields ...field) error {
	var wrong []error
	for _, f := range fields {
		if f.value < 0 {
			wrong = append(wrong, fmt.Errorf("%s is %v, must not be negative", f.name, f.value))
		}
	}
	return errors.Join(wrong...)
}
