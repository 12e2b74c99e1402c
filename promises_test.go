package redress_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/lint"
)

var backoff = redress.Func("my-backoff", func(redress.DelayInput) redress.Delay { return redress.Delay{} })

func TestAStrategyThatCannotWorkIsAnErrorOfLoad(t *testing.T) {
	for _, s := range []redress.Strategy{nil, redress.Func("mine", nil), engine.Constant{Wait: -1}} {
		_, err := redress.Parse("p.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: p\nclassify: [{use: std.http}]\nretry: {strategy: {func: mine}}\n"), redress.WithStrategy("mine", s))
		if err == nil || !strings.Contains(err.Error(), `"mine"`) {
			t.Errorf("strategy %v: Parse = %v, want an error that names it", s, err)
		}
	}
}

// TestWhatTheLinterPassesTheLoaderLoadsAndTheReverse runs both over the corpus: they
// agree on every file, and what one refuses the other refuses at the same place in
// the same words.
func TestWhatTheLinterPassesTheLoaderLoadsAndTheReverse(t *testing.T) {
	for _, folder := range []string{"ok", "bad"} {
		files, err := filepath.Glob(filepath.Join("testdata", "policies", folder, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no policies in %s: %v", folder, err)
		}
		for _, file := range files {
			var stdout, stderr bytes.Buffer
			command := lint.Command{Stdout: &stdout, Stderr: &stderr}
			code := command.Main([]string{"--func=my-backoff", file})

			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = redress.Parse(file, text, redress.WithStrategy("my-backoff", backoff), redress.WithFleet(noStore{}))
			var wrong *redress.DocumentError
			switch {
			case err == nil:
				if code != lint.ExitClean {
					t.Errorf("%s: the loader loads it, and the linter exits with %d:\n%s", file, code, &stdout)
				}
			case !errors.As(err, &wrong):
				t.Errorf("%s: the loader's error is a %T: %v", file, err, err)
			case code != lint.ExitFindings || strings.TrimSpace(stdout.String()) != strings.TrimSpace(err.Error()):
				t.Errorf("%s: exit code %d\nthe linter says:\n%s\nthe loader says:\n%v", file, code, &stdout, err)
			}
		}
	}
}
