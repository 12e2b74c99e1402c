package lsp

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
)

const corpus = "../../testdata/policies"

// corpusFiles lists the example files, by a pattern below testdata/policies.
func corpusFiles(t testing.TB, pattern string) []string {
	files, err := filepath.Glob(filepath.Join(corpus, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

func readText(t testing.TB, name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOfGoodFilesTheTolerantReaderMakesTheTreeThatYAMLMakes(t *testing.T) {
	for _, name := range corpusFiles(t, "ok/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text := readText(t, name)
			file, _ := dsl.Parse(dsl.NewSource(name, []byte(text)))
			docs := slices.DeleteFunc(scanDocuments(text), func(d document) bool { return d.root == nil })
			if len(docs) != len(file.Documents) {
				t.Fatalf("%d documents, want %d", len(docs), len(file.Documents))
			}
			for i, doc := range docs {
				got := withoutExplicitKeys(flatten(doc.root, doc.root, text, ""))
				want := withoutExplicitKeys(flattenJSON(file.Documents[i].JSON(), ""))
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("document %d:\n got\n%s\n want\n%s", i, missing(got, want), missing(want, got))
				}
			}
		})
	}
}

// withoutExplicitKeys leaves the one rule out whose keys are written with question
// marks, which the tolerant reader does not know.
func withoutExplicitKeys(lines []string) []string {
	at := slices.IndexFunc(lines, func(l string) bool {
		return strings.Contains(l, "= ? id : explicit-keys") || strings.HasSuffix(l, "/id = explicit-keys")
	})
	if at < 0 {
		return lines
	}
	rule := strings.TrimSuffix(strings.Fields(lines[at])[0], "/id")
	return slices.DeleteFunc(lines, func(l string) bool { return strings.Fields(l)[0] == rule || strings.HasPrefix(l, rule+"/") })
}

// missing lists the lines that others do not have.
func missing(lines, others []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return slices.Contains(others, l) }), "\n")
}

func flatten(root, n *node, text, path string) []string {
	if n != nil && n.style == '*' {
		n = findAnchor(root, strings.TrimPrefix(n.value(text), "*"))
	}
	switch {
	case n == nil:
		return []string{path + " = "}
	case n.kind == mappingNode:
		lines := []string{path + " {}"}
		for _, p := range n.pairs {
			lines = append(lines, flatten(root, p.value, text, path+"/"+p.key.value(text))...)
		}
		return lines
	case n.kind == sequenceNode:
		lines := []string{path + " []"}
		for i, it := range n.items {
			lines = append(lines, flatten(root, it.value, text, fmt.Sprintf("%s/%d", path, i))...)
		}
		return lines
	}
	return []string{path + " = " + plainWords(n.value(text))}
}

func flattenJSON(v any, path string) []string {
	var lines []string
	switch v := v.(type) {
	case map[string]any:
		lines = append(lines, path+" {}")
		for key, value := range v {
			lines = append(lines, flattenJSON(value, path+"/"+plainWords(key))...)
		}
	case []any:
		lines = append(lines, path+" []")
		for i, value := range v {
			lines = append(lines, flattenJSON(value, fmt.Sprintf("%s/%d", path, i))...)
		}
	case nil:
		lines = append(lines, path+" = ")
	default:
		lines = append(lines, path+" = "+plainWords(fmt.Sprint(v)))
	}
	return lines
}

// plainWords makes texts comparable: how lines are folded does not matter here, nor how
// numbers are spelled.
func plainWords(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if number, err := strconv.ParseFloat(text, 64); err == nil {
		return fmt.Sprint(number)
	}
	if text == "null" || text == "~" {
		return ""
	}
	return text
}
