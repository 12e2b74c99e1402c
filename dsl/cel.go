package dsl

import "strings"

// A celText is what can be seen of an expression without knowing its grammar.
type celText struct {
	comments []int // code points at which // comments begin
	closed   bool  // brackets and quotes all have their other end
}

// readCEL passes over an expression, its strings told apart from the rest.
func readCEL(text string) celText {
	runes := []rune(text)
	t := celText{closed: true}
	depth := 0
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '/':
			if i+1 < len(runes) && runes[i+1] == '/' {
				t.comments = append(t.comments, i)
				for i < len(runes) && runes[i] != '\n' {
					i++
				}
			}
		case '"', '\'':
			end := celString(runes, i)
			if end < 0 {
				t.closed = false
				return t
			}
			i = end - 1
		}
		t.closed = t.closed && depth >= 0
	}
	t.closed = t.closed && depth == 0
	return t
}

// celString returns the place behind the string that begins with the quote at i, -1
// if it does not end. Three quotes begin a string that goes over lines; an r before
// it says that backslashes are no escapes.
func celString(runes []rune, i int) (end int) {
	quote, width := runes[i], 1
	if i+2 < len(runes) && runes[i+1] == quote && runes[i+2] == quote {
		width = 3
	}
	raw := isRaw(runes[:i])
	for i += width; i+width <= len(runes); i++ {
		switch {
		case runes[i] == '\\' && !raw:
			i++
		case runes[i] == '\n' && width == 1:
			return -1
		case runes[i] == quote && (width == 1 || runes[i+1] == quote && runes[i+2] == quote):
			return i + width
		}
	}
	return -1
}

// isRaw reports whether a string behind before is raw: whether the last word is r,
// perhaps together with the b of bytes.
func isRaw(before []rune) bool {
	i := len(before)
	for i > 0 && strings.ContainsRune("rRbB", before[i-1]) {
		i--
	}
	prefix := strings.ToLower(string(before[i:]))
	if i > 0 && (isLetter(before[i-1]) || '0' <= before[i-1] && before[i-1] <= '9') {
		return false // the end of a name
	}
	return prefix == "r" || prefix == "rb" || prefix == "br"
}

func isLetter(r rune) bool { return r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
