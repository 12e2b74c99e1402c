// Package catalog finds the policies of a set by name and by operation.
package catalog

import (
	"fmt"
	"strings"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/nearest"
)

// A Catalog is the policies of a set. It is immutable.
type Catalog struct {
	policies map[string]*engine.Policy
	names    []string
	patterns []pattern
}

// New makes a catalog of policies with different names.
func New(policies []*engine.Policy) *Catalog {
	c := &Catalog{policies: map[string]*engine.Policy{}}
	for _, p := range policies {
		c.policies[p.Name()] = p
		c.names = append(c.names, p.Name())
		for _, text := range p.Operations() {
			c.patterns = append(c.patterns, pattern{text, p})
		}
	}
	return c
}

// Names returns the names of the policies, in order.
func (c *Catalog) Names() []string { return append([]string(nil), c.names...) }

// Policy returns the policy of that name; the error names the nearest one.
func (c *Catalog) Policy(name string) (*engine.Policy, error) {
	if p, ok := c.policies[name]; ok {
		return p, nil
	}
	if near, ok := nearest.Of(name, c.names); ok {
		return nil, fmt.Errorf("redress: no policy is called %q; did you mean %q?", name, near)
	}
	return nil, fmt.Errorf("redress: no policy is called %q; the set has %s", name, strings.Join(c.names, ", "))
}

// For returns the policy that governs the operation, bound to it: that of the most
// specific pattern that matches, which has the most characters that are not stars.
func (c *Catalog) For(operation string) (*engine.Policy, error) {
	best, found := pattern{}, false
	for _, p := range c.patterns {
		if p.matches(operation) && (!found || p.specificity() > best.specificity()) {
			best, found = p, true
		}
	}
	if !found {
		return nil, fmt.Errorf("redress: no policy governs operation %q", operation)
	}
	return best.policy.Bind(engine.WithOperation(operation)), nil
}

// A pattern is one entry of a policy's operations: a name in which `*` stands for
// any characters, dots included.
type pattern struct {
	text   string
	policy *engine.Policy
}

func (p pattern) specificity() int { return len(p.text) - strings.Count(p.text, "*") }

func (p pattern) matches(operation string) bool {
	parts := strings.Split(p.text, "*")
	if len(parts) == 1 {
		return operation == p.text
	}
	rest, ok := strings.CutPrefix(operation, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, last)
}
