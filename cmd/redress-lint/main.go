// Command redress-lint checks failure policies, runs their tests and explains what
// they would do. Run it with --help.
package main

import (
	"os"

	"github.com/redress-policy/redress/internal/lint"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "lsp" { // which runs as long as the editor
		lint.CollectRarely()
	}
	command := lint.Command{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Color: lint.WantsColor(os.Stdout), Progress: lint.IsTerminal(os.Stderr),
	}
	os.Exit(command.Main(os.Args[1:]))
}
