package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

const policy = `apiVersion: redress/v1
kind: Policy
name: payments-api
classify:
  - {id: server, when: err.status >= 500, class: SERVER_ERROR}
  - {id: busy, when: err.status == 503, class: RATE_LIMIT}
retry: {strategy: {exponential: {max: 10s}}, deadline: 5s}
`

// A place is the range of a text in a source.
func place(src *dsl.Source, text string) dsl.Range {
	at := bytes.Index(src.Bytes, []byte(text))
	return dsl.Range{Source: src, Start: at, End: at + len(text)}
}

func normal() *report.Run {
	src, clean := dsl.NewSource("policies/payments api.yaml", []byte(policy)), dsl.NewSource("policies/clean.yaml", []byte("x"))
	return &report.Run{
		Version: "v1.2.3", ExitCode: 1, Files: []*dsl.Source{clean, src},
		Findings: dsl.Diagnostics{
			{
				Range: place(src, "err.status == 503"), Code: dsl.CodeShadowed, Severity: dsl.Error, Message: "rule busy never decides: server takes every failure that it matches",
				Help: "move busy above server, or remove it", Notes: []string{"for example {status: 503} is decided by server"},
				Related: []dsl.Related{{Range: place(src, "err.status >= 500"), Message: "server comes first, and gives SERVER_ERROR"}},
			},
			{
				Range: place(src, "exponential"), Code: dsl.CodeNoJitter, Severity: dsl.Warning, Message: "100% the same: a, b\nand so on",
				Fixes: []dsl.Fix{{Title: "write full_jitter", Edits: []dsl.Edit{{Range: place(src, "exponential"), Text: "full_jitter"}}}},
			},
		},
		Suppressed: []report.Suppressed{{
			Diagnostic: dsl.Diagnostic{Range: place(src, "max: 10s"), Code: dsl.CodeWaitTooLong, Severity: dsl.Warning, Message: "max 10s is above the deadline of 5s"},
			Kind:       "inSource", Reason: "the deadline will grow", Fingerprint: "0123456789abcdef",
		}},
	}
}

func runs() map[string]*report.Run {
	return map[string]*report.Run{
		"normal": normal(),
		"empty":  {Version: "v1.2.3"},
		"failed": {Version: "v1.2.3", ExitCode: 2, Failure: "policies: no such file or directory\nsecond line, with 100%"},
		"tests": {Version: "v1.2.3", Tests: []report.Test{
			{Suite: "payments-api", Name: "passes", File: "p.yaml", Line: 3}, {Suite: "payments-api", Name: "fails", File: "p.yaml", Line: 9, Failure: "class: expected PERMANENT, got UNKNOWN\nmore"},
		}},
	}
}

// TestFormatsAreThoseOfTheGoldenFiles shows every format to readers.
func TestFormatsAreThoseOfTheGoldenFiles(t *testing.T) {
	for name, run := range runs() {
		for _, format := range report.Formats() {
			var b bytes.Buffer
			if err := report.Write(&b, format, run, report.Options{}); err != nil {
				t.Fatal(err)
			}
			if format == "sarif" {
				withoutRules(t, &b)
			}
			golden := filepath.Join("testdata", name+"."+format)
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("%s is not what %s says; go test -update writes it\n%s", format, golden, b.Bytes())
			}
		}
	}
}

// withoutRules leaves out the rules, which are those of the table.
func withoutRules(t *testing.T, b *bytes.Buffer) {
	t.Helper()
	var log map[string]any
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	driver := log["runs"].([]any)[0].(map[string]any)["tool"].(map[string]any)["driver"].(map[string]any)
	if len(driver["rules"].([]any)) < 40 {
		t.Errorf("SARIF lists %d rules", len(driver["rules"].([]any)))
	}
	delete(driver, "rules")
	b.Reset()
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(log); err != nil {
		t.Fatal(err)
	}
}

// officialSARIF is the schema of SARIF 2.1.0 (errata 01) as OASIS publishes it. It is
// read from a module that carries it, which Go fetches and verifies.
func officialSARIF(t *testing.T) []byte {
	t.Helper()
	const module, file = "github.com/securego/gosec/v2@v2.30.0", "report/sarif/testdata/sarif-schema-2.1.0.json"
	const sum = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // outside any module: nobody depends on it
	out, err := cmd.Output()
	var at struct{ Dir, Error string }
	if json.Unmarshal(out, &at) != nil || at.Dir == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s cannot be fetched: %v %s", module, err, at.Error)
		}
		t.Skipf("%s, which carries the schema of SARIF, cannot be fetched: %v %s", module, err, at.Error)
	}
	text, err := os.ReadFile(filepath.Join(at.Dir, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != sum {
		t.Fatalf("%s in %s has the SHA-256 %s, not %s", file, module, got, sum)
	}
	return text
}

func schema(t *testing.T, name string, text []byte) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// textLines are the most lines that the text format has for a run.
func textLines(run *report.Run) int {
	n := 0
	for _, d := range run.Findings {
		n += 3 + len(d.Notes) + 1 + len(d.Related) // the finding, its line, the carets; help
	}
	return n
}

// checkAll says what is malformed in any format of a run.
func checkAll(t *testing.T, run *report.Run, sarif, own *jsonschema.Schema) {
	t.Helper()
	for _, format := range report.Formats() {
		var first, second bytes.Buffer
		if err := errors.Join(report.Write(&first, format, run, report.Options{}), report.Write(&second, format, run, report.Options{})); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("%s: two calls give different bytes", format)
		}
		switch format {
		case "json", "sarif":
			var v any
			if err := json.Unmarshal(first.Bytes(), &v); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			s := own
			if format == "sarif" {
				s = sarif
			}
			if err := s.Validate(v); err != nil {
				t.Errorf("%s: %#v\n%s", format, err, first.Bytes())
			}
		case "junit", "checkstyle":
			d := xml.NewDecoder(&first)
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v\n%s", format, err, second.Bytes())
				}
			}
		case "text":
			for _, line := range strings.Split(first.String(), "\n") {
				if trimmed := strings.TrimLeft(line, " "); strings.HasPrefix(trimmed, "::") || strings.HasPrefix(trimmed, "##") {
					t.Errorf("text: a line that CI systems take for a command: %q", line)
				}
			}
			if i := strings.IndexFunc(first.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 || !utf8.Valid(first.Bytes()) {
				t.Errorf("text: %q sends a terminal more than what it shows", first.String())
			}
			if got, want := strings.Count(first.String(), "\n"), textLines(run); got > want {
				t.Errorf("text: %d lines for %d", got, want)
			}
		case "github":
			for _, line := range strings.Split(strings.TrimSuffix(first.String(), "\n"), "\n") {
				if line != "" && !strings.HasPrefix(line, "::") {
					t.Errorf("github: a line that is no command: %q", line)
				}
			}
		}
	}
}

// TestReportsFitTheirSchemas: SARIF that of OASIS, JSON ours, for empty, normal and
// broken runs.
func TestReportsFitTheirSchemas(t *testing.T) {
	sarif, own := schema(t, "https://json.schemastore.org/sarif-2.1.0.json", officialSARIF(t)), schema(t, "urn:own", report.Schema())
	for _, run := range runs() {
		checkAll(t, run, sarif, own)
	}
}

// TestNoInputMakesAReportMalformed tries file names, lines and messages that formats
// have to escape.
func TestNoInputMakesAReportMalformed(t *testing.T) {
	sarif, own := schema(t, "https://json.schemastore.org/sarif-2.1.0.json", officialSARIF(t)), schema(t, "urn:own", report.Schema())
	words := []string{"a", "##[error]", "\xff\xfe", "\x00", "\x1b[31m", "::error::x", "%0A", "\n", "\r\n", "]]>", "<&\"'", "é", "😀", "\u2028", ",:", `C:\x\y`, "/abs/é", "../up", " ", ""}
	for seed := range uint64(60) {
		d := rand.New(rand.NewPCG(seed, 1))
		word := func() string {
			s := ""
			for range d.IntN(5) {
				s += words[d.IntN(len(words))]
			}
			return s
		}
		src := dsl.NewSource(word(), []byte(word()+"\n"+word()+"\n"+word()))
		at := func() dsl.Range {
			if d.IntN(5) == 0 {
				return dsl.Range{}
			}
			start := d.IntN(len(src.Bytes) + 1)
			return dsl.Range{Source: src, Start: start, End: start + d.IntN(len(src.Bytes)-start+1)}
		}
		run := &report.Run{Version: word(), Files: []*dsl.Source{src}, Failure: []string{"", word()}[d.IntN(2)]}
		for range d.IntN(4) {
			f := dsl.Diagnostic{Range: at(), Code: dsl.CodeSyntax, Severity: dsl.Severity(d.IntN(3)), Message: word(), Help: word(), Notes: []string{strings.ToValidUTF8(word(), "")}, Related: []dsl.Related{{Range: at(), Message: word()}}}
			for range d.IntN(3) {
				fix := dsl.Fix{Title: word()}
				for range d.IntN(3) {
					fix.Edits = append(fix.Edits, dsl.Edit{Range: at(), Text: word()})
				}
				f.Fixes = append(f.Fixes, fix)
			}
			run.Findings = append(run.Findings, f)
			run.Suppressed = append(run.Suppressed, report.Suppressed{Diagnostic: f, Kind: "external", Reason: word(), Fingerprint: "0123456789abcdef"})
		}
		run.Findings.Sort()
		checkAll(t, run, sarif, own)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestFingerprintsSurviveMovedLines: the same finding further down is the same.
func TestFingerprintsSurviveMovedLines(t *testing.T) {
	find := func(text string) string {
		src := dsl.NewSource("p.yaml", []byte(text))
		return report.Fingerprints(dsl.Diagnostics{{Range: place(src, "exponential"), Code: dsl.CodeNoJitter, Message: "m"}})[0]
	}
	if a, b := find(policy), find("# a comment\n\n"+policy); a != b {
		t.Errorf("%s before, %s after lines were added above", a, b)
	}
	src := dsl.NewSource("p.yaml", []byte(policy))
	d := dsl.Diagnostic{Range: place(src, "exponential"), Code: dsl.CodeNoJitter, Message: "m"}
	if prints := report.Fingerprints(dsl.Diagnostics{d, d}); prints[0] == prints[1] {
		t.Error("two equal findings have one fingerprint")
	}
}

// TestLongLinesAreCut: a report does not repeat a line of a megabyte.
func TestLongLinesAreCut(t *testing.T) {
	src := dsl.NewSource("p.yaml", []byte(strings.Repeat("é", 1<<19)))
	run := &report.Run{Findings: dsl.Diagnostics{{Range: dsl.Range{Source: src, Start: 4, End: 8}, Code: dsl.CodeSyntax, Message: "m"}}}
	for _, format := range report.Formats() {
		var b bytes.Buffer
		if err := report.Write(&b, format, run, report.Options{}); err != nil {
			t.Fatal(err)
		}
		if format != "sarif" && b.Len() > 10_000 {
			t.Errorf("%s has %d bytes", format, b.Len())
		}
	}
}

// TestAFileIsOneSuiteOfJUnit: however often a name comes, what it has is counted once.
func TestAFileIsOneSuiteOfJUnit(t *testing.T) {
	src := dsl.NewSource("p.yaml", []byte(policy))
	run := &report.Run{Files: []*dsl.Source{src, dsl.NewSource("p.yaml", []byte("x"))}, Findings: dsl.Diagnostics{
		{Range: place(src, "retry"), Code: dsl.CodeSyntax, Message: "one"}, {Code: dsl.CodeSyntax, Message: "stands nowhere"},
	}}
	var b bytes.Buffer
	if err := report.Write(&b, "junit", run, report.Options{}); err != nil {
		t.Fatal(err)
	}
	for want, n := range map[string]int{`<testsuite name=`: 2, `name="p.yaml" tests="1"`: 1, `<testsuite name="redress-lint" tests="1"`: 1, `<testcase `: 2} {
		if got := strings.Count(b.String(), want); got != n {
			t.Errorf("%s comes %d times, not %d\n%s", want, got, n, &b)
		}
	}
}

// TestGitHubGetsColumnsOnlyWithinALine, as it documents for its commands.
func TestGitHubGetsColumnsOnlyWithinALine(t *testing.T) {
	src := dsl.NewSource("p.yaml", []byte(policy))
	for text, want := range map[string]bool{"exponential": true, "retry: {strategy: {exponential: {max: 10s}}, deadline: 5s}\n": false} {
		var b bytes.Buffer
		run := &report.Run{Findings: dsl.Diagnostics{{Range: place(src, text), Code: dsl.CodeSyntax, Message: "m"}}}
		if err := report.Write(&b, "github", run, report.Options{}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "col=") != want {
			t.Errorf("%q: %s", text, &b)
		}
	}
}

// TestFingerprintsKnowAllLinesOfAFinding: another second line is another finding.
func TestFingerprintsKnowAllLinesOfAFinding(t *testing.T) {
	find := func(second string) string {
		src := dsl.NewSource("p.yaml", []byte("a: [\n"+second+"]\n"))
		return report.Fingerprints(dsl.Diagnostics{{Range: dsl.Range{Source: src, End: len(src.Bytes)}, Code: dsl.CodeSyntax, Message: "m"}})[0]
	}
	if find("b") == find("c") || find("b") != find("  b") {
		t.Errorf("%s, %s, %s", find("b"), find("c"), find("  b"))
	}
}
