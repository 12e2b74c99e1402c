package importer

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A letter is one character of a logical line: what a backslash and the letters behind it
// stand for is one, too.
type letter struct {
	char    rune
	offset  int
	escaped bool
}

const blanks = " \t\f"

func (l letter) is(any string) bool { return !l.escaped && strings.ContainsRune(any, l.char) }

// readProperties reads a file as java.util.Properties does, and the documents in it as
// Spring does. It returns the document, or a list of all if there are several. Keys stay
// as they are written, with their dots.
func (r *reader) readProperties() (*node, error) {
	for i, c := range r.text {
		if c == '\r' && (i+1 == len(r.text) || r.text[i+1] != '\n') {
			return nil, r.errorAt(i, "U+000D breaks lines for Java but not for editors")
		}
	}
	all := &node{kind: list, index: -1, line: 1, column: 1}
	var doc *node
	var seen map[string]int
	count, above := 1, byte(0) // above is what the comment in the line above begins with
	for at := 0; at < len(r.text); {
		line, _, _ := bytes.Cut(r.text[at:], []byte("\n"))
		next := at + len(line) + 1
		begin := bytes.TrimLeft(line, blanks+"\r")
		switch {
		case len(begin) == 0:
			at, above = next, 0
			continue
		case begin[0] == '#' || begin[0] == '!':
			if separates(line, above) && !comment(r.text[min(next, len(r.text)):]) {
				doc = nil
				count++
			}
			at, above = next, begin[0]
			continue
		}
		letters, end, next, err := r.logicalLine(at + len(line) - len(begin))
		if err != nil {
			return nil, err
		}
		if at, above = next, 0; len(letters) == 0 {
			continue
		}
		key, value := property(letters)
		name := strings.TrimSuffix(text(key), "[]") // a list, which commas make it as well
		line1, column1 := r.place(letters[0].offset)
		if doc == nil {
			if len(all.kids) == maxDocuments {
				return nil, r.errorOn(line1, column1, "more than %d documents", maxDocuments)
			}
			doc = &node{kind: mapping, index: -1, line: line1, column: column1, document: count}
			if err := r.add(all, doc); err != nil {
				return nil, err
			}
			seen = map[string]int{}
		}
		if err := r.twice(seen, name, line1, column1); err != nil {
			return nil, err
		}
		n := &node{kind: textual, key: name, index: -1, value: text(value)}
		if len(value) > 0 {
			end = value[0].offset
		}
		n.line, n.column = r.place(end)
		if err := r.add(doc, n); err != nil {
			return nil, err
		}
	}
	return r.documents(all)
}

// separates tells whether a line ends a document. Spring takes it for a comment if there
// are comments around it.
func separates(line []byte, above byte) bool {
	line = bytes.TrimRight(line, blanks+"\r")
	return len(line) == 4 && line[0] != above && string(line[1:]) == "---"
}

// comment tells whether a comment comes next.
func comment(rest []byte) bool {
	rest = bytes.TrimLeft(rest, blanks+"\r\n")
	return len(rest) > 0 && (rest[0] == '#' || rest[0] == '!')
}

// property divides a line. The key ends with the first blank, = or : that no backslash
// stands before.
func property(line []letter) (key, value []letter) {
	i := 0
	skip := func(any string, most int) {
		for ; i < len(line) && most > 0 && line[i].is(any); i++ {
			most--
		}
	}
	for i < len(line) && !line[i].is(blanks+"=:") {
		i++
	}
	key = line[:i]
	skip(blanks, len(line))
	skip("=:", 1)
	skip(blanks, len(line))
	return key, line[i:]
}

func text(letters []letter) string {
	var b strings.Builder
	for _, l := range letters {
		b.WriteRune(l.char)
	}
	return b.String()
}

// logicalLine reads a line with those that continue it. end is where its last letter
// ends, next is where the next line begins.
func (r *reader) logicalLine(at int) (line []letter, end, next int, err error) {
	for at < len(r.text) && r.text[at] != '\n' {
		rest := r.text[at:]
		if after, ok := continued(rest); ok {
			if at += after; at == len(r.text) {
				return nil, 0, 0, r.errorAt(at, "a backslash continues the line, but the file ends")
			}
			continue
		}
		if rest[0] == '\r' { // before the end of the line
			at++
			continue
		}
		l := letter{offset: at, escaped: rest[0] == '\\'}
		var size int
		if l.char, size, err = unescaped(rest); err != nil {
			return nil, 0, 0, r.errorAt(at, "%s", err)
		}
		line = append(line, l)
		at += size
		end = at
	}
	return line, end, at + 1, nil
}

// continued tells how long a backslash at the end of a line is, with the blanks that the
// next line begins with.
func continued(rest []byte) (size int, ok bool) {
	if rest[0] != '\\' {
		return 0, false
	}
	behind := bytes.TrimPrefix(rest[1:], []byte("\r"))
	if len(behind) > 0 && behind[0] != '\n' {
		return 0, false
	}
	return len(rest) - len(bytes.TrimLeft(bytes.TrimPrefix(behind, []byte("\n")), blanks)), true
}

// unescaped reads one character, or what a backslash makes of those behind it.
func unescaped(rest []byte) (char rune, size int, err error) {
	char, size = utf8.DecodeRune(rest)
	if char != '\\' {
		return char, size, nil
	}
	char, size = utf8.DecodeRune(rest[1:])
	switch char {
	case 't':
		return '\t', 2, nil
	case 'n':
		return '\n', 2, nil
	case 'r':
		return '\r', 2, nil
	case 'f':
		return '\f', 2, nil
	case 'u':
		return fromHex(rest)
	}
	return char, 1 + size, nil
}

// fromHex reads \u and four digits, or two of these for a character that needs them.
func fromHex(rest []byte) (rune, int, error) {
	half := func(rest []byte) (rune, bool) {
		if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
			return 0, false
		}
		x, err := strconv.ParseUint(string(rest[2:6]), 16, 16)
		return rune(x), err == nil
	}
	first, ok := half(rest)
	if !ok {
		return 0, 0, fmt.Errorf(`four hexadecimal digits belong behind \u`)
	}
	if !utf16.IsSurrogate(first) {
		return first, 6, nil
	}
	second, _ := half(rest[6:])
	if char := utf16.DecodeRune(first, second); char != utf8.RuneError {
		return char, 12, nil
	}
	return 0, 0, fmt.Errorf(`\u%04x is half of a character`, first)
}

// fromLatin1 turns a file that is no UTF-8 into what Java takes it for.
func fromLatin1(text []byte) []byte {
	var out bytes.Buffer
	for _, c := range text {
		out.WriteRune(rune(c))
	}
	return out.Bytes()
}
