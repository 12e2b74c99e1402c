package importer_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/redress-policy/redress/internal/importer"
)

// FuzzImport imports any bytes from every source: it never panics, and what it returns
// loads and says of every field what became of it.
func FuzzImport(f *testing.F) {
	for i, from := range importer.Sources() {
		for _, file := range fixtures(f, from) {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(i, text)
		}
	}
	f.Fuzz(func(t *testing.T, i int, text []byte) {
		all := importer.Sources()
		from := all[uint(i)%uint(len(all))]
		result, err := importer.Import(from, "fuzz.yaml", text)
		if err != nil {
			return
		}
		loads(t, result)
		if json.Valid(text) {
			fields := 0
			for _, l := range result.Losses {
				if l.Path != "" {
					fields++
				}
			}
			if want := countFields(t, text); fields != want {
				t.Errorf("%d losses with a path for %d fields", fields, want)
			}
		}
		checkLosses(t, text, result)
		checkReport(t, result)
	})
}
