package redressreplay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/redressreplay"
	"github.com/redress-policy/redress/redresstest"
)

const policies = `{apiVersion: redress/v1, kind: Policy, name: payments, attributes: {tenant: string, tries: int}, classify: [{id: busy, when: err.status == 503, class: SERVER_ERROR}, {id: tenant, when: 'err.attr.?tenant.orValue("") == "secret"', class: PERMANENT}], classify_result: [{id: later, when: result.status == 202, class: TRANSIENT}], retry: {max_attempts: 1}}
`

// next calls 503 something else, and looks at a header.
const next = `{apiVersion: redress/v1, kind: Policy, name: payments, classify: [{id: slow-down, when: '"retry-after" in err.headers', class: RATE_LIMIT}, {id: busy, when: err.status == 503, class: TRANSIENT}], retry: {max_attempts: 1}}
`

// An answer is the error of a client, with what a server says that must not be written.
type answer struct{ status int }

func (a answer) Error() string           { return "the card 4111 1111 was refused" }
func (a answer) HTTPStatusCode() int     { return a.status }
func (a answer) HTTPHeader() http.Header { return nil }

type reply int

func (r reply) StatusCode() int { return int(r) }

func load(t testing.TB, text string, opts ...redress.LoadOption) *redress.Set {
	t.Helper()
	set, err := redress.Parse("p.yaml", []byte(text), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func attributes(error) map[string]any { return map[string]any{"tenant": "secret", "tries": int64(3)} }

// run makes a call that answers with err or value.
func run(set *redress.Set, o redress.Observer, value any, err error, opts ...redress.Option) {
	opts = append(opts, redress.WithObserver(o), redress.WithClock(redresstest.NewClock()))
	redress.Execute(context.Background(), set.MustPolicy("payments"), func(context.Context) (any, error) { return value, err }, opts...)
}

func record(t testing.TB, w *bytes.Buffer, o redressreplay.RecordOptions) *redressreplay.Recorder {
	t.Helper()
	r, err := redressreplay.Record(w, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func lines(t testing.TB, text string) (all []*redressreplay.Line) {
	t.Helper()
	for line := range strings.Lines(text) {
		l, err := redressreplay.ParseLine([]byte(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, l)
	}
	return all
}

// TestWhatIsRecordedIsClassifiedAsItWas holds for errors and results that the policies
// which were in force say the same of the record.
func TestWhatIsRecordedIsClassifiedAsItWas(t *testing.T) {
	set := load(t, policies, redress.WithAttributes(attributes))
	var file bytes.Buffer
	r := record(t, &file, redressreplay.RecordOptions{Fields: redressreplay.Fields{Messages: true, Attributes: []string{"tenant", "tries"}}})
	run(set, r, nil, answer{503}, redress.WithOperation("charge"), redress.NotIdempotent())
	run(set, r, nil, answer{404})
	run(set, r, nil, redress.RateLimited(answer{402}, 3*time.Second))
	run(set, r, nil, engine.MarkPhase(errors.New("lost"), engine.Sent))
	run(set, r, reply(202), nil)
	run(set, r, reply(200), nil) // is no failure
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	c := redressreplay.Compare(set, 3)
	all := lines(t, file.String())
	for i, l := range all {
		if err := c.Add(l, redressreplay.Place{File: "x", Line: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	report := c.Report()
	if len(all) != 5 || report.Compared != 5 || report.Same != 5 || report.Differs() {
		t.Errorf("%d lines, report %+v; want 5 that are the same\n%s", len(all), report, file.String())
	}
	if l := all[0]; l.Operation != "charge" || l.Idempotent || l.Attempt != 1 || l.Class != "SERVER_ERROR" || l.Rule != "busy" || l.Decision != "stop" || l.StopReason == "" || l.Redacted != nil {
		t.Errorf("the first line is %+v", l)
	}
}

// TestNothingIsWrittenThatIsNotDeclared looks for what the failures hold.
func TestNothingIsWrittenThatIsNotDeclared(t *testing.T) {
	set := load(t, policies, redress.WithAttributes(attributes))
	var file bytes.Buffer
	fields := redressreplay.Fields{Attributes: []string{"tries"}, Headers: []string{"X-Zone"}}
	r := record(t, &file, redressreplay.RecordOptions{Fields: fields})
	candidate, err := redressreplay.Shadow(load(t, next), redressreplay.ShadowOptions{Fields: fields})
	if err != nil {
		t.Fatal(err)
	}
	given := &recorded{engine.Failure{Status: 503, Message: "4111", Headers: map[string]string{"cookie": "secret", "x-zone": "b"},
		Attributes: map[string]any{"tenant": "secret", "tries": int64(3)}, Causes: []engine.CauseRecord{{Message: "4111", Type: "*a.B"}}, Inner: &engine.Failure{Message: "4111"}}}
	run(set, redress.Observers(r, candidate), nil, given)
	run(set, redress.Observers(r, candidate), nil, answer{503})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := json.Marshal(candidate.Report())
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"recording": file.String(), "report": string(report)} {
		for _, secret := range []string{"4111", "secret", "cookie"} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s holds %q:\n%s", what, secret, text)
			}
		}
		for _, declared := range []string{`"x-zone":"b"`, `"tries":{"int":3}`, `"redacted":["attributes","headers","message"]`, "*a.B"} {
			if !strings.Contains(text, declared) {
				t.Errorf("the %s does not hold %s:\n%s", what, declared, text)
			}
		}
	}
}

type recorded struct{ record engine.Failure }

func (r *recorded) Error() string                  { return "recorded" }
func (r *recorded) FailureRecord() *engine.Failure { return &r.record }

func TestALineKeepsTheTypesOfAttributes(t *testing.T) {
	given := map[string]any{"s": "x", "i": int64(3), "d": 1.0, "b": false, "t": 2 * time.Second, "l": []string{"a"}, "m": map[string]string{"k": "v"}}
	var file bytes.Buffer
	r := record(t, &file, redressreplay.RecordOptions{Fields: redressreplay.Fields{Attributes: []string{"s", "i", "d", "b", "t", "l", "m"}}})
	run(load(t, policies), r, nil, &recorded{engine.Failure{Status: 503, Attributes: given}})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	p, err := engine.New(engine.Spec{Name: "payments", Classify: func(in *engine.Input) engine.Verdict {
		got = in.Failure.Attributes
		return engine.Verdict{}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := redressreplay.Compare(only{p}, 0).Add(lines(t, file.String())[0], redressreplay.Place{}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, given) {
		t.Errorf("attributes %#v, want %#v", got, given)
	}
}

type only struct{ policy *engine.Policy }

func (o only) Policy(string) (*engine.Policy, error) { return o.policy, nil }

func TestARecordingIsSampledAndBounded(t *testing.T) {
	set := load(t, policies)
	for _, row := range []struct {
		name             string
		options          redressreplay.RecordOptions
		lines            int
		sampled, dropped int64
	}{
		{"by rule", redressreplay.RecordOptions{Samples: 2}, 2, 98, 0},
		{"by bytes", redressreplay.RecordOptions{Samples: 1000, MaxBytes: 4096}, -1, 0, -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			var file bytes.Buffer
			r := record(t, &file, row.options)
			for range 100 {
				run(set, r, nil, answer{503})
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			all := lines(t, file.String())
			last := all[len(all)-1]
			if last.Omitted == nil {
				t.Fatal("the last line does not say what was omitted")
			}
			if row.lines >= 0 && (len(all)-1 != row.lines || *last.Omitted != redressreplay.Omitted{Sampled: row.sampled}) {
				t.Errorf("%d lines and %+v, want %d and %d sampled", len(all)-1, *last.Omitted, row.lines, row.sampled)
			}
			if sum := int64(len(all)-1) + last.Omitted.Sampled + last.Omitted.Dropped; sum != 100 {
				t.Errorf("%d failures are accounted for, want 100", sum)
			}
			if limit := row.options.MaxBytes; limit > 0 && int64(file.Len()) > limit {
				t.Errorf("%d bytes were written, more than %d", file.Len(), limit)
			}
		})
	}
}

// A stuck writer does not return until it is released.
type stuck struct{ released chan struct{} }

func (s stuck) Write(p []byte) (int, error) { <-s.released; return len(p), nil }

func TestCallsDoNotWaitForTheWriter(t *testing.T) {
	w := stuck{make(chan struct{})}
	r, err := redressreplay.Record(w, redressreplay.RecordOptions{Samples: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	set := load(t, policies)
	for range 1000 {
		run(set, r, nil, answer{503})
	}
	close(w.released)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

type refusing struct{ panics bool }

func (w refusing) Write([]byte) (int, error) {
	if w.panics {
		panic("boom")
	}
	return 0, errors.New("disk full")
}

func TestAWriterThatFailsEndsTheRecording(t *testing.T) {
	for _, panics := range []bool{false, true} {
		r, err := redressreplay.Record(refusing{panics}, redressreplay.RecordOptions{Samples: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		set := load(t, policies)
		for range 400 {
			run(set, r, nil, answer{503})
		}
		if err := r.Close(); err == nil || r.Err() == nil {
			t.Errorf("Close says %v, Err %v; want the writer's error", err, r.Err())
		}
		if err := r.Close(); err == nil {
			t.Error("a second Close is no error")
		}
		run(set, r, nil, answer{503}) // is passed over
	}
}

func TestACandidateCountsWhatItDecidesDifferently(t *testing.T) {
	set := load(t, policies)
	candidate, err := redressreplay.Shadow(load(t, next), redressreplay.ShadowOptions{Samples: 2})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 25 {
				run(set, candidate, nil, answer{503})
				run(set, candidate, nil, answer{404})
			}
		})
	}
	group.Wait()
	run(set, candidate, reply(202), nil)
	got := candidate.Report()
	for i := range got.Differences {
		if n := len(got.Differences[i].Samples); n != min(2, int(got.Differences[i].Count)) {
			t.Errorf("%d samples of %d", n, got.Differences[i].Count)
		}
		got.Differences[i].Samples = nil
	}
	want := redressreplay.Report{Compared: 201, Same: 100, Missing: []redressreplay.Missing{}, Differences: []redressreplay.Difference{
		{Policy: "payments", Class: "SERVER_ERROR", Rule: "busy", NewClass: "TRANSIENT", NewRule: "busy", Count: 100},
		{Policy: "payments", Class: "TRANSIENT", Rule: "later", NewClass: "success", Count: 1},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("report %+v, want %+v", got, want)
	}
}

func TestACandidateWithoutThePolicySaysSo(t *testing.T) {
	candidate, err := redressreplay.Shadow(load(t, strings.Replace(next, "name: payments", "name: other", 1)), redressreplay.ShadowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	run(load(t, policies), candidate, nil, answer{503})
	if r := candidate.Report(); len(r.Missing) != 1 || r.Missing[0] != (redressreplay.Missing{Policy: "payments", Count: 1}) || !r.Differs() {
		t.Errorf("report %+v, want one missing policy", r)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, o := range []redressreplay.RecordOptions{{Samples: -1}, {Interval: -1}, {MaxBytes: -1}, {MaxBytes: 100}} {
		if _, err := redressreplay.Record(&bytes.Buffer{}, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := redressreplay.Shadow(nil, redressreplay.ShadowOptions{}); err == nil {
		t.Error("a candidate without policies is accepted")
	}
}

func TestLinesThatAreNoneAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                         "unexpected end",
		`{"policy":"p"}`:            `no field "redress"`,
		`{"redress":2}`:             "version 2",
		`{"redress":1,"polcy":"p"}`: "polcy",
		`{"redress":1}`:             "names no policy",
		`{"redress":1,"policy":"p","class":"UNKNOWN","cause":"error","failure":{"kind":"x"}}`:              `kind is "x"`,
		`{"redress":1,"policy":"p","class":"UNKNOWN","cause":"error","failure":{"phase":"x"}}`:             `phase is "x"`,
		`{"redress":1,"policy":"p","class":"UNKNOWN","cause":"error","failure":{"marker":"x"}}`:            `marker is "x"`,
		`{"redress":1,"policy":"p","class":"UNKNOWN","cause":"error","failure":{"attributes":{"a":{}}}}`:   `attribute "a" has 0 values`,
		`{"redress":1,"policy":"p","class":"UNKNOWN","cause":"error","failure":{"attributes":{"a":null}}}`: `attribute "a" has 0 values`,
		`{"redress":1,"policy":"p","class":"UNKNOWN","failure":{}}`:                                        "cause is",
		`{"redress":1,"policy":"p","class":"x","cause":"error","failure":{}}`:                              `class is "x"`,
		`{"redress":1,"policy":"p","class":"UNKNOWN","cause":"error","failure":{"retry_after":"x"}}`:       "invalid duration",
	} {
		if _, err := redressreplay.ParseLine([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestAResponseThatFailedIsReplayedByBothLists holds for results that are failures without
// a rule for results, as responses of HTTP clients are.
func TestAResponseThatFailedIsReplayedByBothLists(t *testing.T) {
	failed := failedResponse()
	strict := strings.Replace(policies, "result.status == 202", "result.status == 503", 1)
	for _, row := range []struct {
		name, active, rule string
	}{
		{"a rule for errors decided", policies, "busy"},
		{"a rule for results decided", strict, "later"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var file bytes.Buffer
			r := record(t, &file, redressreplay.RecordOptions{})
			candidate, err := redressreplay.Shadow(load(t, next), redressreplay.ShadowOptions{})
			if err != nil {
				t.Fatal(err)
			}
			run(load(t, row.active), redress.Observers(r, candidate), reply(503), nil, failed)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			replayed := redressreplay.Compare(load(t, next), 0)
			if err := replayed.Add(lines(t, file.String())[0], redressreplay.Place{}); err != nil {
				t.Fatal(err)
			}
			for _, report := range []redressreplay.Report{candidate.Report(), replayed.Report()} {
				if len(report.Differences) != 1 || report.Differences[0].Rule != row.rule || report.Differences[0].NewClass != "TRANSIENT" || report.Differences[0].NewRule != "busy" {
					t.Errorf("report %+v, want that busy gives TRANSIENT where %s decided", report, row.rule)
				}
			}
		})
	}
}

func failedResponse() redress.Option {
	return engine.WithResultError(func(v any) error {
		if status, ok := v.(reply); ok && status >= 400 {
			return answer{int(status)}
		}
		return nil
	})
}

// FuzzLines holds that a line is refused, or can be asked about.
func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"redress":1,"policy":"payments","cause":"result","failed":true,"failure":{"status":503,"retry_after":"2s","attributes":{"a":{"int":3}},"inner":{"code":"x"}},"class":"SERVER_ERROR","rule":"busy"}`))
	f.Add([]byte(`{"redress":1,"omitted":{"sampled":1,"dropped":0}}`))
	set := load(f, policies)
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := redressreplay.ParseLine(text)
		if err != nil {
			return
		}
		c := redressreplay.Compare(set, 1)
		if err := c.Add(l, redressreplay.Place{}); err != nil {
			t.Errorf("%s is read, and then refused: %v", text, err)
		}
		r := c.Report()
		for _, d := range r.Differences {
			_ = d.Samples[0].String()
		}
	})
}
