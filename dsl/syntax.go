package dsl

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/redress-policy/redress/internal/lazyregexp"
)

// What the yaml library says of a mistake is vague. The line on which it stands says
// more: most mistakes are values that should have been in quotes.

// A mistake is what is wrong, and which text is to be painted over to read on; the
// zero Range if the rest of the document cannot be read.
type mistake struct {
	Diagnostic
	value   Range
	escapes bool // only escapes are to be painted over
}

// recover reports a failure, which came behind count documents, and finds where to
// go on. It reports whether there is such a place.
func (r *reader) recover(f failure, count int) (again bool) {
	m := r.explain(f)
	r.found = append(r.found, m.Diagnostic)
	r.skip = count
	if m.value.End > m.value.Start && !slices.Contains(r.broken, m.value) {
		r.paint(m)
		return true
	}
	for line := f.line + 1; line <= len(r.src.lines); line++ {
		if text := r.src.Line(line); bytes.HasPrefix(text, []byte("---")) && (len(text) == 3 || text[3] == ' ' || text[3] == '\t') {
			r.start, r.skip = r.src.lines[line-1], 0
			return true
		}
	}
	return false
}

// paint makes letters of a value, except for its line breaks and indents, or of the
// backslashes in it.
func (r *reader) paint(m mistake) {
	if len(r.broken) == 0 {
		r.text = bytes.Clone(r.text)
	}
	r.broken = append(r.broken, m.value)
	indent := false
	for i := m.value.Start; i < m.value.End; i++ {
		switch c := r.text[i]; {
		case m.escapes && c == '\\' && i+1 < m.value.End && (r.text[i+1] == '\\' || r.text[i+1] == '"'):
			i++
		case m.escapes && c != '\\':
		case c == '\n' || c == '\r':
			indent = true
		case c == ' ' && indent:
		case c < 0x80:
			r.text[i], indent = 'x', false
		}
	}
}

func (r *reader) explain(f failure) mistake {
	if name, ok := strings.CutPrefix(f.message, "unknown anchor '"); ok {
		return r.unknownAnchor(f, strings.TrimSuffix(name, "' referenced"))
	}
	last := r.src.lineAt(max(f.at-1, 0))
	if strings.Contains(f.message, "tab") || strings.Contains(f.message, "cannot start any token") {
		for line := f.line; line <= last; line++ {
			if d, ok := r.tabbed(line); ok {
				return mistake{Diagnostic: d}
			}
		}
	}
	lines := []int{f.line, r.above(f.line)}
	if unclosed.MatchString(f.message) {
		lines = []int{last, r.above(last), f.line}
	}
	for _, line := range lines {
		if m, ok := r.eaten(line, line == lines[0]); ok {
			return m
		}
	}
	if m, ok := r.cutByComment(f.line); ok {
		return m
	}
	if strings.Contains(f.message, "escape") || strings.Contains(f.message, "hexdecimal") {
		return r.badEscape(f)
	}
	return r.plainly(f)
}

// above is the last line with text before a line, 0 without one.
func (r *reader) above(line int) int {
	for line--; line > 0; line-- {
		if text := bytes.TrimSpace(r.src.Line(line)); len(text) > 0 && text[0] != '#' {
			return line
		}
	}
	return 0
}

// unknownAnchor finds the alias that the yaml library names without its place.
func (r *reader) unknownAnchor(f failure, name string) mistake {
	at := bytes.LastIndex(r.text[r.start:f.at], []byte("*"+name))
	if at < 0 {
		return r.plainly(f)
	}
	at += r.start
	alias := Range{r.src, at, at + 1 + len(name)}
	if rest := strings.TrimSpace(r.src.restOfLine(alias.End).Text()); rest != "" && !strings.ContainsAny(rest[:1], "#,]}") {
		if m, ok := r.eaten(r.src.lineAt(at), true); ok {
			return m
		}
	}
	d := Diagnostic{Range: alias, Code: CodeSyntax, Message: fmt.Sprintf("no anchor is called %q", name), Help: "write the value out, or &" + name + " before the value that is meant"}
	return mistake{Diagnostic: d, value: alias}
}

// tabbed recognises a line indented with a tab.
func (r *reader) tabbed(n int) (Diagnostic, bool) {
	line := r.src.Line(n)
	lead := len(line) - len(bytes.TrimLeft(line, " \t"))
	tab := bytes.IndexByte(line[:lead], '\t')
	if tab < 0 || lead == len(line) {
		return Diagnostic{}, false
	}
	start := r.src.lines[n-1]
	return Diagnostic{Range: Range{r.src, start + tab, start + lead}, Code: CodeSyntax, Message: "a tab in the indentation", Help: "indent with spaces"}, true
}

var (
	keyLine      = lazyregexp.New(`^( *(?:- +)*)([A-Za-z_][A-Za-z0-9_-]*): +(\S.*)$`)
	flowKey      = lazyregexp.New(`[{,] *(when|retry_after): +(\S.*)$`)
	flowValueEnd = lazyregexp.New(`\s*(, *[a-z_]+: |\}\s*$)`)
	blockHeader  = lazyregexp.New(`^[|>][-+1-9]{0,2}\s*(#.*)?$`)
	aliasAlone   = lazyregexp.New(`^\*[A-Za-z0-9_-]+$`)
)

// A written value is what stands behind a key on one line.
type written struct {
	key        string
	indent     int // of the key
	start, end int // bytes of the value
	inFlow     bool
	expression bool
}

// valueOn finds the value that a line gives to a key.
func (r *reader) valueOn(n int) (v written, ok bool) {
	if n < 1 {
		return v, false
	}
	line, start := string(r.src.Line(n)), r.src.lines[n-1]
	if m := flowKey.FindStringSubmatchIndex(line); m != nil {
		return written{key: line[m[2]:m[3]], indent: m[2], start: start + m[4], end: start + m[5], inFlow: true, expression: true}, true
	}
	m := keyLine.FindStringSubmatchIndex(line)
	if m == nil {
		return v, false
	}
	v = written{key: line[m[4]:m[5]], indent: m[4], start: start + m[6], end: start + len(strings.TrimRight(line, " \t"))}
	v.expression = v.key == "when" || v.key == "retry_after" || r.isVar(n, v.indent)
	return v, true
}

// isVar reports whether a key at that indent stands in vars.
func (r *reader) isVar(n, indent int) bool {
	for n = r.above(n); n > 0; n = r.above(n) {
		line := r.src.Line(n)
		if at := len(line) - len(bytes.TrimLeft(line, " ")); at < indent {
			return bytes.HasPrefix(line[at:], []byte("vars:"))
		}
	}
	return false
}

// eaten recognises a value without quotes that YAML reads as something else.
// Expressions begin with anything; of other values only what can be nothing else is
// taken for a mistake, and only on the very line.
func (r *reader) eaten(n int, here bool) (m mistake, ok bool) {
	v, ok := r.valueOn(n)
	if !ok || !v.expression && !here {
		return m, false
	}
	text := string(r.src.Bytes[v.start:v.end])
	if v.inFlow {
		text = upToNextKey(text)
	} else if at := strings.Index(text, " #"); at >= 0 && readCEL(text[:at]).closed {
		text = text[:at]
	}
	text = strings.TrimRight(text, " \t")
	if text == "" { // the next key stands where the value should
		return m, false
	}
	why := misread(text, v)
	if why == "" {
		return m, false
	}
	m.Range = Range{r.src, v.start, v.start + len(text)}
	m.Code = CodeEaten
	m.Message = why + ", not the expression that it is"
	if !v.expression {
		m.Message = why + ", not the text that it is"
	}
	m.value, m.Help = m.Range, "write it in single quotes: "+v.key+": "+quoteSingle(text)
	m.Fixes = []Fix{{Title: "write it in single quotes", Edits: []Edit{{Range: m.Range, Text: quoteSingle(text)}}}}
	if more := r.continued(v, n); more > v.end && !v.inFlow {
		m.Fixes = nil
		m.value.End, m.Help = more, "write it as a block of its own lines, behind "+v.key+": |-"
	}
	return m, true
}

// upToNextKey cuts a value within braces where the next key begins or the braces end.
func upToNextKey(value string) string {
	if end := flowValueEnd.FindStringIndex(value); end != nil {
		return value[:end[0]]
	}
	return value
}

// continued is the end of the lines that go on with a value: those indented more
// than its key.
func (r *reader) continued(v written, n int) (end int) {
	end = v.end
	for n++; n <= len(r.src.lines); n++ {
		line := r.src.Line(n)
		lead := len(line) - len(bytes.TrimLeft(line, " "))
		if lead == len(line) {
			continue
		}
		if lead <= v.indent {
			break
		}
		end = r.src.lines[n-1] + len(line)
	}
	return end
}

// misread says why YAML does not read a value as the text that it is, "" if it does.
func misread(text string, v written) string {
	switch first := text[0]; {
	case first == '\'' || first == '"':
		if end := closingQuote(text); end < 0 || strings.TrimSpace(text[end+1:]) == "" {
			return "" // properly quoted, or not closed
		}
		return "YAML takes the quoted text for the whole value"
	case strings.IndexByte("%@`", first) >= 0,
		v.expression && strings.IndexByte("[]{},&*!#", first) >= 0 && !aliasAlone.MatchString(text),
		v.expression && (first == '-' || first == '?') && len(text) > 1 && text[1] == ' ':
		return fmt.Sprintf("a value without quotes that begins with %q means something else to YAML", first)
	case first == '|' || first == '>':
		if blockHeader.MatchString(text) || !v.expression {
			return ""
		}
		return fmt.Sprintf("YAML reads %q as the beginning of a block", first)
	case v.inFlow && strings.ContainsAny(text, "[]{}"):
		return "within braces, brackets end a value without quotes"
	case strings.IndexByte("[{&*!", first) < 0 && !strings.HasPrefix(text, "- ") && (strings.Contains(text, ": ") || strings.HasSuffix(text, ":")):
		return "`: ` in a value without quotes begins a mapping"
	}
	return ""
}

// closingQuote is the place of the quote that closes the one with which s begins, -1
// without one.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[0] == '"' && s[i] == '\\':
			i++
		case s[i] == s[0] && s[0] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == s[0]:
			return i
		}
	}
	return -1
}

func quoteSingle(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// cutByComment recognises a line that was meant to go on with a value without quotes
// which a comment on the line above has ended.
func (r *reader) cutByComment(n int) (m mistake, ok bool) {
	above := r.above(n)
	v, ok := r.valueOn(above)
	if !ok || strings.IndexByte("'\"|>[{&*!", r.src.Bytes[v.start]) >= 0 {
		return m, false
	}
	line := r.src.Line(n)
	at := bytes.Index(r.src.Bytes[v.start:v.end], []byte(" #"))
	if at < 0 || len(line)-len(bytes.TrimLeft(line, " ")) <= v.indent {
		return m, false
	}
	m.Range = Range{r.src, v.start + at + 1, v.end}
	m.Code, m.Message = CodeEaten, "a comment ends a value without quotes, and the lines below go on with it"
	m.Help = "move the comment, or write the value as a block of its own lines, behind " + v.key + ": |-"
	m.value = Range{r.src, v.start, r.continued(v, above)}
	return m, true
}

// badEscape finds the backslash at which the yaml library gave up. The others of the
// line are probably the same mistake.
func (r *reader) badEscape(f failure) mistake {
	at := bytes.LastIndexByte(r.text[r.start:f.at], '\\')
	if at < 0 {
		return r.plainly(f)
	}
	at += r.start
	end := min(at+2, r.src.restOfLine(at).End)
	d := Diagnostic{
		Range: Range{r.src, at, end}, Code: CodeSyntax,
		Message: "a backslash in double quotes begins an escape, and this is none that YAML knows",
		Help:    `use single quotes, in which a backslash is a backslash`,
	}
	return mistake{Diagnostic: d, value: r.src.restOfLine(at), escapes: true}
}

// plainly puts what the yaml library says into words of ours.
func (r *reader) plainly(f failure) mistake {
	d := Diagnostic{Range: r.src.wholeLine(f.line), Code: CodeSyntax, Message: "YAML cannot be read here: " + f.message}
	for _, p := range problems {
		if !strings.Contains(f.message, p.says) {
			continue
		}
		d.Message, d.Help = p.message, p.help
		if p.code != (Code{}) {
			d.Code = p.code
		}
		if p.begins != "" {
			d.Range = r.narrow(d.Range, p.begins)
		}
		break
	}
	if m := noSpace.FindSubmatch(r.src.Line(f.line)); m != nil && strings.HasPrefix(f.message, "could not find expected ':'") {
		d.Message, d.Help = "a colon makes a key only with a space behind it", fmt.Sprintf("write %s: %s", m[1], shorten(string(m[2])))
	}
	return mistake{Diagnostic: d}
}

// narrow makes a range begin at the last of some characters that is not closed on its
// line: the bracket or the quote that a message speaks of.
func (r *reader) narrow(line Range, begins string) Range {
	var open []int
	text := line.Text()
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '#' && (i == 0 || text[i-1] == ' '):
			i = len(text)
		case c == '\'' || c == '"':
			before := strings.TrimRight(text[:i], " ")
			if before != "" && strings.IndexByte(":-,[{", before[len(before)-1]) < 0 {
				continue // within a value without quotes
			}
			end := closingQuote(text[i:])
			if end < 0 {
				open, i = append(open, i), len(text)
				continue
			}
			i += end
		case c == '[' || c == '{':
			open = append(open, i)
		case (c == ']' || c == '}') && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	for _, at := range slices.Backward(open) {
		if strings.IndexByte(begins, text[at]) >= 0 {
			line.Start += at
			break
		}
	}
	return line
}

// noSpace is a key without a space behind its colon.
var noSpace = lazyregexp.New(`^ *(?:- +)*([A-Za-z_][A-Za-z0-9_-]*):(\S.*)$`)

// problems are what the yaml library says, and what that means. Of several that fit
// the first counts. begins tells with which characters the place begins, if it is not
// the whole line.
var problems = []struct {
	says, message, help string
	begins              string
	code                Code
}{
	{says: "mapping values are not allowed", message: "`: ` stands where no key can be", help: "put the value in single quotes"},
	{says: "could not find expected ':'", message: "a key needs `: ` behind it, or a text that goes on needs more indentation"},
	{
		says:    "did not find expected key",
		message: "the line fits neither as a key nor as a value: its indentation differs from its neighbours, or a value above it needs quotes",
	},
	{says: "did not find expected '-' indicator", message: "the line is part of no entry of the list: its indentation differs from its neighbours"},
	{says: "did not find expected ',' or", message: "a bracket is not closed, or a comma is missing", begins: "[{"},
	{says: "unexpected end of stream", message: "a quote is opened and never closed", begins: `'"`},
	{says: "unexpected document indicator", message: "a quote is opened and never closed", begins: `'"`},
	{says: "cannot start any token", message: "no value can begin like this", help: "put the value in single quotes"},
	{says: "block sequence entries are not allowed", message: "`- ` stands where no entry of a list can be", help: "begin the list on a line of its own"},
	{says: "mapping keys are not allowed", message: "`? ` stands where no key can be", help: "put the value in single quotes"},
	{says: "did not find expected <document start>", message: "the document has ended above this line", help: "begin another one with ---"},
	{says: "did not find expected node content", message: "a value is missing between the separators"},
	{says: "whitespace or line break", message: "! begins a tag, which policies do not have", help: "put the value in single quotes", code: CodeYAMLFeature},
	{says: "comment or line break", message: "the text of a block begins on the line behind | or >"},
	{says: "alphabetic or numeric", message: "& and * begin the names of anchors, which are letters and digits", help: "put the value in single quotes"},
	{says: "tag", message: "! begins a tag, which policies do not have", help: "put the value in single quotes", code: CodeYAMLFeature},
	{says: "directive", message: "lines that begin with % are directives, which policies do not need", help: "remove the line", code: CodeYAMLFeature},
	{says: "incompatible YAML document", message: "the version of YAML is not 1.1 or 1.2", help: "remove the line", code: CodeYAMLFeature},
	{says: "exceeded max depth", message: fmt.Sprintf("values are nested more than %d deep", MaxDepth), help: "nest less deeply", code: CodeTooLarge},
	{says: "indentation indicator equal to 0", message: "the indent of a block is at least 1"},
}
