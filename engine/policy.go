package engine

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
	"time"
)

// What a policy has where its Spec says nothing.
const (
	DefaultDeadline           = 60 * time.Second
	DefaultMaxAttempts        = 6
	DefaultMaxUnknownAttempts = 2
)

// A Spec is what a policy is made of. Zero fields have the documented default, so
// that Spec{Name: "x"} is already bounded; values that make no sense are refused by
// [New], never clamped.
type Spec struct {
	Name       string   // required
	Revision   string   // shown in outcomes, errors and events; any text
	Operations []string // patterns of the operations it governs; only reported

	Mode Mode // Enforce unless it says otherwise

	Deadline           time.Duration // all attempts and all sleeps; 0 means 60s
	AttemptTimeout     time.Duration // each attempt; 0 means none but the deadline
	MaxAttempts        int           // the first call counts; 0 means 6
	MaxUnknownAttempts int           // 0 means 2; 1 means that UNKNOWN is never retried

	// Strategy is the default. If it is nil and no class has a strategy, it is
	// decorrelated jitter with base 250ms and max 30s; if it is nil and some class
	// has one, classes without a strategy stop with NO_STRATEGY.
	Strategy Strategy
	Classes  map[Class]ClassSpec

	// Classify names the class of a failed attempt; nil means that only markers
	// classify. When no rule holds, a marker decides, and without one DefaultClass;
	// NoClass means UNKNOWN.
	Classify     ClassifyFunc
	DefaultClass Class
	// ClassifyResult looks at the results of calls that returned no error; nil
	// means that every result is a success.
	ClassifyResult ClassifyFunc
	// Select picks a strategy before Classes and Strategy are asked; may be nil.
	Select SelectFunc
	// Selectable lists the strategies that Select may pick, so that New can check them
	// and those that learn are told of attempts.
	Selectable []Strategy

	// Lazy says that Classify, ClassifyResult and Select ask for the fields of a record
	// with [Failure.Need] before they read them.
	Lazy bool
	// SilentResult reports whether ClassifyResult would say nothing of any result with
	// that status, so that it need not be asked; nil means that it always is.
	SilentResult func(status int) bool

	Budget   *Budget  // nil means none
	Breaker  *Breaker // nil means none
	Observer Observer // told of every call's events; nil means none

	// Attributes extracts err.attr values from errors, ResultAttributes those of
	// result.attr from results; both may be nil.
	Attributes       Extractor
	ResultAttributes ResultExtractor
}

// A ClassSpec is what a policy says of one class.
type ClassSpec struct {
	Strategy    Strategy // nil means the policy's
	MaxAttempts int      // the n-th failure of the class stops the call; 0 means no cap of its own, 1 never retried
}

// An Input is what a rule may know of the failure and of the call. It is valid
// during the call of the function it is handed to and must not be kept.
type Input struct {
	Failure    *Failure // of the attempt; for result rules, the record of the result
	Operation  string
	Attempt    int           // the attempt that just ended, from 1
	Elapsed    time.Duration // since the call began
	Remaining  time.Duration // until the effective deadline
	Idempotent bool

	// For select only: what classification said.
	Class         Class
	ClassAttempt  int // failures of this class in this call, this one included
	RetryAfter    time.Duration
	HasRetryAfter bool

	Scratch Scratch
}

// Scratch is for the function that an Input is handed to, while it runs: what it notes
// there it need not allocate. What it finds there means nothing.
type Scratch struct {
	Cause *CauseRecord
	Words [4]uint64
	Memo  any
}

// A Verdict is what the rules said of a failure. The zero Verdict means that no
// rule held.
type Verdict struct {
	Class         Class  // NoClass when no rule held
	Rule          string // id of the rule that held
	RetryAfter    time.Duration
	HasRetryAfter bool
	_             [2]bool     // what has an array is returned in memory: taken apart into registers and put together it takes longer
	Errors        []RuleError // rules that erred before a decision was reached
}

// A RuleError is a rule that could not be evaluated. Such a rule does not match.
type RuleError struct {
	Rule string
	Err  error
}

// A ClassifyFunc names the class of a failure, or says that no rule held. It must
// be pure and safe for use by many goroutines. If it panics, no rule held.
type ClassifyFunc func(in *Input) Verdict

// A Selection is what strategy selection said. The zero Selection means that no
// select rule held.
type Selection struct {
	Strategy Strategy // nil when no rule held
	Rule     string   // id of the select rule
	Errors   []RuleError
}

// A SelectFunc picks a strategy for a classified failure. It must be pure and
// safe for use by many goroutines. If it panics, no rule held.
type SelectFunc func(in *Input) Selection

// A Policy is a handle on a checked [Spec]. It is safe for use by many goroutines; what
// its calls share (breaker, budget, adaptive strategies, counters) guards itself. What
// stands behind a handle changes only if the policy belongs to a [Live], and never
// during a call: a call finishes on the revision that it began with.
type Policy struct {
	name     string
	current  *atomic.Pointer[revision] // the same for all handles of the policy
	settings settings                  // of Bind
}

// A revision is what a policy is made of. It is immutable.
type revision struct {
	spec       Spec // complete; its maps and slices are the revision's own
	strategies [classCount]Strategy
	caps       [classCount]int // 0: none
	learners   []Learner
	counters   *counters
	removed    *revision              // the last of its own, if the policy has been removed; else nil
	refusal    *atomic.Pointer[Error] // what calls refused by the breaker were last given
}

// New checks a spec and makes a policy of it. The error names every field that is
// wrong.
func New(spec Spec) (*Policy, error) {
	if err := spec.check(); err != nil {
		return nil, fmt.Errorf("engine: policy %q: %w", spec.Name, err)
	}
	p := &Policy{name: spec.Name, current: &atomic.Pointer[revision]{}}
	p.current.Store(newRevision(spec.complete()))
	return p, nil
}

func newRevision(spec Spec) *revision {
	r := &revision{spec: spec, counters: &counters{}, refusal: &atomic.Pointer[Error]{}}
	for class := range r.strategies {
		r.strategies[class] = spec.Strategy
	}
	for class, c := range spec.Classes {
		r.caps[class] = c.MaxAttempts
		if c.Strategy != nil {
			r.strategies[class] = c.Strategy
		}
	}
	for _, s := range spec.allStrategies() {
		r.learners = appendLearners(r.learners, s)
	}
	return r
}

// Bind returns a handle on the same policy with options fixed, for many calls: those
// given with a call come after these and win. Handles share everything.
func (p *Policy) Bind(opts ...Option) *Policy {
	bound := *p
	bound.settings.apply(opts)
	return &bound
}

// Name returns the policy's name.
func (p *Policy) Name() string { return p.name }

// Revision returns the text given as the policy's revision.
func (p *Policy) Revision() string { return p.current.Load().spec.Revision }

// Operations returns the patterns of the operations that the policy governs.
func (p *Policy) Operations() []string { return slices.Clone(p.current.Load().spec.Operations) }

// Deadline returns how long a call may take, all attempts and sleeps included.
func (p *Policy) Deadline() time.Duration { return p.current.Load().spec.Deadline }

// Breaker returns the policy's breaker, nil if it has none.
func (p *Policy) Breaker() *Breaker { return p.current.Load().spec.Breaker }

// Budget returns the policy's budget, nil if it has none.
func (p *Policy) Budget() *Budget { return p.current.Load().spec.Budget }

// Spec returns what the policy is made of, defaults filled in.
func (p *Policy) Spec() Spec { return p.current.Load().spec.cloned() }

func (s Spec) check() error {
	wrong := []error{notNegative(field{"Deadline", s.Deadline}, field{"AttemptTimeout", s.AttemptTimeout})}
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if s.Name == "" {
		add("Name is empty")
	}
	if s.Mode >= modeCount {
		add("Mode is %v, which is none", s.Mode)
	}
	if s.MaxAttempts < 0 {
		add("MaxAttempts is %d, must be at least 1", s.MaxAttempts)
	}
	if s.MaxUnknownAttempts < 0 {
		add("MaxUnknownAttempts is %d, must be at least 1", s.MaxUnknownAttempts)
	}
	if s.DefaultClass != NoClass && !s.DefaultClass.valid() {
		add("DefaultClass is %v, which is not a class", s.DefaultClass)
	}
	if err := checkStrategy(s.Strategy); err != nil {
		add("Strategy: %w", err)
	}
	for _, class := range slices.Sorted(maps.Keys(s.Classes)) {
		c := s.Classes[class]
		if !class.valid() {
			add("Classes holds %v, which is not a class", class)
		}
		if c.MaxAttempts < 0 {
			add("Classes[%v].MaxAttempts is %d, must not be negative", class, c.MaxAttempts)
		}
		if err := checkStrategy(c.Strategy); err != nil {
			add("Classes[%v].Strategy: %w", class, err)
		}
	}
	for i, selectable := range s.Selectable {
		if selectable == nil {
			add("Selectable[%d] is nil", i)
		}
		if err := checkStrategy(selectable); err != nil {
			add("Selectable[%d]: %w", i, err)
		}
	}
	return errors.Join(wrong...)
}

func (s Spec) complete() Spec {
	s = s.cloned()
	s.Deadline = or(s.Deadline, DefaultDeadline)
	if s.MaxAttempts == 0 {
		s.MaxAttempts = DefaultMaxAttempts
	}
	if s.MaxUnknownAttempts == 0 {
		s.MaxUnknownAttempts = DefaultMaxUnknownAttempts
	}
	if s.DefaultClass == NoClass {
		s.DefaultClass = Unknown
	}
	if s.Strategy == nil && !s.anyClassStrategy() {
		s.Strategy = defaultStrategy
	}
	return s
}

func (s Spec) cloned() Spec {
	s.Operations = slices.Clone(s.Operations)
	s.Classes = maps.Clone(s.Classes)
	s.Selectable = slices.Clone(s.Selectable)
	return s
}

func (s Spec) anyClassStrategy() bool {
	for _, c := range s.Classes {
		if c.Strategy != nil {
			return true
		}
	}
	return false
}

// allStrategies returns the strategies in a fixed order, nil ones left out.
func (s Spec) allStrategies() []Strategy {
	var all []Strategy
	add := func(strategy Strategy) {
		if strategy != nil {
			all = append(all, strategy)
		}
	}
	add(s.Strategy)
	for _, class := range slices.Sorted(maps.Keys(s.Classes)) {
		add(s.Classes[class].Strategy)
	}
	for _, selectable := range s.Selectable {
		add(selectable)
	}
	return all
}

// appendLearners adds s and what is nested in it, each learner once.
func appendLearners(learners []Learner, s Strategy) []Learner {
	if l, ok := s.(Learner); ok && !slices.ContainsFunc(learners, func(other Learner) bool { return sameLearner(l, other) }) {
		learners = append(learners, l)
	}
	if n, ok := s.(nesting); ok {
		return appendLearners(learners, n.nested())
	}
	return learners
}

// sameLearner compares without panicking on values that cannot be compared.
func sameLearner(a, b Learner) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}
