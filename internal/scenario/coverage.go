package scenario

import (
	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/interp"
)

// Coverage says which rules of the set decided something in the tests. Rules of
// built-in packs do not count: they have tests of their own.
type Coverage struct {
	Covered int
	Total   int
	Missing []MissingRule // in document order
}

// A MissingRule is a rule that decided nothing.
type MissingRule struct {
	Policy string // or the name of the Classifier that holds it
	ID     string // as outcomes show it
	Range  dsl.Range
}

// Percent is 100 when there is nothing to cover.
func (c Coverage) Percent() float64 {
	if c.Total == 0 {
		return 100
	}
	return 100 * float64(c.Covered) / float64(c.Total)
}

// coverage remembers rules by where they are written, so that a Classifier shared
// by several policies is covered by a test of any of them.
type coverage struct {
	order []dsl.Range
	rules map[dsl.Range]*coveredRule
	byID  map[string]map[string]dsl.Range // policy, rule id
}

type coveredRule struct {
	MissingRule
	seen bool
}

func newCoverage(program *interp.Program) *coverage {
	c := &coverage{rules: map[dsl.Range]*coveredRule{}, byID: map[string]map[string]dsl.Range{}}
	for _, p := range program.Policies() {
		ids := map[string]dsl.Range{}
		c.byID[p.Name()] = ids
		for _, rule := range p.Rules() {
			if rule.BuiltIn {
				continue
			}
			ids[rule.ID] = rule.Range
			if c.rules[rule.Range] == nil {
				c.rules[rule.Range] = &coveredRule{MissingRule: MissingRule{Policy: p.Name(), ID: rule.ID, Range: rule.Range}}
				c.order = append(c.order, rule.Range)
			}
		}
	}
	return c
}

// see notes that rules of a policy decided something; ids of built-in rules and
// empty ones are passed over.
func (c *coverage) see(policy *interp.Policy, ids ...string) {
	for _, id := range ids {
		if at, ok := c.byID[policy.Name()][id]; ok {
			c.rules[at].seen = true
		}
	}
}

func (c *coverage) result() Coverage {
	result := Coverage{Total: len(c.order)}
	for _, at := range c.order {
		if rule := c.rules[at]; rule.seen {
			result.Covered++
		} else {
			result.Missing = append(result.Missing, rule.MissingRule)
		}
	}
	return result
}
