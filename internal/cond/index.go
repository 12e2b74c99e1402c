package cond

import (
	"slices"

	"github.com/redress-policy/redress/engine"
)

// An index tells which rules need not be asked. It has sets of rules, as bits, for each
// status, and for each code and kind that rules name.
//
// The invariants: a rule is missing from the set may of a value only if its condition is
// false, and does not err, for every failure whose field has that value; and it is in the
// set sure only if its condition is true, and does not err, for every such failure. So a
// rule is passed over if it is missing from may for any of the failure's fields, it holds
// without being asked if it is in sure for any of them, and the first of those that are
// left to hold is the first of all.
//
// Code and kind cost more to compute than a status. They are read only when a rule is
// reached that they may say something of, and that the status does not decide.
type index struct {
	rows     []sets                   // by statuses; the last is that of statuses out of range
	statuses [maxStatus + 1]uint16    // to rows
	silent   [maxStatus/64 + 1]uint64 // statuses for which no rule may hold
	codes    table
	kinds    table
	named    []uint64         // rules of which codes or kinds may say something
	verdicts []engine.Verdict // where no rule holds, then where each of them does, without hints and errors
}

const maxStatus = 599

// Sets are what one value of a field says of the rules, 64 of them in each word.
type sets struct{ may, sure []uint64 }

// row is what the failure's status says.
func (x *index) row(in *engine.Input) *sets {
	if s := uint(status(in)); s <= maxStatus {
		return &x.rows[x.statuses[s]]
	}
	return &x.rows[len(x.rows)-1]
}

// names is what the failure's code and kind say.
func (x *index) names(in *engine.Input) (byCode, byKind *sets) {
	byCode, byKind = &x.codes.rest, &x.kinds.rest
	if x.codes.slots != nil {
		byCode = x.codes.find(code(in))
	}
	if x.kinds.slots != nil {
		byKind = x.kinds.find(kindOf(kind(in)))
	}
	return byCode, byKind
}

// A table has the sets for the values of a text field.
type table struct {
	slots []slot // a power of two, at most half of them taken; nil if no rule depends on the field
	rest  sets   // for values that have no slot
}

type slot struct {
	name string
	sets *sets // nil if it is free
}

// find returns what a value says.
func (t *table) find(name string) *sets {
	mask := uint(len(t.slots) - 1)
	for i := hash(name) & mask; t.slots[i].sets != nil; i = (i + 1) & mask {
		if t.slots[i].name == name {
			return t.slots[i].sets
		}
	}
	return &t.rest
}

// hash tells apart what codes differ in mostly: the length, the beginning, the middle and
// the end.
func hash(name string) uint {
	n := uint(len(name))
	if n == 0 {
		return 0
	}
	return n + 31*uint(name[0]) + 7*uint(name[n/2]) + 131*uint(name[n-1])
}

// newTable makes a table of what the rules say of each name.
func newTable(names []string, of func(name string) sets, rest sets) table {
	if len(names) == 0 {
		return table{rest: rest}
	}
	size := 2
	for size < 2*len(names) {
		size *= 2
	}
	t := table{make([]slot, size), rest}
	for _, name := range names {
		made := of(name)
		i := hash(name) & uint(size-1)
		for t.slots[i].sets != nil {
			i = (i + 1) & uint(size-1)
		}
		t.slots[i] = slot{name, &made}
	}
	return t
}

// newIndex joins what is known of each rule.
func newIndex(rules []*Rule) *index {
	facets := make([]facet, len(rules))
	x := &index{verdicts: make([]engine.Verdict, 1, len(rules)+1)}
	for i, r := range rules {
		facets[i] = facetOf(r.Expr)
		x.verdicts = append(x.verdicts, engine.Verdict{Class: r.Class, Rule: r.ID})
	}
	x.indexStatuses(facets)
	x.named = make([]uint64, words(len(rules)))
	x.codes = x.tableOf(facets, "code", func(f *facet) *texts { return &f.codes })
	x.kinds = x.tableOf(facets, "kind", func(f *facet) *texts { return &f.kinds })
	return x
}

func words(rules int) int { return (rules + 63) / 64 }

// setsOf collects an outcome of each rule.
func setsOf(facets []facet, of func(f *facet) outcome) sets {
	s := sets{make([]uint64, words(len(facets))), make([]uint64, words(len(facets)))}
	for i := range facets {
		o := of(&facets[i])
		if o != isFalse {
			s.may[i/64] |= 1 << (i % 64)
		}
		if o == isTrue {
			s.sure[i/64] |= 1 << (i % 64)
		}
	}
	return s
}

// indexStatuses makes the rows. Statuses between those that literals name are all alike.
func (x *index) indexStatuses(facets []facet) {
	var starts []int
	for i := range facets {
		for _, n := range facets[i].numbers {
			starts = append(starts, int(n))
		}
	}
	slices.Sort(starts)
	for i, start := range slices.Compact(starts) {
		row := setsOf(facets, func(f *facet) outcome { return f.status(start) })
		x.rows = append(x.rows, row)
		silent := !slices.ContainsFunc(row.may, func(word uint64) bool { return word != 0 })
		for s := start; s <= maxStatus; s++ {
			x.statuses[s] = uint16(i)
			x.silent[s/64] &^= 1 << (s % 64)
			if silent {
				x.silent[s/64] |= 1 << (s % 64)
			}
		}
	}
	x.rows = append(x.rows, setsOf(facets, func(*facet) outcome { return anything }))
}

// tableOf makes the table of a text field, and notes the rules that it says something of.
func (x *index) tableOf(facets []facet, field string, of func(*facet) *texts) table {
	seen := map[string]bool{}
	var names []string
	for i := range facets {
		f := of(&facets[i])
		for _, name := range f.names {
			if !seen[name] {
				seen[name], names = true, append(names, name)
			}
		}
		if f.depends {
			x.named[i/64] |= 1 << (i % 64)
		}
	}
	return newTable(names,
		func(name string) sets {
			return setsOf(facets, func(f *facet) outcome { return of(f).of(f.when, field, name) })
		},
		setsOf(facets, func(f *facet) outcome { return of(f).rest }))
}

// A facet says what a condition comes to for the values of single fields.
type facet struct {
	when     *Expr     // nil if it is not known
	numbers  []int64   // statuses from each of which on, up to the next, outcomes are alike; the first is 0
	outcomes []outcome // for each of numbers
	codes    texts
	kinds    texts
}

// Texts are the values of a text field that a condition tells apart.
type texts struct {
	names   []string
	tests   bool    // it looks into other values too
	depends bool    // some value decides the condition
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
	slices.Sort(f.numbers)
	f.numbers = slices.DeleteFunc(slices.Compact(f.numbers), func(n int64) bool { return n > maxStatus })
	for _, n := range f.numbers {
		f.outcomes = append(f.outcomes, e.outcomes("status", n))
	}
	f.codes.settle(e, "code")
	f.kinds.settle(e, "kind")
	return f
}

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
	t.depends = t.tests || len(t.names) > 0
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

// simpleField is the name of a field of err or result that is read as it is, "" for
// anything else.
func simpleField(e *Expr) string {
	if e.Op != OpField {
		return ""
	}
	return recordField(e.Name)
}
