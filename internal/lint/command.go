// Package lint is redress-lint: it checks policy files, runs their tests, and
// explains what a policy would do.
package lint

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"strings"

	"github.com/redress-policy/redress/dsl"
)

// Exit codes of redress-lint. They are a contract with CI jobs.
const (
	ExitClean    = 0 // ran; nothing at or above --fail-on, every test passed
	ExitFindings = 1 // ran; something was found, a test failed, or coverage is too low
	ExitUsage    = 2 // could not do what was asked: a wrong flag, an unreadable path, nothing to check
	ExitInternal = 3 // a defect of the linter itself
)

// A Command runs redress-lint with the streams given, so that tests need no process.
type Command struct {
	Stdin          io.Reader // nil means empty
	Stdout, Stderr io.Writer
	Color          bool // whether Stdout is a terminal that wants colour
	Progress       bool // whether Stderr is a terminal, on which long runs show how far they are
}

// A verb is one sub-command. Linting is the verb without a name.
type verb struct {
	name, args, summary string
	run                 func(*Command, []string) error
}

// verbs lists the sub-commands in the order in which help shows them.
func verbs() []verb {
	return []verb{
		{"lint", "PATH…", "check files and folders of policies; lint may be left out", (*Command).lint},
		{"test", "PATH…", "run the PolicyTest documents", (*Command).test},
		{"explain", "POLICY --err '{status: 429}'", "say which rules a failure meets and what would be done", (*Command).explain},
		{"envelope", "PATH…", "print what calls can cost at most: attempts, time, sleeps", (*Command).envelope},
		{"fmt", "PATH…", "write policy files in their canonical form", (*Command).format},
		{"diff", "OLD NEW", "say for which failures two versions of policies decide differently", (*Command).diff},
		{"replay", "EVENTS… --policy NEW", "say which recorded failures other policies decide differently", (*Command).replay},
		{"import", "--from SYSTEM FILE", "make policies of what gRPC, Envoy, Istio, resilience4j or Polly are told", (*Command).importing},
		{"build", "PATH… -o FILE", "write checked, compiled policies as a bundle, for programs without YAML and CEL", (*Command).build},
		{"init", "[FOLDER]", "write a first policy with its tests", (*Command).init},
		{"rules", "[RULE…]", "list what can be found, or explain some of it", (*Command).rules},
		{"baseline", "PATH…", "write the findings of today as known ones", (*Command).baseline},
		{"show", "NAME", "print a built-in rule pack, list them all, or say what a bundle holds", (*Command).show},
		{"schema", "", "print the JSON Schema of policy files", (*Command).schema},
		{"lsp", "", "serve an editor: the Language Server Protocol on standard input and output", (*Command).languageServer},
		{"completion", "SHELL", "print completions for bash, zsh or fish", (*Command).completion},
		{"version", "", "print the version", (*Command).version},
	}
}

// errFindings is what a verb returns when it ran and found something.
var errFindings = errors.New("findings")

// A usageError is a request that makes no sense.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// Main runs the command line without the program's name and returns the exit code.
func (c *Command) Main(args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(c.Stderr, "redress-lint %s: internal error: %v\n%s\nplease report this with the file that caused it\n", Version(), r, debug.Stack())
			code = ExitInternal
		}
	}()
	err := c.dispatch(args)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ExitClean
	case errors.Is(err, errFindings):
		return ExitFindings
	}
	fmt.Fprintf(c.Stderr, "redress-lint: %v\n", err)
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(c.Stderr, "redress-lint --help shows how to use it")
	}
	return ExitUsage
}

func (c *Command) dispatch(args []string) error {
	if len(args) == 0 {
		c.usage(c.Stderr)
		return usagef("nothing to check: name a file or a folder")
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		c.usage(c.Stdout)
		return nil
	}
	if args[0] == "-version" || args[0] == "--version" {
		return c.version(nil)
	}
	var names []string
	for _, v := range verbs() {
		if v.name == args[0] {
			return v.run(c, args[1:])
		}
		names = append(names, v.name)
	}
	err := c.lint(args)
	if near, ok := dsl.Nearest(args[0], names); ok && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; did you mean the verb %s?", err, near)
	}
	return err
}

func (c *Command) usage(w io.Writer) {
	fmt.Fprintln(w, "redress-lint checks failure policies.")
	fmt.Fprintln(w)
	for _, v := range verbs() {
		call := strings.TrimSpace(strings.TrimSpace("redress-lint "+v.name) + " " + v.args)
		fmt.Fprintf(w, "  %-50s %s\n", call, v.summary)
	}
	fmt.Fprintln(w, `
Files named one by one form one set together; each folder is a set of its own. A
folder called like a verb is written with a dot: redress-lint ./test.

The flags of checking are shown by redress-lint lint --help, those of another verb by
redress-lint VERB --help.

Exit codes: 0 nothing found, 1 findings or failed tests, 2 the request could not
be carried out, 3 an internal error.`)
}

// parse reads flags wherever they stand among the arguments and returns the rest.
func (c *Command) parse(flags *flag.FlagSet, args []string) ([]string, error) {
	flags.SetOutput(io.Discard)
	var rest []string
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				c.flagHelp(flags)
				return nil, err
			}
			return nil, wrongFlag(flags, err)
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		// Parse stops at an argument, or behind "--", after which all are arguments.
		if at := len(args) - flags.NArg(); at > 0 && args[at-1] == "--" {
			return append(rest, flags.Args()...), nil
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// wrongFlag says what is wrong with a flag, and which was probably meant.
func wrongFlag(flags *flag.FlagSet, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return usagef("%v", err)
	}
	var names []string
	flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if near, ok := dsl.Nearest(name, names); ok {
		return usagef("there is no flag --%s; did you mean --%s?", name, near)
	}
	return usagef("there is no flag --%s", name)
}

func (c *Command) flagHelp(flags *flag.FlagSet) {
	for _, v := range verbs() {
		if v.name == flags.Name() {
			fmt.Fprintf(c.Stdout, "usage: %s\n\n%s.\n", strings.TrimSpace(strings.TrimSpace("redress-lint "+v.name)+" "+v.args), v.summary)
		}
	}
	printed := false
	flags.VisitAll(func(f *flag.Flag) {
		if !printed {
			fmt.Fprintln(c.Stdout, "\nflags:")
			printed = true
		}
		name, usage := flag.UnquoteUsage(f)
		if name != "" {
			name = " " + name
		}
		fmt.Fprintf(c.Stdout, "  --%-24s %s", f.Name+name, usage)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			fmt.Fprintf(c.Stdout, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(c.Stdout)
	})
}

// Version is the module version that the program was built from, "(devel)" for a
// build from a checkout.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func (c *Command) version(args []string) error {
	rest, err := c.parse(flag.NewFlagSet("version", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("version takes no arguments")
	}
	_, err = fmt.Fprintln(c.Stdout, "redress-lint", Version())
	return err
}
