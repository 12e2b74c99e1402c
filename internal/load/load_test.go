package load_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

var update = flag.Bool("update", false, "rewrite the .out files; read the difference before you commit it")

const corpus = "../../testdata/policies"

func options() interp.Options {
	return interp.Options{Strategies: map[string]engine.Strategy{"my-backoff": engine.Immediate{}}}
}

// TestGoodPoliciesLoadAsOneSet holds the examples of the documentation, which are
// among them, to what they promise.
func TestGoodPoliciesLoadAsOneSet(t *testing.T) {
	loaded, err := load.FS(os.DirFS(filepath.Join(corpus, "ok")), options())
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Diagnostics) > 0 {
		t.Error(loaded.Diagnostics.Err())
	}
	if built := loaded.Program.Build(); len(built) == 0 {
		t.Error("the set holds no policy")
	}
}

// TestBadPoliciesAreRefusedInTheseWords compares what is said of every bad file with
// the .out file beside it.
func TestBadPoliciesAreRefusedInTheseWords(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus, "bad", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad policies: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			loaded := load.Sources([]*dsl.Source{dsl.NewSource(name, text)}, options())
			if !loaded.Diagnostics.HasErrors() {
				t.Fatal("it loads")
			}
			var got strings.Builder
			for _, d := range loaded.Diagnostics {
				d.Print(&got, dsl.PrintOptions{})
			}
			compare(t, strings.TrimSuffix(file, ".yaml")+".out", got.String())
		})
	}
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
		t.Fatalf("%v (go test ./internal/load -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestNothingToLoadIsAnError(t *testing.T) {
	if _, err := load.FS(fstest.MapFS{"readme.txt": {Data: []byte("hello")}}, options()); !errors.Is(err, load.ErrNoFiles) {
		t.Errorf("got %v, want %v", err, load.ErrNoFiles)
	}
}

// TestFindingsAreInAStableOrder loads the worst set there is several times.
func TestFindingsAreInAStableOrder(t *testing.T) {
	first := ""
	for range 5 {
		loaded, err := load.FS(os.DirFS(filepath.Join(corpus, "bad")), options())
		if err != nil {
			t.Fatal(err)
		}
		text := loaded.Diagnostics.Err().Error()
		if first == "" {
			first = text
		}
		if text != first {
			t.Fatal("two loads of the same files say different things")
		}
	}
}

// TestAFileFullOfMistakesIsRefusedBriefly bounds what is said of one file, and says so.
func TestAFileFullOfMistakesIsRefusedBriefly(t *testing.T) {
	var text strings.Builder
	text.WriteString("{apiVersion: redress/v1, kind: Policy, name: p, classify: [{use: std.http}]")
	for i := range 5000 {
		fmt.Fprintf(&text, ", wrong%d: 1", i)
	}
	text.WriteString("}\n")
	loaded := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte(text.String()))}, options())
	if n := len(loaded.Diagnostics); n != 1001 {
		t.Errorf("%d findings, want 1000 and one that says how many there are", n)
	}
	said := loaded.Diagnostics.Err().Error()
	if !strings.Contains(said, "4000 more findings in this file are not shown") {
		t.Error("it does not say how many findings were left out")
	}
	if len(said) > 1<<21 {
		t.Errorf("it says %d bytes", len(said))
	}
}
