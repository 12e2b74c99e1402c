package celparse

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// literal parses a literal; nothing else is left that an operand could be.
func (p *parsing) literal() node {
	switch p.token.kind {
	case minus:
		sign := p.take()
		if p.token.kind == unsigned {
			p.decline()
		}
		return p.number(&sign)
	case integer, unsigned, double:
		return p.number(nil)
	case text, bytes:
		return p.quoted()
	case isTrue:
		return p.constant(types.True)
	case isFalse:
		return p.constant(types.False)
	case isNull:
		return p.constant(types.NullValue)
	}
	p.decline()
	return node{}
}

// constant parses a literal that is one word.
func (p *parsing) constant(value ref.Val) node {
	return node{p.factory.NewLiteral(p.id(p.take()), value), 0}
}

// number parses a number, whose minus sign may have been read before.
func (p *parsing) number(sign *token) node {
	kind := p.token.kind
	at := p.take()
	digits, place := p.text[at.start:at.end], rangeOf(at)
	base := 10
	if after, hex := strings.CutPrefix(digits, "0x"); hex {
		digits, base = after, 16
	}
	if sign != nil {
		digits = "-" + digits
		place = rangeOf(*sign)
		place.Stop += int32(at.end - at.start)
	}
	var value ref.Val
	var err error
	switch kind {
	case integer:
		var n int64
		n, err = strconv.ParseInt(digits, base, 64)
		value = types.Int(n)
	case unsigned:
		var n uint64
		n, err = strconv.ParseUint(digits[:len(digits)-1], base, 64)
		value = types.Uint(n)
	case double:
		var f float64
		f, err = strconv.ParseFloat(digits, 64)
		value = types.Double(f)
	default:
		p.decline()
	}
	if err != nil {
		p.decline()
	}
	return node{p.factory.NewLiteral(p.newID(place), value), 0}
}

// quoted parses a text or bytes in quotes.
func (p *parsing) quoted() node {
	at := p.take()
	written := p.text[at.start:at.end]
	first := strings.IndexAny(written, `"'`)
	raw := strings.ContainsAny(written[:first], "rR")
	written = written[first:]
	quotes := 1
	if len(written) >= 6 && written[1] == written[0] { // not an empty literal, hence three
		quotes = 3
	}
	written = written[quotes : len(written)-quotes]
	if strings.Contains(written, "\r") {
		written = strings.ReplaceAll(strings.ReplaceAll(written, "\r\n", "\n"), "\r", "\n")
	}
	if !raw && strings.Contains(written, `\`) {
		written = p.unescaped(written, at.kind)
	}
	if at.kind == bytes {
		return node{p.factory.NewLiteral(p.id(at), types.Bytes(written)), 0}
	}
	return node{p.factory.NewLiteral(p.id(at), types.String(written)), 0}
}

// unescaped puts in what escapes stand for: code points in a text; in bytes, single bytes.
func (p *parsing) unescaped(written string, k kind) string {
	var b strings.Builder
	b.Grow(len(written))
	for {
		before, _, found := strings.Cut(written, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		written = written[len(before):]
		value, length := escape(written)
		single := length == 2 // one character for another
		unicode := written[1] == 'u' || written[1] == 'U'
		switch {
		case k == bytes && unicode, k == text && !utf8.ValidRune(value):
			p.decline()
		case k == bytes, single:
			b.WriteByte(byte(value))
		default:
			b.WriteRune(value)
		}
		written = written[length:]
	}
}

// escapes are the characters that stand for one behind a backslash.
var escapes = map[byte]rune{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '"': '"', '\'': '\'', '\\': '\\', '?': '?', '`': '`'}

// escape returns what the escape at the start of s stands for, and its length; 0 if it is
// none. The value may be no code point.
func escape(s string) (value rune, length int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch c := s[1]; c {
	case 'x', 'X':
		return escapedNumber(s, 2, 4, 16)
	case 'u':
		return escapedNumber(s, 2, 6, 16)
	case 'U':
		return escapedNumber(s, 2, 10, 16)
	case '0', '1', '2', '3':
		return escapedNumber(s, 1, 4, 8)
	default:
		value, ok := escapes[c]
		if !ok {
			return 0, 0
		}
		return value, 2
	}
}

// escapedNumber reads the digits from one place of an escape to its end.
func escapedNumber(s string, from, length, base int) (rune, int) {
	if len(s) < length {
		return 0, 0
	}
	n, err := strconv.ParseUint(s[from:length], base, 32)
	if err != nil {
		return 0, 0
	}
	return rune(n), length
}
