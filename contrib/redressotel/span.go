package redressotel

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/telemetry"
)

// What spans tell beside the labels of the metrics.
const (
	attempts        = attribute.Key("redress.attempts")         // of the whole call
	attemptNumber   = attribute.Key("redress.attempt.number")   // from 1
	attemptDuration = attribute.Key("redress.attempt.duration") // seconds
	retryDelay      = attribute.Key("redress.retry.delay")      // seconds
	note            = attribute.Key("redress.note")             // why it stopped, where the reason alone does not say
)

// The events of a span.
const (
	attemptEvent   = "redress.attempt"
	circuitEvent   = "redress.circuit"
	ruleErrorEvent = "redress.rule_error"
)

type spanKey struct{}

// StartCall implements [redress.CallObserver]: it begins the span of the call.
func (o *Observer) StartCall(ctx context.Context, e redress.Event) context.Context {
	name := e.Operation
	if name == "" {
		name = e.Policy
	}
	ctx, span := o.tracer.Start(ctx, name, trace.WithAttributes(texts(
		telemetry.Policy, e.Policy, telemetry.Operation, e.Operation, telemetry.Revision, e.Revision,
	)...))
	return context.WithValue(ctx, spanKey{}, span)
}

// EndCall implements [redress.CallObserver].
func (o *Observer) EndCall(ctx context.Context) {
	if span := spanOf(ctx); span != nil {
		span.End()
	}
}

// spanOf returns the call's own span, whatever span others have put into ctx since.
func spanOf(ctx context.Context) trace.Span {
	span, _ := ctx.Value(spanKey{}).(trace.Span)
	return span
}

// Observe implements [redress.Observer].
func (o *Observer) Observe(ctx context.Context, e redress.Event) {
	o.measure(ctx, &e)
	span := spanOf(ctx)
	if span == nil || !span.IsRecording() {
		return
	}
	switch e.Kind {
	case engine.AttemptEnd:
		o.tellAttempt(span, &e)
	case engine.EventCircuitOpened, engine.EventCircuitHalfOpen, engine.EventCircuitClosed:
		span.AddEvent(circuitEvent, trace.WithAttributes(texts(
			telemetry.Breaker, e.Breaker, telemetry.From, e.From.String(), telemetry.To, e.To.String(),
		)...))
	case engine.EventRuleError:
		span.AddEvent(ruleErrorEvent, trace.WithAttributes(append(texts(telemetry.Rule, e.Rule), text(note, e.Note)...)...))
	default:
		if e.Reason != engine.NotStopped {
			tellEnd(span, &e)
		}
	}
}

func (o *Observer) tellAttempt(span trace.Span, e *redress.Event) {
	list := texts(
		telemetry.Decision, e.Decision.String(), telemetry.Class, e.Class.String(), telemetry.Rule, e.Rule,
		telemetry.Strategy, e.Strategy, telemetry.StopReason, e.Reason.String(),
	)
	list = append(list, attemptNumber.Int(e.Attempt), attemptDuration.Float64(e.Took.Seconds()))
	if e.Decision == engine.DecideRetry || e.Decision == engine.DecideScheduled {
		list = append(list, retryDelay.Float64(e.Sleep.Seconds()))
	}
	span.AddEvent(attemptEvent, trace.WithAttributes(append(list, text(note, e.Note)...)...))
	if o.options.Errors && e.Err != nil {
		span.RecordError(e.Err, trace.WithAttributes(attemptNumber.Int(e.Attempt)))
	}
	if e.Decision == engine.DecideStop && e.Reason == engine.NotStopped { // the operation panicked: no other event ends the call
		span.SetAttributes(attempts.Int(e.Attempt), semconv.ErrorTypeOther)
		span.SetStatus(codes.Error, e.Note)
	}
}

func tellEnd(span trace.Span, e *redress.Event) {
	span.SetAttributes(texts(telemetry.StopReason, e.Reason.String(), telemetry.Rule, e.Rule)...)
	span.SetAttributes(append(text(note, e.Note), attempts.Int(e.Attempt))...)
	if e.Reason == engine.Success || e.Reason == engine.Scheduled {
		return
	}
	what := e.Class.String()
	if what == "" {
		what = e.Reason.String()
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(what))
	span.SetStatus(codes.Error, e.Reason.String())
}

// texts makes attributes of pairs of label and value; those without a value are left out.
func texts(pairs ...any) []attribute.KeyValue {
	var list []attribute.KeyValue
	for n := 0; n < len(pairs); n += 2 {
		list = append(list, text(attribute.Key(pairs[n].(*telemetry.Label).Attribute), pairs[n+1].(string))...)
	}
	return list
}

func text(key attribute.Key, value string) []attribute.KeyValue {
	if value == "" {
		return nil
	}
	return []attribute.KeyValue{key.String(value)}
}

// ResendCount returns a transport that notes http.request.resend_count on the span of a
// request that a policy sends again, and has base do the rest; nil means
// http.DefaultTransport. It belongs inside the transport that begins the spans:
//
//	otelhttp.NewTransport(redressotel.ResendCount(nil))
func ResendCount(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return resendCount{base}
}

type resendCount struct{ base http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t resendCount) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	if attempt, ok := redress.AttemptFrom(ctx); ok && attempt.Number > 1 {
		trace.SpanFromContext(ctx).SetAttributes(semconv.HTTPRequestResendCount(attempt.Number - 1))
	}
	return t.base.RoundTrip(request)
}
