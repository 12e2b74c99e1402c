package importer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redress-policy/redress/internal/importer"
	"github.com/redress-policy/redress/redresstest"
)

// TestImportedPoliciesBehaveAsTheSourceSays runs the policy tests that stand beside the
// inputs, on the policies that come of them.
func TestImportedPoliciesBehaveAsTheSourceSays(t *testing.T) {
	for _, from := range importer.Sources() {
		tests, err := filepath.Glob(filepath.Join("testdata", from, "*.test"))
		if err != nil || len(tests) == 0 {
			t.Fatalf("no tests of %s: %v", from, err)
		}
		for _, file := range tests {
			base := strings.TrimSuffix(file, ".test")
			policies, err := os.ReadFile(base + ".out") // which another test holds to be what is imported
			if err != nil {
				t.Fatal(err)
			}
			test, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(from+"/"+filepath.Base(base), func(t *testing.T) {
				redresstest.Run(t, fstest.MapFS{"policies.yaml": {Data: policies}, "policies_test.yaml": {Data: test}})
			})
		}
	}
}
