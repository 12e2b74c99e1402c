package dsl

import (
	"iter"
	"time"
)

// A Value is something written in a document: what was decoded, and where it
// stands. Set is false, and Range is zero, when the document does not say.
type Value[T any] struct {
	Range Range
	V     T
	Set   bool
}

// An Expr is a CEL expression as written, with the place of every character.
type Expr struct {
	Range Range  // of the scalar, quotes and indicators included
	Text  string // decoded: what CEL sees; leading and trailing space trimmed
	Set   bool
	spans []span // of each character of Text; nil if they are not known
	// verbatim is where Text stands if the file has it as it is, in characters of one byte;
	// 0 if not. Then spans are not needed.
	verbatim int
}

// A File is one source with the documents that it holds, in order.
type File struct {
	Source    *Source
	Documents []*Document
}

// A Document is one YAML document: its header, and exactly one of the bodies,
// according to Kind. Bodies of documents whose kind is unknown are all nil.
type Document struct {
	Source     *Source
	Range      Range // from the first key to the end of the last value
	APIVersion Value[string]
	Kind       Value[string] // "Policy", "Classifier", "Budget", "CircuitBreaker", "PolicyTest", "Environment", "Override", "Set"
	Name       Value[string] // optional for PolicyTest

	Policy     *Policy
	Classifier *Classifier
	Budget     *Budget
	Breaker    *CircuitBreaker
	Test       *PolicyTest

	Environment *Environment
	Override    *Override
	Settings    *Settings

	// Over are the documents of lower layers in whose place this one stands, the highest
	// first.
	Over []*Document

	root *node
}

// A Policy is the body of a `kind: Policy` document.
type Policy struct {
	Description Value[string]
	Owner       Value[string]
	Mode        Value[string] // "enforce", "shadow" or "off"
	Operations  Value[[]Value[string]]
	Calls       Value[[]Value[string]] // policies under which its operations make calls

	Attributes []Attribute
	Vars       []Var

	Classify       []Rule
	DefaultClass   Value[string]
	ClassifyResult []Rule

	Retry          Retry
	CircuitBreaker Ref[CircuitBreaker]

	Guarantees Guarantees
	Assume     Assumptions
}

// Guarantees are what a policy promises; the linter proves or refutes them. They
// change nothing about calls.
type Guarantees struct {
	Range            Range
	Set              bool
	MaxDuration      Value[time.Duration] // of a call, all attempts and sleeps
	MaxAttempts      Value[int]           // of a call
	MaxAmplification Value[int]           // attempts at the far end of calls for one call here
}

// Assumptions are what is known of how a policy is used, for the linter's arithmetic.
// They change nothing about calls.
type Assumptions struct {
	Range          Range
	Set            bool
	Rate           Value[float64]       // calls per second of one instance
	Instances      Value[int]           // of the program
	Latency        Value[time.Duration] // of a typical attempt
	BaselineErrors Value[float64]       // fraction of calls that fail when all is well
	Utilisation    Value[float64]       // of the dependency when all is well: 0.7 is 70 % busy
	Idempotent     Value[bool]          // false: its operations must not be made twice
}

// An Environment is a set of assumptions for several policies: the body of a
// `kind: Environment` document.
type Environment struct {
	Description Value[string]
	Assume      Assumptions // for every policy
	Policies    []PolicyAssumptions
}

// An Override changes a policy for a time: the body of a `kind: Override` document.
type Override struct {
	Description Value[string]
	Policy      Value[string]    // whose
	Expires     Value[time.Time] // at the end of this day, UTC, or at this time
	Set         Overridden
}

// Overridden are the settings that an Override may change.
type Overridden struct {
	Range              Range
	Set                bool
	Mode               Value[string]
	Deadline           Value[time.Duration]
	AttemptTimeout     Value[time.Duration]
	MaxAttempts        Value[int]
	MaxUnknownAttempts Value[int]
}

// Settings are what a set says of itself: the body of a `kind: Set` document.
type Settings struct {
	Description    Value[string]
	FallbackPolicy Value[string] // under which calls run whose own policy a reload has removed
}

// PolicyAssumptions are an environment's assumptions for one policy.
type PolicyAssumptions struct {
	Policy Value[string]
	Assume Assumptions
}

// A Classifier is a rule pack: the body of a `kind: Classifier` document. It may
// declare attributes and vars of its own, which its rules alone see.
type Classifier struct {
	Description    Value[string]
	Attributes     []Attribute
	Vars           []Var
	Classify       []Rule
	ClassifyResult []Rule
}

// An Attribute is one declared `err.attr` or `result.attr` field.
type Attribute struct {
	Name Value[string]
	Type Value[string] // string, int, double, bool, duration, list(string), map(string, string)
}

// A Var is a named sub-expression.
type Var struct {
	Name Value[string]
	Expr Expr
}

// A Rule is one entry of classify or classify_result: either a rule (ID, When,
// Class, perhaps RetryAfter) or a splice (Use).
type Rule struct {
	Range      Range
	ID         Value[string]
	When       Expr
	Class      Value[string]
	RetryAfter Expr
	Use        Value[string] // "std.http" or the name of a Classifier document
}

// A Retry is a policy's `retry` mapping.
type Retry struct {
	Range              Range
	Set                bool
	Deadline           Value[time.Duration]
	AttemptTimeout     Value[time.Duration]
	MaxAttempts        Value[int]
	MaxUnknownAttempts Value[int]
	Strategy           *Strategy // nil when not written
	Select             []Selection
	Classes            []ClassRetry
	Budget             Ref[Budget]
}

// A Selection is one entry of `retry.select`.
type Selection struct {
	Range    Range
	ID       Value[string]
	When     Expr
	Strategy *Strategy
}

// A ClassRetry is one entry of `retry.classes`.
type ClassRetry struct {
	Class       Value[string]
	Strategy    *Strategy
	MaxAttempts Value[int]
}

// A Strategy is a backoff strategy as written: a bare name or a mapping with one
// strategy name as key. Parameters that do not belong to the strategy are
// reported by Parse and left out.
type Strategy struct {
	Range Range
	Name  Value[string] // "decorrelated_jitter", ..., or "func" for a Go function registered by name

	Base          Value[time.Duration]
	Max           Value[time.Duration]
	Delay         Value[time.Duration] // constant
	Step          Value[time.Duration] // linear
	Factor        Value[float64]       // exponential
	Jitter        Value[time.Duration] // retry_after_or
	Cap           Value[time.Duration] // retry_after_or
	Window        Value[time.Duration] // adaptive
	TargetSuccess Value[float64]       // adaptive
	MinMultiplier Value[float64]       // adaptive
	MaxMultiplier Value[float64]       // adaptive
	Func          Value[string]        // func: the registered name
	Fallback      *Strategy            // retry_after_or and adaptive; nil means their default
}

// A Ref is either the name of a document or the same thing written inline.
type Ref[T any] struct {
	Range  Range
	Set    bool
	Name   Value[string]
	Inline *T
}

// A Budget is the body of a `kind: Budget` document, or inline in a policy.
type Budget struct {
	Description Value[string]
	MaxRetries  Value[int]
	Window      Value[time.Duration]
	Scope       Value[string] // "local" or "fleet"; of documents only
}

// A CircuitBreaker is the body of a `kind: CircuitBreaker` document, or inline.
type CircuitBreaker struct {
	Description      Value[string]
	FailureThreshold Value[int]
	Window           Value[time.Duration]
	RecoveryTimeout  Value[time.Duration]
	ProbeTimeout     Value[time.Duration]
	TripOn           Value[[]Value[string]]
	ClassThresholds  []ClassThreshold
	Scope            Value[string] // "local" or "fleet"; of documents only
}

// A ClassThreshold is one entry of class_thresholds.
type ClassThreshold struct {
	Class     Value[string]
	Threshold Value[int]
}

// A PolicyTest is the body of a `kind: PolicyTest` document.
type PolicyTest struct {
	Description Value[string]
	Policy      Value[string]
	Cases       []Case
	Scenarios   []Scenario
}

// A Record is a failure or result record as written in a test.
type Record struct {
	Range      Range
	Set        bool
	Status     Value[int]
	Code       Value[string]
	Kind       Value[string]
	Message    Value[string]
	Type       Value[string]
	Timeout    Value[bool]
	RetryAfter Value[time.Duration]
	Headers    []Header
	Phase      Value[string]
	Marker     Value[string]
	Causes     []Record
	Attributes []AttributeValue
}

// A Header is one header of a record.
type Header struct{ Name, Value Value[string] }

// An AttributeValue is one attribute of a record: a string, int64, float64, bool,
// []string or map[string]string, as YAML wrote it. A duration is a string here.
type AttributeValue struct {
	Name  Value[string]
	Value Value[any]
}

// A Case tests classification alone. Exactly one of Err, Result, Each and
// EachResult is set.
type Case struct {
	Range      Range
	Name       Value[string]
	Err        Record
	Result     Record
	Each       []Record
	EachResult []Record

	// What rules may read beside the record; unset means attempt 1, elapsed 0,
	// the policy's whole deadline, idempotent.
	Operation  Value[string]
	Attempt    Value[int]
	Elapsed    Value[time.Duration]
	Remaining  Value[time.Duration]
	Idempotent Value[bool]

	Expect CaseExpectation
}

// A CaseExpectation is what a case expects; unset fields are not checked.
type CaseExpectation struct {
	Range      Range
	Rule       Value[string] // id of the rule that decides the class, or of the select rule that chooses the strategy; "default" when no rule holds
	Class      Value[string]
	RetryAfter Value[time.Duration]
	Strategy   Value[string] // name of the strategy that would be chosen, "none" when there is none
	Select     Value[string] // id of the select rule
	Matched    Value[bool]   // result cases: whether a rule recognised the result
	RuleErrors Value[int]
}

// A Scenario is one or several calls in virtual time, on fresh breakers and budgets.
type Scenario struct {
	Range Range
	Name  Value[string]
	Seed  Value[int]
	Calls []ScenarioCall
}

// A ScenarioCall is one call, repeated Repeat times (once when unset).
type ScenarioCall struct {
	Range      Range
	At         Value[time.Duration] // virtual start, from the start of the scenario
	Repeat     Value[int]
	Outcomes   []AttemptOutcome
	Operation  Value[string]
	Idempotent Value[bool]
	Replayable Value[bool]
	Deadline   Value[time.Duration] // the caller's context deadline, from the call's start
	CancelAt   Value[time.Duration] // the caller cancels, from the call's start
	AbortAt    Value[time.Duration] // the abort function says so from then on
	Defer      Value[bool]          // the sleep handler defers instead of sleeping
	Expect     CallExpectation
}

// An AttemptOutcome is one entry of outcomes: a word ("ok", "panic", "abort"), or
// a failure record with `after`, or `{result: {...}, after: ...}`, or `{ok: true, after: ...}`.
type AttemptOutcome struct {
	Range  Range
	Word   Value[string] // "ok", "panic", "abort"
	Err    Record
	Result Record
	After  Value[time.Duration]
}

// A CallExpectation is what a call expects; unset fields are not checked.
type CallExpectation struct {
	Range      Range
	OK         Value[bool]
	Attempts   Value[int]
	StopReason Value[string]
	Class      Value[string]
	Rule       Value[string]
	Cause      Value[string]
	Slept      Bounds
	Elapsed    Bounds
	NextDelay  Bounds
	Events     Value[[]Value[string]]
	Breaker    Value[string] // its state after the call: closed, open, half_open
	RuleErrors Value[int]
}

// Bounds is `{min: .., max: ..}` or one exact duration (then Min and Max are the same).
type Bounds struct {
	Range Range
	Set   bool
	Min   Value[time.Duration]
	Max   Value[time.Duration]
}

// A Reference names a document.
type Reference struct{ Kind, Name string }

// Uses lists the documents from which d takes what it says: classifiers, budget, breaker.
// What is written inline is not among them; what does not exist is.
func (d *Document) Uses() []Reference {
	var list []Reference
	add := func(kind string, name Value[string]) {
		if name.Set {
			list = append(list, Reference{kind, name.V})
		}
	}
	splices := func(lists ...[]Rule) {
		for _, rules := range lists {
			for _, r := range rules {
				add("Classifier", r.Use)
			}
		}
	}
	switch {
	case d.Policy != nil:
		splices(d.Policy.Classify, d.Policy.ClassifyResult)
		add("Budget", d.Policy.Retry.Budget.Name)
		add("CircuitBreaker", d.Policy.CircuitBreaker.Name)
	case d.Classifier != nil:
		splices(d.Classifier.Classify, d.Classifier.ClassifyResult)
	}
	return list
}

// Shared reports whether d is of a kind that other documents use.
func (d *Document) Shared() bool { return d.Classifier != nil || d.Budget != nil || d.Breaker != nil }

// A Set is all documents of a folder (or of any file system), with names unique
// in their kind.
type Set struct {
	Files []*File

	// A set may be one part of a larger set.
	Library []*Document // of other parts, to which documents of Files refer
	Whole   Names       // of the larger set; nil for a set that is no part
}

// Names are the names of documents by kind, in the order of the documents.
type Names map[string][]string

// All yields the documents of the set, files in path order.
func (s *Set) All() iter.Seq[*Document] {
	return func(yield func(*Document) bool) {
		for _, f := range s.Files {
			for _, d := range f.Documents {
				if !yield(d) {
					return
				}
			}
		}
	}
}

// Find returns the document of that kind and name, or nil. Where a name is (wrongly)
// given twice, the first counts. Documents of the library are found too.
func (s *Set) Find(kind, name string) *Document {
	for d := range s.All() {
		if d.Kind.V == kind && d.Name.V == name {
			return d
		}
	}
	for _, d := range s.Library {
		if d.Kind.V == kind && d.Name.V == name {
			return d
		}
	}
	return nil
}

// Names returns the names of the documents of a kind, those of other parts included.
func (s *Set) Names(kind string) []string {
	if s.Whole != nil {
		return s.Whole[kind]
	}
	var list []string
	for d := range s.All() {
		if d.Kind.V == kind && d.Name.V != "" {
			list = append(list, d.Name.V)
		}
	}
	return list
}
