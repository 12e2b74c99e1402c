package redressotel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/telemetry"
)

// scope is the instrumentation scope of what this package tells.
const scope = "github.com/redress-policy/redress/contrib/redressotel"

// Options are what an observer may be told. The zero Options are the defaults.
type Options struct {
	TracerProvider trace.TracerProvider // nil means otel's global one
	MeterProvider  metric.MeterProvider // nil means otel's global one
	// Errors has spans record the errors of attempts as exceptions. Their texts may hold
	// whatever a dependency put into them.
	Errors bool
}

// An Observer turns calls into spans and measurements. It is safe for use by many
// goroutines.
type Observer struct {
	options  Options
	tracer   trace.Tracer
	meter    telemetry.Meter
	watch    telemetry.Watch
	counters map[*telemetry.Instrument]metric.Int64Counter
	times    map[*telemetry.Instrument]metric.Float64Histogram
	read     map[*telemetry.Instrument]metric.Float64Observable
	reading  metric.Registration
}

var _ redress.CallObserver = (*Observer)(nil)

// New registers the instruments; the error is that of the meter provider.
func New(options Options) (*Observer, error) {
	if options.TracerProvider == nil {
		options.TracerProvider = otel.GetTracerProvider()
	}
	if options.MeterProvider == nil {
		options.MeterProvider = otel.GetMeterProvider()
	}
	o := &Observer{
		options:  options,
		tracer:   options.TracerProvider.Tracer(scope),
		counters: map[*telemetry.Instrument]metric.Int64Counter{},
		times:    map[*telemetry.Instrument]metric.Float64Histogram{},
		read:     map[*telemetry.Instrument]metric.Float64Observable{},
	}
	if err := o.register(options.MeterProvider.Meter(scope)); err != nil {
		return nil, fmt.Errorf("redressotel: %w", err)
	}
	return o, nil
}

func (o *Observer) register(meter metric.Meter) error {
	var wrong []error
	var read []metric.Observable
	for _, i := range telemetry.Instruments() {
		help, unit := metric.WithDescription(i.Help), metric.WithUnit(i.Unit)
		var err error
		switch {
		case i.Read && i.Kind == telemetry.Counter:
			o.read[i], err = meter.Float64ObservableCounter(i.Name, help, unit)
		case i.Read: // values add up, so this is no gauge of OpenTelemetry
			o.read[i], err = meter.Float64ObservableUpDownCounter(i.Name, help, unit)
		case i.Kind == telemetry.Histogram:
			o.times[i], err = meter.Float64Histogram(i.Name, help, unit, metric.WithExplicitBucketBoundaries(telemetry.Buckets()...))
		default:
			o.counters[i], err = meter.Int64Counter(i.Name, help, unit)
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if i.Read {
			read = append(read, o.read[i])
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	var err error
	o.reading, err = meter.RegisterCallback(o.collect, read...)
	return err
}

// Policies is a set of policies: a [redress.Set], or something that stands for one.
type Policies interface {
	Names() []string
	Policy(name string) (*redress.Policy, error)
}

// Watch has the breakers, budgets, revisions and faults of the set's policies read at
// every collection from now on. Several sets can be watched; where their policies,
// breakers or budgets have the same name, values add up.
func (o *Observer) Watch(set Policies) { o.watch.Add(set, time.Now()) }

// Close ends the reading that Watch began. Calls may go on, and are told of as before.
func (o *Observer) Close() error { return o.reading.Unregister() }

func (o *Observer) collect(_ context.Context, to metric.Observer) error {
	o.watch.Read(time.Now(), func(i *telemetry.Instrument, amount float64, values ...string) {
		to.ObserveFloat64(o.read[i], amount, metric.WithAttributeSet(attributesOf(i, values)))
	})
	return nil
}

func (o *Observer) measure(ctx context.Context, e *redress.Event) {
	o.meter.Measure(e, func(i *telemetry.Instrument, amount float64, values ...string) {
		attributes := metric.WithAttributeSet(attributesOf(i, values))
		if counter := o.counters[i]; counter != nil {
			counter.Add(ctx, int64(amount), attributes)
			return
		}
		o.times[i].Record(ctx, amount, attributes)
	})
}

// attributesOf leaves out what has no value.
func attributesOf(i *telemetry.Instrument, values []string) attribute.Set {
	list := make([]attribute.KeyValue, 0, len(values))
	for n, value := range values {
		if value != "" {
			list = append(list, attribute.String(i.Labels[n].Attribute, value))
		}
	}
	return attribute.NewSet(list...)
}
