package dsl

import "github.com/redress-policy/redress/internal/nearest"

// Nearest returns the candidate that word was probably meant to be: the one with
// the least edits (insertions, deletions, substitutions, swaps of neighbours),
// letter case, `-`, `_` and `.` not counted, if at most a third of the longer word
// is edited.
func Nearest(word string, candidates []string) (string, bool) { return nearest.Of(word, candidates) }
