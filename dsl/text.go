package dsl

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// checkText refuses what is not text, and what editors and YAML read differently. Of
// each mistake the first place is reported. readable is false if there is no sense in
// reading the text as YAML.
func checkText(src *Source) (found Diagnostics, readable bool) {
	report := func(start, end int, code Code, help, format string, args ...any) {
		found = append(found, Diagnostic{Range: Range{src, start, end}, Code: code, Message: fmt.Sprintf(format, args...), Help: help})
	}
	if len(src.Bytes) > MaxFileSize {
		report(0, 0, CodeTooLarge, "divide it into several files", "the file is larger than %d bytes", MaxFileSize)
		return found, false
	}
	body := 0
	if bytes.HasPrefix(src.Bytes, []byte(byteOrderMark)) {
		body = len(byteOrderMark)
		report(0, body, CodeEncoding, "save it as UTF-8 without BOM", "the file begins with a byte order mark")
	}
	readable = true
	seen := map[string]bool{}
	for i := body; i < len(src.Bytes); {
		if c := src.Bytes[i]; c >= ' ' && c < 0x7f || c == '\n' || c == '\t' {
			i++
			continue
		}
		r, n := utf8.DecodeRune(src.Bytes[i:])
		kind, message, help := badRune(src.Bytes, i, r, n)
		if kind != "" && !seen[kind] {
			report(i, i+n, CodeEncoding, help, "%s", message)
			seen[kind], readable = true, false
		}
		i += n
	}
	return found, readable
}

// badRune says what is wrong with the rune r of n bytes at text[i], if anything.
func badRune(text []byte, i int, r rune, n int) (kind, message, help string) {
	switch {
	case r == utf8.RuneError && n == 1:
		return "utf-8", fmt.Sprintf("byte %#02x is not UTF-8", text[i]), "save the file as UTF-8"
	case r == '\r' && i+1 < len(text) && text[i+1] == '\n':
		return "", "", ""
	case r == '\r':
		return "return", "a carriage return without a line feed", "end lines with LF or CRLF"
	case r == 0x85 || r == 0x2028 || r == 0x2029:
		return "break", fmt.Sprintf("%U breaks lines for YAML but not for editors", r), fmt.Sprintf(`write "\u%04X" in a double-quoted text`, r)
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return "control", fmt.Sprintf("control character %U", r), fmt.Sprintf(`remove it, or write "\x%02x" in a double-quoted text`, r)
	case r == 0xfeff || r == 0xfffe || r == 0xffff: // a byte order mark within the text, and what is no character
		return "mark", fmt.Sprintf("%U does not belong into a text", r), "remove it"
	}
	return "", "", ""
}
