package dsl

// The codes of diagnostics, by hundreds: 0 the document, 1 expressions, 2 which
// rules can be reached, 3 retries, 4 breakers and budgets, 5 style, 6 tests, 9 the
// tool. A number is never used again.
var (
	CodeSyntax         = Code{"RD001", "yaml-syntax"}
	CodeDuplicateKey   = Code{"RD002", "duplicate-key"}
	CodeUnknownKey     = Code{"RD003", "unknown-key"}
	CodeMissingKey     = Code{"RD004", "missing-key"}
	CodeEaten          = Code{"RD005", "yaml-eats-expression"}
	CodeWrongType      = Code{"RD006", "wrong-type"}
	CodeBadDuration    = Code{"RD007", "bad-duration"}
	CodeBadInteger     = Code{"RD008", "bad-integer"}
	CodeOutOfRange     = Code{"RD009", "out-of-range"}
	CodeUnknownWord    = Code{"RD010", "unknown-word"}
	CodeBadName        = Code{"RD011", "bad-name"}
	CodeDuplicateName  = Code{"RD012", "duplicate-name"}
	CodeEncoding       = Code{"RD013", "bad-encoding"}
	CodeTooLarge       = Code{"RD014", "too-large"}
	CodeYAMLFeature    = Code{"RD015", "yaml-feature"}
	CodeEmpty          = Code{"RD016", "empty"}
	CodeContradiction  = Code{"RD017", "contradiction"}
	CodeSchema         = Code{"RD018", "schema"}
	CodeUnknownRef     = Code{"RD019", "unknown-reference"}
	CodeCycle          = Code{"RD020", "cycle"}
	CodeInvalidExpr    = Code{"RD101", "invalid-expression"}
	CodeUnknownField   = Code{"RD102", "unknown-field"}
	CodeWrongExprType  = Code{"RD103", "wrong-expression-type"}
	CodeUnknownEnum    = Code{"RD104", "unknown-enum-value"}
	CodeBadRegex       = Code{"RD106", "bad-regex"}
	CodeCommentSwallow = Code{"RD107", "comment-swallows-condition"}
	CodeCost           = Code{"RD109", "cost-over-budget"}
	CodeUnavailable    = Code{"RD110", "not-available-here"}
)

// The codes of what documents may say and probably should not.
var (
	CodeImpossible      = Code{"RD105", "impossible-comparison"}
	CodeMayErr          = Code{"RD108", "may-error"}
	CodeConstant        = Code{"RD111", "constant-comparison"}
	CodeLiteralRegex    = Code{"RD112", "literal-regex"}
	CodeNeverMatches    = Code{"RD201", "never-matches"}
	CodeAlwaysTrue      = Code{"RD202", "always-true"}
	CodeShadowed        = Code{"RD203", "shadowed-rule"}
	CodeOverlap         = Code{"RD204", "overlapping-outcomes"}
	CodeRedundant       = Code{"RD205", "redundant-rule"}
	CodeGap             = Code{"RD206", "gap"}
	CodePermanent       = Code{"RD301", "retry-of-permanent-failure"}
	CodeWaitTooLong     = Code{"RD302", "wait-above-deadline"}
	CodeNoJitter        = Code{"RD303", "no-jitter"}
	CodeIgnoresHint     = Code{"RD304", "ignores-retry-after"}
	CodeNotIdempotent   = Code{"RD305", "retry-of-non-idempotent"}
	CodeDeadline        = Code{"RD306", "cannot-fit-deadline"}
	CodeAttemptTimeout  = Code{"RD307", "timeout-above-deadline"}
	CodeNoBudget        = Code{"RD308", "no-retry-budget"}
	CodeByMessage       = Code{"RD309", "classifies-by-message"}
	CodeMetastable      = Code{"RD310", "metastable"}
	CodeMultiply        = Code{"RD311", "retries-multiply"}
	CodeGuarantee       = Code{"RD312", "guarantee-refuted"}
	CodeNoRetries       = Code{"RD313", "settings-without-retries"}
	CodeImmediate       = Code{"RD314", "immediate-retry"}
	CodeCapAbove        = Code{"RD315", "cap-above-attempts"}
	CodeNeverRetried    = Code{"RD316", "settings-of-unretried-class"}
	CodeCallCycle       = Code{"RD317", "call-cycle"}
	CodeNoStrategy      = Code{"RD318", "class-without-strategy"}
	CodeExpiredOverride = Code{"RD319", "expired-override"}
	CodeCallerErrors    = Code{"RD401", "breaker-counts-caller-errors"}
	CodeCannotTrip      = Code{"RD402", "breaker-cannot-trip"}
	CodeFalseTrips      = Code{"RD403", "breaker-trips-falsely"}
	CodeUnproduced      = Code{"RD404", "unproduced-class"}
	CodeBudgetIdle      = Code{"RD405", "budget-never-acts"}
	CodeBudgetZero      = Code{"RD406", "budget-allows-nothing"}
	CodeShortWindow     = Code{"RD407", "short-breaker-window"}
	CodeFleetWindow     = Code{"RD408", "short-fleet-window"}
	CodeUnusedVar       = Code{"RD501", "unused-var"}
	CodeUnusedDocument  = Code{"RD502", "unused-document"}
	CodeUnusedAttribute = Code{"RD503", "unused-attribute"}
	CodeUnusedStrategy  = Code{"RD504", "unused-strategy"}
	CodeRuleUntested    = Code{"RD601", "rule-without-test"}
	CodePolicyUntested  = Code{"RD602", "policy-without-tests"}
	CodeDuplicateTest   = Code{"RD603", "duplicate-test"}
	CodeNoReason        = Code{"RD901", "suppression-without-reason"}
	CodeUnusedIgnore    = Code{"RD902", "unused-suppression"}
	CodeExpiredIgnore   = Code{"RD903", "expired-suppression"}
	CodeBadIgnore       = Code{"RD904", "unreadable-suppression"}
	CodeStaleBaseline   = Code{"RD905", "stale-baseline"}
)
