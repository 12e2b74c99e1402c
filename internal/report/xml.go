package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/redress-policy/redress/dsl"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(w io.Writer, run *Run, _ Options) error {
	out := junitSuites{Name: "redress-lint"}
	suites := map[string]int{}
	add := func(suite string, c junitCase) {
		suite = clean(suite)
		at, ok := suites[suite]
		if !ok {
			at, suites[suite] = len(out.Suites), len(out.Suites)
			out.Suites = append(out.Suites, junitSuite{Name: suite})
		}
		s := &out.Suites[at]
		s.Cases = append(s.Cases, c)
		s.Tests, out.Tests = s.Tests+1, out.Tests+1
		if c.Failure != nil {
			s.Failures, out.Failures = s.Failures+1, out.Failures+1
		}
		if c.Error != nil {
			s.Errors, out.Errors = s.Errors+1, out.Errors+1
		}
	}
	if run.Failure != "" {
		add("redress-lint", junitCase{Name: "run", Class: "redress-lint", Error: &junitProblem{Message: clean(run.Failure)}})
	}
	for _, t := range run.Tests {
		c := junitCase{Name: clean(t.Name), Class: clean(t.Suite), File: clean(t.File), Line: t.Line}
		if t.Failure != "" {
			first, _, _ := strings.Cut(t.Failure, "\n")
			c.Failure = &junitProblem{Message: clean(first), Text: clean(t.Failure)}
		}
		add(t.Suite, c)
	}
	if run.Tests == nil {
		byFile := map[string]dsl.Diagnostics{}
		for _, d := range run.Findings {
			byFile[fileOf(d.Range)] = append(byFile[fileOf(d.Range)], d)
		}
		names := make([]string, 0, len(run.Files))
		for _, f := range run.Files {
			names = append(names, valid(f.Name))
		}
		for _, d := range run.Findings { // of files that are none of the run's
			names = append(names, fileOf(d.Range))
		}
		done := map[string]bool{}
		for _, name := range names {
			if done[name] {
				continue
			}
			done[name] = true
			suite := name
			if suite == "" {
				suite = "redress-lint"
			}
			if len(byFile[name]) == 0 {
				add(suite, junitCase{Name: "no findings", Class: clean(suite)})
			}
			for _, d := range byFile[name] {
				add(suite, findingCase(suite, d))
			}
		}
	}
	return writeXML(w, out)
}

func findingCase(suite string, d dsl.Diagnostic) junitCase {
	var b strings.Builder
	d.Print(&b, dsl.PrintOptions{})
	at := d.Range.Position()
	return junitCase{
		Name: clean(fmt.Sprintf("%s %s at %d:%d", d.Code.ID, d.Code.Slug, at.Line, at.Column)), Class: clean(suite), File: clean(fileOf(d.Range)), Line: at.Line,
		Failure: &junitProblem{Message: clean(d.Message), Type: d.Severity.String(), Text: clean(b.String())},
	}
}

type (
	checkstyle struct {
		XMLName xml.Name         `xml:"checkstyle"`
		Version string           `xml:"version,attr"`
		Files   []checkstyleFile `xml:"file"`
	}
	checkstyleFile struct {
		Name   string            `xml:"name,attr"`
		Errors []checkstyleError `xml:"error"`
	}
	checkstyleError struct {
		Line     int    `xml:"line,attr"`
		Column   int    `xml:"column,attr,omitempty"`
		Severity string `xml:"severity,attr"`
		Message  string `xml:"message,attr"`
		Source   string `xml:"source,attr"`
	}
)

func writeCheckstyle(w io.Writer, run *Run, _ Options) error {
	out := checkstyle{Version: "4.3"}
	if run.Failure != "" {
		out.Files = append(out.Files, checkstyleFile{Name: "redress-lint", Errors: []checkstyleError{{Severity: "error", Message: clean(run.Failure), Source: "redress-lint"}}})
	}
	for _, d := range run.Findings {
		name := clean(fileOf(d.Range))
		if n := len(out.Files); n == 0 || out.Files[n-1].Name != name {
			out.Files = append(out.Files, checkstyleFile{Name: name})
		}
		f := &out.Files[len(out.Files)-1]
		at := d.Range.Position()
		f.Errors = append(f.Errors, checkstyleError{at.Line, at.Column, d.Severity.String(), clean(d.Message), "redress-lint." + d.Code.ID})
	}
	return writeXML(w, out)
}

func writeXML(w io.Writer, v any) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// clean replaces what XML 1.0 cannot hold.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff {
			return r
		}
		return '\ufffd'
	}, valid(s))
}
