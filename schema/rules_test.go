package schema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/schema"
)

var update = flag.Bool("update", false, "write policy.bare.json")

// TestBareSchemaIsTheSchemaWithoutAnnotations: whoever changes the schema runs
// go test ./schema -update.
func TestBareSchemaIsTheSchemaWithoutAnnotations(t *testing.T) {
	want, err := json.Marshal(bare(raw(t)))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("policy.bare.json", append(want, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(bytes.TrimSpace(schema.BareJSON())) != string(want) {
		t.Error("policy.bare.json is not policy.schema.json without annotations; go test ./schema -update writes it")
	}
}

// bare takes annotations out of a schema.
func bare(node any) any {
	s, ok := node.(map[string]any)
	if !ok {
		return node
	}
	made := map[string]any{}
	for keyword, value := range s {
		switch keyword {
		case "properties", "patternProperties", "$defs", "dependentSchemas":
			members := map[string]any{}
			for name, member := range value.(map[string]any) {
				members[name] = bare(member)
			}
			made[keyword] = members
		case "items", "additionalProperties", "propertyNames", "if", "then", "else", "not":
			made[keyword] = bare(value)
		case "allOf", "anyOf":
			var list []any
			for _, member := range value.([]any) {
				list = append(list, bare(member))
			}
			made[keyword] = list
		default:
			if !slices.Contains(schema.Annotations, keyword) {
				made[keyword] = value
			}
		}
	}
	return made
}

// compareFaults holds a value against the schema by our rules and by a validator of the
// whole draft: they find the same keywords failing at the same places.
func compareFaults(t *testing.T, v any) (fits bool) {
	t.Helper()
	ours, err := schema.Faults(v)
	theirs, errValidator := schema.FaultsByValidator(v)
	if hasEmptyKey(v) { // which the validator leaves out of its pointers
		ours, theirs = keywords(ours), keywords(theirs)
	}
	if !slices.Equal(ours, theirs) || (err == nil) != (errValidator == nil) || (len(ours) == 0 && err == nil) != (schema.Validate(v) == nil) {
		text, _ := json.Marshal(v)
		t.Errorf("rules: %v, %v; validator: %v, %v\n\t%s", ours, err, theirs, errValidator, text)
	}
	return len(ours) == 0 && err == nil
}

func hasEmptyKey(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if key == "" || hasEmptyKey(value) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasEmptyKey)
	}
	return false
}

// keywords leaves the pointers to values out.
func keywords(faults [][2]string) [][2]string {
	var list [][2]string
	for _, f := range faults {
		list = append(list, [2]string{"", f[1]})
	}
	slices.SortFunc(list, func(a, b [2]string) int { return strings.Compare(a[1], b[1]) })
	return slices.Compact(list)
}

func TestRulesAndValidatorAgreeOnPolicies(t *testing.T) {
	for _, src := range slices.Concat(corpus(t, "bad"), corpus(t, "ok")) {
		file, _ := dsl.Parse(src)
		for _, document := range file.Documents {
			compareFaults(t, document.JSON())
		}
	}
}

// TestRulesAndValidatorAgreeOnDocumentsMixedFromGoodOnes puts parts of documents into others, where
// they belong and where they do not.
func TestRulesAndValidatorAgreeOnDocumentsMixedFromGoodOnes(t *testing.T) {
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
		if compareFaults(t, v) {
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

func TestRulesAndValidatorAgreeOnOddValues(t *testing.T) {
	deep := any("x")
	for range 300 {
		deep = []any{deep}
	}
	for _, odd := range []any{
		4, 4.5, json.Number("4e0"), json.Number("4.0000000000000000"), json.Number("4.00000000000000001"), json.Number("2147483647.00000001"), json.Number("1e308"),
		json.Number("four"), json.Number("4."), json.Number("-0"), deep, struct{}{}, []any{json.Number("1"), json.Number("1.0")}, []any{map[string]any{}, map[string]any{}},
		[]any{[]any{"TRANSIENT"}, []any{"TRANSIENT"}}, []any{"TRANSIENT", "TRANSIENT", nil},
	} {
		for _, key := range []string{"x-odd", "retry", "circuit_breaker", "max_attempts", "trip_on", "name", "a~b/c d%20"} {
			policy := document(t, `{"apiVersion": "redress/v1", "kind": "Policy", "name": "p", "classify": [{"use": "std.http"}], "retry": {}, "circuit_breaker": {}}`).(map[string]any)
			compareFaults(t, policy)
			policy[key] = odd
			compareFaults(t, policy)
			delete(policy, key)
			for _, within := range []string{"retry", "circuit_breaker"} {
				policy[within] = map[string]any{key: odd}
				compareFaults(t, policy)
			}
		}
	}
}

// TestASchemaWithUnknownKeywordsIsNotHalfUnderstood: a keyword that the rules do not know
// must not be passed over.
func TestASchemaWithUnknownKeywordsIsNotHalfUnderstood(t *testing.T) {
	for _, text := range []string{
		`{"maxLength": 3}`, `{"properties": {"a": {"format": "date"}}}`, `{"items": {"oneOf": []}}`, `{"const": 4}`, `{"enum": ["a", 1]}`,
		`{"patternProperties": {"^y-": true}}`, `{"$ref": "other.json#/a"}`, `{"$ref": "#/$defs/missing"}`, `{"minimum": 0.5}`,
		`{"not": 3}`, `{`,
	} {
		if schema.CompileText(text) == nil {
			t.Errorf("%s is taken for understood", text)
		}
	}
}

// FuzzFaults compares rules and validator on any JSON.
func FuzzFaults(f *testing.F) {
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
			compareFaults(t, v)
		}
	})
}
