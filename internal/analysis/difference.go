package analysis

import (
	"cmp"
	"maps"
	"slices"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// A Difference is a failure, or a sort of failures, that two lists of rules decide
// differently.
type Difference struct {
	Old, New           string // ids of the rules that decide, "default" if none does
	OldClass, NewClass engine.Class
	Witness            *Witness // nil if none could be made: then it is only possible
}

// Differences finds what two lists of rules decide differently: for each pair of rules
// with different classes or names the failures on which one decides here and the other
// there.
// rest are the classes when no rule holds. complete is false if a search gave up.
func Differences(oldScope, newScope Scope, old, new []interp.Condition, oldRest, newRest engine.Class) (found []Difference, complete bool) {
	scope := oldScope
	scope.Attributes = map[string]string{}
	for name, typ := range oldScope.Attributes {
		if other, both := newScope.Attributes[name]; !both || other == typ {
			scope.Attributes[name] = typ
		}
	}
	for name, typ := range newScope.Attributes {
		if _, both := oldScope.Attributes[name]; !both {
			scope.Attributes[name] = typ
		}
	}
	if newScope.MaxAttempts > scope.MaxAttempts {
		scope.MaxAttempts = newScope.MaxAttempts
	}
	scope.Deadline = max(scope.Deadline, newScope.Deadline)
	both := NewList(scope, slices.Concat(old, new))
	complete = true
	for i := range len(old) + 1 {
		for j := range len(new) + 1 {
			d := Difference{Old: engine.RuleDefault, New: engine.RuleDefault, OldClass: oldRest, NewClass: newRest}
			if i < len(old) {
				d.Old, d.OldClass = old[i].ID, old[i].Class
			}
			if j < len(new) {
				d.New, d.NewClass = new[j].ID, new[j].Class
			}
			if d.OldClass == d.NewClass && d.Old == d.New {
				continue
			}
			a := both.pair(i, j, len(old)).Answer()
			complete = complete && a.Known
			if a.Possible {
				d.Witness = a.Witness
				found = append(found, d)
			}
		}
	}
	return found, complete
}

// pair asks for a failure that rule i of the first n decides among them, and rule j of
// the others among those. Behind the last of either stands "no rule".
func (l *List) pair(i, j, n int) Question {
	want := &condition{op: andOp}
	except := slices.Concat(l.conds[:i], l.conds[n:n+j])
	if i < n {
		want.args = append(want.args, l.conds[i])
	}
	if n+j < len(l.conds) {
		want.args = append(want.args, l.conds[n+j])
	}
	first := func(from, to int, w *Witness) int {
		for k := from; k < to; k++ {
			if l.test(k, w) == isTrue {
				return k - from
			}
		}
		return to - from
	}
	return Question{l, goal{want: want, bits: isTrue, except: except}, func(w *Witness) bool {
		return first(0, n, w) == i && first(n, len(l.Rules), w) == j
	}}
}

// CallOf is what else of a call matters to a difference, for people.
func (d Difference) CallOf() string {
	if d.Witness == nil {
		return "(no failure could be written down that shows it)"
	}
	return d.Witness.String()
}

// Grouped puts differences of the same change of class together, and those of rules
// alone by their rules; in each group what can be shown best comes first.
func Grouped(all []Difference) [][]Difference {
	type key struct {
		old, new         engine.Class
		oldRule, newRule string // of changes of rules alone
	}
	groups := map[key][]Difference{}
	for _, d := range all {
		k := key{old: d.OldClass, new: d.NewClass}
		if d.OldClass == d.NewClass {
			k.oldRule, k.newRule = d.Old, d.New
		}
		groups[k] = append(groups[k], d)
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.old, b.old), cmp.Compare(a.new, b.new), cmp.Compare(a.oldRule, b.oldRule), cmp.Compare(a.newRule, b.newRule))
	})
	var list [][]Difference
	for _, k := range keys {
		slices.SortStableFunc(groups[k], func(a, b Difference) int { return a.Witness.rarity() - b.Witness.rarity() })
		list = append(list, groups[k])
	}
	return list
}

// rarity orders failures by how likely they are met: those without a marker first, and
// those that cannot be shown last.
func (w *Witness) rarity() int {
	switch {
	case w == nil:
		return 1000
	case w.Input.Failure.Marker != engine.NoClass:
		return 100 + len(w.fields)
	}
	return len(w.fields)
}

// ExampleOf returns a failure that comes to a class, nil if none is found.
func ExampleOf(scope Scope, rules []interp.Condition, class, rest engine.Class) (best *Witness) {
	l := NewList(scope, rules)
	take := func(w *Witness) {
		if w.rarity() < best.rarity() {
			best = w
		}
	}
	for i, r := range rules {
		if r.Class == class {
			take(l.Decides(i).Witness())
		}
	}
	if best == nil && rest == class {
		take(l.Uncovered().Witness())
	}
	return best
}
