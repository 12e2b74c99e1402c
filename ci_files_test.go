package redress_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestActionRunsWhatItSays runs the steps of action.yml and the hooks for pre-commit
// with the redress-lint of this checkout, over a set that is right and one that is not.
func TestActionRunsWhatItSays(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS == "windows" {
		t.Skip("the steps are for bash, which is not here")
	}
	bin := buildLint(t)
	dir := t.TempDir()
	write := func(name, text string) {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const good = "apiVersion: redress/v1\nkind: Policy\nname: a\nclassify:\n  - {id: gone, when: err.status == 410, class: PERMANENT}\n---\napiVersion: redress/v1\nkind: PolicyTest\npolicy: a\ncases:\n  - {name: gone, err: {status: 410}, expect: {rule: gone}}\n"
	write("good/a.yaml", good)
	write("bad/a.yaml", strings.Replace(good, "410", "4100", 1))

	var action struct {
		Inputs map[string]struct{ Default string }
		Runs   struct {
			Steps []struct {
				Run string
				Env map[string]string
			}
		}
	}
	read(t, "action.yml", &action)
	input := regexp.MustCompile(`\$\{\{ inputs\.([a-z-]+) \}\}`)
	run := func(command string, env map[string]string, values map[string]string) (string, int) {
		cmd := exec.Command("bash", "-e", "-c", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		for name, value := range env {
			cmd.Env = append(cmd.Env, name+"="+input.ReplaceAllStringFunc(value, func(s string) string {
				name := input.FindStringSubmatch(s)[1]
				if v, ok := values[name]; ok {
					return v
				}
				if _, ok := action.Inputs[name]; !ok {
					t.Errorf("action.yml reads input %s, which it does not have", name)
				}
				return action.Inputs[name].Default
			}))
		}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	for folder, want := range map[string]int{"good": 0, "bad": 1} {
		worst, steps := 0, 0
		for _, step := range action.Runs.Steps {
			if step.Run == "" || strings.Contains(step.Run, "go install") {
				continue
			}
			steps++
			out, exit := run(step.Run, step.Env, map[string]string{"paths": folder, "sarif": "out.sarif", "min-coverage": "100"})
			if exit > 1 || want == 0 && exit != 0 {
				t.Errorf("%s: %s\nended with %d:\n%s", folder, step.Run, exit, out)
			}
			if worst = max(worst, exit); folder == "bad" && steps == 1 && !strings.Contains(out, "::error file=bad/a.yaml,line=5") {
				t.Errorf("the step annotates nothing:\n%s", out)
			}
		}
		if steps != 2 || worst != want {
			t.Errorf("%s: %d steps ended with %d, want 2 and %d", folder, steps, worst, want)
		}
		if _, err := os.Stat(filepath.Join(dir, "out.sarif")); err != nil {
			t.Error(err)
		}
	}
	var hooks []struct{ ID, Entry string }
	read(t, ".pre-commit-hooks.yaml", &hooks)
	page, err := os.ReadFile("docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hooks {
		if out, exit := run(h.Entry+" good/a.yaml", nil, nil); exit != 0 {
			t.Errorf("hook %s ended with %d:\n%s", h.ID, exit, out)
		}
		if !strings.Contains(string(page), "- id: "+h.ID+"\n") {
			t.Errorf("docs/lint.md does not show hook %s", h.ID)
		}
	}
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// TestProblemMatcherReadsTheText: what redress-lint prints is what the matcher expects.
func TestProblemMatcherReadsTheText(t *testing.T) {
	text, err := os.ReadFile(".github/redress-lint-matcher.json")
	if err != nil {
		t.Fatal(err)
	}
	var matcher struct {
		ProblemMatcher []struct {
			Pattern []struct{ Regexp string }
		}
	}
	if err := json.Unmarshal(text, &matcher); err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(matcher.ProblemMatcher[0].Pattern[0].Regexp)
	out, err := exec.Command(filepath.Join(buildLint(t), "redress-lint"), "--no-config", "testdata/policies/bad/cel-unknown-field.yaml").Output()
	if err == nil {
		t.Fatal("the file has no findings")
	}
	first, _, _ := strings.Cut(string(out), "\n")
	m := re.FindStringSubmatch(first)
	if m == nil || m[1] != "testdata/policies/bad/cel-unknown-field.yaml" || m[4] != "error" || m[6] != "RD102" {
		t.Errorf("the matcher does not read %q: %q", first, m)
	}
}
