package redressprom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

func binary(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		proof.Missing(t, "%s is not installed (Debian's package prometheus has it): %v", name, err)
	}
	return path
}

func TestPromtoolAcceptsTheAlertsAndTheyFireWhenTheyShould(t *testing.T) {
	promtool := binary(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestEveryAlertHasATest(t *testing.T) {
	alerts, tests := read(t, "alerts.yml"), read(t, "alerts_test.yml")
	for line := range strings.Lines(alerts) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "- alert: "); ok && !strings.Contains(tests, "alertname: "+name) {
			t.Errorf("no test of %s", name)
		}
	}
}

func TestPromtoolAcceptsWhatIsScraped(t *testing.T) {
	promtool := binary(t, "promtool")
	c := New(Options{})
	work(load(t, c))
	target := serve(t, c)
	response, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = response.Body
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// mayBeEmpty lists the panels that have nothing to show unless something is at fault.
var mayBeEmpty = map[string]string{
	"Rules that err, and faults": "nothing errs here",
}

func TestEveryQueryOfTheDashboardWorksInPrometheus(t *testing.T) {
	c := New(Options{})
	p := load(t, c)
	target := serve(t, c)
	server := startPrometheus(t, strings.TrimPrefix(target, "http://"))
	queries := dashboard(t)
	if len(queries) < 15 {
		t.Fatalf("the dashboard has only %d queries", len(queries))
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); len(queries) > 0; <-tick.C {
		work(p)
		var left []query
		for _, q := range queries {
			n, err := server.ask(q.expr)
			if err != nil {
				t.Fatalf("%s: %v\n%s", q.panel, err, q.expr)
			}
			if n == 0 && mayBeEmpty[q.panel] == "" {
				left = append(left, q)
			}
		}
		queries = left
		if time.Now().After(deadline) {
			for _, q := range queries {
				t.Errorf("%s: no data\n%s", q.panel, q.expr)
			}
			return
		}
	}
	server.wantRules(t)
}

// work makes calls that succeed, are retried, and fail until the breaker opens.
func work(p *redress.Policy) {
	ctx := context.Background()
	for _, err := range []error{nil, errors.New("slow down"), redress.Permanent(errors.New("no")), redress.ServerFault(errors.New("down"))} {
		_ = redress.Do(ctx, p, func(context.Context) error { return err }, redress.WithOperation("work"))
	}
}

func serve(t *testing.T, c *Collector) string {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	t.Cleanup(server.Close)
	return server.URL
}

// A server is a Prometheus of the test's own.
type server struct{ url string }

const configuration = `
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
rule_files: [%q]
scrape_configs:
  - job_name: test
    metrics_path: /
    static_configs: [{targets: [%q]}]
`

func startPrometheus(t *testing.T, target string) server {
	t.Helper()
	path := binary(t, "prometheus")
	rules, err := filepath.Abs("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	config := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configuration, rules, target), 0o644); err != nil {
		t.Fatal(err)
	}
	address := proof.FreeAddress(t)
	var log strings.Builder
	cmd := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus said:\n%s", log.String())
		}
	})
	s := server{"http://" + address}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		if response, err := http.Get(s.url + "/-/ready"); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return s
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("prometheus is not ready")
		}
	}
}

// get decodes the data of an answer.
func (s server) get(path string, into any) error {
	response, err := http.Get(s.url + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return nil
}

// ask evaluates a query and returns how many series it has, those without a number
// excepted.
func (s server) ask(expr string) (n int, err error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := s.get("/api/v1/query?query="+url.QueryEscape(expr), &data); err != nil {
		return 0, err
	}
	for _, series := range data.Result {
		if series.Value[1] != "NaN" {
			n++
		}
	}
	return n, nil
}

// wantRules checks that the server has evaluated every alert without an error.
func (s server) wantRules(t *testing.T) {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := s.get("/api/v1/rules", &data); err != nil {
		t.Fatal(err)
	}
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			if rule.Health != "ok" {
				t.Errorf("%s: %s %s", rule.Name, rule.Health, rule.LastError)
			}
		}
	}
}

type query struct{ panel, expr string }

// dashboard returns the queries of the dashboard, as Grafana would send them.
func dashboard(t *testing.T) []query {
	t.Helper()
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$policy", ".*", "$__rate_interval", "5s", "$__range", "1m")
	var all []query
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			expr := variables.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s has a variable that the test does not know: %s", panel.Title, expr)
			}
			all = append(all, query{panel.Title, expr})
		}
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
