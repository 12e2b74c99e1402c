// Command redress-lint checks failure policies, runs their tests and explains what
// they would do. Run it with --help.
package main

import (
	"os"

	"github.com/redress-policy/redress/internal/lint"
)

func main() {
	command := lint.Command{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Color: lint.WantsColor(os.Stdout), Progress: lint.IsTerminal(os.Stderr),
	}
	os.Exit(command.Main(os.Args[1:]))
}
