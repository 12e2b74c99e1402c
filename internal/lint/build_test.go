package lint_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress/bundle"
	"github.com/redress-policy/redress/internal/lint"
)

const needsCEL = `apiVersion: redress/v1
kind: Policy
name: odd
vars:
  told: 'err.headers[?"x"].optMap(v, v == "1").orValue(false)'
classify:
  - {id: one, when: vars.told, class: TRANSIENT}
  - {id: two, when: vars.told && err.status == 0, class: TRANSIENT}
  - {id: three, when: err.status == 500, class: TRANSIENT, retry_after: 'err.headers[?"wait"].optMap(v, duration(v)).orValue(duration("1s"))'}
`

// TestBuildingABundle runs build and show on what they are for, and on what they refuse.
func TestBuildingABundle(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, odd := write("good.yaml", goodPolicy), write("odd.yaml", needsCEL)
	wrong := write("wrong.yaml", strings.Replace(goodPolicy, "err.status", "err.statsu", 1))
	named := write("named.yaml", "apiVersion: redress/v1\nkind: Policy\nname: named\nclassify: [{use: std.http}]\nretry: {strategy: {func: mine}}\n")
	packs := write("packs.yaml", "apiVersion: redress/v1\nkind: Budget\nname: b\nmax_retries: 3\nwindow: 60s\n")
	overridden := write("overridden.yaml", goodPolicy+"---\n{apiVersion: redress/v1, kind: Override, name: incident-4711, policy: good, expires: 2999-12-31, set: {mode: off}}\n")
	expired := write("expired.yaml", goodPolicy+"---\n{apiVersion: redress/v1, kind: Override, name: incident-3, policy: good, expires: 2020-12-31, set: {mode: off}}\n")
	fallback := write("fallback.yaml", goodPolicy+"---\n{apiVersion: redress/v1, kind: Set, name: shop, fallback_policy: good}\n")
	text := write("text.rbundle", "no bundle")
	out := filepath.Join(dir, "out.rbundle")
	for _, row := range []struct {
		name           string
		args           []string
		want           int
		stdout, stderr string
	}{
		{"a policy", []string{"build", good, "-o", out}, 0, "out.rbundle: 1 policy with ", ""},
		{"what was built", []string{"show", out}, 0, "  classify gone PERMANENT\n", ""},
		{"two files", []string{"build", good, named, "--func=mine", "-o=" + out}, 0, "2 policies with ", ""},
		{"with positions", []string{"build", "--positions", "-o", out, good}, 0, "sha256 ", ""},
		{"positions", []string{"show", out}, 0, "good.yaml:5:5\n", ""},
		{"an override", []string{"build", overridden, "-o", out}, 1, "overridden.yaml:14:48: error: override incident-4711 of policy good ends on a day, and what a bundle holds does not change [RD110", ""},
		{"an override that has expired", []string{"build", expired, "-o", out}, 1, "override incident-3 of policy good ends on a day", ""},
		{"a fallback policy", []string{"build", fallback, "-o", out}, 0, "format 2,", ""},
		{"the fallback policy", []string{"show", out}, 0, "\nfallback_policy good\n", ""},
		{"a file in no folder", []string{"build", good, "-o", filepath.Join(dir, "nowhere", "x.rbundle")}, 2, "", "x.rbundle: no such file or directory"},
		{"a bundle for documents", []string{"diff", out, good}, 2, "", "out.rbundle is a bundle: name the documents that it was built from"},
		{"a first policy without a pack", []string{"init", filepath.Join(dir, "first"), "--pack="}, 2, "", "--pack names a built-in rule pack"},
		{"no file to write", []string{"build", good}, 2, "", "-o policies.rbundle"},
		{"nothing to build", []string{"build", "-o", out}, 2, "", "nothing to check"},
		{"no policy", []string{"build", packs, "-o", out}, 2, "", "there is no policy"},
		{"an error", []string{"build", wrong, "-o", out}, 1, "did you mean status?", ""},
		{"a function that is not named", []string{"build", named, "-o", out}, 1, `no strategy function is registered as "mine"`, ""},
		{"CEL in a var", []string{"build", odd, "-o", out}, 1, `odd.yaml:5:10: error: policy odd, rule one: err.headers[?"x"].optMap(v, v == "1").orValue(false) needs the CEL library`, ""},
		{"CEL in a hint", []string{"build", odd, "-o", out}, 1, "rule three: err.headers", ""},
		{"a folder that is not there", []string{"build", good, "-o", filepath.Join(dir, "nowhere", "x")}, 2, "", "nowhere"},
		{"no bundle", []string{"show", text}, 2, "", "does not begin like one"},
		{"nothing of that name", []string{"show", "std.htpt"}, 2, "", "did you mean"},
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
			if row.want != 0 && strings.Count(stdout.String(), `v == "1"`) > 1 {
				t.Errorf("what two rules read is said twice:\n%s", &stdout)
			}
		})
	}
}

// TestARefusedBuildLeavesTheFileAsItWas: a deployment goes on with the last good bundle.
func TestARefusedBuildLeavesTheFileAsItWas(t *testing.T) {
	dir := t.TempDir()
	out, odd := filepath.Join(dir, "out.rbundle"), filepath.Join(dir, "odd.yaml")
	for name, text := range map[string]string{out: "the last one", odd: needsCEL} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command := lint.Command{Stdout: io.Discard, Stderr: io.Discard}
	if code := command.Main([]string{"build", odd, "-o", out}); code != lint.ExitFindings {
		t.Fatalf("exit code %d", code)
	}
	if text, err := os.ReadFile(out); err != nil || string(text) != "the last one" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("the folder holds %v", entries)
	}
}

// TestABundleOnStandardOutputIsWhole: what is said of it goes elsewhere.
func TestABundleOnStandardOutputIsWhole(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "good.yaml")
	if err := os.WriteFile(policy, []byte(goodPolicy), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	command := lint.Command{Stdout: &stdout, Stderr: &stderr}
	if code := command.Main([]string{"build", policy, "-o", "-"}); code != lint.ExitClean {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	set, err := bundle.Load(stdout.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stderr.String(), set.Digest()) {
		t.Errorf("the digest is %s, and stderr says %s", set.Digest(), &stderr)
	}
}
