package dsl

import "slices"

// The words of the language. The engine has them too; a test holds both to be equal.
var (
	documentKinds = []string{"Policy", "Classifier", "Budget", "CircuitBreaker", "PolicyTest", "Environment", "Override", "Set"}
	modeNames     = []string{"enforce", "shadow", "off"}
	classNames    = []string{"AUTH", "PERMISSION", "PERMANENT", "CONCURRENCY", "RATE_LIMIT", "SERVER_ERROR", "TRANSIENT", "UNKNOWN"}

	stopReasonNames = []string{"SUCCESS", "MAX_ATTEMPTS_GLOBAL", "MAX_ATTEMPTS_PER_CLASS", "MAX_UNKNOWN_ATTEMPTS", "DEADLINE_EXCEEDED",
		"NON_RETRYABLE_CLASS", "NO_STRATEGY", "BUDGET_EXHAUSTED", "CIRCUIT_OPEN", "SCHEDULED", "ABORTED", "CANCELED",
		"NOT_IDEMPOTENT", "NOT_REPLAYABLE"}

	eventNames = []string{"attempt_start", "attempt_end", "success", "retry", "permanent_fail", "deadline_exceeded", "max_attempts_exceeded",
		"max_unknown_attempts_exceeded", "no_strategy_configured", "budget_exhausted", "scheduled", "aborted", "canceled",
		"circuit_opened", "circuit_half_open", "circuit_closed", "circuit_rejected", "rule_error", "policy_reloaded",
		"policy_reload_failed"}

	kindNames  = []string{"unknown", "http", "grpc", "sql", "redis", "aws", "broker", "net", "dns", "tls", "io", "url", "context", "redress"}
	phaseNames = []string{"unknown", "not_sent", "sent"}
	scopeNames = []string{"local", "fleet"}
	stateNames = []string{"closed", "open", "half_open"}

	strategyNames = []string{"decorrelated_jitter", "equal_jitter", "full_jitter", "exponential", "constant", "linear", "token_backoff",
		"retry_after_or", "adaptive", "immediate", "stop", "func"}
)

// DocumentKinds are the kinds of documents.
func DocumentKinds() []string { return slices.Clone(documentKinds) }

// ModeNames say how far a policy has its way.
func ModeNames() []string { return slices.Clone(modeNames) }

// ClassNames are the classes of failures.
func ClassNames() []string { return slices.Clone(classNames) }

// StopReasonNames are the reasons for which a call ends.
func StopReasonNames() []string { return slices.Clone(stopReasonNames) }

// EventNames are the events of calls and policies.
func EventNames() []string { return slices.Clone(eventNames) }

// KindNames are the members of err.kind.
func KindNames() []string { return slices.Clone(kindNames) }

// PhaseNames are the members of err.phase.
func PhaseNames() []string { return slices.Clone(phaseNames) }

// ScopeNames say to whom a budget or a circuit breaker belongs: this process, or all
// instances that share a store.
func ScopeNames() []string { return slices.Clone(scopeNames) }

// StateNames are the states of circuit breakers.
func StateNames() []string { return slices.Clone(stateNames) }

// StrategyNames are the backoff strategies; func stands for those registered in Go.
func StrategyNames() []string { return slices.Clone(strategyNames) }
