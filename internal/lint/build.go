package lint

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/ir"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// build writes a set as a bundle.
func (c *Command) build(args []string) error {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	output := flags.String("o", "", "the `FILE` to write, - for standard output")
	positions := flags.Bool("positions", false, "keep where each rule is written, for explanations")
	var functions listFlag
	flags.Var(&functions, "func", functionsUsage)
	paths, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	if *output == "" {
		return usagef("name the file to write: -o policies.rbundle")
	}
	loaded, err := loadTogether(paths, functions)
	if err != nil {
		return err
	}
	if loaded.Diagnostics.HasErrors() {
		c.print(loaded.Diagnostics)
		return errFindings
	}
	if c.refuseOverrides(loaded.Set) || c.refuseFallbacks(loaded.Program) {
		return errFindings
	}
	set := loaded.Program.IR()
	if !*positions {
		set = set.WithoutPlaces()
	}
	data, err := ir.Encode(set)
	if err != nil {
		return err
	}
	told := c.Stdout
	if *output == "-" {
		told = c.Stderr
		_, err = c.Stdout.Write(data)
	} else {
		err = writeFile(*output, data)
	}
	if err != nil {
		return err
	}
	return tellBundle(told, "wrote "+filepath.ToSlash(*output), data)
}

// loadTogether loads what all paths name as one set.
func loadTogether(paths, functions []string) (*load.Result, error) {
	sets, err := readPaths(paths, false)
	if err != nil {
		return nil, err
	}
	var sources []*dsl.Source
	for _, set := range sets {
		sources = append(sources, set.sources...)
	}
	loaded := load.Sources(sources, options(functions))
	if !loaded.Diagnostics.HasErrors() && len(loaded.Program.Policies()) == 0 {
		return nil, fmt.Errorf("there is no policy in these files")
	}
	return loaded, nil
}

// refuseOverrides names the overrides of a set, also those that have expired: whether a
// set can be built must not depend on the day.
func (c *Command) refuseOverrides(set *dsl.Set) bool {
	var found dsl.Diagnostics
	for doc := range set.All() {
		if doc.Override != nil {
			found = append(found, dsl.Diagnostic{
				Range: doc.Name.Range, Code: dsl.CodeUnavailable,
				Message: fmt.Sprintf("override %s of policy %s ends on a day, and what a bundle holds does not change", doc.Name.V, doc.Override.Policy.V),
				Help:    "build without it: keep overrides in a folder of their own; to switch off a policy of a bundle, write its mode and build again",
			})
		}
	}
	c.print(found)
	return len(found) > 0
}

// refuseFallbacks names the expressions that need CEL when they run.
func (c *Command) refuseFallbacks(program *interp.Program) bool {
	said := map[dsl.Range]bool{}
	for _, p := range program.Policies() {
		for _, f := range p.Fallbacks() {
			if said[f.Range] {
				continue
			}
			said[f.Range] = true
			fmt.Fprintf(c.Stdout, "%s: error: policy %s, rule %s: %s needs the CEL library when it runs, and a bundle runs without\n", f.Range, f.Policy, f.Rule, f.Text)
		}
	}
	return len(said) > 0
}

// tellBundle says in one line what a bundle holds.
func tellBundle(w io.Writer, name string, data []byte) error {
	b, err := ir.Decode(data)
	if err != nil {
		return err
	}
	rules := 0
	for _, p := range b.Set.Policies {
		for _, list := range p.Lists() {
			rules += len(list.Rules)
		}
	}
	policies := fmt.Sprintf("%d policies", len(b.Set.Policies))
	if len(b.Set.Policies) == 1 {
		policies = "1 policy"
	}
	_, err = fmt.Fprintf(w, "%s: %s with %s, %d bytes, format %d, sha256 %s\n", name, policies, count(rules, "rule"), len(data), b.Version, b.Digest)
	return err
}

// showBundle tells what a bundle holds.
func (c *Command) showBundle(name string) error {
	info, err := os.Stat(name)
	if err == nil && info.Size() > ir.MaxSize {
		return fmt.Errorf("%s: it has more than %d MiB; no bundle has", name, ir.MaxSize>>20)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return plain(err)
	}
	b, err := ir.Decode(data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := tellBundle(c.Stdout, filepath.ToSlash(name), data); err != nil {
		return err
	}
	if name := b.Set.FallbackPolicy; name != "" {
		fmt.Fprintf(c.Stdout, "fallback_policy %s\n", name)
	}
	for _, p := range b.Set.Policies {
		fmt.Fprintf(c.Stdout, "\n%s, revision %s\n", p.Name, p.Revision)
		for _, op := range p.Operations {
			fmt.Fprintf(c.Stdout, "  operation %s\n", op)
		}
		for i, list := range []string{"classify", "classify_result", "select"} {
			c.showRules(list, p.Lists()[i].Rules)
		}
	}
	return nil
}

func (c *Command) showRules(list string, rules []*ir.Rule) {
	for _, r := range rules {
		line := "  " + list + " " + r.ID
		if list != "select" {
			line += " " + r.Class.String()
		}
		if r.Place.File != "" {
			line += " " + r.Place.String()
		}
		fmt.Fprintln(c.Stdout, line)
	}
}
