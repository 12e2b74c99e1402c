package cond

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redress-policy/redress/engine"
)

// A Rule is one compiled rule. Lists may share it.
type Rule struct {
	ID    string
	Class engine.Class
	When  Condition
	Hint  *Hint // the duration that retry_after gives; nil without
	Expr  *Expr // of When, for the index; nil if it is not known
}

// A List is rules in order, of which the first that holds decides. It is safe for use by
// many goroutines.
type List struct {
	rules   []*Rule
	scratch bool                  // rules write to the scratch space
	made    atomic.Pointer[index] // made when it is first needed

	// Decide asks the rules. A rule that errs does not match. It is a function rather than
	// a method because a method that is handed on as a function copies what it returns.
	Decide engine.ClassifyFunc
}

// NewList makes a list. Conditions and hints that read vars must come from one compiler.
func NewList(rules []*Rule) *List {
	l := &List{rules: rules}
	for _, r := range rules {
		l.scratch = l.scratch || r.When.scratch || r.Hint != nil && r.Hint.scratch
	}
	l.Decide = func(in *engine.Input) engine.Verdict {
		x := l.index()
		if l.scratch {
			in.Scratch = engine.Scratch{}
		}
		first, errors := x.first(in)
		v := &x.verdicts[first+1]
		if errors != nil || v.hint {
			return l.verdict(in, first, errors)
		}
		return v.Verdict // a whole one is copied faster than it is put together
	}
	return l
}

func (l *List) index() *index {
	if x := l.made.Load(); x != nil {
		return x
	}
	return l.makeIndex()
}

func (l *List) makeIndex() *index {
	x := newIndex(l.rules)
	l.made.Store(x) // of two that are made at the same time one is enough
	return x
}

// Silent reports whether for certain no rule holds or errs on a failure with that status.
func (l *List) Silent(status int) bool {
	return l.index().silentOn(uint(status))
}

// maxErrors bounds how many errors of rules a verdict carries.
const maxErrors = 16

// verdict is what Decide says where there is more to say than which rule holds.
func (l *List) verdict(in *engine.Input, first int, errors []engine.RuleError) (v engine.Verdict) {
	v.Errors = errors
	if first < 0 {
		return v
	}
	r := l.rules[first]
	v.Class, v.Rule = r.Class, r.ID
	if r.Hint != nil {
		r.hint(in, &v)
	}
	return v
}

// First returns the index of the first rule that holds, -1 if none does, and the errors of
// those before it.
func (l *List) First(in *engine.Input) (first int, errors []engine.RuleError) {
	if l.scratch {
		in.Scratch = engine.Scratch{}
	}
	return l.index().first(in)
}

// Rules returns the rules in order.
func (l *List) Rules() []*Rule { return l.rules }

func appendError(list []engine.RuleError, id string, err error) []engine.RuleError {
	if len(list) >= maxErrors {
		return list
	}
	return append(list, engine.RuleError{Rule: id, Err: err})
}

// hint evaluates retry_after. A zero is a hint only if the record has one.
func (r *Rule) hint(in *engine.Input, v *engine.Verdict) {
	d, err := r.Hint.Get(in)
	switch {
	case err != nil:
		v.Errors = appendError(v.Errors, r.ID, fmt.Errorf("retry_after: %w", err))
	case d < 0:
		v.Errors = appendError(v.Errors, r.ID, negativeHint(d))
	case d > 0 || hasRetryAfter(in):
		v.RetryAfter, v.HasRetryAfter = d, true
	}
}

func negativeHint(d time.Duration) error { return fmt.Errorf("retry_after is negative: %v", d) }
