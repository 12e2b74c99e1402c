package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Nearly all documents are right, and a validator that can say what is wrong is slow on
// them. So the schema is compiled a second time, by this file, to rules that can only tell
// whether a value fits. What they accept, the validator accepts: tests hold them to that.
// Of what they do not accept, whether it is wrong or only odd, the validator has the word.

// fits reports whether a value certainly fits the schema.
func fits(v any) bool {
	if !isUsual(v, 0) {
		return false
	}
	r, err := rules()
	return err == nil && r.accept(v)
}

// rules are the schema's. An error means that it uses a keyword that this file does not
// know. A test fails then, and all values are for the validator.
var rules = sync.OnceValues(func() (*rule, error) { return compileRules(bareText) })

// bareText is the schema without what it tells people, which is most of it and
// would have to be read before the first document. A test holds
// it to the schema, and writes it with -update.
//
//go:embed policy.bare.json
var bareText []byte

// annotations are keywords that do not judge values.
var annotations = []string{
	"$schema", "$id", "$comment", "title", "description", "markdownDescription", "default", "defaultSnippets", "examples",
	"enumDescriptions", "errorMessage", "patternErrorMessage",
}

func compileRules(text []byte) (*rule, error) {
	var root any
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	c := &ruleCompiler{root: root, known: map[string]*rule{}, patterns: map[string]func(string) bool{}}
	made := c.rule(root)
	return made, c.err
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

var typesByName = map[string]types{
	"null": nullType, "boolean": boolType, "integer": wholeType, "number": wholeType | fractionType,
	"string": stringType, "array": arrayType, "object": objectType,
}

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
	matches func(string) bool
	bounds  []func(float64) bool

	minItems int
	items    *rule
	unique   bool // of texts

	minProperties int
	required      []string
	properties    map[string]*rule
	own           *rule // of keys that begin with x-
	others        *rule // of all other keys that are not in properties
	names         *rule // of the keys themselves
	dependent     map[string]*rule

	all             []*rule // $ref and allOf
	some            []*rule // anyOf
	not             *rule
	test            *rule // if
	then, otherwise *rule
}

// accept reports whether a usual value fits. A nil rule accepts everything.
func (r *rule) accept(v any) bool {
	if r == nil {
		return true
	}
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
		if r.matches != nil && !r.matches(v) {
			return false
		}
	case json.Number:
		for _, holds := range r.bounds {
			if !holds(n) {
				return false
			}
		}
	case []any:
		if !r.acceptList(v) {
			return false
		}
	case map[string]any:
		if !r.acceptMapping(v) {
			return false
		}
	}
	return r.acceptWhole(v)
}

func (r *rule) acceptList(list []any) bool {
	if len(list) < r.minItems {
		return false
	}
	for _, item := range list {
		if !r.items.accept(item) {
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

func (r *rule) acceptMapping(m map[string]any) bool {
	if len(m) < r.minProperties {
		return false
	}
	for _, key := range r.required {
		if _, ok := m[key]; !ok {
			return false
		}
	}
	for key, value := range m {
		if r.names != nil && !r.names.accept(key) {
			return false
		}
		known, isKnown := r.properties[key]
		isOwn := r.own != nil && strings.HasPrefix(key, "x-")
		switch {
		case isKnown && !known.accept(value), isOwn && !r.own.accept(value), !isKnown && !isOwn && !r.others.accept(value):
			return false
		}
		if !r.dependent[key].accept(m) {
			return false
		}
	}
	return true
}

// acceptWhole holds a value against the schemas that stand beside each other.
func (r *rule) acceptWhole(v any) bool {
	for _, each := range r.all {
		if !each.accept(v) {
			return false
		}
	}
	if r.some != nil && !slices.ContainsFunc(r.some, func(one *rule) bool { return one.accept(v) }) {
		return false
	}
	if r.not != nil && r.not.accept(v) {
		return false
	}
	switch {
	case r.test == nil:
		return true
	case r.test.accept(v):
		return r.then.accept(v)
	}
	return r.otherwise.accept(v)
}

// A ruleCompiler makes rules of a schema. It knows the keywords that our schema has.
type ruleCompiler struct {
	root     any
	known    map[string]*rule             // by $ref
	patterns map[string]func(string) bool // by their texts; compiled when they are first used
	err      error
}

func (c *ruleCompiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("schema: "+format, args...)
	}
}

func (c *ruleCompiler) rule(schema any) *rule {
	r := &rule{}
	switch schema := schema.(type) {
	case bool:
		r.never = !schema
	case map[string]any:
		for keyword, value := range schema {
			c.keyword(r, keyword, value)
		}
		if r.unique && (r.items == nil || r.items.only() != stringType) {
			c.fail("uniqueItems of values that need not be texts")
		}
	default:
		c.fail("%v is no schema", schema)
	}
	return r
}

// only is the set of types that the rule accepts, as far as it says so itself or the one
// that it refers to.
func (r *rule) only() types {
	if r.types == 0 && len(r.all) == 1 {
		return r.all[0].only()
	}
	return r.types
}

func (c *ruleCompiler) keyword(r *rule, keyword string, value any) {
	switch keyword {
	case "$defs":
	case "type":
		names, ok := value.([]any)
		if !ok {
			names = []any{value}
		}
		for _, name := range names {
			r.types |= typesByName[name.(string)]
		}
	case "enum":
		r.words = c.texts(value)
	case "const":
		if r.truth = value == true; !r.truth {
			r.words = c.texts([]any{value})
		}
	case "pattern":
		r.matches = c.pattern(value.(string))
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		r.bounds = append(r.bounds, c.bound(keyword, value))
	case "minItems":
		r.minItems = int(value.(float64))
	case "items":
		r.items = c.rule(value)
	case "uniqueItems":
		r.unique = value == true
	case "minProperties":
		r.minProperties = int(value.(float64))
	case "required":
		r.required = c.texts(value)
	case "properties":
		r.properties = c.rules(value)
	case "patternProperties":
		for pattern, of := range value.(map[string]any) {
			if r.own = c.rule(of); pattern != "^x-" {
				c.fail("patternProperties of %s", pattern)
			}
		}
	case "additionalProperties":
		r.others = c.rule(value)
	case "propertyNames":
		r.names = c.rule(value)
	case "dependentSchemas":
		r.dependent = c.rules(value)
	case "$ref":
		r.all = append(r.all, c.reference(value.(string)))
	case "allOf":
		r.all = append(r.all, c.list(value)...)
	case "anyOf":
		r.some = c.list(value)
	case "not":
		r.not = c.rule(value)
	case "if":
		r.test = c.rule(value)
	case "then":
		r.then = c.rule(value)
	case "else":
		r.otherwise = c.rule(value)
	default:
		c.fail("the keyword %s", keyword)
	}
}

func (c *ruleCompiler) rules(schemas any) map[string]*rule {
	made := map[string]*rule{}
	for name, schema := range schemas.(map[string]any) {
		made[name] = c.rule(schema)
	}
	return made
}

func (c *ruleCompiler) list(schemas any) []*rule {
	var made []*rule
	for _, schema := range schemas.([]any) {
		made = append(made, c.rule(schema))
	}
	return made
}

// reference finds what a $ref stands for, which may refer to itself.
func (c *ruleCompiler) reference(ref string) *rule {
	if made := c.known[ref]; made != nil {
		return made
	}
	made := &rule{}
	c.known[ref] = made
	pointer, isLocal := strings.CutPrefix(ref, "#")
	schema, ok := lookup(c.root, pointer)
	if !isLocal || !ok {
		c.fail("the reference %s", ref)
		return made
	}
	*made = *c.rule(schema)
	return made
}

func (c *ruleCompiler) texts(list any) []string {
	var texts []string
	for _, one := range list.([]any) {
		text, ok := one.(string)
		if !ok {
			c.fail("%v, which is no text", one)
		}
		texts = append(texts, text)
	}
	return texts
}

// bound is a comparison with a whole number of few digits.
func (c *ruleCompiler) bound(keyword string, value any) func(float64) bool {
	limit := value.(float64)
	if limit != math.Trunc(limit) || math.Abs(limit) > math.MaxInt32 {
		c.fail("%s of %v", keyword, limit)
	}
	switch keyword {
	case "minimum":
		return func(n float64) bool { return n >= limit }
	case "maximum":
		return func(n float64) bool { return n <= limit }
	case "exclusiveMinimum":
		return func(n float64) bool { return n > limit }
	}
	return func(n float64) bool { return n < limit }
}

func (c *ruleCompiler) pattern(pattern string) func(string) bool {
	if word := strings.TrimSuffix(strings.TrimPrefix(pattern, "^"), "$"); pattern == "^"+word+"$" && regexp.QuoteMeta(word) == word {
		return func(s string) bool { return s == word }
	}
	if c.patterns[pattern] == nil {
		compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
		c.patterns[pattern] = func(s string) bool { return compiled().MatchString(s) }
	}
	return c.patterns[pattern]
}
