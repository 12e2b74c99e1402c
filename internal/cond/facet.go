package cond

import (
	"slices"

	"github.com/redress-policy/redress/engine"
)

// A facet says what a condition comes to for the values of single fields.
type facet struct {
	when     *Expr     // nil if it is not known
	numbers  []int64   // statuses from each of which on, up to the next, outcomes are alike; the first is 0
	outcomes []outcome // for each of numbers
	codes    texts
	kinds    texts
	classes  [classCount]outcome
}

// classCount is how many classes there are, none included.
const classCount = int(engine.Unknown) + 1

// classed reports whether some class decides the condition.
func (f *facet) classed() bool {
	return slices.ContainsFunc(f.classes[:], func(o outcome) bool { return !undecided(o) })
}

// Texts are the values of a text field that a condition tells apart.
type texts struct {
	names   []string
	tests   bool    // it looks into other values too
	depends bool    // some value may decide the condition, or all do alike
	rest    outcome // for values that are not among the names
}

// of is what the condition comes to for a value that this or another condition names.
func (t *texts) of(e *Expr, field, value string) outcome {
	if t.tests || slices.Contains(t.names, value) {
		return e.outcomes(field, value)
	}
	return t.rest
}

func (f *facet) status(s int) outcome {
	i, exact := slices.BinarySearch(f.numbers, int64(s))
	if !exact {
		i--
	}
	return f.outcomes[i]
}

// facetOf tries a condition on the values that its literals tell apart. e may be nil.
func facetOf(e *Expr) facet {
	if e == nil {
		return facet{numbers: []int64{0}, outcomes: []outcome{anything}, codes: texts{rest: anything}, kinds: texts{rest: anything}}
	}
	f := facet{when: e, numbers: []int64{0, 1}}
	e.literals(func(field, op string, v any) {
		switch v := v.(type) {
		case int64:
			if field == "status" && 0 <= v && v <= maxStatus {
				f.numbers = append(f.numbers, v, v+1)
			}
		case string:
			switch field {
			case "code":
				f.codes.add(op, v)
			case "kind":
				f.kinds.add(op, v)
			}
		}
	})
	for c := range f.classes {
		f.classes[c] = e.outcomes("class", engine.Class(c))
	}
	slices.Sort(f.numbers)
	f.numbers = slices.DeleteFunc(slices.Compact(f.numbers), func(n int64) bool { return n > maxStatus })
	for _, n := range f.numbers {
		f.outcomes = append(f.outcomes, e.outcomes("status", n))
	}
	f.codes.settle(e, "code")
	f.kinds.settle(e, "kind")
	return f
}

func codesOf(f *facet) *texts { return &f.codes }

func kindsOf(f *facet) *texts { return &f.kinds }

// isDecided reports whether one field decides a condition, whatever its value.
func isDecided(e *Expr) bool {
	f := facetOf(e)
	return !slices.ContainsFunc(f.outcomes, undecided) || !slices.ContainsFunc(f.classes[:], undecided) ||
		f.codes.decide(e, "code") || f.kinds.decide(e, "kind")
}

func (t *texts) decide(e *Expr, field string) bool {
	return !undecided(t.rest) && !slices.ContainsFunc(t.names, func(name string) bool { return undecided(e.outcomes(field, name)) })
}

func undecided(o outcome) bool { return o != isTrue && o != isFalse }

// add notes a literal that the field is compared with. The empty text is always a name,
// because most failures have no code.
func (t *texts) add(op, literal string) {
	if len(t.names) == 0 {
		t.names = append(t.names, "")
	}
	switch op {
	case "startsWith", "endsWith", "contains":
		t.tests = true
	default:
		t.names = append(t.names, literal)
	}
}

func (t *texts) settle(e *Expr, field string) {
	slices.Sort(t.names)
	t.names = slices.Compact(t.names)
	t.rest = e.outcomes(field, other{})
	t.depends = t.tests || len(t.names) > 0 || !undecided(t.rest)
}

// other stands for a text that no literal of the condition names.
type other struct{}

// literals calls f for each literal that a field is compared with, and the comparison.
func (e *Expr) literals(f func(field, op string, v any)) {
	if e.Op == OpCall && len(e.Args) == 2 {
		for i, arg := range e.Args {
			field, against := simpleField(arg), e.Args[1-i]
			if field == "" {
				continue
			}
			for _, item := range append([]*Expr{against}, against.Args...) {
				if item.Op == OpLiteral {
					f(field, e.Name, item.Value)
				}
			}
		}
	}
	for _, arg := range e.Args {
		arg.literals(f)
	}
}

// simpleField is the name of a field of err or result that is read as it is, or "class";
// "" for anything else.
func simpleField(e *Expr) string {
	switch {
	case e.Op != OpField:
		return ""
	case e.Name == "class":
		return e.Name
	}
	return recordField(e.Name)
}
