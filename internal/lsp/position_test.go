package lsp

import (
	"testing"
)

func TestPositionsCountInTheUnitsOfTheEncoding(t *testing.T) {
	const text = "a: \"é🧨\"\r\nb\rlast"
	for _, test := range []struct {
		offset             int
		line               uint32
		utf8, utf16, utf32 uint32
	}{
		{0, 0, 0, 0, 0},
		{4, 0, 4, 4, 4},   // é
		{6, 0, 6, 5, 5},   // the firecracker
		{10, 0, 10, 7, 6}, // behind it
		{11, 0, 11, 8, 7}, // CR LF
		{13, 1, 0, 0, 0},
		{14, 1, 1, 1, 1}, // CR alone
		{15, 2, 0, 0, 0},
		{19, 2, 4, 4, 4},
	} {
		x := newIndex(text, false)
		for e, character := range map[encoding]uint32{utf8Units: test.utf8, utf16Units: test.utf16, utf32Units: test.utf32} {
			p := position{test.line, character}
			if got := x.position(test.offset, e); got != p {
				t.Errorf("byte %d is %v in %s, want %v", test.offset, got, e, p)
			}
			if got := x.offset(p, e); got != test.offset {
				t.Errorf("%v in %s is byte %d, want %d", p, e, got, test.offset)
			}
		}
	}
}

func TestPositionsOutsideTheTextAreItsNearestPlace(t *testing.T) {
	x := newIndex("a🧨\r\nb", false)
	for _, test := range []struct {
		p      position
		offset int
	}{
		{position{0, 99}, 5}, // before the break
		{position{0, 2}, 1},  // within a surrogate pair
		{position{1, 99}, 8},
		{position{9, 0}, 8},
		{position{1<<32 - 1, 1<<32 - 1}, 8},
	} {
		if got := x.offset(test.p, utf16Units); got != test.offset {
			t.Errorf("%v is byte %d, want %d", test.p, got, test.offset)
		}
	}
	for offset, want := range map[int]position{-1: {0, 0}, 6: {0, 3}, 3: {0, 1}, 99: {1, 1}} {
		if got := x.position(offset, utf16Units); got != want {
			t.Errorf("byte %d is %v, want %v", offset, got, want)
		}
	}
}

func TestAByteOrderMarkOnDiskHasNoWidth(t *testing.T) {
	text := byteOrderMark + "a: 1\nb"
	if got := newIndex(text, true).position(len(byteOrderMark), utf16Units); got != (position{0, 0}) {
		t.Errorf("the first character is at %v", got)
	}
	if got := newIndex(text, false).position(len(byteOrderMark), utf16Units); got != (position{0, 1}) {
		t.Errorf("in a buffer, which has it because the client counts it, the first character is at %v", got)
	}
}

func FuzzAPlaceFoundAgainIsTheSame(f *testing.F) {
	f.Add("a🧨\r\nb\rc\n\xff", 3)
	f.Fuzz(func(t *testing.T, text string, offset int) {
		for _, e := range []encoding{utf8Units, utf16Units, utf32Units} {
			x := newIndex(text, false)
			p := x.position(offset, e)
			if at := x.offset(p, e); at < 0 || at > len(text) || x.position(at, e) != p {
				t.Errorf("%s: byte %d is %v, which is byte %d, which is %v", e, offset, p, at, x.position(at, e))
			}
		}
	})
}

func TestAWholeTextTypedCharacterByCharacterIsThatText(t *testing.T) {
	const text = "name: \"🧨é\"\r\nlist: [1]\n"
	for _, e := range []encoding{utf8Units, utf16Units, utf32Units} {
		typed := newIndex("", false)
		for _, r := range text {
			at := typed.offset(typed.position(len(typed.text), e), e)
			typed = newIndex(typed.text[:at]+string(r)+typed.text[at:], false)
		}
		if typed.text != text {
			t.Errorf("%s: %q", e, typed.text)
		}
	}
}
