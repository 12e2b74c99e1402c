package load_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/load"
)

// FuzzDocuments loads any bytes: the loader never panics, every finding stands
// inside the file and can be printed, and what it passes can be built.
func FuzzDocuments(f *testing.F) {
	for _, pattern := range []string{"ok/*.yaml", "bad/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(corpus, pattern))
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) { loadAnything(t, text) })
}

// FuzzExpressions puts any text in the place of an expression, as a literal block.
func FuzzExpressions(f *testing.F) {
	for _, seed := range []string{
		"err.status == 429", `err.code in ["A", "B"] && !err.timeout`, `err.headers["x"] == "y" || has(err.retry_after)`,
		`err.causes.exists(c, c.code == "40001")`, `err.message.matches("(?i)busy")`, `vars.a ? err.attr.n > 3 : op.startsWith("x.")`,
		`err.headers[?"a"].orValue("b") == 'c'`, `size(err.code) + 1 > 2 // why`, `duration("5s") < remaining`, "err.status = 5 and not true",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\r\x00") || len(text) > 8192 {
			return
		}
		indented := "      " + strings.ReplaceAll(text, "\n", "\n      ")
		loadAnything(t, fmt.Appendf(nil, `apiVersion: redress/v1
kind: Policy
name: p
attributes: {n: int, s: string}
vars:
  a: err.timeout
classify:
  - id: r
    class: TRANSIENT
    when: |-
%s
`, indented))
	})
}

func loadAnything(t *testing.T, text []byte) {
	loaded := load.Sources([]*dsl.Source{dsl.NewSource("fuzz.yaml", text)}, options())
	for _, d := range loaded.Diagnostics {
		if d.Range.Source == nil || d.Range.Start < 0 || d.Range.Start > d.Range.End || d.Range.End > len(d.Range.Source.Bytes) {
			t.Errorf("%q stands nowhere: %d to %d of %d bytes", d.Message, d.Range.Start, d.Range.End, len(text))
		}
		d.Print(io.Discard, dsl.PrintOptions{Color: true})
	}
	if !loaded.Diagnostics.HasErrors() {
		loaded.Program.Build()
	}
}
