package lint

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/report"
)

// A sink is one place to which a report goes.
type sink struct {
	format string
	file   string // "" for standard output
}

// outputs reads --output.
func (c *Command) outputs(list []string) ([]sink, error) {
	if len(list) == 0 {
		return []sink{{format: "text"}}, nil
	}
	var sinks []sink
	stdout := 0
	for _, one := range list {
		format, file, named := strings.Cut(one, "=")
		if !slices.Contains(report.Formats(), format) {
			if near, ok := dsl.Nearest(format, report.Formats()); ok {
				return nil, usagef("--output: no format is called %q; did you mean %s?", format, near)
			}
			return nil, usagef("--output: no format is called %q; there is %s", format, strings.Join(report.Formats(), ", "))
		}
		if named && file == "" {
			return nil, usagef("--output %s: name a file behind =", one)
		}
		if !named {
			stdout++
		}
		sinks = append(sinks, sink{format, file})
	}
	if stdout > 1 {
		return nil, usagef("--output: only one report can go to standard output; name files for the others, as in sarif=out.sarif")
	}
	return sinks, nil
}

// write reports an outcome.
func (c *Command) write(sinks []sink, o *outcome) error {
	run := &report.Run{Version: Version(), Findings: o.found, Files: o.sources, ExitCode: ExitClean}
	silenced := make(dsl.Diagnostics, len(o.silenced))
	for i, s := range o.silenced {
		silenced[i] = s.Diagnostic
	}
	for i, print := range report.Fingerprints(silenced) {
		run.Suppressed = append(run.Suppressed, report.Suppressed{Diagnostic: silenced[i], Kind: "inSource", Reason: o.silenced[i].Reason, Fingerprint: print})
	}
	run.Suppressed = append(run.Suppressed, o.known...)
	if slices.ContainsFunc(o.found, func(d dsl.Diagnostic) bool { return d.Severity <= o.threshold }) {
		run.ExitCode = ExitFindings
	}
	if err := c.emit(sinks, run); err != nil {
		return err
	}
	hidden := ""
	if n := len(run.Suppressed); n > 0 {
		hidden = fmt.Sprintf(" (%d suppressed)", n)
	}
	fmt.Fprintf(c.Stderr, "%s in %s: %s%s\n", count(o.documents, "document"), count(len(o.sources), "file"), tally(o.found), hidden)
	return nil
}

// failed reports that the run could not be carried out: programs that read the report
// must not take it for a clean one.
func (c *Command) failed(sinks []sink, err error) error {
	return errors.Join(err, c.emit(machine(sinks), &report.Run{Version: Version(), Failure: err.Error(), ExitCode: ExitUsage}))
}

// refused reports arguments that make no sense to the programs that they ask to report
// to.
func (c *Command) refused(args []string, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	var outputs listFlag
	for i, arg := range args {
		name, value, joined := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case arg == "--":
			return err
		case name != "output" || !strings.HasPrefix(arg, "-"):
		case joined:
			outputs = append(outputs, value)
		case i+1 < len(args):
			outputs = append(outputs, args[i+1])
		}
	}
	sinks, wrong := c.outputs(outputs)
	if wrong != nil {
		return err
	}
	return c.failed(sinks, err)
}

// machine are the sinks that programs read.
func machine(sinks []sink) []sink {
	return slices.DeleteFunc(slices.Clone(sinks), func(s sink) bool { return s.format == "text" })
}

func (c *Command) emit(sinks []sink, run *report.Run) error {
	for _, s := range sinks {
		var b bytes.Buffer
		if err := report.Write(&b, s.format, run, report.Options{Color: c.Color && s.file == ""}); err != nil {
			return err
		}
		if s.file == "" {
			if _, err := io.Copy(c.Stdout, &b); err != nil {
				return err
			}
			continue
		}
		if err := writeFile(s.file, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes a file whole or not at all.
func writeFile(name string, text []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".redress-*")
	if err != nil { // which names the temporary file
		return fmt.Errorf("%s: %w", name, cause(err))
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return plain(err)
	}
	return nil
}
