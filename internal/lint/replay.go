package lint

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redress-policy/redress/internal/catalog"
	"github.com/redress-policy/redress/internal/ir"
	"github.com/redress-policy/redress/redressreplay"
)

// maxBadLines is how many lines that cannot be read are told one by one.
const maxBadLines = 20

// replay asks policies about recorded failures.
func (c *Command) replay(args []string) error {
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	policy := flags.String("policy", "", "the policies to try: a `PATH` of a file, a folder or a bundle")
	format := flags.String("format", "text", "`text`, markdown (for a pull request) or json")
	var functions listFlag
	flags.Var(&functions, "func", functionsUsage)
	paths, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	if len(paths) == 0 || *policy == "" {
		return usagef("replay takes recorded events and the policies to try: redress-lint replay events.jsonl --policy NEW")
	}
	if !slices.Contains([]string{"text", "markdown", "json"}, *format) {
		return usagef("--format is text, markdown or json, not %q", *format)
	}
	policies, err := c.tried(*policy, functions)
	if err != nil {
		return err
	}
	comparison := redressreplay.Compare(policies, 1)
	bad := 0
	for _, path := range paths {
		wrong, err := c.replayFile(comparison, path)
		if err != nil {
			return err
		}
		bad += wrong
	}
	if bad > 0 {
		return fmt.Errorf("%s cannot be read, so nothing is said of the others", count(bad, "line"))
	}
	report := comparison.Report()
	if report.Compared == 0 {
		return fmt.Errorf("no failure is recorded there, so nothing was compared")
	}
	if err := printReplay(c.Stdout, *format, &report); err != nil {
		return err
	}
	if report.Differs() {
		return errFindings
	}
	return nil
}

// tried loads the policies that are tried. What is not YAML by its name is a bundle.
func (c *Command) tried(path string, functions []string) (*catalog.Catalog, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, plain(err)
	}
	if ext := filepath.Ext(path); !info.IsDir() && ext != ".yaml" && ext != ".yml" {
		if info.Size() > ir.MaxSize {
			return nil, fmt.Errorf("%s: it has more than %d MiB; no bundle has", path, ir.MaxSize>>20)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, plain(err)
		}
		_, policies, err := ir.Load(data, options(functions))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return catalog.New(policies), nil
	}
	loaded, err := loadTogether([]string{path}, functions)
	if err != nil {
		return nil, err
	}
	if loaded.Diagnostics.HasErrors() {
		c.print(loaded.Diagnostics)
		return nil, fmt.Errorf("%s does not load, so nothing was compared", path)
	}
	return catalog.New(loaded.Program.Build()), nil
}

// replayFile adds the lines of a file, "-" for standard input, and tells of those that
// cannot be read.
func (c *Command) replayFile(comparison *redressreplay.Comparison, path string) (bad int, err error) {
	name, r := filepath.ToSlash(path), c.stdin()
	if path == "-" {
		name = "standard input"
	} else {
		file, err := os.Open(path)
		if err != nil {
			return 0, plain(err)
		}
		defer file.Close()
		r = file
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, redressreplay.MaxLine)
	number := 0
	for lines.Scan() {
		number++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		line, err := redressreplay.ParseLine(text)
		if err == nil {
			err = comparison.Add(line, redressreplay.Place{File: name, Line: number})
		}
		if err != nil {
			if bad++; bad <= maxBadLines {
				fmt.Fprintf(c.Stderr, "%s:%d: error: %v\n", name, number, err)
			}
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return bad, fmt.Errorf("%s:%d: the line has more than %d bytes", name, number+1, redressreplay.MaxLine)
	} else if err != nil {
		return bad, fmt.Errorf("%s: %w", name, cause(err))
	}
	return bad, nil
}

func printReplay(w io.Writer, format string, r *redressreplay.Report) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(r)
	case "markdown":
		printReplayMarkdown(w, r)
	default:
		printReplayText(w, r)
	}
	return nil
}

func printReplayText(w io.Writer, r *redressreplay.Report) {
	for i := range r.Differences {
		d := &r.Differences[i]
		fmt.Fprintf(w, "%s: %s -> %s: %s\n", d.Policy, described(d.Class, d.Rule), described(d.NewClass, d.NewRule), count(int(d.Count), "failure"))
		for _, s := range d.Samples {
			fmt.Fprintf(w, "  for example %v: %v\n", s.Place, s)
		}
	}
	for _, m := range r.Missing {
		fmt.Fprintf(w, "%s: there is no such policy any more: %s\n", m.Policy, count(int(m.Count), "failure"))
	}
	fmt.Fprintln(w, replaySummary(r))
}

func printReplayMarkdown(w io.Writer, r *redressreplay.Report) {
	if r.Differs() {
		fmt.Fprintln(w, "| policy | before | now | failures | for example |\n|---|---|---|---|---|")
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		example := ""
		for _, s := range d.Samples {
			example = fmt.Sprintf("%v: `%s`", s.Place, strings.NewReplacer("|", `\|`, "`", "'").Replace(s.String()))
		}
		fmt.Fprintf(w, "| %s | %s | %s | %d | %s |\n", d.Policy, described(d.Class, d.Rule), described(d.NewClass, d.NewRule), d.Count, example)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(w, "| %s | there | removed | %d | |\n", m.Policy, m.Count)
	}
	if r.Differs() {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, replaySummary(r))
}

// replaySummary says how much was compared, and what makes it less than it seems.
func replaySummary(r *redressreplay.Report) string {
	text := fmt.Sprintf("%s compared, %d classified as before", count(int(r.Compared), "recorded failure"), r.Same)
	if r.Other > 0 {
		text += fmt.Sprintf("; %d differ in still other ways", r.Other)
	}
	if r.Errors > 0 {
		text += fmt.Sprintf("; rules erred on %d", r.Errors)
	}
	if r.Unrecorded > 0 {
		text += fmt.Sprintf("; %d more happened and were not recorded", r.Unrecorded)
	}
	return text
}
