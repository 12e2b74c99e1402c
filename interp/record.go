package interp

import (
	"fmt"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

// recordEpoch is the time by which dates in the headers of written records count
// that have no Date header: they come from nowhere, so nothing is behind or before.
var recordEpoch = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

// Failure turns a record as tests write it into the engine's: attributes as the
// policy declares them, header names in lower case, Retry-After read from its header
// if the record does not say.
func (p *Policy) Failure(written *dsl.Record) (*engine.Failure, dsl.Diagnostics) {
	f := &engine.Failure{
		Status: written.Status.V, Code: written.Code.V, Kind: engine.Kind(written.Kind.V), Message: written.Message.V, Type: written.Type.V,
		Timeout: written.Timeout.V, RetryAfter: written.RetryAfter.V, HasRetryAfter: written.RetryAfter.Set, Phase: engine.Phase(written.Phase.V),
	}
	f.Marker, _ = engine.ParseClass(written.Marker.V)
	if f.Kind == "" {
		f.Kind = engine.UnknownKind
	}
	if f.Phase == "" {
		f.Phase = engine.PhaseUnknown
	}
	for _, h := range written.Headers {
		if f.Headers == nil {
			f.Headers = map[string]string{}
		}
		f.Headers[strings.ToLower(h.Name.V)] = h.Value.V
	}
	if value, ok := f.Headers["retry-after"]; ok && !f.HasRetryAfter {
		now := recordEpoch
		if date, err := time.Parse(time.RFC1123, f.Headers["date"]); err == nil {
			now = date
		}
		f.RetryAfter, f.HasRetryAfter = engine.ParseRetryAfter(value, now)
	}
	for _, c := range written.Causes {
		f.Causes = append(f.Causes, engine.CauseRecord{Type: c.Type.V, Message: c.Message.V, Code: c.Code.V, Kind: engine.Kind(kindOf(engine.Kind(c.Kind.V))), Status: c.Status.V})
	}
	var found dsl.Diagnostics
	for _, a := range written.Attributes {
		if p.untyped[a.Name.V] { // which was said where it is declared
			continue
		}
		value, d := p.attribute(a)
		if d != nil {
			found = append(found, *d)
			continue
		}
		if f.Attributes == nil {
			f.Attributes = map[string]any{}
		}
		f.Attributes[a.Name.V] = value
	}
	return f, found
}

// attribute reads a written value as the type that the policy declares.
func (p *Policy) attribute(a dsl.AttributeValue) (any, *dsl.Diagnostic) {
	declared, ok := p.declared[a.Name.V]
	if !ok {
		d := &dsl.Diagnostic{Range: a.Name.Range, Code: dsl.CodeUnknownField, Message: fmt.Sprintf("policy %s declares no attribute %q", p.Name(), a.Name.V), Help: "declare it: attributes: {" + a.Name.V + ": string}"}
		if near, ok := dsl.Nearest(a.Name.V, p.declared.names()); ok {
			d.Message += fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, d
	}
	value := a.Value.V
	switch v := value.(type) {
	case string:
		if declared == "duration" {
			if d, err := time.ParseDuration(v); err == nil {
				value = d
			}
		}
	case int64:
		if declared == "double" {
			value = float64(v)
		}
	}
	if cond.TypeOf(value) != declared {
		return nil, &dsl.Diagnostic{
			Range: a.Value.Range, Code: dsl.CodeWrongType, Help: "write " + attributeWords[declared],
			Message: fmt.Sprintf("attribute %s is declared %s, and this is %s", a.Name.V, declared, cond.TypeOf(value)),
		}
	}
	return value, nil
}

// attributeWords say how values of each type are written.
var attributeWords = map[string]string{
	"string": "it in quotes", "int": "a whole number", "double": "a number", "bool": "true or false", "duration": "a duration such as 5s",
	"list(string)": "a list of texts", "map(string, string)": "a mapping of texts",
}
