package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Caller is a policy as one that calls others.
type Caller struct {
	Name     string
	Attempts int      // the most that one call makes
	Calls    []string // policies under which its operations make calls
}

// A Mesh is policies with the calls between them.
type Mesh struct {
	byName map[string]*Caller
	worst  map[*Caller]Chain // of callers from which no cycle is reached
}

// A Chain is policies each of which calls the next.
type Chain struct {
	Callers  []*Caller
	Attempts int // that one call of the first causes at the last
}

// NewMesh joins callers. Calls to policies that are not among them are passed over.
func NewMesh(callers []Caller) *Mesh {
	m := &Mesh{byName: map[string]*Caller{}, worst: map[*Caller]Chain{}}
	for i := range callers {
		m.byName[callers[i].Name] = &callers[i]
	}
	return m
}

func (m *Mesh) callees(c *Caller) []*Caller {
	var list []*Caller
	for _, name := range c.Calls {
		if callee := m.byName[name]; callee != nil {
			list = append(list, callee)
		}
	}
	return list
}

// Cycle returns the name of a policy that the named one reaches and that reaches itself:
// its own if it does, "" if there is none.
func (m *Mesh) Cycle(name string) string {
	c := m.byName[name]
	below := m.below(c)
	if slices.Contains(below, c) {
		return name
	}
	for _, other := range below {
		if slices.Contains(m.below(other), other) {
			return other.Name
		}
	}
	return ""
}

// below lists what c reaches by one call or more.
func (m *Mesh) below(c *Caller) []*Caller {
	list := m.callees(c)
	seen := map[*Caller]bool{}
	var kept []*Caller
	for i := 0; i < len(list); i++ {
		if other := list[i]; !seen[other] {
			seen[other] = true
			kept = append(kept, other)
			list = append(list, m.callees(other)...)
		}
	}
	return kept
}

// Longest returns the chain of calls from a policy that multiplies attempts most. The
// policy must reach no cycle.
func (m *Mesh) Longest(name string) Chain { return m.longest(m.byName[name]) }

func (m *Mesh) longest(c *Caller) Chain {
	if known, ok := m.worst[c]; ok {
		return known
	}
	worst := Chain{[]*Caller{c}, c.Attempts}
	for _, callee := range m.callees(c) {
		below := m.longest(callee)
		if total := multiply(c.Attempts, below.Attempts); total > worst.Attempts || len(worst.Callers) == 1 {
			worst = Chain{append([]*Caller{c}, below.Callers...), total}
		}
	}
	m.worst[c] = worst
	return worst
}

func multiply(a, b int) int {
	if b > 0 && a > math.MaxInt32/b {
		return math.MaxInt32
	}
	return a * b
}

// Last is the name of the policy at the far end.
func (c Chain) Last() string { return c.Callers[len(c.Callers)-1].Name }

// Arithmetic spells the product: "3 (checkout) × 2 (ledger) = 6".
func (c Chain) Arithmetic() string {
	var parts []string
	for _, one := range c.Callers {
		parts = append(parts, fmt.Sprintf("%d (%s)", one.Attempts, one.Name))
	}
	return strings.Join(parts, " × ") + fmt.Sprintf(" = %d", c.Attempts)
}
