package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
			Kind:       "inSource", Reason: "the deadline will grow",
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
	text, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	sarif, own := schema(t, "https://json.schemastore.org/sarif-2.1.0.json", text), schema(t, "urn:own", report.Schema())
	for _, run := range runs() {
		checkAll(t, run, sarif, own)
	}
}

// TestNoInputMakesAReportMalformed tries file names, lines and messages that formats
// have to escape.
func TestNoInputMakesAReportMalformed(t *testing.T) {
	text, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	sarif, own := schema(t, "https://json.schemastore.org/sarif-2.1.0.json", text), schema(t, "urn:own", report.Schema())
	words := []string{"a", "\xff\xfe", "\x00", "\x1b[31m", "::error::x", "%0A", "\n", "\r\n", "]]>", "<&\"'", "é", "😀", "\u2028", ",:", `C:\x\y`, "/abs/é", "../up", " ", ""}
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
			if e := at(); e.Source != nil {
				f.Fixes = []dsl.Fix{{Title: word(), Edits: []dsl.Edit{{Range: e, Text: word()}}}}
			}
			run.Findings = append(run.Findings, f)
			run.Suppressed = append(run.Suppressed, report.Suppressed{Diagnostic: f, Kind: "external", Reason: word()})
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
		return report.Fingerprint(dsl.Diagnostic{Range: place(src, "exponential"), Code: dsl.CodeNoJitter, Message: "m"}, 0)
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
