package interp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/lazyregexp"
)

// typeError reports what the checker found, in words of the language. Of errors that
// stand within each other the innermost counts, and where something was said already
// nothing is added: the others follow from it.
func (s *scope) typeError(issues *cel.Issues) {
	type finding struct {
		at         dsl.Range
		text       string
		expression ast.Expr
	}
	var all []finding
	for _, e := range issues.Errors() {
		if s.limitExceeded(e.Message) {
			return
		}
		f := finding{s.tokenRange(s.offset(e.Location)), e.Message, s.node(e.ExprID)}
		if start, end, ok := s.spans().of(e.ExprID); ok {
			f.at = s.expr.Place(start, end)
		}
		all = append(all, f)
	}
	for i, f := range all {
		follows := slices.ContainsFunc(all[:i], func(other finding) bool { return other.at == f.at }) ||
			slices.ContainsFunc(all, func(other finding) bool {
				return other.at != f.at && contains(f.at, other.at)
			}) ||
			slices.ContainsFunc(s.said, func(at dsl.Range) bool { return contains(f.at, at) || contains(at, f.at) })
		if !follows {
			code, message, help := s.explain(f.text, f.expression)
			if code == dsl.CodeUnknownField && f.expression != nil && f.expression.Kind() == ast.SelectKind {
				f.at = s.fieldRange(f.expression, f.expression.AsSelect().FieldName())
			}
			s.report(f.at, code, help, "%s", message)
		}
	}
}

func contains(outer, inner dsl.Range) bool {
	return outer.Start <= inner.Start && inner.End <= outer.End
}

// node finds the part of the expression that has an id; nil if there is none.
func (s *scope) node(id int64) (found ast.Expr) {
	ast.PreOrderVisit(s.spans().root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id {
			found = e
		}
	}))
	return found
}

var (
	noOverload     = lazyregexp.New(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	quotedInError  = lazyregexp.New(`'([^']*)'`)
	mismatchedType = lazyregexp.New(`^expected type '(.*)' but found '(.*)'$`)
)

// explain puts an error of the checker into words.
func (s *scope) explain(text string, e ast.Expr) (code dsl.Code, message, help string) {
	quoted := ""
	if m := quotedInError.FindStringSubmatch(text); m != nil {
		quoted = m[1]
	}
	if m := noOverload.FindStringSubmatch(text); m != nil {
		return s.explainOverload(m[1], typesIn(m[2]), e)
	}
	if m := mismatchedType.FindStringSubmatch(text); m != nil && s.isElement(e) {
		return dsl.CodeWrongExprType, fmt.Sprintf("lists and maps hold values of one type, and this is %s beside %s", wordsOf(m[2]), wordsOf(m[1])), ""
	} else if m != nil && s.isCondition(e) {
		return dsl.CodeWrongExprType, fmt.Sprintf("the condition of exists and all is true or false, not %s", wordsOf(m[2])), `compare it with something, as in c.code == "E1"`
	} else if m != nil {
		return dsl.CodeWrongExprType, fmt.Sprintf("a condition is needed here, and this is %s", wordsOf(m[2])), "compare it with something"
	}
	switch {
	case strings.HasPrefix(text, "undefined field "): // of err, result, attr and vars it was said before
		known := s.provider.fieldNames(causeType)
		message = "a cause has no field " + quoted
		if near, ok := dsl.Nearest(quoted, known); ok {
			message += "; did you mean " + near + "?"
		}
		return dsl.CodeUnknownField, message, "a cause has " + strings.Join(known, ", ")
	case strings.Contains(text, "does not support field selection"):
		return dsl.CodeUnknownField, wordsOf(quoted) + " has no fields", ""
	case strings.Contains(text, "cannot be range of a comprehension"):
		return dsl.CodeWrongExprType, "exists and all run over a list or a map, not over " + wordsOf(quoted), `write err.causes.exists(c, c.code == "E1")`
	case strings.HasPrefix(text, "unsupported optional field selection"):
		return dsl.CodeInvalidExpr, "behind ? stands the name of a field or a key", `write err.headers[?"x"].orValue("")`
	}
	return dsl.CodeWrongExprType, "the types do not fit here", ""
}

var operators = map[string]string{
	"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_&&_": "&&", "_||_": "||", "!_": "!", "-_": "-",
	"_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "_%_": "%", "@in": "in", "_?_:_": "?:", "_[_]": "[]", "_[?_]": "[?]",
}

// explainOverload speaks of an operator or a function that does not take its operands.
func (s *scope) explainOverload(function string, operands []string, e ast.Expr) (code dsl.Code, message, help string) {
	code = dsl.CodeWrongExprType
	operator, isOperator := operators[function]
	if strings.HasPrefix(function, "@") && !isOperator || operator == "in" && len(operands) != 2 {
		return code, "the types do not fit here", ""
	}
	if !isOperator {
		return code, fmt.Sprintf("%s does not take %s", function, sentence(operands)), ""
	}
	switch {
	case operator == "!":
		return code, fmt.Sprintf("! takes a condition, not %s", sentence(operands)), "! binds tightly: write !(a == b)"
	case operator == "&&" || operator == "||":
		return code, fmt.Sprintf("%s joins conditions, not %s", operator, sentence(operands)), "compare each side with something"
	case operator == "?:":
		return code, fmt.Sprintf("?: takes a condition and two values of one type, not %s", sentence(operands)), ""
	case operator == "in" && operands[0] == "string" && operands[1] == "string":
		return code, "in looks into lists and maps, not into a text", `write err.code.contains("E1")`
	case operator == "in" && !strings.HasPrefix(operands[1], "list(") && !strings.HasPrefix(operands[1], "map("):
		return code, fmt.Sprintf("in looks into lists and maps, not into %s", wordsOf(operands[1])), "write [...] around the values"
	case operator == "in" && strings.HasPrefix(operands[1], "map("):
		return code, fmt.Sprintf("the keys of a map are texts here, and this is %s", wordsOf(operands[0])), ""
	case operator == "in":
		return code, fmt.Sprintf("%s is never in %s", wordsOf(operands[0]), wordsOf(operands[1])), s.comparisonHelp(e, operands)
	case operator == "[]" && len(operands) == 2 && strings.HasPrefix(operands[0], "map("):
		return code, fmt.Sprintf("the key of a map is a text here, not %s", wordsOf(operands[1])), `write err.headers[?"x"].orValue("")`
	}
	return code, fmt.Sprintf("%s does not take %s", operator, sentence(operands)), s.comparisonHelp(e, operands)
}

// isElement reports whether a node stands in a list or map that is written out.
func (s *scope) isElement(e ast.Expr) (is bool) {
	ast.PreOrderVisit(s.spans().root, ast.NewExprVisitor(func(n ast.Expr) {
		switch n.Kind() {
		case ast.ListKind:
			is = is || slices.Contains(n.AsList().Elements(), e)
		case ast.MapKind:
			for _, entry := range n.AsMap().Entries() {
				is = is || entry.AsMapEntry().Key() == e || entry.AsMapEntry().Value() == e
			}
		}
	}))
	return is
}

// isCondition reports whether a node is the condition of a loop.
func (s *scope) isCondition(e ast.Expr) (is bool) {
	ast.PreOrderVisit(s.spans().root, ast.NewExprVisitor(func(n ast.Expr) {
		if n.Kind() == ast.ComprehensionKind {
			if step := n.AsComprehension().LoopStep(); step.Kind() == ast.CallKind {
				is = is || slices.Contains(step.AsCall().Args(), e)
			}
		}
	}))
	return is
}

// comparisonHelp says how the literal of a comparison would have to be written.
func (s *scope) comparisonHelp(e ast.Expr, operands []string) string {
	if e == nil || e.Kind() != ast.CallKind {
		return ""
	}
	beside := map[string]bool{}
	for _, operand := range operands {
		beside[strings.Replace(operand, cel.DurationType.String(), durationName, 1)] = true
		if strings.HasPrefix(operand, "optional") {
			return `say what it is when it is absent: err.headers[?"x"].orValue("")`
		}
	}
	args := e.AsCall().Args()
	if last := args[len(args)-1]; last.Kind() == ast.ListKind {
		args = last.AsList().Elements()
	}
	for _, arg := range args {
		if arg.Kind() != ast.LiteralKind {
			continue
		}
		switch v := arg.AsLiteral().(type) {
		case types.String:
			return helpForText(string(v), beside)
		case types.Double:
			if beside["int"] && float64(v) == float64(int64(v)) {
				return fmt.Sprintf("write %d", int64(v))
			}
		case types.Int:
			return helpForNumber(int64(v), beside)
		case types.Bool:
			if beside["string"] {
				return fmt.Sprintf(`write "%v"`, v)
			}
		case types.Null:
			return "nothing is null here: what is absent is zero, and has(err.code) tells"
		}
	}
	return ""
}

func helpForText(text string, beside map[string]bool) string {
	switch {
	case beside["int"]:
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			return "write " + text + " without quotes"
		}
	case beside["bool"] && (text == "true" || text == "false"):
		return "write " + text + " without quotes"
	case beside[durationName]:
		if _, err := time.ParseDuration(text); err == nil {
			return fmt.Sprintf("write duration(%q)", text)
		}
	}
	return ""
}

func helpForNumber(n int64, beside map[string]bool) string {
	switch {
	case beside["string"]:
		return fmt.Sprintf(`write "%d"`, n)
	case beside[durationName]:
		return fmt.Sprintf(`write duration("%ds")`, n)
	case beside["double"]:
		return fmt.Sprintf("write %d.0", n)
	case beside[className]:
		return "the classes are " + strings.Join(dsl.ClassNames(), ", ")
	}
	return ""
}

var (
	durationName = "duration" // which the checker calls google.protobuf.Duration elsewhere
	className    = classType.String()
)

var typesInWords = map[string]string{
	"int": "a whole number", "uint": "an unsigned number", "string": "a text", "bool": "a condition", "double": "a number", "bytes": "bytes", "null": "null", "dyn": "a value of any type",
	durationName: "a duration", "google.protobuf.Duration": "a duration", className: "a class",
	failureType: "err", resultType: "result", attrType: "attr", varsType: "vars", causeType: "a cause",
}

var several = map[string]string{"int": "whole numbers", "string": "texts", "bool": "conditions", "double": "numbers", "duration": "durations", "google.protobuf.Duration": "durations", causeType: "causes"}

func typeWords(t *cel.Type) string { return wordsOf(t.String()) }

// wordsOf says a type in words.
func wordsOf(name string) string {
	if words, ok := typesInWords[name]; ok {
		return words
	}
	if element, ok := strings.CutPrefix(name, "list("); ok && several[strings.TrimSuffix(element, ")")] != "" {
		return "a list of " + several[strings.TrimSuffix(element, ")")]
	}
	switch {
	case strings.HasPrefix(name, "list("):
		return "a list"
	case strings.HasPrefix(name, "map("):
		return "a map"
	case strings.HasPrefix(name, "optional"):
		return "a value that may be absent"
	case strings.HasPrefix(name, "type("):
		return "a type"
	}
	return "a value of another type"
}

// typesIn reads "(int, string)" or "int.(string)", which is how the checker writes
// the types of a call's target and arguments.
func typesIn(signature string) []string {
	var list []string
	depth, from := 0, 0
	if target, _, ok := strings.Cut(signature, ".("); ok && !strings.HasPrefix(signature, "(") {
		list, from = append(list, target), len(target)+1
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(signature[from:], "("), ")")
	from = 0
	for i, r := range inner + "," {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if part := strings.TrimSpace((inner + ",")[from:i]); depth == 0 {
				if part != "" {
					list = append(list, part)
				}
				from = i + 1
			}
		}
	}
	return list
}

// sentence joins types in words.
func sentence(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	if len(names) == 2 && names[0] == names[1] && several[names[0]] != "" {
		return "two " + several[names[0]]
	}
	var words []string
	for _, name := range names {
		words = append(words, wordsOf(name))
	}
	return strings.Join(words, " and ")
}
