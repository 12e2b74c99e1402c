package report

import (
	_ "embed"
	"encoding/json"
	"io"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/rules"
)

//go:embed report.schema.json
var schemaText []byte

// Schema returns the JSON Schema of the JSON format.
func Schema() []byte { return schemaText }

// Version of the JSON format. It grows only when readers of the old one would break.
const Version = 1

type jsonReport struct {
	Version    int              `json:"version"`
	Tool       jsonTool         `json:"tool"`
	Success    bool             `json:"success"`
	Failure    string           `json:"failure,omitempty"`
	ExitCode   int              `json:"exit_code"`
	Summary    jsonSummary      `json:"summary"`
	Findings   []jsonFinding    `json:"findings"`
	Suppressed []jsonSuppressed `json:"suppressed"`
}

type jsonTool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type jsonSummary struct {
	Files    int `json:"files"`
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Infos    int `json:"infos"`
}

type jsonFinding struct {
	Rule        string        `json:"rule"`
	Slug        string        `json:"slug"`
	Severity    string        `json:"severity"`
	Message     string        `json:"message"`
	Help        string        `json:"help,omitempty"`
	Notes       []string      `json:"notes,omitempty"`
	Place       *jsonPlace    `json:"place,omitempty"`
	Related     []jsonRelated `json:"related,omitempty"`
	Fixes       []jsonFix     `json:"fixes,omitempty"`
	Fingerprint string        `json:"fingerprint"`
	Page        string        `json:"page,omitempty"`
}

type jsonPlace struct {
	File  string       `json:"file"`
	Start jsonPosition `json:"start"`
	End   jsonPosition `json:"end"`
}

type jsonPosition struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Offset int `json:"offset"`
}

type jsonRelated struct {
	Message string     `json:"message"`
	Place   *jsonPlace `json:"place,omitempty"`
}

type jsonFix struct {
	Title string     `json:"title"`
	Edits []jsonEdit `json:"edits"`
}

type jsonEdit struct {
	Place *jsonPlace `json:"place"`
	Text  string     `json:"text"`
}

type jsonSuppressed struct {
	jsonFinding
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
}

func writeJSON(w io.Writer, run *Run, _ Options) error {
	r := jsonReport{
		Version: Version, Tool: jsonTool{"redress-lint", run.Version}, Success: run.Failure == "", Failure: valid(run.Failure), ExitCode: run.ExitCode,
		Summary: jsonSummary{Files: len(run.Files)}, Findings: []jsonFinding{}, Suppressed: []jsonSuppressed{},
	}
	prints := Fingerprints(run.Findings)
	for i, d := range run.Findings {
		r.Findings = append(r.Findings, findingOf(d, prints[i]))
		switch d.Severity {
		case dsl.Error:
			r.Summary.Errors++
		case dsl.Warning:
			r.Summary.Warnings++
		default:
			r.Summary.Infos++
		}
	}
	for _, s := range run.Suppressed {
		r.Suppressed = append(r.Suppressed, jsonSuppressed{findingOf(s.Diagnostic, s.Fingerprint), s.Kind, valid(s.Reason)})
	}
	return encode(w, r)
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func findingOf(d dsl.Diagnostic, fingerprint string) jsonFinding {
	f := jsonFinding{
		Rule: d.Code.ID, Slug: d.Code.Slug, Severity: d.Severity.String(), Message: valid(d.Message), Help: valid(d.Help), Notes: d.Notes,
		Place: placeOf(d.Range), Fingerprint: fingerprint,
	}
	if rule, ok := rules.Find(d.Code.ID); ok {
		f.Page = "docs/rules/" + rule.Page()
	}
	for _, r := range d.Related {
		f.Related = append(f.Related, jsonRelated{valid(r.Message), placeOf(r.Range)})
	}
	for _, fix := range fixesOf(d) {
		one := jsonFix{Title: valid(fix.Title)}
		for _, e := range fix.Edits {
			one.Edits = append(one.Edits, jsonEdit{placeOf(e.Range), valid(e.Text)})
		}
		f.Fixes = append(f.Fixes, one)
	}
	return f
}

func placeOf(r dsl.Range) *jsonPlace {
	if r.Source == nil {
		return nil
	}
	start, end := r.Position(), endOf(r)
	return &jsonPlace{fileOf(r), jsonPosition{start.Line, start.Column, r.Start}, jsonPosition{end.Line, end.Column, max(r.End, r.Start)}}
}
