package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/format"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write rules.go")

// TestRulesAreMadeOfTheSchema: whoever changes the schema runs go test ./schema -update.
func TestRulesAreMadeOfTheSchema(t *testing.T) {
	root, c := compileRules(text)
	if c.err != nil {
		t.Fatal(c.err)
	}
	want, err := c.source(root)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("rules.go", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile("rules.go"); err != nil || string(got) != string(want) {
		t.Errorf("rules.go is not what policy.schema.json says; go test ./schema -update writes it (%v)", err)
	}
}

// forms are the patterns that functions tell.
var forms = map[string]struct {
	function string
	is       func(string) bool
	letters  string // to try it with
}{
	`\S`:                              {"isSaid", isSaid, " \t\n\r\f\vx\u00a0"},
	`^x-`:                             {"isOwn", isOwn, "x-y"},
	`^[A-Za-z0-9][A-Za-z0-9._-]*$`:    {"isName", isName, "aAzZ09._-@[`{/:\né"},
	`^(x-.*|[A-Za-z_][A-Za-z0-9_]*)$`: {"isIdentifier", isIdentifier, "xx--aAzZ09_@[`{/:\né"},
	`^\+?(?:` + times + `+|0)$`:       {"isDurationOrZero", isDurationOrZero, "++00.19nusmhµμ"},
	`^\+?` + someTime + `(?:` + units + `)` + times + `*$`: {"isDuration", isDuration, "++00.19nusmhµμ"},
}

const (
	units    = `ns|us|µs|μs|ms|s|m|h`
	times    = `(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:` + units + `))`
	someTime = times + `*(?:[0-9]*[1-9][0-9]*(?:\.[0-9]*)?|[0-9]*\.[0-9]*[1-9][0-9]*)`
)

func TestFormsAreThePatternsThatTheyStandFor(t *testing.T) {
	for text, form := range forms {
		pattern, letters := regexp.MustCompile(text), []rune(form.letters)
		r := rand.New(rand.NewPCG(1, 2))
		right := 0
		for range 100_000 {
			made := make([]rune, r.IntN(9))
			for i := range made {
				made[i] = letters[r.IntN(len(letters))]
			}
			want := pattern.MatchString(string(made))
			if got := form.is(string(made)); got != want {
				t.Errorf("%s of %q is %t, want %t", form.function, string(made), got, want)
			}
			if want {
				right++
			}
		}
		if right < 500 {
			t.Errorf("only %d of the texts have the form of %s", right, form.function)
		}
	}
}

// annotations are keywords that do not judge values.
var annotations = []string{
	"$schema", "$id", "$comment", "title", "description", "markdownDescription", "default", "defaultSnippets", "examples",
	"enumDescriptions", "errorMessage", "patternErrorMessage",
}

var typesByName = map[string]types{
	"null": nullType, "boolean": boolType, "integer": wholeType, "number": wholeType | fractionType,
	"string": stringType, "array": arrayType, "object": objectType,
}

// A ruleCompiler makes rules of a schema. It knows the keywords that our schema has.
type ruleCompiler struct {
	root     any
	made     []madeRule
	byText   map[string]ruleID // of a rule, as it is written in Go
	byRef    map[string]ruleID
	patterns []string // that are regular expressions
	err      error
}

// A madeRule is a rule, and the name of the function of its pattern.
type madeRule struct {
	rule
	form string
}

// neverRule is the schema false.
const neverRule ruleID = 1

func compileRules(text []byte) (ruleID, *ruleCompiler) {
	c := &ruleCompiler{made: []madeRule{{}, {rule: rule{never: true}}}, byText: map[string]ruleID{}, byRef: map[string]ruleID{}}
	if c.err = json.Unmarshal(text, &c.root); c.err != nil {
		return neverRule, c
	}
	return c.rule(c.root), c
}

func (c *ruleCompiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("schema: "+format, args...)
	}
}

// rule returns the rule of a schema. Schemas that say the same have the same.
func (c *ruleCompiler) rule(schema any) ruleID {
	switch schema := schema.(type) {
	case bool:
		if schema {
			return 0
		}
		return neverRule
	case map[string]any:
		keywords := c.keywords(schema)
		if len(keywords) == 0 {
			return 0
		}
		if len(keywords) == 1 && keywords[0] == "$ref" {
			return c.reference(schema["$ref"].(string))
		}
		made := c.ruleOf(schema)
		text := made.literal()
		if _, ok := c.byText[text]; !ok {
			c.byText[text] = ruleID(len(c.made))
			c.made = append(c.made, made)
		}
		return c.byText[text]
	}
	c.fail("%v is no schema", schema)
	return neverRule
}

// keywords are those of a schema that judge values, sorted.
func (c *ruleCompiler) keywords(schema map[string]any) []string {
	var judging []string
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		if keyword != "$defs" && !slices.Contains(annotations, keyword) {
			judging = append(judging, keyword)
		}
	}
	return judging
}

func (c *ruleCompiler) ruleOf(schema map[string]any) madeRule {
	var r madeRule
	for _, keyword := range c.keywords(schema) {
		c.keyword(&r, keyword, schema[keyword])
	}
	if r.unique && c.typesOf(r.items) != stringType {
		c.fail("uniqueItems of values that need not be texts")
	}
	return r
}

// typesOf is the set of types that a rule accepts, as far as it says so itself.
func (c *ruleCompiler) typesOf(id ruleID) types { return c.made[id].types }

func (c *ruleCompiler) keyword(r *madeRule, keyword string, value any) {
	switch keyword {
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
		c.pattern(r, value.(string))
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		r.bounds = append(r.bounds, c.bound(keyword, value.(float64)))
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
		r.properties = c.properties(value)
	case "patternProperties":
		for pattern, of := range value.(map[string]any) {
			if r.own = true; pattern != "^x-" || c.rule(of) != 0 {
				c.fail("patternProperties of %s", pattern)
			}
		}
	case "additionalProperties":
		r.others = c.rule(value)
	case "propertyNames":
		r.names = c.rule(value)
	case "dependentSchemas":
		r.dependent = c.properties(value)
	case "$ref":
		r.all = append(r.all, c.reference(value.(string)))
	case "allOf":
		r.all = append(r.all, c.list(value)...)
	case "anyOf":
		r.some = c.list(value)
	case "not":
		r.not = c.needed(value)
	case "if":
		r.test = c.needed(value)
	case "then":
		r.then = c.rule(value)
	case "else":
		r.otherwise = c.rule(value)
	default:
		c.fail("the keyword %s", keyword)
	}
}

// needed is the rule of a schema that does not accept everything.
func (c *ruleCompiler) needed(schema any) ruleID {
	id := c.rule(schema)
	if id == 0 {
		c.fail("a condition that always holds")
	}
	return id
}

func (c *ruleCompiler) properties(schemas any) []property {
	var made []property
	members := schemas.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		made = append(made, property{name, c.rule(members[name])})
	}
	return made
}

func (c *ruleCompiler) list(schemas any) []ruleID {
	var made []ruleID
	for _, schema := range schemas.([]any) {
		made = append(made, c.rule(schema))
	}
	return made
}

// reference finds what a $ref stands for, which may refer to itself.
func (c *ruleCompiler) reference(ref string) ruleID {
	if id, ok := c.byRef[ref]; ok {
		return id
	}
	pointer, isLocal := strings.CutPrefix(ref, "#")
	found, ok := lookup(c.root, pointer)
	if !isLocal || !ok {
		c.fail("the reference %s", ref)
		return neverRule
	}
	schema, isMapping := found.(map[string]any)
	if !isMapping || len(c.keywords(schema)) == 0 || len(c.keywords(schema)) == 1 && schema["$ref"] != nil {
		return c.rule(found)
	}
	id := ruleID(len(c.made))
	c.byRef[ref], c.made = id, append(c.made, madeRule{})
	c.made[id] = c.ruleOf(schema)
	return id
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

func (c *ruleCompiler) bound(keyword string, limit float64) bound {
	if limit != math.Trunc(limit) || math.Abs(limit) > math.MaxInt32 {
		c.fail("%s of %v", keyword, limit)
	}
	return bound{most: strings.HasSuffix(keyword, "aximum"), exclusive: strings.HasPrefix(keyword, "exclusive"), limit: limit}
}

func (c *ruleCompiler) pattern(r *madeRule, pattern string) {
	word := strings.TrimSuffix(strings.TrimPrefix(pattern, "^"), "$")
	switch form, ok := forms[pattern]; {
	case ok:
		r.matches, r.form = form.is, form.function
	case pattern == "^"+word+"$" && regexp.QuoteMeta(word) == word:
		r.word = word
	default:
		if !slices.Contains(c.patterns, pattern) {
			c.patterns = append(c.patterns, pattern)
		}
		r.matches = regexp.MustCompile(pattern).MatchString
		r.form = fmt.Sprintf("fitsPattern%d", slices.Index(c.patterns, pattern))
	}
}

// rules are those that were made, to hold values against.
func (c *ruleCompiler) rules() rules {
	var all rules
	for _, made := range c.made {
		all = append(all, made.rule)
	}
	return all
}

// source writes the rules as Go.
func (c *ruleCompiler) source(root ruleID) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("// Code generated from policy.schema.json by go test ./schema -update. DO NOT EDIT.\n\npackage schema\n\n")
	if len(c.patterns) > 0 {
		b.WriteString("import \"github.com/redress-policy/redress/internal/lazyregexp\"\n\n")
	}
	fmt.Fprintf(&b, "const schemaRoot ruleID = %d\n\nvar schemaRules = rules{\n", root)
	for i, made := range c.made {
		fmt.Fprintf(&b, "%d: %s,\n", i, made.literal())
	}
	b.WriteString("}\n")
	for i, pattern := range c.patterns {
		fmt.Fprintf(&b, "\nvar pattern%d = lazyregexp.New(`%s`)\n\nfunc fitsPattern%d(s string) bool { return pattern%d.MatchString(s) }\n", i, pattern, i, i)
	}
	return format.Source(b.Bytes())
}

// literal writes a rule as Go, without what it does not have.
func (r *madeRule) literal() string {
	var fields []string
	field := func(name string, value any) {
		if !reflect.ValueOf(value).IsZero() {
			fields = append(fields, strings.ReplaceAll(fmt.Sprintf("%s: %#v", name, value), "[]schema.", "[]"))
		}
	}
	field("never", r.never)
	if r.types != 0 {
		fields = append(fields, "types: "+r.types.source())
	}
	field("words", r.words)
	field("truth", r.truth)
	field("word", r.word)
	if r.form != "" {
		fields = append(fields, "matches: "+r.form)
	}
	field("bounds", r.bounds)
	field("minItems", r.minItems)
	field("items", int(r.items))
	field("unique", r.unique)
	field("minProperties", r.minProperties)
	field("required", r.required)
	field("properties", r.properties)
	field("own", r.own)
	field("others", int(r.others))
	field("names", int(r.names))
	field("dependent", r.dependent)
	field("all", r.all)
	field("some", r.some)
	field("not", int(r.not))
	field("test", int(r.test))
	field("then", int(r.then))
	field("otherwise", int(r.otherwise))
	return "{" + strings.Join(fields, ", ") + "}"
}

func (t types) source() string {
	var names []string
	for i, name := range []string{"nullType", "boolType", "wholeType", "fractionType", "stringType", "arrayType", "objectType"} {
		if t&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " | ")
}

// GoString writes members of rules shortly.
func (p property) GoString() string { return fmt.Sprintf("{%q, %d}", p.name, p.rule) }

func (b bound) GoString() string {
	return fmt.Sprintf("{%t, %t, %d}", b.most, b.exclusive, int64(b.limit))
}

func (id ruleID) GoString() string { return fmt.Sprint(uint16(id)) }
