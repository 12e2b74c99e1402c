// Package rules is the catalogue of what redress-lint can say: one table from which
// the pages in docs/rules, the rules of SARIF, the schema of the config file and
// `redress-lint rules` are made.
package rules

import (
	"slices"

	"github.com/redress-policy/redress/dsl"
)

// A Rule is one kind of finding.
type Rule struct {
	Code     dsl.Code
	Severity dsl.Severity // unless the config file says otherwise
	Fixable  bool         // whether --fix can mend it, at least at times
	Summary  string       // in one line, no capital, no period
	What     string       // what it finds, in sentences
	Why      string       // what it would do in production
	Bad      string       // documents in which it is found
	Good     string       // the same, mended: nothing is found
	Source   string       // where the knowledge comes from, "" for common sense
	Off      bool         // not looked for unless the config file says so
	Fixed    bool         // an error that keeps the loader from loading: its severity cannot be changed
}

// Category names the hundred to which the rule belongs.
func (r Rule) Category() string { return categories[r.Code.ID[2]-'0'] }

var categories = map[byte]string{
	0: "document", 1: "expression", 2: "reachability", 3: "retry safety", 4: "breaker and budget",
	5: "style", 6: "tests", 9: "tool",
}

// Page is the path of the rule's page below docs/rules.
func (r Rule) Page() string { return r.Code.ID + "-" + r.Code.Slug + ".md" }

// All lists the rules by their ids.
func All() []Rule { return slices.Clone(table) }

// Find returns the rule of that id or slug.
func Find(name string) (Rule, bool) {
	i := slices.IndexFunc(table, func(r Rule) bool { return r.Code.ID == name || r.Code.Slug == name })
	if i < 0 {
		return Rule{}, false
	}
	return table[i], true
}

// header is what examples leave out.
const header = "apiVersion: redress/v1\nkind: Policy\nname: payments-api\n"

// Example completes an example.
func Example(text string) string { return header + text }
