package dsl

import (
	"math/rand/v2"
	"regexp"
	"testing"
)

// The forms of numbers and names are told without regular expressions, which would have to
// be compiled at each start: these are what they are.
func TestFormsOfNumbersAndNamesAreTheirRegularExpressions(t *testing.T) {
	for _, form := range []struct {
		name    string
		pattern *regexp.Regexp
		is      func(string) bool
		letters string
	}{
		{"integer", regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`), isPlainInteger, "--+0019 e.\n"},
		{"number", regexp.MustCompile(`^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$`), isPlainNumber, "-+..eE0019 \n"},
		{"name", regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`), isName, "aAzZ09._-@[`{/: \n\xc3é"},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		right := 0
		for range 50_000 {
			text := make([]byte, r.IntN(8))
			for i := range text {
				text[i] = form.letters[r.IntN(len(form.letters))]
			}
			want := form.pattern.Match(text)
			if got := form.is(string(text)); got != want {
				t.Errorf("%q is a plain %s: %t, want %t", text, form.name, got, want)
			}
			if want {
				right++
			}
		}
		if right < 500 {
			t.Errorf("of the texts only %d are a plain %s, so that this test says little", right, form.name)
		}
	}
}
