// Command redress-lint checks failure policies, runs their tests and explains what
// they would do. Run it with --help.
package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/redress-policy/redress/internal/lint"
)

func main() {
	postponeCollection()
	command := lint.Command{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Color: lint.WantsColor(os.Stdout), Progress: lint.IsTerminal(os.Stderr),
	}
	os.Exit(command.Main(os.Args[1:]))
}

// postponeCollection lets the heap grow to 32 MB before garbage is collected, where the
// runtime would do so at 4 MB: a run on a few files ends before. From the first collection
// on all is as usual, as GOGC says.
func postponeCollection() {
	usual := debug.SetGCPercent(-1)
	if usual < 0 { // by GOGC=off
		return
	}
	debug.SetGCPercent(8 * usual)
	type collected struct{ _ [16]byte }
	runtime.SetFinalizer(new(collected), func(*collected) { debug.SetGCPercent(usual) })
}
