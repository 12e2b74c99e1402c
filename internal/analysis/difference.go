package analysis

import (
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
// with different classes the failures on which one decides here and the other there.
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
			if d.OldClass == d.NewClass {
				continue
			}
			a := both.pair(i, j, len(old))
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
func (l *List) pair(i, j, n int) Answer {
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
	return l.ask(goal{want: want, bits: isTrue, except: except}, func(w *Witness) bool {
		return first(0, n, w) == i && first(n, len(l.Rules), w) == j
	})
}

// CallOf is what else of a call matters to a difference, for people.
func (d Difference) CallOf() string {
	if d.Witness == nil {
		return "(no failure could be written down that shows it)"
	}
	return d.Witness.String()
}

// Grouped puts differences of the same change of class together, those that can be
// shown first.
func Grouped(all []Difference) [][]Difference {
	groups := map[[2]engine.Class][]Difference{}
	for _, d := range all {
		key := [2]engine.Class{d.OldClass, d.NewClass}
		groups[key] = append(groups[key], d)
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b [2]engine.Class) int {
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		return int(a[1]) - int(b[1])
	})
	var list [][]Difference
	for _, k := range keys {
		slices.SortStableFunc(groups[k], func(a, b Difference) int {
			switch {
			case (a.Witness != nil) == (b.Witness != nil):
				return 0
			case a.Witness != nil:
				return -1
			}
			return 1
		})
		list = append(list, groups[k])
	}
	return list
}
