//go:build linux

package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/redress-policy/redress/internal/lint"
)

// lines of each file of the set that is linted.
const lines = 100

// policyFile writes a policy of a hundred lines with its tests: fifteen rules of its own
// over a pack, with attributes, vars, a breaker. Policies with the same own have the same
// rules.
func policyFile(i, own int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: redress/v1\nkind: Policy\nname: policy-%d\ndescription: A service.\nattributes: {tier: string}\nvars:\n  throttled: err.status == 429 || err.code in [\"RATE\", \"QUOTA\"]\nclassify:\n", i)
	classes := []string{"PERMANENT", "TRANSIENT", "RATE_LIMIT", "SERVER_ERROR"}
	for r := range 14 {
		fmt.Fprintf(&b, "  - id: rule-%d\n    when: err.code == \"E%d-%d\" && err.status >= %d\n    class: %s\n", r, r, own, 400+r, classes[r%4])
	}
	b.WriteString("  - id: throttled\n    when: vars.throttled && err.attr.tier != \"x\"\n    class: RATE_LIMIT\n  - use: std.http\nretry:\n  deadline: 30s\n  attempt_timeout: 3s\n  max_attempts: 4\n  strategy: {decorrelated_jitter: {max: 3s}}\ncircuit_breaker: {failure_threshold: 5, trip_on: [SERVER_ERROR, TRANSIENT]}\n---\n")
	fmt.Fprintf(&b, "apiVersion: redress/v1\nkind: PolicyTest\npolicy: policy-%d\ncases:\n", i)
	for k := 0; strings.Count(b.String(), "\n")+3 <= lines; k++ {
		fmt.Fprintf(&b, "  - name: case %d\n    err: {status: 500, code: E%d-%d}\n    expect: {class: %s}\n", k, k, own, classes[k%4])
	}
	for strings.Count(b.String(), "\n") < lines {
		b.WriteString("# the end\n")
	}
	return b.String()
}

// files of the folders that BenchmarkLint and BenchmarkLintNodes read.
const files = 1000

// BenchmarkLint lints a folder of 1,000 files of 100 lines, everything included: reading,
// schema, expressions, analysis. Their rules are all different from each other, or the
// same in all files. Garbage is collected as the program has it. lines/s is by the clock,
// lines/cpu-s by the time that processors worked.
func BenchmarkLint(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			dir := policyFolder(b, files, kind.distinct)
			defer lint.CollectRarely()()
			start := processorTime(syscall.RUSAGE_SELF)
			for b.Loop() {
				var out bytes.Buffer
				command := lint.Command{Stdout: &out, Stderr: io.Discard}
				if exit := command.Main([]string{"--no-config", dir}); exit != 0 {
					b.Fatalf("exit %d: %s", exit, &out)
				}
			}
			b.ReportMetric(float64(files*lines*b.N)/b.Elapsed().Seconds(), "lines/s")
			b.ReportMetric(float64(files*lines*b.N)/(processorTime(syscall.RUSAGE_SELF)-start).Seconds(), "lines/cpu-s")
		})
	}
}

// BenchmarkLintNodes reads the same files as nodes of YAML and does nothing with them.
func BenchmarkLintNodes(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			dir := policyFolder(b, files, kind.distinct)
			for b.Loop() {
				for i := range files {
					text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("p%04d.yaml", i)))
					if err != nil {
						b.Fatal(err)
					}
					for decoder := yaml.NewDecoder(bytes.NewReader(text)); err == nil; {
						err = decoder.Decode(new(yaml.Node))
					}
					if err != io.EOF {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(files*lines*b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// BenchmarkMemory runs the program on folders of different size: MB is the most that it
// had in memory.
func BenchmarkMemory(b *testing.B) {
	bin := linter(b)
	for _, files := range []int{250, 1000, 4000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			dir := policyFolder(b, files, true)
			var most int64
			for b.Loop() {
				command := exec.Command(bin, "--no-config", dir)
				if out, err := command.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				most = max(most, command.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
			}
			b.ReportMetric(float64(most)/1024, "MB") // Maxrss is in KB on Linux
		})
	}
}

func policyFolder(b *testing.B, files int, distinct bool) string {
	dir := b.TempDir()
	for i := range files {
		own := 0
		if distinct {
			own = i
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("p%04d.yaml", i)), []byte(policyFile(i, own)), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// linter builds the program as action.yml does.
func linter(b *testing.B) string {
	bin := filepath.Join(b.TempDir(), "redress-lint")
	build := exec.Command("go", "build", "-o", bin, "github.com/redress-policy/redress/cmd/redress-lint")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return bin
}

func processorTime(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStart runs the program on one file, beside a run that does nothing, what a
// trivial run costs, and beside a program that is empty.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	bin, policy := linter(b), filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(policy, []byte(policyFile(1, 1)), 0o644); err != nil {
		b.Fatal(err)
	}
	for _, one := range []struct {
		name    string
		program string
		args    []string
	}{
		{"empty", empty(b), nil},
		{"version", bin, []string{"version"}},
		{"one-file", bin, []string{"--no-config", policy}},
	} {
		b.Run(one.name, func(b *testing.B) {
			for b.Loop() {
				for range runsOfStart {
					if out, err := exec.Command(one.program, one.args...).CombinedOutput(); err != nil {
						b.Fatalf("%v\n%s", err, out)
					}
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N*runsOfStart), "ms/start")
		})
	}
}

// runsOfStart is how often a program is started in one operation: one start says little.
const runsOfStart = 10

// empty builds a program that does nothing at all.
func empty(b *testing.B) string {
	dir := b.TempDir()
	source, bin := filepath.Join(dir, "main.go"), filepath.Join(dir, "empty")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", bin, source).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return bin
}
