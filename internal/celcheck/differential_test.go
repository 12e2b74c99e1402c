package celcheck

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/debug"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

// The names that expressions of these tests can read.
var (
	variables = map[string]*types.Type{
		"i": types.IntType, "u": types.UintType, "f": types.DoubleType, "s": types.StringType, "b": types.BoolType, "y": types.BytesType, "d": types.DurationType, "t": types.TimestampType,
		"l": types.NewListType(types.StringType), "li": types.NewListType(types.IntType), "ll": types.NewListType(types.NewListType(types.IntType)),
		"m": types.NewMapType(types.StringType, types.StringType), "mi": types.NewMapType(types.IntType, types.NewListType(types.IntType)),
		"r": types.NewObjectType("test.Record"), "rs": types.NewListType(types.NewObjectType("test.Record")),
		"e": types.NewOpaqueType("test.Enum"), "A": types.NewOpaqueType("test.Enum"), "os": types.NewOptionalType(types.StringType),
	}
	fields = map[string]*types.Type{
		"i": types.IntType, "s": types.StringType, "b": types.BoolType, "d": types.DurationType, "l": types.NewListType(types.StringType), "m": variables["m"], "r": variables["r"], "rs": variables["rs"], "e": variables["e"],
	}
)

// world gives these names to both checkers.
type world struct{ types.Provider }

func (world) Variable(name string) *types.Type { return variables[name] }

func (world) Field(record, name string) *types.Type {
	if record != "test.Record" {
		return nil
	}
	return fields[name]
}

func (w world) FindStructType(name string) (*types.Type, bool) {
	if name == "test.Record" {
		return types.NewTypeTypeWithParam(variables["r"]), true
	}
	return w.Provider.FindStructType(name)
}

func (w world) FindStructFieldType(record, name string) (*types.FieldType, bool) {
	if t := w.Field(record, name); t != nil {
		return &types.FieldType{Type: t}, true
	}
	return w.Provider.FindStructFieldType(record, name)
}

// maxNodes is the limit of these tests.
const maxNodes = 200

// A pair is cel-go's checker and the one that stands for it.
type pair struct {
	env *cel.Env
	own *Checker
}

func newPair(t testing.TB, opts ...cel.EnvOption) pair {
	t.Helper()
	opts = append(opts, cel.StdLib(), cel.OptionalTypes(), ext.Strings(), cel.EnableMacroCallTracking(), cel.ExpressionNodeLimit(maxNodes))
	for name, typ := range variables {
		opts = append(opts, cel.Variable(name, typ))
	}
	env, err := cel.NewCustomEnv(opts...)
	if err != nil {
		t.Fatal(err)
	}
	if env, err = env.Extend(cel.CustomTypeProvider(world{env.CELTypeProvider()})); err != nil {
		t.Fatal(err)
	}
	return pair{env, New(env.Functions(), maxNodes)}
}

// compare checks a text both ways. It has to be declined if cel-go refuses it, and taken if
// cel-go takes it and it is plain; and what is taken has to be left as it is, and to have the
// same types and overloads.
func (p pair) compare(t *testing.T, text string) (taken bool) {
	t.Helper()
	parsed, issues := p.env.Parse(text)
	if issues.Err() != nil {
		return false
	}
	before := dump(parsed)
	own, taken := p.own.Check(parsed.NativeRep(), world{})
	if dump(parsed) != before {
		t.Errorf("%q is changed", text)
	}
	again, _ := p.env.Parse(text)
	checked, issues := p.env.Check(again)
	switch refused := issues.Err(); {
	case taken && refused != nil:
		t.Errorf("%q\nis refused by cel-go: %v", text, refused)
	case taken && !usesSpace(checked.NativeRep()) && dump(checked) != before:
		t.Errorf("%q\nis changed by cel-go to\n%s", text, dump(checked))
	case taken && own.facts() != Of(checked.NativeRep()).facts():
		t.Errorf("%q\nis found to have\n%s\nand by cel-go\n%s", text, own.facts(), Of(checked.NativeRep()).facts())
	case taken && len(manyOverloads(checked.NativeRep())) > 0:
		t.Errorf("%q\ncalls several overloads to cel-go: %v", text, manyOverloads(checked.NativeRep()))
	case !taken && refused == nil && isPlain(parsed.NativeRep(), checked.NativeRep()):
		t.Errorf("%q\nis declined, and cel-go finds\n%s", text, Of(checked.NativeRep()).facts())
	}
	return taken
}

func dump(parsed *cel.Ast) string { return debug.ToDebugString(parsed.NativeRep().Expr()) }

// facts are what was found.
func (c *Checked) facts() string {
	var b strings.Builder
	for id, about := range c.about {
		if about.typ != nil {
			fmt.Fprintf(&b, "%d: %s %s\n", id, about.typ, about.overload)
		}
	}
	return b.String()
}

// usesSpace reports whether a function is called that is a method of nothing before it is
// checked, and has a dot in its name after.
func usesSpace(checked *ast.AST) bool {
	return found(checked, func(e ast.Expr) bool {
		return e.Kind() == ast.CallKind && strings.HasPrefix(e.AsCall().FunctionName(), "optional.")
	})
}

func found(in *ast.AST, is func(ast.Expr) bool) (found bool) {
	ast.PreOrderVisit(in.Expr(), ast.NewExprVisitor(func(e ast.Expr) { found = found || is(e) }))
	return found
}

func manyOverloads(checked *ast.AST) (many []string) {
	for _, r := range checked.ReferenceMap() {
		if len(r.OverloadIDs) > 1 {
			many = append(many, r.OverloadIDs...)
		}
	}
	return many
}

// isPlain reports whether nothing is in an expression that the package says it declines.
func isPlain(parsed, checked *ast.AST) bool {
	for t := range maps.Values(checked.TypeMap()) {
		if !isKnown(t) {
			return false
		}
	}
	typeOf := func(e ast.Expr) *types.Type { return checked.GetType(e.ID()) }
	return !found(parsed, func(e ast.Expr) bool {
		switch e.Kind() {
		case ast.StructKind:
			return true
		case ast.ListKind:
			return e.AsList().Size() == 0 || len(e.AsList().OptionalIndices()) > 0
		case ast.MapKind:
			return e.AsMap().Size() == 0 || slices.ContainsFunc(e.AsMap().Entries(), func(e ast.EntryExpr) bool { return e.AsMapEntry().IsOptional() })
		case ast.SelectKind:
			return isOptional(typeOf(e.AsSelect().Operand()))
		case ast.IdentKind:
			return strings.HasPrefix(e.AsIdent(), ".")
		case ast.ComprehensionKind:
			return e.AsComprehension().HasIterVar2()
		case ast.CallKind:
			args := e.AsCall().Args()
			switch name := e.AsCall().FunctionName(); name {
			case "format", "none": // which take, or give, values of any type
				return true
			case "_?._":
				return isOptional(typeOf(args[0]))
			default:
				return len(args) == 2 && comparesNumbers(name, []*types.Type{typeOf(args[0]), typeOf(args[1])})
			}
		}
		return false
	})
}

func isOptional(t *types.Type) bool {
	return t != nil && t.Kind() == types.OpaqueKind && t.TypeName() == optional
}

func isKnown(t *types.Type) bool {
	switch t.Kind() {
	case types.DynKind, types.NullTypeKind, types.TypeKind, types.AnyKind, types.ErrorKind, types.TypeParamKind:
		return false
	}
	return !slices.ContainsFunc(t.Parameters(), func(t *types.Type) bool { return !isKnown(t) })
}

// corpus holds the texts that fuzzing begins with, and what is known to be hard.
var corpus = []string{
	// values
	`1`, `1u`, `1.5`, `"a"`, `b"a"`, `true`, `null`, `-1`, `i`, `.i`, `z`, `int`, `e`, `test.Record`, `optional`,
	// operators
	`i == 1`, `i == 1u`, `i == 1.5`, `i < 1.5`, `u < i`, `f >= u`, `s == "a"`, `s == b`, `e == A`, `e < A`, `r == r`, `l == ["a"]`, `l == []`, `m == {}`, `os == s`, `i == null`, `s in l`, `i in l`, `s in m`, `"a" in ["a", "b"]`, `i in []`, `i in {1: 2}`,
	`i + 1`, `i + 1.0`, `s + "a"`, `l + l`, `l + li`, `y + y`, `d + d`, `t + d`, `d + t`, `t - t`, `t - d`, `i % 2`, `f % 2.0`, `-i`, `-u`, `-f`, `!b`, `!i`, `b && b || !b`, `b && i`, `b ? i : 1`, `b ? i : s`, `b ? l : []`, `i ? b : b`, `b ? r : r`, `b ? os : optional.of("a")`,
	// fields and entries
	`r.i`, `r.z`, `r.r.r.s`, `r.m.z`, `r.m["z"]`, `m.z`, `m[s]`, `m[i]`, `l[0]`, `l[u]`, `l[f]`, `ll[0][0]`, `mi[1][2]`, `mi.z`, `s.z`, `s[0]`, `os.z`, `has(r.i)`, `has(r.z)`, `has(m.z)`, `has(r.m.z)`, `has(os.z)`, `rs[0].i`, `rs.i`, `r.?i`, `r.?z`, `m.?z`, `r.?r.?i`, `r.?m.z`, `l[?0]`, `m[?"a"]`, `os[?0]`, `m[?i]`, `r.rs[?0].i`,
	// functions
	`size(s)`, `size(l)`, `s.size()`, `size(i)`, `size()`, `size(s, s)`, `s.startsWith("a")`, `startsWith(s, "a")`, `s.startsWith(i)`, `s.matches("a")`, `matches(s, "a")`, `s.contains("a")`, `int(s)`, `int(f)`, `int(b)`, `string(i)`, `string(y)`, `double(i)`, `duration("5s")`, `timestamp("2020-01-01T00:00:00Z")`, `d.getSeconds()`, `t.getHours("UTC")`, `type(i)`, `type(i) == int`, `dyn(i)`, `dyn(i) == s`, `bytes(s)`, `s.lowerAscii()`, `s.split("")`, `s.replace("a", "b")`, `s.replace("a", "b", 1)`, `s.substring(1, 2)`, `l.join()`, `l.join(",")`, `s.format(l)`, `s.format([1, "a"])`, `z(i)`, `s.z()`, `i.i()`, `_==_(i, i)`, `strings.quote(s)`,
	// optional values
	`os.hasValue()`, `os.value()`, `os.orValue("a")`, `os.orValue(1)`, `os.or(os)`, `optional.of(i)`, `optional.of(i).value() + 1`, `optional.none()`, `optional.none() == os`, `optional.ofNonZeroValue(s)`, `optional.of(optional.of(s))`, `os.optMap(x, x + "a")`, `os.optFlatMap(x, optional.of(1))`, `r.?s.orValue("a") == "b"`, `optional.z(i)`, `optional.i.of(i)`,
	// lists and maps
	`[]`, `{}`, `[1, 2]`, `[1, 2.0]`, `[i, r.i]`, `[[1], [2]]`, `[[1], []]`, `[1, dyn(2)]`, `[r, r]`, `[?os]`, `[?os, s]`, `{1: 2}`, `{1: 2, 3: 4}`, `{1: 2, "a": 4}`, `{1: 2, 3: "a"}`, `{?"a": os}`, `{"a": {"b": 1}}.a.b`, `{i: r}[1].s`, `{[1]: 2}`, `test.Record{}`, `[1, 2].exists(x, x == 1)`, `[null]`, `[os]`,
	// loops
	`l.exists(x, x == "a")`, `l.exists(x, x == 1)`, `l.all(x, x)`, `l.exists_one(x, x.startsWith("a"))`, `l.map(x, x + "a")`, `l.map(x, x != s, x)`, `l.filter(x, x in m)`, `l.map(x, 1).exists(y, y == 1)`, `m.exists(k, m[k] == k)`, `mi.all(k, k > 1)`, `rs.exists(x, x.i == 1 && x.r.s == s)`, `rs.exists(r, r.i == 1)`, `rs.exists(i, i.i == i)`, `rs.exists(x, x.rs.all(y, y.i == x.i))`, `s.exists(x, x == "a")`, `os.exists(x, true)`, `[].exists(x, x)`, `[1].exists(x, x > 0)`, `l.exists(x, y)`, `l.exists(x, true) && x == "a"`, `l.exists(l, l == "a")`, `ll.exists(x, x.exists(y, y in x))`, `l.exists(x, has(x.y))`, `rs.exists(x, has(x.i))`, `rs.exists(optional, optional.of(1).hasValue())`, `{1: 2}.exists(k, k == 1)`,
}

// Tricky texts have the types that cel-go finds.
func TestChecksAsCELGo(t *testing.T) {
	p := newPair(t)
	taken := 0
	for _, text := range corpus {
		if p.compare(t, text) {
			taken++
		}
	}
	if taken < len(corpus)/3 {
		t.Errorf("%d of %d texts are taken", taken, len(corpus))
	}
}

// So do they where numbers of different types can be compared.
func TestChecksAsCELGoWhereNumbersAreCompared(t *testing.T) {
	p := newPair(t, cel.CrossTypeNumericComparisons(true))
	for _, text := range corpus {
		p.compare(t, text)
	}
	for _, text := range []string{`i < 1.5`, `u < i`, `f >= u && i <= u`} {
		if p.compare(t, text) {
			t.Errorf("%s is taken, which cel-go takes only here", text)
		}
	}
}

// Texts with pieces of other ones in them, of which many are still expressions, are checked
// as cel-go does.
func TestChecksMutationsAsCELGo(t *testing.T) {
	p := newPair(t)
	random := rand.New(rand.NewPCG(1, 2))
	times := 20_000
	if testing.Short() {
		times = 4000
	}
	for range times {
		p.compare(t, mutation(random))
	}
}

// mutation is a text of the corpus with one or two pieces of others in it.
func mutation(random *rand.Rand) string {
	text := corpus[random.IntN(len(corpus))]
	for range 1 + random.IntN(2) {
		other := corpus[random.IntN(len(corpus))]
		start := random.IntN(len(text) + 1)
		end := start + random.IntN(min(len(text)-start, 4)+1)
		from := random.IntN(len(other) + 1)
		to := from + random.IntN(len(other)-from+1)
		text = text[:start] + other[from:to] + text[end:]
	}
	return text
}

// Random expressions that are right, or right but for one place, have the types that cel-go
// finds, and nearly all that are right are taken.
func TestChecksRandomExpressionsAsCELGo(t *testing.T) {
	p := newPair(t)
	times, taken := 6000, 0
	if testing.Short() {
		times = 1000
	}
	for seed := range uint64(times) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 3)), wrong: int(seed % 3)}
		if p.compare(t, w.of(w.oneOf(kinds), 1+w.IntN(4))) {
			taken++
		}
	}
	if t.Logf("%d of %d are taken", taken, times); taken < times/3 {
		t.Errorf("%d of %d are taken", taken, times)
	}
}

// A writer writes random expressions of types, with a number of mistakes.
type writer struct {
	*rand.Rand
	wrong int
}

func (w *writer) oneOf(list []string) string { return list[w.IntN(len(list))] }

// kinds are the types of forms, in a fixed order.
var kinds = slices.Sorted(maps.Keys(forms))

// forms are ways to write an expression of a type, of which the first ones have no parts.
// In them a type in brackets stands for such an expression.
var forms = map[string][]string{
	"bool": {"true", "b", "r.b", "has(r.i)", "has(r.m.x)", "!<bool>", "<bool> && <bool>", "<bool> || <bool>", "(<bool> ? <bool> : <bool>)", "<int> == <int>", "<uint> != <uint>", "<int> < <int>", "<double> >= <double>", "<string> > <string>", "<duration> <= <duration>", "<time> < <time>", "<record> == <record>", "<enum> == <enum>", "<string> in <strings>", "<int> in <ints>", "<string> in <map>", "<strings>.exists(x, x == <string>)", "<ints>.all(x, x < <int> && <bool>)", "<records>.exists(x, x.i == <int> || x.r.s == <string>)", "<map>.exists(k, k == <string>)", "<records>.exists_one(x, x.b)", "<string>.startsWith(<string>)", "<string>.contains(<string>)", "<string>.matches(<string>)", "matches(<string>, <string>)", "<optional>.hasValue()", "<optional> == <optional>", "bool(<string>)", "<strings> == <strings>", "<map> != <map>", "<bytes> < <bytes>"},
	"int":  {"1", "-2", "i", "r.i", "<int> + <int>", "<int> - <int>", "<int> * <int>", "<int> % <int>", "-(<int>)", "size(<string>)", "<string>.size()", "size(<strings>)", "<map>.size()", "size(<bytes>)", "int(<string>)", "int(<double>)", "int(<uint>)", "<ints>[<int>]", "<duration>.getSeconds()", "<time>.getHours()", "<time>.getHours(<string>)", "<string>.indexOf(<string>)", "<string>.lastIndexOf(<string>, <int>)", "<record>.i", "(<bool> ? <int> : <int>)", "{<string>: <int>}[<string>]", "optional.of(<int>).value()", "<ints>[?<int>].orValue(<int>)"},
	"uint": {"1u", "u", "<uint> + <uint>", "uint(<int>)"}, "double": {"1.5", "f", "<double> / <double>", "-(<double>)", "double(<int>)", "double(<string>)"},
	"string":   {`"a"`, "s", "r.s", "m.x", "<string> + <string>", "string(<int>)", "string(<bool>)", "string(<duration>)", "<strings>[<int>]", "<map>[<string>]", "<map>.x", "<string>.lowerAscii()", "<string>.trim()", "<string>.replace(<string>, <string>)", "<string>.replace(<string>, <string>, <int>)", "<string>.substring(<int>, <int>)", "<string>.charAt(<int>)", "<strings>.join(<string>)", "<record>.s", "<optional>.orValue(<string>)", "<optional>.value()", "(<bool> ? <string> : <string>)"},
	"bytes":    {`b"a"`, "y", "<bytes> + <bytes>", "bytes(<string>)"},
	"duration": {"d", "r.d", `duration("5s")`, "<duration> + <duration>", "<duration> - <duration>", "<time> - <time>", "duration(<string>)", "<record>.d"}, "time": {"t", "<time> + <duration>", "<time> - <duration>", "timestamp(<string>)"},
	"strings": {"l", "r.l", "[<string>]", "[<string>, <string>]", "<strings> + <strings>", "<string>.split(<string>)", "<strings>.map(x, x + <string>)", "<strings>.filter(x, x == <string>)", "<record>.l"}, "ints": {"li", "[<int>, <int>]", "ll[<int>]", "<strings>.map(x, <int>)", "[<ints>][<int>]", "mi[<int>]"},
	"map":    {"m", "r.m", "{<string>: <string>}", "{<string>: <string>, <string>: <string>}", "<record>.m", "(<bool> ? <map> : <map>)"},
	"record": {"r", "r.r", "rs[0]", "<records>[<int>]", "<record>.r", "(<bool> ? <record> : <record>)"}, "records": {"rs", "r.rs", "[<record>]", "<records> + <records>", "<record>.rs"},
	"enum": {"e", "A", "r.e", "<record>.e"}, "optional": {"os", "r.?s", "m.?x", "<map>[?<string>]", "<strings>[?<int>]", "<record>.?s", "optional.of(<string>)", "<optional>.or(<optional>)", "optional.ofNonZeroValue(<string>)"},
	"anything": {"null", "[]", "{}", "dyn(<int>)", "optional.none()", "type(<string>)", "<optional>.optMap(x, x)"},
}

func (w *writer) of(kind string, depth int) string {
	if w.wrong > 0 && w.IntN(8) == 0 {
		w.wrong--
		kind = w.oneOf(kinds)
	}
	list := forms[kind]
	if depth <= 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(form string) bool { return strings.Contains(form, "<") && strings.Contains(form, ">") })
		if len(list) == 0 {
			list = []string{"z"}
		}
	}
	form, text := w.oneOf(list), ""
	for {
		before, behind, opens := strings.Cut(form, "<")
		part, rest, closes := strings.Cut(behind, ">")
		if text += before; !opens {
			return text
		}
		if !closes || forms[part] == nil {
			text, form = text+"<", behind
			continue
		}
		text, form = text+w.of(part, depth-1), rest
	}
}

// Nothing is taken that has more nodes than cel-go's limit allows.
func TestNothingIsTakenBeyondTheLimitOfNodes(t *testing.T) {
	p := newPair(t)
	taken, refused := 0, 0
	for n := range maxNodes + 5 {
		for _, text := range []string{"[" + strings.Repeat("1,", n) + "2]", "[" + strings.Repeat("has(r.i),", n/4) + "true]", "l.exists(x, x in [" + strings.Repeat("s,", n) + "s])"} {
			parsed, issues := p.env.Parse(text)
			if issues.Err() != nil { // the parser has the limit, too, where macros are
				continue
			}
			_, ok := p.own.Check(parsed.NativeRep(), world{})
			_, issues = p.env.Check(parsed)
			switch {
			case ok && issues.Err() != nil:
				t.Errorf("%d: %.20s is taken, of which cel-go says %v", n, text, issues.Err())
			case ok:
				taken++
			case issues.Err() != nil:
				refused++
			}
		}
	}
	if taken < maxNodes || refused == 0 {
		t.Errorf("%d are taken, %d are beyond the limit", taken, refused)
	}
}

// FuzzCheck checks any text: it is declined, or has the types that cel-go finds. Nothing
// plain is declined.
func FuzzCheck(f *testing.F) {
	for _, text := range corpus {
		f.Add(text)
	}
	p := newPair(f)
	f.Fuzz(func(t *testing.T, text string) { p.compare(t, text) })
}

// FuzzCheckForms does as FuzzCheck does with expressions that are right but for a few places.
func FuzzCheckForms(f *testing.F) {
	for seed := range uint64(100) {
		f.Add(seed, uint8(seed%4))
	}
	p := newPair(f)
	f.Fuzz(func(t *testing.T, seed uint64, wrong uint8) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 5)), wrong: int(wrong % 5)}
		p.compare(t, w.of(w.oneOf(kinds), 5))
	})
}
