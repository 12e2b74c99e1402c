package redressotel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/telemetry"
)

func TestMain(m *testing.M) { leak.Main(m) }

const policies = `
apiVersion: redress/v1
kind: Policy
name: payments
classify:
  - id: throttled
    when: err.message.contains("slow down")
    class: RATE_LIMIT
  - use: std.marker
retry:
  max_attempts: 3
  strategy: {constant: {delay: 1ms}}
  budget: {max_retries: 10, window: 60s}
circuit_breaker: {failure_threshold: 2, recovery_timeout: 30s}
`

// A world is an observer with an SDK of its own.
type world struct {
	t      *testing.T
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
	traces *sdktrace.TracerProvider
	o      *Observer
	p      *redress.Policy
}

func newWorld(t *testing.T, options Options) *world {
	t.Helper()
	w := &world{t: t, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	w.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans))
	options.TracerProvider = w.traces
	if options.MeterProvider == nil {
		options.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.reader))
	}
	var err error
	if w.o, err = New(options); err != nil {
		t.Fatal(err)
	}
	set, err := redress.Parse("policies.yaml", []byte(policies), redress.WithPolicyObserver(w.o))
	if err != nil {
		t.Fatal(err)
	}
	w.o.Watch(set)
	w.p = set.MustPolicy("payments")
	return w
}

func (w *world) call(fn func(context.Context) error, opts ...redress.Option) {
	_ = redress.Do(context.Background(), w.p, fn, opts...)
}

// failsOnce returns an operation that fails with err, and succeeds the second time.
func failsOnce(err error) func(context.Context) error {
	failed := false
	return func(context.Context) error {
		if failed {
			return nil
		}
		failed = true
		return err
	}
}

func always(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// span returns the only span that has ended.
func (w *world) span() sdktrace.ReadOnlySpan {
	w.t.Helper()
	ended := w.spans.Ended()
	if len(ended) != 1 {
		w.t.Fatalf("%d spans have ended, not 1", len(ended))
	}
	return ended[0]
}

// show writes attributes in the order of their names, but for durations.
func show(attributes []attribute.KeyValue) string {
	var all []string
	for _, a := range attributes {
		if a.Key != attemptDuration && a.Key != "redress.revision" {
			all = append(all, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%v\nwant\n%v", what, got, want)
	}
}

func TestACallIsASpanWithAnEventForEachAttempt(t *testing.T) {
	w := newWorld(t, Options{})
	w.call(failsOnce(errors.New("slow down")), redress.WithOperation("charge"))
	s := w.span()
	equal(t, "name", s.Name(), "charge")
	equal(t, "status", s.Status().Code, codes.Unset)
	equal(t, "attributes", show(s.Attributes()), "redress.attempts=2 redress.operation=charge redress.policy=payments redress.stop_reason=SUCCESS")
	events := s.Events()
	equal(t, "events", len(events), 2)
	equal(t, "the first", events[0].Name+" "+show(events[0].Attributes), "redress.attempt error.type=RATE_LIMIT redress.attempt.number=1 redress.decision=retry redress.retry.delay=0.001 redress.rule=throttled redress.strategy=constant")
	equal(t, "the second", events[1].Name+" "+show(events[1].Attributes), "redress.attempt redress.attempt.number=2 redress.decision=success redress.stop_reason=SUCCESS")
}

func TestACallThatFailedIsAnErrorWithItsClass(t *testing.T) {
	w := newWorld(t, Options{})
	w.call(always(redress.Permanent(errors.New("account 4711"))))
	s := w.span()
	equal(t, "name", s.Name(), "payments")
	equal(t, "status", s.Status(), sdktrace.Status{Code: codes.Error, Description: "NON_RETRYABLE_CLASS"})
	equal(t, "attributes", show(s.Attributes()), "error.type=PERMANENT redress.attempts=1 redress.policy=payments redress.rule=std.marker/permanent redress.stop_reason=NON_RETRYABLE_CLASS")
	if strings.Contains(fmt.Sprint(s.Events()), "4711") {
		t.Error("the error's text is told unasked")
	}
}

func TestErrorsAreRecordedIfAskedFor(t *testing.T) {
	w := newWorld(t, Options{Errors: true})
	w.call(always(redress.Permanent(errors.New("account 4711"))))
	if !strings.Contains(fmt.Sprint(w.span().Events()), "account 4711") {
		t.Error(w.span().Events())
	}
}

func TestABreakersEventsAreInTheSpanOfTheCallThatCausedThem(t *testing.T) {
	w := newWorld(t, Options{})
	for range 3 {
		w.call(always(redress.ServerFault(errors.New("down"))))
	}
	spans := w.spans.Ended()
	events := spans[1].Events()
	equal(t, "the last event", show(events[len(events)-1].Attributes), "redress.breaker.from=closed redress.breaker.to=open redress.breaker=payments")
	equal(t, "the refused call", show(spans[2].Attributes()), "error.type=CIRCUIT_OPEN redress.attempts=0 redress.policy=payments redress.stop_reason=CIRCUIT_OPEN")
}

func TestSpansOfClientsAreChildrenOfTheCalls(t *testing.T) {
	w := newWorld(t, Options{})
	tracer := w.traces.Tracer("client")
	w.call(func(ctx context.Context) error {
		_, span := tracer.Start(ctx, "SELECT")
		span.End()
		return nil
	})
	spans := w.spans.Ended()
	equal(t, "the parent of "+spans[0].Name(), spans[0].Parent().SpanID(), spans[1].SpanContext().SpanID())
}

func TestTheSpanOfACallWhoseOperationPanicsEnds(t *testing.T) {
	w := newWorld(t, Options{})
	func() {
		defer func() { _ = recover() }()
		w.call(func(context.Context) error { panic("boom") })
	}()
	equal(t, "status", w.span().Status(), sdktrace.Status{Code: codes.Error, Description: "the operation did not return"})
	equal(t, "attributes", show(w.span().Attributes()), "error.type=_OTHER redress.attempts=1 redress.policy=payments")
}

func TestADeferredCallIsNoError(t *testing.T) {
	w := newWorld(t, Options{})
	_, _, err := redress.Step(context.Background(), w.p, redress.StepState{}, func(context.Context) (int, error) { return 0, errors.New("slow down") })
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status", w.span().Status().Code, codes.Unset)
}

func TestResendCountIsOnTheSpansOfRequestsThatAreSentAgain(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	w := newWorld(t, Options{})
	transport := ResendCount(server.Client().Transport)
	tracer := w.traces.Tracer("client")
	number := 0
	w.call(func(ctx context.Context) error {
		ctx, span := tracer.Start(ctx, fmt.Sprint("GET ", number))
		defer span.End()
		request, err := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
		if err != nil {
			return err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if number++; number < 3 {
			return errors.New("slow down")
		}
		return nil
	})
	var got []string
	for _, s := range w.spans.Ended() {
		if strings.HasPrefix(s.Name(), "GET") {
			got = append(got, s.Name()+" "+show(s.Attributes()))
		}
	}
	equal(t, "spans", strings.Join(got, "; "), "GET 0 ; GET 1 http.request.resend_count=1; GET 2 http.request.resend_count=2")
}

// points returns what was collected of one instrument, as text.
func (w *world) points(name string) []string {
	w.t.Helper()
	var collected metricdata.ResourceMetrics
	if err := w.reader.Collect(context.Background(), &collected); err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, s := range collected.ScopeMetrics {
		for _, m := range s.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					all = append(all, fmt.Sprintf("%s: %d", show(p.Attributes.ToSlice()), p.Value))
				}
			case metricdata.Sum[float64]:
				for _, p := range data.DataPoints {
					all = append(all, fmt.Sprintf("%s: %v", show(p.Attributes.ToSlice()), p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					all = append(all, fmt.Sprintf("%s: %d values, %d exemplars", show(p.Attributes.ToSlice()), p.Count, len(p.Exemplars)))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

func (w *world) wantPoints(name string, want ...string) {
	w.t.Helper()
	equal(w.t, name, strings.Join(w.points(name), "\n"), strings.Join(want, "\n"))
}

func TestCallsAreMeasured(t *testing.T) {
	w := newWorld(t, Options{})
	w.call(failsOnce(errors.New("slow down")), redress.WithOperation("charge"))
	w.wantPoints("redress.calls", "redress.operation=charge redress.policy=payments redress.stop_reason=SUCCESS: 1")
	w.wantPoints("redress.attempts",
		"error.type=RATE_LIMIT redress.decision=retry redress.operation=charge redress.policy=payments: 1",
		"redress.decision=success redress.operation=charge redress.policy=payments: 1")
	w.wantPoints("redress.failures", "error.type=RATE_LIMIT redress.policy=payments redress.rule=throttled: 1")
	w.wantPoints("redress.budget.remaining", "redress.budget=payments: 9")
	w.wantPoints("redress.breaker.state",
		"redress.breaker.state=closed redress.breaker=payments: 1",
		"redress.breaker.state=half_open redress.breaker=payments: 0",
		"redress.breaker.state=open redress.breaker=payments: 0")
}

func TestDurationsHaveTheTraceOfTheirCallAsExemplar(t *testing.T) {
	w := newWorld(t, Options{})
	w.call(always(nil))
	w.wantPoints("redress.call.duration", "redress.policy=payments redress.result=ok: 1 values, 1 exemplars")
	var collected metricdata.ResourceMetrics
	if err := w.reader.Collect(context.Background(), &collected); err != nil {
		t.Fatal(err)
	}
	want := w.span().SpanContext().TraceID()
	for _, s := range collected.ScopeMetrics {
		for _, m := range s.Metrics {
			if data, ok := m.Data.(metricdata.Histogram[float64]); ok {
				equal(t, m.Name, trace.TraceID(data.DataPoints[0].Exemplars[0].TraceID), want)
			}
		}
	}
}

func TestTheExporterForPrometheusGivesTheNamesOfTheTable(t *testing.T) {
	registry := prometheus.NewRegistry()
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))})
	for range 3 {
		w.call(always(redress.ServerFault(errors.New("down"))))
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range families {
		seen[f.GetName()] = true
	}
	silent := map[*telemetry.Instrument]bool{telemetry.RuleErrors: true, telemetry.PolicyReloads: true} // nothing erred or was reloaded
	for _, i := range telemetry.Instruments() {
		if !seen[i.PrometheusName()] && !silent[i] {
			t.Errorf("%s is not there as %s", i.Name, i.PrometheusName())
		}
	}
}

func TestReadingEndsWithClose(t *testing.T) {
	w := newWorld(t, Options{})
	if err := w.o.Close(); err != nil {
		t.Fatal(err)
	}
	w.wantPoints("redress.policy.info")
	w.call(always(nil))
	w.wantPoints("redress.calls", "redress.policy=payments redress.stop_reason=SUCCESS: 1")
}

func TestWithoutAnSDKNothingHappens(t *testing.T) {
	w := newWorld(t, Options{MeterProvider: noop.NewMeterProvider()})
	w.call(always(nil))
}
