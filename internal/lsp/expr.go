package lsp

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/redress-policy/redress/dsl"
)

// A token is a part of an expression: a name, a number, a string, or an operator of
// one or two characters.
type token struct {
	kind       byte // 'a' name, '0' number, '"' string, '+' operator
	text       string
	start, end int
	open       bool // of a string: its end is missing
}

// lexExpr divides an expression. It takes any text.
func lexExpr(text string) []token {
	tokens := make([]token, 0, len(text)/3)
	for p := 0; p < len(text); {
		c := text[p]
		start := p
		t := token{kind: '+'}
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			p++
			continue
		case strings.HasPrefix(text[p:], "//"):
			p = nextLine(text, p)
			continue
		case isNameStart(c):
			for p < len(text) && (isNameStart(text[p]) || isDigit(text[p])) {
				p++
			}
			t.kind = 'a'
			if p-start <= 2 && p < len(text) && (text[p] == '"' || text[p] == '\'') && strings.Trim(strings.ToLower(text[start:p]), "rb") == "" {
				t.kind = '"'
				p, t.open = lexString(text, p, strings.ContainsAny(text[start:p], "rR"))
			}
		case isDigit(c):
			for p < len(text) && (isNameStart(text[p]) || isDigit(text[p]) || text[p] == '.' && p+1 < len(text) && isDigit(text[p+1])) {
				p++
			}
			t.kind = '0'
		case c == '"' || c == '\'':
			t.kind = '"'
			p, t.open = lexString(text, p, false)
		default:
			_, n := utf8.DecodeRuneInString(text[p:])
			if p += n; p < len(text) && isOperator(text[start:p+1]) {
				p++
			}
		}
		t.text, t.start, t.end = text[start:p], start, p
		tokens = append(tokens, t)
	}
	return tokens
}

func isOperator(text string) bool {
	switch text {
	case "==", "!=", "<=", ">=", "&&", "||":
		return true
	}
	return false
}

func isNameStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// lexString returns the end of the string whose quote stands at p.
func lexString(text string, p int, raw bool) (end int, open bool) {
	quote := text[p : p+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text[p:], triple) {
		quote = triple
	}
	for p += len(quote); p < len(text); p++ {
		switch {
		case text[p] == '\\' && !raw:
			p++
		case strings.HasPrefix(text[p:], quote):
			return p + len(quote), false
		}
	}
	return len(text), true
}

// stringValue is what stands between the quotes of a string, escapes as written.
func (t token) stringValue() string {
	text := strings.TrimLeft(t.text, "rRbB")
	if text == "" {
		return ""
	}
	quote := text[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text, triple) {
		quote = triple
	}
	text = strings.TrimPrefix(text, quote)
	if !t.open {
		text = strings.TrimSuffix(text, quote)
	}
	return text
}

// chainAt returns the names that lead to token i, which is a name, by dots: for the
// last token of `err.attr.code` all three. It is nil if the chain begins with something
// else, such as a call.
func chainAt(tokens []token, i int) []string {
	chain := []string{tokens[i].text}
	for ; i >= 2 && tokens[i-1].text == "."; i -= 2 {
		if tokens[i-2].kind != 'a' {
			return nil
		}
		chain = append([]string{tokens[i-2].text}, chain...)
	}
	if i >= 1 && tokens[i-1].text == "." {
		return nil
	}
	return chain
}

// An exprField is a name that expressions read.
type exprField struct {
	name, typ, about string
	results          bool // results have it, too
}

// recordFields are those of err and result, in their documented order.
var recordFields = []exprField{
	{"status", "int", "HTTP or protocol status, 0 if there was none.", true},
	{"code", "string", "The protocol's own code: SQLSTATE, gRPC code name, Redis reply prefix, errno name.", true},
	{"kind", "string", "The layer that failed: " + wordList(dsl.KindNames()) + ".", false},
	{"message", "string", "The error's text, cut at a limit.", true},
	{"type", "string", "The Go type of the first error in the chain that is more than a wrapper: `*pgconn.PgError`.", true},
	{"timeout", "bool", "A timeout of any layer.", false},
	{"retry_after", "duration", "What the dependency asked callers to wait.", true},
	{"headers", "map(string, string)", "Response headers; lookups ignore case.", true},
	{"phase", "string", "Whether the request had left: " + wordList(dsl.PhaseNames()) + ".", false},
	{"marker", "string", "The class given by a marker in the error, or `\"\"`.", false},
	{"causes", "list(cause)", "The errors of the chain, outermost first; each has type, message, code, kind, status.", false},
	{"attr", "attributes", "Attributes, as the document declares them.", true},
}

// causeFields are those of the elements of err.causes.
var causeFields = []exprField{
	{"type", "string", "The Go type of this error.", false},
	{"message", "string", "The text of this error.", false},
	{"code", "string", "The code of this error.", false},
	{"kind", "string", "The layer of this error.", false},
	{"status", "int", "The status of this error, 0 if it has none.", false},
}

// exprNames are what expressions begin with, and where.
var exprNames = []struct {
	exprField
	sites []role
}{
	{exprField{"err", "failure", "The failure that is classified.", false}, []role{classifyExpr, selectExpr, varsExpr}},
	{exprField{"result", "result", "What the operation returned without an error.", false}, []role{resultExpr, varsExpr}},
	{exprField{"vars", "vars", "The named sub-expressions of this document.", false}, []role{classifyExpr, resultExpr, selectExpr, varsExpr}},
	{exprField{"op", "string", "The operation, `\"\"` if the call gave none.", false}, []role{classifyExpr, resultExpr, selectExpr, varsExpr}},
	{exprField{"attempt", "int", "The attempt that just ended, from 1.", false}, []role{classifyExpr, resultExpr, selectExpr, varsExpr}},
	{exprField{"elapsed", "duration", "The time since the call began.", false}, []role{classifyExpr, resultExpr, selectExpr, varsExpr}},
	{exprField{"remaining", "duration", "The time until the effective deadline.", false}, []role{classifyExpr, resultExpr, selectExpr, varsExpr}},
	{exprField{"idempotent", "bool", "Whether the operation may run twice.", false}, []role{classifyExpr, resultExpr, selectExpr, varsExpr}},
	{exprField{"class", "class", "What classification said. Compare it with class names, without quotes: `class == RATE_LIMIT`.", false}, []role{selectExpr, varsExpr}},
	{exprField{"class_attempt", "int", "Failures of this class in this call, this one included.", false}, []role{selectExpr, varsExpr}},
	{exprField{"retry_after", "duration", "The hint that the rule gave, 0s if none.", false}, []role{selectExpr, varsExpr}},
}

// An exprFunc is a function or a method of expressions.
type exprFunc struct {
	name, form, about string
}

var exprFunctions = []exprFunc{
	{"has", "has(err.retry_after)", "Whether a field is known, or an attribute given."},
	{"duration", `duration("1m30s")`, "A duration. They compare, add and subtract."},
	{"size", "size(err.code)", "The length of a text, list or map."},
	{"int", "int(err.code)", "A whole number. It errs if the text is none."},
	{"double", `double("1.5")`, "A number with a fraction. It errs if the text is none."},
	{"string", "string(err.status)", "The text of a value."},
	{"bool", `bool("true")`, "A truth value. It errs if the text is none."},
}

// exprMethods are the methods by the type of what they are called on.
var exprMethods = map[string][]exprFunc{
	"string": {
		{"startsWith", `startsWith("ERR")`, "Whether the text begins with another."},
		{"endsWith", `endsWith("_LOCKED")`, "Whether the text ends with another."},
		{"contains", `contains("quota")`, "Whether another text is in it."},
		{"matches", `matches(r"^\d+$")`, "Whether a regular expression (RE2) is found anywhere in the text."},
		{"lowerAscii", "lowerAscii()", "The text in lower case, ASCII letters only."},
		{"upperAscii", "upperAscii()", "The text in upper case, ASCII letters only."},
		{"trim", "trim()", "The text without the blanks around it."},
		{"indexOf", `indexOf(":")`, "Where another text begins, -1 if it is not in it."},
		{"lastIndexOf", `lastIndexOf(":")`, "Where another text begins for the last time, -1 if it is not in it."},
		{"charAt", "charAt(0)", "The character at a place."},
		{"substring", "substring(0, 2)", "The part from one place up to another."},
		{"replace", `replace("-", "_")`, "The text with one part replaced by another."},
		{"split", `split(" ")`, "The parts between separators."},
		{"size", "size()", "The length in characters."},
	},
	"duration": {
		{"getHours", "getHours()", "In whole hours."},
		{"getMinutes", "getMinutes()", "In whole minutes."},
		{"getSeconds", "getSeconds()", "In whole seconds."},
		{"getMilliseconds", "getMilliseconds()", "In whole milliseconds."},
	},
	"list": {
		{"exists", `exists(c, c.kind == "net")`, "Whether a condition holds for an element."},
		{"all", `all(c, c.kind == "net")`, "Whether a condition holds for every element."},
		{"exists_one", `exists_one(c, c.kind == "net")`, "Whether a condition holds for exactly one element."},
		{"size", "size()", "How many elements there are."},
	},
	"map": {
		{"size", "size()", "How many entries there are."},
		{"exists", `exists(k, k.startsWith("x-"))`, "Whether a condition holds for a key."},
		{"all", `all(k, k != "x-shed")`, "Whether a condition holds for every key."},
	},
}

// methodsOf lists the methods of a type as it is declared.
func methodsOf(typ string) []exprFunc {
	base, _, _ := strings.Cut(typ, "(")
	return exprMethods[base]
}

func wordList(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }

// An exprScope is what can be read by the expressions of a document.
type exprScope struct {
	doc  *docOutline
	site role
	skip string // the var that is being written: it and those below are not known
}

// attributes lists the declared attributes.
func (sc exprScope) attributes() []exprField {
	var fields []exprField
	attributes := sc.doc.at("attributes")
	if attributes == nil {
		return nil
	}
	for _, p := range attributes.pairs {
		name := p.key.value(sc.doc.text)
		if p.colon >= 0 && !strings.HasPrefix(name, "x-") {
			fields = append(fields, exprField{name: name, typ: p.value.value(sc.doc.text), about: "An attribute that this document declares."})
		}
	}
	return fields
}

// vars lists the vars that can be read.
func (sc exprScope) vars() []exprField {
	var fields []exprField
	vars := sc.doc.at("vars")
	if vars == nil {
		return nil
	}
	for _, p := range vars.pairs {
		name := p.key.value(sc.doc.text)
		if sc.site == varsExpr && name == sc.skip {
			break
		}
		if p.colon >= 0 && !strings.HasPrefix(name, "x-") {
			fields = append(fields, exprField{name: name, typ: "", about: codeBlock("cel", strings.TrimSpace(p.value.value(sc.doc.text)))})
		}
	}
	return fields
}

func codeBlock(language, text string) string {
	if text == "" {
		return ""
	}
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + language + "\n" + text + "\n" + fence
}

// members lists what stands behind the dot of a chain of names. bound are the names
// of elements of err.causes.
func (sc exprScope) members(chain []string, bound []string) (fields []exprField, methods []exprFunc) {
	switch {
	case len(chain) == 1 && (chain[0] == "err" || chain[0] == "result"):
		for _, f := range recordFields {
			if chain[0] == "err" || f.results {
				fields = append(fields, f)
			}
		}
		return fields, nil
	case len(chain) == 1 && chain[0] == "vars":
		return sc.vars(), nil
	case len(chain) == 1 && slices.Contains(bound, chain[0]):
		return causeFields, nil
	case len(chain) == 2 && (chain[0] == "err" || chain[0] == "result") && chain[1] == "attr":
		return sc.attributes(), nil
	}
	if f, ok := sc.field(chain, bound); ok {
		return nil, methodsOf(f.typ)
	}
	return nil, nil
}

// field finds what a chain of names reads.
func (sc exprScope) field(chain []string, bound []string) (exprField, bool) {
	if len(chain) == 1 {
		for _, n := range exprNames {
			if n.name == chain[0] {
				return n.exprField, true
			}
		}
		return exprField{}, false
	}
	if len(chain) == 0 {
		return exprField{}, false
	}
	fields, _ := sc.members(chain[:len(chain)-1], bound)
	i := slices.IndexFunc(fields, func(f exprField) bool { return f.name == chain[len(chain)-1] })
	if i < 0 {
		return exprField{}, false
	}
	return fields[i], true
}

// boundNames are the names that exists and its siblings give to elements of err.causes.
func boundNames(tokens []token) []string {
	var names []string
	for i := 0; i+4 < len(tokens); i++ {
		if tokens[i].text == "causes" && tokens[i+1].text == "." && tokens[i+3].text == "(" && tokens[i+4].kind == 'a' {
			names = append(names, tokens[i+4].text)
		}
	}
	return names
}

// A closedSet is what a field can be. Class names stand without quotes, but not where
// err.marker is compared, which is a text.
type closedSet struct {
	values []string
	quoted bool
}

// comparedAt returns the set with a member of which the token behind the last one is
// compared, if it is: of `err.kind ==` and of `err.kind in [`.
func comparedAt(tokens []token) closedSet {
	i := len(tokens) - 1
	if i >= 0 && (tokens[i].text == "," || tokens[i].text == "[") {
		for i >= 0 && (tokens[i].text == "," || tokens[i].kind == '"' || tokens[i].kind == 'a') {
			i--
		}
		if i < 1 || tokens[i].text != "[" || tokens[i-1].text != "in" {
			return closedSet{}
		}
		i--
	} else if i >= 0 && tokens[i].text == "in" {
		return closedSet{} // a list comes first
	}
	if i < 1 || tokens[i].text != "==" && tokens[i].text != "!=" && tokens[i].text != "in" || tokens[i-1].kind != 'a' {
		return closedSet{}
	}
	chain := chainAt(tokens, i-1)
	if len(chain) == 1 && chain[0] == "class" {
		return closedSet{dsl.ClassNames(), false}
	}
	if len(chain) != 2 {
		return closedSet{}
	}
	switch chain[1] {
	case "kind":
		return closedSet{dsl.KindNames(), true}
	case "phase":
		return closedSet{dsl.PhaseNames(), true}
	case "marker":
		return closedSet{dsl.ClassNames(), true}
	}
	return closedSet{}
}

// enumAbout explains the members of closed sets, in the words of the schema.
func enumAbout(value string) string {
	for _, def := range []string{"class", "errorKind", "phase"} {
		for _, c := range (shapes{deref("#/$defs/" + def)}).choices() {
			if c.value == value && (def != "phase" || value != "unknown") {
				return c.about
			}
		}
	}
	return ""
}
