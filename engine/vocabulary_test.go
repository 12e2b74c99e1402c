package engine_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/redress-policy/redress/engine"
)

func TestNamesAreReadAsTheyAreWritten(t *testing.T) {
	for _, c := range engine.Classes() {
		got, ok := engine.ParseClass(c.String())
		equal(t, c.String(), got, c)
		equal(t, c.String(), ok, true)
	}
	for _, r := range engine.StopReasons() {
		got, ok := engine.ParseStopReason(r.String())
		equal(t, r.String(), got, r)
		equal(t, r.String(), ok, true)
	}
	for _, k := range engine.EventKinds() {
		got, ok := engine.ParseEventKind(k.String())
		equal(t, k.String(), got, k)
		equal(t, k.String(), ok, true)
	}
	equal(t, "classes", len(engine.Classes()), 8)
	equal(t, "stop reasons", len(engine.StopReasons()), 14)
	equal(t, "events", len(engine.EventKinds()), 20)
}

func TestNamesThatAreNoneAreNotRead(t *testing.T) {
	for _, name := range []string{"", "rate_limit", "NOPE"} {
		if _, ok := engine.ParseClass(name); ok {
			t.Errorf("class %q", name)
		}
		if _, ok := engine.ParseStopReason(name); ok {
			t.Errorf("stop reason %q", name)
		}
		if _, ok := engine.ParseEventKind(name); ok {
			t.Errorf("event %q", name)
		}
	}
	var class engine.Class
	var reason engine.StopReason
	if json.Unmarshal([]byte(`"NOPE"`), &class) == nil || json.Unmarshal([]byte(`"NOPE"`), &reason) == nil {
		t.Error("an unknown name was read")
	}
	if err := json.Unmarshal([]byte(`""`), &class); err != nil || class != engine.NoClass {
		t.Errorf("the empty class: %v %v", class, err)
	}
	if err := json.Unmarshal([]byte(`""`), &reason); err != nil || reason != engine.NotStopped {
		t.Errorf("the empty reason: %v %v", reason, err)
	}
}

func TestVocabularyIsWrittenByName(t *testing.T) {
	for _, row := range []struct {
		value any
		want  string
	}{
		{engine.RateLimit, "RATE_LIMIT"}, {engine.NoClass, ""}, {engine.Class(99), "Class(99)"},
		{engine.BudgetExhausted, "BUDGET_EXHAUSTED"}, {engine.NotStopped, ""}, {engine.StopReason(99), "StopReason(99)"},
		{engine.EventCircuitHalfOpen, "circuit_half_open"}, {engine.EventKind(99), "EventKind(99)"},
		{engine.DecideScheduled, "scheduled"}, {engine.Decision(99), "Decision(99)"},
		{engine.CauseResult, "result"}, {engine.Cause(99), "Cause(99)"},
		{engine.HalfOpen, "half_open"}, {engine.State(99), "State(99)"},
	} {
		equal(t, row.want, fmt.Sprint(row.value), row.want)
		text, err := row.value.(encoding.TextMarshaler).MarshalText()
		if err != nil || string(text) != row.want {
			t.Errorf("%v marshals as %q, %v", row.value, text, err)
		}
	}
}

func TestClassesThatAreNeverRetried(t *testing.T) {
	for _, c := range engine.Classes() {
		never := c == engine.Auth || c == engine.Permission || c == engine.Permanent
		equal(t, c.String(), c.Retryable(), !never)
	}
}
