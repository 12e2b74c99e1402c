package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// The comparison
//
// A list of rules, of which the first that holds decides, is asked for the class of a
// failure. The rules are the same text for redress and cel-go; expr-lang differs in how
// it writes tests of text. Lists by hand are one case for each rule, in their order.
// What can be made in advance of a record (a map, an activation, an engine.Input) is
// made in advance, except where a benchmark measures just that.
// TestEnginesAgree holds every engine against the others on 1,024 random records.

// A listed rule.
type listed struct {
	when  string // CEL
	class engine.Class
}

// A list of rules, with the same by hand.
type list struct {
	name  string
	rules []listed
	hand  func(*engine.Failure) engine.Class
}

var shapes = []list{
	{"equal", one(`err.status == 429`), func(f *engine.Failure) engine.Class {
		return when(f.Status == 429)
	}},
	{"range", one(`err.status >= 500 && err.status < 600`), func(f *engine.Failure) engine.Class {
		return when(f.Status >= 500 && f.Status < 600)
	}},
	{"in", one(`err.status in [500, 502, 503, 504]`), func(f *engine.Failure) engine.Class {
		return when(f.Status == 500 || f.Status == 502 || f.Status == 503 || f.Status == 504)
	}},
	{"contains", one(`err.code == "ThrottlingException" || err.message.contains("throttl")`), func(f *engine.Failure) engine.Class {
		return when(f.Code == "ThrottlingException" || strings.Contains(f.Message, "throttl"))
	}},
	{"matches", one(`err.message.matches("(?i)timeout|deadline")`), func(f *engine.Failure) engine.Class {
		return when(timeoutText.MatchString(f.Message))
	}},
}

// one is the list of a single rule.
func one(text string) []listed { return []listed{{text, engine.RateLimit}} }

// when is what it says.
func when(holds bool) engine.Class {
	if holds {
		return engine.RateLimit
	}
	return engine.NoClass
}

var (
	timeoutText    = regexp.MustCompile(`(?i)timeout|deadline`)
	connectionText = regexp.MustCompile(`(?i)connection (refused|reset)`)
)

// lists are 10 rules of which one is a regular expression, 50 of which two are, and
// the same 50 without the two.
var lists = []list{
	{"10rules", tenRules, handTen},
	{"50rules", fiftyRules, func(f *engine.Failure) engine.Class { return handFifty(f, true) }},
	{"50rules-noregex", withoutRegex(fiftyRules), func(f *engine.Failure) engine.Class { return handFifty(f, false) }},
}

var tenRules = []listed{
	{`err.status == 429`, engine.RateLimit},
	{`err.status in [502, 504]`, engine.Transient},
	{`err.code == "SlowDown" || err.message.contains("throttl")`, engine.RateLimit},
	{`err.code == "ConditionalCheckFailed"`, engine.Concurrency},
	{`err.message.matches("(?i)timeout|deadline")`, engine.Transient},
	{`err.status == 409`, engine.Concurrency},
	{`err.status == 401 || err.status == 407`, engine.Auth},
	{`err.code.startsWith("Invalid")`, engine.Permanent},
	{`err.status >= 400 && err.status < 500`, engine.Permanent},
	{`err.status >= 500 && err.status < 600`, engine.ServerError},
}

func handTen(f *engine.Failure) engine.Class {
	switch {
	case f.Status == 429:
		return engine.RateLimit
	case f.Status == 502 || f.Status == 504:
		return engine.Transient
	case f.Code == "SlowDown" || strings.Contains(f.Message, "throttl"):
		return engine.RateLimit
	case f.Code == "ConditionalCheckFailed":
		return engine.Concurrency
	case timeoutText.MatchString(f.Message):
		return engine.Transient
	case f.Status == 409:
		return engine.Concurrency
	case f.Status == 401 || f.Status == 407:
		return engine.Auth
	case strings.HasPrefix(f.Code, "Invalid"):
		return engine.Permanent
	case f.Status >= 400 && f.Status < 500:
		return engine.Permanent
	case f.Status >= 500 && f.Status < 600:
		return engine.ServerError
	}
	return engine.NoClass
}

// 18 equal statuses, 16 equal codes, 4 sets and 4 ranges of statuses, 3 texts within the
// message, 2 beginnings of codes, 2 regular expressions, 1 kind, 1 over two fields.
var fiftyRules = []listed{
	{`err.status == 429`, engine.RateLimit},
	{`err.status in [502, 504]`, engine.Transient},
	{`err.code == "SlowDown"`, engine.RateLimit},
	{`err.code == "RequestLimitExceeded"`, engine.RateLimit},
	{`err.code == "TooManyRequests"`, engine.RateLimit},
	{`err.code == "BandwidthExceeded"`, engine.RateLimit},
	{`err.code == "InternalFailure"`, engine.ServerError},
	{`err.code == "ServiceUnavailable"`, engine.ServerError},
	{`err.code == "ConditionalCheckFailed"`, engine.Concurrency},
	{`err.code == "TransactionConflict"`, engine.Concurrency},
	{`err.status == 408`, engine.Transient},
	{`err.status == 425`, engine.Transient},
	{`err.status == 409`, engine.Concurrency},
	{`err.status == 423`, engine.Concurrency},
	{`err.code == "Throttled" || err.message.contains("throttl")`, engine.RateLimit},
	{`err.status == 400 && err.code == "RequestTimeout"`, engine.Transient},
	{`err.message.matches("(?i)timeout|deadline")`, engine.Transient},
	{`err.kind == "dns"`, engine.Transient},
	{`err.code == "ExpiredToken"`, engine.Auth},
	{`err.code == "UnrecognizedClient"`, engine.Auth},
	{`err.code == "AccessDenied"`, engine.Permission},
	{`err.code == "NotAuthorized"`, engine.Permission},
	{`err.code == "ValidationError"`, engine.Permanent},
	{`err.code == "ResourceNotFound"`, engine.Permanent},
	{`err.code == "NoSuchBucket"`, engine.Permanent},
	{`err.code == "NoSuchKey"`, engine.Permanent},
	{`err.status == 401`, engine.Auth},
	{`err.status == 407`, engine.Auth},
	{`err.status == 403`, engine.Permission},
	{`err.status == 451`, engine.Permission},
	{`err.status == 402`, engine.Permanent},
	{`err.status == 404`, engine.Permanent},
	{`err.status == 405`, engine.Permanent},
	{`err.status == 406`, engine.Permanent},
	{`err.status == 410`, engine.Permanent},
	{`err.status == 411`, engine.Permanent},
	{`err.status == 413`, engine.Permanent},
	{`err.status == 414`, engine.Permanent},
	{`err.status == 412`, engine.Concurrency},
	{`err.code.startsWith("Invalid")`, engine.Permanent},
	{`err.code.startsWith("Malformed")`, engine.Permanent},
	{`err.message.contains("no healthy upstream")`, engine.Transient},
	{`err.message.contains("quota")`, engine.RateLimit},
	{`err.message.matches("(?i)connection (refused|reset)")`, engine.Transient},
	{`err.status in [300, 301, 303, 307]`, engine.Permanent},
	{`err.status in [505, 506, 507, 508]`, engine.Permanent},
	{`err.status in [520, 521, 522, 523, 524, 525]`, engine.Transient},
	{`err.status >= 100 && err.status < 200`, engine.Unknown},
	{`err.status >= 400 && err.status < 500`, engine.Permanent},
	{`err.status >= 500 && err.status < 512`, engine.ServerError},
	{`err.status >= 512 && err.status < 600`, engine.ServerError},
}

// handFifty is fiftyRules, with or without the regular expressions.
func handFifty(f *engine.Failure, regex bool) engine.Class {
	switch {
	case f.Status == 429:
		return engine.RateLimit
	case f.Status == 502 || f.Status == 504:
		return engine.Transient
	case f.Code == "SlowDown":
		return engine.RateLimit
	case f.Code == "RequestLimitExceeded":
		return engine.RateLimit
	case f.Code == "TooManyRequests":
		return engine.RateLimit
	case f.Code == "BandwidthExceeded":
		return engine.RateLimit
	case f.Code == "InternalFailure":
		return engine.ServerError
	case f.Code == "ServiceUnavailable":
		return engine.ServerError
	case f.Code == "ConditionalCheckFailed":
		return engine.Concurrency
	case f.Code == "TransactionConflict":
		return engine.Concurrency
	case f.Status == 408:
		return engine.Transient
	case f.Status == 425:
		return engine.Transient
	case f.Status == 409:
		return engine.Concurrency
	case f.Status == 423:
		return engine.Concurrency
	case f.Code == "Throttled" || strings.Contains(f.Message, "throttl"):
		return engine.RateLimit
	case f.Status == 400 && f.Code == "RequestTimeout":
		return engine.Transient
	case regex && timeoutText.MatchString(f.Message):
		return engine.Transient
	case f.Kind == "dns":
		return engine.Transient
	case f.Code == "ExpiredToken":
		return engine.Auth
	case f.Code == "UnrecognizedClient":
		return engine.Auth
	case f.Code == "AccessDenied":
		return engine.Permission
	case f.Code == "NotAuthorized":
		return engine.Permission
	case f.Code == "ValidationError":
		return engine.Permanent
	case f.Code == "ResourceNotFound":
		return engine.Permanent
	case f.Code == "NoSuchBucket":
		return engine.Permanent
	case f.Code == "NoSuchKey":
		return engine.Permanent
	case f.Status == 401:
		return engine.Auth
	case f.Status == 407:
		return engine.Auth
	case f.Status == 403:
		return engine.Permission
	case f.Status == 451:
		return engine.Permission
	case f.Status == 402:
		return engine.Permanent
	case f.Status == 404:
		return engine.Permanent
	case f.Status == 405:
		return engine.Permanent
	case f.Status == 406:
		return engine.Permanent
	case f.Status == 410:
		return engine.Permanent
	case f.Status == 411:
		return engine.Permanent
	case f.Status == 413:
		return engine.Permanent
	case f.Status == 414:
		return engine.Permanent
	case f.Status == 412:
		return engine.Concurrency
	case strings.HasPrefix(f.Code, "Invalid"):
		return engine.Permanent
	case strings.HasPrefix(f.Code, "Malformed"):
		return engine.Permanent
	case strings.Contains(f.Message, "no healthy upstream"):
		return engine.Transient
	case strings.Contains(f.Message, "quota"):
		return engine.RateLimit
	case regex && connectionText.MatchString(f.Message):
		return engine.Transient
	case f.Status == 300 || f.Status == 301 || f.Status == 303 || f.Status == 307:
		return engine.Permanent
	case f.Status == 505 || f.Status == 506 || f.Status == 507 || f.Status == 508:
		return engine.Permanent
	case f.Status == 520 || f.Status == 521 || f.Status == 522 || f.Status == 523 || f.Status == 524 || f.Status == 525:
		return engine.Transient
	case f.Status >= 100 && f.Status < 200:
		return engine.Unknown
	case f.Status >= 400 && f.Status < 500:
		return engine.Permanent
	case f.Status >= 500 && f.Status < 512:
		return engine.ServerError
	case f.Status >= 512 && f.Status < 600:
		return engine.ServerError
	}
	return engine.NoClass
}

func withoutRegex(rules []listed) []listed {
	var rest []listed
	for _, r := range rules {
		if !strings.Contains(r.when, ".matches(") {
			rest = append(rest, r)
		}
	}
	return rest
}

// A record is a failure in the form that each engine takes.
type record struct {
	failure *engine.Failure
	input   *engine.Input
	nested  map[string]any // cel-go, a map in a map
	flat    *activation    // cel-go, an Activation of its own
	env     exprEnv        // expr-lang
}

func newRecord(f engine.Failure) *record {
	return &record{
		failure: &f,
		input:   &engine.Input{Failure: &f, Attempt: 1},
		nested:  nestedMap(&f),
		flat:    newActivation(&f),
		env:     exprEnv{exprRecord{f.Status, f.Code, f.Message, string(f.Kind)}},
	}
}

func nestedMap(f *engine.Failure) map[string]any {
	return map[string]any{"err": map[string]any{
		"status": f.Status, "code": f.Code, "message": f.Message, "kind": string(f.Kind),
	}}
}

// An activation gives cel-go its values, already as values of CEL, by qualified names.
type activation struct{ status, code, message, kind ref.Val }

func newActivation(f *engine.Failure) *activation {
	return &activation{types.Int(f.Status), types.String(f.Code), types.String(f.Message), types.String(f.Kind)}
}

func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "err.status":
		return a.status, true
	case "err.code":
		return a.code, true
	case "err.message":
		return a.message, true
	case "err.kind":
		return a.kind, true
	}
	return nil, false
}

func (a *activation) Parent() cel.Activation { return nil }

type exprEnv struct {
	Err exprRecord `expr:"err"`
}

type exprRecord struct {
	Status  int    `expr:"status"`
	Code    string `expr:"code"`
	Message string `expr:"message"`
	Kind    string `expr:"kind"`
}

// upstream is a message as proxies write it, of 110 bytes, that no rule recognises.
const upstream = "upstream connect error or disconnect/reset before headers. reset reason: overflow, addr 10.20.30.4:8443 (pool)"

// records are single failures by what they show in a list.
var records = []struct {
	name    string
	failure engine.Failure
}{
	{"first", engine.Failure{Status: 429, Kind: engine.KindHTTP, Message: "slow down"}},
	{"last", engine.Failure{Status: 599, Kind: engine.KindHTTP, Message: upstream}},
	{"none", engine.Failure{Status: 302, Code: "Found", Kind: engine.KindHTTP, Message: upstream}},
}

// traffic is a mix of failures, in an order that no branch predictor learns.
func traffic() []*record {
	random := rand.New(rand.NewPCG(1, 2))
	statuses := []int{302, 400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 503, 503, 504, 507, 521, 599}
	codes := []string{"SlowDown", "RequestLimitExceeded", "InternalFailure", "ServiceUnavailable", "TransactionConflict", "Throttled", "ExpiredToken", "AccessDenied", "NoSuchKey", "InvalidParameter", "MalformedQuery", "RequestTimeout", "Other"}
	messages := []string{"no healthy upstream", "request was throttled", "read tcp 10.0.0.1:443: i/o timeout", "context deadline exceeded", "dial tcp 10.0.0.1:443: connect: Connection Refused", "quota for the project is used up", "not found", ""}
	kinds := []engine.Kind{engine.KindHTTP, engine.KindHTTP, engine.KindHTTP, engine.KindAWS, engine.KindNet, engine.KindDNS}
	mix := make([]*record, 1024)
	for i := range mix {
		f := engine.Failure{Kind: kinds[random.IntN(len(kinds))], Message: messages[random.IntN(len(messages))]}
		if random.IntN(2) == 0 {
			f.Message = upstream
		}
		if random.IntN(4) > 0 {
			f.Status = statuses[random.IntN(len(statuses))]
		}
		if random.IntN(3) == 0 {
			f.Code = codes[random.IntN(len(codes))]
		}
		mix[i] = newRecord(f)
	}
	return mix
}

// An evaluator is one row: it makes of a list what asks for the class of a record.
type evaluator struct {
	name  string
	build func(testing.TB, list) func(*record) engine.Class
}

var evaluators = []evaluator{
	// A switch in Go.
	{"hand", func(_ testing.TB, l list) func(*record) engine.Class {
		return func(r *record) engine.Class { return l.hand(r.failure) }
	}},
	// That switch as the engine takes it: a function from an Input to a Verdict.
	{"hand-verdict", func(_ testing.TB, l list) func(*record) engine.Class {
		var classify engine.ClassifyFunc = func(in *engine.Input) (v engine.Verdict) {
			if v.Class = l.hand(in.Failure); v.Class != engine.NoClass {
				v.Rule = "by-hand"
			}
			return v
		}
		return func(r *record) engine.Class { return classify(r.input).Class }
	}},
	// The classification of a policy from YAML, as the engine asks it.
	{"redress", ours},
	// One program for each rule, OptOptimize, the record as map(string, dyn).
	{"cel-map", celRules(nested)},
	// The same with typed variables of qualified names, from an Activation.
	{"cel-activation", celRules(flat)},
	// The whole list as one conditional expression, from that Activation.
	{"cel-chain", celChain},
	// One program for each rule, typed by a struct, with expr.Run.
	{"expr", exprRules(false)},
	// The same with one virtual machine that is used again.
	{"expr-reused", exprRules(true)},
}

// BenchmarkRules asks lists for the classes of single records and of mixed traffic.
func BenchmarkRules(b *testing.B) {
	mix := traffic()
	for _, l := range lists {
		b.Run(l.name, func(b *testing.B) {
			for _, e := range evaluators {
				class := e.build(b, l)
				for _, one := range records {
					r := newRecord(one.failure)
					b.Run(one.name+"/"+e.name, func(b *testing.B) {
						b.ReportAllocs()
						for b.Loop() {
							class(r)
						}
					})
				}
				b.Run("mixed/"+e.name, func(b *testing.B) {
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						class(mix[i%len(mix)])
						i++
					}
				})
			}
		})
	}
}

// BenchmarkRule evaluates single rules on one record: status 503 and a message of 110
// bytes.
func BenchmarkRule(b *testing.B) {
	r := newRecord(engine.Failure{Status: 503, Code: "ServiceUnavailable", Kind: engine.KindHTTP, Message: upstream})
	for _, l := range shapes {
		b.Run(l.name, func(b *testing.B) {
			for _, e := range evaluators {
				class := e.build(b, l)
				b.Run(e.name, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						class(r)
					}
				})
			}
		})
	}
}

// BenchmarkCondition evaluates the conditions of single rules on that record, without
// making a decision of it: what the compiler makes beside the Go that somebody writes.
func BenchmarkCondition(b *testing.B) {
	r := newRecord(engine.Failure{Status: 503, Code: "ServiceUnavailable", Kind: engine.KindHTTP, Message: upstream})
	for _, l := range shapes {
		b.Run(l.name+"/hand", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.hand(r.failure)
			}
		})
		set, found := dsl.ParseSet([]*dsl.Source{dsl.NewSource("rules.yaml", []byte(policyOf(l)))})
		program, more := interp.Compile(set, interp.Options{})
		if len(found)+len(more) > 0 {
			b.Fatal(found, more)
		}
		conditions := program.Policies()[0].Classify()
		holds := conditions[0].Compiled().Sure()
		b.Run(l.name+"/redress", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				holds(r.input)
			}
		})
	}
}

var sink engine.Class

// BenchmarkError classifies an error by one rule, range, the making of the record
// included. Redress reads the error's whole chain for whatever rules may ask; the
// others copy status and message.
func BenchmarkError(b *testing.B) {
	var err error = fmt.Errorf("charge: %w", &statusError{503, upstream})
	l := shapes[1]
	record := func() engine.Failure {
		e, _ := errors.AsType[*statusError](err)
		return engine.Failure{Status: e.status, Message: err.Error()}
	}
	policy := classifier(b, l)
	maps, flats := celPrograms(b, nested, l), celPrograms(b, flat, l)
	for _, e := range []struct {
		name string
		run  func()
	}{
		{"hand", func() {
			e, ok := errors.AsType[*statusError](err)
			sink = when(ok && e.status >= 500 && e.status < 600)
		}},
		{"redress", func() { policy(&engine.Input{Failure: engine.FailureOf(err, nil), Attempt: 1}) }},
		{"cel-map", func() {
			f := record()
			firstOf(l.rules, maps, nestedMap(&f))
		}},
		{"cel-activation", func() {
			f := record()
			firstOf(l.rules, flats, newActivation(&f))
		}},
	} {
		b.Run("range/"+e.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.run()
			}
		})
	}
}

// TestEnginesAgree checks that all evaluators say the same of the same records.
func TestEnginesAgree(t *testing.T) {
	mix := traffic()
	for _, one := range records {
		mix = append(mix, newRecord(one.failure))
	}
	for _, l := range append(shapes, lists...) {
		seen := map[engine.Class]int{}
		for _, e := range evaluators {
			class := e.build(t, l)
			for _, r := range mix {
				got := class(r)
				seen[got]++
				if want := l.hand(r.failure); got != want {
					t.Fatalf("%s, %s: %v, want %v, for %+v", l.name, e.name, got, want, *r.failure)
				}
			}
		}
		if len(seen) < 2 {
			t.Errorf("%s: all records have the same class", l.name)
		}
	}
}

// classifier is the function by which the engine asks a policy's rules.
func classifier(tb testing.TB, l list) engine.ClassifyFunc {
	set, err := redress.Parse("rules.yaml", []byte(policyOf(l)))
	if err != nil {
		tb.Fatal(err)
	}
	return set.MustPolicy("rules").Spec().Classify
}

// policyOf writes a policy with the rules of a list.
func policyOf(l list) string {
	var text strings.Builder
	text.WriteString("apiVersion: redress/v1\nkind: Policy\nname: rules\nclassify:\n")
	for i, r := range l.rules {
		fmt.Fprintf(&text, "  - {id: rule-%d, when: '%s', class: %v}\n", i, r.when, r.class)
	}
	return text.String()
}

func ours(tb testing.TB, l list) func(*record) engine.Class {
	classify := classifier(tb, l)
	return func(r *record) engine.Class { return classify(r.input).Class }
}

// A style is how cel-go gets at a record.
type style struct {
	variables []cel.EnvOption
	input     func(*record) any
}

var (
	nested = style{
		[]cel.EnvOption{cel.Variable("err", cel.MapType(cel.StringType, cel.DynType))},
		func(r *record) any { return r.nested },
	}
	flat = style{
		[]cel.EnvOption{
			cel.Variable("err.status", cel.IntType), cel.Variable("err.code", cel.StringType),
			cel.Variable("err.message", cel.StringType), cel.Variable("err.kind", cel.StringType),
		},
		func(r *record) any { return r.flat },
	}
)

func celProgram(tb testing.TB, s style, text string) cel.Program {
	env, err := cel.NewEnv(s.variables...)
	if err != nil {
		tb.Fatal(err)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		tb.Fatal(issues.Err())
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		tb.Fatal(err)
	}
	return program
}

func celPrograms(tb testing.TB, s style, l list) []cel.Program {
	programs := make([]cel.Program, len(l.rules))
	for i, r := range l.rules {
		programs[i] = celProgram(tb, s, r.when)
	}
	return programs
}

// firstOf is the class of the first rule that holds.
func firstOf(rules []listed, programs []cel.Program, input any) engine.Class {
	for i, p := range programs {
		if v, _, err := p.Eval(input); err == nil && v == types.True {
			return rules[i].class
		}
	}
	return engine.NoClass
}

func celRules(s style) func(testing.TB, list) func(*record) engine.Class {
	return func(tb testing.TB, l list) func(*record) engine.Class {
		programs := celPrograms(tb, s, l)
		return func(r *record) engine.Class { return firstOf(l.rules, programs, s.input(r)) }
	}
}

func celChain(tb testing.TB, l list) func(*record) engine.Class {
	var text strings.Builder
	for _, r := range l.rules {
		fmt.Fprintf(&text, "(%s) ? %d : ", r.when, r.class)
	}
	program := celProgram(tb, flat, text.String()+"0")
	return func(r *record) engine.Class {
		v, _, err := program.Eval(r.flat)
		if n, ok := v.(types.Int); ok && err == nil {
			return engine.Class(n)
		}
		return engine.NoClass
	}
}

// textTest is how CEL writes what expr-lang writes as operators.
var textTest = regexp.MustCompile(`(\S+)\.(contains|startsWith|matches)\(("[^"]*")\)`)

func exprRules(reuse bool) func(testing.TB, list) func(*record) engine.Class {
	return func(tb testing.TB, l list) func(*record) engine.Class {
		programs := make([]*vm.Program, len(l.rules))
		for i, r := range l.rules {
			program, err := expr.Compile(textTest.ReplaceAllString(r.when, "($1 $2 $3)"), expr.Env(exprEnv{}), expr.AsBool())
			if err != nil {
				tb.Fatal(err)
			}
			programs[i] = program
		}
		run := func(p *vm.Program, env any) (any, error) { return expr.Run(p, env) }
		if reuse {
			run = new(vm.VM).Run
		}
		return func(r *record) engine.Class {
			for i, p := range programs {
				if v, err := run(p, &r.env); err == nil && v == true {
					return l.rules[i].class
				}
			}
			return engine.NoClass
		}
	}
}
