package celparse

import (
	"strings"
	"unicode/utf8"
)

// A kind is what a token is.
type kind uint8

const (
	unknown kind = iota // no token of CEL begins here
	end                 // of the text
	identifier
	quotedName // `a-name`
	integer
	unsigned
	double
	text
	bytes
	isTrue
	isFalse
	isNull
	parenOpen
	parenClose
	bracketOpen
	bracketClose
	braceOpen
	braceClose
	dot
	comma
	colon
	question
	not
	and
	or
	less
	lessEqual
	greater
	greaterEqual
	equal
	notEqual
	in
	plus
	minus
	star
	slash
	percent
)

// A token is one word, sign or literal.
type token struct {
	kind       kind
	start, end int   // in bytes
	at         int32 // where it starts, in code points
}

// A scanner reads tokens. It is always at one, once it has advanced.
type scanner struct {
	text  string
	token token
	pos   int // behind the token
	wide  int // bytes before pos that do not begin a code point
}

// advance goes on to the next token.
func (s *scanner) advance() {
	s.skip()
	start, at := s.pos, int32(s.pos-s.wide)
	k := s.scan()
	if k == text || k == bytes {
		s.widen(s.text[start:s.pos])
	}
	s.token = token{k, start, s.pos, at}
}

// widen counts the bytes of a text that was passed.
func (s *scanner) widen(passed string) { s.wide += len(passed) - utf8.RuneCountInString(passed) }

// skip passes blanks and comments.
func (s *scanner) skip() {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f':
			s.pos++
		case c == '/' && s.byteAt(s.pos+1) == '/':
			length := strings.IndexByte(s.text[s.pos:], '\n')
			if length < 0 {
				length = len(s.text) - s.pos
			}
			s.widen(s.text[s.pos : s.pos+length])
			s.pos += length
		default:
			return
		}
	}
}

// byteAt returns the byte at i, 0 behind the end.
func (s *scanner) byteAt(i int) byte {
	if i < len(s.text) {
		return s.text[i]
	}
	return 0
}

// scan passes one token, the longest that there is.
func (s *scanner) scan() kind {
	if s.pos == len(s.text) {
		return end
	}
	switch c := s.text[s.pos]; {
	case isLetter(c):
		return s.word()
	case isDigit(c) || c == '.' && isDigit(s.byteAt(s.pos+1)):
		return s.numeral()
	case c == '"' || c == '\'':
		return s.quotes(text, s.pos, false)
	case c == '`':
		return s.quotedName()
	}
	return s.sign()
}

// word passes an identifier or a keyword, or a literal with letters before its quotes.
func (s *scanner) word() kind {
	start, quote, k, raw := s.pos, s.pos, text, false
	if c := s.text[quote]; c == 'b' || c == 'B' {
		quote, k = quote+1, bytes
	}
	if c := s.byteAt(quote); c == 'r' || c == 'R' {
		quote, raw = quote+1, true
	}
	if c := s.byteAt(quote); c == '"' || c == '\'' {
		return s.quotes(k, quote, raw)
	}
	for isLetter(s.byteAt(s.pos)) || isDigit(s.byteAt(s.pos)) {
		s.pos++
	}
	switch s.text[start:s.pos] {
	case "true":
		return isTrue
	case "false":
		return isFalse
	case "null":
		return isNull
	case "in":
		return in
	}
	return identifier
}

// numeral passes a number. Its sign, if it has one, is a token of its own.
func (s *scanner) numeral() kind {
	if s.text[s.pos] == '0' && s.byteAt(s.pos+1) == 'x' && isHex(s.byteAt(s.pos+2)) {
		for s.pos += 2; isHex(s.byteAt(s.pos)); s.pos++ {
		}
		return s.whole()
	}
	s.digits()
	fraction := s.byteAt(s.pos) == '.' && isDigit(s.byteAt(s.pos+1))
	if fraction {
		s.pos++
		s.digits()
	}
	if s.exponent() || fraction {
		return double
	}
	return s.whole()
}

func (s *scanner) digits() {
	for isDigit(s.byteAt(s.pos)) {
		s.pos++
	}
}

// exponent passes an exponent, if there is one.
func (s *scanner) exponent() bool {
	if c := s.byteAt(s.pos); c != 'e' && c != 'E' {
		return false
	}
	first := s.pos + 1
	if c := s.byteAt(first); c == '+' || c == '-' {
		first++
	}
	if !isDigit(s.byteAt(first)) {
		return false
	}
	s.pos = first
	s.digits()
	return true
}

// whole passes the u behind a whole number, if there is one.
func (s *scanner) whole() kind {
	if c := s.byteAt(s.pos); c == 'u' || c == 'U' {
		s.pos++
		return unsigned
	}
	return integer
}

// quotes passes a literal of which the first quote stands at quote.
func (s *scanner) quotes(k kind, quote int, raw bool) kind {
	mark := s.text[quote : quote+1]
	triple := strings.HasPrefix(s.text[quote:], mark+mark+mark)
	if triple {
		mark = s.text[quote : quote+3]
	}
	for i := quote + len(mark); i < len(s.text); {
		switch c := s.text[i]; {
		case c == mark[0] && strings.HasPrefix(s.text[i:], mark):
			s.pos = i + len(mark)
			return k
		case c == '\\' && !raw:
			_, length := escape(s.text[i:])
			if length == 0 {
				return unknown
			}
			i += length
		case (c == '\n' || c == '\r') && !triple:
			return unknown
		default:
			i++
		}
	}
	return unknown
}

// quotedName passes a name in backquotes.
func (s *scanner) quotedName() kind {
	i := s.pos + 1
	for c := s.byteAt(i); isLetter(c) || isDigit(c) || c == '.' || c == '-' || c == '/' || c == ' '; c = s.byteAt(i) {
		i++
	}
	if s.byteAt(i) != '`' || i == s.pos+1 {
		return unknown
	}
	s.pos = i + 1
	return quotedName
}

// signs are operators and brackets, those of two characters first.
var signs = [...]struct {
	text string
	kind kind
}{
	{"&&", and}, {"||", or}, {"==", equal}, {"!=", notEqual}, {"<=", lessEqual}, {">=", greaterEqual},
	{"(", parenOpen}, {")", parenClose}, {"[", bracketOpen}, {"]", bracketClose}, {"{", braceOpen}, {"}", braceClose},
	{".", dot}, {",", comma}, {":", colon}, {"?", question}, {"!", not}, {"<", less}, {">", greater},
	{"+", plus}, {"-", minus}, {"*", star}, {"/", slash}, {"%", percent},
}

// sign passes an operator or a bracket.
func (s *scanner) sign() kind {
	for _, sign := range signs {
		if strings.HasPrefix(s.text[s.pos:], sign.text) {
			s.pos += len(sign.text)
			return sign.kind
		}
	}
	return unknown
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
