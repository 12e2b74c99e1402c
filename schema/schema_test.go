package schema_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/redress-policy/redress/schema"
)

func raw(t *testing.T) map[string]any {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(schema.JSON(), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

// walk visits every schema that describes something that a user can write: not
// those below if, then, dependentSchemas and the like, which only restrict.
func walk(at string, node any, visit func(at string, s map[string]any)) {
	s, ok := node.(map[string]any)
	if !ok {
		return
	}
	visit(at, s)
	for _, group := range []string{"properties", "patternProperties", "$defs"} {
		members, _ := s[group].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(members)) {
			walk(at+"/"+group+"/"+key, members[key], visit)
		}
	}
	for _, one := range []string{"additionalProperties", "items"} {
		walk(at+"/"+one, s[one], visit)
	}
}

// resolve returns the value of a keyword, from the schema or from what it refers to.
func resolve(root, s map[string]any, keyword string) any {
	for range 10 {
		if v, ok := s[keyword]; ok {
			return v
		}
		ref, ok := s["$ref"].(string)
		if !ok {
			return nil
		}
		var at any = root
		for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			at = at.(map[string]any)[step]
		}
		s = at.(map[string]any)
	}
	return nil
}

func TestEveryKeyAndDefinitionHasDescriptionAndExamples(t *testing.T) {
	root := raw(t)
	keys := 0
	walk("", root, func(at string, s map[string]any) {
		if strings.HasSuffix(at, "/attributeValue/items") {
			return // a member of a list, no key
		}
		keys++
		if text, _ := resolve(root, s, "description").(string); len(text) < 5 || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: description is %q, want a sentence", at, text)
		}
		if examples, _ := resolve(root, s, "examples").([]any); len(examples) == 0 {
			t.Errorf("%s: no examples", at)
		}
		if names, ok := s["enum"].([]any); ok && s["enumDescriptions"] != nil {
			if words, _ := s["enumDescriptions"].([]any); len(words) != len(names) {
				t.Errorf("%s: %d members of the enum, %d descriptions", at, len(names), len(words))
			}
		}
	})
	if keys < 200 {
		t.Errorf("visited %d schemas only: the walk misses some", keys)
	}
}

func TestExamplesAndDefaultsAreValid(t *testing.T) {
	root := raw(t)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schema.ID, bytes.NewReader(schema.JSON())); err != nil {
		t.Fatal(err)
	}
	walk("", root, func(at string, s map[string]any) {
		compiled, err := compiler.Compile(schema.ID + "#" + strings.ReplaceAll(at, "^", "%5E"))
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		examples, _ := s["examples"].([]any)
		if example, ok := s["default"]; ok {
			examples = append(examples, example)
		}
		for _, snippet := range list(s["defaultSnippets"]) {
			examples = append(examples, filled(snippet.(map[string]any)["body"]))
		}
		for _, example := range examples {
			if err := compiled.Validate(example); err != nil {
				t.Errorf("%s: example %v: %v", at, example, err)
			}
		}
	})
}

func list(v any) []any { l, _ := v.([]any); return l }

var placeholder = regexp.MustCompile(`^\$\{\d+:(.*)\}$`)

// filled is a snippet's body with its placeholders as an editor first shows them.
func filled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, value := range v {
			m[key] = filled(value)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i := range v {
			l[i] = filled(v[i])
		}
		return l
	case string:
		if m := placeholder.FindStringSubmatch(v); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil {
				return n
			}
			return m[1]
		}
	}
	return v
}

func TestUnknownKeysAreRefusedEverywhereExceptExtensions(t *testing.T) {
	root := raw(t)
	walk("", root, func(at string, s map[string]any) {
		if _, ok := s["properties"]; !ok || at == "" {
			return
		}
		if s["additionalProperties"] != false {
			t.Errorf("%s: allows unknown keys", at)
		}
		patterns, _ := s["patternProperties"].(map[string]any)
		if _, ok := patterns["^x-"]; !ok || len(patterns) != 1 {
			t.Errorf("%s: pattern properties are %v, want ^x- alone", at, patterns)
		}
	})
}

func TestSchemaHasNoOneOf(t *testing.T) {
	// Failures of oneOf cannot be told apart: which branch was meant?
	if bytes.Contains(schema.JSON(), []byte(`"oneOf"`)) {
		t.Error("the schema uses oneOf")
	}
}

func TestSchemaNamesItself(t *testing.T) {
	root := raw(t)
	if root["$id"] != schema.ID {
		t.Errorf("$id is %v, want %s", root["$id"], schema.ID)
	}
	if want := "https://json-schema.org/draft/2020-12/schema"; root["$schema"] != want {
		t.Errorf("$schema is %v, want %s", root["$schema"], want)
	}
}

func TestJSONReturnsACopy(t *testing.T) {
	text := schema.JSON()
	clear(text)
	if !json.Valid(schema.JSON()) {
		t.Error("writing to the text of the schema changed the schema")
	}
}

// document parses JSON, which is how the tables below write documents.
func document(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// show prints findings as "POINTER KEY KEYWORD: MESSAGE; ...", empty parts left out.
func show(findings []schema.Finding) string {
	var all []string
	for _, f := range findings {
		at := slices.DeleteFunc([]string{f.Pointer, f.Key, f.Keyword}, func(s string) bool { return s == "" })
		all = append(all, strings.Join(at, " ")+": "+f.Message)
	}
	return strings.Join(all, "; ")
}

func TestFindings(t *testing.T) {
	policy := func(more string) string {
		return `{"apiVersion": "redress/v1", "kind": "Policy", "name": "p", "classify": [{"use": "std.http"}]` + more + `}`
	}
	retry := func(more string) string { return policy(`, "retry": {` + more + `}`) }
	test := func(more string) string {
		return `{"apiVersion": "redress/v1", "kind": "PolicyTest", "policy": "p", ` + more + `}`
	}
	for _, row := range []struct{ name, document, want string }{
		{"nothing wrong", policy(""), ``},
		{"no mapping", `[]`, `type: must be a mapping, not a list`},
		{"nothing", `null`, `type: must be a mapping, not empty`},
		{"empty mapping", `{}`, `apiVersion required: missing key "apiVersion"; kind required: missing key "kind"`},
		{"unknown kind", `{"apiVersion": "redress/v1", "kind": "policy"}`, `/kind enum: must be one of Policy, Classifier, Budget, CircuitBreaker, PolicyTest, Environment, Override, Set`},
		{"unknown version", `{"apiVersion": "v1", "kind": "Budget", "name": "b", "max_retries": 1, "window": "1s"}`, `/apiVersion const: the version of the language is redress/v1`},
		{"what a kind requires", `{"apiVersion": "redress/v1", "kind": "Budget"}`,
			`max_retries required: missing key "max_retries"; name required: missing key "name"; window required: missing key "window"`},
		{"keys of another kind", policy(`, "window": "1s"`), `window additionalProperties: unknown key "window"`},
		{"one's own keys", policy(`, "x-anything": [1]`), ``},
		{"several unknown keys", policy(`, "b/c": 1, "a~b": 2, "%41": 3`),
			`%41 additionalProperties: unknown key "%41"; a~b additionalProperties: unknown key "a~b"; b/c additionalProperties: unknown key "b/c"`},
		{"number for a duration", retry(`"deadline": 60`), `/retry/deadline type: a duration is written with a unit, as in 250ms, 10s or 1m30s`},
		{"duration without unit", retry(`"deadline": "60"`), `/retry/deadline pattern: a duration here is above zero and written with a unit, as in 250ms, 10s or 1m30s`},
		{"fraction for an integer", retry(`"max_attempts": 1.5`), `/retry/max_attempts type: must be a whole number, not the number 1.5`},
		{"above the bound", retry(`"max_attempts": 99999999999999999999`), `/retry/max_attempts maximum: must be at most 2147483647`},
		{"below the bound", retry(`"max_attempts": 0`), `/retry/max_attempts minimum: must be at least 1`},
		{"unknown class as key", retry(`"classes": {"RATE": {}}`), `/retry/classes RATE additionalProperties: unknown key "RATE"`},
		{"unknown class as value", policy(`, "default_class": "rate"`),
			`/default_class enum: must be one of AUTH, PERMISSION, PERMANENT, CONCURRENCY, RATE_LIMIT, SERVER_ERROR, TRANSIENT, UNKNOWN`},
		{"unknown strategy by name", retry(`"strategy": "linnear"`),
			`/retry/strategy enum: must be one of decorrelated_jitter, equal_jitter, full_jitter, exponential, linear, token_backoff, retry_after_or, adaptive, immediate, stop`},
		{"unknown strategy as key", retry(`"strategy": {"linnear": {}}`), `/retry/strategy linnear additionalProperties: unknown key "linnear"`},
		{"two strategies", retry(`"strategy": {"stop": {}, "immediate": {}}`), `/retry/strategy stop false: "stop" cannot stand beside "immediate"`},
		{"two fallbacks", retry(`"strategy": {"retry_after_or": {"cap": "5s", "stop": {}, "linear": {}}}`), `/retry/strategy/retry_after_or stop false: "stop" cannot stand beside "linear"`},
		{"no strategy", retry(`"strategy": {}`), `/retry/strategy not: the strategy has no name`},
		{"missing parameter", retry(`"strategy": {"constant": {}}`), `/retry/strategy/constant delay required: missing key "delay"`},
		{"deep in fallbacks", retry(`"strategy": {"adaptive": {"retry_after_or": {"constant": {"delay": 1}}}}`),
			`/retry/strategy/adaptive/retry_after_or/constant/delay type: a duration is written with a unit, as in 0s, 250ms or 1m30s`},
		{"neither name nor mapping", retry(`"budget": 20`), `/retry/budget type: must be text or a mapping, not the number 20`},
		{"rule with use", policy(`, "classify_result": [{"use": "a", "when": "true"}]`), `/classify_result/0 when false: "when" cannot stand beside "use"`},
		{"rule without anything", policy(`, "classify_result": [{}]`),
			`/classify_result/0 class required: missing key "class"; /classify_result/0 id required: missing key "id"; ` +
				`/classify_result/0 when required: missing key "when"`},
		{"numbers for text", test(`"cases": [{"name": "c", "err": {"code": 40001, "headers": {"retry-after": 5}}, "expect": {"class": "AUTH"}}]`), ``},
		{"a status that does not exist", test(`"cases": [{"name": "c", "err": {"status": 42}, "expect": {"class": "AUTH"}}]`),
			`/cases/0/err/status not: a status is a whole number, 0 (none) or from 100 to 599`},
		{"reserved id", policy(`, "classify_result": [{"id": "default", "when": true, "class": "UNKNOWN"}]`),
			`/classify_result/0/id not: an id is text; "default" and "marker" are taken: they stand for no rule at all`},
		{"test of nothing", test(`"name": "t"`), `anyOf: needs one of the keys cases, scenarios`},
		{"case without record", test(`"cases": [{"name": "c", "expect": {"class": "AUTH"}}]`), `/cases/0 anyOf: needs one of the keys err, result, each, each_result`},
		{"case with two records", test(`"cases": [{"name": "c", "err": {}, "each": [{}], "expect": {"class": "AUTH"}}]`), `/cases/0 each false: "each" cannot stand beside "err"`},
		{"result and error", test(`"scenarios": [{"name": "s", "calls": [{"outcomes": [{"result": {}, "status": 503, "after": "1s"}]}]}]`),
			`/scenarios/0/calls/0/outcomes/0 status false: "status" cannot stand beside "result"`},
		{"the same twice", policy(`, "circuit_breaker": {"trip_on": ["AUTH", "AUTH"]}`), `/circuit_breaker/trip_on uniqueItems: names the same twice`},
		{"indices in order", test(`"cases": [` + strings.Repeat(`{"name": "c", "err": {}, "expect": {"class": "AUTH"}}, `, 2) + `{"name": ""}, ` +
			strings.Repeat(`{"name": "c", "err": {}, "expect": {"class": "AUTH"}}, `, 7) + `{}]`),
			`/cases/2 anyOf: needs one of the keys err, result, each, each_result; /cases/2 expect required: missing key "expect"; /cases/2/name pattern: the name is empty; ` +
				`/cases/10 anyOf: needs one of the keys err, result, each, each_result; /cases/10 expect required: missing key "expect"; /cases/10 name required: missing key "name"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := show(schema.Validate(document(t, row.document))); got != row.want {
				t.Errorf("%s\n got %s\nwant %s", row.document, got, row.want)
			}
		})
	}
}

func TestHostileValuesAreFindings(t *testing.T) {
	with := func(v any) any {
		return map[string]any{"apiVersion": "redress/v1", "kind": "Policy", "name": "p", "classify": []any{map[string]any{"use": "std.http"}},
			"retry": map[string]any{"max_attempts": v}}
	}
	notWhole := "/retry/max_attempts type: must be a whole number, not text"
	deep := any(map[string]any{})
	for range 100_000 {
		deep = map[string]any{"retry_after_or": deep}
	}
	for _, row := range []struct {
		name string
		v    any
		want string
	}{
		{"int", with(3), ""},
		{"json.Number", with(json.Number("3")), ""},
		{"not a number", with(math.NaN()), notWhole},
		{"infinity", with(math.Inf(1)), notWhole},
		{"exponent that fills the memory", with(json.Number("1e999999999")), notWhole},
		{"exponent that takes forever", with(json.Number("1e-999999999")), notWhole},
		{"no number at all", with(json.Number("seven")), notWhole},
		{"long number", with(json.Number(strings.Repeat("9", 1_000_000))), notWhole},
		{"no JSON value", with(time.Second), "type: a time.Duration is no JSON value"},
		{"no JSON mapping", with(map[any]any{}), "type: a map[interface {}]interface {} is no JSON value"},
		{"deep", with(deep), "type: nested more than 200 levels deep"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := show(schema.Validate(row.v)); got != row.want {
				t.Errorf("got %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestValidateIsSafeForManyGoroutinesAndStable(t *testing.T) {
	v := document(t, `{"apiVersion": "redress/v1", "kind": "Policy", "a": 1, "b": 2, "c": 3, "classify": [{}, {"use": 1}],
		"retry": {"max_attempts": 0, "deadline": 1, "strategy": {"stop": {}, "linear": {}, "func": 1}}, "circuit_breaker": {"trip_on": ["X", "Y"]}}`)
	want := show(schema.Validate(v))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 20 {
				if got := show(schema.Validate(v)); got != want {
					t.Errorf("got %s\nwant %s", got, want)
				}
			}
		})
	}
	wait.Wait()
}

func TestEveryFindingIsReportedOnce(t *testing.T) {
	// kind and apiVersion are asked for twice: by the document, and by its kind.
	found := schema.Validate(document(t, `{"kind": "Budget", "name": "b", "max_retries": 1, "window": "1s"}`))
	if got, want := show(found), `apiVersion required: missing key "apiVersion"`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestDurationsAreThoseOfGo(t *testing.T) {
	ok := func(path, text string) bool {
		constant := map[string]any{"delay": "1s"}
		retry := map[string]any{"strategy": map[string]any{"constant": constant}}
		if path == "delay" {
			constant["delay"] = text
		} else {
			retry["deadline"] = text
		}
		return schema.Validate(map[string]any{"apiVersion": "redress/v1", "kind": "Policy", "name": "p",
			"classify": []any{map[string]any{"use": "std.http"}}, "retry": retry}) == nil
	}
	check := func(text string) {
		d, err := time.ParseDuration(text)
		signed := strings.HasPrefix(text, "-")
		if got, want := ok("delay", text), err == nil && !signed; got != want {
			t.Errorf("%q where zero is allowed: the schema says %v, want %v (%v, %v)", text, got, want, d, err)
		}
		// A fraction of a nanosecond is above zero for the schema, and zero for Go.
		if got, want := ok("deadline", text), err == nil && !signed && d > 0; got != want && !(got && d == 0 && strings.Contains(text, ".")) {
			t.Errorf("%q where zero is not allowed: the schema says %v, want %v (%v, %v)", text, got, want, d, err)
		}
	}
	for _, text := range []string{"", "0", "+0", "00", "0s", "+5s", "-5s", "5", "5 s", "1h2m3s", "1.5h", ".5s", "5.s", ".s", "1d", "100us", "100µs", "100μs", "0h0m0.0s", "0h1ns", "1s0h", "1e3s", "1_0s", "5S", "1m30", "∞s"} {
		check(text)
	}
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"0", "1", "9", ".", "s", "m", "h", "ms", "us", "µs", "ns", "+", "-", " "}
	for range 3000 {
		var text strings.Builder
		for range 1 + random.IntN(7) {
			text.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		check(text.String())
	}
}
