package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/internal/rules"
)

// Facts are what findings about a whole set need to know of its parts.
type Facts struct {
	documents []documentFacts
	policies  []policyFacts
}

type documentFacts struct {
	kind string
	name dsl.Value[string]
	uses []dsl.Reference
}

type policyFacts struct {
	name     string
	attempts int // the most that one call makes
	calls    dsl.Value[[]dsl.Value[string]]
	promised dsl.Value[int] // max_amplification
}

// facts are those of the set that is looked at. Texts in them are copies: they outlive the
// documents, which are let go.
func (c *checker) facts() Facts {
	var f Facts
	for doc := range c.set.All() {
		uses := doc.Uses()
		for i, ref := range uses {
			uses[i].Name = strings.Clone(ref.Name)
		}
		f.documents = append(f.documents, documentFacts{strings.Clone(doc.Kind.V), cloned(doc.Name), uses})
	}
	for _, p := range c.policies {
		calls := p.body.Calls
		calls.V = slices.Clone(calls.V)
		for i, name := range calls.V {
			calls.V[i] = cloned(name)
		}
		f.policies = append(f.policies, policyFacts{strings.Clone(p.Name()), p.envelope.GivenAttempts(), calls, p.body.Guarantees.MaxAmplification})
	}
	return f
}

func cloned(v dsl.Value[string]) dsl.Value[string] {
	v.V = strings.Clone(v.V)
	return v
}

// Whole looks at what only the whole set shows: how attempts multiply along calls, and
// documents that nothing refers to. The facts are those of all its parts.
func Whole(parts []Facts) dsl.Diagnostics {
	var all Facts
	for _, f := range parts {
		all.documents = append(all.documents, f.documents...)
		all.policies = append(all.policies, f.policies...)
	}
	var f findings
	f.mesh(all.policies)
	if len(all.policies) > 0 { // else it is a library for other sets
		f.unused(all.documents)
	}
	f.found.Sort()
	return f.found
}

type findings struct{ found dsl.Diagnostics }

// report adds a finding with the severity that its rule has.
func (f *findings) report(code dsl.Code, at dsl.Range, help, format string, args ...any) *dsl.Diagnostic {
	rule, ok := rules.Find(code.ID)
	if !ok {
		panic("checks: no rule " + code.ID)
	}
	f.found = append(f.found, dsl.Diagnostic{Range: at, Code: code, Severity: rule.Severity, Message: fmt.Sprintf(format, args...), Help: help})
	return &f.found[len(f.found)-1]
}

// unused reports the documents that nothing refers to.
func (f *findings) unused(documents []documentFacts) {
	used := map[dsl.Reference]bool{}
	for _, doc := range documents {
		for _, ref := range doc.uses {
			used[ref] = true
		}
	}
	for _, doc := range documents {
		switch doc.kind {
		case "Budget", "CircuitBreaker", "Classifier":
			if !used[dsl.Reference{Kind: doc.kind, Name: doc.name.V}] {
				f.report(dsl.CodeUnusedDocument, doc.name.Range, "remove the document, or name it where it is meant", "nothing in the set uses %s %s", doc.kind, doc.name.V)
			}
		}
	}
}

// tolerableAttempts is how many attempts at the far end of a chain one call may cause
// before that is said.
const tolerableAttempts = 10

// mesh looks at how attempts multiply along declared calls.
func (f *findings) mesh(policies []policyFacts) {
	var callers []analysis.Caller
	called := map[string]bool{}
	for _, p := range policies {
		one := analysis.Caller{Name: p.name, Attempts: p.attempts}
		for _, name := range p.calls.V {
			called[name.V] = true
			one.Calls = append(one.Calls, name.V)
		}
		callers = append(callers, one)
	}
	m := analysis.NewMesh(callers)
	for _, p := range policies {
		cycle := m.Cycle(p.name)
		if cycle == p.name {
			f.report(dsl.CodeCallCycle, p.calls.Range, "remove the call that leads back", "%s calls itself, directly or through others: its attempts multiply without end", p.name)
		}
		if cycle != "" {
			if p.promised.Set {
				f.report(dsl.CodeGuarantee, p.promised.Range, "", "the promise of %d cannot be kept: calls lead back to %s", p.promised.V, cycle)
			}
			continue
		}
		worst := m.Longest(p.name)
		if len(worst.Callers) > 1 && worst.Attempts > tolerableAttempts && !called[p.name] {
			d := f.report(dsl.CodeMultiply, p.calls.Range, "retry at one layer: the one nearest to the failure, or the outermost", "one call of %s can become %d attempts at %s", p.name, worst.Attempts, worst.Last())
			d.Notes = append(d.Notes, worst.Arithmetic())
		}
		if p.promised.Set && worst.Attempts > p.promised.V {
			d := f.report(dsl.CodeGuarantee, p.promised.Range, "", "one call can become %d attempts at %s, and %d are promised", worst.Attempts, worst.Last(), p.promised.V)
			d.Notes = append(d.Notes, worst.Arithmetic())
		}
	}
}
