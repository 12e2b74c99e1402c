package cond

import (
	"slices"
	"strings"

	"github.com/redress-policy/redress/engine"
)

// An index tells which rules need not be asked. It has a set of rules, as bits, for each
// status, and for each code and kind that rules name.
//
// The invariant: the bit of a rule is missing from the set of a value only if the rule's
// condition is false, and does not err, for every failure whose field has that value. So a
// rule may be passed over if its bit is missing from any of the sets that the failure's
// fields lead to, and the first of the others that holds is the first of all.
type index struct {
	all      []uint64
	statuses [maxStatus + 1]uint16 // to rows
	rows     [][]uint64
	codes    map[string][]uint64 // nil if no rule depends on the code
	code     []uint64            // of all other codes
	kinds    map[string][]uint64
	kind     []uint64
	narrows  []uint64 // rules that some code or kind rules out: only before these is it worth to look at them
}

const maxStatus = 599

// row is the set for the failure's status.
func (x *index) row(in *engine.Input) []uint64 {
	if s := uint(status(in)); s <= maxStatus {
		return x.rows[x.statuses[s]]
	}
	return x.all
}

// word is one word of the sets for code and kind, intersected.
func (x *index) word(in *engine.Input, w int) uint64 {
	mask := ^uint64(0)
	if x.codes != nil {
		set, ok := x.codes[code(in)]
		if !ok {
			set = x.code
		}
		mask = set[w]
	}
	if x.kinds != nil {
		set, ok := x.kinds[kindOf(kind(in))]
		if !ok {
			set = x.kind
		}
		mask &= set[w]
	}
	return mask
}

// newIndex joins what is known of each rule.
func newIndex(rules []*Rule) *index {
	facets := make([]facet, len(rules))
	for i, r := range rules {
		facets[i] = facetOf(r.Expr)
	}
	setOf := func(has func(f *facet) bool) []uint64 {
		set := make([]uint64, (len(rules)+63)/64)
		for i := range facets {
			if has(&facets[i]) {
				set[i/64] |= 1 << (i % 64)
			}
		}
		return set
	}
	x := &index{all: setOf(func(*facet) bool { return true })}
	for s := range x.statuses {
		set := setOf(func(f *facet) bool { return f.statuses[s/64]>>(s%64)&1 != 0 })
		row := slices.IndexFunc(x.rows, func(known []uint64) bool { return slices.Equal(known, set) })
		if row < 0 {
			row = len(x.rows)
			x.rows = append(x.rows, set)
		}
		x.statuses[s] = uint16(row)
	}
	named := func(of func(*facet) *names) (sets map[string][]uint64, rest []uint64) {
		for i := range facets {
			for name := range of(&facets[i]).possible {
				if sets == nil {
					sets = map[string][]uint64{}
				}
				if sets[name] == nil {
					sets[name] = setOf(func(f *facet) bool { return of(f).may(name) })
				}
			}
		}
		return sets, setOf(func(f *facet) bool { return of(f).others })
	}
	x.codes, x.code = named(func(f *facet) *names { return &f.codes })
	x.kinds, x.kind = named(func(f *facet) *names { return &f.kinds })
	x.narrows = setOf(func(f *facet) bool { return f.codes.narrow() || f.kinds.narrow() })
	return x
}

// narrow reports whether some value rules the condition out.
func (n *names) narrow() bool {
	for _, possible := range n.possible {
		if !possible {
			return true
		}
	}
	return !n.others
}

// A facet says with which values of single fields a condition may hold or err.
type facet struct {
	statuses [maxStatus/64 + 1]uint64
	codes    names
	kinds    names
}

// Names are the values of a text field.
type names struct {
	possible map[string]bool // of those that the condition names
	others   bool            // of all others
}

func (n *names) may(name string) bool {
	possible, named := n.possible[name]
	return named && possible || !named && n.others
}

// facetOf tries a condition on the values that its literals tell apart. e may be nil.
func facetOf(e *Expr) facet {
	f := facet{codes: names{others: true}, kinds: names{others: true}}
	if e == nil {
		for i := range f.statuses {
			f.statuses[i] = ^uint64(0)
		}
		return f
	}
	numbers := []int64{0, maxStatus + 1}
	codes, kinds := map[string]bool{}, map[string]bool{}
	e.literals(func(field string, v any) {
		switch v := v.(type) {
		case int64:
			if field == "status" && 0 <= v && v <= maxStatus {
				numbers = append(numbers, v)
			}
		case string:
			switch field {
			case "code":
				codes[v] = true
			case "kind":
				kinds[v] = true
			}
		}
	})
	slices.Sort(numbers)
	next := int64(0)
	for _, n := range slices.Compact(numbers) {
		f.mark(next, n, next < n && e.may("status", next)) // between the literals one is like the other
		f.mark(n, n+1, n <= maxStatus && e.may("status", n))
		next = n + 1
	}
	f.codes = e.names("code", codes)
	f.kinds = e.names("kind", kinds)
	return f
}

func (f *facet) mark(from, to int64, possible bool) {
	for s := from; possible && s < to; s++ {
		f.statuses[s/64] |= 1 << (s % 64)
	}
}

// other stands for a text that no literal of the condition names.
type other struct{}

func (e *Expr) names(field string, literals map[string]bool) names {
	n := names{others: true}
	if len(literals) == 0 {
		return n
	}
	n.others, n.possible = e.may(field, other{}), map[string]bool{}
	for name := range literals {
		n.possible[name] = e.may(field, name)
	}
	return n
}

// literals calls f for each literal that a field is compared with.
func (e *Expr) literals(f func(field string, v any)) {
	if e.Op == OpCall && len(e.Args) == 2 {
		for i, arg := range e.Args {
			field, against := simpleField(arg), e.Args[1-i]
			if field == "" {
				continue
			}
			for _, item := range append([]*Expr{against}, against.Args...) {
				if item.Op == OpLiteral {
					f(field, item.Value)
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

// An outcome is a set of what a condition can come to.
type outcome uint8

const (
	isTrue outcome = 1 << iota
	isFalse
	isError
)

// may reports whether a condition can hold or err if a field has a value.
func (e *Expr) may(field string, v any) bool { return e.outcomes(field, v) != isFalse }

// outcomes are what a condition can come to if a field has a value, for all that can be
// told from that.
func (e *Expr) outcomes(field string, v any) outcome {
	switch e.Op {
	case OpLiteral:
		return truth(e.Value == true)
	case OpVar:
		return e.Args[0].outcomes(field, v)
	case OpHas:
		if recordField(e.Name) == field && v != (other{}) {
			return truth(v != int64(0) && v != "" && (field != "kind" || v != "unknown"))
		}
		return isTrue | isFalse
	case OpCall:
		return e.callOutcomes(field, v)
	}
	return isTrue | isFalse | isError
}

func truth(b bool) outcome {
	if b {
		return isTrue
	}
	return isFalse
}

func (e *Expr) callOutcomes(field string, v any) outcome {
	switch e.Name {
	case "&&":
		o := isTrue
		for _, arg := range e.Args {
			o = and2(o, arg.outcomes(field, v))
		}
		return o
	case "||":
		o := isFalse
		for _, arg := range e.Args {
			o = not(and2(not(o), not(arg.outcomes(field, v))))
		}
		return o
	case "!":
		return not(e.Args[0].outcomes(field, v))
	case "==", "!=", "<", "<=", ">", ">=", "in":
		if o := compare(e, field, v); o != 0 {
			return o
		}
	}
	return isTrue | isFalse | isError
}

// compare evaluates a comparison of the field with literals; 0 if it is another.
func compare(e *Expr, field string, v any) outcome {
	a, b, op := e.Args[0], e.Args[1], e.Name
	if simpleField(b) == field && a.Op == OpLiteral && op != "in" {
		a, b = b, a
		op = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}[op]
	}
	if simpleField(a) == "" {
		return 0
	}
	if simpleField(a) != field {
		if a.Type == b.Type && b.Op == OpLiteral && !strings.HasPrefix(recordField(a.Name), "attr.") {
			return isTrue | isFalse // which cannot err
		}
		return 0
	}
	switch {
	case b.Op == OpLiteral && op == "==":
		return truth(b.Value == v)
	case b.Op == OpLiteral && op == "!=":
		return truth(b.Value != v)
	case op == "in" && b.Op == OpList:
		if slices.ContainsFunc(b.Args, func(item *Expr) bool { return item.Op != OpLiteral }) {
			return 0
		}
		return truth(slices.ContainsFunc(b.Args, func(item *Expr) bool { return item.Value == v }))
	}
	x, isNumber := v.(int64)
	limit, isLimit := b.Value.(int64)
	if !isNumber || !isLimit || b.Op != OpLiteral {
		return 0
	}
	switch op {
	case "<":
		return truth(x < limit)
	case "<=":
		return truth(x <= limit)
	case ">":
		return truth(x > limit)
	case ">=":
		return truth(x >= limit)
	}
	return 0
}

func not(o outcome) outcome { return o&isError | (o&isTrue)<<1 | (o&isFalse)>>1 }

// and2 joins outcomes as CEL does: what is false decides, whatever else errs.
func and2(a, b outcome) outcome {
	var o outcome
	if (a|b)&isFalse != 0 {
		o |= isFalse
	}
	if a&isTrue != 0 && b&isTrue != 0 {
		o |= isTrue
	}
	if a&isError != 0 && b&^isFalse != 0 || b&isError != 0 && a&^isFalse != 0 {
		o |= isError
	}
	return o
}
