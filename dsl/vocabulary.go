package dsl

// The words of the language. The engine has them too; a test holds both to be equal.

// DocumentKinds are the kinds of documents.
func DocumentKinds() []string {
	return []string{"Policy", "Classifier", "Budget", "CircuitBreaker", "PolicyTest", "Environment", "Override", "Set"}
}

// ModeNames say how far a policy has its way.
func ModeNames() []string { return []string{"enforce", "shadow", "off"} }

// ClassNames are the classes of failures.
func ClassNames() []string {
	return []string{"AUTH", "PERMISSION", "PERMANENT", "CONCURRENCY", "RATE_LIMIT", "SERVER_ERROR", "TRANSIENT", "UNKNOWN"}
}

// StopReasonNames are the reasons for which a call ends.
func StopReasonNames() []string {
	return []string{"SUCCESS", "MAX_ATTEMPTS_GLOBAL", "MAX_ATTEMPTS_PER_CLASS", "MAX_UNKNOWN_ATTEMPTS", "DEADLINE_EXCEEDED",
		"NON_RETRYABLE_CLASS", "NO_STRATEGY", "BUDGET_EXHAUSTED", "CIRCUIT_OPEN", "SCHEDULED", "ABORTED", "CANCELED",
		"NOT_IDEMPOTENT", "NOT_REPLAYABLE"}
}

// EventNames are the events of calls and policies.
func EventNames() []string {
	return []string{"attempt_start", "attempt_end", "success", "retry", "permanent_fail", "deadline_exceeded", "max_attempts_exceeded",
		"max_unknown_attempts_exceeded", "no_strategy_configured", "budget_exhausted", "scheduled", "aborted", "canceled",
		"circuit_opened", "circuit_half_open", "circuit_closed", "circuit_rejected", "rule_error", "policy_reloaded",
		"policy_reload_failed"}
}

// KindNames are the members of err.kind.
func KindNames() []string {
	return []string{"unknown", "http", "grpc", "sql", "redis", "aws", "broker", "net", "dns", "tls", "io", "url", "context", "redress"}
}

// PhaseNames are the members of err.phase.
func PhaseNames() []string { return []string{"unknown", "not_sent", "sent"} }

// ScopeNames say to whom a budget or a circuit breaker belongs: this process, or all
// instances that share a store.
func ScopeNames() []string { return []string{"local", "fleet"} }

// StateNames are the states of circuit breakers.
func StateNames() []string { return []string{"closed", "open", "half_open"} }

// StrategyNames are the backoff strategies; func stands for those registered in Go.
func StrategyNames() []string {
	return []string{"decorrelated_jitter", "equal_jitter", "full_jitter", "exponential", "constant", "linear", "token_backoff",
		"retry_after_or", "adaptive", "immediate", "stop", "func"}
}
