package analysis

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var somePatterns = []string{
	"", "a", "^a", "a$", "^a$", "b+", "^[ab]*$", "^[^a]*$", "(?i)aB", "^(a|b0)+$", "a.b", "(?s)a.b", `\ba\b`, `\Ba`, "(?m)^b$", "^.{2}$", "^$", "[[:upper:]]", `\d`, `é`, "a{2,3}", "(a|b)*0$", "x?", "(?i)é",
}

// TestTextsAreFoundOrProvenAbsent holds the search for a text against all short texts
// of an alphabet: what is proven absent is not among them, and what is found is right.
func TestTextsAreFoundOrProvenAbsent(t *testing.T) {
	words := allTexts([]string{"a", "b", "A", "0", "\n", "é", "É", "\xff"}, 4)
	d := rand.New(rand.NewPCG(1, 2))
	found, absent := 0, 0
	for range 400 {
		var questions []question
		var asks []func(string) bool
		var spelled []string
		for range 1 + d.IntN(3) {
			m, ask, text := someQuestion(d)
			answer := d.IntN(3) > 0
			questions = append(questions, question{m, answer})
			asks = append(asks, func(text string) bool { return ask(text) == answer })
			spelled = append(spelled, text)
		}
		fits := func(text string) bool {
			return !slices.ContainsFunc(asks, func(ask func(string) bool) bool { return !ask(text) })
		}
		text, ok, known := textFor(questions, new(int))
		switch {
		case ok && !fits(text):
			t.Errorf("%q is no text for %q, %v", text, spelled, questions)
		case ok:
			found++
		case known:
			absent++
			if i := slices.IndexFunc(words, fits); i >= 0 {
				t.Errorf("there is a text for %q, %v: %q", spelled, questions, words[i])
			}
		}
	}
	if found < 100 || absent < 30 {
		t.Errorf("%d found, %d absent: too few of a kind", found, absent)
	}
}

func someQuestion(d *rand.Rand) (m machine, ask func(string) bool, spelled string) {
	switch d.IntN(5) {
	case 4:
		with := allTexts([]string{"a", "b", "0"}, 2)[d.IntN(13)]
		m, ask, spelled = ordering{"<=", with}, func(text string) bool { return text <= with }, "<= "+with
	case 0:
		literals := oneOf{allTexts([]string{"a", "b", "0"}, 2)[d.IntN(13)], "ab"}
		m, ask, spelled = literals, func(text string) bool { return slices.Contains(literals, text) }, strings.Join(literals, "|")
	case 1:
		n := int64(d.IntN(4))
		m, ask, spelled = size{n + 1, func(k int64) bool { return k <= n }}, func(text string) bool { return int64(utf8.RuneCountInString(text)) <= n }, "size"
	default:
		spelled = somePatterns[d.IntN(len(somePatterns))]
		m, ask = pattern(spelled), regexp.MustCompile(spelled).MatchString
	}
	if asked := ask; d.IntN(3) == 0 {
		return mapped{m, lowerRune}, func(text string) bool { return asked(mapASCII(text, 'A', 'Z', 'a'-'A')) }, spelled + " lower"
	}
	return m, ask, spelled
}

// allTexts are the texts of up to n letters.
func allTexts(letters []string, n int) []string {
	texts := []string{""}
	for last := texts; n > 0; n-- {
		var longer []string
		for _, text := range last {
			for _, letter := range letters {
				longer = append(longer, text+letter)
			}
		}
		texts, last = append(texts, longer...), longer
	}
	return texts
}

func TestPatternsThatNameTheReplacementCharacterAreNotUnderstood(t *testing.T) {
	for _, text := range []string{"\ufffd", "[\ufff0-\ufffd]"} {
		if pattern(text) != nil {
			t.Errorf("%q has a machine", text)
		}
	}
}
