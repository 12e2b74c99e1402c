package schema_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/schema"
)

// A mutation changes one place of a document that is fine.
type mutation struct {
	random *rand.Rand
	left   int // places until the one that is changed
}

// replacements are values that stand where others are expected.
var replacements = []any{nil, true, false, 0, 1, -1, 3, 1.5, 42, 600, 20_000, 3_000_000_000, "", " ", "0", "0s", "5s", "-5s", "60", "word", "ok", "none", "stop", "func",
	"RATE_LIMIT", "rate_limit", "SUCCESS", "err.timeout", "std.http", "a b", "a/b", "default", []any{}, []any{"RATE_LIMIT"}, []any{"ok"}, []any{map[string]any{}}, map[string]any{},
	map[string]any{"x-a": 1}, map[string]any{"stop": map[string]any{}}, map[string]any{"min": "1s"}, map[string]any{"use": "std.http"}, map[string]any{"status": 503}}

// keys are keys that stand where they may not be expected.
var keys = []string{"name", "id", "when", "use", "class", "status", "result", "ok", "after", "err", "each", "expect", "stop", "constant", "strategy", "max_attempts", "retry", "x-a", "unknown", "window", "description"}

func count(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, value := range v {
			n += count(value)
		}
	case []any:
		for _, value := range v {
			n += count(value)
		}
	}
	return n
}

func (m *mutation) apply(v any) any {
	if m.left--; m.left == 0 {
		return m.change(v)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if m.left > 0 {
				v[key] = m.apply(v[key])
			}
		}
	case []any:
		for i := range v {
			if m.left > 0 {
				v[i] = m.apply(v[i])
			}
		}
	}
	return v
}

func (m *mutation) change(v any) any {
	if mapping, ok := v.(map[string]any); ok && len(mapping) > 0 && m.random.IntN(3) > 0 {
		key := slices.Sorted(maps.Keys(mapping))[m.random.IntN(len(mapping))]
		other := keys[m.random.IntN(len(keys))]
		switch m.random.IntN(3) {
		case 0:
			delete(mapping, key)
		case 1:
			mapping[other] = replacements[m.random.IntN(len(replacements))]
		case 2:
			mapping[other] = mapping[key]
			delete(mapping, key)
		}
		return mapping
	}
	if list, ok := v.([]any); ok && len(list) > 0 && m.random.IntN(2) > 0 {
		return slices.Delete(list, 0, 1)
	}
	return replacements[m.random.IntN(len(replacements))]
}

// What the decoder sees and no schema can: names given twice, values that
// contradict each other, expressions that YAML has eaten.
var notOfShape = []dsl.Code{dsl.CodeDuplicateName, dsl.CodeContradiction, dsl.CodeCommentSwallow}

func TestSchemaAndDecoderAgreeOnMutationsOfGoodPolicies(t *testing.T) {
	set, _ := dsl.ParseSet(corpus(t, "ok"))
	var documents []string
	for document := range set.All() {
		text, err := json.Marshal(document.JSON())
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(text))
	}
	const rounds = 3_000
	random := rand.New(rand.NewPCG(3, 4))
	refused, failed := 0, 0
	for range rounds {
		v := document(t, documents[random.IntN(len(documents))])
		m := &mutation{random, 1 + random.IntN(count(v))}
		text, err := json.Marshal(m.apply(v))
		if err != nil {
			t.Fatal(err)
		}
		file, diagnostics := dsl.Parse(dsl.NewSource("mutated.yaml", text))
		decoder := diagnostics.HasErrors()
		shape := slices.ContainsFunc(diagnostics, func(d dsl.Diagnostic) bool { return !slices.Contains(notOfShape, d.Code) })
		var found []schema.Finding
		for _, document := range file.Documents {
			found = append(found, schema.Validate(document.JSON())...)
		}
		if decoder {
			refused++
		}
		if refusedBySchema := len(found) > 0; refusedBySchema && !decoder || shape && !refusedBySchema {
			t.Errorf("decoder: %q\n\tschema: %s\n\t%s", printed(diagnostics), show(found), text)
			if failed++; failed > 20 {
				t.FailNow()
			}
		}
	}
	if refused < rounds/4 || refused > rounds*9/10 {
		t.Errorf("%d of %d mutations are refused: they are not worth much", refused, rounds)
	}
}

func TestMutationsReachEveryPlace(t *testing.T) {
	const text = `{"a": [1, {"b": 2}], "c": "d"}`
	seen := map[string]bool{}
	random := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		v := document(t, text)
		m := &mutation{random, 1 + random.IntN(count(v))}
		out, _ := json.Marshal(m.apply(v))
		seen[string(out)] = true
	}
	if len(seen) < 100 || !slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(s string) bool { return strings.HasPrefix(s, `{"a":[1,{"b":`) && s != text }) {
		t.Errorf("only %d different mutations", len(seen))
	}
}
