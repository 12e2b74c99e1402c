package interp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

// TestCompiledConditionsComeToWhatCELComesTo writes random well-typed expressions, and
// compares their compiled form with cel-go on random failures: the result, and the error
// to the letter. REDRESS_EXPRESSIONS is how many are written.
func TestCompiledConditionsComeToWhatCELComesTo(t *testing.T) {
	if !compiles {
		t.Skip("nothing is compiled")
	}
	n := 1500
	if s := os.Getenv("REDRESS_EXPRESSIONS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	var d differential
	for seed := range uint64(n) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
		g.site = []site{inClassify, inResult, inSelect}[seed%3]
		made, ok := g.compiler(t)
		if !ok {
			continue
		}
		text, want := g.boolean(4), wantBool
		if seed%4 == 3 {
			text, want = g.duration(4), wantDuration
		}
		if !d.compare(t, made, g, text, want, 20) {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d of %d expressions compiled, %d run on cel-go, %d were refused; %d times one held, %d times it erred", d.compiled, n, d.fallbacks, d.refused, d.holds, d.errs)
	if d.compiled < n/2 || d.holds < n || d.errs < n/4 || d.fallbacks > n/5 {
		t.Errorf("that says little")
	}
}

// A differential compares compiled expressions with cel-go.
type differential struct {
	compiled, fallbacks, refused int
	holds, errs                  int
}

// compare compiles an expression and evaluates it both ways on random failures.
func (d *differential) compare(t *testing.T, made *compiler, g *generator, text string, want *want, times int) bool {
	t.Helper()
	p := made.compile(dsl.Expr{Text: text, Set: true}, g.site, want, nil)
	if p == nil {
		made.found = nil
		d.refused++ // too deep, too costly
		return true
	}
	l := &lowering{vars: map[*Node]*cond.Expr{}}
	evaluate, ok := compiledForm(l.expr(p, p.tree()), want)
	if !ok {
		d.fallbacks++
		return true
	}
	d.compiled++
	for range times {
		in := g.input()
		wanted, wantErr := plain(p.eval(newScene(in)))
		in.Scratch = engine.Scratch{}
		got, gotErr := evaluate(in)
		if wantErr == nil && got != wanted || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			t.Errorf("%s\non %+v of %+v\ncomes to %v, %v\ncel-go says %v, %v", text, in.Failure, in, got, gotErr, wanted, wantErr)
			return false
		}
		if wanted == true {
			d.holds++
		}
		if wantErr != nil {
			d.errs++
		}
	}
	return true
}

// compiledForm makes a function of a condition or a duration.
func compiledForm(e *cond.Expr, want *want) (func(*engine.Input) (any, error), bool) {
	if want == wantDuration {
		hint, other := cond.NewCompiler().Hint(e)
		return func(in *engine.Input) (any, error) { return hint.Get(in) }, other == nil
	}
	condition, other := cond.NewCompiler().Condition(e)
	return func(in *engine.Input) (any, error) { return condition.Test(in) }, other == nil
}

// plain is a value of cel-go as the compiled form has it.
func plain(v ref.Val) (any, error) {
	if d, ok := v.(types.Duration); ok {
		return d.Duration, nil
	}
	if e, ok := v.(*types.Err); ok && v.Type() == types.ErrType {
		_, err := truth(e)
		return nil, err
	}
	return truth(v)
}

// FuzzCompiled compares any text that is a condition with cel-go.
func FuzzCompiled(f *testing.F) {
	for i, expr := range goodExpressions {
		f.Add(expr, uint64(i))
	}
	for seed := range uint64(50) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 3)), site: site(seed % 3)}
		f.Add(g.boolean(3), seed)
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if !compiles || !utf8.ValidString(text) {
			t.Skip()
		}
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 4)), site: site(seed % 3)}
		made, ok := g.compiler(t)
		if !ok {
			t.Skip("the vars are not right")
		}
		var d differential
		d.compare(t, made, g, text, wantBool, 5)
	})
}

// A generator writes expressions of a type.
type generator struct {
	*rand.Rand
	inExists bool
	vars     bool
	site     site
}

func oneOf[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

var (
	someTexts   = []string{"", "RATE", "RATE_LIMIT", "rate", "QUOTA", "40001", "08006", "busy now", "Überlast", "a.b", "x", "é\xff", "GET", "_", " a\tb\u00a0", "5s", "-1.5", "12", "NaN", "[", "İKıſ", "日本語_テスト"}
	someNumbers = []int64{0, 1, 2, 5, 100, 400, 404, 409, 429, 499, 500, 503, 599, -1, math.MaxInt64, math.MinInt64}
	someWaits   = []time.Duration{math.MaxInt64, math.MinInt64, 90 * time.Minute, 0, time.Millisecond, time.Second, 5 * time.Second, time.Minute, -time.Second}
	someDoubles = []float64{0, 0.5, 1, -1, math.NaN(), math.Inf(1), 1e300}
	kindNames   = dsl.KindNames()
	phaseNames  = dsl.PhaseNames()
)

func written(name string) dsl.Value[string] { return dsl.Value[string]{V: name, Set: true} }

// compiler declares attributes of every type, and vars.
func (g *generator) compiler(t *testing.T) (*compiler, bool) {
	t.Helper()
	var attributes []dsl.Attribute
	for name, typ := range map[string]string{"tier": "string", "hot": "bool", "count": "int", "load": "double", "wait": "duration", "tags": "list(string)", "labels": "map(string, string)"} {
		attributes = append(attributes, dsl.Attribute{Name: written(name), Type: written(typ)})
	}
	g.vars = false
	vars := []dsl.Var{
		{Name: written("flag"), Expr: dsl.Expr{Text: g.boolean(2), Set: true}},
		{Name: written("text"), Expr: dsl.Expr{Text: g.text(2), Set: true}},
		{Name: written("number"), Expr: dsl.Expr{Text: g.integer(1), Set: true}},
		{Name: written("list"), Expr: dsl.Expr{Text: `["RATE", "busy now", ""]`, Set: true}},
		{Name: written("words"), Expr: dsl.Expr{Text: g.texts(1), Set: true}},
		{Name: written("share"), Expr: dsl.Expr{Text: g.double(1), Set: true}},
		{Name: written("pause"), Expr: dsl.Expr{Text: g.duration(1), Set: true}},
		{Name: written("labels"), Expr: dsl.Expr{Text: g.record() + ".attr.labels", Set: true}},
	}
	g.vars = true
	c, err := newCompiler(attributes, vars)
	if err != nil {
		t.Fatal(err)
	}
	return c, len(c.found) == 0
}

func (g *generator) record() string {
	if g.site == inResult {
		return "result"
	}
	return "err"
}

func (g *generator) compare() string { return oneOf(g, " == ", " != ", " < ", " <= ", " > ", " >= ") }

func (g *generator) boolean(depth int) string {
	r := g.record()
	if depth <= 0 {
		switch g.IntN(9) {
		case 0:
			return oneOf(g, "true", "false")
		case 1:
			return "idempotent"
		case 2:
			return r + ".attr.hot"
		case 3:
			return "has(" + r + "." + oneOf(g, "status", "code", "message", "type", "retry_after", "headers", "attr.tier", "attr.tags") + ")"
		case 4:
			if g.vars {
				return "vars.flag"
			}
		case 5:
			if r == "err" {
				return oneOf(g, "err.timeout", "has(err.kind)", "has(err.phase)", "has(err.marker)", "has(err.causes)", "has(err.timeout)")
			}
		case 6:
			return fmt.Sprintf("%s.status%s%d", r, g.compare(), oneOf(g, someNumbers...))
		case 7:
			if g.inExists {
				return oneOf(g, "c.code == "+g.quoted(), "c.status"+g.compare()+"409", "has(c.code)", "has(c.kind)", "c.message.contains("+g.quoted()+")", "c.kind == \"sql\"", "c.type != "+g.quoted())
			}
		}
		return r + ".code == " + g.quoted()
	}
	d := depth - 1 - g.IntN(2)
	switch g.IntN(26) {
	case 20:
		return g.statusOnly(d)
	case 21:
		if r == "err" && !g.inExists {
			g.inExists = true
			body := g.boolean(d)
			g.inExists = false
			return "err.causes.all(c, " + body + ")"
		}
		return "has(" + oneOf(g, r+".headers.rate", r+".headers.RATE", r+".attr.labels.k", r+".attr.labels.none") + ")"
	case 22:
		return oneOf(g, r+".headers.?rate", r+".attr.labels.?k", r+`.attr.labels[?"X-A"]`, r+".attr.?"+oneOf(g, "hot", "count", "load", "wait", "tags", "labels"), r+".?"+oneOf(g, "status", "message", "type", "headers", "retry_after", "attr")) + ".hasValue()"
	case 23:
		return "(" + g.text(d) + " in " + g.texts(d) + ")"
	case 24:
		return "(" + g.text(d) + ").matches(" + g.text(d-1) + ")"
	case 25:
		return oneOf(g, "("+g.double(d)+" in [0.5, "+g.double(d-1)+"])", "("+g.duration(d)+" in ["+g.duration(d-1)+`, duration("1s")])`, "("+g.boolean(d)+" in [true, "+g.boolean(d-1)+"])",
			"("+g.integer(d)+g.compare()+g.double(d)+")", "("+g.texts(d)+" == "+g.texts(d)+")", r+".attr.?hot.orValue("+g.boolean(d)+")")
	case 0, 1:
		return "(" + g.boolean(d) + " && " + g.boolean(d) + ")"
	case 2, 3:
		return "(" + g.boolean(d) + " || " + g.boolean(d) + ")"
	case 4:
		return "(" + g.boolean(d) + oneOf(g, " && ", " || ") + g.boolean(d) + oneOf(g, " && ", " || ") + g.boolean(d) + ")"
	case 5:
		return "!(" + g.boolean(d) + ")"
	case 6:
		return "(" + g.boolean(d) + " ? " + g.boolean(d) + " : " + g.boolean(d) + ")"
	case 7:
		return "((" + g.boolean(d) + ")" + oneOf(g, " == ", " != ") + "(" + g.boolean(d) + "))"
	case 8, 9:
		return "(" + g.integer(d) + g.compare() + g.integer(d) + ")"
	case 10:
		return "(" + g.text(d) + g.compare() + g.text(d) + ")"
	case 11:
		return "(" + g.text(d) + ")." + oneOf(g, "startsWith", "endsWith", "contains") + "(" + oneOf(g, g.quoted(), g.text(d-1)) + ")"
	case 12:
		return fmt.Sprintf("(%s).matches(%q)", g.text(d), oneOf(g, "^08", "RATE$", "^(RATE|QUOTA)$", "a.b", "LIMIT", "[0-9]{5}", "(?i)rate", "(?i)rate|quota", "busy|full", "(?i)k", "(?i)(rate|over)load"))
	case 13:
		return "(" + g.double(d) + g.compare() + g.double(d) + ")"
	case 14:
		return "(" + g.duration(d) + g.compare() + g.duration(d) + ")"
	case 15:
		return "(" + g.integer(d) + " in [" + g.integer(d-1) + ", " + g.integer(d-1) + ", 429])"
	case 16:
		list := "[" + g.quoted()
		for range g.IntN(12) {
			list += ", " + g.quoted()
		}
		return "(" + g.text(d) + " in " + oneOf(g, list+"]", list+", "+g.text(d-1)+"]", r+".attr.tags") + ")"
	case 17:
		labels := r + ".attr.labels"
		if g.vars && g.IntN(2) == 0 {
			labels = "vars.labels"
		}
		return "(" + oneOf(g, `"k"`, `"X-A"`, g.text(d)) + " in " + oneOf(g, r+".headers", labels) + ")"
	case 18:
		if r == "err" && !g.inExists {
			g.inExists = true
			body := g.boolean(d)
			g.inExists = false
			return "err.causes.exists(c, " + body + ")"
		}
		return oneOf(g, r+`.headers[?"X-A"].hasValue()`, r+".attr.?tier.hasValue()", r+".?code.hasValue()")
	}
	switch {
	case g.site == inSelect:
		return "(class" + oneOf(g, " == ", " != ") + oneOf(g, "RATE_LIMIT", "TRANSIENT", "(idempotent ? UNKNOWN : SERVER_ERROR)") + ")"
	case r == "err":
		return oneOf(g, "err.kind == "+strconv.Quote(oneOf(g, kindNames...)), "err.phase != "+strconv.Quote(oneOf(g, phaseNames...)), `err.marker == "RATE_LIMIT"`)
	}
	return g.boolean(0)
}

// statusOnly asks for nothing but the status.
func (g *generator) statusOnly(depth int) string {
	r := g.record()
	if depth > 0 && g.IntN(3) > 0 {
		return oneOf(g, "("+g.statusOnly(depth-1)+oneOf(g, " && ", " || ")+g.statusOnly(depth-1)+")", "!"+g.statusOnly(depth-1))
	}
	number := func() int64 {
		return oneOf(g, append([]int64{600, 639, 640, 641, int64(g.IntN(700))}, someNumbers...)...)
	}
	return oneOf(g, fmt.Sprintf("(%s.status%s%d)", r, g.compare(), number()), fmt.Sprintf("(%d%s%s.status)", number(), g.compare(), r),
		fmt.Sprintf("(%s.status in [%d, %d, %d])", r, number(), number(), number()), "has("+r+".status)", "("+r+".status in [])")
}

// texts is a list of texts.
func (g *generator) texts(depth int) string {
	r := g.record()
	if depth > 0 {
		switch g.IntN(4) {
		case 0:
			return "(" + g.text(depth-1) + ").split(" + oneOf(g, `"_"`, `""`, `" "`, g.text(depth-1)) + oneOf(g, "", ", 2", ", -1", ", 0", ", "+g.integer(depth-1)) + ")"
		case 1:
			return "[" + g.text(depth-1) + ", " + g.text(depth-1) + "]"
		case 2:
			return "(" + g.boolean(depth-1) + " ? " + g.texts(depth-1) + " : " + g.texts(depth-1) + ")"
		}
	}
	if g.vars && g.IntN(3) == 0 {
		return oneOf(g, "vars.list", "vars.words")
	}
	return oneOf(g, r+".attr.tags", `["RATE", "x", "é"]`, r+".attr.tags")
}

func (g *generator) quoted() string {
	return strconv.Quote(strings.ToValidUTF8(oneOf(g, someTexts...), ""))
}

func (g *generator) text(depth int) string {
	r := g.record()
	if depth > 0 && g.IntN(2) == 0 {
		switch g.IntN(13) {
		case 7:
			return "string(" + oneOf(g, g.boolean(depth-1), g.double(depth-1), g.duration(depth-1), g.text(depth-1)) + ")"
		case 8:
			return "(" + g.text(depth-1) + ").substring(" + g.integer(depth-1) + oneOf(g, "", ", "+g.integer(depth-1), ", 2") + ")"
		case 9:
			return "(" + g.text(depth-1) + ").charAt(" + oneOf(g, "0", "1", g.integer(depth-1)) + ")"
		case 10:
			return "(" + g.text(depth-1) + ").replace(" + g.text(depth-1) + ", " + g.text(depth-1) + oneOf(g, "", ", 1", ", "+g.integer(depth-1)) + ")"
		case 11:
			return "(" + g.texts(depth-1) + ")[" + oneOf(g, "0", "1", g.integer(depth-1)) + "]"
		case 12:
			return oneOf(g, r+".headers.rate", r+".headers.RATE", r+".attr.labels.k", r+".attr.labels.none", r+`.attr.?tags[?0]`+".orValue(\"\")")
		case 0:
			return "(" + g.text(depth-1) + ")." + oneOf(g, "lowerAscii()", "upperAscii()", "trim()")
		case 1:
			return "(" + g.text(depth-1) + " + " + g.text(depth-1) + ")"
		case 2:
			return "string(" + g.integer(depth-1) + ")"
		case 3:
			return "(" + g.boolean(depth-1) + " ? " + g.text(depth-1) + " : " + g.text(depth-1) + ")"
		case 4:
			return r + ".headers[" + g.text(depth-1) + "]"
		case 5:
			return oneOf(g, r+`.headers[?"x-a"]`, r+".attr.?tier", r+".?code", r+`.attr.labels[?"k"]`) + ".orValue(" + g.text(depth-1) + ")"
		}
		return r + ".attr.labels[" + g.text(depth-1) + "]"
	}
	switch g.IntN(8) {
	case 0:
		return g.quoted()
	case 1:
		return "op"
	case 2:
		return r + oneOf(g, ".message", ".type", ".attr.tier")
	case 3:
		return r + oneOf(g, `.headers["x-a"]`, `.headers["X-A"]`, `.attr.labels["k"]`)
	case 4:
		if g.vars {
			return "vars.text"
		}
	case 5:
		if r == "err" {
			return oneOf(g, "err.kind", "err.phase", "err.marker")
		}
	case 6:
		if g.inExists {
			return oneOf(g, "c.code", "c.message", "c.kind", "c.type")
		}
	}
	return r + ".code"
}

func (g *generator) integer(depth int) string {
	r := g.record()
	if depth > 0 && g.IntN(2) == 0 {
		switch g.IntN(11) {
		case 7:
			return "int(" + oneOf(g, g.double(depth-1), g.duration(depth-1)) + ")"
		case 8:
			return "(" + g.text(depth-1) + ")." + oneOf(g, "indexOf", "lastIndexOf") + "(" + oneOf(g, `""`, `"_"`, g.text(depth-1)) + oneOf(g, "", "", ", "+g.integer(depth-1)) + ")"
		case 9:
			return "(" + g.duration(depth-1) + ")." + oneOf(g, "getHours()", "getMinutes()", "getSeconds()", "getMilliseconds()")
		case 10:
			return "size(" + oneOf(g, g.texts(depth-1), r+".attr.?tags.orValue([])") + ")"
		case 0, 1:
			return "(" + g.integer(depth-1) + oneOf(g, " + ", " - ", " * ", " / ", " % ") + g.integer(depth-1) + ")"
		case 2:
			return "size(" + oneOf(g, g.text(depth-1), r+".headers", r+".attr.tags", r+".attr.labels") + ")"
		case 3:
			return "-(" + g.integer(depth-1) + ")"
		case 4:
			return "(" + g.boolean(depth-1) + " ? " + g.integer(depth-1) + " : " + g.integer(depth-1) + ")"
		case 5:
			return oneOf(g, r+".?status", r+".attr.?count") + ".orValue(" + g.integer(depth-1) + ")"
		}
		return oneOf(g, "int("+g.integer(depth-1)+")", "int("+g.text(depth-1)+")")
	}
	switch g.IntN(6) {
	case 0, 1:
		return r + ".status"
	case 2:
		return r + ".attr.count"
	case 3:
		if g.inExists {
			return "c.status"
		}
		if g.site == inSelect {
			return "class_attempt"
		}
		return "attempt"
	case 4:
		if g.vars {
			return "vars.number"
		}
	}
	return fmt.Sprint(oneOf(g, 0, 1, 2, 5, 400, 429, 500, 503, -1, math.MaxInt64, math.MinInt64))
}

func (g *generator) double(depth int) string {
	r := g.record()
	if depth > 0 && g.IntN(2) == 0 {
		switch g.IntN(7) {
		case 5:
			return "double(" + g.text(depth-1) + ")"
		case 6:
			return "(" + g.boolean(depth-1) + " ? " + g.double(depth-1) + " : " + g.double(depth-1) + ")"
		case 0:
			return "(" + g.double(depth-1) + oneOf(g, " + ", " - ", " * ", " / ") + g.double(depth-1) + ")"
		case 1:
			return "double(" + g.integer(depth-1) + ")"
		case 2:
			return "-(" + g.double(depth-1) + ")"
		case 3:
			return r + ".attr.?load.orValue(" + g.double(depth-1) + ")"
		}
	}
	if g.vars && g.IntN(6) == 0 {
		return "vars.share"
	}
	return oneOf(g, "0.5", "1.0", "2.5", "-0.0", "1e308", `double("NaN")`, `double("-Inf")`, "9223372036854775807.0", r+".attr.load", r+".attr.load")
}

func (g *generator) duration(depth int) string {
	r := g.record()
	if depth > 0 && g.IntN(3) == 0 {
		return "(" + g.boolean(depth-1) + " ? " + g.duration(depth-1) + " : " + r + ".attr.?wait.orValue(" + g.duration(depth-1) + "))"
	}
	if depth > 0 && g.IntN(3) == 0 {
		switch g.IntN(4) {
		case 0:
			return "-(" + g.duration(depth-1) + ")"
		case 1:
			return "duration(" + oneOf(g, g.text(depth-1), g.duration(depth-1)) + ")"
		}
		return "(" + g.duration(depth-1) + oneOf(g, " + ", " - ") + g.duration(depth-1) + ")"
	}
	if g.vars && g.IntN(6) == 0 {
		return "vars.pause"
	}
	own := "elapsed"
	if g.site == inSelect {
		own = "retry_after"
	}
	return oneOf(g, `duration("1s")`, `duration("5s")`, `duration("1h2m3.004s")`, `duration("2562047h47m16.854775807s")`, `duration("-2562047h47m16.854775808s")`, r+".retry_after", "elapsed", "remaining", r+".attr.wait", own)
}

// input is a random failure of a random call; some attributes are not of their type.
func (g *generator) input() *engine.Input {
	f := &engine.Failure{
		Status: int(oneOf(g, someNumbers[:13]...)), Code: oneOf(g, someTexts...), Message: oneOf(g, someTexts...), Type: oneOf(g, someTexts...), Timeout: g.IntN(2) == 0,
		Kind: engine.Kind(oneOf(g, append(kindNames, "")...)), Phase: engine.Phase(oneOf(g, append(phaseNames, "")...)), Marker: engine.Class(g.IntN(8)),
		RetryAfter: oneOf(g, someWaits...), HasRetryAfter: g.IntN(2) == 0, Attributes: map[string]any{},
	}
	if g.IntN(2) == 0 {
		f.Headers = map[string]string{"x-a": oneOf(g, someTexts...), "rate": "1", "": "e"}
	}
	for range g.IntN(3) {
		f.Causes = append(f.Causes, engine.CauseRecord{Code: oneOf(g, someTexts...), Message: oneOf(g, someTexts...), Type: oneOf(g, someTexts...), Status: int(oneOf(g, someNumbers[:13]...)), Kind: engine.Kind(oneOf(g, append(kindNames, "")...))})
	}
	put := func(name string, v any) {
		switch g.IntN(8) {
		case 0, 1, 2, 3, 4:
			f.Attributes[name] = v
		case 5:
			f.Attributes[name] = oneOf[any](g, 1, int64(2), "s", nil, 0.5, []string{"a"}, true)
		}
	}
	put("tier", oneOf(g, someTexts...))
	put("hot", g.IntN(2) == 0)
	put("count", oneOf(g, someNumbers...))
	put("load", oneOf(g, someDoubles...))
	put("wait", oneOf(g, someWaits...))
	put("tags", []string{oneOf(g, someTexts...), oneOf(g, someTexts...)})
	put("labels", map[string]string{"k": oneOf(g, someTexts...), "X-A": "1"})
	return &engine.Input{
		Failure: f, Operation: oneOf(g, someTexts...), Attempt: 1 + g.IntN(5), Elapsed: oneOf(g, someWaits...), Remaining: oneOf(g, someWaits...), Idempotent: g.IntN(2) == 0,
		Class: oneOf(g, engine.Classes()...), ClassAttempt: 1 + g.IntN(3), RetryAfter: oneOf(g, someWaits...), HasRetryAfter: g.IntN(2) == 0,
	}
}

// TestCompiledListsDecideAsOneRuleAfterAnother compares the index with asking every rule,
// on cel-go.
func TestCompiledListsDecideAsOneRuleAfterAnother(t *testing.T) {
	decided := 0
	for seed := range uint64(250) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 2))}
		g.site = []site{inClassify, inResult}[seed%2]
		c, ok := g.compiler(t)
		if !ok {
			continue
		}
		var rules []*rule
		for i := range 1 + g.IntN(90) {
			r := &rule{id: fmt.Sprintf("r%d", i), class: oneOf(g, engine.Classes()...)}
			if r.when = c.compile(dsl.Expr{Text: g.ruleText(), Set: true}, g.site, wantBool, nil); r.when == nil {
				continue
			}
			if g.IntN(3) == 0 {
				r.hint = c.compile(dsl.Expr{Text: g.duration(2), Set: true}, g.site, wantDuration, nil)
			}
			rules = append(rules, r)
		}
		list := functionsOf(listOf(rules))
		for range 40 {
			in := g.input()
			want := oneAfterAnother(rules, in)
			got := list.Decide(in)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d: on %+v\nthe list says %v\none after another %v", seed, in.Failure, got, want)
			}
			if got.Class != engine.NoClass {
				decided++
			}
			if list.Silent(in.Failure.Status) && (want.Class != engine.NoClass || want.Errors != nil) {
				t.Fatalf("seed %d: the list is silent on status %d, and says %v", seed, in.Failure.Status, want)
			}
		}
	}
	if decided < 3000 {
		t.Errorf("only %d failures were decided", decided)
	}
}

// ruleText is a condition as people write them.
func (g *generator) ruleText() string {
	r := g.record()
	atom := func() string {
		switch g.IntN(8) {
		case 0:
			return fmt.Sprintf("%s.status%s%d", r, g.compare(), oneOf(g, someNumbers[:13]...))
		case 1:
			return fmt.Sprintf("%d%s%s.status", oneOf(g, someNumbers[:13]...), g.compare(), r)
		case 2:
			return fmt.Sprintf("%s.status in [%d, %d]", r, oneOf(g, someNumbers[:13]...), oneOf(g, someNumbers[:13]...))
		case 3:
			return r + ".code in [" + g.quoted() + ", " + g.quoted() + "]"
		case 4:
			return r + ".code" + oneOf(g, " == ", " != ") + g.quoted()
		case 5:
			return "has(" + r + oneOf(g, ".status", ".code") + ")"
		case 6:
			if r == "err" {
				return "err.kind" + oneOf(g, " == ", " != ") + strconv.Quote(oneOf(g, kindNames...))
			}
		}
		return g.boolean(1)
	}
	switch g.IntN(4) {
	case 0:
		return atom()
	case 1:
		return atom() + " && " + atom()
	case 2:
		return atom() + " || " + atom()
	}
	return "!(" + atom() + ") && (" + atom() + " || " + atom() + ")"
}

// oneAfterAnother is what a list has to come to.
func oneAfterAnother(rules []*rule, in *engine.Input) (v engine.Verdict) {
	s := newScene(in)
	fail := func(id string, err error) {
		if len(v.Errors) < 16 {
			v.Errors = append(v.Errors, engine.RuleError{Rule: id, Err: err})
		}
	}
	for _, r := range rules {
		holds, err := truth(r.when.eval(s))
		if err != nil {
			fail(r.id, err)
		}
		if !holds {
			continue
		}
		v.Class, v.Rule = r.class, r.id
		if r.hint == nil {
			return v
		}
		switch d := r.hint.eval(s).(type) {
		case types.Duration:
			switch {
			case d.Duration < 0:
				fail(r.id, fmt.Errorf("retry_after is negative: %v", d.Duration))
			case d.Duration > 0 || in.Failure.HasRetryAfter:
				v.RetryAfter, v.HasRetryAfter = d.Duration, true
			}
		case *types.Err:
			fail(r.id, fmt.Errorf("retry_after: %w", d.Unwrap()))
		}
		return v
	}
	return v
}

// TestOnlyTheseOfTheCorpusRunOnCELGo: of the packs none, of the examples of the language
// one that shows what is rare.
func TestOnlyTheseOfTheCorpusRunOnCELGo(t *testing.T) {
	sources := sourcesOf(t, "packs/*.yaml", "../testdata/policies/ok/*.yaml", "../testdata/scenarios/*.yaml", "../examples/*/*.yaml")
	policies, got := 0, []string{}
	for _, source := range sources {
		set, _ := dsl.ParseSet([]*dsl.Source{source})
		program, _ := Compile(set, Options{})
		for _, p := range program.Policies() {
			policies++
			for _, f := range p.Fallbacks() {
				got = append(got, f.Policy+"/"+f.Rule+": "+f.Text)
			}
		}
	}
	for _, name := range Packs() {
		for _, f := range usingPackIn(name).Fallbacks() {
			got = append(got, name+"/"+f.Rule+": "+f.Text)
		}
	}
	if want := []string{"expressions/number-of-causes: err.causes[0].code"}; !slices.Equal(got, want) || policies < 30 {
		t.Errorf("of %d policies run on cel-go: %q, want %q", policies, got, want)
	}
}

// usingPackIn is a policy that has nothing but what a pack has for errors or results.
func usingPackIn(pack string) *Policy {
	program, _ := compileText(header+"classify:\n  - use: "+pack+"\n", Options{})
	return program.Policy("p")
}
