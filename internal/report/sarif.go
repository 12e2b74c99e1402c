package report

import (
	"io"
	"net/url"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/rules"
)

// The parts of SARIF 2.1.0 that are written: OASIS Standard, 27 March 2020.
type (
	sarifLog struct {
		Version string     `json:"version"`
		Schema  string     `json:"$schema"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		ColumnKind  string            `json:"columnKind"`
		Invocations []sarifInvocation `json:"invocations"`
		Artifacts   []sarifArtifact   `json:"artifacts"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string          `json:"id"`
		Name       string          `json:"name"`
		Short      sarifText       `json:"shortDescription"`
		Full       sarifText       `json:"fullDescription"`
		Help       sarifHelp       `json:"help"`
		Default    sarifConfig     `json:"defaultConfiguration"`
		Properties sarifProperties `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifHelp struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown"`
	}
	sarifConfig struct {
		Enabled bool   `json:"enabled"`
		Level   string `json:"level"`
	}
	sarifProperties struct {
		Category string `json:"category"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		ExitCode            int                 `json:"exitCode"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifArtifact struct {
		Location sarifURI `json:"location"`
		Length   int      `json:"length"`
		Language string   `json:"sourceLanguage"`
	}
	sarifURI struct {
		URI   string `json:"uri"`
		Index *int   `json:"index,omitempty"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations,omitempty"`
		Related      []sarifLocation    `json:"relatedLocations,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Fixes        []sarifFix         `json:"fixes,omitempty"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		ID       *int           `json:"id,omitempty"`
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Message  *sarifText     `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifURI     `json:"artifactLocation"`
		Region   *sarifRegion `json:"region,omitempty"`
		Context  *sarifLines  `json:"contextRegion,omitempty"`
	}
	sarifLines struct {
		StartLine int       `json:"startLine"`
		EndLine   int       `json:"endLine"`
		Snippet   sarifText `json:"snippet"`
	}
	sarifRegion struct {
		StartLine   int        `json:"startLine,omitempty"`
		StartColumn int        `json:"startColumn,omitempty"`
		EndLine     int        `json:"endLine,omitempty"`
		EndColumn   int        `json:"endColumn,omitempty"`
		ByteOffset  int        `json:"byteOffset"`
		ByteLength  int        `json:"byteLength"`
		Snippet     *sarifText `json:"snippet,omitempty"`
	}
	sarifFix struct {
		Description sarifText     `json:"description"`
		Changes     []sarifChange `json:"artifactChanges"`
	}
	sarifChange struct {
		Artifact     sarifURI           `json:"artifactLocation"`
		Replacements []sarifReplacement `json:"replacements"`
	}
	sarifReplacement struct {
		Deleted  sarifRegion `json:"deletedRegion"`
		Inserted *sarifText  `json:"insertedContent,omitempty"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification,omitempty"`
	}
)

func writeSARIF(w io.Writer, run *Run, _ Options) error {
	s := &sarifWriter{files: map[string]int{}, rules: map[string]int{}}
	out := sarifRun{
		ColumnKind: "unicodeCodePoints", Artifacts: []sarifArtifact{}, Results: []sarifResult{},
		Tool: sarifTool{sarifDriver{Name: "redress-lint", Version: run.Version, Rules: []sarifRule{}}},
	}
	for i, rule := range rules.All() {
		s.rules[rule.Code.ID] = i
		out.Tool.Driver.Rules = append(out.Tool.Driver.Rules, ruleOf(rule))
	}
	for _, f := range run.Files {
		uri := uriOf(f.Name)
		if _, ok := s.files[uri]; !ok {
			s.files[uri] = len(out.Artifacts)
			out.Artifacts = append(out.Artifacts, sarifArtifact{sarifURI{URI: uri}, len(f.Bytes), "yaml"})
		}
	}
	prints := Fingerprints(run.Findings)
	for i, d := range run.Findings {
		out.Results = append(out.Results, s.result(d, prints[i]))
	}
	for _, d := range run.Suppressed {
		r := s.result(d.Diagnostic, d.Fingerprint)
		r.Suppressions = []sarifSuppression{{d.Kind, valid(d.Reason)}}
		out.Results = append(out.Results, r)
	}
	invocation := sarifInvocation{ExecutionSuccessful: run.Failure == "", ExitCode: run.ExitCode}
	if run.Failure != "" {
		invocation.Notifications = []sarifNotification{{"error", sarifText{valid(run.Failure)}}}
	}
	out.Invocations = []sarifInvocation{invocation}
	return encode(w, sarifLog{"2.1.0", "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json", []sarifRun{out}})
}

type sarifWriter struct {
	files, rules map[string]int
}

var levels = map[dsl.Severity]string{dsl.Error: "error", dsl.Warning: "warning", dsl.Info: "note"}

func ruleOf(r rules.Rule) sarifRule {
	return sarifRule{
		ID: r.Code.ID, Name: r.Code.Slug, Short: sarifText{r.Summary}, Full: sarifText{r.What}, Help: sarifHelp{r.What + " " + r.Why, r.Markdown()},
		Default: sarifConfig{!r.Off, levels[r.Severity]}, Properties: sarifProperties{r.Category()},
	}
}

func (s *sarifWriter) result(d dsl.Diagnostic, fingerprint string) sarifResult {
	message := valid(d.Message)
	for _, note := range d.Notes {
		message += "\n" + valid(note)
	}
	if d.Help != "" {
		message += "\nhelp: " + valid(d.Help)
	}
	r := sarifResult{
		RuleID: d.Code.ID, RuleIndex: -1, Level: levels[d.Severity], Message: sarifText{message},
		Fingerprints: map[string]string{"redress/v1": fingerprint},
	}
	if i, ok := s.rules[d.Code.ID]; ok {
		r.RuleIndex = i
	}
	if d.Range.Source != nil {
		r.Locations = []sarifLocation{s.location(d.Range)}
	}
	for i, related := range d.Related {
		l := s.location(related.Range)
		l.ID, l.Message = &i, &sarifText{valid(related.Message)}
		r.Related = append(r.Related, l)
	}
	for _, fix := range fixesOf(d) {
		r.Fixes = append(r.Fixes, s.fix(fix))
	}
	return r
}

func (s *sarifWriter) uri(r dsl.Range) sarifURI {
	u := sarifURI{URI: uriOf(r.Source.Name)}
	if i, ok := s.files[u.URI]; ok {
		u.Index = &i
	}
	return u
}

func (s *sarifWriter) location(r dsl.Range) sarifLocation {
	if r.Source == nil {
		return sarifLocation{}
	}
	start, end := r.Position(), endOf(r)
	region := &sarifRegion{
		StartLine: start.Line, StartColumn: start.Column, EndLine: end.Line, EndColumn: end.Column, ByteOffset: r.Start, ByteLength: max(r.End-r.Start, 0),
		Snippet: &sarifText{snippet([]byte(r.Text()))},
	}
	return sarifLocation{Physical: &sarifPhysical{s.uri(r), region, &sarifLines{start.Line, end.Line, sarifText{linesOf(r)}}}}
}

func (s *sarifWriter) fix(f dsl.Fix) sarifFix {
	out := sarifFix{Description: sarifText{valid(f.Title)}, Changes: []sarifChange{}}
	for _, e := range f.Edits {
		one := sarifReplacement{Deleted: sarifRegion{ByteOffset: e.Range.Start, ByteLength: max(e.Range.End-e.Range.Start, 0)}, Inserted: &sarifText{valid(e.Text)}}
		if n := len(out.Changes); n > 0 && out.Changes[n-1].Artifact.URI == uriOf(e.Range.Source.Name) {
			out.Changes[n-1].Replacements = append(out.Changes[n-1].Replacements, one)
			continue
		}
		out.Changes = append(out.Changes, sarifChange{s.uri(e.Range), []sarifReplacement{one}})
	}
	return out
}

// uriOf writes a path as a relative URI reference, or as a file URI. Bytes that are no
// UTF-8 stay what they are, escaped.
func uriOf(name string) string {
	name = strings.ReplaceAll(name, `\`, "/")
	if strings.HasPrefix(name, "/") {
		return (&url.URL{Scheme: "file", Path: name}).String()
	}
	if len(name) > 2 && name[1] == ':' && name[2] == '/' {
		return (&url.URL{Scheme: "file", Path: "/" + name}).String()
	}
	return (&url.URL{Path: name}).String()
}
