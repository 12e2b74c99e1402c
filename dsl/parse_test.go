package dsl_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
)

func parse(t *testing.T, text string) (*dsl.Document, dsl.Diagnostics) {
	t.Helper()
	file, found := dsl.Parse(dsl.NewSource("f.yaml", []byte(text)))
	if len(file.Documents) == 0 {
		t.Fatalf("no document: %v", found.Err())
	}
	return file.Documents[0], found
}

const rule = header + "classify:\n  - id: a\n    class: UNKNOWN\n    when: "

// TestPlaceIsTheVeryCharacters finds part of an expression in every style of scalar.
// The part is what stands between « and » in the file.
func TestPlaceIsTheVeryCharacters(t *testing.T) {
	for _, row := range []struct{ name, when, part string }{
		{"plain", "err.status == «429»\n", "429"},
		{"plain over lines", "err.timeout ||\n      «err.status» == 429\n", "err.status"},
		{"the join of lines", "err.timeout «\n      »|| err.status == 429\n", " "},
		{"with an empty line", "err.timeout ||\n\n      «err.status» == 429\n", "err.status"},
		{"single quotes", "'err.code == ''RATE'' || «err.status» == 429'\n", "err.status"},
		{"an escaped quote", "'err.code == «''»RATE'''\n", "'"},
		{"double quotes", `"err.code == \"é\u00e9\" || «err.status» == 429"` + "\n", "err.status"},
		{"an escape", `"err.code == \"«\u00e9»\""` + "\n", "é"},
		{"before an escaped line break", "\"«err.timeout»\\\n      \\ || err.status == 429\"\n", "err.timeout"},
		{"literal", "|\n      err.timeout ||\n      «err.status» == 429\n", "err.status"},
		{"literal, kept", "|+\n      err.timeout ||\n      «err.status» == 429\n\n", "err.status"},
		{"literal, indent given", "|2\n        err.timeout ||\n      «err.status» == 429\n", "err.status"},
		{"literal with a comment", "|- # why\n      «err.status» == 429\n", "err.status"},
		{"folded", ">-\n      err.timeout ||\n      «err.status» == 429\n", "err.status"},
		{"folded, more indented", ">-\n      err.timeout ||\n        «err.status» == 429\n      || true\n", "err.status"},
		{"anchored", "&a err.status == «429»\n", "429"},
		{"tagged", "!!str err.status == «429»\n", "429"},
		{"tagged and anchored, on the next line", "!!str &a\n      err.status == «429»\n", "429"},
		{"wide characters", "err.code == '日本😀' || «err.status» == 429\n", "err.status"},
		{"space around it", "'  err.status == «429»  '\n", "429"},
		{"truth", "«true»\n", "true"},
	} {
		for style, text := range map[string]string{"": rule + row.when, ", CRLF": strings.ReplaceAll(rule+row.when, "\n", "\r\n")} {
			before, rest, _ := strings.Cut(text, "«")
			part, after, _ := strings.Cut(rest, "»")
			doc, found := parse(t, before+part+after)
			if len(found) > 0 {
				t.Errorf("%s%s: %v", row.name, style, found.Err())
				continue
			}
			expr := doc.Policy.Classify[0].When
			at := strings.LastIndex(expr.Text, row.part)
			if row.part == " " || row.part == "'" {
				at = strings.Index(expr.Text, row.part)
			}
			start := len([]rune(expr.Text[:at]))
			got := expr.Place(start, start+len([]rune(row.part)))
			if got.Start != len(before) || got.End != len(before)+len(part) {
				t.Errorf("%s%s: %q stands at %d to %d, %q, want %d to %d", row.name, style, row.part, got.Start, got.End, got.Text(), len(before), len(before)+len(part))
			}
		}
	}
}

func TestPlaceOfAnAliasIsWhereItsAnchorStands(t *testing.T) {
	doc, found := parse(t, header+"x-a: &a err.status == 429\nclassify:\n  - {id: a, when: *a, class: UNKNOWN}\n")
	if len(found) > 0 {
		t.Fatal(found.Err())
	}
	if at := doc.Policy.Classify[0].When.Place(0, 3).Position(); at != (dsl.Position{Line: 4, Column: 9}) {
		t.Errorf("it stands at %v", at)
	}
}

func TestPlaceOutsideTheTextIsTheWholeScalar(t *testing.T) {
	doc, _ := parse(t, rule+"'err.timeout'\n")
	expr := doc.Policy.Classify[0].When
	for _, at := range [][2]int{{-1, 3}, {3, 2}, {0, 12}, {12, 12}} {
		if got := expr.Place(at[0], at[1]); got != expr.Range || got.Text() != "'err.timeout'" {
			t.Errorf("Place(%d, %d) is %q", at[0], at[1], got.Text())
		}
	}
	if got := expr.Place(11, 11); got.Text() != "" || got.Position() != (dsl.Position{Line: 7, Column: 23}) {
		t.Errorf("the end of the text stands at %v", got.Position())
	}
}

// TestEveryValueKnowsBothItsEnds walks good documents: what a range holds, decoded
// once more by itself, is the value; and ranges stand within those around them.
func TestEveryValueKnowsBothItsEnds(t *testing.T) {
	for name, text := range goodFiles(t) {
		file, found := dsl.Parse(dsl.NewSource(name, text))
		if len(found) > 0 {
			t.Fatal(found.Err())
		}
		count := 0
		for _, doc := range file.Documents {
			walkRanges(reflect.ValueOf(doc).Elem(), func(owner reflect.Value, r dsl.Range) {
				count++
				if r.Start >= r.End || r.Start < doc.Range.Start || r.End > doc.Range.End {
					t.Errorf("%s: %s stands at %d to %d, its document at %d to %d", name, owner.Type(), r.Start, r.End, doc.Range.Start, doc.Range.End)
				}
				if v, ok := owner.Interface().(dsl.Value[string]); ok && isPlain(v.V) && !strings.HasPrefix(r.Text(), "*") && strings.Trim(anchor.ReplaceAllString(r.Text(), ""), `'"`) != v.V {
					t.Errorf("%s: %q is read from %q", name, v.V, r.Text())
				}
				if text := r.Text(); strings.TrimSpace(text) != text {
					t.Errorf("%s: there is space around %q", name, text)
				}
			})
		}
		if count < 3 {
			t.Errorf("%s: only %d ranges", name, count)
		}
	}
}

var anchor = regexp.MustCompile(`^&\w+ `)

func isPlain(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*") == ""
}

// walkRanges visits every Range of a document that is set, with what it belongs to.
func walkRanges(v reflect.Value, visit func(owner reflect.Value, r dsl.Range)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walkRanges(v.Elem(), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkRanges(v.Index(i), visit)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[dsl.Source]() {
			return
		}
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if r, ok := v.Field(i).Interface().(dsl.Range); ok {
				if r.Source != nil {
					visit(v, r)
				}
				continue
			}
			walkRanges(v.Field(i), visit)
		}
	}
}

// goodFiles are the good documents of the corpus, which hold the examples of the
// documentation and use every key.
func goodFiles(t testing.TB) map[string][]byte {
	names, err := filepath.Glob("../testdata/policies/ok/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no good policies: %v", err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		if files[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestLineEndsDoNotMatter reads good files with LF and with CRLF: what they say is the
// same, and so are lines and columns.
func TestLineEndsDoNotMatter(t *testing.T) {
	for name, text := range goodFiles(t) {
		lf := strings.ReplaceAll(string(text), "\r\n", "\n")
		one, _ := dsl.Parse(dsl.NewSource(name, []byte(lf)))
		other, found := dsl.Parse(dsl.NewSource(name, []byte(strings.ReplaceAll(lf, "\n", "\r\n"))))
		if len(found) > 0 {
			t.Fatal(found.Err())
		}
		for i, doc := range one.Documents {
			if !reflect.DeepEqual(doc.JSON(), other.Documents[i].JSON()) {
				t.Errorf("%s: document %d says something else with CRLF", name, i)
			}
			var places [2][]dsl.Position
			for k, d := range []*dsl.Document{doc, other.Documents[i]} {
				walkRanges(reflect.ValueOf(d).Elem(), func(_ reflect.Value, r dsl.Range) {
					places[k] = append(places[k], r.Position(), r.Source.Position(r.End))
				})
			}
			if !reflect.DeepEqual(places[0], places[1]) {
				t.Errorf("%s: document %d has other places with CRLF", name, i)
			}
		}
	}
}

func TestAByteOrderMarkIsReportedAndTheRestIsRead(t *testing.T) {
	doc, found := parse(t, "\ufeff"+header+"clasify: []\n")
	if len(found) != 2 || found[0].Code != dsl.CodeEncoding {
		t.Fatalf("got %v", found.Err())
	}
	if at := doc.APIVersion.Range.Position(); at != (dsl.Position{Line: 1, Column: 13}) {
		t.Errorf("apiVersion stands at %v", at)
	}
}

// FuzzParse reads anything: it never panics, every range stands in the source, and
// what is found can be printed.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "../testdata/policies/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds: %v", err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, found := dsl.Parse(dsl.NewSource("f.yaml", text))
		inside := func(what string, r dsl.Range) {
			if r.Start < 0 || r.Start > r.End || r.End > len(text) {
				t.Errorf("%s stands from %d to %d of %d bytes", what, r.Start, r.End, len(text))
			}
		}
		for _, d := range found {
			inside(d.Message, d.Range)
			if d.Range.Source == nil || d.Message == "" || d.Code.ID == "" {
				t.Errorf("%+v says nothing", d)
			}
			d.Print(io.Discard, dsl.PrintOptions{Color: true})
		}
		for _, doc := range file.Documents {
			doc.JSON()
			inside("a pointer", doc.Locate("/classify/0/when", true))
			walkRanges(reflect.ValueOf(doc).Elem(), func(owner reflect.Value, r dsl.Range) {
				inside(owner.Type().String(), r)
				if e, ok := owner.Interface().(dsl.Expr); ok {
					n := len([]rune(e.Text))
					inside(e.Text, e.Place(0, n))
					inside(e.Text, e.Place(n/3, n/2))
				}
			})
		}
		if len(file.Documents) == 0 && !found.HasErrors() {
			t.Error("neither read nor refused")
		}
	})
}

// TestRepeatedKeysAreFoundAmongFewAndMany: the first is named, however often a key comes.
func TestRepeatedKeysAreFoundAmongFewAndMany(t *testing.T) {
	for _, keys := range []int{3, 64, 65, 500} {
		var text strings.Builder
		text.WriteString("apiVersion: redress/v1\nkind: Budget\nname: b\nmax_retries: 1\nwindow: 1s\n")
		for i := range keys {
			fmt.Fprintf(&text, "x-%d: 1\n", i)
		}
		text.WriteString("x-1: 2\nname: c\nx-1: 3\n")
		_, found := parse(t, text.String())
		var places []string
		for _, d := range found {
			places = append(places, fmt.Sprintf("%s of line %d, first in %d", d.Code.ID, d.Range.Position().Line, d.Related[0].Range.Position().Line))
		}
		want := []string{fmt.Sprintf("RD002 of line %d, first in 7", keys+6), fmt.Sprintf("RD002 of line %d, first in 3", keys+7), fmt.Sprintf("RD002 of line %d, first in 7", keys+8)}
		if !slices.Equal(places, want) {
			t.Errorf("%d keys: got %v, want %v", keys, places, want)
		}
	}
}
