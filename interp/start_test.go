package interp

import (
	"os"
	"os/exec"
	"testing"

	"github.com/redress-policy/redress/dsl"
)

// Nothing of CEL runs before the first policy is compiled: not when a program starts, not
// when sets without policies are, nor when packs are listed and shown; and only packs that are used are read. No other package but
// this one, and the parser that it has made, knows CEL (imports_test.go), so that this holds
// for programs. It is tried in a process in which no other test has compiled a policy.
func TestNothingOfCELRunsBeforeTheFirstPolicy(t *testing.T) {
	const alone = "REDRESS_TEST_ALONE"
	if os.Getenv(alone) == "" {
		test := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		test.Env = append(os.Environ(), alone+"=true")
		if out, err := test.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	unmade := func(after string) {
		t.Helper()
		if base.lang != nil {
			t.Errorf("after %s what is needed of CEL is there", after)
		}
	}
	unmade("the start")
	for _, name := range Packs() {
		text, _ := PackSource(name)
		dsl.Parse(dsl.NewSource(name, text))
	}
	unmade("reading the packs")
	if _, found := compileText("apiVersion: redress/v1\nkind: Budget\nname: b\nmax_retries: 5\nwindow: 1m\n", Options{}); len(found) > 0 {
		t.Fatal(said(found))
	}
	unmade("compiling a set without policies")
	usingPack(t, "std.context")
	if base.lang == nil {
		t.Error("after compiling a policy what is needed of CEL is not there, so that this test says nothing")
	}
	if n := len(builtInPacks.compiler.set.Files); n != 2 { // std.context uses std.marker
		t.Errorf("for a policy that uses two packs %d were read", n)
	}
}
