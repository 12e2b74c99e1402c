package redress

import (
	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// What a caller meets, under one roof. The engine's documentation says what each may
// be relied upon for.
type (
	// A Policy is what a call runs under; see [Set.Policy].
	Policy = engine.Policy
	// An Error is what Call and Do return when a call failed.
	Error = engine.Error
	// An Outcome is all there is to know of a call.
	Outcome[T any] = engine.Outcome[T]
	// A Future is a call that Go has started.
	Future[T any] = engine.Future[T]
	// A StepState is a call between two steps; it marshals as JSON.
	StepState = engine.StepState

	// A Class says what kind of failure it was.
	Class = engine.Class
	// A StopReason says why a call ended.
	StopReason = engine.StopReason

	// An Option is given with a call, or bound to a policy.
	Option = engine.Option
	// An Observer is told of events.
	Observer = engine.Observer
	// A CallObserver is an observer that is told of the start and the end of calls too.
	CallObserver = engine.CallObserver
	// A SelectiveObserver is told only of the kinds of events that it wants.
	SelectiveObserver = engine.SelectiveObserver
	// ObserverFunc makes an Observer of a function.
	ObserverFunc = engine.ObserverFunc
	// An Event is one thing that happened during a call, or to a live set.
	Event = engine.Event
	// A Reload is what events tell of the reload of a live set.
	Reload = engine.Reload
	// A Strategy says how long to wait before the next attempt.
	Strategy = engine.Strategy
	// A DelayInput is what a strategy may know.
	DelayInput = engine.DelayInput
	// A Delay is a strategy's answer.
	Delay = engine.Delay
	// An Extractor finds the values of err.attr.
	Extractor = engine.Extractor
	// A ResultExtractor finds the values of result.attr.
	ResultExtractor = engine.ResultExtractor
	// A Clock is where a call's time comes from.
	Clock = engine.Clock
	// SleepInfo is what a sleep handler is told.
	SleepInfo = engine.SleepInfo
	// A SleepAction is what a sleep handler answers.
	SleepAction = engine.SleepAction

	// A Diagnostic is one mistake in a document, with its place.
	Diagnostic = dsl.Diagnostic
	// A DocumentError is why a set did not load; it holds every Diagnostic.
	DocumentError = dsl.DocumentError
	// An Origin says in which layer a setting is written, and what it stands over.
	Origin = interp.Origin
)

// The classes. A failure's class is what its policy's rules say.
const (
	ClassAuth        = engine.Auth
	ClassPermission  = engine.Permission
	ClassPermanent   = engine.Permanent
	ClassConcurrency = engine.Concurrency
	ClassRateLimit   = engine.RateLimit
	ClassServerError = engine.ServerError
	ClassTransient   = engine.Transient
	ClassUnknown     = engine.Unknown
)

// The stop reasons, to compare [Error].Reason and [Outcome].Reason with.
const (
	Success             = engine.Success
	MaxAttemptsGlobal   = engine.MaxAttemptsGlobal
	MaxAttemptsPerClass = engine.MaxAttemptsPerClass
	MaxUnknownAttempts  = engine.MaxUnknownAttempts
	DeadlineExceeded    = engine.DeadlineExceeded
	NonRetryableClass   = engine.NonRetryableClass
	NoStrategy          = engine.NoStrategy
	BudgetExhausted     = engine.BudgetExhausted
	CircuitOpen         = engine.CircuitOpen
	Scheduled           = engine.Scheduled
	Aborted             = engine.Aborted
	Canceled            = engine.Canceled
	ReasonNotIdempotent = engine.ReasonNotIdempotent
	ReasonNotReplayable = engine.ReasonNotReplayable
)
