package analysis

import (
	"math"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// An outcome is a set of what a condition can come to.
type outcome uint8

const (
	isTrue outcome = 1 << iota
	isFalse
	isError
	anything = isTrue | isFalse | isError
)

// A caseOf is one case of a dimension: a reading of a field, or an outcome of an
// atom that is not understood.
type caseOf struct {
	reading
	free outcome // of free dimensions
}

// A dimension is one thing that a failure can have in several ways.
type dimension struct {
	base   string // of fields; of free atoms their text
	cases  []caseOf
	parent int // index of the field of which this is a predicate, -1 without
	pred   predicate
	node   *interp.Node // the atom, of predicates and free atoms
	reads  machine      // of predicates: the answer to every string; nil if it is not understood
	tables [][]outcome  // of the atoms that read it: what they come to in each case
	groups []int        // the first of the cases in which all atoms come to the same; made when asked for
}

// A predicate is what is asked of a string, to tell which answers exclude each other.
type predicate struct {
	subject string // what is asked: the field, or the field in lower case
	kind    string // startsWith, endsWith, contains; "" for others
	text    string
}

// implies reports whether a string of which p holds is one of which q holds.
func (p predicate) implies(q predicate) bool {
	switch {
	case p.subject != q.subject || p.kind == "" || q.kind == "":
		return false
	case q.kind == "contains":
		return strings.Contains(p.text, q.text)
	case p.kind != q.kind:
		return false
	case p.kind == "startsWith":
		return strings.HasPrefix(p.text, q.text)
	}
	return strings.HasSuffix(p.text, q.text)
}

// excludes reports whether no string satisfies both.
func (p predicate) excludes(q predicate) bool {
	if p.subject != q.subject || p.kind != q.kind {
		return false
	}
	switch p.kind {
	case "startsWith":
		return !strings.HasPrefix(p.text, q.text) && !strings.HasPrefix(q.text, p.text)
	case "endsWith":
		return !strings.HasSuffix(p.text, q.text) && !strings.HasSuffix(q.text, p.text)
	}
	return false
}

// A Scope is what is known of the values that conditions read, beside their types.
type Scope struct {
	Attributes  map[string]string // declared types by name
	MaxAttempts int               // 0 if it is not known
	Deadline    time.Duration     // 0 if it is not known
	Classes     []engine.Class    // that select can see; nil for all that are retried
}

// A space is the cases of all fields that some conditions read.
type space struct {
	scope   Scope
	dims    []dimension
	index   map[string]int        // of dims by base
	atoms   map[string]*condition // by key, those of the conditions; nil until it is lowered
	texts   map[string]madeText   // strings that were looked for already
	spent   int                   // on them, in runes
	idle    *run                  // to search with; nil without
	implied map[[2]int]bool       // whether one exists implies another, by dimension
}

// maxFinite bounds the fields whose values are looked at one by one.
const maxFinite = 1024

// newSpace divides what the conditions read into cases.
func newSpace(scope Scope, conditions []*interp.Node) *space {
	s := &space{scope: scope, index: map[string]int{}, atoms: make(map[string]*condition, 2*len(conditions))}
	uses := map[string]*usage{}
	var order []string
	note := func(atom *interp.Node) {
		if _, known := s.atoms[atom.Key]; known {
			return
		}
		s.atoms[atom.Key] = nil
		for _, base := range basesOf(atom) {
			if uses[base] == nil {
				uses[base] = &usage{}
				order = append(order, base)
			}
			uses[base].note(atom)
		}
	}
	for _, c := range conditions {
		eachAtom(c, note)
	}
	s.dims = make([]dimension, 0, len(order))
	for _, base := range order {
		if cases := s.cases(base, uses[base]); len(cases) > 0 {
			s.index[base] = len(s.dims)
			s.dims = append(s.dims, dimension{base: base, cases: cases, parent: -1})
		}
	}
	return s
}

// A usage is how atoms use a field.
type usage struct {
	literals []any // beside it
	computed bool  // an atom does more than to compare it with literals
}

func (u *usage) note(atom *interp.Node) {
	atom.Walk(func(part *interp.Node) {
		if part.Op == interp.OpLiteral {
			u.literals = append(u.literals, part.Value)
		}
	})
	u.computed = u.computed || !isComparison(atom) && atom.Op != interp.OpHas
}

// eachAtom calls f for the parts of a condition that are no logic of other conditions.
func eachAtom(n *interp.Node, f func(*interp.Node)) {
	switch {
	case n.Op == interp.OpVar && n.Type == "bool":
		eachAtom(n.Args[0], f)
	case isLogic(n):
		for _, arg := range n.Args {
			eachAtom(arg, f)
		}
	case n.Op != interp.OpLiteral:
		f(n)
	}
}

func isLogic(n *interp.Node) bool {
	if n.Op != interp.OpCall || n.Type != "bool" {
		return false
	}
	switch n.Name {
	case "&&", "||", "!", "?:":
		return true
	case "==", "!=":
		return n.Args[0].Type == "bool" && n.Args[1].Type == "bool"
	}
	return false
}

// basesOf returns the fields that an atom reads, each once.
func basesOf(n *interp.Node) []string { return appendBases(make([]string, 0, 1), n) }

func appendBases(bases []string, n *interp.Node) []string {
	base, reads := entryOf(n)
	if !reads {
		switch n.Op {
		case interp.OpExists:
			return bases // of the chain, which is no field with cases
		case interp.OpField, interp.OpHas, interp.OpOptional:
			base, reads = n.Name, true
		}
	}
	if reads {
		if !slices.Contains(bases, base) {
			bases = append(bases, base)
		}
		return bases
	}
	for _, arg := range n.Args {
		bases = appendBases(bases, arg)
	}
	return bases
}

// cases divides what a field can read as. None are returned for fields that are not
// understood.
func (s *space) cases(base string, u *usage) []caseOf {
	record, field, inRecord := strings.Cut(base, ".")
	switch {
	case strings.HasSuffix(base, "]"):
		return append([]caseOf{{reading: reading{false, other{}}}}, texts(u.literals, false)...)
	case inRecord && (record == "err" || record == "result" || record == "cause"):
		if name, isAttr := strings.CutPrefix(field, "attr."); isAttr {
			return s.attribute(s.scope.Attributes[name], u)
		}
		return recordField(field, u)
	}
	return s.global(base, u)
}

func recordField(field string, u *usage) []caseOf {
	switch field {
	case "status":
		return append([]caseOf{{reading: reading{false, int64(0)}}}, statuses(u)...)
	case "kind":
		return words(dsl.KindNames())
	case "phase":
		return words(dsl.PhaseNames())
	case "marker":
		none := caseOf{reading: reading{false, engine.NoClass.String()}}
		cases := []caseOf{none}
		for _, name := range dsl.ClassNames() {
			cases = append(cases, caseOf{reading: reading{true, name}})
		}
		return cases
	case "timeout":
		return []caseOf{{reading: reading{false, false}}, {reading: reading{true, true}}}
	case "code", "message", "type":
		return texts(u.literals, true)
	case "retry_after":
		return append([]caseOf{{reading: reading{false, time.Duration(0)}}}, durations(u.literals, math.MinInt64, math.MaxInt64)...)
	}
	return nil
}

// words are the cases of an enum whose member "unknown" is what has() takes for not set.
func words(names []string) []caseOf {
	var cases []caseOf
	for _, name := range names {
		cases = append(cases, caseOf{reading: reading{name != "unknown", name}})
	}
	return cases
}

// texts are the cases of a string: every literal, and last all others.
func texts(literals []any, emptyIsNone bool) []caseOf {
	list := []any{""}
	for _, l := range literals {
		if _, ok := l.(string); ok {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	list = slices.Compact(list)
	cases := make([]caseOf, 0, len(list)+2)
	for _, text := range list {
		cases = append(cases, caseOf{reading: reading{text != "" || !emptyIsNone, text}})
	}
	return append(cases, caseOf{reading: reading{true, other{}}})
}

func (s *space) attribute(typ string, u *usage) []caseOf {
	absent := func(zero any) []caseOf { return []caseOf{{reading: reading{false, zero}}} }
	switch typ {
	case "string":
		return append(absent(""), texts(u.literals, false)...)
	case "bool":
		return append(absent(false), caseOf{reading: reading{true, false}}, caseOf{reading: reading{true, true}})
	case "int":
		return append(absent(int64(0)), integers(u.literals, math.MinInt64, math.MaxInt64)...)
	case "double":
		return append(absent(0.0), doubles(u.literals)...)
	case "duration":
		return append(absent(time.Duration(0)), durations(u.literals, math.MinInt64, math.MaxInt64)...)
	}
	return nil
}

func (s *space) global(name string, u *usage) []caseOf {
	deadline := int64(math.MaxInt64)
	if s.scope.Deadline > 0 {
		deadline = int64(s.scope.Deadline)
	}
	switch name {
	case "op":
		return texts(u.literals, false)
	case "attempt", "class_attempt":
		if n := s.scope.MaxAttempts; n > 0 && n <= maxFinite {
			var cases []caseOf
			for i := range n {
				cases = append(cases, caseOf{reading: reading{true, int64(i + 1)}})
			}
			return cases
		}
		return integers(u.literals, 1, math.MaxInt64)
	case "elapsed":
		return durations(u.literals, 0, math.MaxInt64)
	case "remaining":
		return durations(u.literals, math.MinInt64, deadline)
	case "retry_after":
		return durations(u.literals, 0, math.MaxInt64)
	case "idempotent":
		return []caseOf{{reading: reading{true, true}}, {reading: reading{true, false}}}
	case "class":
		var cases []caseOf
		for _, c := range engine.Classes() {
			if s.scope.Classes == nil && c.Retryable() || slices.Contains(s.scope.Classes, c) {
				cases = append(cases, caseOf{reading: reading{true, c}})
			}
		}
		return cases
	}
	return nil
}

// steps divides the numbers from low to high at the constants: each of them, and one
// for each gap between.
func steps(constants []int64, low, high int64) []int64 {
	slices.Sort(constants)
	constants = slices.Compact(constants)
	var list []int64
	next := low // the least number that no case covers yet
	for _, c := range constants {
		if c < low || c > high {
			continue
		}
		if c > next {
			list = append(list, between(next, c-1))
		}
		list = append(list, c)
		if c == math.MaxInt64 {
			return list
		}
		next = c + 1
	}
	if next <= high {
		list = append(list, between(next, high))
	}
	return list
}

// between picks a number that looks natural.
func between(low, high int64) int64 {
	switch {
	case low <= 0 && high >= 0:
		return 0
	case low > 0:
		return low
	}
	return high
}

// The statuses that a record can have, beside 0 for none.
const minStatus, maxStatus = 100, 599

// statuses are the cases of a status that is there: its values if atoms compute with it.
func statuses(u *usage) []caseOf {
	if !u.computed {
		return integers(u.literals, minStatus, maxStatus)
	}
	var cases []caseOf
	for v := int64(minStatus); v <= maxStatus; v++ {
		cases = append(cases, caseOf{reading: reading{true, v}})
	}
	return cases
}

func integers(literals []any, low, high int64) []caseOf {
	var constants []int64
	for _, l := range literals {
		if v, ok := l.(int64); ok {
			constants = append(constants, v)
		}
	}
	var cases []caseOf
	for _, v := range steps(constants, low, high) {
		cases = append(cases, caseOf{reading: reading{true, v}})
	}
	return cases
}

func durations(literals []any, low, high int64) []caseOf {
	var constants []int64
	for _, l := range literals {
		if v, ok := l.(time.Duration); ok {
			constants = append(constants, int64(v))
		}
	}
	var cases []caseOf
	for _, v := range steps(constants, low, high) {
		cases = append(cases, caseOf{reading: reading{true, time.Duration(v)}})
	}
	return cases
}

func doubles(literals []any) []caseOf {
	list := []float64{0}
	for _, l := range literals {
		if v, ok := l.(float64); ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	values := []float64{math.NaN(), math.Inf(-1), math.Inf(1)}
	for i, v := range list {
		values = append(values, v, math.Nextafter(v, math.Inf(1)), math.Nextafter(v, math.Inf(-1)))
		if i > 0 {
			values = append(values, list[i-1]/2+v/2)
		}
	}
	values = append(values, list[0]-1, list[len(list)-1]+1)
	var cases []caseOf
	for _, v := range values {
		cases = append(cases, caseOf{reading: reading{true, v}})
	}
	return cases
}

// fieldOf is the name of a field of the records, or what else it is that is read.
func fieldOf(base string) string {
	for _, record := range []string{"err.", "result.", "cause."} {
		if field, ok := strings.CutPrefix(base, record); ok {
			return field
		}
	}
	return base
}

// isFinite reports whether the cases of a field are its values, so that any question
// about it is answered by asking each.
func isFinite(base string) bool {
	switch fieldOf(base) {
	case "kind", "phase", "marker", "timeout", "idempotent", "class":
		return true
	}
	return false
}

// predicateOf reads what an atom asks of a string.
func predicateOf(n *interp.Node) predicate {
	if n.Op != interp.OpCall || len(n.Args) != 2 || n.Args[1].Op != interp.OpLiteral {
		return predicate{}
	}
	text, ok := n.Args[1].Value.(string)
	if !ok {
		return predicate{}
	}
	p := predicate{subject: n.Args[0].Key, kind: n.Name, text: text}
	switch n.Name {
	case "startsWith", "endsWith", "contains":
		return p
	case "matches":
		return literalPattern(p.subject, text)
	}
	return predicate{}
}

// literalPattern reads a regular expression that is a literal, perhaps anchored.
func literalPattern(subject, pattern string) predicate {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return predicate{}
	}
	re = re.Simplify()
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	var start, end bool
	text := ""
	for i, part := range parts {
		switch {
		case part.Op == syntax.OpBeginText && i == 0:
			start = true
		case part.Op == syntax.OpEndText && i == len(parts)-1:
			end = true
		case part.Op == syntax.OpLiteral && part.Flags&syntax.FoldCase == 0:
			text += string(part.Rune)
		default:
			return predicate{}
		}
	}
	switch {
	case start && end:
		return predicate{} // an equality
	case start:
		return predicate{subject, "startsWith", text}
	case end:
		return predicate{subject, "endsWith", text}
	}
	return predicate{subject, "contains", text}
}
