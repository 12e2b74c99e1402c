package proof

import (
	"context"
	"testing"

	"github.com/redress-policy/redress"
)

func TestTheTableInTheFileIsTheOneThatWasSeen(t *testing.T) {
	f := New(t, "the standard library", "std.context")
	f.Check(t, "a deadline that passes", context.DeadlineExceeded, redress.ClassTransient)
}
