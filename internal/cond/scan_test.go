package cond

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestWordsAreFoundWhereTheyAre looks for words of few letters in texts of few letters, so
// that their rarest letter is often found without them.
func TestWordsAreFoundWhereTheyAre(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	write := func(letters string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	found := 0
	for range 200_000 {
		w := newWord(write("etqz", 1+r.IntN(5)))
		s := write("etqzETQZ", r.IntN(40))
		if got, want := w.inFolded(s), strings.Contains(strings.ToLower(s), w.text); got != want {
			t.Fatalf("%q in %q without regard to case: %t", w.text, s, got)
		}
		s = strings.ToLower(s)
		want := strings.Contains(s, w.text)
		if got := w.in(s); got != want {
			t.Fatalf("%q in %q: %t", w.text, s, got)
		}
		if want {
			found++
		}
	}
	if found < 50_000 || found > 150_000 {
		t.Errorf("%d of 200000 were found", found)
	}
}
