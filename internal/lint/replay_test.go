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

var updateReplay = flag.Bool("update-replay", false, "write the output of replay in testdata/replay anew")

// TestReplayTellsWhatRecordedFailuresWouldMeet compares what replay prints, in each
// format, with testdata/replay.
func TestReplayTellsWhatRecordedFailuresWouldMeet(t *testing.T) {
	const dir = "testdata/replay/"
	for _, row := range []struct {
		golden string
		args   []string
		want   int
	}{
		{"new.text", []string{dir + "events.jsonl", "--policy", dir + "new.yaml"}, lint.ExitFindings},
		{"new.markdown", []string{dir + "events.jsonl", "--policy", dir + "new.yaml", "--format=markdown"}, lint.ExitFindings},
		{"new.json", []string{dir + "events.jsonl", "--policy", dir + "new.yaml", "--format=json"}, lint.ExitFindings},
		{"same.text", []string{dir + "before.jsonl", "--policy", dir + "same.yaml"}, lint.ExitClean},
		{"same.markdown", []string{dir + "before.jsonl", "--policy", dir + "same.yaml", "--format=markdown"}, lint.ExitClean},
		{"bad.text", []string{dir + "bad.jsonl", "--policy", dir + "same.yaml"}, lint.ExitUsage},
	} {
		t.Run(row.golden, func(t *testing.T) {
			var out bytes.Buffer
			command := lint.Command{Stdout: &out, Stderr: &out}
			if code := command.Main(append([]string{"replay"}, row.args...)); code != row.want {
				t.Errorf("exit code %d, want %d", code, row.want)
			}
			if *updateReplay {
				if err := os.WriteFile(dir+row.golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(dir + row.golden)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != strings.ReplaceAll(string(want), "\r\n", "\n") {
				t.Errorf("it prints\n%s\nwant\n%s", out.String(), want)
			}
		})
	}
}

// TestReplayTakesBundlesAndStandardInput asks the same of a bundle as of its files.
func TestReplayTakesBundlesAndStandardInput(t *testing.T) {
	bundle := filepath.Join(t.TempDir(), "new.rbundle")
	var out bytes.Buffer
	if code := (&lint.Command{Stdout: &out, Stderr: &out}).Main([]string{"build", "testdata/replay/new.yaml", "-o", bundle}); code != 0 {
		t.Fatal(out.String())
	}
	events, err := os.ReadFile("testdata/replay/events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	code := (&lint.Command{Stdin: bytes.NewReader(events), Stdout: &out, Stderr: &out}).Main([]string{"replay", "-", "--policy", bundle})
	if code != lint.ExitFindings || !strings.Contains(out.String(), "standard input:1") || !strings.Contains(out.String(), "RATE_LIMIT (overloaded): 2 failures") {
		t.Errorf("exit code %d and\n%s", code, out.String())
	}
}

func TestReplayRefusesWhatItCannotDo(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const events, policy = "testdata/replay/events.jsonl", "testdata/replay/new.yaml"
	wrong := write("wrong.yaml", strings.Replace(goodPolicy, "err.status", "err.statsu", 1))
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{events}, "--policy NEW"},
		{[]string{"--policy", policy}, "--policy NEW"},
		{[]string{events, "--policy", policy, "--format=html"}, `not "html"`},
		{[]string{filepath.Join(dir, "nowhere"), "--policy", policy}, "nowhere"},
		{[]string{events, "--policy", filepath.Join(dir, "nowhere")}, "nowhere"},
		{[]string{events, "--policy", wrong}, "does not load"},
		{[]string{events, "--policy", write("x.rbundle", "none")}, "x.rbundle"},
		{[]string{write("empty.jsonl", "\n"), "--policy", policy}, "no failure is recorded"},
		{[]string{write("long.jsonl", "\n"+strings.Repeat("x", 70_000)), "--policy", policy}, "long.jsonl:2: the line has more than"},
	} {
		var out, told bytes.Buffer
		code := (&lint.Command{Stdout: &out, Stderr: &told}).Main(append([]string{"replay"}, row.args...))
		if code != lint.ExitUsage || !strings.Contains(told.String(), row.want) {
			t.Errorf("%v: exit code %d, want 2 and %q:\n%s", row.args, code, row.want, told.String())
		}
	}
}
