package interp

import (
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

// How many of CEL's public conformance tests run. There may be more, not fewer.
const (
	leastConforming = 793 // whose expressions the language has, on cel-go
	leastCompiled   = 436 // of them in compiled form too
)

// TestConformance runs the public conformance tests of CEL, as module cel.dev/expr has
// them, as far as conditions can express them: what they expect, the condition compares
// with. It runs on cel-go and, where that is possible, in compiled form, and has to come
// to the same.
func TestConformance(t *testing.T) {
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
	var r conformance
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		root := (&protoReader{text: string(text)}).message()
		for _, section := range root.all("section") {
			for _, test := range section.all("test") {
				name := strings.Join([]string{strings.TrimSuffix(filepath.Base(file), ".textproto"), section.text("name"), test.text("name")}, "/")
				if why := r.run(t, name, test); why != "" {
					r.skip(why)
				}
			}
		}
	}
	for _, why := range slices.Sorted(maps.Keys(r.skipped)) {
		t.Logf("%4d skipped: %s", r.skipped[why], why)
	}
	t.Logf("%4d run on cel-go, %d of them in compiled form", r.ran, r.compiled)
	if compiles && (r.ran < leastConforming || r.compiled < leastCompiled) {
		t.Errorf("%d tests run, %d of them compiled; it must be %d and %d", r.ran, r.compiled, leastConforming, leastCompiled)
	}
}

// celGoDiffers are tests that cel-go itself does not pass in the version that is used: it
// takes the last of equal keys of a map, finds nothing behind the end of a text, and has
// getMilliseconds count the whole duration.
var celGoDiffers = map[string]bool{
	"fields/qualified_identifier_resolution/map_value_repeat_key": true,
	"string_ext/value_errors/indexof_out_of_range":                true,
	"string_ext/value_errors/lastindexof_out_of_range":            true,
	"timestamps/duration_converters/get_milliseconds":             true,
}

type conformance struct {
	ran, compiled int
	skipped       map[string]int
}

func (r *conformance) skip(why string) {
	if r.skipped == nil {
		r.skipped = map[string]int{}
	}
	r.skipped[why]++
}

// run runs one test, and says why it cannot.
func (r *conformance) run(t *testing.T, name string, test *protoMessage) (why string) {
	switch {
	case test.text("check_only") == "true":
		return "only checks types"
	case test.text("disable_check") == "true":
		return "is not type-checked, which conditions always are"
	case test.text("disable_macros") == "true":
		return "has no macros"
	case len(test.all("unknown"))+len(test.all("any_unknowns")) > 0:
		return "has unknown values"
	}
	condition, fails, why := expectation(test)
	if why != "" {
		return why
	}
	var attributes []dsl.Attribute
	f := &engine.Failure{Attributes: map[string]any{}}
	for _, b := range test.all("bindings") {
		v, typ := attributeFrom(b.one("value").one("value"))
		if typ == "" {
			return "has variables of types that attributes cannot have"
		}
		name := b.text("key")
		attributes = append(attributes, dsl.Attribute{Name: written(name), Type: written(typ)})
		f.Attributes[name] = v
		condition = renamed(condition, name, "err.attr."+name)
	}
	c, err := newCompiler(attributes, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := c.compile(dsl.Expr{Text: condition, Set: true}, inClassify, wantBool, nil)
	if p == nil {
		return "is not in the language: " + reason(c.found)
	}
	r.ran++
	in := &engine.Input{Failure: f}
	r.judge(t, name, condition, fails, func() (bool, error) { return truth(p.eval(newScene(in))) })
	_, wantErr := truth(p.eval(newScene(in)))
	made, other := cond.NewCompiler().Condition((&lowering{vars: map[*Node]*cond.Expr{}}).expr(p, p.tree()))
	if other != nil {
		return ""
	}
	r.compiled++
	r.judge(t, name, condition, fails, func() (bool, error) {
		holds, err := made.Test(in)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%s: %s errs with %v, cel-go with %v", name, condition, err, wantErr)
		}
		return holds, err
	})
	return ""
}

func (r *conformance) judge(t *testing.T, name, condition string, fails bool, eval func() (bool, error)) {
	t.Helper()
	holds, err := eval()
	if passes := fails == (err != nil) && (fails || holds); passes == celGoDiffers[name] {
		t.Errorf("%s: %s is %v, %v", name, condition, holds, err)
	}
}

// reason is a finding without what is particular to the expression.
func reason(found dsl.Diagnostics) string {
	if len(found) == 0 {
		return "unknown"
	}
	return found[0].Code.Slug
}

// expectation makes a condition of an expression: that it comes to what is expected.
func expectation(test *protoMessage) (condition string, fails bool, why string) {
	expr := strings.TrimSpace(test.text("expr"))
	if len(test.all("eval_error"))+len(test.all("any_eval_errors")) > 0 {
		return "(" + expr + ") == (" + expr + ")", true, ""
	}
	want := test.one("value")
	if typed := test.one("typed_result"); typed != nil {
		want = typed.one("result")
	}
	if want == nil {
		return expr, false, "" // true is expected
	}
	if want.text("double_value") == "nan" {
		return "(" + expr + ") != (" + expr + ")", false, ""
	}
	if want.text("bool_value") == "true" {
		return expr, false, ""
	}
	literal, ok := celLiteral(want)
	if !ok {
		return "", false, "comes to a value that is no value of a condition"
	}
	return "(" + expr + ") == " + literal, false, ""
}

// celLiteral writes a value as an expression.
func celLiteral(v *protoMessage) (string, bool) {
	if len(v.fields) == 0 {
		return "", false
	}
	text := v.fields[0].text
	switch name, m := v.fields[0].name, v.fields[0].message; name {
	case "bool_value", "int64_value":
		return text, true
	case "uint64_value":
		return text + "u", true
	case "double_value":
		x, err := strconv.ParseFloat(text, 64)
		if math.IsInf(x, 0) {
			return fmt.Sprintf("double(%q)", text), true
		}
		return strconv.FormatFloat(x, 'e', -1, 64), err == nil
	case "string_value":
		return celQuote(text), utf8.ValidString(text)
	case "bytes_value":
		var b strings.Builder
		for i := range len(text) {
			fmt.Fprintf(&b, `\%03o`, text[i])
		}
		return `b"` + b.String() + `"`, true
	case "list_value":
		var items []string
		for _, item := range m.all("values") {
			s, ok := celLiteral(item)
			if !ok {
				return "", false
			}
			items = append(items, s)
		}
		return "[" + strings.Join(items, ", ") + "]", true
	case "map_value":
		var entries []string
		for _, e := range m.all("entries") {
			k, okKey := celLiteral(e.one("key"))
			v, okValue := celLiteral(e.one("value"))
			if !okKey || !okValue {
				return "", false
			}
			entries = append(entries, k+": "+v)
		}
		return "{" + strings.Join(entries, ", ") + "}", true
	case "object_value":
		if d, ok := protoDuration(m); ok {
			return fmt.Sprintf("duration(%q)", d), true
		}
	}
	return "", false
}

func celQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r < ' ' || r == '"' || r == '\\' {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

func protoDuration(object *protoMessage) (time.Duration, bool) {
	d := object.one("type.googleapis.com/google.protobuf.Duration")
	if d == nil {
		return 0, false
	}
	seconds, _ := strconv.ParseInt(d.text("seconds"), 10, 64)
	nanos, _ := strconv.ParseInt(d.text("nanos"), 10, 64)
	if seconds > math.MaxInt64/int64(time.Second)-1 || seconds < math.MinInt64/int64(time.Second)+1 {
		return 0, false
	}
	return time.Duration(seconds)*time.Second + time.Duration(nanos), true
}

// attributeFrom makes a value of an attribute of a binding.
func attributeFrom(v *protoMessage) (value any, typ string) {
	if v == nil || len(v.fields) == 0 {
		return nil, ""
	}
	text := v.fields[0].text
	switch m := v.fields[0].message; v.fields[0].name {
	case "bool_value":
		return text == "true", "bool"
	case "int64_value":
		i, err := strconv.ParseInt(text, 10, 64)
		if err == nil {
			return i, "int"
		}
	case "double_value":
		x, err := strconv.ParseFloat(text, 64)
		if err == nil {
			return x, "double"
		}
	case "string_value":
		return text, "string"
	case "object_value":
		if d, ok := protoDuration(m); ok {
			return d, "duration"
		}
	case "list_value":
		list := []string{}
		for _, item := range m.all("values") {
			if len(item.fields) == 0 || item.fields[0].name != "string_value" {
				return nil, ""
			}
			list = append(list, item.fields[0].text)
		}
		return list, "list(string)"
	case "map_value":
		entries := map[string]string{}
		for _, e := range m.all("entries") {
			k, v := e.one("key"), e.one("value")
			if k == nil || v == nil || len(k.all("string_value")) == 0 && k.text("string_value") == "" || v.fields[0].name != "string_value" {
				return nil, ""
			}
			entries[k.text("string_value")] = v.text("string_value")
		}
		return entries, "map(string, string)"
	}
	return nil, ""
}

// renamed puts another name in the place of an identifier, but not within texts and not
// where it is a field.
func renamed(expr, name, other string) string {
	isWord := func(c byte) bool {
		return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		switch {
		case quote != 0 && c == '\\':
			b.WriteByte(c)
			i++
			c = expr[i]
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.HasPrefix(expr[i:], name) && (i == 0 || !isWord(expr[i-1]) && expr[i-1] != '.') && (i+len(name) == len(expr) || !isWord(expr[i+len(name)])):
			b.WriteString(other)
			i += len(name) - 1
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// A protoMessage is a message in the text format of protocol buffers.
type protoMessage struct{ fields []protoField }

type protoField struct {
	name    string
	text    string        // of scalars
	message *protoMessage // of messages
}

func (m *protoMessage) all(name string) []*protoMessage {
	var all []*protoMessage
	for _, f := range m.fields {
		if f.name == name && f.message != nil {
			all = append(all, f.message)
		}
	}
	return all
}

// one is nil if there is none.
func (m *protoMessage) one(name string) *protoMessage {
	if m != nil {
		if all := m.all(name); len(all) > 0 {
			return all[0]
		}
	}
	return nil
}

func (m *protoMessage) text(name string) string {
	if m != nil {
		for _, f := range m.fields {
			if f.name == name {
				return f.text
			}
		}
	}
	return ""
}

// A protoReader reads the text format, as far as the tests use it.
type protoReader struct {
	text string
	at   int
}

func (r *protoReader) space() {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '#':
			for r.at < len(r.text) && r.text[r.at] != '\n' {
				r.at++
			}
		case strings.IndexByte(" \t\r\n,;", c) >= 0:
			r.at++
		default:
			return
		}
	}
}

// message reads fields up to the closing brace or the end.
func (r *protoReader) message() *protoMessage {
	m := &protoMessage{}
	for {
		r.space()
		if r.at >= len(r.text) {
			return m
		}
		if c := r.text[r.at]; c == '}' || c == '>' {
			r.at++
			return m
		}
		r.field(m)
	}
}

func (r *protoReader) field(m *protoMessage) {
	name := r.word()
	r.space()
	if r.text[r.at] == ':' {
		r.at++
		r.space()
	}
	if r.text[r.at] != '[' {
		m.fields = append(m.fields, r.value(name))
		return
	}
	r.at++
	for r.space(); r.text[r.at] != ']'; r.space() {
		m.fields = append(m.fields, r.value(name))
	}
	r.at++
}

// word reads a name, or one in square brackets, or a number.
func (r *protoReader) word() string {
	end := " \t\r\n,;:{}<>[]#\""
	start := r.at
	if r.text[r.at] == '[' {
		end = "]"
		start++
		r.at++
	}
	for r.at < len(r.text) && strings.IndexByte(end, r.text[r.at]) < 0 {
		r.at++
	}
	word := r.text[start:r.at]
	if end == "]" {
		r.at++
	}
	return word
}

func (r *protoReader) value(name string) protoField {
	switch c := r.text[r.at]; c {
	case '{', '<':
		r.at++
		return protoField{name: name, message: r.message()}
	case '"', '\'':
		var text strings.Builder
		for r.at < len(r.text) && (r.text[r.at] == '"' || r.text[r.at] == '\'') {
			text.WriteString(r.quoted())
			r.space()
		}
		return protoField{name: name, text: text.String()}
	}
	return protoField{name: name, text: r.word()}
}

func (r *protoReader) quoted() string {
	quote := r.text[r.at]
	rest := r.text[r.at+1:]
	var b []byte
	for len(rest) > 0 && rest[0] != quote {
		if rest[0] != '\\' {
			b = append(b, rest[0])
			rest = rest[1:]
			continue
		}
		if rest[1] == quote || rest[1] == '\'' || rest[1] == '"' || rest[1] == '?' {
			b = append(b, rest[1])
			rest = rest[2:]
			continue
		}
		point, isRune, tail, err := strconv.UnquoteChar(rest, 0)
		if err != nil { // \0 and other short numbers
			point, tail = rune(rest[1]-'0'), rest[2:]
		}
		if isRune {
			b = utf8.AppendRune(b, point)
		} else {
			b = append(b, byte(point))
		}
		rest = tail
	}
	r.at = len(r.text) - len(rest) + 1
	return string(b)
}
