package importer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/redress-policy/redress/internal/lazyregexp"
)

// clean shows text of the input to people: without anything that a terminal or YAML
// would take for more than text.
func clean(s string) string {
	var b strings.Builder
	for _, c := range s {
		if unicode.IsPrint(c) {
			b.WriteRune(c)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(c), "'"))
		}
	}
	return b.String()
}

// plain is clean, and not too long.
func plain(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most-1]) + "…"
	}
	return clean(s)
}

var notInNames = lazyregexp.New(`[^A-Za-z0-9._-]+`)

// legalName makes a name of the language of any text; "" if nothing is left of it.
func legalName(s string) string {
	const most = 100
	s = strings.TrimLeft(notInNames.ReplaceAllString(s, "-"), "._-")
	if len(s) > most {
		s = s[:most]
	}
	return strings.TrimRight(s, "._-")
}

// full tells that there are more documents than a file may hold, which is an error.
func (j *job) full() bool { return len(j.taken) > maxDocuments }

// docName gives a document a name that no other of its kind has. at is what the name comes
// from; where it differs, the losses say so.
func (j *job) docName(kind, wanted string, at *node) string {
	name := legalName(wanted)
	if name == "" {
		name = j.stem()
	}
	if j.full() {
		j.fail(at, "more than %d policies, budgets and breakers", maxDocuments)
		return name
	}
	chosen := name
	for i := 2; j.taken[kind+" "+chosen]; i++ {
		chosen = name + "-" + strconv.Itoa(i)
	}
	j.taken[kind+" "+chosen] = true
	if chosen != name {
		j.gap(at, fmt.Sprintf("name: %s", chosen), fmt.Sprintf("another %s is called %s", kind, name))
	} else if name != wanted && wanted != "" {
		j.gap(at, fmt.Sprintf("name: %s", chosen), fmt.Sprintf("%s is no name of the language: it has letters, digits, -, _ and .", plain(wanted)))
	}
	return chosen
}

// named marks a field that a document is called after.
func (n *node) named(name string) {
	if n == nil || strings.Contains(name, n.value) {
		n.mark(Exact, "name: "+name, "")
	} else {
		n.mark(Approximated, "name: "+name, "made into a name of the language")
	}
}

// gap notes a value that the input does not give. What several policies inherit is
// noted once.
func (j *job) gap(at *node, became, why string) {
	one := Loss{Line: at.line, Status: Approximated, Became: became, Why: why}
	if !j.noted[one] {
		j.noted[one] = true
		j.gaps = append(j.gaps, one)
	}
}

// celText writes a text as an expression.
func celText(s string) string { return strconv.QuoteToASCII(s) }

// celList writes texts as a list.
func celList(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = celText(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

var plainExpression = lazyregexp.New(`^[a-z][A-Za-z0-9_.]* [^'\\#:]*$`)

// yamlExpression writes an expression as a YAML value.
func yamlExpression(s string) string {
	if plainExpression.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

var (
	plainText = lazyregexp.New(`^[A-Za-z/][A-Za-z0-9._/*-]*$`)
	yamlWord  = lazyregexp.New(`(?i)^(true|false|null|yes|no|on|off|y|n)$`)
)

// yamlText writes a text as a YAML value.
func yamlText(s string) string {
	switch {
	case plainText.MatchString(s) && !yamlWord.MatchString(s):
		return s
	case strconv.QuoteToASCII(s) == `"`+s+`"`:
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return jsonText(s)
}

// jsonText writes a text in double quotes, with escapes that YAML knows.
func jsonText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c >= ' ' && c < 0x7f:
			b.WriteRune(c)
		case c <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
