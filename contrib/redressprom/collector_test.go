package redressprom

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

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
  budget: {max_retries: 1000, window: 60s}
circuit_breaker: {failure_threshold: 3, recovery_timeout: 100ms}
`

func load(t testing.TB, c *Collector) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("policies.yaml", []byte(policies), redress.WithPolicyObserver(c))
	if err != nil {
		t.Fatal(err)
	}
	c.Watch(set)
	return set.MustPolicy("payments")
}

// gather returns the value of each series of one metric.
func gather(t *testing.T, c *Collector, name string) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			values[labelsOf(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func labelsOf(m *dto.Metric) string {
	var all []string
	for _, l := range m.GetLabel() {
		if l.GetValue() != "" {
			all = append(all, l.GetName()+"="+l.GetValue())
		}
	}
	return strings.Join(all, " ")
}

func want(t *testing.T, c *Collector, name, labels string, value float64) {
	t.Helper()
	got, ok := gather(t, c, name)[labels]
	if !ok || got != value {
		t.Errorf("%s{%s} is %v (present: %v), want %v; all: %v", name, labels, got, ok, value, gather(t, c, name))
	}
}

func TestACallIsCountedByWhatBecameOfIt(t *testing.T) {
	c := New(Options{})
	p := load(t, c)
	attempts := 0
	err := redress.Do(context.Background(), p, func(context.Context) error {
		if attempts++; attempts < 2 {
			return errors.New("please slow down")
		}
		return nil
	}, redress.WithOperation("charge"))
	if err != nil {
		t.Fatal(err)
	}
	_ = redress.Do(context.Background(), p, func(context.Context) error { return redress.Permanent(errors.New("no")) })
	want(t, c, "redress_calls_total", "operation=charge policy=payments stop_reason=SUCCESS", 1)
	want(t, c, "redress_calls_total", "policy=payments stop_reason=NON_RETRYABLE_CLASS", 1)
	want(t, c, "redress_call_duration_seconds", "operation=charge policy=payments result=ok", 1)
	want(t, c, "redress_attempts_total", "class=RATE_LIMIT decision=retry operation=charge policy=payments", 1)
	want(t, c, "redress_failures_total", "class=RATE_LIMIT policy=payments rule=throttled", 1)
	want(t, c, "redress_retry_delay_seconds", "policy=payments strategy=constant", 1)
	want(t, c, "redress_budget_limit", "budget=payments", 1000)
	want(t, c, "redress_budget_remaining", "budget=payments", 999)
	want(t, c, "redress_policy_info", "policy=payments revision="+p.Revision(), 1)
	want(t, c, "redress_policy_reloads_total", "result=failed", 0)
}

func TestAnOpenBreakerShowsAndItsTimeGrows(t *testing.T) {
	c := New(Options{})
	p := load(t, c)
	for range 3 {
		_ = redress.Do(context.Background(), p, func(context.Context) error { return redress.ServerFault(errors.New("down")) })
	}
	want(t, c, "redress_breaker_state", "breaker=payments state=open", 1)
	want(t, c, "redress_breaker_state", "breaker=payments state=closed", 0)
	want(t, c, "redress_breaker_transitions_total", "breaker=payments from=closed to=open", 1)
	const series, open = "redress_breaker_state_duration_seconds_total", "breaker=payments state=open"
	first := gather(t, c, series)[open]
	for deadline := time.Now().Add(10 * time.Second); gather(t, c, series)[open] <= first; {
		if time.Now().After(deadline) {
			t.Fatal("the time in state open does not grow")
		}
	}
}

func TestWhatIsCollectedKeepsTheRulesOfPrometheus(t *testing.T) {
	c := New(Options{})
	p := load(t, c)
	_ = redress.Do(context.Background(), p, func(context.Context) error { return errors.New("slow down") })
	problems, err := testutil.CollectAndLint(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

func TestEveryInstrumentOfTheTableIsDescribed(t *testing.T) {
	descs := make(chan *prometheus.Desc, 100)
	New(Options{}).Describe(descs)
	close(descs)
	var all strings.Builder
	count := 0
	for d := range descs {
		count++
		all.WriteString(d.String() + "\n")
	}
	for _, i := range telemetry.Instruments() {
		if !strings.Contains(all.String(), `fqName: "`+i.PrometheusName()+`"`) {
			t.Errorf("%s is not described", i.Name)
		}
	}
	if count != len(telemetry.Instruments()) {
		t.Errorf("%d are described, the table has %d", count, len(telemetry.Instruments()))
	}
}

func exemplarOf(t *testing.T, c *Collector) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "redress_call_duration_seconds" {
			continue
		}
		for _, bucket := range family.GetMetric()[0].GetHistogram().GetBucket() {
			if e := bucket.GetExemplar(); e != nil {
				return e.GetLabel()[0].GetValue()
			}
		}
	}
	return ""
}

type traceKey struct{}

func TestExemplarsComeFromTheContextOfTheCall(t *testing.T) {
	c := New(Options{Exemplar: func(ctx context.Context) prometheus.Labels {
		return prometheus.Labels{"trace_id": ctx.Value(traceKey{}).(string)}
	}})
	p := load(t, c)
	ctx := context.WithValue(context.Background(), traceKey{}, "4bf92f3577b34da6")
	if err := redress.Do(ctx, p, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got := exemplarOf(t, c); got != "4bf92f3577b34da6" {
		t.Errorf("exemplar %q", got)
	}
}

func TestAnExemplarThatIsRefusedLosesNoMeasurementAndIsCounted(t *testing.T) {
	for name, exemplar := range map[string]func(context.Context) prometheus.Labels{
		"too long": func(context.Context) prometheus.Labels {
			return prometheus.Labels{"trace_id": strings.Repeat("a", 200)}
		},
		"panics": func(context.Context) prometheus.Labels { panic("exemplar") },
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Options{Exemplar: exemplar})
			p := load(t, c)
			if err := redress.Do(context.Background(), p, func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
			want(t, c, "redress_calls_total", "policy=payments stop_reason=SUCCESS", 1)
			want(t, c, "redress_call_duration_seconds", "policy=payments result=ok", 1)
			want(t, c, "redress_attempt_duration_seconds", "policy=payments result=ok", 1)
			want(t, c, "redress_faults_total", "fault=observer_panic policy=payments", 2)
		})
	}
}
