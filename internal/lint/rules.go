package lint

import (
	"encoding/json"
	"flag"
	"fmt"

	"github.com/redress-policy/redress/internal/rules"
)

// rules lists the rules, or prints the pages of some.
func (c *Command) rules(args []string) error {
	flags := flag.NewFlagSet("rules", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print JSON")
	names, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	list := rules.All()
	if len(names) > 0 {
		list = nil
		for _, name := range names {
			rule, ok := rules.Find(name)
			if !ok {
				return unknownRule("rules", name)
			}
			list = append(list, rule)
		}
	}
	if *asJSON {
		return c.rulesJSON(list)
	}
	for i, r := range list {
		if len(names) > 0 {
			if i > 0 {
				fmt.Fprintln(c.Stdout)
			}
			fmt.Fprintf(c.Stdout, "# %s %s\n\n%s", r.Code.ID, r.Code.Slug, r.Markdown())
			continue
		}
		severity := r.Severity.String()
		if r.Off {
			severity = "off"
		}
		fmt.Fprintf(c.Stdout, "%s  %-8s %-28s %s\n", r.Code.ID, severity, r.Code.Slug, r.Summary)
	}
	return nil
}

func (c *Command) rulesJSON(list []rules.Rule) error {
	type entry struct {
		ID       string `json:"id"`
		Slug     string `json:"slug"`
		Category string `json:"category"`
		Severity string `json:"severity"`
		Enabled  bool   `json:"enabled"`
		Fixable  bool   `json:"fixable"`
		Fixed    bool   `json:"fixed"` // keeps a set from loading
		Summary  string `json:"summary"`
		What     string `json:"what"`
		Why      string `json:"why"`
		Source   string `json:"source,omitempty"`
		Page     string `json:"page"`
	}
	entries := []entry{}
	for _, r := range list {
		entries = append(entries, entry{r.Code.ID, r.Code.Slug, r.Category(), r.Severity.String(), !r.Off, r.Fixable, r.Fixed, r.Summary, r.What, r.Why, r.Source, "docs/rules/" + r.Page()})
	}
	e := json.NewEncoder(c.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(entries)
}
