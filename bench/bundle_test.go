//go:build linux

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/bundle"
)

// BenchmarkBundleProgram runs programs that load policies and end: one that reads the
// documents, one that reads their bundle. MB is the size of the stripped program.
func BenchmarkBundleProgram(b *testing.B) {
	for _, files := range []int{1, 100} {
		dir := policyFolder(b, files, true)
		data := filepath.Join(b.TempDir(), "policies.rbundle")
		buildBundle(b, dir, data)
		for name, path := range map[string]string{"load-source": dir, "load-bundle": data} {
			bin := filepath.Join(b.TempDir(), name)
			if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "./testdata/"+name).CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			info, err := os.Stat(bin)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/%d", name, files), func(b *testing.B) {
				for b.Loop() {
					if out, err := exec.Command(bin, path).CombinedOutput(); err != nil {
						b.Fatalf("%v\n%s", err, out)
					}
				}
				b.ReportMetric(float64(info.Size())/1e6, "MB")
			})
		}
	}
}

// BenchmarkBundleLoad loads the same policies in a program that runs already.
func BenchmarkBundleLoad(b *testing.B) {
	for _, files := range []int{1, 100} {
		dir := policyFolder(b, files, true)
		name := filepath.Join(b.TempDir(), "policies.rbundle")
		buildBundle(b, dir, name)
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("source/%d", files), func(b *testing.B) {
			for b.Loop() {
				if _, err := redress.Load(os.DirFS(dir)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("bundle/%d", files), func(b *testing.B) {
			for b.Loop() {
				if _, err := bundle.Load(data); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(data)), "bytes")
		})
	}
}

func buildBundle(b *testing.B, dir, name string) {
	if out, err := exec.Command(linter(b), "build", dir, "-o", name).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
}
