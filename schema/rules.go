package schema

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The schema is compiled to rules, one for each schema in it. Nearly all documents are
// right, so rules tell first whether a value fits (accept), and only then, in a second
// walk, which keywords it fails (faults). They know the keywords that our schema has, and
// mean by them what draft 2020-12 does: tests compare them with a validator of the whole
// draft.

// rules are those of the schema.
var rules = sync.OnceValue(func() *rule {
	made, err := compileRules(bareText)
	if err != nil {
		panic("schema: the embedded schema does not compile: " + err.Error())
	}
	return made
})

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
	made := c.rule(root, "")
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

// isUsual reports whether a value is what plain would make of it: not nested deeply, and of
// the types that documents have, its numbers having few digits and no exponents.
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

// typeOf returns the type of a value.
func typeOf(v any) types {
	switch v := v.(type) {
	case bool:
		return boolType
	case string:
		return stringType
	case []any:
		return arrayType
	case map[string]any:
		return objectType
	case json.Number:
		if numberOf(v).isWhole() {
			return wholeType
		}
		return fractionType
	}
	return nullType
}

// A number is exact: nil where the float64 is, or is as good as the number itself for
// comparing it with a whole number and for telling whether it is one.
type number struct {
	size  float64
	exact *big.Rat
}

// maxDigits is how many digits a number may have so that a float64 is as good.
const maxDigits = 15

func numberOf(n json.Number) number {
	if len(n) <= maxDigits && isPlainNumber(string(n)) {
		size, _ := strconv.ParseFloat(string(n), 64)
		return number{size: size}
	}
	exact, _ := new(big.Rat).SetString(string(n))
	return number{exact: exact}
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

func (n number) isWhole() bool {
	if n.exact != nil {
		return n.exact.IsInt()
	}
	return n.size == math.Trunc(n.size)
}

// compare compares the number with a whole one.
func (n number) compare(limit int64) int {
	if n.exact != nil {
		return n.exact.Cmp(new(big.Rat).SetInt64(limit))
	}
	return cmp.Compare(n.size, float64(limit))
}

// equal compares values as JSON does: 1 and 1.0 are the same.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && rational(a).Cmp(rational(b)) == 0
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	}
	return a == b
}

func rational(n json.Number) *big.Rat {
	exact, _ := new(big.Rat).SetString(string(n))
	return exact
}

// A rule is one schema. Where a field is zero, the schema does not have the keyword.
type rule struct {
	at    string // pointer to the schema
	never bool   // the schema false
	types types

	words   []string // of enum or const; of other types nothing fits then
	isConst bool
	truth   bool // const: true
	matches func(string) bool
	bounds  []bound

	minItems int
	items    *rule
	unique   bool

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

// A bound is one of minimum, maximum, exclusiveMinimum and exclusiveMaximum.
type bound struct {
	keyword string
	limit   int64
}

func (b bound) holds(n number) bool {
	c := n.compare(b.limit)
	switch b.keyword {
	case "minimum":
		return c >= 0
	case "maximum":
		return c <= 0
	case "exclusiveMinimum":
		return c > 0
	}
	return c < 0
}

// accept reports whether a value fits. A nil rule accepts everything.
func (r *rule) accept(v any) bool {
	if r == nil {
		return true
	}
	if r.never || !r.acceptType(v) || !r.acceptWords(v) {
		return false
	}
	switch v := v.(type) {
	case string:
		if r.matches != nil && !r.matches(v) {
			return false
		}
	case json.Number:
		for _, b := range r.bounds {
			if !b.holds(numberOf(v)) {
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

func (r *rule) acceptType(v any) bool { return r.types == 0 || r.types&typeOf(v) != 0 }

func (r *rule) acceptWords(v any) bool {
	text, isText := v.(string)
	return (!r.truth || v == true) && (r.words == nil || isText && slices.Contains(r.words, text))
}

func (r *rule) acceptList(list []any) bool {
	if len(list) < r.minItems || r.unique && repeats(list) {
		return false
	}
	for _, item := range list {
		if !r.items.accept(item) {
			return false
		}
	}
	return true
}

func repeats(list []any) bool {
	for i, item := range list {
		if slices.ContainsFunc(list[:i], func(before any) bool { return equal(before, item) }) {
			return true
		}
	}
	return false
}

func (r *rule) acceptMapping(m map[string]any) bool {
	if len(m) < r.minProperties || !r.hasRequired(m) {
		return false
	}
	for key, value := range m {
		if r.names != nil && !r.names.accept(key) || !r.dependent[key].accept(m) {
			return false
		}
		known, own, other := r.rulesOf(key)
		if !known.accept(value) || !own.accept(value) || !other.accept(value) {
			return false
		}
	}
	return true
}

func (r *rule) hasRequired(m map[string]any) bool {
	return !slices.ContainsFunc(r.required, func(key string) bool { _, ok := m[key]; return !ok })
}

// rulesOf returns the rules that hold for the value of a key.
func (r *rule) rulesOf(key string) (known, own, other *rule) {
	known, isKnown := r.properties[key]
	if strings.HasPrefix(key, "x-") {
		own = r.own
	}
	if !isKnown && own == nil {
		other = r.others
	}
	return known, own, other
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

// rule makes the rule of a schema that stands at a pointer.
func (c *ruleCompiler) rule(schema any, at string) *rule {
	r := &rule{at: at}
	switch schema := schema.(type) {
	case bool:
		r.never = !schema
	case map[string]any:
		for keyword, value := range schema {
			c.keyword(r, keyword, value, at+"/"+keyword)
		}
	default:
		c.fail("%v is no schema", schema)
	}
	return r
}

func (c *ruleCompiler) keyword(r *rule, keyword string, value any, at string) {
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
		r.isConst = true
		if r.truth = value == true; !r.truth {
			r.words = c.texts([]any{value})
		}
	case "pattern":
		r.matches = c.pattern(value.(string))
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		limit := value.(float64)
		if limit != math.Trunc(limit) || math.Abs(limit) > math.MaxInt32 {
			c.fail("%s of %v", keyword, limit)
		}
		r.bounds = append(r.bounds, bound{keyword, int64(limit)})
	case "minItems":
		r.minItems = int(value.(float64))
	case "items":
		r.items = c.rule(value, at)
	case "uniqueItems":
		r.unique = value == true
	case "minProperties":
		r.minProperties = int(value.(float64))
	case "required":
		r.required = c.texts(value)
	case "properties":
		r.properties = c.rules(value, at)
	case "patternProperties":
		for pattern, of := range value.(map[string]any) {
			if r.own = c.rule(of, at+"/"+EscapePointer(pattern)); pattern != "^x-" {
				c.fail("patternProperties of %s", pattern)
			}
		}
	case "additionalProperties":
		r.others = c.rule(value, at)
	case "propertyNames":
		r.names = c.rule(value, at)
	case "dependentSchemas":
		r.dependent = c.rules(value, at)
	case "$ref":
		r.all = append(r.all, c.reference(value.(string)))
	case "allOf":
		r.all = append(r.all, c.list(value, at)...)
	case "anyOf":
		r.some = c.list(value, at)
	case "not":
		r.not = c.rule(value, at)
	case "if":
		r.test = c.rule(value, at)
	case "then":
		r.then = c.rule(value, at)
	case "else":
		r.otherwise = c.rule(value, at)
	default:
		c.fail("the keyword %s", keyword)
	}
}

func (c *ruleCompiler) rules(schemas any, at string) map[string]*rule {
	made := map[string]*rule{}
	for name, schema := range schemas.(map[string]any) {
		made[name] = c.rule(schema, at+"/"+EscapePointer(name))
	}
	return made
}

func (c *ruleCompiler) list(schemas any, at string) []*rule {
	var made []*rule
	for i, schema := range schemas.([]any) {
		made = append(made, c.rule(schema, at+"/"+strconv.Itoa(i)))
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
	*made = *c.rule(schema, pointer)
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
