package schema

import "strings"

// The patterns of the schema that most documents meet are told without regular
// expressions, which take longer to compile than a document takes to read. A test holds
// each to its pattern.

// isSaid is the pattern \S.
func isSaid(s string) bool { return strings.Trim(s, "\t\n\f\r ") != "" }

// isOwn is the pattern ^x-, of keys that are the user's.
func isOwn(s string) bool { return strings.HasPrefix(s, "x-") }

// isName is the pattern of names: letters, digits, `-`, `_` and `.`, beginning with a letter
// or a digit.
func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return s != ""
}

// isIdentifier is the pattern of names that expressions can read, and of those that are the
// user's.
func isIdentifier(s string) bool {
	if isOwn(s) {
		return !strings.Contains(s, "\n")
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && c != '_' && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return s != ""
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isDurationOrZero is the pattern of durations.
func isDurationOrZero(s string) bool {
	s = strings.TrimPrefix(s, "+")
	ok, _ := scanDuration(s)
	return ok || s == "0"
}

// isDuration is the pattern of durations that are more than nothing.
func isDuration(s string) bool {
	ok, positive := scanDuration(strings.TrimPrefix(s, "+"))
	return ok && positive
}

// scanDuration reports whether a text is numbers with units, at least one, and whether any
// of them is more than zero.
func scanDuration(s string) (ok, positive bool) {
	for s != "" {
		end := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if end < 0 {
			return false, false
		}
		number, unit := s[:end], unitOf(s[end:])
		if strings.Count(number, ".") > 1 || strings.Trim(number, ".") == "" || unit == "" {
			return false, false
		}
		positive = positive || strings.Trim(number, "0.") != ""
		s, ok = s[end+len(unit):], true
	}
	return ok, positive
}

// unitOf is the unit that a text begins with, "" if it begins with none.
func unitOf(s string) string {
	for _, unit := range [...]string{"ns", "us", "\u00b5s", "\u03bcs", "ms", "s", "m", "h"} {
		if strings.HasPrefix(s, unit) {
			return unit
		}
	}
	return ""
}
