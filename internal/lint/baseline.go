package lint

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/report"
	"github.com/redress-policy/redress/internal/rules"
)

// A baselineFile lists findings that are known.
type baselineFile struct {
	Version  int             `json:"version"`
	Findings []baselineEntry `json:"findings"`
}

type baselineEntry struct {
	Fingerprint string `json:"fingerprint"`
	Rule        string `json:"rule"`
	File        string `json:"file"`
	Message     string `json:"message"`
}

const baselineVersion = 1

// applyBaseline takes known findings out, and reports entries that match none.
func (o *outcome) applyBaseline(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("--baseline: %w", plain(err))
	}
	var b baselineFile
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return fmt.Errorf("--baseline %s: %w", name, err)
	}
	if b.Version != baselineVersion {
		return fmt.Errorf("--baseline %s: version %d; this redress-lint reads version %d", name, b.Version, baselineVersion)
	}
	known := map[string]int{}
	for i, e := range b.Findings {
		known[e.Fingerprint] = i
	}
	used := make([]bool, len(b.Findings))
	var kept dsl.Diagnostics
	prints := report.Fingerprints(o.found)
	for i, d := range o.found {
		rule, _ := rules.Find(d.Code.ID)
		if at, ok := known[prints[i]]; ok && !rule.Fixed {
			used[at] = true
			o.known = append(o.known, report.Suppressed{Diagnostic: d, Kind: "external", Reason: "in the baseline", Fingerprint: prints[i]})
			continue
		}
		kept = append(kept, d)
	}
	looked := map[string]bool{}
	for _, s := range o.sources {
		looked[s.Name] = true
	}
	source := dsl.NewSource(name, text)
	for i, e := range b.Findings {
		at := bytes.Index(text, []byte(`"`+e.Fingerprint+`"`))
		if used[i] || !looked[e.File] || at < 0 {
			continue
		}
		rule, _ := rules.Find(dsl.CodeStaleBaseline.ID)
		kept = append(kept, dsl.Diagnostic{
			Range: dsl.Range{Source: source, Start: at + 1, End: at + 1 + len(e.Fingerprint)}, Code: rule.Code, Severity: rule.Severity,
			Message: fmt.Sprintf("%s in %s is no longer found: %s", e.Rule, e.File, e.Message), Help: "redress-lint baseline writes the file anew",
		})
	}
	o.found = kept
	return nil
}

// baseline writes the findings of today as known ones.
func (c *Command) baseline(args []string) error {
	var r request
	flags := flag.NewFlagSet("baseline", flag.ContinueOnError)
	r.flags(flags)
	to := flags.String("to", "", "the `FILE` to write (default: that of the config file, else standard output)")
	paths, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	o, err := r.analyse(paths, c.stdin(), c.newProgress())
	if err != nil {
		return err
	}
	b := baselineFile{Version: baselineVersion, Findings: []baselineEntry{}}
	prints := report.Fingerprints(o.found)
	errors := 0
	for i, d := range o.found {
		if rule, _ := rules.Find(d.Code.ID); rule.Fixed {
			errors++
			continue
		}
		b.Findings = append(b.Findings, baselineEntry{prints[i], d.Code.ID, d.Range.Source.Name, d.Message})
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	name := *to
	if name == "" && o.config.Baseline != "" {
		name = o.config.Path(o.config.Baseline)
	}
	if name == "" {
		_, err = c.Stdout.Write(text)
	} else if err = writeFile(name, text); err == nil {
		fmt.Fprintf(c.Stderr, "%s: %s\n", name, count(len(b.Findings), "known finding"))
	}
	if err == nil && errors > 0 {
		fmt.Fprintf(c.Stderr, "%s keep the set from loading and cannot be known ones\n", count(errors, "finding"))
		return errFindings
	}
	return err
}
