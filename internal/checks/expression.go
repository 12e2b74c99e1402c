package checks

import (
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/interp"
)

// expression looks at the parts of a condition one by one.
func (l *list) expression(scope analysis.Scope, r interp.Condition) {
	l.part(scope, r.When)
	byMessage := false
	l.walkOwn(r.When, func(n *interp.Node) {
		if n.Op == interp.OpField && (n.Name == "err.message" || n.Name == "result.message") && !byMessage {
			byMessage = true
			l.report(dsl.CodeByMessage, n.Range, "test err.code, err.kind, err.status or an attribute, which do not change with the wording", "rule %s goes by the message, whose wording may change with any release", r.ID)
		}
		if n.Op == interp.OpCall && n.Name == "matches" {
			l.regex(n)
		}
	})
}

// walkOwn visits what is written in the condition itself, not in vars that it reads.
func (l *list) walkOwn(n *interp.Node, f func(*interp.Node)) {
	f(n)
	if n.Op != interp.OpVar {
		for _, arg := range n.Args {
			l.walkOwn(arg, f)
		}
	}
}

// part reports comparisons whose result is always the same.
func (l *list) part(scope analysis.Scope, n *interp.Node) {
	if n.Op != interp.OpCall && n.Op != interp.OpExists {
		return
	}
	switch n.Name {
	case "==", "!=", "<", "<=", ">", ">=":
		l.comparison(scope, n)
	case "in":
		l.membership(scope, n)
	}
	for _, arg := range n.Args {
		l.part(scope, arg)
	}
}

func (l *list) comparison(scope analysis.Scope, n *interp.Node) {
	field, literal := n.Args[0], n.Args[1]
	if field.Op == interp.OpLiteral {
		field, literal = literal, field
	}
	if field.Op != interp.OpField || literal.Op != interp.OpLiteral {
		return
	}
	switch analysis.Constant(scope, n) {
	case analysis.AlwaysFalse:
		l.report(dsl.CodeImpossible, literal.Range, domainOf(scope, field), "%s can never hold", spelled(n))
	case analysis.AlwaysTrue:
		l.report(dsl.CodeConstant, literal.Range, domainOf(scope, field), "%s always holds", spelled(n))
	}
}

// membership looks at each member of a list.
func (l *list) membership(scope analysis.Scope, n *interp.Node) {
	field, members := n.Args[0], n.Args[1]
	if field.Op != interp.OpField || members.Op != interp.OpList {
		return
	}
	seen := map[string]bool{}
	for _, m := range members.Args {
		one := &interp.Node{Op: interp.OpCall, Name: "==", Type: "bool", Args: []*interp.Node{field, m}}
		one.Key = "==(" + field.Key + ", " + m.Key + ")"
		switch {
		case m.Op != interp.OpLiteral:
		case analysis.Constant(scope, one) == analysis.AlwaysFalse:
			l.report(dsl.CodeImpossible, m.Range, domainOf(scope, field), "%s is never %s", spelled(field), m.Range.Text())
		case seen[m.Key]:
			l.report(dsl.CodeConstant, m.Range, "remove it", "%s is in the list already", m.Range.Text())
		}
		seen[m.Key] = true
	}
}

func spelled(n *interp.Node) string { return strings.Join(strings.Fields(n.Range.Text()), " ") }

// domainOf says what a field can be.
func domainOf(scope analysis.Scope, field *interp.Node) string {
	switch name := field.Name[strings.LastIndexByte(field.Name, '.')+1:]; name {
	case "status":
		return "a status is 0, when there is none, or from 100 to 599"
	case "kind":
		return "kinds are " + strings.Join(dsl.KindNames(), ", ")
	case "phase":
		return "phases are " + strings.Join(dsl.PhaseNames(), ", ")
	case "attempt", "class_attempt":
		if scope.MaxAttempts > 0 {
			return fmt.Sprintf("%s is from 1 to %d, the policy's max_attempts", name, scope.MaxAttempts)
		}
		return name + " counts from 1"
	case "class":
		return "select is asked for classes that are retried: CONCURRENCY, RATE_LIMIT, SERVER_ERROR, TRANSIENT and UNKNOWN"
	case "remaining":
		return fmt.Sprintf("what remains is at most the deadline, %v", scope.Deadline)
	case "elapsed":
		return "what has elapsed is not negative"
	}
	return ""
}

// regex reports patterns that are no more than a text.
func (l *list) regex(n *interp.Node) {
	if len(n.Args) != 2 || n.Args[1].Op != interp.OpLiteral {
		return
	}
	pattern, _ := n.Args[1].Value.(string)
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || pattern == "" {
		return
	}
	method, text := plainPattern(re.Simplify())
	if method == "" {
		return
	}
	target := n.Args[0].Range.Text()
	call := fmt.Sprintf("%s.%s(%s)", target, method, quoteLike(n.Args[1].Range.Text(), text))
	if method == "==" {
		call = fmt.Sprintf("%s == %s", target, quoteLike(n.Args[1].Range.Text(), text))
	}
	d := l.report(dsl.CodeLiteralRegex, n.Range, "write "+call, "the pattern %s is a plain text", n.Args[1].Range.Text())
	if oneLine := !strings.Contains(n.Range.Text(), "\n"); oneLine && strings.Contains(n.Range.Text(), "matches") && fitsQuotes(n.Range, call) {
		d.Fixes = []dsl.Fix{{Title: "replace it by " + call, Edits: []dsl.Edit{{Range: n.Range, Text: call}}}}
	}
}

// fitsQuotes reports whether a text can stand where the range is without changing how
// YAML reads the scalar around it: it holds no character that the old text lacks and
// that could mean something there.
func fitsQuotes(at dsl.Range, text string) bool {
	old := at.Text()
	for _, special := range []string{"'", `"`, `\`, ": ", " #"} {
		if strings.Contains(text, special) && !strings.Contains(old, special) {
			return false
		}
	}
	return strings.Count(text, `\`) == 0 && strings.Count(old, "''") == 0
}

// quoteLike quotes a text as the literal was quoted.
func quoteLike(literal, text string) string {
	quote := `"`
	if strings.HasSuffix(literal, "'") {
		quote = "'"
	}
	if strings.ContainsAny(text, quote+`\`) || strconv.Quote(text) != `"`+text+`"` {
		return strconv.Quote(text)
	}
	return quote + text + quote
}

// plainPattern tells which method asks what a pattern asks that is a literal.
func plainPattern(re *syntax.Regexp) (method, text string) {
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	var start, end bool
	for i, part := range parts {
		switch {
		case part.Op == syntax.OpBeginText && i == 0:
			start = true
		case part.Op == syntax.OpEndText && i == len(parts)-1:
			end = true
		case part.Op == syntax.OpLiteral && part.Flags&syntax.FoldCase == 0:
			text += string(part.Rune)
		default:
			return "", ""
		}
	}
	switch {
	case text == "":
		return "", ""
	case start && end:
		return "==", text
	case start:
		return "startsWith", text
	case end:
		return "endsWith", text
	}
	return "contains", text
}
