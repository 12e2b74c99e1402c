package importer_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/redress-policy/redress/internal/importer"
)

// FuzzImport imports any bytes from every source: it never panics, and what it returns
// loads and says of every field what became of it. Behind the sources there is one more,
// for .properties files.
func FuzzImport(f *testing.F) {
	for i, from := range importer.Sources() {
		for _, file := range fixtures(f, from) {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if filepath.Ext(file) == ".properties" {
				f.Add(len(importer.Sources()), text)
			} else {
				f.Add(i, text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, i int, text []byte) {
		all := importer.Sources()
		from, file := "resilience4j", "fuzz.properties"
		if i := uint(i) % uint(len(all)+1); i < uint(len(all)) {
			from, file = all[i], "fuzz.yaml"
		}
		result, err := importer.Import(from, file, text)
		if err != nil {
			if file == "fuzz.properties" {
				checkErrorPlaces(t, text, err)
			}
			return
		}
		loads(t, result)
		if json.Valid(text) && file == "fuzz.yaml" {
			fields := 0
			for _, l := range result.Losses {
				if l.Path != "" {
					fields++
				}
			}
			if want := countFields(t, file, text); fields != want {
				t.Errorf("%d losses with a path for %d fields", fields, want)
			}
		}
		checkLosses(t, text, result)
		checkReport(t, result)
	})
}
