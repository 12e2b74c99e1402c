package bench

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"gopkg.in/yaml.v3"

	"github.com/redress-policy/redress"
)

// loaded is how many policies are loaded at a time, of 20 lines and 3 rules each.
const loaded = 1000

// policyFiles writes the policies. Their rules are the same, or all different from each
// other.
func policyFiles(distinct bool) fstest.MapFS {
	files := fstest.MapFS{}
	for i := range loaded {
		own := 0
		if distinct {
			own = i
		}
		text := fmt.Sprintf(`apiVersion: redress/v1
kind: Policy
name: policy-%d
description: A service.
classify:
  - id: throttled
    when: err.status == 429 || err.code in ["RATE-%[2]d", "QUOTA"]
    class: RATE_LIMIT
    retry_after: err.retry_after
  - id: busy
    when: err.status >= 500 && err.code == "BUSY-%[2]d"
    class: TRANSIENT
  - id: refused
    when: err.message.contains("refused %[2]d")
    class: PERMANENT
retry:
  deadline: 30s
  max_attempts: 4
  strategy: {decorrelated_jitter: {max: 3s}}
circuit_breaker: {failure_threshold: 5}
`, i, own)
		files[fmt.Sprintf("p%04d.yaml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func TestPolicyFilesHaveTwentyLines(t *testing.T) {
	for name, file := range policyFiles(true) {
		if n := strings.Count(string(file.Data), "\n"); n != 20 {
			t.Fatalf("%s has %d lines", name, n)
		}
	}
}

var kinds = []struct {
	name     string
	distinct bool
}{{"distinct", true}, {"shared", false}}

// BenchmarkLoad loads the policies, everything included, beside reading the same bytes as
// nodes of YAML and nothing else.
func BenchmarkLoad(b *testing.B) {
	for _, kind := range kinds {
		files := policyFiles(kind.distinct)
		b.Run("policies/"+kind.name+"/yaml", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, file := range files {
					var node yaml.Node
					if err := yaml.Unmarshal(file.Data, &node); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run("policies/"+kind.name+"/redress", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				load(b, files)
			}
		})
	}
}

// BenchmarkLoadMemory says how many bytes of memory a loaded policy keeps, its text
// included, the CEL environment that all share left out.
func BenchmarkLoadMemory(b *testing.B) {
	load(b, fstest.MapFS{"p.yaml": policyFiles(true)["p0000.yaml"]}) // which makes the environment
	for _, kind := range kinds {
		b.Run("kept/"+kind.name+"/redress", func(b *testing.B) {
			b.ReportAllocs()
			var kept float64
			for b.Loop() {
				before := inUse()
				set := load(b, policyFiles(kind.distinct))
				kept = float64(inUse()-before) / loaded
				runtime.KeepAlive(set)
			}
			b.ReportMetric(kept, "B/policy")
		})
	}
}

func load(b *testing.B, files fstest.MapFS) *redress.Set {
	b.Helper()
	set, err := redress.Load(files)
	if err != nil {
		b.Fatal(err)
	}
	return set
}

// inUse is how much of the heap is reachable.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // what the first has found unreachable may have had a finalizer
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
