package checks

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/rules"
)

// Facts are what findings about a whole set need to know of its parts.
type Facts struct {
	documents []documentFacts
	policies  []*policyFacts
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

func (c *checker) facts() Facts {
	var f Facts
	for doc := range c.set.All() {
		f.documents = append(f.documents, documentFacts{doc.Kind.V, doc.Name, doc.Uses()})
	}
	for _, p := range c.policies {
		f.policies = append(f.policies, &policyFacts{p.Name(), p.mostAttempts(), p.body.Calls, p.body.Guarantees.MaxAmplification})
	}
	return f
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

// A mesh is the policies with the calls between them.
type mesh struct {
	byName map[string]*policyFacts
	worst  map[*policyFacts]path // of policies from which no cycle is reached
}

// A path is a chain of policies that call each other.
type path struct {
	policies []*policyFacts
	attempts int // that one call of the first causes at the last
}

// tolerableAttempts is how many attempts at the far end of a chain one call may cause
// before that is said.
const tolerableAttempts = 10

// mesh looks at how attempts multiply along declared calls.
func (f *findings) mesh(policies []*policyFacts) {
	m := mesh{byName: map[string]*policyFacts{}, worst: map[*policyFacts]path{}}
	called := map[string]bool{}
	for _, p := range policies {
		m.byName[p.name] = p
		for _, name := range p.calls.V {
			called[name.V] = true
		}
	}
	for _, p := range policies {
		cycle := m.cycle(p)
		if cycle == p {
			f.report(dsl.CodeCallCycle, p.calls.Range, "remove the call that leads back", "%s calls itself, directly or through others: its attempts multiply without end", p.name)
		}
		if cycle != nil {
			if p.promised.Set {
				f.report(dsl.CodeGuarantee, p.promised.Range, "", "the promise of %d cannot be kept: calls lead back to %s", p.promised.V, cycle.name)
			}
			continue
		}
		worst := m.longest(p)
		last := worst.policies[len(worst.policies)-1].name
		if len(worst.policies) > 1 && worst.attempts > tolerableAttempts && !called[p.name] {
			d := f.report(dsl.CodeMultiply, p.calls.Range, "retry at one layer: the one nearest to the failure, or the outermost", "one call of %s can become %d attempts at %s", p.name, worst.attempts, last)
			d.Notes = append(d.Notes, worst.arithmetic())
		}
		if p.promised.Set && worst.attempts > p.promised.V {
			d := f.report(dsl.CodeGuarantee, p.promised.Range, "", "one call can become %d attempts at %s, and %d are promised", worst.attempts, last, p.promised.V)
			d.Notes = append(d.Notes, worst.arithmetic())
		}
	}
}

// callees are the policies that p declares to call.
func (m *mesh) callees(p *policyFacts) []*policyFacts {
	var list []*policyFacts
	for _, name := range p.calls.V {
		if callee := m.byName[name.V]; callee != nil {
			list = append(list, callee)
		}
	}
	return list
}

// cycle returns a policy that p reaches and that reaches itself: p if it does, nil if
// there is none.
func (m *mesh) cycle(p *policyFacts) *policyFacts {
	below := m.below(p)
	if slices.Contains(below, p) {
		return p
	}
	for _, q := range below {
		if slices.Contains(m.below(q), q) {
			return q
		}
	}
	return nil
}

// below lists what p reaches by one call or more.
func (m *mesh) below(p *policyFacts) []*policyFacts {
	list := m.callees(p)
	seen := map[*policyFacts]bool{}
	kept := list[:0:0]
	for i := 0; i < len(list); i++ {
		if q := list[i]; !seen[q] {
			seen[q] = true
			kept = append(kept, q)
			list = append(list, m.callees(q)...)
		}
	}
	return kept
}

// longest returns the chain of calls from p, which reaches no cycle, that multiplies
// attempts most.
func (m *mesh) longest(p *policyFacts) path {
	if known, ok := m.worst[p]; ok {
		return known
	}
	worst := path{[]*policyFacts{p}, p.attempts}
	for _, callee := range m.callees(p) {
		below := m.longest(callee)
		if total := multiply(p.attempts, below.attempts); total > worst.attempts || len(worst.policies) == 1 {
			worst = path{append([]*policyFacts{p}, below.policies...), total}
		}
	}
	m.worst[p] = worst
	return worst
}

func multiply(a, b int) int {
	if b > 0 && a > math.MaxInt32/b {
		return math.MaxInt32
	}
	return a * b
}

func (w path) arithmetic() string {
	var parts []string
	for _, p := range w.policies {
		parts = append(parts, fmt.Sprintf("%d (%s)", p.attempts, p.name))
	}
	return strings.Join(parts, " × ") + fmt.Sprintf(" = %d", w.attempts)
}
