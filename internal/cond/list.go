package cond

import (
	"fmt"
	"math/bits"
	"sync"
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
	rules []*Rule
	index func() *index // made when it is first needed
}

// NewList makes a list. Conditions and hints that read vars must come from one compiler.
func NewList(rules []*Rule) *List {
	return &List{rules, sync.OnceValue(func() *index { return newIndex(rules) })}
}

// Silent reports whether for certain no rule holds or errs on a failure with that status.
func (l *List) Silent(status int) bool {
	if status < 0 || status > maxStatus {
		return false
	}
	x := l.index()
	for _, word := range x.rows[x.statuses[status]] {
		if word != 0 {
			return false
		}
	}
	return true
}

// maxErrors bounds how many errors of rules a verdict carries.
const maxErrors = 16

// Decide asks the rules. A rule that errs does not match.
func (l *List) Decide(in *engine.Input) (v engine.Verdict) {
	first, errors := l.First(in)
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
	in.Scratch = engine.Scratch{}
	x := l.index()
	for w, mask := range x.row(in) {
		narrowed := false
		for mask != 0 {
			if lowest := mask & -mask; !narrowed && x.narrows[w]&lowest != 0 {
				mask &= x.word(in, w)
				narrowed = true
				continue
			}
			i := w*64 + bits.TrailingZeros64(mask)
			mask &= mask - 1
			holds, err := l.rules[i].When.Test(in)
			if err != nil {
				errors = appendError(errors, l.rules[i].ID, err)
			} else if holds {
				return i, errors
			}
		}
	}
	return -1, errors
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
