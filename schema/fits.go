package schema

import (
	"encoding/json"
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

// fits reports whether a value certainly fits the schema.
func fits(v any) bool { return isUsual(v, 0) && schemaRules.accept(schemaRoot, v) }

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
func isUsual(v any, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch v := v.(type) {
	case nil, bool, string:
		return true
	case json.Number:
		return len(v) <= maxDigits && isPlainNumber(string(v))
	case []any:
		for _, item := range v {
			if !isUsual(item, depth+1) {
				return false
			}
		}
		return true
	case map[string]any:
		for _, value := range v {
			if !isUsual(value, depth+1) {
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

// typeOf returns the type of a usual value, and its size if it is a number.
func typeOf(v any) (types, float64) {
	switch v := v.(type) {
	case bool:
		return boolType, 0
	case string:
		return stringType, 0
	case []any:
		return arrayType, 0
	case map[string]any:
		return objectType, 0
	case json.Number:
		n, _ := strconv.ParseFloat(string(v), 64)
		if n == math.Trunc(n) {
			return wholeType, n
		}
		return fractionType, n
	}
	return nullType, 0
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
func (all rules) accept(id ruleID, v any) bool {
	if id == 0 {
		return true
	}
	r := &all[id]
	t, n := typeOf(v)
	if r.never || r.types != 0 && r.types&t == 0 || r.truth && v != true {
		return false
	}
	text, isText := v.(string)
	if r.words != nil && !(isText && slices.Contains(r.words, text)) {
		return false
	}
	switch v := v.(type) {
	case string:
		if r.word != "" && v != r.word || r.matches != nil && !r.matches(v) {
			return false
		}
	case json.Number:
		for _, b := range r.bounds {
			if !b.holds(n) {
				return false
			}
		}
	case []any:
		if !all.acceptList(r, v) {
			return false
		}
	case map[string]any:
		if !all.acceptMapping(r, v) {
			return false
		}
	}
	return all.acceptWhole(r, v)
}

func (all rules) acceptList(r *rule, list []any) bool {
	if len(list) < r.minItems {
		return false
	}
	for _, item := range list {
		if !all.accept(r.items, item) {
			return false
		}
	}
	if r.unique {
		for i, item := range list {
			if slices.Contains(list[:i], item) { // all are texts
				return false
			}
		}
	}
	return true
}

func (all rules) acceptMapping(r *rule, m map[string]any) bool {
	if len(m) < r.minProperties {
		return false
	}
	for _, key := range r.required {
		if _, ok := m[key]; !ok {
			return false
		}
	}
	for key, value := range m {
		if !all.accept(r.names, key) {
			return false
		}
		known, isKnown := ruleOf(r.properties, key)
		if !isKnown && !(r.own && isOwn(key)) {
			known = r.others
		}
		if !all.accept(known, value) {
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
func (all rules) acceptWhole(r *rule, v any) bool {
	for _, each := range r.all {
		if !all.accept(each, v) {
			return false
		}
	}
	if r.some != nil && !slices.ContainsFunc(r.some, func(one ruleID) bool { return all.accept(one, v) }) {
		return false
	}
	if r.not != 0 && all.accept(r.not, v) {
		return false
	}
	switch {
	case r.test == 0:
		return true
	case all.accept(r.test, v):
		return all.accept(r.then, v)
	}
	return all.accept(r.otherwise, v)
}
