package analysis

import (
	"slices"
	"strconv"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// A List answers questions about an ordered list of rules of which the first that
// holds decides.
type List struct {
	Scope Scope
	Rules []interp.Condition
	space *space
	conds []*condition
	fits  [][]fit // by rule; made when asked for
}

// NewList prepares a list of rules.
func NewList(scope Scope, rules []interp.Condition) *List {
	nodes := make([]*interp.Node, len(rules))
	for i, r := range rules {
		nodes[i] = r.When
	}
	l := &List{Scope: scope, Rules: rules, space: newSpace(scope, nodes), fits: make([][]fit, len(rules))}
	for _, n := range nodes {
		l.conds = append(l.conds, l.space.lower(n))
	}
	return l
}

// A Question asks whether there is a failure of some sort.
type Question struct {
	list  *List
	goal  goal
	shows func(*Witness) bool // whether a failure is of that sort, by the real rules
}

// An Answer says whether there is a failure of some sort.
type Answer struct {
	Possible bool     // false: proven that there is none
	Known    bool     // false: the search gave up, Possible means nothing
	Witness  *Witness // such a failure, shown to the real rules; nil if none could be made
}

// Never reports whether it is proven that there is no such failure.
func (a Answer) Never() bool { return a.Known && !a.Possible }

// Never reports whether it is proven that there is no such failure, without making one.
func (q Question) Never() bool { return q.list.space.never(q.goal) }

// Found reports whether the search comes upon such a failure. If conditions have parts that
// are not understood, it may be one that cannot be.
func (q Question) Found() bool {
	found, _ := q.list.space.search(q.goal)
	return found
}

// Witness makes such a failure and shows it to the real rules; nil if none could be made.
func (q Question) Witness() *Witness { return q.Answer().Witness }

// Answer says all that can be known.
func (q Question) Answer() (a Answer) {
	s := q.list.space
	q.goal.show = func(assigned []int) bool {
		w, ok := s.witness(assigned)
		if ok && q.shows(w) {
			a.Witness = w
		}
		return a.Witness != nil
	}
	a.Possible, a.Known = s.search(q.goal)
	return a
}

// Holds asks for a failure on which the condition of rule i holds.
func (l *List) Holds(i int) Question {
	return Question{l, goal{want: l.conds[i], bits: isTrue}, func(w *Witness) bool { return l.test(i, w) == isTrue }}
}

// HoldsNot asks for a failure on which the condition of rule i does not hold, or errs.
func (l *List) HoldsNot(i int) Question {
	return Question{l, goal{want: l.conds[i], bits: isFalse | isError}, func(w *Witness) bool { return l.test(i, w) != isTrue }}
}

// Errs asks for a failure on which the condition of rule i errs.
func (l *List) Errs(i int) Question {
	return Question{l, goal{want: l.conds[i], bits: isError}, func(w *Witness) bool { return l.test(i, w) == isError }}
}

// Decides asks for a failure on which rule i decides: its condition holds, and that of
// no earlier rule.
func (l *List) Decides(i int) Question {
	return Question{l, goal{want: l.conds[i], bits: isTrue, except: l.conds[:i]}, func(w *Witness) bool { return l.first(w) == i }}
}

// Part asks for a failure that is held against rule i, because no earlier rule holds, and
// on which a part of its condition comes to value.
func (l *List) Part(i int, part *interp.Node, value bool) Question {
	g := goal{want: l.space.lower(part), bits: isFalse, except: l.conds[:i]}
	if value {
		g.bits = isTrue
	}
	return Question{l, g, func(w *Witness) bool {
		first := l.first(w)
		return (first < 0 || first >= i) && slices.ContainsFunc(l.Rules[i].Parts(w.Input), func(p interp.PartTrace) bool {
			return p.Range == part.Range && p.Value == strconv.FormatBool(value)
		})
	}}
}

// Within asks for a failure on which rules i and j hold.
func (l *List) Within(i, j int) Question {
	both := &condition{op: andOp, args: []*condition{l.conds[i], l.conds[j]}}
	return Question{l, goal{want: both, bits: isTrue}, func(w *Witness) bool { return l.test(i, w) == isTrue && l.test(j, w) == isTrue }}
}

// Beyond asks for a failure on which rule i holds and rule j does not.
func (l *List) Beyond(i, j int) Question {
	return Question{l, goal{want: l.conds[i], bits: isTrue, except: []*condition{l.conds[j]}}, func(w *Witness) bool { return l.test(i, w) == isTrue && l.test(j, w) != isTrue }}
}

// Uncovered asks for a failure on which no rule holds.
func (l *List) Uncovered() Question {
	return Question{l, goal{want: &condition{op: constOp, all: isTrue}, bits: isTrue, except: l.conds}, func(w *Witness) bool { return l.first(w) < 0 }}
}

// Differs asks for a failure that rule i decides and that would come to another class
// without it. rest is the class when no rule holds.
func (l *List) Differs(i int, rest engine.Class) Question {
	class := func(j int) engine.Class {
		if j < 0 {
			return rest
		}
		return l.Rules[j].Class
	}
	accept := func(assigned []int) verdict {
		for j := i + 1; j < len(l.conds); j++ {
			switch o := l.conds[j].eval(assigned); {
			case o == isTrue:
				return decided(class(j) != class(i))
			case o&isTrue != 0:
				return open
			}
		}
		return decided(rest != class(i))
	}
	g := goal{want: l.conds[i], bits: isTrue, except: l.conds[:i], also: l.conds[i+1:], accept: accept}
	return Question{l, g, func(w *Witness) bool {
		if l.first(w) != i {
			return false
		}
		for j := i + 1; j < len(l.Rules); j++ {
			if l.test(j, w) == isTrue {
				return class(j) != class(i)
			}
		}
		return rest != class(i)
	}}
}

func decided(differs bool) verdict {
	if differs {
		return yes
	}
	return no
}

// Blockers returns the fewest earlier rules that together take every failure of rule
// i, which never decides. Of several such sets it is one from which no rule can be
// left out.
func (l *List) Blockers(i int) []int {
	var kept []int
	for j := range i {
		kept = append(kept, j)
	}
	for j := i - 1; j >= 0; j-- {
		without := slices.DeleteFunc(slices.Clone(kept), func(k int) bool { return k == j })
		if l.space.never(goal{want: l.conds[i], bits: isTrue, except: l.pick(without)}) {
			kept = without
		}
	}
	return kept
}

func (l *List) pick(indices []int) []*condition {
	var list []*condition
	for _, i := range indices {
		list = append(list, l.conds[i])
	}
	return list
}

// test asks the real rule.
func (l *List) test(i int, w *Witness) outcome {
	holds, err := l.Rules[i].Test(w.Input)
	switch {
	case err != nil:
		return isError
	case holds:
		return isTrue
	}
	return isFalse
}

// first returns the rule that really decides, -1 if none does.
func (l *List) first(w *Witness) int {
	for i := range l.Rules {
		if l.test(i, w) == isTrue {
			return i
		}
	}
	return -1
}

// A Verdict says whether a condition depends on anything.
type Verdict uint8

// The verdicts on a condition.
const (
	Varies Verdict = iota
	AlwaysTrue
	AlwaysFalse
)

// Constant reports whether a condition of the list, or a part of one, comes to the same
// for every failure.
func (l *List) Constant(n *interp.Node) Verdict {
	if c := l.space.atoms[n.Key]; c != nil && c.pred < 0 {
		return verdictOf(c.all)
	}
	return Constant(l.Scope, n)
}

// Implies reports whether it is proven that b holds whenever a does.
func (l *List) Implies(a, b *interp.Node) bool { return Implies(l.Scope, a, b) }

// Constant reports whether a condition comes to the same for every failure.
func Constant(scope Scope, n *interp.Node) Verdict {
	s := newSpace(scope, []*interp.Node{n})
	c := s.lower(n)
	v := verdictOf(c.eval(slices.Repeat([]int{-1}, len(s.dims))))
	switch {
	case v != Varies || c.op != atomOp || c.pred < 0:
		return v
	case s.never(goal{want: c, bits: isTrue | isError}):
		return AlwaysFalse
	case s.never(goal{want: c, bits: isFalse | isError}):
		return AlwaysTrue
	}
	return Varies
}

func verdictOf(all outcome) Verdict {
	switch all {
	case isTrue:
		return AlwaysTrue
	case isFalse:
		return AlwaysFalse
	}
	return Varies
}

// Implies reports whether it is proven that b holds whenever a does.
func Implies(scope Scope, a, b *interp.Node) bool {
	s := newSpace(scope, []*interp.Node{a, b})
	return s.never(goal{want: s.lower(a), bits: isTrue, except: []*condition{s.lower(b)}})
}

// never reports whether it is proven that a goal cannot be reached.
func (s *space) never(g goal) bool {
	found, exhausted := s.search(g)
	return !found && exhausted
}
