package interp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/lazyregexp"
)

// syntaxError reports why an expression cannot be parsed: the first reason of which
// there are words, since what a parser says after its first surprise is of that
// surprise's making. Text that can be parsed is never looked at here.
func (s *scope) syntaxError(issues *cel.Issues) {
	first := issues.Errors()[0]
	scan := scanText(s.expr.Text)
	if s.limitExceeded(first.Message) || s.badLiteral(scan) || s.habit(scan) || s.brackets(scan) || s.macroMisuse(first, scan) {
		return
	}
	s.misplaced(first, scan)
}

var limitMessages = []struct{ is, says, help string }{
	{"recursion limit", fmt.Sprintf("the expression is nested more than %d deep", MaxDepth), "divide it into vars"},
	{"expression count exceeds", fmt.Sprintf("the expression has more than %d parts", MaxNodes), "divide it into vars or rules"},
	{"node limit", fmt.Sprintf("the expression has more than %d parts", MaxNodes), "divide it into vars or rules"},
	{"node count", fmt.Sprintf("the expression has more than %d parts", MaxNodes), "divide it into vars or rules"},
}

// limitExceeded reports that CEL refused an expression because of its size.
func (s *scope) limitExceeded(message string) bool {
	for _, l := range limitMessages {
		if strings.Contains(message, l.is) {
			s.report(s.whole(), dsl.CodeCost, l.help, "%s", l.says)
			return true
		}
	}
	return false
}

// A textScan is an expression's text with what stands in quotes and comments blanked,
// code point by code point.
type textScan struct {
	blank     []rune
	unclosed  int // where a quote is opened that is never closed; -1 without one
	badEscape int // where a backslash is that escapes nothing; -1 without one
}

func scanText(text string) textScan {
	s := textScan{blank: []rune(text), unclosed: -1, badEscape: -1}
	for i := 0; i < len(s.blank); i++ {
		switch c := s.blank[i]; {
		case c == '"' || c == '\'':
			i = s.literal(i)
		case c == '/' && i+1 < len(s.blank) && s.blank[i+1] == '/':
			for ; i < len(s.blank) && s.blank[i] != '\n'; i++ {
				s.blank[i] = ' '
			}
		}
	}
	return s
}

// literal blanks the text in quotes that begins at i, and returns where its last quote
// is.
func (s *textScan) literal(i int) int {
	quote, opened, length := s.blank[i], i, 1
	if i+2 < len(s.blank) && s.blank[i+1] == quote && s.blank[i+2] == quote {
		length = 3
	}
	raw := i > 0 && strings.ContainsRune("rR", s.blank[i-1])
	for i += length; i < len(s.blank); i++ {
		c := s.blank[i]
		switch {
		case c == quote && s.quotes(i, quote, length):
			return i + length - 1
		case c == '\n' && length == 1:
			s.unclosed = opened
			return i
		case c == '\\' && !raw && i+1 < len(s.blank):
			if s.badEscape < 0 && !strings.ContainsRune("abfnrtv\"'`\\?xXuU0123", s.blank[i+1]) {
				s.badEscape = i
			}
			s.blank[i] = '_'
			i++
		}
		s.blank[i] = '_'
	}
	s.unclosed = opened
	return i
}

// quotes reports whether n quotes stand at i.
func (s *textScan) quotes(i int, quote rune, n int) bool {
	if i+n > len(s.blank) {
		return false
	}
	return !slices.ContainsFunc(s.blank[i:i+n], func(r rune) bool { return r != quote })
}

// badLiteral reports quotes that are never closed and escapes that are none.
func (s *scope) badLiteral(scan textScan) bool {
	text := []rune(s.expr.Text)
	switch {
	case scan.badEscape >= 0 && (scan.unclosed < 0 || scan.badEscape < scan.unclosed):
		at := scan.badEscape
		s.report(s.expr.Place(at, at+2), dsl.CodeInvalidExpr, fmt.Sprintf(`write \\%c, or an r before the text: r"\%c"`, text[at+1], text[at+1]), `\%c escapes nothing`, text[at+1])
	case scan.unclosed >= 0:
		s.report(s.expr.Place(scan.unclosed, scan.unclosed+1), dsl.CodeInvalidExpr, "", "this quote is never closed")
	default:
		return false
	}
	return true
}

// A habit is something that people write who know other languages.
type habit struct {
	is      *lazyregexp.Regexp // over the blanked text; group 1 is the place
	message string
	help    string // %s is what was written
}

var habits = []habit{
	{lazyregexp.New(`([“”‘’])`), "typographic quotes do not quote", `use " or '`},
	{lazyregexp.New(`(===)`), "=== is no operator", "write =="},
	{lazyregexp.New(`(!==)`), "!== is no operator", "write !="},
	{lazyregexp.New(`(<>)`), "<> is no operator", "write !="},
	{lazyregexp.New(`(=~)`), "=~ is no operator", `write err.code.matches(r"^E\d+$")`},
	{lazyregexp.New(`(?:[^=!<>]|^)(=)(?:[^=]|$)`), "= does not compare", "write =="},
	{lazyregexp.New(`(?:[^&]|^)(&)(?:[^&]|$)`), "& is no operator", "write &&"},
	{lazyregexp.New(`(?:[^|]|^)(\|)(?:[^|]|$)`), "| is no operator", "write ||"},
	{lazyregexp.New(`(?i)[\w)"'\]]\s+(and)\s+[\w("'!\[]`), "and is no operator", "write &&"},
	{lazyregexp.New(`(?i)[\w)"'\]]\s+(or)\s+[\w("'!\[]`), "or is no operator", "write ||"},
	{lazyregexp.New(`(?i)[\w)"'\]]\s+(not)\s+in\s`), "not in is no operator", "write !(err.status in [429])"},
	{lazyregexp.New(`(?:^|[(&|!?:]\s*)(?i:(not))\s+[\w(]`), "not is no operator", "write !(...)"},
	{lazyregexp.New(`(#.*)`), "# begins no comment within an expression", "write //"},
	{lazyregexp.New(`(?:^|[^\w.])(\d+(?:\.\d+)?(?:ns|us|ms|s|m|h|d))(?:\W|$)`), "a duration is written otherwise in an expression", `write duration("%s")`},
}

func (s *scope) habit(scan textScan) bool {
	blank := string(scan.blank)
	for _, h := range habits {
		at := h.is.FindStringSubmatchIndex(blank)
		if at == nil {
			continue
		}
		start, end := runeOffset(blank, at[2]), runeOffset(blank, at[3])
		s.report(s.expr.Place(start, end), dsl.CodeInvalidExpr, strings.ReplaceAll(h.help, "%s", blank[at[2]:at[3]]), "%s", h.message)
		return true
	}
	return false
}

func runeOffset(s string, at int) int { return len([]rune(s[:at])) }

// brackets reports the first bracket that has no counterpart.
func (s *scope) brackets(scan textScan) bool {
	closers := map[rune]rune{'(': ')', '[': ']', '{': '}'}
	var open []int
	for i, r := range scan.blank {
		switch r {
		case '(', '[', '{':
			open = append(open, i)
		case ')', ']', '}':
			if len(open) == 0 {
				s.report(s.expr.Place(i, i+1), dsl.CodeInvalidExpr, "remove it", "%c closes nothing", r)
				return true
			}
			last := open[len(open)-1]
			if want := closers[scan.blank[last]]; want != r {
				s.report(s.expr.Place(i, i+1), dsl.CodeInvalidExpr, fmt.Sprintf("write %c before it", want), "%c stands here and %c is not closed yet", r, scan.blank[last])
				return true
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		last := open[len(open)-1]
		s.report(s.expr.Place(last, last+1), dsl.CodeInvalidExpr, fmt.Sprintf("write %c behind what belongs to it", closers[scan.blank[last]]), "%c is not closed", scan.blank[last])
		return true
	}
	return false
}

var macroMessages = []struct {
	is, says, help string
	argument       bool // what is wrong is a whole argument
}{
	{"invalid argument to has()", "has takes a field", `write has(err.code); for a header "retry-after" in err.headers`, true},
	{"argument must be a simple name", "the first argument of exists and all is a name for the element", `write err.causes.exists(c, c.code == "E1")`, true},
	{"argument is not an identifier", "the first argument of exists and all is a name for the element", `write err.causes.exists(c, c.code == "E1")`, true},
	{"iteration variable overwrites", "the element cannot have this name", `write err.causes.exists(c, c.code == "E1")`, true},
	{"variable name must be a simple identifier", "the first argument is a name for the value", `write err.headers[?"x"].optMap(v, v == "1").orValue(false)`, true},
	{"invalid int literal", "the whole number is too large", "whole numbers have 64 bits", false},
	{"invalid uint literal", "the whole number is too large", "whole numbers have 64 bits", false},
	{"invalid double literal", "the number is too large", "", false},
	{"unable to unescape", "an escape in the text stands for no character", `write \\ for a backslash, or an r before the text: r"\d"`, false},
}

// macroMisuse reports what the parser refuses although every word is in its place.
func (s *scope) macroMisuse(first *cel.Error, scan textScan) bool {
	for _, m := range macroMessages {
		if strings.Contains(first.Message, m.is) {
			at := s.tokenRange(s.offset(first.Location))
			if m.argument {
				at = s.argumentRange(s.offset(first.Location), scan)
			}
			s.report(at, dsl.CodeInvalidExpr, m.help, "%s", m.says)
			return true
		}
	}
	if name, ok := strings.CutPrefix(first.Message, "reserved identifier: "); ok {
		s.report(s.tokenRange(s.offset(first.Location)), dsl.CodeInvalidExpr, "", "%s is a reserved word and no name", name)
		return true
	}
	return false
}

// misplaced reports what stands where nothing of its sort can.
func (s *scope) misplaced(first *cel.Error, scan textScan) {
	at := s.offset(first.Location)
	rest := strings.TrimSpace(string(scan.blank[min(at, len(scan.blank)):]))
	if rest == "" || strings.Contains(first.Message, "'<EOF>'") {
		last := len(scan.blank) - 1
		for last > 0 && (isOperator(scan.blank[last]) && isOperator(scan.blank[last-1]) || isWord(scan.blank[last]) && isWord(scan.blank[last-1])) {
			last--
		}
		s.report(s.expr.Place(last, len(scan.blank)), dsl.CodeInvalidExpr, "", "the expression ends too early: an operand is missing")
		return
	}
	place := s.tokenRange(at)
	before := strings.TrimRight(string(scan.blank[:at]), " \n\t")
	if begins, ends := isOperand([]rune(rest)[0]), before != "" && isOperand([]rune(before)[len([]rune(before))-1]); begins && ends {
		s.report(place, dsl.CodeInvalidExpr, "write ==, && or another operator before it", "an operator is missing before %s", place.Text())
		return
	}
	if isOperator([]rune(rest)[0]) {
		s.report(place, dsl.CodeInvalidExpr, "", "an operand is missing before %s", place.Text())
		return
	}
	s.report(place, dsl.CodeInvalidExpr, "", "%s does not belong here", place.Text())
}

func isOperator(r rune) bool { return strings.ContainsRune("=!<>&|*/%+-?:", r) }

// isOperand reports whether a token that begins or ends with r can be an operand.
func isOperand(r rune) bool { return isWord(r) || r == '"' || r == '\'' || r == ')' || r == ']' }

// offset turns CEL's line and column into an offset in code points, at most the
// length of the text.
func (s *scope) offset(at common.Location) int {
	text := []rune(s.expr.Text)
	offset := 0
	for line := 1; offset < len(text) && line < at.Line(); offset++ {
		if text[offset] == '\n' {
			line++
		}
	}
	return min(max(offset+at.Column(), 0), len(text))
}

// tokenRange is the place of the word, the text in quotes, the operator or the
// character at an offset.
func (s *scope) tokenRange(at int) dsl.Range {
	text := []rune(s.expr.Text)
	if at >= len(text) {
		return s.expr.Place(len(text)-1, len(text))
	}
	scan := textScan{blank: slices.Clone(text)}
	end := at + 1
	switch {
	case isOperator(text[at]):
		for at > 0 && isOperator(text[at-1]) {
			at--
		}
		for end < len(text) && isOperator(text[end]) {
			end++
		}
	case isWord(text[at]):
		for end < len(text) && isWord(text[end]) {
			end++
		}
	case text[at] == '"' || text[at] == '\'':
		end = min(scan.literal(at)+1, len(text))
	}
	return s.expr.Place(at, end)
}

// argumentRange is the place of the argument around an offset: up to the comma or the
// bracket on each side.
func (s *scope) argumentRange(at int, scan textScan) dsl.Range {
	text := scan.blank
	start, depth := min(at, len(text)-1), 0
	for ; start > 0 && depth >= 0; start-- {
		switch text[start-1] {
		case ')', ']', '}':
			depth++
		case '(', '[', '{':
			depth--
		case ',':
			if depth == 0 {
				depth--
			}
		}
		if depth < 0 {
			break
		}
	}
	end := start
	for depth = 0; end < len(text); end++ {
		switch text[end] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth == 0 {
				depth--
			}
		}
		if depth < 0 {
			break
		}
	}
	for start < end && strings.ContainsRune(" \n\t", text[start]) {
		start++
	}
	if start >= end {
		return s.tokenRange(at)
	}
	return s.expr.Place(start, end)
}
