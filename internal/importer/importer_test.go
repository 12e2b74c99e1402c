package importer_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/importer"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

var update = flag.Bool("update", false, "rewrite the .out and .loss files; read the difference before you commit it")

// fixtures returns the inputs of a source.
func fixtures(tb testing.TB, from string) []string {
	tb.Helper()
	var all []string
	for _, ending := range []string{"json", "yaml", "properties", "txt"} {
		files, err := filepath.Glob(filepath.Join("testdata", from, "*."+ending))
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, files...)
	}
	if len(all) == 0 {
		tb.Fatalf("no fixtures of %s", from)
	}
	return all
}

func eachFixture(t *testing.T, f func(t *testing.T, from, file string, text []byte, result *importer.Result)) {
	for _, from := range importer.Sources() {
		for _, file := range fixtures(t, from) {
			t.Run(from+"/"+filepath.Base(file), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				result, err := importer.Import(from, filepath.Base(file), text)
				if err != nil {
					t.Fatal(err)
				}
				f(t, from, file, text, result)
			})
		}
	}
}

// TestFixturesBecomeThesePoliciesAndLosses compares with the .out and .loss files beside
// the inputs.
func TestFixturesBecomeThesePoliciesAndLosses(t *testing.T) {
	eachFixture(t, func(t *testing.T, _, file string, _ []byte, result *importer.Result) {
		var report strings.Builder
		result.Report(&report)
		base := strings.TrimSuffix(file, filepath.Ext(file))
		compare(t, base+".out", string(result.YAML))
		compare(t, base+".loss", report.String())
	})
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test ./internal/importer -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s: got:\n%s\nwant:\n%s", file, got, want)
	}
}

func loads(tb testing.TB, result *importer.Result) {
	tb.Helper()
	loaded := load.Sources([]*dsl.Source{dsl.NewSource("imported.yaml", result.YAML)}, interp.Options{})
	if len(loaded.Diagnostics) > 0 {
		tb.Fatalf("%v\n%s", loaded.Diagnostics.Err(), result.YAML)
	}
	loaded.Program.Build()
}

// TestImportedPoliciesLoadWithoutAWord holds what is written to the language.
func TestImportedPoliciesLoadWithoutAWord(t *testing.T) {
	eachFixture(t, func(t *testing.T, _, _ string, _ []byte, result *importer.Result) { loads(t, result) })
}

// TestEveryFieldOfTheInputHasOneLoss counts the fields with other readers than the
// importer's own.
func TestEveryFieldOfTheInputHasOneLoss(t *testing.T) {
	eachFixture(t, func(t *testing.T, _, file string, text []byte, result *importer.Result) {
		var paths []string
		for _, l := range result.Losses {
			if l.Path != "" {
				paths = append(paths, l.Path)
			}
		}
		if want := countFields(t, file, text); len(paths) != want {
			t.Errorf("%d losses with a path for %d fields", len(paths), want)
		}
		slices.Sort(paths)
		if distinct := slices.Compact(slices.Clone(paths)); len(distinct) != len(paths) {
			t.Errorf("paths repeat: %q", paths)
		}
	})
}

// TestLossesAreInTheOrderOfTheInputAndSayWhatBecame checks the form of all losses.
func TestLossesAreInTheOrderOfTheInputAndSayWhatBecame(t *testing.T) {
	eachFixture(t, func(t *testing.T, _, _ string, text []byte, result *importer.Result) {
		checkLosses(t, text, result)
		line, gaps := 0, false
		for _, l := range result.Losses {
			if l.Path == "" {
				gaps = true
				continue
			}
			if gaps {
				t.Errorf("%s stands behind values that are not in the input", l.Path)
			}
			if l.Line < line && !strings.Contains(string(text), "<<:") && !strings.Contains(string(text), "*") {
				t.Errorf("%s on line %d stands behind line %d", l.Path, l.Line, line)
			}
			line = l.Line
		}
	})
}

func checkLosses(tb testing.TB, text []byte, result *importer.Result) {
	tb.Helper()
	lines := strings.Count(string(text), "\n") + 1
	for _, l := range result.Losses {
		if l.Line < 1 || l.Line > lines {
			tb.Errorf("%q stands on line %d of %d", l.Path, l.Line, lines)
		}
		switch {
		case l.Path == "" && (l.Status != importer.Approximated || l.Became == "" || l.Why == ""):
			tb.Errorf("a value that is not in the input: %+v", l)
		case l.Status == importer.Exact && l.Became == "":
			tb.Errorf("exact, but nothing became of it: %+v", l)
		case l.Status == importer.Approximated && (l.Became == "" || l.Why == ""):
			tb.Errorf("approximated without saying how: %+v", l)
		case l.Status == importer.Dropped && (l.Became != "" || l.Why == ""):
			tb.Errorf("dropped without saying why: %+v", l)
		}
	}
}

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	eachFixture(t, func(t *testing.T, from, file string, text []byte, first *importer.Result) {
		for range 5 {
			again, err := importer.Import(from, filepath.Base(file), text)
			if err != nil {
				t.Fatal(err)
			}
			if string(again.YAML) != string(first.YAML) || fmt.Sprint(again.Losses) != fmt.Sprint(first.Losses) {
				t.Fatal("another result")
			}
		}
	})
}
