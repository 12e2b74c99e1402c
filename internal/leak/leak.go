// Package leak fails a package's tests if they leave a goroutine behind.
package leak

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// Main runs the tests and exits; it is all that a TestMain needs.
func Main(m *testing.M) {
	code := m.Run()
	if left := leaked(); left != "" && code == 0 {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of goroutines that this module started, after giving
// those that are about to end the time to do so.
func leaked() string {
	var left []string
	for range 100 {
		runtime.GC() // contexts that nobody holds let go of their parents
		runtime.Gosched()
		stacks := make([]byte, 1<<22)
		stacks = stacks[:runtime.Stack(stacks, true)]
		left = left[:0]
		for g := range bytes.SplitSeq(stacks, []byte("\n\n")) {
			if s := string(g); strings.Contains(s, "redress") && !strings.Contains(s, "TestMain") {
				left = append(left, s)
			}
		}
		if len(left) == 0 {
			return ""
		}
	}
	return strings.Join(left, "\n\n")
}
