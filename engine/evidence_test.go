package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redress-policy/redress/engine"
)

// byStatus classifies by a table, and says nothing of other statuses.
func byStatus(table map[int]engine.Class) engine.ClassifyFunc {
	return func(in *engine.Input) engine.Verdict {
		in.Failure.Need(engine.ReadStatus)
		return engine.Verdict{Class: table[in.Failure.Status], Rule: "status"}
	}
}

// TestEvidenceIsWhatTheRulesWereTold holds that the rules of another policy, asked about
// the evidence, say what they would have said in the call.
func TestEvidenceIsWhatTheRulesWereTold(t *testing.T) {
	classes := map[int]engine.Class{404: engine.Permanent, 503: engine.ServerError}
	active := mustPolicy(t, engine.Spec{
		Name: "active", MaxAttempts: 1, Lazy: true, Classify: byStatus(classes), ClassifyResult: byStatus(map[int]engine.Class{202: engine.Transient}),
	})
	candidate := mustPolicy(t, engine.Spec{
		Name: "candidate", Classify: byStatus(map[int]engine.Class{503: engine.RateLimit}), ClassifyResult: byStatus(map[int]engine.Class{204: engine.Transient}),
	})
	for _, row := range []struct {
		name  string
		value any
		err   error
		mode  engine.Mode
		want  engine.Class
		rule  string
	}{
		{"an error", nil, engine.MarkPhase(statusError(503), engine.Sent), engine.Enforce, engine.RateLimit, "status"},
		{"an error in shadow", nil, statusError(503), engine.Shadow, engine.RateLimit, "status"},
		{"an error that no rule knows", nil, statusError(404), engine.Enforce, engine.Unknown, engine.RuleDefault},
		{"an error with a marker", nil, engine.MarkTransient(statusError(404)), engine.Enforce, engine.Transient, engine.RuleMarker},
		{"a result that was a failure and is none", response(202), nil, engine.Enforce, engine.NoClass, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := active.Spec()
			spec.Mode = row.mode
			var seen []engine.Evidence
			watch := engine.ObserverFunc(func(_ context.Context, e engine.Event) {
				if evidence, ok := e.Evidence(); ok {
					seen = append(seen, evidence)
				}
			})
			out := engine.Execute(t.Context(), mustPolicy(t, spec), func(context.Context) (any, error) { return row.value, row.err },
				engine.WithObserver(watch), engine.WithTimeline(), engine.WithOperation("op"))
			if len(seen) != 1 {
				t.Fatalf("%d events have evidence, want 1", len(seen))
			}
			in := seen[0].Input
			if in.Operation != "op" || in.Attempt != 1 || !in.Idempotent || in.Failure.Status == 0 || in.Failure.Type == "" {
				t.Errorf("evidence %+v of %+v is not complete", in, in.Failure)
			}
			class, rule, err := candidate.Classify(seen[0])
			if class != row.want || rule != row.rule || err != nil {
				t.Errorf("the candidate says %v by %q (%v), want %v by %q", class, rule, err, row.want, row.rule)
			}
			for i := range out.Timeline {
				if _, ok := out.Timeline[i].Evidence(); ok {
					t.Error("a timeline keeps evidence, which is that of another call by now")
				}
			}
		})
	}
}

func TestAResultThatFailedIsAskedOfBothLists(t *testing.T) {
	e := engine.Evidence{Input: engine.Input{Failure: &engine.Failure{Status: 503}}, Cause: engine.CauseResult, Failed: true}
	p := mustPolicy(t, engine.Spec{Name: "p", Classify: byStatus(map[int]engine.Class{503: engine.ServerError}), ClassifyResult: byStatus(nil)})
	if class, rule, _ := p.Classify(e); class != engine.ServerError || rule != "status" {
		t.Errorf("%v by %q, want SERVER_ERROR by status", class, rule)
	}
}

func TestClassifyContainsWhatRulesDo(t *testing.T) {
	broken := mustPolicy(t, engine.Spec{Name: "broken", Classify: func(*engine.Input) engine.Verdict { panic(errors.New("boom")) }})
	class, rule, err := broken.Classify(engine.Evidence{})
	if class != engine.Unknown || rule != engine.RuleDefault || err == nil {
		t.Errorf("%v by %q, %v; want UNKNOWN by default and an error", class, rule, err)
	}
}

func mustPolicy(t *testing.T, spec engine.Spec) *engine.Policy {
	t.Helper()
	p, err := engine.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A statusError is an error, or a result, that knows a status.
type statusError int

func (s statusError) Error() string       { return "answered" }
func (s statusError) HTTPStatusCode() int { return int(s) }

type response int

func (r response) StatusCode() int { return int(r) }
