package lint

import (
	"flag"
	"fmt"
	"regexp"
	"strings"

	"github.com/redress-policy/redress/internal/report"
	"github.com/redress-policy/redress/internal/scenario"
)

// test runs the PolicyTest documents of the sets.
func (c *Command) test(args []string) error {
	var r request
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	r.flags(flags)
	run := flags.String("run", "", "run only tests whose POLICY/NAME matches the `regexp`")
	minimum := flags.Float64("min-coverage", 0, "least `percent` of the set's rules that must decide something in the tests")
	parts := flags.Bool("parts", false, "list the parts of conditions that the tests have not seen both true and false")
	suggest := flags.Bool("suggest", false, "write test cases for what the tests leave out")
	junit := flags.String("junit", "", "write the results as JUnit XML to a `FILE`")
	verbose := flags.Bool("v", false, "print every test, not only those that fail")
	color := c.colorFlag(flags)
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
	_, sets, err := r.load(paths, c.stdin())
	if err != nil {
		return err
	}
	var total summary
	for _, set := range sets {
		if set.Diagnostics.HasErrors() {
			c.print(set.Diagnostics)
			fmt.Fprintf(c.Stderr, "no test was run: %s\n", tally(set.Diagnostics))
			return errFindings
		}
		ran := scenario.Run(set.Program, set.Set, scenario.Options{Run: filter})
		if *suggest {
			fmt.Fprint(c.Stdout, suggestions(set.Program, ran.Coverage))
			continue
		}
		c.printReport(ran, *verbose)
		total.add(ran)
	}
	if *suggest {
		return nil
	}
	if *parts {
		c.printParts(total.coverage)
	}
	if *junit != "" {
		if err := c.emit([]sink{{"junit", *junit}}, &report.Run{Version: Version(), Tests: total.results}); err != nil {
			return err
		}
	}
	return c.summarise(total, *minimum)
}

// A summary adds up the reports of several sets.
type summary struct {
	tests, failed int
	coverage      scenario.Coverage
	results       []report.Test
}

func (s *summary) add(r *scenario.Report) {
	s.tests += len(r.Results)
	s.failed += r.Failed()
	s.coverage.Covered += r.Coverage.Covered
	s.coverage.Total += r.Coverage.Total
	s.coverage.Missing = append(s.coverage.Missing, r.Coverage.Missing...)
	s.coverage.Parts = append(s.coverage.Parts, r.Coverage.Parts...)
	for _, result := range r.Results {
		one := report.Test{Suite: result.Policy, Name: result.Name, File: result.Range.Source.Name, Line: result.Range.Position().Line}
		if len(result.Failures) > 0 {
			one.Failure = result.String()
		}
		s.results = append(s.results, one)
	}
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

func (c *Command) printParts(coverage scenario.Coverage) {
	for _, p := range coverage.Parts {
		missing := "true or false"
		switch {
		case p.True && p.False:
			continue
		case p.True:
			missing = "false"
		case p.False:
			missing = "true"
		}
		fmt.Fprintf(c.Stdout, "%s/%s: %s was never %s\n", p.Policy, p.Rule, p.Text, missing)
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
