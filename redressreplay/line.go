package redressreplay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/engine"
)

// Version is the version of the format that [Record] writes. Readers refuse others.
const Version = 1

// MaxLine is how many bytes a line may have. Failures whose line would have more are
// dropped, and counted.
const MaxLine = 64 << 10

// Fields declares what may be written of a failure besides what is always written:
// status, code, kind, phase, Go types, timeout, retry_after and marker. The zero Fields
// declares nothing.
type Fields struct {
	Messages   bool     // error texts
	Headers    []string // names of headers, in any case
	Attributes []string // names of attributes
}

// A Line is one failure of one attempt, as [Record] writes it: a JSON object on a line of
// its own. Durations are written as Go does, "1.5s".
type Line struct {
	Version    int       `json:"redress"`
	Time       time.Time `json:"time,omitzero"`
	Policy     string    `json:"policy,omitempty"`
	Revision   string    `json:"revision,omitempty"`
	Operation  string    `json:"operation,omitempty"`
	Attempt    int       `json:"attempt,omitempty"`
	Elapsed    duration  `json:"elapsed,omitempty"`
	Remaining  duration  `json:"remaining,omitempty"` // until the deadline of the call
	Idempotent bool      `json:"idempotent,omitempty"`
	Cause      string    `json:"cause,omitempty"`  // "error" or "result"
	Failed     bool      `json:"failed,omitempty"` // see engine.Evidence
	Failure    *failure  `json:"failure,omitempty"`
	Redacted   []string  `json:"redacted,omitempty"` // fields that the failure had and nobody declared
	Class      string    `json:"class,omitempty"`
	Rule       string    `json:"rule,omitempty"`
	Decision   string    `json:"decision,omitempty"`
	Sleep      duration  `json:"sleep,omitempty"` // before the next attempt
	StopReason string    `json:"stop_reason,omitempty"`
	Omitted    *Omitted  `json:"omitted,omitempty"` // of lines without a failure
}

// Omitted counts failures that were not written, since the line before that counts them.
type Omitted struct {
	Sampled int64 `json:"sampled"` // there were enough like them
	Dropped int64 `json:"dropped"` // there was no room: MaxBytes, MaxLine, or a writer that was too slow
}

// A failure is an engine.Failure.
type failure struct {
	Status     int                   `json:"status,omitempty"`
	Code       string                `json:"code,omitempty"`
	Kind       engine.Kind           `json:"kind,omitempty"`
	Phase      engine.Phase          `json:"phase,omitempty"`
	Type       string                `json:"type,omitempty"`
	Message    string                `json:"message,omitempty"`
	Timeout    bool                  `json:"timeout,omitempty"`
	RetryAfter *duration             `json:"retry_after,omitempty"`
	Marker     string                `json:"marker,omitempty"`
	Headers    map[string]string     `json:"headers,omitempty"`
	Attributes map[string]*attribute `json:"attributes,omitempty"`
	Causes     []cause               `json:"causes,omitempty"`
	Inner      *failure              `json:"inner,omitempty"` // of an inner call of this library
}

type cause struct {
	Type    string      `json:"type,omitempty"`
	Message string      `json:"message,omitempty"`
	Code    string      `json:"code,omitempty"`
	Kind    engine.Kind `json:"kind,omitempty"`
	Status  int         `json:"status,omitempty"`
}

// An attribute is a value with its type, which JSON alone would lose. One field is set.
type attribute struct {
	String   *string            `json:"string,omitempty"`
	Int      *int64             `json:"int,omitempty"`
	Double   *float64           `json:"double,omitempty"`
	Bool     *bool              `json:"bool,omitempty"`
	Duration *duration          `json:"duration,omitempty"`
	List     *[]string          `json:"list,omitempty"`
	Map      *map[string]string `json:"map,omitempty"`
}

type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// lineOf writes down a failure.
func lineOf(e *engine.Event, evidence *engine.Evidence, fields *Fields) *Line {
	in := &evidence.Input
	r := redaction{fields: fields}
	l := &Line{
		Version: Version, Time: e.Time, Policy: e.Policy, Revision: e.Revision, Operation: e.Operation, Attempt: in.Attempt,
		Elapsed: duration(in.Elapsed), Remaining: duration(in.Remaining), Idempotent: in.Idempotent,
		Cause: evidence.Cause.String(), Failed: evidence.Failed, Failure: r.failure(in.Failure),
		Class: e.Class.String(), Rule: e.Rule, Decision: e.Decision.String(), Sleep: duration(e.Sleep),
	}
	if e.Reason != engine.NotStopped {
		l.StopReason = e.Reason.String()
	}
	slices.Sort(r.left)
	l.Redacted = slices.Compact(r.left)
	return l
}

// A redaction leaves out what is not declared, and remembers what that was.
type redaction struct {
	fields *Fields
	left   []string
}

func (r *redaction) failure(f *engine.Failure) *failure {
	if f == nil {
		return nil
	}
	w := &failure{
		Status: f.Status, Code: f.Code, Kind: f.Kind, Phase: f.Phase, Type: f.Type, Message: r.message(f.Message), Timeout: f.Timeout,
		Headers: r.headers(f.Headers), Attributes: r.attributes(f.Attributes), Inner: r.failure(f.Inner),
	}
	if f.HasRetryAfter {
		after := duration(f.RetryAfter)
		w.RetryAfter = &after
	}
	if f.Marker != engine.NoClass {
		w.Marker = f.Marker.String()
	}
	for _, c := range f.Causes {
		w.Causes = append(w.Causes, cause{Type: c.Type, Message: r.message(c.Message), Code: c.Code, Kind: c.Kind, Status: c.Status})
	}
	return w
}

func (r *redaction) message(text string) string {
	if r.fields.Messages || text == "" {
		return text
	}
	r.left = append(r.left, "message")
	return ""
}

func (r *redaction) headers(all map[string]string) map[string]string {
	var kept map[string]string
	for name, value := range all {
		if !slices.ContainsFunc(r.fields.Headers, func(declared string) bool { return strings.EqualFold(declared, name) }) {
			r.left = append(r.left, "headers")
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[name] = value
	}
	return kept
}

func (r *redaction) attributes(all map[string]any) map[string]*attribute {
	var kept map[string]*attribute
	for name, value := range all {
		if !slices.Contains(r.fields.Attributes, name) {
			r.left = append(r.left, "attributes")
			continue
		}
		if kept == nil {
			kept = map[string]*attribute{}
		}
		kept[name] = attributeOf(value)
	}
	return kept
}

func attributeOf(value any) *attribute {
	switch v := value.(type) {
	case string:
		return &attribute{String: &v}
	case int64:
		return &attribute{Int: &v}
	case float64:
		return &attribute{Double: &v}
	case bool:
		return &attribute{Bool: &v}
	case time.Duration:
		return &attribute{Duration: (*duration)(&v)}
	case []string:
		return &attribute{List: &v}
	case map[string]string:
		return &attribute{Map: &v}
	}
	return nil // of no type that rules can read
}

func (a *attribute) value() (any, error) {
	var values []any
	if a != nil {
		values = appendSet(values, a.String)
		values = appendSet(values, a.Int)
		values = appendSet(values, a.Double)
		values = appendSet(values, a.Bool)
		values = appendSet(values, (*time.Duration)(a.Duration))
		values = appendSet(values, a.List)
		values = appendSet(values, a.Map)
	}
	if len(values) != 1 {
		return nil, fmt.Errorf("has %d values, must have one", len(values))
	}
	return values[0], nil
}

func appendSet[T any](values []any, p *T) []any {
	if p == nil {
		return values
	}
	return append(values, *p)
}

// ParseLine reads one line of what [Record] wrote. Lines of another version, with unknown
// fields, or with values that no failure has are refused.
func ParseLine(text []byte) (*Line, error) {
	var versioned struct {
		Version *int `json:"redress"`
	}
	if err := json.Unmarshal(text, &versioned); err != nil {
		return nil, err
	}
	if versioned.Version == nil {
		return nil, errors.New(`it has no field "redress", which holds the version of the format`)
	}
	if *versioned.Version != Version {
		return nil, fmt.Errorf("it is of version %d of the format; this program reads %d", *versioned.Version, Version)
	}
	l := &Line{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(l); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	if l.Omitted != nil {
		return l, nil
	}
	if l.Policy == "" || l.Failure == nil {
		return nil, errors.New("it names no policy or no failure")
	}
	if _, ok := engine.ParseClass(l.Class); !ok {
		return nil, fmt.Errorf("class is %q, which is none", l.Class)
	}
	_, err := l.evidence()
	return l, err
}

// evidence is what the line says, for rules.
func (l *Line) evidence() (engine.Evidence, error) {
	record, err := l.Failure.record()
	if err != nil {
		return engine.Evidence{}, err
	}
	e := engine.Evidence{Failed: l.Failed, Input: engine.Input{
		Failure: record, Operation: l.Operation, Attempt: l.Attempt, Elapsed: time.Duration(l.Elapsed),
		Remaining: time.Duration(l.Remaining), Idempotent: l.Idempotent,
	}}
	switch l.Cause {
	case engine.CauseError.String():
		e.Cause = engine.CauseError
	case engine.CauseResult.String():
		e.Cause = engine.CauseResult
	default:
		return e, fmt.Errorf("cause is %q, must be error or result", l.Cause)
	}
	return e, nil
}

func (w *failure) record() (*engine.Failure, error) {
	if w == nil {
		return nil, nil
	}
	f := &engine.Failure{
		Status: w.Status, Code: w.Code, Kind: w.Kind, Phase: w.Phase, Type: w.Type, Message: w.Message, Timeout: w.Timeout, Headers: w.Headers,
	}
	if f.Kind == "" {
		f.Kind = engine.UnknownKind
	}
	if f.Phase == "" {
		f.Phase = engine.PhaseUnknown
	}
	if !slices.Contains(engine.Kinds(), f.Kind) {
		return nil, fmt.Errorf("kind is %q, which is none", f.Kind)
	}
	if !slices.Contains(engine.Phases(), f.Phase) {
		return nil, fmt.Errorf("phase is %q, which is none", f.Phase)
	}
	if w.RetryAfter != nil {
		f.RetryAfter, f.HasRetryAfter = time.Duration(*w.RetryAfter), true
	}
	if w.Marker != "" {
		marker, ok := engine.ParseClass(w.Marker)
		if !ok {
			return nil, fmt.Errorf("marker is %q, which is no class", w.Marker)
		}
		f.Marker = marker
	}
	for _, c := range w.Causes {
		f.Causes = append(f.Causes, engine.CauseRecord{Type: c.Type, Message: c.Message, Code: c.Code, Kind: c.Kind, Status: c.Status})
	}
	for name, a := range w.Attributes {
		value, err := a.value()
		if err != nil {
			return nil, fmt.Errorf("attribute %q %w", name, err)
		}
		if f.Attributes == nil {
			f.Attributes = map[string]any{}
		}
		f.Attributes[name] = value
	}
	inner, err := w.Inner.record()
	f.Inner = inner
	return f, err
}
