package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress/internal/lint"
	"github.com/redress-policy/redress/redresstest"
)

// TestPolicy runs the tests that stand in policy.yaml itself.
func TestPolicy(t *testing.T) { redresstest.Run(t, os.DirFS(".")) }

func TestTheBundleIsThatOfThePolicy(t *testing.T) {
	made := filepath.Join(t.TempDir(), "made.rbundle")
	var out bytes.Buffer
	command := lint.Command{Stdout: &out, Stderr: &out}
	if code := command.Main([]string{"build", ".", "-o", made, "--positions"}); code != 0 {
		t.Fatalf("exit code %d: %s", code, &out)
	}
	want, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, policies) {
		t.Error("policies.rbundle is not what policy.yaml says; run go generate")
	}
}

func TestTheProgramRuns(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	const retried = "tried again by rule not-yet, policy.yaml:10:5\n"
	if got, want := out.String(), "order 17: two books, after 3 attempts\n"+retried+retried; got != want {
		t.Errorf("it prints\n%swant\n%s", got, want)
	}
}

func TestTheProgramHasNeitherYAMLNorCEL(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	for _, heavy := range []string{"cel-go", "yaml", "jsonschema", "protobuf", "antlr"} {
		if strings.Contains(string(out), heavy) {
			t.Errorf("the program needs %s", heavy)
		}
	}
}
