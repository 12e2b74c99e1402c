package schema

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Nearly all documents are right, and a validator that can say what is wrong is slow on
// them. So the schema is there a second time, as rules that can only tell whether a value
// fits. What they accept, the validator accepts: tests hold them to that. Of what they do
// not accept, whether it is wrong or only odd, the validator has the word.
//
// The rules are made of the schema when it changes, and stand in rules.go as plain data:
// making them takes longer than holding a document against them. A test holds them to the
// schema, and writes them with -update.

// A Value is a value of a document, as JSON has it.
type Value interface {
	Type() string // "null", "boolean", "number", "string", "array" or "object"
	Text() string // a string, a number as JSON writes it, true or false
	Len() int     // how many entries an array or object has
	// Entry is the i-th of them, with its key in an object. Keys are distinct.
	Entry(i int) (key string, value Value)
}

// Fits reports whether a document certainly fits the schema. Of one that does not, Validate
// has the word: it may be wrong, or only odd. Safe for many goroutines.
func Fits(document Value) bool {
	return isUsual(document, 0) && schemaRules.acceptValue(schemaRoot, document)
}

// types is a set of JSON's types.
type types uint8

const (
	nullType types = 1 << iota
	boolType
	wholeType    // a number without a fraction
	fractionType // any other number
	stringType
	arrayType
	objectType
)

// maxDigits is how many digits a number may have so that a float64 is as good as the
// number itself: for comparing it with a whole number of as few, and for telling whether
// it is one.
const maxDigits = 15

// isUsual reports whether a value is of the types that documents have and not nested
// deeply, and its numbers have few digits and no exponents.
func isUsual(v Value, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch v.Type() {
	case "null", "boolean", "string":
		return true
	case "number":
		text := v.Text()
		return len(text) <= maxDigits && isPlainNumber(text)
	case "array", "object":
		for i := range v.Len() {
			if _, entry := v.Entry(i); !isUsual(entry, depth+1) {
				return false
			}
		}
		return true
	}
	return false
}

// isPlainNumber reports whether a text is digits, perhaps with a sign before them and a
// point among them.
func isPlainNumber(s string) bool {
	whole, fraction, hasPoint := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return areDigits(whole) && (!hasPoint || areDigits(fraction))
}

func areDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// A subject is a usual value of which rules are asked.
type subject struct {
	Value  // nil for a key
	types  types
	text   string  // of strings
	number float64 // of numbers
	truth  bool    // of booleans
}

func subjectOf(v Value) subject {
	s := subject{Value: v}
	switch v.Type() {
	case "boolean":
		s.types, s.truth = boolType, v.Text() == "true"
	case "string":
		s.types, s.text = stringType, v.Text()
	case "array":
		s.types = arrayType
	case "object":
		s.types = objectType
	case "number":
		s.number, _ = strconv.ParseFloat(v.Text(), 64)
		if s.types = fractionType; s.number == math.Trunc(s.number) {
			s.types = wholeType
		}
	default:
		s.types = nullType
	}
	return s
}

func (s *subject) has(key string) bool {
	for i := range s.Len() {
		if name, _ := s.Entry(i); name == key {
			return true
		}
	}
	return false
}

// A rule is one schema. Where a field is zero, the schema does not have the keyword.
type rule struct {
	never bool // the schema false
	types types

	words   []string // of enum or const; of other types nothing fits then
	truth   bool     // const: true
	word    string   // of a pattern that is a word
	matches func(string) bool
	bounds  []bound

	minItems int
	items    ruleID
	unique   bool // of texts

	minProperties int
	required      []string
	properties    []property
	own           bool   // keys that begin with x- are anybody's
	others        ruleID // of all other keys that are not in properties
	names         ruleID // of the keys themselves
	dependent     []property

	all             []ruleID // $ref and allOf
	some            []ruleID // anyOf
	not             ruleID
	test            ruleID // if
	then, otherwise ruleID
}

// A ruleID is the place of a rule among all; 0 is none, which accepts everything.
type ruleID uint16

type rules []rule

type property struct {
	name string
	rule ruleID
}

// A bound is the least or the most that a number can be: a whole number of few digits.
type bound struct {
	most, exclusive bool
	limit           float64
}

func (b bound) holds(n float64) bool {
	switch {
	case n == b.limit:
		return !b.exclusive
	case b.most:
		return n < b.limit
	}
	return n > b.limit
}

// accept reports whether a usual value fits a rule.
func (all rules) accept(id ruleID, s *subject) bool {
	if id == 0 {
		return true
	}
	r := &all[id]
	if r.never || r.types != 0 && r.types&s.types == 0 || r.truth && !s.truth {
		return false
	}
	if r.words != nil && !(s.types == stringType && slices.Contains(r.words, s.text)) {
		return false
	}
	switch s.types {
	case stringType:
		if r.word != "" && s.text != r.word || r.matches != nil && !r.matches(s.text) {
			return false
		}
	case wholeType, fractionType:
		for _, b := range r.bounds {
			if !b.holds(s.number) {
				return false
			}
		}
	case arrayType:
		if !all.acceptList(r, s) {
			return false
		}
	case objectType:
		if !all.acceptMapping(r, s) {
			return false
		}
	}
	return all.acceptWhole(r, s)
}

// acceptValue is accept for a value of which no other rule is asked.
func (all rules) acceptValue(id ruleID, v Value) bool {
	if id == 0 {
		return true
	}
	s := subjectOf(v)
	return all.accept(id, &s)
}

func (all rules) acceptList(r *rule, list *subject) bool {
	if list.Len() < r.minItems {
		return false
	}
	var before []string
	for i := range list.Len() {
		_, item := list.Entry(i)
		if !all.acceptValue(r.items, item) {
			return false
		}
		if r.unique { // all are texts
			if slices.Contains(before, item.Text()) {
				return false
			}
			before = append(before, item.Text())
		}
	}
	return true
}

func (all rules) acceptMapping(r *rule, m *subject) bool {
	if m.Len() < r.minProperties {
		return false
	}
	for _, key := range r.required {
		if !m.has(key) {
			return false
		}
	}
	for i := range m.Len() {
		key, value := m.Entry(i)
		if r.names != 0 && !all.accept(r.names, &subject{types: stringType, text: key}) {
			return false
		}
		known, isKnown := ruleOf(r.properties, key)
		if !isKnown && !(r.own && isOwn(key)) {
			known = r.others
		}
		if !all.acceptValue(known, value) {
			return false
		}
		if dependent, ok := ruleOf(r.dependent, key); ok && !all.accept(dependent, m) {
			return false
		}
	}
	return true
}

func ruleOf(properties []property, name string) (ruleID, bool) {
	for _, p := range properties {
		if p.name == name {
			return p.rule, true
		}
	}
	return 0, false
}

// acceptWhole holds a value against the schemas that stand beside each other.
func (all rules) acceptWhole(r *rule, s *subject) bool {
	for _, each := range r.all {
		if !all.accept(each, s) {
			return false
		}
	}
	if r.some != nil && !slices.ContainsFunc(r.some, func(one ruleID) bool { return all.accept(one, s) }) {
		return false
	}
	if r.not != 0 && all.accept(r.not, s) {
		return false
	}
	switch {
	case r.test == 0:
		return true
	case all.accept(r.test, s):
		return all.accept(r.then, s)
	}
	return all.accept(r.otherwise, s)
}
