package lint_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress/internal/lint"
	"github.com/redress-policy/redress/interp"
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
	jittery := write("jittery/policy.yaml", "apiVersion: redress/v1\nkind: Policy\nname: jittery\nclassify:\n  - {id: gone, when: err.status == 410, class: PERMANENT}\n  - use: std.http\nretry: {strategy: {linear: {max: 5s}}}\n")
	renamed := write("renamed/policy.yaml", strings.NewReplacer("id: gone", "id: went", "rule: gone", "rule: went").Replace(goodPolicy))
	moved := write("moved/policy.yaml", strings.ReplaceAll(goodPolicy, "class: PERMANENT", "class: TRANSIENT"))
	unformatted := write("unformatted/policy.yaml", "kind: Policy\napiVersion: redress/v1\nclassify: [{use: std.http}]\nname: u\n")
	brokenConfig := write("config.yaml", "fail_on: fatal\n")
	environment := write("environment.yaml", "apiVersion: redress/v1\nkind: Environment\nname: e\npolicies: {goood: {rate: 1}}\n")
	mesh := write("mesh/mesh.yaml", "{apiVersion: redress/v1, kind: Policy, name: checkout, classify: [{use: std.http}], calls: [ledger], retry: {max_attempts: 3, budget: {max_retries: 100, window: 60s}}, circuit_breaker: {failure_threshold: 20, window: 60s}}\n"+
		"---\n{apiVersion: redress/v1, kind: Policy, name: ledger, classify: [{use: std.sql}], retry: {max_attempts: 3}}\n"+
		"---\n{apiVersion: redress/v1, kind: Environment, name: live, policies: {checkout: {rate: 0.1, utilisation: 0.5}}}\n")
	withSet := func(more string) string {
		return goodPolicy + "---\n{apiVersion: redress/v1, kind: Policy, name: cautious, classify: [{use: std.http}]}\n" + more
	}
	unset := write("unset/policy.yaml", "{apiVersion: redress/v1, kind: Policy, name: s, classify: [{use: std.http}], retry: {budget: {max_retries: 1, window: 60s}}}\n")
	reset := write("reset/policy.yaml", "{apiVersion: redress/v1, kind: Policy, name: s, mode: off, operations: [a.*, b], classify: [{use: std.http}], retry: {budget: pool}, circuit_breaker: {failure_threshold: 2, trip_on: [SERVER_ERROR], class_thresholds: {TRANSIENT: 1}}}\n---\n{apiVersion: redress/v1, kind: Budget, name: pool, scope: fleet, max_retries: 9, window: 10s}\n")
	unsaid := write("unsaid/policy.yaml", withSet(""))
	said := write("said/policy.yaml", withSet("---\n{apiVersion: redress/v1, kind: Set, name: shop, fallback_policy: cautious}\n"))
	saidOther := write("other/policy.yaml", withSet("---\n{apiVersion: redress/v1, kind: Set, name: shop, fallback_policy: good}\n"))
	only := write("only/policy.yaml", "{apiVersion: redress/v1, kind: Policy, name: cautious, classify: [{use: std.http}]}\n---\n{apiVersion: redress/v1, kind: Set, name: shop, fallback_policy: cautious}\n")
	misspelt := write("misspelt/policy.yaml", withSet("---\n{apiVersion: redress/v1, kind: Set, name: shop, fallback_policy: cautions}\n"))
	cycle := write("cycle/cycle.yaml", "{apiVersion: redress/v1, kind: Policy, name: a, classify: [{use: std.http}], calls: [a]}\n")
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
		{"unknown flag beside a report", []string{"--frobnicate", good, "--output=json"}, 2, `"failure": "there is no flag --frobnicate"`, "no flag --frobnicate"},
		{"wrong colour beside a report", []string{"--output", "sarif", "--color=blue", good}, 2, `"executionSuccessful": false`, "blue"},
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
		{"show a pack without std", []string{"show", "http"}, 2, "", `did you mean "std.http"`},
		{"begin with a pack without std", []string{"init", "--pack=sql", "nowhere"}, 2, "", `did you mean "std.sql"`},
		{"schema", []string{"schema"}, 0, "2020-12", ""},
		{"explain by file", []string{"explain", good, "--err", "{status: 410}"}, 0, "gone", ""},
		{"explain by name", []string{"explain", "good", "--in", filepath.Dir(good), "--err", "{status: 429}"}, 0, "RATE_LIMIT", ""},
		{"explain as JSON", []string{"explain", good, "--json", "--err", "{status: 410}"}, 0, `"gone"`, ""},
		{"explain an unknown policy", []string{"explain", "goood", "--in", filepath.Dir(good), "--err", "{}"}, 2, "", `did you mean "good"`},
		{"explain a broken record", []string{"explain", good, "--err", "{statsu: 1}"}, 1, "statsu", ""},
		{"explain without a record", []string{"explain", good}, 2, "", "--err"},
		{"lint by name", []string{"lint", good}, 0, "", "no findings"},
		{"a warning", []string{jittery}, 0, "RD303", "1 warning"},
		{"a warning that fails", []string{"--fail-on=warning", jittery}, 1, "RD303", ""},
		{"a rule disabled", []string{"--fail-on=warning", "--disable=no-jitter", jittery}, 0, "", "no findings"},
		{"a rule enabled", []string{"--fail-on=info", "--enable=RD602", jittery}, 1, "RD602", ""},
		{"an unknown rule", []string{"--disable=no-jiter", jittery}, 2, "", "did you mean no-jitter?"},
		{"a rule that cannot be disabled", []string{"--disable=RD003", jittery}, 2, "", "cannot be disabled"},
		{"an unknown format", []string{"--output=sariff", good}, 2, "", "did you mean sarif?"},
		{"two reports to one stream", []string{"--output=json", "--output=sarif", good}, 2, "", "only one report"},
		{"a report to a folder that is not there", []string{"--output=json=" + filepath.Join(dir, "nowhere", "x"), good}, 2, "", "nowhere"},
		{"JSON of a run that failed", []string{"--output=json", filepath.Join(dir, "nowhere")}, 2, `"success": false`, "nowhere"},
		{"SARIF of a run that failed", []string{"--output=sarif", filepath.Join(dir, "nowhere")}, 2, `"executionSuccessful": false`, "nowhere"},
		{"SARIF of a broken config", []string{"--config=" + brokenConfig, "--output=sarif", good}, 2, `"executionSuccessful": false`, "fail_on is"},
		{"SARIF of a folder without policies", []string{"--output=sarif", empty}, 2, `"executionSuccessful": false`, "no .yaml"},
		{"nothing, and that is allowed", []string{"--allow-empty", empty}, 0, "", "0 documents"},
		{"a pattern", []string{filepath.Join(dir, "*", "policy.yaml")}, 1, "did you mean", ""},
		{"a pattern that matches nothing", []string{filepath.Join(dir, "*.yml")}, 2, "", "no file matches"},
		{"standard input", []string{"-", "--stdin-filename=in.yaml"}, 1, "in.yaml:", "1 error"},
		{"a name for standard input that is not read", []string{"--stdin-filename=in.yaml", good}, 2, "", "standard input"},
		{"an environment that is not there", []string{"--assume=" + filepath.Join(dir, "nowhere.yaml"), good}, 2, "", "nowhere"},
		{"an environment of another policy", []string{"--assume=" + environment, good}, 2, "", `did you mean "good"?`},
		{"fmt of what is formatted", []string{"fmt", "--check", jittery}, 0, "", ""},
		{"fmt of what is not", []string{"fmt", "--check", unformatted}, 1, "unformatted", ""},
		{"fmt shows what it would change", []string{"fmt", "--diff", unformatted}, 1, "+classify:", ""},
		{"envelope", []string{"envelope", good}, 0, "at most 6 attempts and 1m0s", ""},
		{"envelope of a mesh", []string{"envelope", "--policy=checkout", mesh}, 0, "calls: one call can become 9 attempts at ledger: 3 (checkout) × 3 (ledger) = 9", ""},
		{"outlook for a breaker", []string{"envelope", mesh}, 0, "assumed in live:\n    the breaker can never open: 6 calls in 1m0s, and it takes 20 failures\n", ""},
		{"outlook for a budget", []string{"envelope", mesh}, 0, "the budget never refuses: calls retry at most 12 times in 1m0s, and it allows 100", ""},
		{"outlook for the load", []string{"envelope", mesh}, 0, "the dependency has 0.5 × 3 = 1.5 of the load that it can bear: ", ""},
		{"outlook as JSON", []string{"envelope", "--json", mesh}, 0, `"product": "3 (checkout) × 3 (ledger) = 9"`, ""},
		{"envelope of a cycle", []string{"envelope", cycle}, 0, "they lead back to a, so that attempts multiply without end", ""},
		{"envelope of an unknown policy", []string{"envelope", "--policy=x", good}, 2, "", "no policy"},
		{"no difference", []string{"diff", good, good}, 0, "no failure is handled differently", ""},
		{"another rule", []string{"diff", good, renamed}, 1, "good: PERMANENT (gone) -> PERMANENT (went)\n  for example {status: 410}\n", ""},
		{"the plainest failure", []string{"diff", good, moved}, 1, "for example {status: 410}\n", ""},
		{"a fallback policy", []string{"diff", unsaid, said}, 1, "the set: calls under a removed policy fail -> calls under a removed policy run under cautious\n", ""},
		{"another fallback policy", []string{"diff", said, saidOther}, 1, "the set: calls under a removed policy run under cautious -> calls under a removed policy run under good\n", ""},
		{"the same fallback policy", []string{"diff", said, said}, 0, "no failure is handled differently", ""},
		{"a fallback policy in a pull request", []string{"diff", "--format=markdown", unsaid, said}, 1, "| the set | calls under a removed policy fail | calls", ""},
		{"a fallback policy for programs", []string{"diff", "--format=json", said, unsaid}, 1, `"what": "fallback_policy",`, ""},
		{"a policy removed where there is a fallback", []string{"diff", said, only}, 1, "good: there -> removed, its calls run under cautious\n", ""},
		{"a fallback policy that is not there", []string{misspelt}, 1, `did you mean "cautious"?`, "1 error"},
		{"a mode", []string{"diff", unset, reset}, 1, "s: mode enforce -> mode off\n", ""},
		{"operations", []string{"diff", unset, reset}, 1, "s: governs no operation -> governs a.*, b\n", ""},
		{"a budget", []string{"diff", unset, reset}, 1, "s: budget: max_retries 1 in 1m0s -> budget pool of the fleet: max_retries 9 in 10s\n", ""},
		{"a breaker", []string{"diff", unset, reset}, 1, "s: no circuit breaker -> circuit breaker opens with 2 failed calls in 1m0s, for 30s, probes for 30s, trips on SERVER_ERROR, on TRANSIENT with 1\n", ""},
		{"the mode in an envelope", []string{"envelope", reset}, 0, "  mode off: every call makes one attempt", ""},
		{"a difference", []string{"diff", good, jittery}, 1, "good", ""},
		{"rules", []string{"rules"}, 0, "RD303", ""},
		{"a rule", []string{"rules", "no-jitter"}, 0, "**Why.**", ""},
		{"no rule", []string{"rules", "RD000"}, 2, "", "no rule is called"},
		{"baseline", []string{"baseline", jittery}, 0, `"fingerprint"`, ""},
		{"import without a system", []string{"import", good}, 2, "", "--from"},
		{"import from an unknown system", []string{"import", "--from=envoi", good}, 2, "", "did you mean envoy?"},
		{"import of what is something else", []string{"import", "--from=grpc", good}, 2, "", "policy.yaml"},
		{"import", []string{"import", "--from=grpc", "../importer/testdata/grpc/" + firstOf("../importer/testdata/grpc")}, 0, "kind: Policy", "exact"},
		{"completion", []string{"completion", "bash"}, 0, "complete", ""},
		{"completion of an unknown shell", []string{"completion", "tcsh"}, 2, "", "bash, zsh and fish"},
		{"suggestions", []string{"test", "--suggest", jittery}, 0, "expect: {rule: gone", ""},
		{"parts", []string{"test", "--parts", good}, 0, "was never false", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			command := lint.Command{Stdin: strings.NewReader("a"), Stdout: &stdout, Stderr: &stderr}
			if got := command.Main(row.args); got != row.want {
				t.Errorf("redress-lint %q exits with %d, want %d", row.args, got, row.want)
			}
			if !strings.Contains(stdout.String(), row.stdout) || !strings.Contains(stderr.String(), row.stderr) {
				t.Errorf("redress-lint %q: want stdout with %q and stderr with %q\nstdout: %s\nstderr: %s", row.args, row.stdout, row.stderr, &stdout, &stderr)
			}
		})
	}
}

// TestTwoRunsGiveTheSameBytes: in every format, over a set with many findings.
func TestTwoRunsGiveTheSameBytes(t *testing.T) {
	for _, format := range []string{"text", "json", "sarif", "github", "junit", "checkstyle"} {
		var runs [2]bytes.Buffer
		for i := range runs {
			command := lint.Command{Stdout: &runs[i], Stderr: io.Discard}
			command.Main([]string{"--no-config", "--output=" + format, "--func=my-backoff", "../../testdata/policies/ok", "../../testdata/policies/bad", "../../testdata/scenarios"})
		}
		if runs[0].Len() == 0 || !bytes.Equal(runs[0].Bytes(), runs[1].Bytes()) {
			t.Errorf("%s: two runs differ", format)
		}
	}
}

// TestABaselineHidesWhatIsKnown: what is new is reported, and what is gone too.
func TestABaselineHidesWhatIsKnown(t *testing.T) {
	dir := t.TempDir()
	policy, known := filepath.Join(dir, "p.yaml"), filepath.Join(dir, "known.json")
	run := func(text string, args ...string) int {
		t.Helper()
		if err := os.WriteFile(policy, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		command := lint.Command{Stdout: io.Discard, Stderr: io.Discard}
		return command.Main(append(args, policy))
	}
	const before = "apiVersion: redress/v1\nkind: Policy\nname: p\nclassify:\n  - use: std.http\nretry: {strategy: {linear: {max: 5s}}}\n"
	if exit := run(before, "baseline", "--to", known); exit != 0 {
		t.Fatalf("baseline ended with %d", exit)
	}
	for _, row := range []struct {
		name, text string
		exit       int
	}{
		{"the same", before, 0},
		{"further down", "# a comment\n\n" + before, 0},
		{"something new", strings.Replace(before, "max: 5s", "max: 500s", 1), 1},
		{"something gone", strings.Replace(before, "linear", "full_jitter", 1), 1},
		{"a set that does not load", strings.Replace(before, "retry", "retyr", 1), 1},
	} {
		if exit := run(row.text, "--fail-on=info", "--baseline", known); exit != row.exit {
			t.Errorf("%s: ended with %d, want %d", row.name, exit, row.exit)
		}
	}
}

// TestFixMendsAndLeavesTheRest: also what hides behind one mistake, so that a second
// run changes nothing; what is left is reported where it stands then.
func TestFixMendsAndLeavesTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yaml")
	const broken = "apiVersion: redress/v1\nkind: Policy\nname: p # stays\nclassify:\n  - {id: a, when: err.statsu == 410, class: PERMANET}\n  - id: b\n    when: !has(err.code)\n    class: TRANSIENT\nretyr: {deadline: 10s, strategy: {constant: {delay: 1s}}}\n"
	const mended = "apiVersion: redress/v1\nkind: Policy\nname: p # stays\nclassify:\n  - {id: a, when: err.status == 410, class: PERMANENT}\n  - id: b\n    when: '!has(err.code)'\n    class: TRANSIENT\nretry: {deadline: 10s, strategy: {constant: {delay: 1s}}}\n"
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var out bytes.Buffer
		command := lint.Command{Stdout: &out, Stderr: io.Discard}
		if code := command.Main([]string{"--fix", "--no-config", "--fail-on=warning", path}); code != 1 || !strings.Contains(out.String(), "p.yaml:9:") || !strings.Contains(out.String(), "no-jitter") {
			t.Errorf("ended with %d, and says\n%s", code, &out)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != mended {
		t.Errorf("mended to\n%s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode has changed: %v, %v", info.Mode(), err)
	}
}

// TestInitWritesWhatPassesAtOnce: for every pack, and never over what is there.
func TestInitWritesWhatPassesAtOnce(t *testing.T) {
	for _, pack := range interp.Packs() {
		dir := filepath.Join(t.TempDir(), "policies")
		for i, row := range []struct {
			args []string
			exit int
		}{
			{[]string{"init", "--pack", pack, dir}, 0},
			{[]string{"--no-config", "--fail-on=info", dir}, 0},
			{[]string{"fmt", "--no-config", "--check", dir}, 0},
			{[]string{"test", "--no-config", "--min-coverage=100", dir}, 0},
			{[]string{"init", "--pack", pack, dir}, 2},
		} {
			var out bytes.Buffer
			command := lint.Command{Stdout: &out, Stderr: &out}
			if got := command.Main(row.args); got != row.exit {
				t.Errorf("%s, step %d: redress-lint %q ended with %d, want %d:\n%s", pack, i, row.args, got, row.exit, &out)
			}
		}
	}
}

// firstOf is the first input of a folder of the importer's.
func firstOf(folder string) string {
	names, _ := filepath.Glob(filepath.Join(folder, "*.json"))
	return filepath.Base(names[0])
}
