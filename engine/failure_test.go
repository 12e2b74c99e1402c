package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTheMostTellingErrorOfAChainDecides(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	rows := []realError{
		{"an answer before the path to it", errors.Join(refused, &pgError{"40001"}), "sql 40001 sent"},
		{"a code before a status", errors.Join(statusMethod(503), redisError("LOADING x")), "redis LOADING sent"},
		{"the path before a context", errors.Join(context.DeadlineExceeded, reset), "net ECONNRESET unknown timeout"},
		{"a context before nothing", fmt.Errorf("%w: %w", errors.New("x"), context.Canceled), "context CANCELED unknown"},
		{"the first among equals", errors.Join(statusMethod(503), statusMethod(404)), "http  sent"},
	}
	checkErrors(t, rows)
	if f := FailureOf(errors.Join(statusMethod(503), statusMethod(404)), nil); f.Status != 503 {
		t.Errorf("status %d, want that of the first", f.Status)
	}
}

func TestPhaseIsNotSentOnlyIfEveryBranchSaysSo(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	own := errors.New("cannot charge")
	for _, row := range []struct {
		name string
		err  error
		want Phase
	}{
		{"one branch, not sent", refused, NotSent},
		{"two branches, not sent", errors.Join(refused, refused), NotSent},
		{"a branch that says nothing", fmt.Errorf("%w: %w", own, refused), NotSent},
		{"a branch that does not know", errors.Join(refused, reset), PhaseUnknown},
		{"a branch that does not know, first", errors.Join(reset, refused), PhaseUnknown},
		{"a branch that was answered", errors.Join(refused, statusMethod(500)), Sent},
		{"an answer about another refusal", &awsResponseError{&awsResponse{response(502)}, refused}, Sent},
		{"nothing known", own, PhaseUnknown},
	} {
		if got := FailureOf(row.err, nil).Phase; got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
}

func TestTypeIsThatOfTheFirstErrorThatIsNotAMereWrapper(t *testing.T) {
	pg := &pgError{"40001"}
	for _, row := range []struct {
		err  error
		want string
	}{
		{pg, "*engine.pgError"},
		{fmt.Errorf("a: %w", fmt.Errorf("b: %w", pg)), "*engine.pgError"},
		{errors.Join(pg, io.EOF), "*engine.pgError"},
		{MarkTransient(Abort(fmt.Errorf("a: %w", pg))), "*engine.pgError"},
		{fetchError(io.EOF), "*url.Error"},
		{errors.New("x"), "*errors.errorString"},
		{statusMethod(500), "engine.statusMethod"},
		{errors.Join(), ""},
	} {
		if got := FailureOf(row.err, nil).Type; got != row.want {
			t.Errorf("%v: got %q, want %q", row.err, got, row.want)
		}
	}
}

func TestCausesListTheChainOutermostFirst(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	f := FailureOf(MarkTransient(errors.Join(statusMethod(503), refused)), nil)
	want := []CauseRecord{
		{Type: "*errors.joinError", Message: "status\n" + refused.Error(), Kind: UnknownKind},
		{Type: "engine.statusMethod", Message: "status", Kind: KindHTTP, Status: 503},
		{Type: "*net.OpError", Message: refused.Error(), Code: "ECONNREFUSED", Kind: KindNet},
		{Type: "*os.SyscallError", Message: "connect: " + syscall.ECONNREFUSED.Error(), Code: "ECONNREFUSED", Kind: KindNet},
		{Type: "syscall.Errno", Message: syscall.ECONNREFUSED.Error(), Code: "ECONNREFUSED", Kind: KindNet},
	}
	if !slices.Equal(f.Causes, want) {
		t.Errorf("got  %+v\nwant %+v", f.Causes, want)
	}
}

func TestRecordOfNoErrorIsEmpty(t *testing.T) {
	f := FailureOf(nil, func(error) map[string]any { return map[string]any{"x": "y"} })
	if got := what(f); got != "unknown  unknown" || f.Type != "" || f.Message != "" || f.Causes != nil || f.Attributes != nil || f.Err != nil {
		t.Errorf("got %+v", f)
	}
}

func TestMessagesAreBoundedAndCutBetweenRunes(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"short", "short"},
		{strings.Repeat("x", MaxMessage), strings.Repeat("x", MaxMessage)},
		{strings.Repeat("x", MaxMessage+1), strings.Repeat("x", MaxMessage)},
		{strings.Repeat("x", MaxMessage-1) + "é", strings.Repeat("x", MaxMessage-1)},
		{strings.Repeat("x", MaxMessage-3) + "😀!", strings.Repeat("x", MaxMessage-3)},
		{"not\xffUTF-8", "not\uFFFDUTF-8"},
		{strings.Repeat("\xff", 2*MaxMessage), "\uFFFD"},
	} {
		got := FailureOf(errors.New(row.text), nil).Message
		if got != row.want || len(got) > MaxMessage || !utf8.ValidString(got) {
			t.Errorf("%.20q of %d bytes: got %.20q of %d bytes", row.text, len(row.text), got, len(got))
		}
	}
}

func TestAttributesAreCheckedByType(t *testing.T) {
	good := map[string]any{
		"s": "x", "i": int64(1), "f": 1.5, "b": true, "d": time.Second, "l": []string{"x"}, "m": map[string]string{"k": "v"},
	}
	f := FailureOf(io.EOF, func(err error) map[string]any { return good })
	if fmt.Sprint(f.Attributes) != fmt.Sprint(good) || f.fault != nil {
		t.Errorf("got %v, fault %v", f.Attributes, f.fault)
	}
	f = FailureOf(io.EOF, func(err error) map[string]any {
		return map[string]any{"count": 3, "when": time.Time{}, "nothing": nil, "right": "x", "bytes": []byte("x")}
	})
	if f.Attributes["count"] != int64(3) || f.Attributes["right"] != "x" || len(f.Attributes) != 2 {
		t.Errorf("got %v", f.Attributes)
	}
	for _, word := range []string{`"when" is a time.Time`, `"nothing" is a <nil>`, `"bytes" is a []uint8`} {
		if f.fault == nil || !strings.Contains(f.fault.Error(), word) {
			t.Errorf("the fault does not say %s: %v", word, f.fault)
		}
	}
}

func TestExtractorPanicIsContainedAndReported(t *testing.T) {
	f := FailureOf(statusMethod(503), func(error) map[string]any { panic("oops") })
	if f.Status != 503 || f.Attributes != nil {
		t.Errorf("got %+v", f)
	}
	if f.fault == nil || !strings.Contains(f.fault.Error(), "panicked: oops") {
		t.Errorf("fault %v", f.fault)
	}
}

func TestRetryAfterHeaderThatSaysNothingIsReported(t *testing.T) {
	f := ResultOf(response(503, "Retry-After", "soon"))
	if f.HasRetryAfter || f.fault == nil || !strings.Contains(f.fault.Error(), `"soon"`) {
		t.Errorf("hint %t, fault %v", f.HasRetryAfter, f.fault)
	}
}

func TestRetryAfterDateIsCountedFromTheDateHeaderElseFromTheClock(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := func(after time.Duration) string { return now.Add(after).Format(http.TimeFormat) }
	withDate := &githubError{Response: response(503, "Retry-After", date(time.Hour+9*time.Second), "Date", date(time.Hour))}
	without := &githubError{Response: response(503, "Retry-After", date(9*time.Second))}
	for _, row := range []struct {
		name string
		f    *Failure
		want time.Duration
		ok   bool
	}{
		{"Date, no clock", FailureOf(withDate, nil), 9 * time.Second, true},
		{"Date, a clock that is an hour late", failureAt(withDate, nil, moment{zero: now}, maxInner), 9 * time.Second, true},
		{"no Date, a clock", failureAt(without, nil, moment{zero: now}, maxInner), 9 * time.Second, true},
		{"neither", FailureOf(without, nil), 0, false},
		{"a result", resultAt(without.Response, nil, now), 9 * time.Second, true},
	} {
		if row.f.RetryAfter != row.want || row.f.HasRetryAfter != row.ok || (row.f.fault == nil) != row.ok {
			t.Errorf("%s: got %v, %t, fault %v", row.name, row.f.RetryAfter, row.f.HasRetryAfter, row.f.fault)
		}
	}
}

func TestErrorOfAnInnerCallHasARecordOfItsOwn(t *testing.T) {
	inner := &Error{Policy: "p", Reason: BudgetExhausted, Attempts: 2, Err: &pgError{"40001"}}
	f := FailureOf(fmt.Errorf("outer: %w", inner), func(error) map[string]any { return map[string]any{"x": "y"} })
	if got := what(f); got != "redress BUDGET_EXHAUSTED unknown" || f.Type != "*engine.Error" || f.Status != 0 || f.Attributes != nil {
		t.Errorf("outer: %s, %+v", got, f)
	}
	if f.Message != "outer: "+inner.Error() || f.Err == nil {
		t.Errorf("message %q", f.Message)
	}
	if f.Inner == nil || what(f.Inner) != "sql 40001 sent" || f.Inner.Attributes["x"] != "y" || f.Inner.Err != inner.Err {
		t.Errorf("inner: %+v", f.Inner)
	}
	if len(f.Causes) != 2 {
		t.Errorf("causes beyond the inner call: %+v", f.Causes)
	}
}

func TestErrorOfAnInnerCallWithoutAttemptsIsNotSent(t *testing.T) {
	f := FailureOf(&Error{Reason: CircuitOpen}, nil)
	if got := what(f); got != "redress CIRCUIT_OPEN not_sent" || f.Inner != nil {
		t.Errorf("got %s, inner %+v", got, f.Inner)
	}
}

func TestErrorOfAnInnerCallEndedByItsContextWrapsThat(t *testing.T) {
	f := FailureOf(&Error{Reason: DeadlineExceeded, Attempts: 1, Ended: context.DeadlineExceeded}, nil)
	if f.Inner == nil || what(f.Inner) != "context DEADLINE_EXCEEDED unknown timeout" {
		t.Errorf("inner %+v", f.Inner)
	}
}

func TestInnerRecordsAreBounded(t *testing.T) {
	var err error = &pgError{"40001"}
	for range 100 {
		err = &Error{Reason: MaxAttemptsGlobal, Attempts: 1, Err: err}
	}
	depth := 0
	for f := FailureOf(err, nil); f != nil; f = f.Inner {
		depth++
	}
	if depth != maxInner+1 {
		t.Errorf("%d records", depth)
	}
}

func TestMarkerAroundTheErrorOfAnInnerCallCounts(t *testing.T) {
	f := FailureOf(MarkRateLimit(&Error{Reason: CircuitOpen, Err: MarkPermanent(io.EOF)}, time.Second), nil)
	if f.Marker != RateLimit || f.RetryAfter != time.Second || f.Inner.Marker != Permanent {
		t.Errorf("marker %v, hint %v, inner marker %v", f.Marker, f.RetryAfter, f.Inner.Marker)
	}
}

// The errors below misbehave.

type panics struct{}

func (p *panics) Error() string             { panic("Error") }
func (p *panics) Unwrap() error             { panic("Unwrap") }
func (p *panics) Is(error) bool             { panic("Is") }
func (p *panics) As(any) bool               { panic("As") }
func (p *panics) Timeout() bool             { panic("Timeout") }
func (p *panics) Temporary() bool           { panic("Temporary") }
func (p *panics) SafeToRetry() bool         { panic("SafeToRetry") }
func (p *panics) SQLState() string          { panic("SQLState") }
func (p *panics) RedisError()               { panic("RedisError") }
func (p *panics) ErrorCode() string         { panic("ErrorCode") }
func (p *panics) HTTPStatusCode() int       { panic("HTTPStatusCode") }
func (p *panics) GRPCStatus() *grpcStatusOf { panic("GRPCStatus") }
func (p *panics) RetryAfter() time.Duration { panic("RetryAfter") }
func (p *panics) Header() http.Header       { panic("Header") }

func TestPanicsInMethodsOfErrorsAreContained(t *testing.T) {
	f := FailureOf(errors.Join(io.EOF), nil)
	if what(f) != "io EOF unknown" {
		t.Fatalf("got %s", what(f))
	}
	f = FailureOf(&opaque{many: []error{&panics{}, MarkRateLimit(statusMethod(503), time.Second)}}, nil)
	if got := what(f); got != "http  sent" || f.Status != 503 || f.RetryAfter != time.Second || f.Marker != RateLimit {
		t.Errorf("got %s, %+v", got, f)
	}
	if f.Causes[1].Message != "(its Error method panicked)" {
		t.Errorf("causes %+v", f.Causes)
	}
	if aborted(&panics{}) {
		t.Error("aborted by a panic")
	}
}

// opaque is an error that wraps others and does not print them, so that it may wrap itself.
type opaque struct {
	one  error
	many []error
}

func (o *opaque) Error() string { return "opaque" }

func (o *opaque) Unwrap() []error {
	if o.one != nil {
		return []error{o.one}
	}
	return o.many
}

type line struct{ next error }

func (l *line) Error() string { return "line" }
func (l *line) Unwrap() error { return l.next }

// notComparable may not be compared with itself.
type notComparable struct{ _ []int }

func (notComparable) Error() string { return "not comparable" }

func TestRecordIsBoundedOnCyclicDeepAndWideChains(t *testing.T) {
	cycle := &line{}
	cycle.next = cycle
	var deep error = io.EOF
	for range 100_000 {
		deep = &line{deep}
	}
	wide := &opaque{many: slices.Repeat([]error{io.EOF}, 100_000)}
	bush := &opaque{}
	bush.many = []error{bush, nil, bush, io.EOF}
	hidden := fmt.Errorf("last: %w", io.EOF)
	for range 60 {
		hidden = &line{hidden}
	}
	for name, err := range map[string]error{"cycle": cycle, "deep": deep, "wide": wide, "bush": bush} {
		f := FailureOf(err, nil)
		if len(f.Causes) != MaxCauses || f.Phase != PhaseUnknown || aborted(err) {
			t.Errorf("%s: %d causes, phase %s", name, len(f.Causes), f.Phase)
		}
	}
	if f := FailureOf(hidden, nil); f.Code != "EOF" || len(f.Causes) != MaxCauses {
		t.Errorf("beyond MaxCauses: code %q, %d causes", f.Code, len(f.Causes))
	}
}

// TestRecordNeverPanicsAndIsBoundedOnRandomChains builds graphs of errors, cycles
// included, of everything that this package's tests know.
func TestRecordNeverPanicsAndIsBoundedOnRandomChains(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		err := randomChain(r)
		f := failureAt(err, nil, moment{zero: time.Unix(int64(r.Uint32()), 0)}, maxInner)
		checkBounds(t, seed, f)
		_ = aborted(err)
		if t.Failed() {
			return
		}
	}
}

func randomChain(r *rand.Rand) error {
	leaves := []error{
		io.EOF, context.Canceled, &panics{}, &pgError{"40001"}, redisError("LOADING"), statusMethod(r.IntN(700)), notComparable{},
		&net.OpError{Op: "read"}, &net.OpError{Op: "dial", Err: &panics{}}, &os.SyscallError{}, &net.DNSError{}, (*net.OpError)(nil),
		(*pgError)(nil), &awsWithID{}, &grpcError{&grpcStatusOf{code: grpcCode(r.Uint32())}}, errors.New(strings.Repeat("é\xff", r.IntN(5000))),
		&githubError{Response: response(r.IntN(600), "Retry-After", fmt.Sprint(r.Int64()))},
	}
	nodes := make([]*opaque, 1+r.IntN(12))
	for i := range nodes {
		nodes[i] = &opaque{}
	}
	for _, n := range nodes {
		for range r.IntN(4) {
			var next error = nodes[r.IntN(len(nodes))]
			switch r.IntN(6) {
			case 0:
				next = mark(next, Classes()[r.IntN(8)], time.Duration(r.Int64()))
			case 1:
				next = &Error{Reason: Aborted, Err: next}
			case 2:
				next = &line{next}
			case 3, 4:
				next = leaves[r.IntN(len(leaves))]
			}
			n.many = append(n.many, next)
		}
	}
	return nodes[0]
}

func checkBounds(t *testing.T, seed uint64, f *Failure) {
	t.Helper()
	depth := 0
	for ; f != nil; f = f.Inner {
		if depth++; depth > maxInner+1 {
			t.Fatalf("seed %d: endless inner records", seed)
		}
		if len(f.Causes) > MaxCauses || len(f.Message) > MaxMessage || len(f.Code) > MaxMessage || f.RetryAfter < 0 ||
			!slices.Contains(Kinds(), f.Kind) || !slices.Contains(Phases(), f.Phase) || f.Status != 0 && (f.Status < 100 || f.Status > 599) {
			t.Fatalf("seed %d: %+v", seed, f)
		}
		for _, c := range f.Causes {
			if len(c.Message) > MaxMessage || !utf8.ValidString(c.Message) || c.Type == "" || c.Kind == "" {
				t.Fatalf("seed %d: cause %+v", seed, c)
			}
		}
	}
}

func BenchmarkFailureOfRefusedConnection(b *testing.B) {
	err := fmt.Errorf("charge: %w", fetchError(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}))
	b.ReportAllocs()
	for b.Loop() {
		FailureOf(err, nil)
	}
}

func TestAttributesOfResultsAreKeptOrReported(t *testing.T) {
	read := func(x ResultExtractor) *Failure { return resultAt("value", x, time.Time{}) }
	if f := read(func(v any) map[string]any { return map[string]any{"state": v, "n": 3} }); f.Attributes["state"] != "value" || f.Attributes["n"] != int64(3) || f.fault != nil {
		t.Errorf("attributes %v, fault %v", f.Attributes, f.fault)
	}
	if f := read(func(any) map[string]any { return map[string]any{"bad": struct{}{}, "good": true} }); f.Attributes["good"] != true || f.fault == nil {
		t.Errorf("attributes %v, fault %v; want good, and a fault", f.Attributes, f.fault)
	}
	if f := read(func(any) map[string]any { panic("no") }); f.fault == nil {
		t.Error("a panic of the extractor is not reported")
	}
	if f := read(func(any) map[string]any { return map[string]any{"long": strings.Repeat("x", 2*MaxMessage)} }); len(f.Attributes["long"].(string)) != MaxMessage {
		t.Error("a long attribute is not cut as messages are")
	}
}

// resultAt is ResultOf at a time.
func resultAt(v any, x ResultExtractor, now time.Time) *Failure {
	var f Failure
	f.beginResult(&source{now: moment{zero: now}}, v, x)
	f.Need(ReadAll)
	return &f
}
