package lint

import (
	"flag"
	"fmt"
	"regexp"
	"strings"

	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/scenario"
)

// test runs the PolicyTest documents of the sets.
func (c *Command) test(args []string) error {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	run := flags.String("run", "", "run only tests whose POLICY/NAME matches the `regexp`")
	minimum := flags.Float64("min-coverage", 0, "least `percent` of the set's rules that must decide something in the tests")
	verbose := flags.Bool("v", false, "print every test, not only those that fail")
	color := c.colorFlag(flags)
	var functions listFlag
	flags.Var(&functions, "func", functionsUsage)
	paths, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	if *minimum < 0 || *minimum > 100 {
		return usagef("--min-coverage is a percentage from 0 to 100, not %v", *minimum)
	}
	if err := c.setColor(*color); err != nil {
		return err
	}
	var filter *regexp.Regexp
	if *run != "" {
		if filter, err = regexp.Compile(*run); err != nil {
			return usagef("--run: %v", err)
		}
	}
	sets, err := readPaths(paths)
	if err != nil {
		return err
	}
	var total summary
	for _, set := range sets {
		result := load.Sources(set.sources, options(functions))
		if result.Diagnostics.HasErrors() {
			c.print(result.Diagnostics)
			fmt.Fprintf(c.Stderr, "no test was run: %s\n", tally(result.Diagnostics))
			return errFindings
		}
		report := scenario.Run(result.Program, result.Set, scenario.Options{Run: filter})
		c.printReport(report, *verbose)
		total.add(report)
	}
	return c.summarise(total, *minimum)
}

// A summary adds up the reports of several sets.
type summary struct {
	tests, failed int
	coverage      scenario.Coverage
}

func (s *summary) add(r *scenario.Report) {
	s.tests += len(r.Results)
	s.failed += r.Failed()
	s.coverage.Covered += r.Coverage.Covered
	s.coverage.Total += r.Coverage.Total
	s.coverage.Missing = append(s.coverage.Missing, r.Coverage.Missing...)
}

func (c *Command) printReport(report *scenario.Report, verbose bool) {
	for _, result := range report.Results {
		if len(result.Failures) > 0 {
			fmt.Fprint(c.Stdout, result.String())
		} else if verbose {
			fmt.Fprintf(c.Stdout, "ok   %s/%s\n", result.Policy, result.Name)
		}
	}
}

func (c *Command) summarise(total summary, minimum float64) error {
	if total.tests == 0 {
		return usagef("no test was run: the paths hold no PolicyTest case or scenario that --run lets through")
	}
	percent := total.coverage.Percent()
	low := percent < minimum
	if len(total.coverage.Missing) > 0 {
		var missing []string
		for _, rule := range total.coverage.Missing {
			missing = append(missing, rule.Policy+"/"+rule.ID)
		}
		fmt.Fprintf(c.Stdout, "rules that decided nothing: %s\n", strings.Join(missing, ", "))
	}
	fmt.Fprintf(c.Stdout, "%s passed, %d failed; %d of %s covered (%.0f%%)\n",
		count(total.tests-total.failed, "test"), total.failed, total.coverage.Covered, count(total.coverage.Total, "rule"), percent)
	if low {
		fmt.Fprintf(c.Stdout, "coverage %.1f%% is below --min-coverage %v%%\n", percent, minimum)
	}
	if total.failed > 0 || low {
		return errFindings
	}
	return nil
}
