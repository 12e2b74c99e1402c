package lazyregexp

import "testing"

func TestNothingIsCompiledBeforeTheFirstUse(t *testing.T) {
	wrong := New(`(`)
	defer func() {
		if recover() == nil {
			t.Error("a wrong expression was used, and nothing panicked")
		}
	}()
	wrong.MatchString("")
}

func TestItIsCompiledOnce(t *testing.T) {
	digits := New(`^[0-9]+$`)
	if !digits.MatchString("12") || digits.MatchString("x") {
		t.Error("it does not match what it says")
	}
	if n := testing.AllocsPerRun(100, func() { digits.MatchString("12") }); n > 0 {
		t.Errorf("each use allocates %v times", n)
	}
}
