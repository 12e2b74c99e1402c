package interp

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/celcheck"
)

// walk looks for mistakes that CEL would explain worse, or not see, from the outside
// in. Bound are the names that the loops around e have made.
func (s *scope) walk(e ast.Expr, bound []string) {
	switch e.Kind() {
	case ast.IdentKind:
		if !slices.Contains(bound, e.AsIdent()) {
			s.inspectName(e)
		}
	case ast.SelectKind:
		s.inspectField(e, e.AsSelect().Operand(), e.AsSelect().FieldName())
		s.walk(e.AsSelect().Operand(), bound)
	case ast.CallKind:
		s.walkCall(e, bound)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			s.walk(item, bound)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			s.walk(entry.AsMapEntry().Key(), bound)
			s.walk(entry.AsMapEntry().Value(), bound)
		}
	case ast.StructKind:
		s.report(s.nodeRange(e), dsl.CodeInvalidExpr, "", "records are read here, not made")
	case ast.ComprehensionKind:
		s.walkComprehension(e, bound)
	}
}

// macroForms are functions that CEL rewrites when it parses them.
var macroForms = map[string]string{
	"has": "has(err.code)", "exists": `err.causes.exists(c, c.code == "E1")`, "all": `err.causes.all(c, c.code != "E1")`, "exists_one": `err.causes.exists_one(c, c.code == "E1")`,
	"optMap": `err.headers[?"x"].optMap(v, v == "1").orValue(false)`, "optFlatMap": `err.headers[?"x"].optFlatMap(v, err.headers[?v]).orValue("")`,
}

func (s *scope) walkCall(e ast.Expr, bound []string) {
	call := e.AsCall()
	if call.IsMemberFunction() && !isOptionalOf(call) {
		s.walk(call.Target(), bound)
	}
	if name := call.FunctionName(); isWord([]rune(name)[0]) && name[0] != '_' && !slices.Contains(functionNames, name) && !slices.Contains(rareFunctions, name) {
		s.unknownFunction(e, name)
		return // what it would bind and take is not known
	}
	if form, ok := macroForms[call.FunctionName()]; ok { // of the right form it would not be a call any more
		s.report(s.nodeRange(e), dsl.CodeInvalidExpr, "write "+form, "%s is written otherwise", call.FunctionName())
		return
	}
	s.inspectCall(e)
	for _, arg := range call.Args() {
		s.walk(arg, bound)
	}
}

func (s *scope) walkComprehension(e ast.Expr, bound []string) {
	c := e.AsComprehension()
	s.walk(c.IterRange(), bound)
	s.walk(c.AccuInit(), bound)
	for _, name := range []string{c.IterVar(), c.AccuVar()} {
		if slices.Contains(globals, name) || slices.Contains(dsl.ClassNames(), name) {
			s.report(s.nodeRange(e), dsl.CodeInvalidExpr, `choose another name, as in err.causes.exists(c, c.code == "E1")`, "%s has a meaning already and cannot name an element", name)
			return
		}
	}
	s.inspectNesting(e)
	inner := append(slices.Clone(bound), c.IterVar(), c.AccuVar())
	s.walk(c.LoopCondition(), inner)
	s.walk(c.LoopStep(), inner)
	s.walk(c.Result(), inner)
}

// isOptionalOf reports whether a call is optional.of(x) or one like it, whose target
// is no value.
func isOptionalOf(call ast.CallExpr) bool {
	return call.Target().Kind() == ast.IdentKind && call.Target().AsIdent() == "optional" && slices.Contains([]string{"of", "none", "ofNonZeroValue"}, call.FunctionName())
}

// inspectNesting refuses loops within loops, whose cost multiplies. What optMap makes
// is a loop over nothing.
func (s *scope) inspectNesting(e ast.Expr) {
	nested := false
	ast.PreOrderVisit(e.AsComprehension().LoopStep(), ast.NewExprVisitor(func(n ast.Expr) {
		nested = nested || isLoop(n)
	}))
	if nested && isLoop(e) {
		s.report(s.nodeRange(e), dsl.CodeCost, "look with one of them at each cause", "exists and all cannot stand within each other")
	}
}

func isLoop(e ast.Expr) bool {
	if e.Kind() != ast.ComprehensionKind {
		return false
	}
	over := e.AsComprehension().IterRange()
	return over.Kind() != ast.ListKind || over.AsList().Size() > 0
}

func (s *scope) nodeRange(e ast.Expr) dsl.Range {
	start, end, ok := s.spans().of(e.ID())
	if !ok {
		return s.whole()
	}
	return s.expr.Place(start, end)
}

// globals are the names that expressions can read.
var globals = []string{"err", "result", "vars", "op", "attempt", "elapsed", "remaining", "idempotent", "class", "class_attempt", "retry_after"}

func (s *scope) inspectName(e ast.Expr) {
	name := e.AsIdent()
	if s.variable != nil {
		s.variable.reads[name] = true
	}
	switch {
	case slices.Contains(hidden[s.site], name):
		s.hiddenName(e, name)
	case slices.Contains(globals, name) || slices.Contains(dsl.ClassNames(), name):
	default:
		s.unknownName(e, name)
	}
}

func (s *scope) hiddenName(e ast.Expr, name string) {
	help := "it can be read in " + map[string]string{"err": "classify and select", "result": "classify_result"}[name]
	if name != "err" && name != "result" {
		help = "it can be read in select"
	}
	s.report(s.nodeRange(e), dsl.CodeUnavailable, help, "%s cannot be read in %s", name, siteNames[s.site])
}

func (s *scope) unknownName(e ast.Expr, name string) {
	at := s.nodeRange(e)
	readable := s.readable()
	switch {
	case slices.Contains(s.provider.varNames, name):
		s.report(at, dsl.CodeUnknownField, "write vars."+name, "%s is not known", name)
	case slices.Contains(s.provider.fieldNames(failureType), name):
		s.report(at, dsl.CodeUnknownField, "write "+s.recordHere()+"."+name, "%s is not known", name)
	case slices.Contains(s.provider.attributeNames, name):
		s.report(at, dsl.CodeUnknownField, "write "+s.recordHere()+".attr."+name, "%s is not known", name)
	case strings.ToUpper(name) == name:
		s.suggest(at, dsl.CodeUnknownEnum, name, dsl.ClassNames(), "the classes are "+strings.Join(dsl.ClassNames(), ", "), name+" is no class")
	default:
		s.suggest(at, dsl.CodeUnknownField, name, append(readable, dsl.ClassNames()...), "what can be read: "+strings.Join(readable, ", "), name+" is not known")
	}
}

// readable are the names that can be read here.
func (s *scope) readable() []string {
	return slices.DeleteFunc(slices.Clone(globals), func(name string) bool { return slices.Contains(hidden[s.site], name) })
}

// recordHere is the name of the record that can be read here.
func (s *scope) recordHere() string {
	if s.site == inResult {
		return "result"
	}
	return "err"
}

// suggest reports a wrong word with the nearest right one, if one is near.
func (s *scope) suggest(at dsl.Range, code dsl.Code, word string, right []string, help, message string) {
	near, ok := dsl.Nearest(word, right)
	if ok {
		message += "; did you mean " + near + "?"
	}
	s.report(at, code, help, "%s", message)
	if written := at.Text(); ok && strings.Count(written, word) == 1 {
		s.found[len(s.found)-1].Fixes = []dsl.Fix{{Title: "write " + near, Edits: []dsl.Edit{{Range: at, Text: strings.Replace(written, word, near, 1)}}}}
	}
}

// recordOf returns the record type that an expression evidently has, "" if none.
func (s *scope) recordOf(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		switch e.AsIdent() {
		case "err":
			return failureType
		case "result":
			return resultType
		case "vars":
			return varsType
		}
	case ast.SelectKind:
		sel := e.AsSelect()
		switch record := s.recordOf(sel.Operand()); {
		case record == varsType && s.provider.vars[sel.FieldName()] != nil:
			return s.provider.vars[sel.FieldName()].typ.TypeName()
		case (record == failureType || record == resultType) && sel.FieldName() == "attr":
			return attrType
		}
	}
	return ""
}

// inspectField looks at the name of a field that is read of operand.
func (s *scope) inspectField(e, operand ast.Expr, name string) {
	record := s.recordOf(operand)
	switch record {
	case varsType:
		s.inspectVar(e, name)
		return
	case failureType, resultType, attrType, causeType:
	default:
		return
	}
	known := s.provider.fieldNames(record)
	if slices.Contains(known, name) {
		return
	}
	at, words := s.fieldRange(e, name), wordsOf(record)
	switch {
	case record == attrType && s.untyped[name]: // its declaration is wrong, which was said
		s.said = append(s.said, at)
	case record == attrType && len(known) == 0:
		s.report(at, dsl.CodeUnknownField, "declare it: attributes: {"+name+": string}", "no attribute is called %s: none is declared", name)
	case record != attrType && slices.Contains(s.provider.attributeNames, name):
		s.report(at, dsl.CodeUnknownField, "write "+words+".attr."+name, "%s has no field %s", words, name)
	default:
		s.suggest(at, dsl.CodeUnknownField, name, known, words+" has "+strings.Join(known, ", "), words+" has no field "+name)
	}
}

// fieldRange is where a field's name stands, at the end of its selection.
func (s *scope) fieldRange(e ast.Expr, name string) dsl.Range {
	_, end, ok := s.spans().of(e.ID())
	for e.AsSelect().IsTestOnly() && end > 0 && !isWord(s.spans().text[end-1]) {
		end-- // to before the bracket of has(x.y)
	}
	if start := end - len([]rune(name)); ok && start >= 0 && string(s.spans().text[start:end]) == name {
		return s.expr.Place(start, end)
	}
	return s.nodeRange(e)
}

func (s *scope) inspectVar(e ast.Expr, name string) {
	at := s.fieldRange(e, name)
	v, compiled := s.provider.vars[name]
	where, later := s.later[name]
	switch {
	case compiled:
		s.readVar(at, v)
	case s.failed[name]: // wrong itself, which was said; what reads it cannot be judged
		s.said = append(s.said, at)
	case s.variable != nil && s.variable.name == name:
		s.report(at, dsl.CodeCycle, "", "vars.%s reads itself", name)
	case later:
		s.report(at, dsl.CodeCycle, "move it above the var that reads it", "vars.%s is written below; vars read those above them", name)
		s.found[len(s.found)-1].Related = []dsl.Related{{Range: where, Message: "it is here"}}
	case len(s.provider.varNames) == 0:
		s.report(at, dsl.CodeUnknownField, "declare it: vars: {"+name+": ...}", "no var is called %s", name)
	default:
		s.suggest(at, dsl.CodeUnknownField, name, s.provider.varNames, "vars has "+strings.Join(s.provider.varNames, ", "), "no var is called "+name)
	}
}

// readVar notes what is read through a var, which must be readable here.
func (s *scope) readVar(at dsl.Range, v *variable) {
	for _, name := range hidden[s.site] {
		if v.reads[name] {
			s.report(at, dsl.CodeUnavailable, "", "vars.%s reads %s, which %s cannot", v.name, name, siteNames[s.site])
			return
		}
	}
	if s.variable != nil {
		for name := range v.reads {
			s.variable.reads[name] = true
		}
	}
}

func (s *scope) inspectCall(e ast.Expr) {
	call := e.AsCall()
	args := call.Args()
	switch name := call.FunctionName(); {
	case name == "_?._" && len(args) == 2:
		if field, ok := literalText(args[1]); ok {
			s.inspectField(e, args[0], field)
		}
	case (name == "_==_" || name == "_!=_") && len(args) == 2:
		s.inspectClass(args[0], args[1])
		s.inspectClass(args[1], args[0])
	case name == "@in" && len(args) == 2 && args[1].Kind() == ast.ListKind:
		for _, item := range args[1].AsList().Elements() {
			s.inspectClass(args[0], item)
		}
	case name == "matches" && len(args) > 0:
		s.inspectRegex(args[len(args)-1])
	case name == "duration" && len(args) == 1:
		s.inspectDuration(args[0])
	}
}

// inspectClass refuses quotes around classes.
func (s *scope) inspectClass(field, value ast.Expr) {
	text, isText := literalText(value)
	if !isText || field.Kind() != ast.IdentKind || field.AsIdent() != "class" {
		return
	}
	if slices.Contains(dsl.ClassNames(), text) {
		s.report(s.nodeRange(value), dsl.CodeUnknownEnum, "write "+text, "classes stand without quotes")
		return
	}
	s.member(value, "class", dsl.ClassNames())
}

// closedSets are the fields of which all values are known.
var closedSets = map[string]func() []string{
	"kind":   dsl.KindNames,
	"phase":  dsl.PhaseNames,
	"marker": func() []string { return append(dsl.ClassNames(), "") },
}

// inspectMembers looks, where types are known, at what fields with a closed set of
// values are compared with.
func (s *scope) inspectMembers(checked *celcheck.Checked) {
	compare := func(field, value ast.Expr) {
		if field.Kind() != ast.SelectKind {
			return
		}
		sel := field.AsSelect()
		members := closedSets[sel.FieldName()]
		if members == nil {
			return
		}
		switch checked.TypeOf(sel.Operand()).TypeName() {
		case failureType:
			s.member(value, "err."+sel.FieldName(), members())
		case causeType:
			s.member(value, "a cause's "+sel.FieldName(), members())
		}
	}
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
			return
		}
		args := e.AsCall().Args()
		switch name := e.AsCall().FunctionName(); {
		case name == "_==_" || name == "_!=_":
			compare(args[0], args[1])
			compare(args[1], args[0])
		case name == "@in" && args[1].Kind() == ast.ListKind:
			for _, item := range args[1].AsList().Elements() {
				compare(args[0], item)
			}
		}
	}))
}

// member reports a literal that is none of the members.
func (s *scope) member(value ast.Expr, what string, members []string) {
	text, isText := literalText(value)
	if !isText || slices.Contains(members, text) {
		return
	}
	help := what + " is one of " + strings.TrimSuffix(strings.Join(members, ", "), ", ")
	if near, ok := dsl.Nearest(text, members); ok && near != "" {
		s.report(s.nodeRange(value), dsl.CodeUnknownEnum, help, "%s is never %q; did you mean %q?", what, text, near)
		return
	}
	s.report(s.nodeRange(value), dsl.CodeUnknownEnum, help, "%s is never %q", what, text)
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}

// inspectRegex compiles the pattern of matches, which must be a literal: so it is
// known to be right, and compiled once.
func (s *scope) inspectRegex(pattern ast.Expr) {
	text, ok := literalText(pattern)
	if !ok {
		s.report(s.nodeRange(pattern), dsl.CodeBadRegex, "write the pattern as a text in quotes", "the pattern of matches is a text that is known when the policy loads")
		return
	}
	size, err := regexSize(text)
	switch {
	case err != nil:
		s.report(s.nodeRange(pattern), dsl.CodeBadRegex, "the syntax is RE2's, which has neither lookahead nor backreferences", "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	case size > MaxRegex:
		s.report(s.nodeRange(pattern), dsl.CodeBadRegex, "write it with fewer or smaller repetitions", "the pattern compiles to %d instructions; the limit is %d", size, MaxRegex)
	}
}

// regexSize counts the instructions that a pattern compiles to. CEL's own limit does
// not do: it panics on repetitions, which it compiles without simplifying them.
func regexSize(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	compiled, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(compiled.Inst), nil
}

func (s *scope) inspectDuration(arg ast.Expr) {
	text, ok := literalText(arg)
	if !ok {
		return
	}
	if types.IsError(types.String(text).ConvertToType(types.DurationType)) {
		s.report(s.nodeRange(arg), dsl.CodeBadDuration, `units are ns, us, ms, s, m and h, as in duration("1m30s")`, "%q is no duration", text)
	}
}

// functionNames are the functions and macros of the language.
var functionNames = []string{"has", "size", "contains", "startsWith", "endsWith", "matches", "exists", "all", "exists_one", "duration",
	"int", "double", "string", "bool", "lowerAscii", "upperAscii", "trim", "split", "replace", "substring", "indexOf", "lastIndexOf", "charAt",
	"getSeconds", "getMilliseconds", "getMinutes", "getHours", "orValue", "hasValue", "optMap"}

// rareFunctions are there too, but not what somebody misspells.
var rareFunctions = []string{"uint", "of", "none", "ofNonZeroValue", "value", "or", "optFlatMap", "optional.of", "optional.none"}

// functionsOfOthers are names that other languages have for ours.
var functionsOfOthers = map[string]string{
	"toLower": "lowerAscii()", "lower": "lowerAscii()", "toLowerCase": "lowerAscii()", "toUpper": "upperAscii()", "upper": "upperAscii()", "toUpperCase": "upperAscii()",
	"includes": "contains(...)", "len": "size(...)", "length": "size(...)", "match": "matches(...)", "test": "matches(...)", "hasPrefix": "startsWith(...)", "hasSuffix": "endsWith(...)",
	"strip": "trim()", "any": "exists(...)", "isset": "has(...)", "exist": "exists(...)", "some": "exists(...)", "every": "all(...)", "seconds": `duration("5s")`, "not": "!(...)", "str": "string(...)",
	"filter": "exists(...)", "map": "exists(...)", "replaceAll": "replace(...)",
}

// functionRange is where a call has the function's name: at its beginning, or behind
// what a method is called of.
func (s *scope) functionRange(e ast.Expr, name string) dsl.Range {
	start, end, ok := s.spans().of(e.ID())
	if call := e.AsCall(); ok && call.IsMemberFunction() {
		_, start, ok = s.spans().of(call.Target().ID())
	}
	if ok {
		if i := strings.Index(string(s.spans().text[start:end]), name); i >= 0 {
			start += utf8.RuneCountInString(string(s.spans().text[start:end])[:i])
			return s.expr.Place(start, start+utf8.RuneCountInString(name))
		}
	}
	return s.nodeRange(e)
}

// unknownFunction reports a call of what is no function.
func (s *scope) unknownFunction(e ast.Expr, name string) {
	at, message := s.functionRange(e, name), "no function is called "+name
	s.said = append(s.said, s.nodeRange(e)) // what is wrong within it may follow from it
	if ours, ok := functionsOfOthers[name]; ok {
		s.report(at, dsl.CodeUnknownField, "write "+ours, "%s", message)
		return
	}
	if slices.Contains(s.provider.fieldNames(failureType), name) {
		s.report(at, dsl.CodeUnknownField, "write "+s.recordHere()+"."+name+" without brackets", "%s", message)
		return
	}
	s.suggest(at, dsl.CodeUnknownField, name, functionNames, "functions: "+strings.Join(functionNames, ", "), message)
}
