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
