package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// lastSpans keeps the last spans and shows them as text. A service sends its spans to a
// collector instead.
type lastSpans struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan // guarded by mu
}

const maxSpans = 200

// ExportSpans implements trace.SpanExporter.
func (l *lastSpans) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans = append(l.spans, spans...)
	l.spans = l.spans[max(len(l.spans)-maxSpans, 0):]
	return nil
}

// Shutdown implements trace.SpanExporter.
func (l *lastSpans) Shutdown(context.Context) error { return nil }

func (l *lastSpans) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.spans {
		fmt.Fprintf(w, "%s %s %v %s\n", s.SpanContext().TraceID(), s.Name(), s.EndTime().Sub(s.StartTime()).Round(time.Millisecond), s.Status().Description)
		for _, e := range s.Events() {
			fmt.Fprintf(w, "    +%v %s", e.Time.Sub(s.StartTime()).Round(time.Millisecond), e.Name)
			for _, a := range e.Attributes {
				fmt.Fprintf(w, " %s=%s", a.Key, a.Value.String())
			}
			fmt.Fprintln(w)
		}
	}
}
