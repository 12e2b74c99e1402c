package lsp

import "strings"

// A role is what a value means beyond its shape.
type role int

const (
	noRole role = iota
	classifyExpr
	resultExpr
	selectExpr
	varsExpr
	packName
	policyName
	budgetName
	breakerName
	ruleName
	selectName
	documentName
)

func (r role) isExpr() bool { return r >= classifyExpr && r <= varsExpr }

// kind is the kind of the documents that a name refers to.
func (r role) kind() string {
	return map[role]string{packName: "Classifier", policyName: "Policy", budgetName: "Budget", breakerName: "CircuitBreaker"}[r]
}

// roles tells them by the kind of the document and the path; "?" is any key.
var roles = map[string]role{
	"Policy name":                          documentName,
	"Policy classify/*/when":               classifyExpr,
	"Policy classify/*/retry_after":        classifyExpr,
	"Policy classify/*/use":                packName,
	"Policy classify_result/*/when":        resultExpr,
	"Policy classify_result/*/use":         packName,
	"Policy retry/select/*/when":           selectExpr,
	"Policy retry/budget":                  budgetName,
	"Policy circuit_breaker":               breakerName,
	"Policy calls/*":                       policyName,
	"Policy vars/?":                        varsExpr,
	"Policy classify_result/*/retry_after": resultExpr,

	"Classifier classify/*/when":               classifyExpr,
	"Classifier classify/*/retry_after":        classifyExpr,
	"Classifier classify/*/use":                packName,
	"Classifier classify_result/*/when":        resultExpr,
	"Classifier classify_result/*/retry_after": resultExpr,
	"Classifier classify_result/*/use":         packName,
	"Classifier vars/?":                        varsExpr,

	"Override policy":     policyName,
	"Set fallback_policy": policyName,

	"PolicyTest policy":                          policyName,
	"PolicyTest cases/*/expect/rule":             ruleName,
	"PolicyTest cases/*/expect/select":           selectName,
	"PolicyTest scenarios/*/calls/*/expect/rule": ruleName,
}

// roleOf tells what the value at a path is, which may be one that a document has
// no good kind for yet: then the policy's meaning counts.
func roleOf(kind string, path []string) role {
	if kind == "" {
		kind = "Policy"
	}
	joined := strings.Join(path, "/")
	if r, ok := roles[kind+" "+joined]; ok {
		return r
	}
	if len(path) == 2 && path[0] == "vars" && !strings.HasPrefix(path[1], "x-") {
		return roles[kind+" vars/?"]
	}
	return noRole
}
