package redresstest_test

import (
	"os"
	"testing"

	"github.com/redress-policy/redress/redresstest"
)

// TestScenariosOfTheSemantics runs testdata/scenarios: one file for every letter of
// the semantics whose behaviour can be told as calls one after the other.
func TestScenariosOfTheSemantics(t *testing.T) {
	redresstest.Run(t, os.DirFS("../testdata/scenarios"))
}
