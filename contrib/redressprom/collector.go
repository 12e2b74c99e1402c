package redressprom

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/telemetry"
)

// Options are what a collector may be told. The zero Options are the defaults.
type Options struct {
	// Exemplar returns the labels of an exemplar for what happens under ctx, such as
	// trace_id; nil labels mean none. It is given the context of the call. Exemplars are
	// put to durations.
	Exemplar func(ctx context.Context) prometheus.Labels
}

// A Collector turns events into metrics, and reads breakers, budgets and revisions when
// it is scraped. It is safe for use by many goroutines.
type Collector struct {
	options   Options
	meter     telemetry.Meter
	watch     telemetry.Watch
	counters  map[*telemetry.Instrument]*prometheus.CounterVec
	durations map[*telemetry.Instrument]*prometheus.HistogramVec
	read      map[*telemetry.Instrument]*prometheus.Desc
}

var (
	_ prometheus.Collector = (*Collector)(nil)
	_ redress.Observer     = (*Collector)(nil)
)

// New returns a collector that watches no set yet.
func New(options Options) *Collector {
	c := &Collector{
		options:   options,
		counters:  map[*telemetry.Instrument]*prometheus.CounterVec{},
		durations: map[*telemetry.Instrument]*prometheus.HistogramVec{},
		read:      map[*telemetry.Instrument]*prometheus.Desc{},
	}
	for _, i := range telemetry.Instruments() {
		name, labels := i.PrometheusName(), i.LabelNames()
		switch {
		case i.Read:
			c.read[i] = prometheus.NewDesc(name, i.Help, labels, nil)
		case i.Kind == telemetry.Histogram:
			c.durations[i] = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: i.Help, Buckets: telemetry.Buckets()}, labels)
		default:
			c.counters[i] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: i.Help}, labels)
		}
	}
	for _, result := range []string{"ok", "failed"} { // so that the first one is an increase
		c.counters[telemetry.PolicyReloads].WithLabelValues(result)
	}
	return c
}

// Policies is a set of policies: a [redress.Set], or something that stands for one.
type Policies interface {
	Names() []string
	Policy(name string) (*redress.Policy, error)
}

// Watch has the breakers, budgets, revisions and faults of the set's policies read at
// every scrape from now on. Several sets can be watched; where their policies, breakers or
// budgets have the same name, values add up. To tell sets apart, use a collector for each
// and prometheus.WrapRegistererWith.
func (c *Collector) Watch(set Policies) { c.watch.Add(set, time.Now()) }

// Observe implements [redress.Observer]. It panics, once everything is measured, if
// Options.Exemplar panicked or gave labels that Prometheus refuses; the engine contains
// that and counts it as an observer_panic.
func (c *Collector) Observe(ctx context.Context, e redress.Event) {
	var fault any
	c.meter.Measure(&e, func(i *telemetry.Instrument, amount float64, values ...string) {
		if counter := c.counters[i]; counter != nil {
			counter.WithLabelValues(values...).Add(amount)
			return
		}
		if f := c.observe(ctx, c.durations[i].WithLabelValues(values...), amount); f != nil {
			fault = f
		}
	})
	if fault != nil {
		panic(fault)
	}
}

func (c *Collector) observe(ctx context.Context, to prometheus.Observer, amount float64) (fault any) {
	var exemplar prometheus.Labels
	if c.options.Exemplar != nil {
		exemplar, fault = c.exemplar(ctx)
	}
	if exemplar == nil {
		to.Observe(amount)
		return fault
	}
	defer func() { fault = recover() }() // the amount is observed before the labels are looked at
	to.(prometheus.ExemplarObserver).ObserveWithExemplar(amount, exemplar)
	return nil
}

func (c *Collector) exemplar(ctx context.Context) (labels prometheus.Labels, fault any) {
	defer func() { fault = recover() }()
	return c.options.Exemplar(ctx), nil
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, counter := range c.counters {
		counter.Describe(to)
	}
	for _, duration := range c.durations {
		duration.Describe(to)
	}
	for _, desc := range c.read {
		to <- desc
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	for _, counter := range c.counters {
		counter.Collect(to)
	}
	for _, duration := range c.durations {
		duration.Collect(to)
	}
	c.watch.Read(time.Now(), func(i *telemetry.Instrument, amount float64, values ...string) {
		kind := prometheus.GaugeValue
		if i.Kind == telemetry.Counter {
			kind = prometheus.CounterValue
		}
		to <- prometheus.MustNewConstMetric(c.read[i], kind, amount, values...)
	})
}
