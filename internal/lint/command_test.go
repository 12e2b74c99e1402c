package lint_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress/internal/lint"
)

const goodPolicy = `apiVersion: redress/v1
kind: Policy
name: good
classify:
  - {id: gone, when: err.status == 410, class: PERMANENT}
  - use: std.http
---
apiVersion: redress/v1
kind: PolicyTest
policy: good
cases:
  - {name: gone is gone, err: {status: 410}, expect: {rule: gone}}
`

// TestExitCodesAreAContract holds what CI jobs rely on.
func TestExitCodesAreAContract(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good/policy.yaml", goodPolicy)
	bad := write("bad/policy.yaml", strings.Replace(goodPolicy, "err.status", "err.statsu", 1))
	failing := write("failing/policy.yaml", strings.Replace(goodPolicy, "rule: gone}", "rule: default}", 1))
	untested := write("untested/policy.yaml", strings.Split(goodPolicy, "---")[0])
	empty := filepath.Dir(write("empty/readme.txt", "no policies here"))

	for _, row := range []struct {
		name   string
		args   []string
		want   int
		stdout string // must be part of it
		stderr string
	}{
		{"clean file", []string{good}, 0, "", "no findings"},
		{"clean folder", []string{filepath.Dir(good)}, 0, "", "no findings"},
		{"finding", []string{bad}, 1, "did you mean", "1 error"},
		{"finding among clean files", []string{filepath.Dir(good), bad}, 1, "err.statsu", ""},
		{"no arguments", nil, 2, "", "name a file or a folder"},
		{"missing path", []string{filepath.Join(dir, "nowhere")}, 2, "", "nowhere"},
		{"nothing matched", []string{empty}, 2, "", "no .yaml or .yml file found"},
		{"unknown flag", []string{"--frobnicate", good}, 2, "", "no flag --frobnicate"},
		{"misspelt flag", []string{"--fial-on=error", good}, 2, "", "did you mean --fail-on?"},
		{"misspelt verb", []string{"tset", good}, 2, "", "did you mean the verb test?"},
		{"version", []string{"--version"}, 0, "redress-lint", ""},
		{"bad severity", []string{"--fail-on=fatal", good}, 2, "", "fatal"},
		{"flags behind paths", []string{good, "--fail-on=warning"}, 0, "", ""},
		{"help", []string{"--help"}, 0, "Exit codes", ""},
		{"tests pass", []string{"test", good}, 0, "1 test passed", ""},
		{"tests fail", []string{"test", failing}, 1, "expected default, got gone", ""},
		{"tests of a broken policy", []string{"test", bad}, 1, "err.statsu", "no test was run"},
		{"no tests", []string{"test", untested}, 2, "", "no test was run"},
		{"filter lets nothing through", []string{"test", "--run=zzz", good}, 2, "", "no test was run"},
		{"coverage is met", []string{"test", "--min-coverage=100", good}, 0, "100%", ""},
		{"coverage out of range", []string{"test", "--min-coverage=101", good}, 2, "", "101"},
		{"show a pack", []string{"show", "std.http"}, 0, "kind: Classifier", ""},
		{"show lists packs", []string{"show"}, 0, "std.grpc", ""},
		{"show an unknown pack", []string{"show", "std.htp"}, 2, "", `did you mean "std.http"`},
		{"schema", []string{"schema"}, 0, "2020-12", ""},
		{"explain by file", []string{"explain", good, "--err", "{status: 410}"}, 0, "gone", ""},
		{"explain by name", []string{"explain", "good", "--in", filepath.Dir(good), "--err", "{status: 429}"}, 0, "RATE_LIMIT", ""},
		{"explain as JSON", []string{"explain", good, "--json", "--err", "{status: 410}"}, 0, `"gone"`, ""},
		{"explain an unknown policy", []string{"explain", "goood", "--in", filepath.Dir(good), "--err", "{}"}, 2, "", `did you mean "good"`},
		{"explain a broken record", []string{"explain", good, "--err", "{statsu: 1}"}, 1, "statsu", ""},
		{"explain without a record", []string{"explain", good}, 2, "", "--err"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			command := lint.Command{Stdout: &stdout, Stderr: &stderr}
			if got := command.Main(row.args); got != row.want {
				t.Errorf("redress-lint %q exits with %d, want %d", row.args, got, row.want)
			}
			if !strings.Contains(stdout.String(), row.stdout) || !strings.Contains(stderr.String(), row.stderr) {
				t.Errorf("redress-lint %q: want stdout with %q and stderr with %q\nstdout: %s\nstderr: %s", row.args, row.stdout, row.stderr, &stdout, &stderr)
			}
		})
	}
}
