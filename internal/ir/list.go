package ir

import (
	"fmt"
	"sync"

	"github.com/redress-policy/redress/internal/cond"
)

// A List is rules in order, of which the first that holds decides.
type List struct {
	Rules   []*Rule
	compile func() (*cond.List, error)
}

// NewList makes a list. Vars that several rules read must be the same expressions, so that
// they are evaluated once.
func NewList(rules []*Rule) *List {
	return &List{rules, sync.OnceValues(func() (*cond.List, error) { return compileList(rules) })}
}

// Compile makes functions of the rules when it is first called. It errs if there is a rule
// that only CEL can evaluate, and nobody who does.
func (l *List) Compile() (*cond.List, error) { return l.compile() }

func (l *List) empty() bool { return l == nil || len(l.Rules) == 0 }

// A compiledRule is a rule that reads no vars, compiled once for all lists.
type compiledRule struct {
	once sync.Once
	rule *cond.Rule
	err  error
}

func compileList(rules []*Rule) (*cond.List, error) {
	shared := cond.NewCompiler()
	list := make([]*cond.Rule, len(rules))
	for i, r := range rules {
		var err error
		if list[i], err = r.compile(shared); err != nil {
			return nil, err
		}
	}
	return cond.NewList(list), nil
}

// compile makes functions of the rule. Those of a rule that reads vars are for one list.
func (r *Rule) compile(list *cond.Compiler) (*cond.Rule, error) {
	if r.When.ReadsVars() || r.RetryAfter.ReadsVars() {
		return r.with(list)
	}
	own := &r.compiled
	own.once.Do(func() { own.rule, own.err = r.with(cond.NewCompiler()) })
	return own.rule, own.err
}

func (r *Rule) with(c *cond.Compiler) (made *cond.Rule, err error) {
	if r.CEL == nil {
		defer func() {
			if v := recover(); v != nil { // operators of a bundle may lack operands
				made, err = nil, fmt.Errorf("rule %s is malformed: %v", r.ID, v)
			}
		}()
	}
	made = &cond.Rule{ID: r.ID, Class: r.Class}
	always := r.CEL != nil && r.CEL.Always()
	when, other := c.Condition(r.When)
	switch {
	case other == nil && !always:
		made.When, made.Expr = when, r.When
	case r.CEL != nil:
		made.When = cond.Opaque(r.CEL.When)
	default:
		return nil, &UnsupportedError{Rule: r.ID, Part: other}
	}
	if r.RetryAfter == nil {
		return made, nil
	}
	hint, other := c.Hint(r.RetryAfter)
	switch {
	case other == nil && !always:
	case r.CEL != nil:
		hint = cond.OpaqueHint(r.CEL.RetryAfter)
	default:
		return nil, &UnsupportedError{Rule: r.ID, Part: other}
	}
	made.Hint = &hint
	return made, nil
}

// An UnsupportedError says that a rule has a part of which no Go function can be made.
type UnsupportedError struct {
	Rule string
	Part *cond.Expr
}

// Error names the rule and what it uses.
func (e *UnsupportedError) Error() string {
	what := e.Part.Name
	if what == "" {
		what = "an expression"
	}
	return fmt.Sprintf("rule %s uses %s as only the CEL library can evaluate it", e.Rule, what)
}
