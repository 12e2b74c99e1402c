package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/redress-policy/redress/dsl"
)

var (
	githubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	githubCommands = map[dsl.Severity]string{dsl.Error: "error", dsl.Warning: "warning", dsl.Info: "notice"}
)

// writeGitHub writes workflow commands. GitHub shows ten of each kind for a step, so
// errors come first.
func writeGitHub(w io.Writer, run *Run, _ Options) error {
	if run.Failure != "" {
		if _, err := fmt.Fprintf(w, "::error title=redress-lint::%s\n", githubData.Replace(valid(run.Failure))); err != nil {
			return err
		}
	}
	for _, severity := range []dsl.Severity{dsl.Error, dsl.Warning, dsl.Info} {
		for _, d := range run.Findings {
			if d.Severity != severity {
				continue
			}
			message := valid(d.Message)
			for _, note := range d.Notes {
				message += "\n" + valid(note)
			}
			if d.Help != "" {
				message += "\nhelp: " + valid(d.Help)
			}
			place := ""
			if d.Range.Source != nil {
				start, end := d.Range.Position(), endOf(d.Range)
				place = fmt.Sprintf("file=%s,line=%d,endLine=%d,", githubProperty.Replace(fileOf(d.Range)), start.Line, end.Line)
				if start.Line == end.Line { // GitHub refuses columns for more lines than one
					place += fmt.Sprintf("col=%d,endColumn=%d,", start.Column, end.Column)
				}
			}
			if _, err := fmt.Fprintf(w, "::%s %stitle=%s::%s\n", githubCommands[severity], place, githubProperty.Replace(d.Code.ID+" "+d.Code.Slug), githubData.Replace(message)); err != nil {
				return err
			}
		}
	}
	return nil
}
