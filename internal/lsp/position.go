package lsp

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// An encoding is what the characters of positions count.
type encoding string

// The encodings of LSP 3.17. A client that offers none counts in utf-16.
const (
	utf8Units  encoding = "utf-8"
	utf16Units encoding = "utf-16"
	utf32Units encoding = "utf-32"
)

// units is the length of a character that was decoded from n bytes. A byte that is
// no UTF-8 counts as one unit.
func (e encoding) units(r rune, n int) int {
	switch {
	case e == utf8Units:
		return n
	case e == utf16Units && r > 0xffff:
		return 2
	}
	return 1
}

// A position is a place in a text as LSP counts: line and character from 0.
type position struct {
	Line      uint32 `json:"line"`
	Character uint32 `json:"character"`
}

// A span is a half-open range of positions.
type span struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

// A textIndex converts between byte offsets and positions. Lines end with LF, CRLF
// or CR.
type textIndex struct {
	text   string
	starts []int
}

// byteOrderMark begins some files on disk; editors do not show it.
const byteOrderMark = "\ufeff"

// newIndex reads the lines of a text. In one that comes from disk a byte order mark
// has no width, since editors take it away before they count.
func newIndex(text string, onDisk bool) *textIndex {
	x := &textIndex{text: text, starts: []int{0}}
	if onDisk && strings.HasPrefix(text, byteOrderMark) {
		x.starts[0] = len(byteOrderMark)
	}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' || text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			x.starts = append(x.starts, i+1)
		}
	}
	return x
}

// line is the number of the line, from 0, on which a byte stands.
func (x *textIndex) line(offset int) int {
	return max(sort.SearchInts(x.starts, offset+1)-1, 0)
}

// lineEnd is where the text of a line ends, its break not included.
func (x *textIndex) lineEnd(line int) int {
	if line+1 == len(x.starts) {
		return len(x.text)
	}
	end := x.starts[line+1] - 1
	if end > x.starts[line] && x.text[end] == '\n' && x.text[end-1] == '\r' {
		end--
	}
	return end
}

// position returns the place of a byte. Within a character it is where that begins,
// within a line break where that begins, outside the text its nearest end.
func (x *textIndex) position(offset int, e encoding) position {
	offset = min(max(offset, x.starts[0]), len(x.text))
	line := x.line(offset)
	offset = min(offset, x.lineEnd(line))
	character := 0
	for i := x.starts[line]; i < offset; {
		r, n := utf8.DecodeRuneInString(x.text[i:])
		if i+n > offset {
			break
		}
		character += e.units(r, n)
		i += n
	}
	return position{uint32(line), uint32(character)}
}

// span returns the place of a range of bytes.
func (x *textIndex) span(start, end int, e encoding) span {
	return span{x.position(start, e), x.position(end, e)}
}

// offset returns the byte at a position. As LSP has it, a character behind the end of
// its line is the end of the line; a line behind the last is the end of the text, for
// clients replace whole texts that way. Within a character it is where that begins.
func (x *textIndex) offset(p position, e encoding) int {
	if int64(p.Line) >= int64(len(x.starts)) {
		return len(x.text)
	}
	i, end := x.starts[p.Line], x.lineEnd(int(p.Line))
	for left := int64(p.Character); i < end && left > 0; {
		r, n := utf8.DecodeRuneInString(x.text[i:])
		if left -= int64(e.units(r, n)); left < 0 {
			break
		}
		i += n
	}
	return i
}
