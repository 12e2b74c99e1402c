// Package ir is what a checked set of policies comes to, as plain data: the one form
// between what is written and what runs. Package interp makes it of documents, a bundle
// stores it, and Build makes engine policies of it. It needs the engine and the standard
// library only.
package ir

import (
	"time"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

// A Set is policies in the order of their documents. Policies that share a breaker or a
// budget point to the same one.
type Set struct {
	Policies       []*Policy
	FallbackPolicy string // one of them, under which calls of removed policies run; empty without
}

// A Policy is one policy. Zero fields mean what they mean in [engine.Spec].
type Policy struct {
	Name               string
	Revision           string
	Mode               engine.Mode
	Operations         []string
	Deadline           time.Duration
	AttemptTimeout     time.Duration
	MaxAttempts        int
	MaxUnknownAttempts int
	DefaultClass       engine.Class
	Strategy           *Strategy // nil without
	Classes            []Class
	Classify           *List
	ClassifyResult     *List
	Select             *List
	Selected           []*Strategy // of the rules of Select, one for each
	Breaker            *Breaker    // nil without
	Budget             *Budget     // nil without
}

// A Class is what a policy says of one class.
type Class struct {
	Class       engine.Class
	Strategy    *Strategy // nil without
	MaxAttempts int
}

// A Strategy is a strategy by its name in policies. Fields that it does not have are zero.
type Strategy struct {
	Kind          string
	Base          time.Duration
	Max           time.Duration
	Step          time.Duration
	Delay         time.Duration
	Jitter        time.Duration
	Cap           time.Duration
	Window        time.Duration
	Factor        float64
	TargetSuccess float64
	MinMultiplier float64
	MaxMultiplier float64
	Func          string    // the name that Go code registers
	Fallback      *Strategy // nil without
}

// A Breaker is a circuit breaker.
type Breaker struct {
	Name             string
	FailureThreshold int
	Window           time.Duration
	RecoveryTimeout  time.Duration
	ProbeTimeout     time.Duration
	TripOn           []engine.Class
	ClassThresholds  []Threshold
	Fleet            bool // scope: fleet
}

// A Threshold is how many failures of a class open a breaker.
type Threshold struct {
	Class engine.Class
	Calls int
}

// A Budget is a retry budget.
type Budget struct {
	Name       string
	MaxRetries int
	Window     time.Duration
	Fleet      bool // scope: fleet
}

// A Rule is one rule of classify, classify_result or select. Lists may share it.
type Rule struct {
	ID         string
	Class      engine.Class // NoClass in select
	When       *cond.Expr
	RetryAfter *cond.Expr // nil without
	Place      Place      // where it is written; zero if that is not kept

	// CEL evaluates the rule where Go functions cannot be made of it; nil in a bundle.
	CEL Evaluator

	compiled compiledRule
}

// A Place is a line of a file, from 1, and a column in code points.
type Place struct {
	File         string
	Line, Column int
}

// An Evaluator evaluates the expressions of one rule.
type Evaluator interface {
	When(*engine.Input) (bool, error)
	RetryAfter(*engine.Input) (time.Duration, error)
	Always() bool // also where Go functions can be made of them
}
