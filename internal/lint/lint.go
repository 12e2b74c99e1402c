package lint

import (
	"flag"
	"fmt"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/load"
)

const functionsUsage = "a strategy function that the program registers with redress.WithStrategy; `NAME`, may be repeated"

// lint checks sets and prints what it finds.
func (c *Command) lint(args []string) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	failOn := flags.String("fail-on", "error", "least severity that makes the exit code 1: `error, warning or info`")
	color := c.colorFlag(flags)
	var functions listFlag
	flags.Var(&functions, "func", functionsUsage)
	paths, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	threshold, ok := dsl.ParseSeverity(*failOn)
	if !ok {
		return usagef("--fail-on is error, warning or info, not %q", *failOn)
	}
	if err := c.setColor(*color); err != nil {
		return err
	}
	sets, err := readPaths(paths)
	if err != nil {
		return err
	}
	var found dsl.Diagnostics
	var files, documents int
	for _, set := range sets {
		result := load.Sources(set.sources, options(functions))
		found = append(found, result.Diagnostics...)
		files += len(set.sources)
		for range result.Set.All() {
			documents++
		}
	}
	c.print(found)
	fmt.Fprintf(c.Stderr, "%s in %s: %s\n", count(documents, "document"), count(files, "file"), tally(found))
	for _, d := range found {
		if d.Severity <= threshold {
			return errFindings
		}
	}
	return nil
}

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
