package cond

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// maxLiterals bounds the texts that a regular expression may stand for.
const maxLiterals = 16

// literalScan returns a test for a regular expression that stands for a few texts, such as
// (?i)busy|overloaded: looking for the texts is much faster. It is nil for others. Where case
// does not count, a text that is not ASCII is left to the regular expression, because case
// folds there in more ways than one.
func literalScan(pattern string) func(s string, re *regexp.Regexp) bool {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	texts, fold, ok := wordsOf(parsed.Simplify())
	if !ok || len(texts) == 0 {
		return nil
	}
	words := make([]word, len(texts))
	for i, text := range texts {
		words[i] = newWord(text)
	}
	if !fold {
		return func(s string, _ *regexp.Regexp) bool {
			for i := range words {
				if words[i].in(s) {
					return true
				}
			}
			return false
		}
	}
	return func(s string, re *regexp.Regexp) bool {
		if !isASCII(s) {
			return re.MatchString(s)
		}
		for i := range words {
			if words[i].inFolded(s) {
				return true
			}
		}
		return false
	}
}

// wordsOf lists the texts that an expression stands for, in lower case if it has no regard
// to case.
func wordsOf(re *syntax.Regexp) (words []string, fold, ok bool) {
	switch re.Op {
	case syntax.OpLiteral:
		word := string(re.Rune)
		fold = re.Flags&syntax.FoldCase != 0
		if !isASCII(word) || word == "" {
			return nil, false, false
		}
		if fold {
			word = strings.ToLower(word)
		}
		return []string{word}, fold, true
	case syntax.OpCapture:
		return wordsOf(re.Sub[0])
	case syntax.OpAlternate:
		for i, sub := range re.Sub {
			more, folds, ok := wordsOf(sub)
			if !ok || i > 0 && folds != fold || len(words)+len(more) > maxLiterals {
				return nil, false, false
			}
			words, fold = append(words, more...), folds
		}
		return words, fold, true
	case syntax.OpConcat:
		return product(re.Sub)
	}
	return nil, false, false
}

// product lists the texts of a sequence: each of one part followed by each of the next.
func product(parts []*syntax.Regexp) (words []string, fold, ok bool) {
	words = []string{""}
	for i, part := range parts {
		next, folds, ok := wordsOf(part)
		if !ok || i > 0 && folds != fold || len(words)*len(next) > maxLiterals {
			return nil, false, false
		}
		var longer []string
		for _, a := range words {
			for _, b := range next {
				longer = append(longer, a+b)
			}
		}
		words, fold = longer, folds
	}
	return words, fold, true
}

func isASCII(s string) bool {
	for len(s) >= 8 {
		eight := s[:8]
		if (eight[0]|eight[1]|eight[2]|eight[3]|eight[4]|eight[5]|eight[6]|eight[7])&utf8.RuneSelf != 0 {
			return false
		}
		s = s[8:]
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// A word is looked for in texts by the letter of it that they have least of.
type word struct {
	text   string // not empty
	rare   int    // where that letter is in it
	letter byte
}

// byFrequency are bytes as they are frequent in the errors of Go's standard library, with
// the digits of addresses, the most frequent first. Those that it does not have are rare.
const byFrequency = " etnioarsdlcpum:.fvg0123456789h-/ywbxkqjz"

// newWord makes a word of a text that is not empty.
func newWord(text string) word {
	w := word{text: text}
	rarest := -1
	for i := range len(text) {
		rank := strings.IndexByte(byFrequency, text[i])
		if rank < 0 {
			rank = len(byFrequency)
		}
		if rank > rarest {
			rarest, w.rare, w.letter = rank, i, text[i]
		}
	}
	return w
}

// maxMisses is how often the letter may be found without the word around it before the
// search is left to one that takes no longer for that.
const maxMisses = 8

// in looks for the word.
func (w *word) in(s string) bool {
	for range maxMisses {
		room := len(s) - len(w.text)
		if room < 0 {
			return false
		}
		i := strings.IndexByte(s[w.rare:w.rare+room+1], w.letter)
		if i < 0 {
			return false
		}
		if s[i] == w.text[0] && s[i:i+len(w.text)] == w.text {
			return true
		}
		s = s[i+1:]
	}
	return strings.Contains(s, w.text)
}

// inFolded looks for the word, which is in lower case, in a text that is ASCII, without
// regard to case.
func (w *word) inFolded(s string) bool {
	upper := w.letter
	if 'a' <= upper && upper <= 'z' {
		upper -= 'a' - 'A'
	}
	for len(s) >= len(w.text) {
		i := nextFold(s[w.rare:len(s)-len(w.text)+w.rare+1], w.letter, upper)
		if i < 0 {
			return false
		}
		if equalFold(s[i:i+len(w.text)], w.text) {
			return true
		}
		s = s[i+1:]
	}
	return false
}

// nextFold finds the first of two bytes.
func nextFold(s string, a, b byte) int {
	i := strings.IndexByte(s, a)
	if a == b {
		return i
	}
	if i >= 0 {
		s = s[:i]
	}
	if j := strings.IndexByte(s, b); j >= 0 {
		return j
	}
	return i
}

func equalFold(s, word string) bool {
	for i := 0; i < len(word); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
