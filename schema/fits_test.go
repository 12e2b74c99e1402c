package schema_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/schema"
)

// jsonValue is what Validate takes, as Fits does.
type jsonValue struct{ v any }

func (j jsonValue) Type() string {
	switch j.v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return ""
}

func (j jsonValue) Text() string { return fmt.Sprint(j.v) }

func (j jsonValue) Len() int { return reflect.ValueOf(j.v).Len() }

func (j jsonValue) Entry(i int) (string, schema.Value) {
	if m, ok := j.v.(map[string]any); ok {
		key := slices.Sorted(maps.Keys(m))[i]
		return key, jsonValue{m[key]}
	}
	return "", jsonValue{j.v.([]any)[i]}
}

// compareWays holds a value against the schema in both ways.
func compareWays(t *testing.T, v any) (fits bool) {
	t.Helper()
	fits = schema.Fits(jsonValue{v})
	found := schema.Validate(v)
	if fits != (found == nil) && schema.IsUsual(jsonValue{v}) || fits && found != nil {
		text, _ := json.Marshal(v)
		t.Errorf("it fits: %t, and the validator says: %s\n\t%s", fits, show(found), text)
	}
	return fits
}

func TestGoodPoliciesAreKnownToFitWithoutTheValidator(t *testing.T) {
	set, _ := dsl.ParseSet(corpus(t, "ok"))
	for document := range set.All() {
		if !schema.Fits(jsonValue{document.JSON()}) {
			t.Errorf("%s: %s %s is left to the validator", document.Source.Name, document.Kind.V, document.Name.V)
		}
	}
}

func TestBadPoliciesAreLeftToTheValidator(t *testing.T) {
	for _, src := range corpus(t, "bad") {
		file, _ := dsl.Parse(src)
		for _, document := range file.Documents {
			compareWays(t, document.JSON())
		}
	}
}

// TestBothWaysAgreeOnDocumentsMixedFromGoodOnes puts parts of documents into others, where
// they belong and where they do not.
func TestBothWaysAgreeOnDocumentsMixedFromGoodOnes(t *testing.T) {
	set, _ := dsl.ParseSet(corpus(t, "ok"))
	var documents, parts []any
	words := map[string]bool{"unknown": true, "": true, "x-": true, "x": true}
	var collect func(v any)
	collect = func(v any) {
		parts = append(parts, v)
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				words[key] = true
				collect(value)
			}
		case []any:
			for _, item := range v {
				collect(item)
			}
		}
	}
	for document := range set.All() {
		documents = append(documents, document.JSON())
		collect(document.JSON())
	}
	for _, number := range []json.Number{"0", "-0", "1", "1.0", "0.5", "-1", "99", "100", "599", "600", "10000", "10001", "2147483647", "2147483648", "0.9999999999999999", "1e3"} {
		parts = append(parts, number)
	}
	parts = append(parts, nil, true, false, "", " ", "ok", "none", "stop", "default", "0s", "1h30m", "2026-12-31", []any{}, map[string]any{}, []any{"TRANSIENT", "TRANSIENT"})
	keys := slices.Sorted(maps.Keys(words))

	random := rand.New(rand.NewPCG(7, 8))
	pick := func() any { return clone(parts[random.IntN(len(parts))]) }
	// mix changes one place at most, and tells whether it has.
	var mix func(v any, left *int) any
	mix = func(v any, left *int) any {
		if *left--; *left == 0 {
			m, isMapping := v.(map[string]any)
			list, isList := v.([]any)
			switch random.IntN(4) {
			case 0:
				return pick()
			case 1:
				if isList {
					return append(list, pick())
				}
			case 2:
				if isMapping && len(m) > 0 {
					delete(m, slices.Sorted(maps.Keys(m))[random.IntN(len(m))])
					return m
				}
			}
			if isMapping {
				m[keys[random.IntN(len(keys))]] = pick()
			}
			return v
		}
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if *left > 0 {
					v[key] = mix(v[key], left)
				}
			}
		case []any:
			for i := range v {
				if *left > 0 {
					v[i] = mix(v[i], left)
				}
			}
		}
		return v
	}
	const rounds = 6_000
	fit := 0
	for range rounds {
		v := clone(documents[random.IntN(len(documents))])
		for range 1 + random.IntN(2) {
			left := 1 + random.IntN(count(v))
			v = mix(v, &left)
		}
		if compareWays(t, v) {
			fit++
		}
		if t.Failed() {
			return
		}
	}
	if fit < rounds/20 || fit > rounds*9/10 {
		t.Errorf("%d of %d documents fit: they are not worth much", fit, rounds)
	}
}

// clone copies a value such that nothing is shared.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, value := range v {
			m[key] = clone(value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = clone(v[i])
		}
		return list
	}
	return v
}

func TestOddValuesAreLeftToTheValidator(t *testing.T) {
	deep := any("x")
	for range 300 {
		deep = []any{deep}
	}
	for name, odd := range map[string]any{
		"a number of Go": 4, "an exponent": json.Number("4e0"), "many digits": json.Number("4.0000000000000000"), "no number": json.Number("four"),
		"a point at the end": json.Number("4."), "nested deeply": deep, "no value of JSON": struct{}{},
	} {
		v := document(t, `{"apiVersion": "redress/v1", "kind": "Policy", "name": "p", "classify": [{"use": "std.http"}]}`).(map[string]any)
		if !schema.Fits(jsonValue{v}) {
			t.Fatal("a plain policy does not fit")
		}
		if v["x-odd"] = odd; schema.Fits(jsonValue{v}) {
			t.Errorf("%s fits", name)
		}
	}
}

// TestASchemaWithUnknownKeywordsIsNotHalfUnderstood: a keyword that the rules do not know
// must not be passed over.
func TestASchemaWithUnknownKeywordsIsNotHalfUnderstood(t *testing.T) {
	for _, text := range []string{
		`{"maxLength": 3}`, `{"properties": {"a": {"format": "date"}}}`, `{"items": {"oneOf": []}}`, `{"const": 4}`, `{"enum": ["a", 1]}`,
		`{"patternProperties": {"^y-": true}}`, `{"$ref": "other.json#/a"}`, `{"$ref": "#/$defs/missing"}`, `{"minimum": 0.5}`,
		`{"uniqueItems": true}`, `{"uniqueItems": true, "items": {"type": ["string", "number"]}}`, `{"not": 3}`, `{`,
	} {
		if fits, err := schema.FitsText(text, jsonValue{map[string]any{}}); err == nil || fits {
			t.Errorf("%s is taken for understood", text)
		}
	}
	if fits, err := schema.FitsText(string(schema.JSON()), jsonValue{}); err != nil || fits {
		t.Errorf("of our schema nothing is understood: %v", err)
	}
}

// FuzzBothWays compares them on any JSON.
func FuzzBothWays(f *testing.F) {
	for _, name := range []string{"ok", "bad"} {
		for _, src := range corpus(f, name) {
			file, _ := dsl.Parse(src)
			for _, document := range file.Documents {
				if text, err := json.Marshal(document.JSON()); err == nil {
					f.Add(string(text))
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(&v) == nil {
			compareWays(t, v)
		}
	})
}
