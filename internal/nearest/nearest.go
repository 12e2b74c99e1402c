// Package nearest finds the word that was probably meant.
package nearest

import "strings"

// Of returns the candidate that word was probably meant to be: the one with the least
// edits (insertions, deletions, substitutions, swaps of neighbours), letter case, `-`,
// `_` and `.` not counted, if at most a third of the longer word is edited.
func Of(word string, candidates []string) (string, bool) {
	folded := fold(word)
	best, least := "", maxWord
	for _, c := range candidates {
		other := fold(c)
		if d := distance(folded, other); d < least && d <= max(1, len(folded)/3, len(other)/3) && d < len(folded) {
			best, least = c, d
		}
	}
	return best, best != ""
}

var separators = strings.NewReplacer("-", "", "_", "", ".", "")

func fold(s string) string { return separators.Replace(strings.ToLower(s)) }

// maxWord bounds the words that are compared; longer ones are near to nothing.
const maxWord = 64

// distance is the Damerau-Levenshtein distance with adjacent transpositions.
func distance(a, b string) int {
	if len(a) > maxWord || len(b) > maxWord {
		return len(a) + len(b)
	}
	var rows [3][maxWord + 1]int
	before, row, next := rows[0][:len(b)+1], rows[1][:len(b)+1], rows[2][:len(b)+1]
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
