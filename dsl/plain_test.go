package dsl

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// readBoth reads a source in both ways, and holds one to the other. It reports whether
// the source is plain.
func readBoth(t *testing.T, text []byte) bool {
	t.Helper()
	src := NewSource("p.yaml", text)
	if found, readable := checkText(src); len(found) > 0 || !readable {
		return false
	}
	docs, ok := readPlain(src)
	if !ok {
		return false
	}
	r := newReader(src)
	r.readAll()
	if len(r.found) > 0 {
		t.Errorf("read without fault, and the library says %s\n%s", r.found[0].Message, text)
	}
	if len(docs) != len(r.docs) {
		t.Errorf("%d documents, and the library has %d\n%s", len(docs), len(r.docs), text)
		return true
	}
	compareOutline(t, src)
	for i := range docs {
		if a, b := differing(docs[i], r.docs[i]); a != nil {
			t.Errorf("read as %+v, and by the library as %+v\n%s", *a, *b, text)
		}
	}
	return true
}

// differing returns the first nodes of two trees that differ in themselves.
func differing(a, b *node) (*node, *node) {
	left, right := *a, *b
	left.items, right.items = nil, nil
	if !reflect.DeepEqual(left, right) || len(a.items) != len(b.items) {
		return a, b
	}
	for i := range a.items {
		if x, y := differing(a.items[i], b.items[i]); x != nil {
			return x, y
		}
	}
	return nil, nil
}

// texts are the policies and packs of the repository.
func texts(t testing.TB) map[string][]byte {
	all := map[string][]byte{}
	for _, pattern := range []string{"../testdata/policies/ok/*.yaml", "../testdata/policies/bad/*.yaml", "../testdata/scenarios/*.yaml", "../interp/packs/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: nothing, %v", pattern, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = text
		}
	}
	return all
}

// outlined is what an outline says of a document.
type outlined struct {
	kind, name, test, override Value[string]
	operations                 []Value[string]
	settings                   bool
}

func outlineOf(doc *Document) outlined {
	o := outlined{kind: doc.Kind, name: doc.Name, settings: doc.Settings != nil}
	switch {
	case doc.Policy != nil:
		o.operations = doc.Policy.Operations.V
	case doc.Test != nil:
		o.test = doc.Test.Policy
	case doc.Override != nil:
		o.override = doc.Override.Policy
	}
	return o
}

// compareOutline holds the outline of a plain source against what is parsed.
func compareOutline(t *testing.T, src *Source) {
	t.Helper()
	outline, ok := Outline(src)
	parsed, _ := Parse(src)
	isShared := func(doc *Document) bool { return doc.Shared() || doc.Environment != nil }
	if ok == slices.ContainsFunc(parsed.Documents, isShared) {
		t.Errorf("has an outline: %t\n%s", ok, src.Bytes)
	}
	for i, doc := range parsed.Documents {
		if !ok {
			return
		}
		if got, want := outlineOf(outline.Documents[i]), outlineOf(doc); !reflect.DeepEqual(got, want) {
			t.Errorf("the outline of document %d is %+v, and parsed it is %+v\n%s", i, got, want, src.Bytes)
		}
	}
}

func TestPlainSourcesAreReadAsTheLibraryReadsThem(t *testing.T) {
	plain, good := 0, 0
	for name, text := range texts(t) {
		is := readBoth(t, text)
		if strings.Contains(name, "/bad/") {
			continue
		}
		if good++; is {
			plain++
		} else if strings.Contains(name, "/packs/") {
			t.Errorf("%s is not plain", name)
		}
	}
	if plain < good*8/10 { // some are there for the other ways to write YAML
		t.Errorf("of %d files only %d are plain", good, plain)
	}
}

func TestWhatIsPlainAndWhatIsNot(t *testing.T) {
	for text, want := range map[string]bool{
		"a: b\n":               true,
		"a: b":                 true,
		"a:\n  - b\n  - c\n":   true,
		"a:\n- b\n- c\nd: e\n": true,
		"a:\n  - b: c\n    d: e\n  - {f: [g, 1, '']}\n": true,
		"a: |\n  b\n\n   c\n\n\nd: |-\n  e\n":           true,
		"a: 'it''s'\nb: \"c # d\" # e\n":                true,
		"# a\n---\na: b # c\n--- # d\n\ne: f\n---\n":    true,
		"":                       true,
		"# nothing\n":            true,
		"503: a\ntrue: b\n":      true,
		"a: [\n  b]\n":           false,
		"a: b\n  c\n":            false,
		"a: \"b\\n\"\n":          false,
		"a: &b c\n":              false,
		"a: *b\n":                false,
		"a: !b c\n":              false,
		"a: >-\n  b\n":           false,
		"a: |2\n  b\n":           false,
		"a: |\n  b":              false,
		"a:\tb\n":                false,
		"a: b\r\n":               false,
		"a:\n":                   false,
		"a: {b: }\n":             false,
		"a: b: c\n":              false,
		"a: @b\n":                false,
		"? a\n: b\n":             false,
		"- a\n":                  false,
		"a\n":                    false,
		"a: b\n c: d\n":          false,
		"%YAML 1.1\n---\na: b\n": false,
		"a: b\n...\n":            false,
		"a: b\n- c\n":            false,
		"a: [b, c,]\n":           false,
		"a: - b\n":               false,
		"<<: {a: b}\n":           false,
		"a: 'b\n":                false,
		"a:\n  b: c\n d: e\n":    false,
		"\ufeffa: b\n":           false,
	} {
		if got := readBoth(t, []byte(text)); got != want {
			t.Errorf("%q is plain: %t, want %t", text, got, want)
		}
	}
}

func TestLimitsAreForTheLibraryToJudge(t *testing.T) {
	deep := "a: " + strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1) + "\n"
	many := "a: [" + strings.Repeat("1, ", MaxNodes) + "1]\n"
	documents := strings.Repeat("a: b\n---\n", MaxDocuments+1)
	for _, text := range []string{deep, many, documents} {
		if _, ok := readPlain(NewSource("p.yaml", []byte(text))); ok {
			t.Errorf("%.20q is read", text)
		}
	}
}

// TestPlainSourcesWithRandomChangesAreReadAsTheLibraryReadsThem changes a few characters or
// lines at a time, with those that mean something to YAML.
func TestPlainSourcesWithRandomChangesAreReadAsTheLibraryReadsThem(t *testing.T) {
	all := texts(t)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	random := rand.New(rand.NewPCG(9, 10))
	snippets := []string{
		" ", "  ", "\n", ":", ": ", "- ", "-", "#", " # ", "'", "''", "\"", "{", "}", "[", "]", ", ", ",", "|", "|-", "|\n", ">", "&a ", "*a", "!", "%", "@", "`", "?", "? ", "\\", "---\n", "...\n", "~", "<<: ", "0x1F", "1.5", "null", "true", "é", "2026-01-01", "x: y\n", "\n\n", "\n  ",
	}
	const rounds = 20_000
	plain := 0
	for range rounds {
		text := slices.Clone(all[names[random.IntN(len(names))]])
		if len(text) > 3000 { // a window of whole lines
			from := bytes.IndexByte(text[random.IntN(len(text)-2000):], '\n') + 1
			text = text[from:min(from+2000, len(text))]
		}
		for range 1 + random.IntN(3) {
			if len(text) < 2 {
				break
			}
			at := random.IntN(len(text))
			switch random.IntN(4) {
			case 0:
				text = slices.Delete(text, at, min(at+1+random.IntN(3), len(text)))
			case 1: // a line moves
				end := at + bytes.IndexByte(text[at:], '\n') + 1
				line := slices.Clone(text[at:max(at, end)])
				text = slices.Insert(text, random.IntN(len(text)), line...)
			default:
				text = slices.Insert(text, at, []byte(snippets[random.IntN(len(snippets))])...)
			}
		}
		if readBoth(t, text) {
			plain++
		}
		if t.Failed() {
			return
		}
	}
	if plain < rounds/10 || plain > rounds*95/100 {
		t.Errorf("%d of %d are plain: they are not worth much", plain, rounds)
	}
}

// FuzzPlain compares the two ways on any text.
func FuzzPlain(f *testing.F) {
	for _, text := range texts(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) { readBoth(t, text) })
}
