package schema_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/schema"
)

// The corpus: testdata/policies/ok holds files that everything accepts, and bad
// files with one mistake each, named after it. A bad file begins with a comment
// that says what is wrong, and then says where it wants to be told:
//
//	# want: RD003 line 7
//
// The code is left out where the file does not care which it is.

func corpus(t testing.TB, folder string) []*dsl.Source {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "testdata", "policies", folder, "*.yaml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no policies in %s: %v", folder, err)
	}
	var sources []*dsl.Source
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, dsl.NewSource(filepath.Base(name), text))
	}
	return sources
}

// A want is one finding that a bad file asks for.
type want struct {
	code string // "" for any
	line int
}

var wantLine = regexp.MustCompile(`^# want: (?:(RD\d{3}) )?line (\d+)$`)

func wants(t *testing.T, src *dsl.Source) []want {
	t.Helper()
	var all []want
	for text := range bytes.Lines(src.Bytes) {
		line := strings.TrimSpace(string(text))
		if !strings.HasPrefix(line, "# want:") {
			continue
		}
		m := wantLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%s: cannot read %q", src.Name, line)
			continue
		}
		n, _ := strconv.Atoi(m[2])
		all = append(all, want{m[1], n})
	}
	return all
}

func lineOf(r dsl.Range) int { return r.Source.Position(r.Start).Line }

// findings runs the schema over the documents of a file.
func findings(file *dsl.File) map[*dsl.Document][]schema.Finding {
	all := map[*dsl.Document][]schema.Finding{}
	for _, document := range file.Documents {
		if found := schema.Validate(document.JSON()); len(found) > 0 {
			all[document] = found
		}
	}
	return all
}

func TestGoodPoliciesHaveNoFindings(t *testing.T) {
	sources := corpus(t, "ok")
	set, diagnostics := dsl.ParseSet(sources)
	for _, d := range diagnostics {
		t.Errorf("%s:%d: decoder: %s (%s)", d.Range.Source.Name, lineOf(d.Range), d.Message, d.Code.ID)
	}
	documents := 0
	for _, file := range set.Files {
		documents += len(file.Documents)
		for document, found := range findings(file) {
			t.Errorf("%s: %s %s: schema: %s", file.Source.Name, document.Kind.V, document.Name.V, show(found))
		}
	}
	if len(set.Files) != len(sources) || documents < 60 {
		t.Errorf("%d files with %d documents: some were lost", len(set.Files), documents)
	}
}

func TestBadPoliciesSayWhatIsWrong(t *testing.T) {
	for _, src := range corpus(t, "bad") {
		text := strings.TrimPrefix(string(src.Bytes), "\ufeff")
		first, _, _ := strings.Cut(text, "\n")
		if len(first) < 10 || !strings.HasPrefix(first, "# ") || !strings.HasSuffix(first, ".") {
			t.Errorf("%s begins with %q, want a comment that says what is wrong", src.Name, first)
		}
		for _, w := range wants(t, src) {
			if lines := strings.Count(text, "\n"); w.line > lines {
				t.Errorf("%s wants a finding in line %d of %d", src.Name, w.line, lines)
			}
		}
	}
}

// Mistakes that are none of shape, and who sees them.
var (
	onlyDecoder = reasons{}.
			because("the text is no YAML, so that there is no value",
			"alias-unknown", "bad-indentation", "backslash-in-double-quotes", "missing-space-after-colon", "tab-indentation", "unclosed-flow", "unclosed-quote",
			"expression-begins-with-ampersand", "expression-begins-with-at", "expression-begins-with-backtick", "expression-begins-with-bar",
			"expression-begins-with-brace", "expression-begins-with-bracket", "expression-begins-with-bracket-in", "expression-begins-with-double-quote",
			"expression-begins-with-percent", "expression-begins-with-single-quote", "expression-begins-with-star", "expression-in-flow-begins-with-bang", "expression-in-flow-with-brackets",
			"expression-in-flow-with-comma", "expression-with-colon", "expression-with-ternary").
		because("the value does not show how it was written",
			"alias-bomb", "alias-recursive", "binary-tag", "custom-tag", "byte-order-mark", "no-document",
			"duplicate-extension", "duplicate-key", "duplicate-key-flow", "duplicate-key-nested", "duplicate-key-quoted", "duplicate-var",
			"integer-exponent", "integer-with-point",
			"comment-in-double-quotes-over-lines", "comment-in-folded", "comment-in-plain-over-lines", "expression-begins-with-bang-paren",
			"expression-cut-by-comment", "boolean-capital").
		because("two values are compared",
			"duplicate-name", "rule-id-duplicate", "rule-id-duplicate-across-lists", "strategy-base-above-max", "strategy-multipliers-swapped",
			"call-expects-bounds-swapped", "case-expects-matched-of-error").
		because("the range is the computer's",
			"duration-too-large")
	onlyLater = reasons{}.
			because("the expression has to be compiled",
			"cel-and-word", "cel-assignment", "cel-bad-duration", "cel-bad-escape", "cel-bad-regex", "cel-class-in-classify", "cel-class-in-quotes",
			"cel-class-unknown", "cel-double-for-int", "cel-err-in-classify-result", "cel-kind-unknown", "cel-kind-unknown-in-list", "cel-not-bool",
			"cel-not-word", "cel-now", "cel-null", "cel-number-for-string", "cel-phase-unknown", "cel-precedence-of-not", "cel-regex-lookahead", "cel-regex-too-large",
			"cel-result-in-classify", "cel-result-in-select", "cel-retry-after-not-duration", "cel-single-ampersand", "cel-smart-quotes",
			"cel-string-for-bool", "cel-string-for-number", "cel-too-deep", "cel-too-long", "cel-triple-equals", "cel-unclosed-parenthesis",
			"cel-unclosed-string", "cel-undeclared-attributes", "cel-unknown-attribute", "cel-unknown-field", "cel-unknown-field-in-block",
			"cel-unknown-function", "cel-unknown-method-lower", "cel-unknown-var", "cel-unknown-variable", "hash-comment-in-literal",
			"rule-retry-after-duration", "several-mistakes-in-expressions", "var-broken-and-unused", "var-of-errors-for-results",
			"var-of-select-in-classify", "var-reads-itself", "var-reads-later-var").
		because("the name is that of another document",
			"classifier-cycle", "classifier-uses-itself", "classifier-without-result-rules", "reference-to-another-kind", "unknown-breaker",
			"unknown-budget", "unknown-classifier", "unknown-pack", "unknown-policy-in-test", "calls-unknown", "environment-unknown-policy",
			"set-fallback-unknown", "set-fallback-contradiction").
		because("the policy under test has to be known",
			"call-expects-unknown-rule", "case-attribute-of-wrong-type", "case-attribute-undeclared", "case-expects-unknown-rule",
			"case-expects-unknown-rule-of-pack", "case-expects-unknown-select")
)

// reasons says why some files are an exception, by file.
type reasons map[string]string

func (r reasons) because(reason string, files ...string) reasons {
	for _, file := range files {
		r[file] = reason
	}
	return r
}

func TestSchemaAndDecoderAgreeOnBadPolicies(t *testing.T) {
	exceptions := map[string]bool{}
	for _, src := range corpus(t, "bad") {
		name := strings.TrimSuffix(src.Name, ".yaml")
		set, diagnostics := dsl.ParseSet([]*dsl.Source{src})
		var bySchema string
		for _, file := range set.Files {
			for _, found := range findings(file) {
				bySchema += show(found)
			}
		}
		decoder, schema := diagnostics.HasErrors(), bySchema != ""
		wantDecoder, wantSchema, why := true, true, "a mistake of shape, which both see"
		if reason, ok := onlyDecoder[name]; ok {
			exceptions[name], wantSchema, why = true, false, reason
		}
		if reason, ok := onlyLater[name]; ok {
			exceptions[name], wantDecoder, wantSchema, why = true, false, false, reason
		}
		if decoder != wantDecoder || schema != wantSchema {
			t.Errorf("%s: decoder refuses: %v, schema refuses: %v, want %v and %v (%s)\n\tdecoder: %v\n\tschema: %s",
				src.Name, decoder, schema, wantDecoder, wantSchema, why, printed(diagnostics), bySchema)
		}
	}
	for _, list := range []reasons{onlyDecoder, onlyLater} {
		for name := range list {
			if !exceptions[name] {
				t.Errorf("the exception %s is no file of testdata/policies/bad, or listed twice", name)
			}
		}
	}
}

func printed(diagnostics dsl.Diagnostics) []string {
	var all []string
	for _, d := range diagnostics {
		all = append(all, fmt.Sprintf("%s line %d: %s", d.Code.ID, lineOf(d.Range), d.Message))
	}
	return all
}

func TestDecoderReportsAtTheWantedLines(t *testing.T) {
	for _, src := range corpus(t, "bad") {
		if _, ok := onlyLater[strings.TrimSuffix(src.Name, ".yaml")]; ok {
			continue
		}
		_, diagnostics := dsl.ParseSet([]*dsl.Source{src})
		for _, w := range wants(t, src) {
			found := slices.ContainsFunc(diagnostics, func(d dsl.Diagnostic) bool {
				return lineOf(d.Range) == w.line && (w.code == "" || w.code == d.Code.ID)
			})
			if !found {
				t.Errorf("%s wants %s in line %d, got %q", src.Name, w.code, w.line, printed(diagnostics))
			}
		}
	}
}

func TestFindingsAreLocatedAtTheWantedLines(t *testing.T) {
	for _, src := range corpus(t, "bad") {
		file, _ := dsl.Parse(src)
		wanted := wants(t, src)
		for document, found := range findings(file) {
			for _, f := range found {
				place := document.Locate(f.Pointer, false)
				if f.Key != "" || f.Keyword == "additionalProperties" { // a key may be empty
					place = document.Locate(f.Pointer+"/"+schema.EscapePointer(f.Key), true)
				}
				if place.Source != src {
					t.Errorf("%s: %s has no place", src.Name, show([]schema.Finding{f}))
					continue
				}
				if line := lineOf(place); !slices.ContainsFunc(wanted, func(w want) bool { return w.line == line }) {
					t.Errorf("%s: %s is placed in line %d, want one of %v", src.Name, show([]schema.Finding{f}), line, wanted)
				}
			}
		}
	}
}

func TestSchemaKnowsTheWordsOfTheDecoder(t *testing.T) {
	defs := raw(t)["$defs"].(map[string]any)
	enum := func(path string) []string {
		var at any = defs
		for _, step := range strings.Split(path, "/") {
			at = at.(map[string]any)[step]
		}
		var words []string
		for _, word := range at.([]any) {
			words = append(words, word.(string))
		}
		return words
	}
	events := slices.DeleteFunc(dsl.EventNames(), func(name string) bool {
		return strings.HasPrefix(name, "attempt_") || strings.HasPrefix(name, "policy_") // none that tests compare
	})
	bare := slices.DeleteFunc(dsl.StrategyNames(), func(name string) bool { return name == "constant" || name == "func" })
	for _, row := range []struct {
		path string
		want []string
	}{
		{"class/enum", dsl.ClassNames()},
		{"stopReason/enum", dsl.StopReasonNames()},
		{"event/enum", events},
		{"errorKind/enum", dsl.KindNames()},
		{"phase/enum", dsl.PhaseNames()},
		{"strategy/then/enum", bare},
		{"caseExpectation/properties/strategy/enum", append(dsl.StrategyNames(), "none")},
		{"callExpectation/properties/breaker/enum", append(dsl.StateNames(), "none")},
	} {
		if got := enum(row.path); !slices.Equal(got, row.want) {
			t.Errorf("%s\n got %v\nwant %v", row.path, got, row.want)
		}
	}
	keys := func(properties any) []string { return slices.Sorted(maps.Keys(properties.(map[string]any))) }
	for _, row := range []struct {
		def  string
		want []string
	}{
		{"strategy", dsl.StrategyNames()},
		{"classes", dsl.ClassNames()},
		{"retry_after_or", append(dsl.StrategyNames(), "jitter", "cap")},
		{"adaptive", append(dsl.StrategyNames(), "window", "target_success", "min_multiplier", "max_multiplier")},
	} {
		slices.Sort(row.want)
		if got := keys(defs[row.def].(map[string]any)["properties"]); !slices.Equal(got, row.want) {
			t.Errorf("keys of %s\n got %v\nwant %v", row.def, got, row.want)
		}
	}
}

func TestGoodPoliciesUseEveryKey(t *testing.T) {
	root := raw(t)
	defs := root["$defs"].(map[string]any)
	used := map[string]bool{}
	// mark walks a value along its schema.
	var mark func(s map[string]any, v any)
	mark = func(s map[string]any, v any) {
		if ref, ok := s["$ref"].(string); ok && s["properties"] == nil {
			at := any(root)
			for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
				at = at.(map[string]any)[step]
			}
			mark(at.(map[string]any), v)
			return
		}
		switch v := v.(type) {
		case map[string]any:
			properties, _ := s["properties"].(map[string]any)
			for key, value := range v {
				if property, ok := properties[key].(map[string]any); ok {
					used[fmt.Sprintf("%p %s", properties, key)] = true
					mark(property, value)
				} else if more, ok := s["additionalProperties"].(map[string]any); ok {
					mark(more, value)
				}
			}
		case []any:
			if items, ok := s["items"].(map[string]any); ok {
				for _, item := range v {
					mark(items, item)
				}
			}
		}
	}
	set, _ := dsl.ParseSet(corpus(t, "ok"))
	for document := range set.All() {
		def := strings.ToLower(document.Kind.V[:1]) + document.Kind.V[1:]
		mark(defs[def].(map[string]any), document.JSON())
	}
	walk("", root, func(at string, s map[string]any) {
		properties, _ := s["properties"].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(properties)) {
			nested := strings.HasSuffix(at, "/"+key) // a strategy within itself: allowed, and of no use
			if at != "" && !nested && !used[fmt.Sprintf("%p %s", properties, key)] {
				t.Errorf("no good policy uses %s/properties/%s", at, key)
			}
		}
	})
}
