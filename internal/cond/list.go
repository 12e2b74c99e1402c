package cond

import (
	"fmt"
	"math/bits"
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
	whens   []Condition           // of the rules, side by side
	scratch bool                  // rules write to the scratch space
	made    atomic.Pointer[index] // made when it is first needed

	// Decide asks the rules. A rule that errs does not match. It is a function rather than
	// a method because a method that is handed on as a function copies what it returns.
	Decide engine.ClassifyFunc
}

// NewList makes a list. Conditions and hints that read vars must come from one compiler.
func NewList(rules []*Rule) *List {
	l := &List{rules: rules, whens: make([]Condition, 0, len(rules))}
	for _, r := range rules {
		l.whens = append(l.whens, r.When)
		l.scratch = l.scratch || r.When.scratch || r.Hint != nil && r.Hint.scratch
	}
	l.Decide = func(in *engine.Input) engine.Verdict {
		first, errors := l.First(in)
		if errors != nil || first >= 0 && l.rules[first].Hint != nil {
			return l.verdict(in, first, errors)
		}
		return l.index().verdicts[first+1] // a whole one is copied faster than it is put together
	}
	return l
}

func (l *List) index() *index {
	if x := l.made.Load(); x != nil {
		return x
	}
	x := newIndex(l.rules)
	l.made.Store(x) // of two that are made at the same time one is enough
	return x
}

// Silent reports whether for certain no rule holds or errs on a failure with that status.
func (l *List) Silent(status int) bool {
	s := uint(status)
	return s <= maxStatus && l.index().silent[s/64]>>(s%64)&1 != 0
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
	x := l.index()
	row := x.row(in)
	var code, kind *sets
	for w, may := range row.may {
		sure, named := row.sure[w], x.named[w]
		for may != 0 {
			i := bits.TrailingZeros64(may)
			rule := uint64(1) << i
			switch {
			case sure&rule != 0:
				return w*64 + i, errors
			case named&rule != 0: // once for each word
				if code == nil {
					code, kind = x.names(in)
				}
				may &= code.may[w] & kind.may[w]
				sure |= code.sure[w] | kind.sure[w]
				named = 0
				continue
			}
			may &^= rule
			i += w * 64
			when := &l.whens[i]
			if when.pure != nil {
				if when.pure(in) {
					return i, errors
				}
				continue
			}
			holds, err := when.risky(in)
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
