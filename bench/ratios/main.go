// Command ratios runs the benchmarks of calls, rules, loading, linting and clients and
// prints tables of them.
//
//	go run ./bench/ratios
//	go run ./bench/ratios -only Clients
//
// Clients whose server does not answer are left out.
//
// It makes many passes over all benchmarks, with a few short samples of each, so that
// whatever else the machine does meanwhile spares some samples of each. A time is the
// least of its samples: other work only ever adds to it.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pkg holds the benchmarks.
const pkg = "github.com/redress-policy/redress/bench"

// ours is the row that ratios refer to.
const ours = "redress"

// A run is benchmarks, and on how many processors. Those that take long have a time of
// their own, and are run in every fifth pass, once.
type run struct{ benchmarks, processors, benchtime string }

// runs are what one pass consists of.
var runs = []run{
	{benchmarks: "^BenchmarkCalls$", processors: "1,2"},
	{benchmarks: "^Benchmark(Rules?|Condition|Error)$", processors: "1"},
	{benchmarks: "^BenchmarkStart$", processors: "1"},
	{benchmarks: "^BenchmarkClients$", processors: "1", benchtime: "50ms"},
	{benchmarks: "^Benchmark(Load|LoadMemory|Lint|LintNodes)$", processors: "1", benchtime: "1x"},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("ratios: ")
	passes := flag.Int("passes", 20, "passes over all benchmarks")
	benchtime := flag.String("benchtime", "2ms", "time of each sample")
	samples := flag.Int("samples", 3, "samples of each benchmark in a pass")
	only := flag.String("only", "", "run only the benchmarks whose pattern contains this")
	flag.Parse()
	runs := slices.DeleteFunc(runs, func(r run) bool { return !strings.Contains(r.benchmarks, *only) })
	if len(runs) == 0 {
		log.Fatalf("no benchmarks are run by a pattern that contains %q", *only)
	}
	m := &measurements{samples: map[key]sample{}}
	if err := m.measure(runs, *passes, *samples, *benchtime); err != nil {
		log.Fatal(err)
	}
	m.print(os.Stdout)
	m.printClients(os.Stdout)
	if *only == "" {
		m.printTargets(os.Stdout)
	}
}

// measure makes all passes.
func (m *measurements) measure(runs []run, passes, samples int, benchtime string) error {
	program, err := build()
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(program))
	for pass := range passes {
		for _, run := range runs {
			time, count := benchtime, samples
			if run.benchtime != "" {
				if pass%5 != 0 {
					continue
				}
				time, count = run.benchtime, 1
			}
			log.Printf("pass %d of %d: %s", pass+1, passes, run.benchmarks)
			out, err := benchmark(program, run, time, count)
			if err != nil {
				return err
			}
			m.read(out)
		}
	}
	return nil
}

// build makes the program that the benchmarks are in, in a folder of its own.
func build() (program string, err error) {
	dir, err := os.MkdirTemp("", "ratios")
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "bench.test")
	if out, err := exec.Command("go", "test", "-c", "-o", program, pkg).CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("go test -c %s: %w\n%s", pkg, err, out), os.RemoveAll(dir))
	}
	return program, nil
}

// benchmark makes one run, in the folder of the benchmarks, with that many samples.
func benchmark(program string, r run, time string, samples int) ([]byte, error) {
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return nil, err
	}
	command := exec.Command(program, "-test.run=NONE", "-test.bench="+r.benchmarks, "-test.cpu="+r.processors,
		"-test.benchtime="+time, "-test.count="+strconv.Itoa(samples), "-test.benchmem")
	command.Dir, command.Stderr = strings.TrimSpace(string(dir)), os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return out, nil
}

// A key is one benchmark on a number of processors.
type key struct {
	name       string // "Calls/success/redress"
	processors int
}

// A sample is what a benchmark says, each figure the least that it has said.
type sample struct {
	ns, allocs float64
	kept       float64 // bytes for each policy, of the benchmark that says so
}

type measurements struct {
	machine []string
	order   []key
	samples map[key]sample
}

// kept is a metric of a benchmark of memory.
var kept = regexp.MustCompile(`\s([\d.]+) B/policy`)

// line is a result as the testing package prints it. On one processor the name has no
// suffix.
var line = regexp.MustCompile(`^Benchmark(\S+?)(?:-(\d+))?\s+\d+\s+([\d.]+) ns/op.*?([\d.]+) allocs/op`)

// read adds the output of one run.
func (m *measurements) read(out []byte) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		found := line.FindStringSubmatch(lines.Text())
		if found == nil {
			if kind, _, _ := strings.Cut(lines.Text(), ":"); slices.Contains([]string{"goos", "goarch", "cpu"}, kind) && !slices.Contains(m.machine, lines.Text()) {
				m.machine = append(m.machine, lines.Text())
			}
			continue
		}
		k := key{found[1], 1}
		if found[2] != "" {
			k.processors, _ = strconv.Atoi(found[2])
		}
		one := sample{ns: number(found[3]), allocs: number(found[4]), kept: math.NaN()}
		if memory := kept.FindStringSubmatch(lines.Text()); memory != nil {
			one.kept = number(memory[1])
		}
		if before, ok := m.samples[k]; ok {
			one = sample{min(one.ns, before.ns), min(one.allocs, before.allocs), min(one.kept, before.kept)}
		} else {
			m.order = append(m.order, k)
		}
		m.samples[k] = one
	}
}

func number(text string) float64 {
	x, _ := strconv.ParseFloat(text, 64) // the pattern has seen to it
	return x
}

// A figure is computed from what was measured; NaN if that was not.
type figure func(m *measurements) float64

func (m *measurements) sample(k key) sample {
	if s, ok := m.samples[k]; ok {
		return s
	}
	return sample{math.NaN(), math.NaN(), math.NaN()}
}

func (m *measurements) ns(name string) float64     { return m.sample(key{name, 1}).ns }
func (m *measurements) allocs(name string) float64 { return m.sample(key{name, 1}).allocs }

// A table has a row for each library and a column for each scenario.
type table struct {
	title         string
	group         string // what names of benchmarks begin with
	processors    int
	rows, columns []string
}

func (t table) key(row, column string) key {
	return key{t.group + "/" + column + "/" + row, t.processors}
}

// tables sorts the benchmarks into tables: the last part of a name is the row, the one
// before it the column.
func (m *measurements) tables() []*table {
	var all []*table
	for _, k := range m.order {
		parts := strings.Split(k.name, "/")
		n := len(parts)
		if n < 3 || parts[0] == clients {
			continue
		}
		group := strings.Join(parts[:n-2], "/")
		i := slices.IndexFunc(all, func(t *table) bool { return t.group == group && t.processors == k.processors })
		if i < 0 {
			title := strings.ReplaceAll(group, "/", ", ")
			if k.processors > 1 {
				title += fmt.Sprintf(", %d processors", k.processors)
			}
			i, all = len(all), append(all, &table{title: title, group: group, processors: k.processors})
		}
		all[i].rows = with(all[i].rows, parts[n-1])
		all[i].columns = with(all[i].columns, parts[n-2])
	}
	slices.SortStableFunc(all, func(a, b *table) int { return strings.Compare(first(a.group), first(b.group)) })
	return all
}

func with(list []string, one string) []string {
	if slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}

func first(group string) string {
	name, _, _ := strings.Cut(group, "/")
	return name
}

func (m *measurements) print(w io.Writer) {
	fmt.Fprintf(w, "%s. A cell is the time of one operation, its ratio to %s, and allocations.\n", strings.Join(m.machine, ", "), ours)
	for _, t := range m.tables() {
		fmt.Fprintf(w, "\n## %s\n\n| | %s |\n|---|%s\n", t.title, strings.Join(t.columns, " | "), strings.Repeat("---:|", len(t.columns)))
		for _, row := range t.rows {
			fmt.Fprintf(w, "| %s |", row)
			for _, column := range t.columns {
				fmt.Fprintf(w, " %s |", m.cell(t.key(row, column), t.key(ours, column)))
			}
			fmt.Fprintln(w)
		}
	}
}

// clients is the group of benchmarks that have a client alone and under a policy.
const clients = "Clients"

// printClients has a row for each client.
func (m *measurements) printClients(w io.Writer) {
	rows := []string{}
	for _, k := range m.order {
		if parts := strings.Split(k.name, "/"); parts[0] == clients && len(parts) == 3 {
			rows = with(rows, parts[1])
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## %s\n\n| | bare | with redress | ratio | added | of that, a deadline alone | allocations, bare | added | of that, a deadline alone |\n|---|%s\n", clients, strings.Repeat("---:|", 8))
	for _, row := range rows {
		name := clients + "/" + row + "/"
		plain, timed, under := name+"bare", name+"bare+deadline", name+ours
		fmt.Fprintf(w, "| %s | %s | %s | %.2f | %s | %s | %s | %s | %s |\n", row,
			m.cellOf(duration, func(m *measurements) float64 { return m.ns(plain) }),
			m.cellOf(duration, func(m *measurements) float64 { return m.ns(under) }),
			ratio(under, plain)(m),
			m.cellOf(duration, func(m *measurements) float64 { return m.ns(under) - m.ns(plain) }),
			m.cellOf(duration, func(m *measurements) float64 { return m.ns(timed) - m.ns(plain) }),
			m.cellOf(count, allocs(plain)),
			m.cellOf(count, func(m *measurements) float64 { return m.allocs(under) - m.allocs(plain) }),
			m.cellOf(count, func(m *measurements) float64 { return m.allocs(timed) - m.allocs(plain) }))
	}
}

// cellOf is empty if the figure was not measured.
func (m *measurements) cellOf(format func(float64) string, f figure) string {
	if x := f(m); !math.IsNaN(x) {
		return format(x)
	}
	return ""
}

func count(x float64) string { return fmt.Sprintf("%.0f", x) }

func (m *measurements) printTargets(w io.Writer) {
	fmt.Fprint(w, "\n## Targets\n\n| | measured | must | aim | |\n|---|---:|---:|---:|---|\n")
	for _, t := range targets {
		got := t.figure(m)
		fmt.Fprintf(w, "| %s | %.3g | %.3g | %.3g | %s |\n", t.what, got, t.must, t.aim, t.verdict(got))
	}
}

// cell is empty where a library cannot do what the scenario needs.
func (m *measurements) cell(k, base key) string {
	if _, ok := m.samples[k]; !ok {
		return ""
	}
	ns := m.sample(k).ns
	ratio := m.sample(k).ns / m.sample(base).ns
	allocs := m.sample(k).allocs
	if math.IsNaN(ratio) {
		return fmt.Sprintf("%s, %.0f", duration(ns), allocs)
	}
	return fmt.Sprintf("%s, %.2g×, %.0f", duration(ns), ratio, allocs)
}

func duration(ns float64) string {
	switch {
	case ns < 0:
		return "-" + duration(-ns)
	case ns < 10:
		return fmt.Sprintf("%.1f ns", ns)
	case ns < 1000:
		return fmt.Sprintf("%.0f ns", ns)
	}
	return fmt.Sprintf("%.3g µs", ns/1000)
}

// A target is what a figure must not exceed, and what it had better not.
type target struct {
	what      string
	must, aim float64
	figure    figure
}

func (t target) verdict(got float64) string {
	switch {
	case math.IsNaN(got):
		return "not measured"
	case got <= t.aim:
		return "reached"
	case got <= t.must:
		return "as it must"
	case t.must == 0:
		return "missed"
	}
	return fmt.Sprintf("missed, %.2g×", got/t.must)
}

// Names of benchmarks that targets are about.
const (
	success = "Calls/success/"
	giveUp  = "Calls/giveup/"
	open    = "Calls/open/"
	lean    = "redress-ctx+log"
	mixed   = "Rules/50rules-noregex/mixed/"
)

var targets = []target{
	{"success, added to a bare call: redress-ctx / failsafe-retry-breaker", 0.1, 0.1, func(m *measurements) float64 {
		return added(m, "redress-ctx") / added(m, "failsafe-retry-breaker")
	}},
	{"success, added to a bare call: redress-ctx / gobreaker", 0.6, 0.3, func(m *measurements) float64 {
		return added(m, "redress-ctx") / added(m, "gobreaker")
	}},
	{"success, added to a bare call: redress-ctx+log / failsafe-retry-breaker", 0.1, 0.1, func(m *measurements) float64 {
		return added(m, lean) / added(m, "failsafe-retry-breaker")
	}},
	{"success, added to a bare call: redress-ctx+log / gobreaker", 0.6, 0.3, func(m *measurements) float64 {
		return added(m, lean) / added(m, "gobreaker")
	}},
	{"success, allocations: redress-ctx+log", 0, 0, allocs(success + lean)},
	{"success, added to a bare call: redress+timeout / failsafe-all", 1. / 8, 1. / 15, func(m *measurements) float64 {
		return added(m, "redress+timeout") / added(m, "failsafe-all")
	}},
	{"success, allocations: redress+timeout", 1, 1, allocs(success + "redress+timeout")},
	{"success, ns for five rules of results, less those of a switch", 10, 0, func(m *measurements) float64 {
		return m.ns(success+"redress-ctx+results") - m.ns(success+"redress-ctx") - (m.ns(success+"loop+results") - m.ns(success+"loop"))
	}},
	{"success: redress-ctx, two processors / one", 0.7, 0.55, func(m *measurements) float64 {
		return m.sample(key{success + "redress-ctx", 2}).ns / m.ns(success+"redress-ctx")
	}},
	{"three failures: redress-ctx / cenkalti", 0.5, 0.25, ratio(giveUp+"redress-ctx", giveUp+"cenkalti")},
	{"three failures: redress-ctx / failsafe-all", 1. / 8, 1. / 8, ratio(giveUp+"redress-ctx", giveUp+"failsafe-all")},
	{"open breaker: redress-ctx / gobreaker", 0.6, 0.15, ratio(open+"redress-ctx", open+"gobreaker")},
	{"open breaker, allocations: redress-ctx", 0, 0, allocs(open + "redress-ctx")},
	{"one condition, equal: redress / hand", 1.3, 1.15, ratio("Condition/equal/redress", "Condition/equal/hand")},
	{"one condition, range: redress / hand", 1.3, 1.15, ratio("Condition/range/redress", "Condition/range/hand")},
	{"one condition, in: redress / hand", 1.3, 1.15, ratio("Condition/in/redress", "Condition/in/hand")},
	{"one rule and its verdict, equal: redress / hand-verdict", 1.3, 1.15, ratio("Rule/equal/redress", "Rule/equal/hand-verdict")},
	{"50 rules without regex, mixed: redress / hand", 1.5, 1, ratio(mixed+"redress", mixed+"hand")},
	{"50 rules without regex, mixed, allocations: redress", 0, 0, allocs(mixed + "redress")},
	{"50 rules, mixed: redress / hand", 0.15, 0.05, ratio("Rules/50rules/mixed/redress", "Rules/50rules/mixed/hand")},
	{"50 rules without regex, mixed: redress / cel-go, best style", 1. / 25, 1. / 35, func(m *measurements) float64 {
		return m.ns(mixed+"redress") / min(m.ns(mixed+"cel-map"), m.ns(mixed+"cel-activation"), m.ns(mixed+"cel-chain"))
	}},
	{"50 rules without regex, mixed: redress / cel-map", 1. / 50, 1. / 70, ratio(mixed+"redress", mixed+"cel-map")},
	{"load 1,000 policies, distinct rules: redress / nodes of YAML", 4, 2.5, ratio("Load/policies/distinct/redress", "Load/policies/distinct/yaml")},
	{"load 1,000 policies, shared rules: redress / nodes of YAML", 2, 1.3, ratio("Load/policies/shared/redress", "Load/policies/shared/yaml")},
	{"load 1,000 policies, seconds", 1, 0.5, func(m *measurements) float64 { return m.ns("Load/policies/distinct/redress") / 1e9 }},
	{"KiB kept for each policy", 8, 3, func(m *measurements) float64 { return m.sample(key{"LoadMemory/kept/distinct/redress", 1}).kept / 1024 }},
	{"lint 1,000 files, distinct expressions, one processor: redress-lint / nodes of YAML", 2.5, 1.5, ratio("Lint/distinct", "LintNodes/distinct")},
	{"lint 1,000 files, shared rules, one processor: redress-lint / nodes of YAML", 1.5, 1.2, ratio("Lint/shared", "LintNodes/shared")},
	{"lint one file / an empty program", 6, 3, ratio("Start/one-file", "Start/empty")},
}

func added(m *measurements, row string) float64 { return m.ns(success+row) - m.ns(success+"bare") }

func allocs(name string) figure { return func(m *measurements) float64 { return m.allocs(name) } }

func ratio(name, base string) figure {
	return func(m *measurements) float64 { return m.ns(name) / m.ns(base) }
}
