package lint

import (
	"flag"
	"fmt"
	"io"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/report"
)

const functionsUsage = "a strategy function that the program registers with redress.WithStrategy; `NAME`, may be repeated"

// lint checks sets and reports what it finds.
func (c *Command) lint(args []string) error {
	var r request
	flags := flag.NewFlagSet("lint", flag.ContinueOnError)
	r.flags(flags)
	failOn := flags.String("fail-on", "", "least severity that makes the exit code 1: `error, warning or info` (default error)")
	var outputs listFlag
	flags.Var(&outputs, "output", "how to report, to standard output or to a file: `FORMAT[=FILE]`, may be repeated; formats are text, json, sarif, github, junit, checkstyle")
	fix := flags.Bool("fix", false, "mend what can be mended safely, in the files")
	diff := flags.Bool("diff", false, "show what --fix would change, and change nothing")
	baseline := flags.String("baseline", "", "a `FILE` of findings that are known and not reported; redress-lint baseline writes it")
	color := c.colorFlag(flags)
	paths, err := c.parse(flags, args)
	if err == nil {
		err = c.setColor(*color)
	}
	if err != nil {
		return c.refused(args, err)
	}
	sinks, err := c.outputs(outputs)
	if err != nil {
		return err
	}
	defer func() { // a defect: programs that read the report are told, and Main goes on
		if p := recover(); p != nil {
			c.emit(machine(sinks), &report.Run{Version: Version(), Failure: fmt.Sprintf("internal error: %v", p), ExitCode: ExitInternal})
			panic(p)
		}
	}()
	run := func() (*outcome, error) { return c.run(&r, paths, *failOn, *baseline) }
	o, err := run()
	switch {
	case err != nil:
	case *diff:
		return c.showFixes(o)
	case *fix:
		if o, err = c.fix(o, run); err == nil && !o.fails() && len(outputs) == 0 {
			return nil
		}
	}
	if err != nil {
		return c.failed(sinks, err)
	}
	if err := c.write(sinks, o); err != nil {
		return err
	}
	if o.fails() {
		return errFindings
	}
	return nil
}

// run analyses the paths and applies the baseline.
func (c *Command) run(r *request, paths []string, failOn, baseline string) (*outcome, error) {
	if _, ok := dsl.ParseSeverity(failOn); failOn != "" && !ok {
		return nil, usagef("--fail-on is error, warning or info, not %q", failOn)
	}
	o, err := r.analyse(paths, c.stdin(), c.newProgress())
	if err != nil {
		return nil, err
	}
	if failOn == "" {
		failOn = o.config.FailOn
	}
	if failOn != "" {
		o.threshold, _ = dsl.ParseSeverity(failOn)
	}
	if baseline == "" && o.config.Baseline != "" {
		baseline = o.config.Path(o.config.Baseline)
	}
	if baseline != "" {
		return o, o.applyBaseline(baseline)
	}
	return o, nil
}

func (c *Command) stdin() io.Reader {
	if c.Stdin == nil {
		return eof{}
	}
	return c.Stdin
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func (c *Command) print(found dsl.Diagnostics) {
	for _, d := range found {
		d.Print(c.Stdout, dsl.PrintOptions{Color: c.Color})
	}
}

func (c *Command) colorFlag(flags *flag.FlagSet) *string {
	return flags.String("color", "auto", "colour the output: `auto, always or never`")
}

func (c *Command) setColor(mode string) error {
	switch mode {
	case "auto":
	case "always":
		c.Color = true
	case "never":
		c.Color = false
	default:
		return usagef("--color is auto, always or never, not %q", mode)
	}
	return nil
}

// tally counts findings by severity: "2 errors, 1 warning".
func tally(found dsl.Diagnostics) string {
	var n [3]int
	for _, d := range found {
		n[d.Severity]++
	}
	text := ""
	for severity, word := range []string{"error", "warning", "note"} {
		if n[severity] > 0 {
			if text != "" {
				text += ", "
			}
			text += count(n[severity], word)
		}
	}
	if text == "" {
		return "no findings"
	}
	return text
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
