package lint

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// explain says what a policy makes of one failure or result.
func (c *Command) explain(args []string) error {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	in := flags.String("in", ".", "where the policy stands when POLICY is a name: a file or folder `PATH`")
	failure := flags.String("err", "", "the failure, as tests write it: `'{status: 429, code: RATE}'`")
	result := flags.String("result", "", "the result, for calls that return no error: `'{status: 202}'`")
	operation := flags.String("operation", "", "the call's operation `NAME`")
	attempt := flags.Int("attempt", 1, "the attempt that failed, from 1")
	elapsed := flags.Duration("elapsed", 0, "time since the call began")
	remaining := flags.Duration("remaining", 0, "time until the deadline (default: the policy's deadline less --elapsed)")
	notIdempotent := flags.Bool("not-idempotent", false, "the call must not be made twice")
	asJSON := flags.Bool("json", false, "print JSON")
	var functions, layers listFlag
	flags.Var(&layers, "layer", "a layer `NAME=PATH` of the set, a file or folder; may be repeated, later ones over earlier ones")
	flags.Var(&functions, "func", functionsUsage)
	rest, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usagef("explain takes one policy: a name, or a file that holds one policy")
	}
	if (*failure == "") == (*result == "") {
		return usagef("explain takes either --err or --result")
	}
	if *attempt < 1 {
		return usagef("--attempt counts from 1, not %d", *attempt)
	}
	inGiven := false
	flags.Visit(func(f *flag.Flag) { inGiven = inGiven || f.Name == "in" })
	if len(layers) > 0 && inGiven {
		return usagef("--in names the one folder of a set, and --layer one of several: give either")
	}
	policy, err := c.findPolicy(rest[0], *in, layers, functions)
	if err != nil {
		return err
	}
	name, text, cause := "--err", *failure, engine.CauseError
	if *result != "" {
		name, text, cause = "--result", *result, engine.CauseResult
	}
	record, err := c.record(policy, name, text)
	if err != nil {
		return err
	}
	input := &engine.Input{
		Failure: record, Operation: *operation, Attempt: *attempt, Elapsed: *elapsed,
		Remaining: max(policy.Deadline()-*elapsed, time.Duration(0)), Idempotent: !*notIdempotent,
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "remaining" {
			input.Remaining = *remaining
		}
	})
	explanation := policy.Explain(input, cause)
	if *asJSON {
		encoder := json.NewEncoder(c.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(explanation)
	}
	explanation.Print(c.Stdout)
	return nil
}

// findPolicy takes a path that holds one policy, or a policy's name to be looked
// for in the set at `in` or in that of the layers.
func (c *Command) findPolicy(what, in string, layers, functions []string) (*interp.Policy, error) {
	path, name := in, what
	var sources []*dsl.Source
	if len(layers) > 0 {
		var err error
		if sources, err = readLayers(layers); err != nil {
			return nil, err
		}
		path = "the layers"
	} else {
		if _, err := os.Stat(what); err == nil {
			path, name = what, ""
		}
		sets, err := readPaths([]string{path}, false)
		if err != nil {
			return nil, err
		}
		sources = sets[0].sources
	}
	loaded := load.Sources(sources, options(functions))
	if loaded.Diagnostics.HasErrors() {
		c.print(loaded.Diagnostics)
		return nil, errFindings
	}
	var all []string
	for _, p := range loaded.Program.Policies() {
		all = append(all, p.Name())
	}
	if name == "" && len(all) == 1 {
		name = all[0]
	}
	if name == "" {
		return nil, usagef("%s holds %d policies; name one and pass --in %s", path, len(all), path)
	}
	if policy := loaded.Program.Policy(name); policy != nil {
		return policy, nil
	}
	if near, ok := dsl.Nearest(name, all); ok {
		return nil, usagef("no policy in %s is called %q; did you mean %q?", path, name, near)
	}
	return nil, usagef("no policy in %s is called %q; it has %s", path, name, strings.Join(all, ", "))
}

// readLayers reads the sources of layers, NAME=PATH each. A folder without files is an
// empty layer, as it is to a program; that all are is an error.
func readLayers(layers []string) ([]*dsl.Source, error) {
	var all []*dsl.Source
	seen := map[string]bool{}
	for i, layer := range layers {
		name, path, ok := strings.Cut(layer, "=")
		switch {
		case !ok || strings.TrimSpace(name) == "" || strings.TrimSpace(path) == "":
			return nil, usagef("--layer takes NAME=PATH, as in base=policies, not %q", layer)
		case seen[name]:
			return nil, usagef("two layers are called %q", name)
		}
		seen[name] = true
		sets, err := readPaths([]string{path}, true)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", name, err)
		}
		for _, set := range sets {
			for _, source := range set.sources {
				source.Layer, source.LayerName = i, name
				all = append(all, source)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the layers: %w", load.ErrNoFiles)
	}
	return all, nil
}

// record reads a record from the command line.
func (c *Command) record(policy *interp.Policy, flagName, text string) (*engine.Failure, error) {
	written, found := dsl.ParseRecord(dsl.NewSource(flagName, []byte(text)))
	if found.HasErrors() {
		c.print(found)
		return nil, errFindings
	}
	record, more := policy.Failure(written)
	if more.HasErrors() {
		c.print(more)
		return nil, errFindings
	}
	return record, nil
}
