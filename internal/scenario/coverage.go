package scenario

import (
	"iter"
	"slices"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// Coverage says which rules of the set decided something in the tests. Rules of
// built-in packs do not count: they have tests of their own.
type Coverage struct {
	Covered int
	Total   int
	Missing []MissingRule // in document order
	Parts   []PartCoverage
}

// A PartCoverage is a part of a condition, and which of its two values the tests have
// seen.
type PartCoverage struct {
	Policy      string
	Rule        string
	Text        string
	Range       dsl.Range // where it stands
	True, False bool
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
	parts []*PartCoverage                 // in the order of rules and of their texts
	part  map[partKey]*PartCoverage
}

type partKey struct {
	rule dsl.Range
	text string
}

// note remembers what the parts of the conditions that were tried came to.
func (c *coverage) note(policy *interp.Policy, in *engine.Input, cause engine.Cause) {
	if policy == nil {
		return
	}
	for r, seen := range Tried(policy, in, cause) {
		c.notePart(r, seen)
	}
}

// Tried yields the conditions that a policy holds against a failure or a result, up to
// the first that decides, with what they are shown.
func Tried(policy *interp.Policy, in *engine.Input, cause engine.Cause) iter.Seq2[interp.Condition, *engine.Input] {
	return func(yield func(interp.Condition, *engine.Input) bool) {
		list := policy.Classify()
		if cause == engine.CauseResult {
			list = policy.ClassifyResult()
		}
		tried := *in
		for _, r := range list {
			if !yield(r, &tried) {
				return
			}
			if holds, _ := r.Test(&tried); holds {
				tried.Class, tried.ClassAttempt = r.Class, max(tried.ClassAttempt, 1)
				break
			}
		}
		if tried.Class == engine.NoClass && cause == engine.CauseError {
			tried.Class = policy.Spec().DefaultClass
		}
		if !tried.Class.Retryable() {
			return
		}
		for _, r := range policy.Select() {
			if !yield(r, &tried) {
				return
			}
			if holds, _ := r.Test(&tried); holds {
				return
			}
		}
	}
}

func (c *coverage) notePart(r interp.Condition, in *engine.Input) {
	if r.BuiltIn {
		return
	}
	for _, p := range r.Parts(in) {
		if known := c.part[partKey{r.Range, p.Text}]; known != nil {
			known.True = known.True || p.Value == "true"
			known.False = known.False || p.Value == "false"
		}
	}
}

// listParts finds the parts of all conditions, with a record that says nothing.
func (c *coverage) listParts(p *interp.Policy) {
	nothing := &engine.Input{Failure: &engine.Failure{}, Attempt: 1, ClassAttempt: 1, Class: engine.Unknown}
	for _, r := range slices.Concat(p.Classify(), p.ClassifyResult(), p.Select()) {
		if r.BuiltIn {
			continue
		}
		for _, part := range r.Parts(nothing) {
			key := partKey{r.Range, part.Text}
			if c.part[key] == nil {
				c.part[key] = &PartCoverage{Policy: p.Name(), Rule: r.ID, Text: part.Text, Range: part.Range}
				c.parts = append(c.parts, c.part[key])
			}
		}
	}
}

type coveredRule struct {
	MissingRule
	seen bool
}

func newCoverage(program *interp.Program) *coverage {
	c := &coverage{rules: map[dsl.Range]*coveredRule{}, byID: map[string]map[string]dsl.Range{}, part: map[partKey]*PartCoverage{}}
	for _, p := range program.Policies() {
		ids := map[string]dsl.Range{}
		c.byID[p.Name()] = ids
		c.listParts(p)
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
	for _, p := range c.parts {
		result.Parts = append(result.Parts, *p)
	}
	return result
}
