package lint_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress/internal/lint"
)

var update = flag.Bool("update", false, "rewrite the golden files; read the difference before you commit it")

// TestExplainSaysFromWhichLayerEverythingComes and what it took the place of there.
func TestExplainSaysFromWhichLayerEverythingComes(t *testing.T) {
	t.Chdir("testdata/layers")
	base, site, emergency := "--layer=base=base", "--layer=site=site", "--layer=emergency=emergency"
	for _, row := range []struct {
		golden string
		args   []string
	}{
		{"one", []string{base, "--err={code: MAINTENANCE}"}},
		{"two", []string{base, site, "--err={code: QUOTA}"}},
		{"three", []string{base, site, emergency, "--err={code: QUOTA}"}},
		{"without-site", []string{base, emergency, "--err={status: 410}"}},
		{"json", []string{base, site, emergency, "--json", "--err={code: QUOTA}"}},
	} {
		var stdout, stderr bytes.Buffer
		command := lint.Command{Stdout: &stdout, Stderr: &stderr}
		if code := command.Main(append([]string{"explain", "payments-api"}, row.args...)); code != lint.ExitClean {
			t.Errorf("%s: exit code %d: %s%s", row.golden, code, &stdout, &stderr)
		}
		file := row.golden + ".out"
		if *update {
			if err := os.WriteFile(file, stdout.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v (go test ./internal/lint -run Explain -update writes it)", err)
		}
		if got := stdout.String(); got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", row.golden, got, want)
		}
	}
}

// TestExplainWithoutLayersShowsOnlyWhatOverridesSay since the rest stands in one place.
func TestExplainWithoutLayersShowsOnlyWhatOverridesSay(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	explain := func() string {
		var stdout, stderr bytes.Buffer
		command := lint.Command{Stdout: &stdout, Stderr: &stderr}
		if code := command.Main([]string{"explain", "good", "--in", dir, "--err", "{status: 410}"}); code != lint.ExitClean {
			t.Fatalf("exit code %d: %s", code, &stderr)
		}
		return strings.ReplaceAll(stdout.String(), filepath.ToSlash(dir)+"/", "")
	}
	write("good.yaml", goodPolicy)
	if got := explain(); strings.Contains(got, "where") {
		t.Errorf("it says where everything is:\n%s", got)
	}
	write("off.yaml", "{apiVersion: redress/v1, kind: Override, name: incident, policy: good, expires: 2999-12-31, set: {mode: shadow}}\n")
	if got, want := explain(), "\nwhere it is written:\n  mode: shadow (off.yaml:1:105, override incident)\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at its end%s", got, want)
	}
}

func TestLayersThatCannotBeAreRefused(t *testing.T) {
	dir := t.TempDir()
	good, empty := filepath.Join(dir, "good"), filepath.Join(dir, "empty")
	for _, folder := range []string{good, empty} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(good, "good.yaml"), []byte(goodPolicy), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--layer=base"}, 2, `--layer takes NAME=PATH, as in base=policies, not "base"`},
		{[]string{"--layer= =base"}, 2, `--layer takes NAME=PATH, as in base=policies, not " =base"`},
		{[]string{"--layer==" + good}, 2, "--layer takes NAME=PATH"},
		{[]string{"--layer=base="}, 2, "--layer takes NAME=PATH"},
		{[]string{"--layer=a=" + good, "--layer=a=" + empty}, 2, `two layers are called "a"`},
		{[]string{"--layer=a=" + good, "--layer=b=" + filepath.Join(dir, "nowhere")}, 2, "layer b: "},
		{[]string{"--layer=a=" + empty}, 2, "no .yaml or .yml file found"},
		{[]string{"--layer=a=" + good, "--in=" + good}, 2, "give either"},
		{[]string{"--layer=a=" + good, "--layer=b=" + empty}, 0, ""},
	} {
		var stdout, stderr bytes.Buffer
		command := lint.Command{Stdout: &stdout, Stderr: &stderr}
		if code := command.Main(append([]string{"explain", "good", "--err={status: 410}"}, row.args...)); code != row.code || !strings.Contains(stderr.String(), row.want) {
			t.Errorf("%q: exit code %d, want %d; stderr %s, want %q", row.args, code, row.code, &stderr, row.want)
		}
	}
}
