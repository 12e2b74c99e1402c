package checks

import (
	"github.com/redress-policy/redress/internal/scenario"
	"github.com/redress-policy/redress/interp"
)

// A coverage says which rules decided nothing in the tests of the set.
type coverage struct{ missing map[string]bool } // by policy/rule

// coverage runs the tests of the set, once.
func (c *checker) coverage() *coverage {
	if c.ran == nil {
		c.ran = &coverage{missing: map[string]bool{}}
		for _, m := range scenario.Run(c.program, c.set, scenario.Options{}).Coverage.Missing {
			c.ran.missing[m.Policy+"/"+m.ID] = true
		}
	}
	return c.ran
}

// of returns the ids of a policy's rules that decided something.
func (c *coverage) of(p *interp.Policy) map[string]bool {
	covered := map[string]bool{}
	for _, r := range p.Rules() {
		covered[r.ID] = !c.missing[p.Name()+"/"+r.ID]
	}
	return covered
}
