package dsl_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
)

var update = flag.Bool("update", false, "rewrite the .out files; read the difference before you commit it")

// TestMistakesAreReportedInTheseWords compares what is said of the files of testdata,
// each with many mistakes of one sort, with the .out files beside them.
func TestMistakesAreReportedInTheseWords(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, found := dsl.Parse(dsl.NewSource(filepath.Base(file), text))
			got, out := printed(found), strings.TrimSuffix(file, ".yaml")+".out"
			if *update {
				if err := os.WriteFile(out, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(out)
			if err != nil {
				t.Fatalf("%v (go test ./dsl -update writes it)", err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func printed(found dsl.Diagnostics) string {
	var b strings.Builder
	for _, d := range found {
		d.Print(&b, dsl.PrintOptions{})
	}
	return b.String()
}
