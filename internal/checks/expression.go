package checks

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/interp"
)

// expression looks at the parts of an expression of the list one by one. Whose says whose
// it is: "rule busy".
func (c *checker) expression(l *analysis.List, n *interp.Node, whose string) {
	c.part(l, n)
	byMessage := false
	c.walkOwn(n, func(n *interp.Node) {
		if message := messageIn(n); message != nil && !byMessage && !c.said(dsl.CodeByMessage, message.Range) {
			byMessage = true
			c.report(dsl.CodeByMessage, message.Range, betterThanMessage(n), "%s goes by the message, whose wording may change with any release", whose)
		}
		if n.Op == interp.OpCall && n.Name == "matches" {
			c.regex(n)
		}
	})
}

// messageIn returns the message that a node is, or asks something of directly or in one
// case.
func messageIn(n *interp.Node) *interp.Node {
	if n.Op == interp.OpCall && len(n.Args) > 0 {
		for _, arg := range n.Args {
			if m := messageIn(arg); m != nil && (arg.Op == interp.OpField || changesCase(arg)) {
				return m
			}
		}
	}
	if n.Op == interp.OpField && (n.Name == "err.message" || n.Name == "result.message") {
		return n
	}
	return nil
}

// betterThanMessage says what to read instead of the message of which something is asked.
func betterThanMessage(n *interp.Node) string {
	for _, arg := range n.Args {
		text, _ := arg.Value.(string)
		for _, known := range wordings {
			if text = strings.ToLower(text); strings.Contains(text, known.text) {
				return "write " + known.better
			}
		}
	}
	return "test err.code, err.kind, err.status or an attribute, which do not change with the wording"
}

// wordings are what messages say for which the record has a fact.
var wordings = []struct{ text, better string }{
	{"connection refused", `err.code == "ECONNREFUSED"`},
	{"connection reset", `err.code == "ECONNRESET"`},
	{"broken pipe", `err.code == "EPIPE"`},
	{"no such host", `err.kind == "dns"`},
	{"deadline exceeded", "err.timeout"},
	{"timeout", "err.timeout"},
	{"timed out", "err.timeout"},
	{"too many requests", "err.status == 429"},
	{"service unavailable", "err.status == 503"},
	{"bad gateway", "err.status == 502"},
	{"deadlock", `err.code == "40P01", or MySQL's "1213"`},
	{"duplicate key", `err.code == "23505"`},
	{"duplicate entry", `err.code == "1062"`},
	{"could not serialize", `err.code == "40001"`},
	{"certificate", `err.kind == "tls"`},
}

// walkOwn visits what is written in the condition itself, not in vars that it reads.
func (c *checker) walkOwn(n *interp.Node, f func(*interp.Node)) {
	f(n)
	if n.Op != interp.OpVar {
		for _, arg := range n.Args {
			c.walkOwn(arg, f)
		}
	}
}

// part reports comparisons whose result is always the same.
func (c *checker) part(l *analysis.List, n *interp.Node) {
	if n.Op != interp.OpCall && n.Op != interp.OpExists {
		return
	}
	switch n.Name {
	case "==", "!=", "<", "<=", ">", ">=":
		c.comparison(l, n)
	case "in":
		c.membership(l, n)
	case "startsWith", "endsWith", "contains", "matches":
		c.question(l, n)
	case "&&", "||":
		c.repeats(n)
		c.addsNothing(l, n)
	}
	for _, arg := range n.Args {
		c.part(l, arg)
	}
}

func (c *checker) comparison(l *analysis.List, n *interp.Node) {
	field, literal := n.Args[0], n.Args[1]
	if field.Op == interp.OpLiteral {
		field, literal = literal, field
	}
	if field.Op != interp.OpField && !changesCase(field) || literal.Op != interp.OpLiteral {
		return
	}
	switch l.Constant(n) {
	case analysis.AlwaysFalse:
		c.report(dsl.CodeImpossible, literal.Range, domainOf(l.Scope, field), "%s can never hold", spelled(n))
	case analysis.AlwaysTrue:
		c.report(dsl.CodeConstant, literal.Range, domainOf(l.Scope, field), "%s always holds", spelled(n))
	}
}

// membership looks at each member of a list.
func (c *checker) membership(l *analysis.List, n *interp.Node) {
	field, members := n.Args[0], n.Args[1]
	if field.Op != interp.OpField && !changesCase(field) || members.Op != interp.OpList {
		return
	}
	seen := map[string]bool{}
	for _, m := range members.Args {
		one := &interp.Node{Op: interp.OpCall, Name: "==", Type: "bool", Args: []*interp.Node{field, m}}
		one.Key = "==(" + field.Key + ", " + m.Key + ")"
		switch {
		case m.Op != interp.OpLiteral:
		case l.Constant(one) == analysis.AlwaysFalse:
			c.report(dsl.CodeImpossible, m.Range, domainOf(l.Scope, field), "%s is never %s", spelled(field), m.Range.Text())
		case seen[m.Key]:
			c.report(dsl.CodeConstant, m.Range, "remove it", "%s is in the list already", m.Range.Text())
		}
		seen[m.Key] = true
	}
}

// question reports what is asked of a text in vain: whether letters in lower case
// contain one in upper case.
func (c *checker) question(l *analysis.List, n *interp.Node) {
	if len(n.Args) == 2 && changesCase(n.Args[0]) && n.Args[1].Op == interp.OpLiteral && l.Constant(n) == analysis.AlwaysFalse {
		c.report(dsl.CodeImpossible, n.Args[1].Range, domainOf(l.Scope, n.Args[0]), "%s can never hold", spelled(n))
	}
}

func changesCase(n *interp.Node) bool {
	return n.Op == interp.OpCall && (n.Name == "lowerAscii" || n.Name == "upperAscii")
}

// repeats reports parts of && and || that stand there twice.
func (c *checker) repeats(n *interp.Node) {
	seen := map[string]bool{}
	for _, part := range operands(n, n.Name) {
		if seen[part.Key] && !c.said(dsl.CodeConstant, part.Range) { // a chain may be looked at from each of its links
			c.report(dsl.CodeConstant, part.Range, "remove it, or mend what was copied", "%s stands here twice", spelled(part))
		}
		seen[part.Key] = true
	}
}

// addsNothing reports comparisons of a number that others of the same field, joined with
// them, make needless: status == 503 && status >= 500.
func (c *checker) addsNothing(l *analysis.List, n *interp.Node) {
	var compared []*interp.Node
	for _, part := range operands(n, n.Name) {
		if field := comparedField(part); field != nil && l.Constant(part) == analysis.Varies {
			compared = append(compared, part)
		}
	}
	for i, a := range compared {
		for j, b := range compared {
			if i == j || a.Key == b.Key || comparedField(a).Key != comparedField(b).Key || c.said(dsl.CodeConstant, b.Range) || c.said(dsl.CodeConstant, a.Range) {
				continue
			}
			switch {
			case n.Name == "&&" && l.Implies(a, b):
				c.report(dsl.CodeConstant, b.Range, "remove it, or mend one of them", "%s holds whenever %s does, which stands beside it", spelled(b), spelled(a))
			case n.Name == "||" && l.Implies(b, a):
				c.report(dsl.CodeConstant, b.Range, "remove it, or mend one of them", "%s adds nothing to %s, which holds whenever it does", spelled(b), spelled(a))
			}
		}
	}
}

// comparedField is the number or duration that a comparison with a literal reads.
func comparedField(n *interp.Node) *interp.Node {
	if n.Op != interp.OpCall || len(n.Args) != 2 {
		return nil
	}
	switch n.Name {
	case "==", "<", "<=", ">", ">=":
		field, literal := n.Args[0], n.Args[1]
		if field.Op == interp.OpLiteral {
			field, literal = literal, field
		}
		if field.Op == interp.OpField && literal.Op == interp.OpLiteral && (field.Type == "int" || field.Type == "duration") {
			return field
		}
	}
	return nil
}

// said reports whether a rule has a finding at a place.
func (c *checker) said(code dsl.Code, at dsl.Range) bool {
	return slices.ContainsFunc(c.found, func(d dsl.Diagnostic) bool { return d.Code == code && d.Range == at })
}

// operands are the parts of a chain of one operator.
func operands(n *interp.Node, operator string) []*interp.Node {
	if n.Op != interp.OpCall || n.Name != operator {
		return []*interp.Node{n}
	}
	var all []*interp.Node
	for _, arg := range n.Args {
		all = append(all, operands(arg, operator)...)
	}
	return all
}

func spelled(n *interp.Node) string { return strings.Join(strings.Fields(n.Range.Text()), " ") }

// domainOf says what a field can be.
func domainOf(scope analysis.Scope, field *interp.Node) string {
	switch field.Name {
	case "lowerAscii":
		return "lowerAscii leaves no letters in upper case: write the text in lower case"
	case "upperAscii":
		return "upperAscii leaves no letters in lower case: write the text in upper case"
	}
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
func (c *checker) regex(n *interp.Node) {
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
	d := c.report(dsl.CodeLiteralRegex, n.Range, "write "+call, "the pattern %s is a plain text", n.Args[1].Range.Text())
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
	parts := flatten(re)
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

// flatten returns what stands one after the other, groups undone.
func flatten(re *syntax.Regexp) []*syntax.Regexp {
	if re.Op != syntax.OpConcat && re.Op != syntax.OpCapture {
		return []*syntax.Regexp{re}
	}
	var parts []*syntax.Regexp
	for _, sub := range re.Sub {
		parts = append(parts, flatten(sub)...)
	}
	return parts
}
