package dsl

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/redress-policy/redress/internal/lazyregexp"
)

// Place returns where the code points [start, end) of the text stand in the file,
// whatever the scalar's style. Of an alias it is where the anchor stands. It is the
// whole scalar if places within it are not known or the range lies outside the text.
func (e Expr) Place(start, end int) Range {
	length := len(e.spans)
	if e.verbatim > 0 {
		length = len(e.Text)
	}
	if length == 0 || start < 0 || start > end || end > length {
		return e.Range
	}
	if start < end {
		return Range{e.Range.Source, int(e.span(start).start), int(e.span(end - 1).end)}
	}
	at := e.span(max(start-1, 0)).end
	if start < length {
		at = e.span(start).start
	}
	return Range{e.Range.Source, int(at), int(at)}
}

// span is the place of a character of the text, if places are known.
func (e *Expr) span(i int) span {
	if e.verbatim > 0 {
		return span{int32(e.verbatim + i), int32(e.verbatim + i + 1)}
	}
	return e.spans[i]
}

// expr reads an expression. It takes truth values, which YAML does not read as text.
// Set is false if YAML has cut it: what is left would only be misread.
func (d *decoder) expr(what string, e *Expr) func(*node) {
	return func(n *node) {
		s := n.target()
		if s.broken || !d.isExpression(what, n) {
			return
		}
		text := strings.TrimSpace(s.value)
		if text == "" {
			d.errorf(n.rng(), CodeEmpty, "write a condition, or leave the key out", "%s is an empty expression", what)
			return
		}
		*e = Expr{Range: s.rng(), Text: text, Set: true}
		if first, ok := verbatim(d.raw, s); ok {
			e.verbatim = first + len(s.value) - len(strings.TrimLeft(s.value, " "))
		} else if spans := scalarSpans(d.raw, int(s.body), s.value); spans != nil {
			lead := utf8.RuneCountInString(s.value) - utf8.RuneCountInString(strings.TrimLeft(s.value, " \t\r\n"))
			e.spans = spans[lead : lead+utf8.RuneCountInString(text)]
		} else {
			return
		}
		e.Set = !d.isCut(s, *e) && !d.isSwallowed(s, *e)
	}
}

// operator is what an expression cannot begin with: something stood before it.
var operator = lazyregexp.New(`^($|[=!<>&|*/%+?.]|in\b)`)

// isExpression reports what YAML did not read as a text.
func (d *decoder) isExpression(what string, n *node) bool {
	s := n.target()
	switch {
	case s.isForeign():
		d.unquoted(n, "YAML reads %s as a tag, not as part of the expression", d.tagOf(s))
	case s.kind != scalarNode:
		first, _, _ := strings.Cut(n.rng().Text(), "\n")
		d.errorf(n.rng(), CodeEaten, "write it in single quotes: "+quoteSingle(shorten(strings.TrimRight(first, "\r"))), "%s is an expression, and YAML reads %s here", what, n.describe())
	case s.anchor && operator.MatchString(s.value):
		d.unquoted(n, "YAML reads &%s as an anchor, not as part of the expression", d.anchorOf(s))
	case s.tag == intTag || s.tag == floatTag:
		help := "write a condition, such as err.status == 429"
		if what == "retry_after" {
			help = `write a duration, such as duration("5s")`
		}
		d.errorf(n.rng(), CodeWrongType, help, "%s is an expression, not %s", what, n.describe())
	default:
		return true
	}
	return false
}

// unquoted reports an expression of which YAML makes something else unless it is quoted.
func (d *decoder) unquoted(n *node, format string, args ...any) {
	at := d.src.restOfLine(int(n.start))
	if before := d.src.Bytes[d.src.lines[d.src.lineAt(at.Start)-1]:at.Start]; bytes.ContainsRune(before, '{') {
		at.End = at.Start + len(upToNextKey(at.Text()))
	}
	at.End = at.Start + len(strings.TrimRight(at.Text(), " \t"))
	quoted := quoteSingle(at.Text())
	d.report(Diagnostic{
		Range: at, Code: CodeEaten, Message: fmt.Sprintf(format, args...), Help: "write it in single quotes: " + quoted,
		Fixes: []Fix{{Title: "write it in single quotes", Edits: []Edit{{Range: at, Text: quoted}}}},
	})
}

// tagOf is the tag of a node as written.
func (d *decoder) tagOf(n *node) string {
	p := propertiesAt(d.raw, int(n.start))
	return p.tag
}

// anchorOf is the name of a node's anchor.
func (d *decoder) anchorOf(n *node) string {
	p := propertiesAt(d.raw, int(n.start))
	return p.anchor
}

// isCut reports a plain expression that a comment has cut in the middle.
func (d *decoder) isCut(s *node, e Expr) bool {
	if s.style != plainStyle {
		return false
	}
	rest := d.src.restOfLine(int(s.end))
	tail := rest.Text()
	if !strings.HasPrefix(strings.TrimLeft(tail, " \t"), "#") || readCEL(e.Text).closed {
		return false
	}
	rest.Start += strings.IndexByte(tail, '#')
	whole := strings.TrimSpace(d.src.restOfLine(int(s.body)).Text())
	d.errorf(rest, CodeEaten, "write it in single quotes: "+quoteSingle(whole), "` #` begins a comment, which cuts the expression")
	return true
}

// isSwallowed reports a // comment in an expression whose lines YAML joins: it takes
// what was meant to stand on the next line with it.
func (d *decoder) isSwallowed(s *node, e Expr) bool {
	if s.style == literalStyle || !strings.Contains(e.Text, "//") {
		return false
	}
	runes := []rune(e.Text)
	for _, at := range readCEL(e.Text).comments {
		line := d.src.restOfLine(int(e.span(at).start))
		for i := at; i < len(runes) && runes[i] != '\n'; i++ {
			if int(e.span(i).start) > line.End && runes[i] != ' ' {
				d.errorf(line, CodeCommentSwallow, "write the expression as a literal block: |-", "YAML joins these lines, so // takes the rest of the expression with it")
				return true
			}
		}
	}
	return false
}
