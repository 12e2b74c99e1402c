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
}

// NewList prepares a list of rules.
func NewList(scope Scope, rules []interp.Condition) *List {
	nodes := make([]*interp.Node, len(rules))
	for i, r := range rules {
		nodes[i] = r.When
	}
	l := &List{Scope: scope, Rules: rules, space: newSpace(scope, nodes)}
	for _, n := range nodes {
		l.conds = append(l.conds, l.space.lower(n))
	}
	return l
}

// An Answer says whether there is a failure of some sort.
type Answer struct {
	Possible bool     // false: proven that there is none
	Known    bool     // false: the search gave up, Possible means nothing
	Witness  *Witness // such a failure, shown to the real rules; nil if none could be made
}

// Never reports whether it is proven that there is no such failure.
func (a Answer) Never() bool { return a.Known && !a.Possible }

func (l *List) ask(g goal, check func(*Witness) bool) (a Answer) {
	g.show = func(assigned []int) bool {
		w, ok := l.space.witness(assigned)
		if ok && check(w) {
			a.Witness = w
		}
		return a.Witness != nil
	}
	a.Possible, _, a.Known = l.space.search(g)
	return a
}

// Holds asks for a failure on which the condition of rule i holds.
func (l *List) Holds(i int) Answer {
	return l.ask(goal{want: l.conds[i], bits: isTrue}, func(w *Witness) bool { return l.test(i, w) == isTrue })
}

// HoldsNot asks for a failure on which the condition of rule i does not hold, or errs.
func (l *List) HoldsNot(i int) Answer {
	return l.ask(goal{want: l.conds[i], bits: isFalse | isError}, func(w *Witness) bool { return l.test(i, w) != isTrue })
}

// Errs asks for a failure on which the condition of rule i errs.
func (l *List) Errs(i int) Answer {
	return l.ask(goal{want: l.conds[i], bits: isError}, func(w *Witness) bool { return l.test(i, w) == isError })
}

// Decides asks for a failure on which rule i decides: its condition holds, and that of
// no earlier rule.
func (l *List) Decides(i int) Answer {
	return l.ask(goal{want: l.conds[i], bits: isTrue, except: l.conds[:i]}, func(w *Witness) bool { return l.first(w) == i })
}

// Part asks for a failure that is held against rule i, because no earlier rule holds, and
// on which a part of its condition comes to value.
func (l *List) Part(i int, part *interp.Node, value bool) Answer {
	g := goal{want: l.space.lower(part), bits: isFalse, except: l.conds[:i]}
	if value {
		g.bits = isTrue
	}
	return l.ask(g, func(w *Witness) bool {
		first := l.first(w)
		return (first < 0 || first >= i) && slices.ContainsFunc(l.Rules[i].Parts(w.Input), func(p interp.PartTrace) bool {
			return p.Range == part.Range && p.Value == strconv.FormatBool(value)
		})
	})
}

// Within asks for a failure on which rules i and j hold.
func (l *List) Within(i, j int) Answer {
	both := &condition{op: andOp, args: []*condition{l.conds[i], l.conds[j]}}
	return l.ask(goal{want: both, bits: isTrue}, func(w *Witness) bool { return l.test(i, w) == isTrue && l.test(j, w) == isTrue })
}

// Beyond asks for a failure on which rule i holds and rule j does not.
func (l *List) Beyond(i, j int) Answer {
	return l.ask(goal{want: l.conds[i], bits: isTrue, except: []*condition{l.conds[j]}}, func(w *Witness) bool { return l.test(i, w) == isTrue && l.test(j, w) != isTrue })
}

// Uncovered asks for a failure on which no rule holds.
func (l *List) Uncovered() Answer {
	return l.ask(goal{want: &condition{op: constOp, all: isTrue}, bits: isTrue, except: l.conds}, func(w *Witness) bool { return l.first(w) < 0 })
}

// Differs asks for a failure that rule i decides and that would come to another class
// without it. rest is the class when no rule holds.
func (l *List) Differs(i int, rest engine.Class) Answer {
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
	return l.ask(g, func(w *Witness) bool {
		if l.first(w) != i {
			return false
		}
		for j := i + 1; j < len(l.Rules); j++ {
			if l.test(j, w) == isTrue {
				return class(j) != class(i)
			}
		}
		return rest != class(i)
	})
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
		if found, _, exhausted := l.space.search(goal{want: l.conds[i], bits: isTrue, except: l.pick(without)}); !found && exhausted {
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
	case s.never(c, isTrue|isError):
		return AlwaysFalse
	case s.never(c, isFalse|isError):
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
	found, _, exhausted := s.search(goal{want: s.lower(a), bits: isTrue, except: []*condition{s.lower(b)}})
	return !found && exhausted
}

// never reports whether it is proven that a condition does not come to one of bits.
func (s *space) never(c *condition, bits outcome) bool {
	found, _, exhausted := s.search(goal{want: c, bits: bits})
	return !found && exhausted
}
