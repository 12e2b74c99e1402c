package dsl

import (
	"bytes"
	"sort"
	"unicode/utf8"
)

// A Source is one file's bytes under the name that diagnostics print. It is
// immutable once made, and safe for many goroutines.
type Source struct {
	Name  string
	Bytes []byte
	// Layer orders the sources of a set: a document takes the place of those of its kind
	// and name in lower layers.
	Layer     int
	LayerName string // for people; "" for a set without layers
	lines     []int  // byte offset of each line's start; the first begins behind a byte order mark
}

const byteOrderMark = "\ufeff"

// NewSource makes a Source. It keeps the bytes; the caller must not change them.
func NewSource(name string, text []byte) *Source {
	lines := make([]int, 1, bytes.Count(text, []byte{'\n'})+1)
	if bytes.HasPrefix(text, []byte(byteOrderMark)) {
		lines[0] = len(byteOrderMark)
	}
	for at := 0; len(lines) < cap(lines); {
		at += bytes.IndexByte(text[at:], '\n') + 1
		lines = append(lines, at)
	}
	return &Source{Name: name, Bytes: text, lines: lines}
}

// A Range is a half-open range of bytes of a source. The zero Range stands nowhere.
type Range struct {
	Source     *Source
	Start, End int
}

// A Position is a place for people: line and column count from 1, columns in code
// points. A byte order mark has no column.
type Position struct {
	Line, Column int
}

// Position returns the line and column of a byte offset. Offsets outside the source
// count as its nearest end.
func (s *Source) Position(offset int) Position {
	offset = min(max(offset, s.lines[0]), len(s.Bytes))
	line := s.lineAt(offset)
	return Position{line, utf8.RuneCount(s.Bytes[s.lines[line-1]:offset]) + 1}
}

// lineAt returns the line, counted from 1, on which a byte stands.
func (s *Source) lineAt(offset int) int {
	return max(sort.SearchInts(s.lines, offset+1), 1)
}

// Line returns the text of a line, counted from 1, without its line break; nil if
// there is none.
func (s *Source) Line(n int) []byte {
	if n < 1 || n > len(s.lines) {
		return nil
	}
	start, end := s.lines[n-1], len(s.Bytes)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	if end > start && s.Bytes[end-1] == '\r' {
		end--
	}
	return s.Bytes[start:end]
}

// wholeLine is the range of a line without the blanks around its text.
func (s *Source) wholeLine(n int) Range {
	text := s.Line(n)
	start := s.lines[n-1]
	lead := len(text) - len(bytes.TrimLeft(text, " \t"))
	return Range{s, start + lead, start + max(lead, len(bytes.TrimRight(text, " \t")))}
}

// restOfLine is the range from a byte to the end of its line.
func (s *Source) restOfLine(start int) Range {
	end := start
	for end < len(s.Bytes) && s.Bytes[end] != '\n' && s.Bytes[end] != '\r' {
		end++
	}
	return Range{s, start, end}
}

// Position returns where the range begins, the zero Position for the zero Range.
func (r Range) Position() Position {
	if r.Source == nil {
		return Position{}
	}
	return r.Source.Position(r.Start)
}

// Text returns the bytes of the range.
func (r Range) Text() string {
	if r.Source == nil {
		return ""
	}
	return string(r.Source.Bytes[r.Start:r.End])
}
