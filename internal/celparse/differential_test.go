package celparse

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/debug"
)

var limits = Limits{Size: 4096, Depth: 32, Nodes: 2000}

// A pair is cel-go's parser and the one that stands for it.
type pair struct {
	env *cel.Env
	own *Parser
}

func newPair(t testing.TB, l Limits, opts ...cel.EnvOption) pair {
	t.Helper()
	env, err := cel.NewCustomEnv(append([]cel.EnvOption{
		cel.StdLib(),
		cel.OptionalTypes(),
		cel.EnableMacroCallTracking(),
		cel.ParserExpressionSizeLimit(l.Size),
		cel.ParserRecursionLimit(l.Depth),
		cel.ExpressionNodeLimit(l.Nodes),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return pair{env, New(env.Macros(), l)}
}

// compare parses a text both ways. It has to be declined if cel-go refuses it; else, it has
// to be parsed to the very same, unless it makes a record or has more bytes than code
// points are allowed. The tree alone must be the same.
func (p pair) compare(t *testing.T, text string) (accepted bool) {
	t.Helper()
	own, accepted := p.own.Parse(text)
	if tree, ok := p.own.Tree(text); ok != accepted || ok && !sameTree(tree, own.NativeRep()) {
		t.Errorf("%q\nhas another tree by itself", text)
	}
	reference, issues := p.env.Parse(text)
	switch refused := issues.Err(); {
	case accepted && refused != nil:
		t.Errorf("%q\nis refused by cel-go: %v", text, refused)
	case accepted && !reflect.DeepEqual(own, reference):
		t.Errorf("%q\nis parsed to\n%s\nand by cel-go to\n%s", text, dump(own), dump(reference))
	case !accepted && refused == nil && !makesRecord(reference) && len(text) <= p.own.limits.Size && utf8.ValidString(text):
		t.Errorf("%q\nis declined, and cel-go parses it to\n%s", text, dump(reference))
	}
	return accepted
}

func sameTree(a, b *ast.AST) bool {
	return reflect.DeepEqual(a.Expr(), b.Expr()) && reflect.DeepEqual(a.SourceInfo().OffsetRanges(), b.SourceInfo().OffsetRanges()) &&
		reflect.DeepEqual(a.SourceInfo().MacroCalls(), b.SourceInfo().MacroCalls())
}

func makesRecord(parsed *cel.Ast) bool {
	found := false
	visitor := ast.NewExprVisitor(func(e ast.Expr) { found = found || e.Kind() == ast.StructKind })
	ast.PreOrderVisit(parsed.NativeRep().Expr(), visitor)
	for _, call := range parsed.NativeRep().SourceInfo().MacroCalls() {
		ast.PreOrderVisit(call, visitor)
	}
	return found
}

// dump prints all that is in a parsed expression.
func dump(parsed *cel.Ast) string {
	native := parsed.NativeRep()
	info := native.SourceInfo()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nranges %v\nlines %v\n", debug.ToAdornedDebugString(native.Expr(), ids{}), info.OffsetRanges(), info.LineOffsets())
	for id, call := range info.MacroCalls() {
		fmt.Fprintf(&b, "call %d: %s\n", id, debug.ToAdornedDebugString(call, ids{}))
	}
	return b.String()
}

type ids struct{}

func (ids) GetMetadata(e any) string {
	if e, ok := e.(interface{ ID() int64 }); ok {
		return fmt.Sprintf("#%d", e.ID())
	}
	return ""
}

// corpus holds the texts that fuzzing begins with, and what is known to be hard.
var corpus = []string{
	// operators: which binds more closely, which comes first
	`a`, `a+b*c-d/e%f`, `a-b-c`, `a*b+c*d`, `a<b`, `a<b==c!=d>e>=f<=g in h`, `a+b<c-d`, `a?b:c?d:e`, `(a?b:c)?d:e`, `a?(b?c:d):e`, `a||b?c&&d:e||f`,
	`a&&b||c&&d`, `a||b||c||d||e||f||g`, `a&&b&&c&&d&&e`, `a||b&&c||d`, `(a||b)||(c||d)`, `a in [1]`, `a in{"b":1}`, `!a in b`, `-a in b`, `in`, `a ? b`, `a ? b :`, `?`,
	// signs
	`-1`, `- 1`, `--1`, `---1`, `-  -1`, `1-1`, `1 -1`, `1--1`, `1---1`, `-a`, `--a`, `---a`, `!a`, `!!a`, `!!!a`, `!-1`, `!-a`, `-!a`, `-1.5`, `-1u`, `--1u`, `-0x1f`, `-1.a()`, `--1.a()`, `-(1)`, `-"a"`, `-1[0]`, `-9223372036854775808`, `- 9223372036854775808`, `9223372036854775808`, `-9223372036854775809`, `--9223372036854775808`, `!!1`, `!(!(a))`, `-\n1`,
	// numbers
	`1`, `01`, `007`, `0x10`, `0xAbCdEf`, `0XF`, `0x`, `0xg`, `1u`, `1U`, `0x1u`, `0xffU`, `18446744073709551615u`, `18446744073709551616u`, `1.5`, `.5`, `1.`, `1..5`, `1.e5`, `1e5`, `1E+5`, `1e-5`, `1e`, `1e+`, `1.5e3`, `.5e3`, `1e999`, `1e-999`, `1.5u`, `1.5.5`, `1.a`, `1_0`, `1a`, `1 .a`, `a.5`, `0x1.5`, `0x1e5`, `0xe+1`, `1e5.a`, `00x1`, `0x_1`, `1e5u`,
	// texts and bytes
	`""`, `''`, `""""""`, `''''''`, `"""a"""`, `'''a'''`, `"""a"b""c"""`, `'''it's'''`, `"""a""""`, `"""a\""""`, `"""`, `""""`, `"""""`, `"a`, `a"`, `"a'b"`, `'a"b'`, `"a""b"`, `""a`, `"a\"b"`, `'a\'b'`, `"\\"`, `"\"`,
	`"\a\b\f\n\r\t\v\\\?\'\"\` + "`" + `"`, `"\x41\X41\u0041\U00000041\101"`, `"\xff\377\u00ff"`, `"\xg0"`, `"\x4"`, `"\u004"`, `"\U0010FFFF"`, `"\U00110000"`, `"\UFFFFFFFF"`, `"\ud800"`, `"\udfff"`, `"\400"`, `"\18"`, `"\1"`, `"\d"`, `"\ "`, `"\08"`, `"\000"`,
	`r"\d"`, `R'\'`, `r"""\"""`, `r'''a'b'''`, `r"a"b"`, `r""`, `r`, `r.a`, `rr"a"`, `r "a"`, `b"a"`, `B'a'`, `b"\xff\377"`, `b"\u0041"`, `b"\U00000041"`, `br"\d"`, `bR'a'`, `Br"""a"""`, `rb"a"`, `bb"a"`, `b"é"`, `b"\n"`, `b`, `br`, `b.r`, `b(r)`,
	"\"a\nb\"", "\"\"\"a\nb\"\"\"", "'''a\r\nb\rc'''", "r\"\"\"a\r\nb\"\"\"", "r'a\rb'", "\"a\tb\"", "\"a\x00b\"", "\"\"\"\n\n\"\"\" + a",
	// texts that are not ASCII, and what stands behind them
	`"é" + a`, `"𝄞" + a`, `"é𝄞" == "\u00e9" ? a : b`, `a == "é" || b == "𝄞é" && c`, `é`, `a.é`, "a // é\n + b", "\"\"\"é\n𝄞\"\"\" + \"é\" + a", `"�"`, "\"\xff\"", "// \xff\na", `{"é": a}`, `a["é"].b`, "\ufeffa", "a\u00a0+b", "`é`",
	// blanks and comments
	``, ` `, "\n", "\t\r\n\f a", "a // b", "// a", "// a\nb", "a//b\n//c\n+d", "a\n\n+\nb", "a /b", "a / /b", "a//", "a\r+b", "a\v+b", "a /* b */", "a\x00", "a;b", "a#b",
	// members
	`a.b.c`, `a . b`, `.a`, `. a`, `.a.b`, `..a`, `a..b`, `a.`, `.`, `a.b()`, `a.b(c)`, `a.b (c, d)`, `a.b(c,)`, `a.b(,)`, `a(b)(c)`, `a()()`, `a().b().c`, `a[b]`, `a[b][c]`, `a[b,c]`, `a[]`, `a[?b]`, `a[? b].c`, `a.?b`, `a.?b.c`, `a.? b`, `a. ?b`, `a.?b()`, `a?.b:c`, `a?.5:c`, "a.`b`", "a.`b-c/d.e f`", "a.?`b`", "a.`b`()", "`a`", "a.``", "a.`b", "a.`b:c`", `a.in`, `a.true`, `a.as`, `a.as()`, `as`, `as.a`, `as()`, `.as`, `.as()`, `package.a`, `(a).b`, `(a)(b)`, `"a".b`, `[1].b`, `{}.b`, `1.b`, `1.5.b`, `true.b`, `null.b`, `a.b.c.d()[e].f(g).h`,
	// keywords, reserved words, names alike
	`true`, `false`, `null`, `True`, `trues`, `inn`, `in_`, `nulls`, `_`, `_a1`, `true()`, `null(a)`, `a in in`, `break`, `var`, `while`, `namespace`, `loop.a`, `a.loop`,
	// lists, maps, records
	`[]`, `[,]`, `[1]`, `[1,]`, `[1,,]`, `[,1]`, `[1,2,3]`, `[?a, b, ?c]`, `[?a,]`, `[?]`, `[[[]]]`, `{}`, `{,}`, `{a:b}`, `{a:b,}`, `{a:b,c:d}`, `{?a:b}`, `{?a:b, c:?d}`, `{a}`, `{a:}`, `{:a}`, `{a?b:c:d}`, `{(a?b:c):d}`, `{{}:{}}`, `{1:[2],"3":{4:5}}`, `[a`, `{a:b`, `(a`, `a)`, `()`, `(a,b)`, `((((a))))`,
	`a{}`, `a.b{}`, `.a.b{}`, `a{b:c}`, `a{?b:c}`, "a{`b`:c}", `a{b:c,}.d`, `a{b:c{d:e}}`, `a.b{c:1}.d`, `[a{}]`, `has(a{}.b)`, `a[b]{}`, `a(){}`, `as{}`,
	// macros
	`has(a.b)`, `has(a.b.c)`, `has(a)`, `has()`, `has(a, b)`, `has(a.b).c`, `.has(a.b)`, `a.has(b.c)`, `has(a[b])`, `has((a.b))`, `has(a.?b)`, `has(has(a.b).c)`, "has(a.`b-c`)", `!has(a.b)`, `has`, `has.a`, `has(a.b) && has(c.d) || has(e.f)`, `has(a.b())`, `has({"a": has(b.c)}.d)`,
	`a.all(b, c)`, `a.exists(b, b.c == 1)`, `a.exists_one(b, b)`, `a.existsOne(b, b)`, `a.map(b, c)`, `a.map(b, c, d)`, `a.filter(b, c)`, `a.exists(b)`, `a.exists(b, c, d)`, `a.exists(b.c, d)`, `a.exists(1, b)`, `a.all(.b, c)`, `a.exists(__result__, b)`, `a.map(__result__, b)`, `exists(a, b)`, `a.exists`, `a.exists(b, b.exists(c, c.all(d, d)))`, `a.map(b, b + 1).filter(c, c > 1).exists(d, d)`, `[1, 2].all(a, a in [a.map(b, b)])`, `a.b.map(c, has(c.d))`, `a.map(b, [b.map(c, c)])`, `f(a.all(b, c)).all(d, e)`, `a[b.exists(c, c)].all(d, d)`, `a.exists(b, {b: b.all(c, c)})`, `(a.all(b, b) ? c : d).all(e, e)`, `a.all(b, (b))`, `-a.all(b, b)`, `a.all(b, -b.all(c, c))`, `x.filter(e, has(e.a)).map(e, e.a.b.filter(z, !z))`,
	`a.optMap(b, c)`, `a.?b.optMap(c, c + 1)`, `a[?b].optFlatMap(c, d[?c])`, `a.optMap(b.c, d)`, `a.?b.optMap(c, has(c.d)).orValue(false)`, `optional.of(a).optMap(b, [b, {b: [b]}])`, `a.b.optMap(c, c)`, `f({a: [b, ?c], ?d: -e}).optMap(g, h)`, `a.exists(b, b).optMap(c, d)`, `{"a": b.map(c, c)}.optMap(d, d)`, `[?a, b].optFlatMap(c, c)`, `a.optMap(b, b.optMap(c, c.optMap(d, d)))`,
}

// Tricky texts are parsed as cel-go parses them.
func TestParsesAsCELGo(t *testing.T) {
	p := newPair(t, limits)
	accepted := 0
	for _, text := range corpus {
		if p.compare(t, text) {
			accepted++
		}
	}
	if accepted < len(corpus)/2 {
		t.Errorf("%d of %d texts are accepted", accepted, len(corpus))
	}
}

// Changed in one place, they still are.
func TestParsesMutationsAsCELGo(t *testing.T) {
	p := newPair(t, limits)
	random := rand.New(rand.NewPCG(1, 2))
	times := 10_000
	if testing.Short() {
		times = 2000
	}
	for range times {
		p.compare(t, mutation(random))
	}
}

// mutation is a text of the corpus with a piece left out, or with a piece of another one put in.
func mutation(random *rand.Rand) string {
	text, other := corpus[random.IntN(len(corpus))], corpus[random.IntN(len(corpus))]
	start := random.IntN(len(text) + 1)
	end := start + random.IntN(min(len(text)-start, 4)+1)
	from := random.IntN(len(other) + 1)
	to := from + random.IntN(len(other)-from+1)
	return text[:start] + other[from:to] + text[end:]
}

// Random expressions, of no type, of every kind, are parsed as cel-go parses them.
func TestParsesRandomExpressionsAsCELGo(t *testing.T) {
	p := newPair(t, limits)
	times, accepted := 5000, 0
	if testing.Short() {
		times = 1000
	}
	for seed := range uint64(times) {
		w := &writer{rand.New(rand.NewPCG(seed, 3))}
		if p.compare(t, w.expr(w.IntN(6))) {
			accepted++
		}
	}
	if t.Logf("%d of %d are accepted", accepted, times); accepted < times*3/4 {
		t.Errorf("%d of %d are accepted", accepted, times)
	}
}

// A writer writes random expressions.
type writer struct{ *rand.Rand }

func (w *writer) oneOf(list ...string) string { return list[w.IntN(len(list))] }

// blank is what can stand between tokens.
func (w *writer) blank() string {
	if w.IntN(12) == 0 {
		return w.oneOf("  ", "\n", "\t", "\r\n", " // a comment\n", "//é\n", "\f")
	}
	return w.oneOf("", "", " ")
}

func (w *writer) name() string {
	return w.oneOf("a", "b", "err", "_x1", "size", "e5", "u", "r", "b1", "Ab", "inner", "nulls", "has", "map", "existsOne")
}

// join writes tokens and expressions with blanks between them.
func (w *writer) join(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(w.blank() + part)
	}
	return b.String()
}

func (w *writer) list(depth int, item func(int) string) string {
	var items []string
	for range w.IntN(4) {
		items = append(items, item(depth), ",")
	}
	if n := len(items); n > 0 {
		return w.join(items[:n-1]...)
	}
	return ""
}

func (w *writer) expr(depth int) string {
	if depth <= 0 {
		return w.operand()
	}
	below := func() string { return w.expr(depth - 1 - w.IntN(2)) }
	operand := func() string { return w.oneOf(w.name(), "("+below()+")", "["+w.list(depth-1, w.expr)+"]", w.operand()) }
	switch w.IntN(16) {
	case 0:
		return w.join("(", below(), ")")
	case 1:
		return w.join(operand(), "?", operand(), ":", below())
	case 2:
		return strings.Join(slices.Repeat([]string{w.join(below())}, 2+w.IntN(6)), w.oneOf("||", "&&"))
	case 3:
		return w.join(below(), w.oneOf("||", "&&"), below(), w.oneOf("||", "&&"), below())
	case 4, 5:
		return w.join(below(), w.oneOf("<", "<=", ">", ">=", "==", "!=", " in "), operand())
	case 6, 7:
		return w.join(below(), w.oneOf("+", "-", "*", "/", "%"), operand())
	case 8:
		return w.join(w.oneOf("!", "-", "!!", "--", "---", "- -"), operand())
	case 9:
		return w.join(operand(), w.oneOf(".", ".", ".?"), w.oneOf(w.name(), "as", "`a-b/c. d`"))
	case 10:
		return w.join(operand(), ".", w.name(), "(", w.list(depth-1, w.expr), ")")
	case 11:
		return w.join(operand(), "[", w.oneOf("", "", "?"), below(), "]")
	case 12:
		return w.join(w.oneOf("", "", "."), w.name(), "(", w.list(depth-1, w.expr), ")")
	case 13:
		item := func(depth int) string { return w.oneOf("", "", "?") + w.expr(depth-1) }
		return w.join("[", w.list(depth, item), w.oneOf("", "", ","), "]")
	case 14:
		entry := func(depth int) string {
			return w.join(w.oneOf("", "", "?")+w.expr(depth-1), ":", w.expr(depth-1))
		}
		return w.join("{", w.list(depth, entry), w.oneOf("", "", ","), "}")
	default:
		switch macro := w.oneOf("has", "all", "exists", "exists_one", "existsOne", "map", "filter", "optMap", "optFlatMap", "map"); macro {
		case "has":
			return w.join("has(", operand(), ".", w.name(), ")")
		default:
			return w.join(operand(), ".", macro, "(", w.name(), ",", below(), w.oneOf("", "", "", ","+below()), ")")
		}
	}
}

func (w *writer) operand() string {
	switch w.IntN(5) {
	case 0:
		return w.oneOf("0", "1", "429", "0x1F", "007", "3u", "0xffU", "1.5", ".5", "1e3", "2.5E-3", "-1", "-2.5", "true", "false", "null")
	case 1:
		return w.oneOf("", "", "b", "r", "br", "R") + w.oneOf(`""`, `"a"`, `'é'`, `"""a"b"""`, "'''a\nb'''", `"𝄞"`)
	case 2:
		return w.oneOf("", "b") + w.oneOf(`"\n\t\""`, `'\'\x41\101'`, `"""\\\?\a"""`)
	default:
		return w.oneOf("", "", "", ".") + w.name()
	}
}

// All of cel-go's counts of what lies within each other are kept: a text that is just
// short of a limit is parsed, one that is just beyond it is not.
func TestLimitsAreThoseOfCELGo(t *testing.T) {
	p := newPair(t, Limits{Size: 4096, Depth: 12, Nodes: 2000})
	nested := []struct{ open, middle, close string }{
		{"(", "a", ")"}, {"[", "a", "]"}, {"{a: ", "b", "}"}, {"{", "a", ": b}"}, {"f(", "a", ")"}, {"a.f(", "b", ")"}, {"a[", "b", "]"}, {"!(", "a", ")"}, {"-(", "a", ")"},
		{"a ? b : ", "c", ""}, {"(", "a", " ? b : c)"}, {"a ? (", "b", ") : c"},
		{"", "a", ".b"}, {"", "a", ".b()"}, {"", "a", "[b]"}, {"", "a", ".?b"}, {"", "a", "[?b]"}, {"", "a", " + b"}, {"", "a", " * b"}, {"", "a", " < b"}, {"", "a", " == b * c"},
		{"a + (", "b", ")"}, {"a * (", "b", ")"}, {"a + b * (", "c", ")"}, {"a < (", "b", ")"}, {"a < b + c * (", "d", ")"}, {"a < b + c * -d.e(", "f", ")"},
		{"a && (", "b", ")"}, {"a || b && (", "c", ")"}, {"", "a", " || b"}, {"", "a", " && b"}, {"!", "a", ""}, {"-", "a", ""}, {"-", "1", ""},
		{"a.exists(b, ", "c", ")"}, {"has(", "a.b", ".c)"}, {"a.map(b, [", "b", "])"}, {"a.optMap(b, ", "b", ")"}, {"[?", "a", "]"}, {"(a.b.c + ", "d", ")"}, {"(", "a", ").b + c.d"}, {"f(a.b.c.d, ", "e", ")"},
	}
	for _, n := range nested {
		for _, around := range []string{"%s", "a < %s", "a + %s", "a * %s", "%s + a", "a.b.c.d.e + %s", "f(%s)", "[a, %s].b", "a ? %s : b"} {
			for depth := 1; depth <= p.own.limits.Depth+2; depth++ {
				text := strings.Repeat(n.open, depth) + n.middle + strings.Repeat(n.close, depth)
				if p.compare(t, fmt.Sprintf(around, text)); t.Failed() {
					t.FailNow()
				}
			}
		}
	}
	small := newPair(t, Limits{Size: 60, Depth: 20, Nodes: 14})
	for n := range 16 {
		small.compare(t, "a.exists(b, c)"+strings.Repeat(" && d", n))
		small.compare(t, "["+strings.Repeat("a,", n)+" has(b.c)]")
		small.compare(t, strings.Repeat("a && ", n)+"has(b.c)")
		small.compare(t, strings.Repeat("has(b.c)&&", n)+"a")
		small.compare(t, strings.Repeat("a && ", n)+"'é'")
	}
}

// Nesting of any depth is declined, and no stack runs over.
func TestHostileNestingIsDeclined(t *testing.T) {
	unbounded := New(cel.StandardMacros, Limits{Size: 1 << 30, Depth: 250, Nodes: 1 << 30})
	for _, piece := range []string{"(", "[", "{", "{a:", "!", "-", "a?", "a?b:", "f(", "a.f(", "a[", "[?", "a+(", "a*(", "a<(", "a||(", ".a", "a.", "a.b(c,", "!(", "-(", "has(", "a.exists(b,", "[[", "({"} {
		if _, ok := unbounded.Parse(strings.Repeat(piece, 1_000_000)); ok {
			t.Errorf("%s is accepted", piece)
		}
	}
	for _, chain := range []string{"+a", ".a", "[a]", ".a()", "<a", "*a", ".?a"} {
		if _, ok := unbounded.Parse("a" + strings.Repeat(chain, 100_000)); ok {
			t.Errorf("a%s… is accepted", chain)
		}
	}
}

// A macro that is not cel-go's is expanded as cel-go does it, be it one that takes any
// number of arguments, leaves calls as they are, or copies what it is given.
func TestMacrosOfOthers(t *testing.T) {
	twice := func(h cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		if target != nil {
			args = append([]ast.Expr{target}, args...)
		}
		if len(args) == 0 {
			return nil, nil
		}
		var both []ast.Expr
		for _, a := range args {
			both = append(both, h.Copy(a), h.NewMap(h.NewMapEntry(h.NewIdent("k"), h.Copy(a), true)), h.NewSelect(h.Copy(a), "f"))
		}
		if len(args) > 3 {
			return nil, h.NewError(args[3].ID(), "too many")
		}
		return h.NewCall("f", h.NewList(both...)), nil
	}
	itself := func(_ cel.MacroExprFactory, target ast.Expr, _ []ast.Expr) (ast.Expr, *cel.Error) { return target, nil }
	p := newPair(t, limits, cel.Macros(
		cel.ReceiverMacro("itself", 0, itself),
		cel.GlobalVarArgMacro("twice", twice), cel.ReceiverVarArgMacro("twice", twice), cel.ReceiverMacro("twice", 2, twice),
		cel.GlobalMacro("_+_", 2, twice), cel.GlobalMacro("!_", 1, twice), cel.GlobalMacro("_?_:_", 3, twice), cel.GlobalMacro("_[_]", 2, twice),
	))
	for _, text := range []string{
		`twice()`, `twice(a)`, `twice(a, b.c)`, `a.twice()`, `a.twice(b)`, `a.twice(b, c)`, `a.twice(b, c, d, e)`, `twice(twice(a))`, `a.twice(twice()).twice()`, `f(twice(a))`,
		`twice(has(a.b))`, `twice(a.exists(b, c))`, `twice([a, ?b, {c: d, ?e: f}])`, `twice(-a.b(c, -1, "é", b'x', null))`, `twice(a.?b[?c])`, `twice({a: has(b.c)}, [has(b.c)], f(has(b.c)), 1)`,
		`a + b`, `a + b + c`, `!a`, `!!a`, `a ? b : c`, `a[b]`, `(a + b)[c + d]`, `twice(a{b: c})`, `a - b`, `twice.a`,
		`a.itself() - b`, `a.itself().itself()`, `twice(a.itself(), b)`,
	} {
		p.compare(t, text)
	}
}

// Every line of the repository's documents, and what stands in quotes or behind a colon
// in them and in its programs: among these is every expression that there is.
func TestParsesTheRepositoryAsCELGo(t *testing.T) {
	p := newPair(t, limits)
	seen, accepted := map[string]bool{}, 0
	try := func(text string) {
		if text = strings.TrimSpace(text); seen[text] || !mayBeExpression.MatchString(text) {
			return
		}
		seen[text] = true
		if p.compare(t, text) {
			accepted++
		}
	}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && strings.HasPrefix(name, ".") && name != ".." {
			return filepath.SkipDir
		}
		if entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".md", ".txt", ".go"}, filepath.Ext(path)) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(content)) {
			if filepath.Ext(path) != ".go" {
				try(line)
			}
			if _, behind, found := strings.Cut(line, ": "); found {
				try(behind)
				try(strings.Trim(strings.TrimSpace(behind), `"'`))
			}
			for _, quoted := range inQuotes.FindAllStringSubmatch(line, -1) {
				try(quoted[1] + quoted[2] + quoted[3])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d of %d texts are accepted", accepted, len(seen)); accepted < 2000 {
		t.Errorf("%d of %d texts are accepted", accepted, len(seen))
	}
}

var (
	// cel-go takes long for texts that are prose; those that have an operator or a call are
	// few enough.
	mayBeExpression = regexp.MustCompile(`==|!=|<|>|&&|\|\||\bin\b|\(|\[|^\w+$`)
	inQuotes        = regexp.MustCompile("`([^`]*)`|\"((?:[^\"\\\\]|\\\\.)*)\"|'([^']*)'")
)

// The expressions of CEL's public conformance tests are parsed as cel-go parses them.
func TestParsesTheConformanceTestsAsCELGo(t *testing.T) {
	p := newPair(t, limits)
	n, accepted := 0, 0
	for _, text := range conformanceExpressions(t) {
		n++
		if p.compare(t, text) {
			accepted++
		}
	}
	if t.Logf("%d of %d expressions are accepted", accepted, n); n < 2000 || accepted < n/2 {
		t.Errorf("%d of %d expressions are accepted", accepted, n)
	}
}

// conformanceExpressions are the expressions of the conformance tests.
func conformanceExpressions(t testing.TB) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "cel.dev/expr").Output()
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("the module with the tests is not there: %v", err)
	} else if err != nil {
		t.Skipf("the module with the tests is not there: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "tests/simple/testdata/*.textproto"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the module has no tests: %v", err)
	}
	p := New(nil, Limits{Size: 1 << 20, Depth: 1, Nodes: 1})
	var list []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range exprLine.FindAllStringSubmatch(string(content), -1) {
			// The text of a protobuf file has the escapes of CEL.
			parsed, ok := p.Parse(m[1])
			if !ok {
				t.Fatalf("%s: %s cannot be read", file, m[1])
			}
			list = append(list, parsed.NativeRep().Expr().AsLiteral().Value().(string))
		}
	}
	return list
}

var exprLine = regexp.MustCompile(`(?m)^\s*expr:\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')\s*$`)

// FuzzParse parses any text: it is declined, or parsed to what cel-go parses it to. Nothing
// is declined that cel-go takes but what makes records.
func FuzzParse(f *testing.F) {
	for _, text := range corpus {
		f.Add(text)
	}
	p := newPair(f, limits)
	f.Fuzz(func(t *testing.T, text string) { p.compare(t, text) })
}

// FuzzParseTokens does as FuzzParse does with texts that are made of tokens.
func FuzzParseTokens(f *testing.F) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 4))
		choice := make([]byte, 2+random.IntN(20))
		for i := range choice {
			choice[i] = byte(random.IntN(len(pieces)))
		}
		f.Add(choice)
	}
	p := newPair(f, limits)
	f.Fuzz(func(t *testing.T, choice []byte) {
		var b strings.Builder
		for _, c := range choice[:min(len(choice), 60)] {
			b.WriteString(pieces[int(c)%len(pieces)])
		}
		p.compare(t, b.String())
	})
}

var pieces = []string{
	"a", "b", "c", "a.b", "has(a.b)", "true", "null", "1", "1.5", "2u", "0x1f", `"a"`, `"é"`, `b"a"`, `r'a'`, `"\n"`, `"""a"""`, "`a-b`", "as", "e5",
	"(", ")", "(", ")", "[", "]", "{", "}", ",", ",", ":", "?", ".", ".", ".?", "[?", "f(", ".f(", ".all(a, ", ".map(b, ", ".optMap(c, ", ".exists_one(a, ",
	"&&", "||", "==", "<", "!=", " in ", "+", "-", "-", "*", "%", "!", " ", "\n", "//a\n", "/",
}
