// Package schema holds the JSON Schema of policy documents, and checks values
// against it.
//
// The schema (draft 2020-12) is one for all kinds of documents. It is written for
// two readers: editors, which complete and explain keys by it, and the loader,
// which takes its findings where the typed decoder has nothing friendlier to say.
// It knows shapes, not meanings: whether a name refers to something, or an
// expression compiles, is for others to find out.
package schema

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// ID is the schema's $id. It is a name, not an address: nothing is fetched.
const ID = "urn:redress-policy:schema:v1"

//go:embed policy.schema.json
var text []byte

// JSON returns the text of the schema. The caller owns it.
func JSON() []byte { return bytes.Clone(text) }

// A Finding is one place where a value is not what the schema says.
type Finding struct {
	// Pointer is the JSON pointer (RFC 6901) of the value; "" is the document. For
	// a key that is missing, unknown or not allowed it is the mapping's, and Key
	// names the key.
	Pointer string
	Key     string
	// Keyword is the keyword of JSON Schema that the value fails: "type",
	// "required", "additionalProperties", ... A key that is forbidden because of
	// another one has the keyword "false".
	Keyword string
	Message string // what is wrong; no capital, no period
}

// maxDepth bounds the nesting of values: deeper ones are one finding. Documents
// that the decoder accepts are nowhere near it.
const maxDepth = 200

// Validate checks one document: a plain JSON value, that is nil, bool, string,
// a number (json.Number or a Go one), []any or map[string]any. It returns nil if
// the schema holds, else each mistake once, ordered by pointer, key, keyword and
// message. Numbers that JSON cannot write (NaN, infinities, absurd exponents) are
// findings like any other. The value is not changed. Safe for many goroutines.
//
// It takes long. Of documents that are probably right, ask Fits first.
func Validate(v any) []Finding {
	v, err := plain(v, 0)
	if err != nil {
		return []Finding{{Keyword: "type", Message: err.Error()}}
	}
	s, err := compiled()
	if err != nil {
		panic("schema: the embedded schema does not compile: " + err.Error())
	}
	failure := s.root.Validate(v)
	if failure == nil {
		return nil
	}
	var tree *jsonschema.ValidationError
	if !errors.As(failure, &tree) {
		return []Finding{{Keyword: "type", Message: failure.Error()}}
	}
	found := s.collect(nil, tree, v)
	slices.SortFunc(found, compareFindings)
	return slices.Compact(found)
}

// document is the schema twice: compiled, and as plain JSON to take words from.
type document struct {
	root *jsonschema.Schema
	raw  any
}

var compiled = sync.OnceValues(func() (*document, error) {
	var raw any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&raw); err != nil {
		return nil, err
	}
	root, err := jsonschema.CompileString(ID, string(text))
	if err != nil {
		return nil, err
	}
	return &document{root, raw}, nil
})

// collect appends what the leaves of the error tree say. The branches above them
// (references, if, then, allOf) only repeat that something below failed; the
// branches of an anyOf say less than the anyOf itself.
func (d *document) collect(found []Finding, e *jsonschema.ValidationError, v any) []Finding {
	if _, keyword := cutLast(e.AbsoluteKeywordLocation); keyword == "anyOf" || len(e.Causes) == 0 {
		return append(found, d.findings(e, v)...)
	}
	for _, cause := range e.Causes {
		found = d.collect(found, cause, v)
	}
	return found
}

// findings puts one leaf into our words. They come from the schema and the value,
// never from the validator's text: errorMessage and patternErrorMessage, which
// editors show too, go before the words made here.
func (d *document) findings(e *jsonschema.ValidationError, document any) []Finding {
	pointer := unescapeFragment(e.InstanceLocation)
	value, _ := lookup(document, pointer)
	_, fragment, _ := strings.Cut(e.AbsoluteKeywordLocation, "#")
	location := unescapeFragment(fragment)
	above, keyword := cutLast(location)

	if allowed, _ := lookup(d.raw, location); allowed == false && keyword != "additionalProperties" {
		parent, key := cutLast(pointer)
		return []Finding{{parent, key, "false", d.forbidden(key, above)}}
	}
	raw, _ := lookup(d.raw, above)
	rule, _ := raw.(map[string]any)
	one := func(key, message string) []Finding { return []Finding{{pointer, key, keyword, message}} }
	switch keyword {
	case "additionalProperties":
		var found []Finding
		for _, key := range unknownKeys(rule, value) {
			found = append(found, one(key, fmt.Sprintf("unknown key %q", key))...)
		}
		return found
	case "required":
		var found []Finding
		for _, key := range missingKeys(rule, value) {
			found = append(found, one(key, fmt.Sprintf("missing key %q", key))...)
		}
		return found
	case "anyOf": // only ever of "required"
		names := words(rule["anyOf"], func(branch any) any { return branch.(map[string]any)["required"].([]any)[0] })
		return one("", "needs one of the keys "+strings.Join(names, ", "))
	case "pattern":
		if said, ok := rule["patternErrorMessage"].(string); ok {
			return one("", said)
		}
	case "type", "enum", "const", "not":
		if said, ok := rule["errorMessage"].(string); ok && value != nil {
			return one("", said)
		}
	}
	switch keyword {
	case "type":
		return one("", fmt.Sprintf("must be %s, not %s", typeNames(rule["type"]), valueName(value)))
	case "enum":
		return one("", "must be one of "+strings.Join(words(rule["enum"], nil), ", "))
	case "minItems", "minProperties":
		if rule[keyword] == json.Number("1") {
			return one("", "must not be empty")
		}
	case "minimum":
		return one("", fmt.Sprintf("must be at least %v", rule[keyword]))
	case "maximum":
		return one("", fmt.Sprintf("must be at most %v", rule[keyword]))
	case "exclusiveMinimum":
		return one("", fmt.Sprintf("must be above %v", rule[keyword]))
	case "uniqueItems":
		return one("", "names the same twice")
	}
	return one("", e.Message)
}

// forbidden says why a key whose schema is false is not allowed: another key,
// which the schema two levels up asks for, is there.
func (d *document) forbidden(key, properties string) string {
	branch, _ := cutLast(properties) // .../then or .../dependentSchemas/OTHER
	above, last := cutLast(branch)
	if _, group := cutLast(above); group == "dependentSchemas" {
		return fmt.Sprintf("%q cannot stand beside %q", key, last)
	}
	if condition, ok := lookup(d.raw, above+"/if/required/0"); ok && last == "then" {
		return fmt.Sprintf("%q cannot stand beside %q", key, condition)
	}
	return fmt.Sprintf("%q is not allowed here", key)
}

func unknownKeys(rule map[string]any, value any) []string {
	known, _ := rule["properties"].(map[string]any)
	var unknown []string
	m, _ := value.(map[string]any)
	for key := range m {
		if _, ok := known[key]; !ok && !isOwn(key) {
			unknown = append(unknown, key)
		}
	}
	return unknown
}

func missingKeys(rule map[string]any, value any) []string {
	var missing []string
	m, _ := value.(map[string]any)
	required, _ := rule["required"].([]any)
	for _, key := range required {
		if _, ok := m[key.(string)]; !ok {
			missing = append(missing, key.(string))
		}
	}
	return missing
}

// words prints the members of a list, each after of (if given) picked from it.
func words(list any, of func(any) any) []string {
	var all []string
	members, _ := list.([]any)
	for _, member := range members {
		if of != nil {
			member = of(member)
		}
		all = append(all, fmt.Sprint(member))
	}
	return all
}

var typeWords = map[string]string{
	"object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number", "number": "a number",
	"boolean": "true or false", "null": "empty",
}

func typeNames(types any) string {
	if name, ok := types.(string); ok {
		return typeWords[name]
	}
	names := words(types, func(name any) any { return typeWords[name.(string)] })
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func valueName(v any) string {
	switch v := v.(type) {
	case nil:
		return "empty"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return "text"
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	return fmt.Sprintf("the number %v", v)
}

// plain copies a value such that the validator can take it: numbers become
// json.Number of a harmless size, or texts if JSON has no such number.
func plain(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	switch v := v.(type) {
	case nil, bool, string:
		return v, nil
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			var err error
			if m[key], err = plain(value, depth+1); err != nil {
				return nil, err
			}
		}
		return m, nil
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			var err error
			if list[i], err = plain(value, depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case json.Number, float64, float32, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		number := fmt.Sprint(v)
		f, err := strconv.ParseFloat(number, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || len(number) > 400 || f == 0 && strings.ContainsAny(number, "eE") {
			return number, nil // text: no number, or one whose exact value would fill the memory
		}
		return json.Number(number), nil
	}
	return nil, fmt.Errorf("a %T is no JSON value", v)
}

// unescapeFragment turns a pointer as it stands in a URL into the pointer itself.
func unescapeFragment(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// lookup finds the value at a JSON pointer.
func lookup(v any, pointer string) (any, bool) {
	for _, step := range strings.Split(pointer, "/")[1:] {
		step = pointerStep.Replace(step)
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

var pointerStep = strings.NewReplacer("~1", "/", "~0", "~")

// EscapePointer writes a key as one step of a JSON pointer.
func EscapePointer(key string) string { return pointerEscape.Replace(key) }

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// cutLast splits the last step off a pointer, unescaped.
func cutLast(pointer string) (above, step string) {
	i := strings.LastIndexByte(pointer, '/')
	if i < 0 {
		return "", pointer
	}
	return pointer[:i], pointerStep.Replace(pointer[i+1:])
}

func compareFindings(a, b Finding) int {
	return cmp.Or(comparePointers(a.Pointer, b.Pointer), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Keyword, b.Keyword), cmp.Compare(a.Message, b.Message))
}

// comparePointers orders by steps, list indices by number.
func comparePointers(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "/"), strings.Split(b, "/"), func(a, b string) int {
		i, errA := strconv.Atoi(a)
		j, errB := strconv.Atoi(b)
		if errA == nil && errB == nil {
			return cmp.Compare(i, j)
		}
		return cmp.Compare(a, b)
	})
}
