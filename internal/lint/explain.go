package lint

import (
	"encoding/json"
	"flag"
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
	var functions listFlag
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
	policy, err := c.findPolicy(rest[0], *in, functions)
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
// for in the set at `in`.
func (c *Command) findPolicy(what, in string, functions []string) (*interp.Policy, error) {
	path, name := in, what
	if _, err := os.Stat(what); err == nil {
		path, name = what, ""
	}
	sets, err := readPaths([]string{path}, false)
	if err != nil {
		return nil, err
	}
	loaded := load.Sources(sets[0].sources, options(functions))
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
