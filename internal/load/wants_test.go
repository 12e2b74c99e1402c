package load_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/load"
)

var wantLine = regexp.MustCompile(`(?m)^# want: (?:(RD\d{3}) )?line (\d+)\r?$`)

// TestBadPoliciesAreRefusedAtTheWantedLines reads what each bad file says of itself,
// which nobody rewrites with a flag.
func TestBadPoliciesAreRefusedAtTheWantedLines(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus, "bad", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad policies: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		found := load.Sources([]*dsl.Source{dsl.NewSource(name, text)}, options()).Diagnostics
		for _, want := range wantLine.FindAllStringSubmatch(string(text), -1) {
			line, _ := strconv.Atoi(want[2])
			if !reported(found, want[1], line) {
				t.Errorf("%s wants %s, got\n%v", name, strings.TrimPrefix(want[0], "# want: "), found.Err())
			}
		}
	}
}

func reported(found dsl.Diagnostics, code string, line int) bool {
	for _, d := range found {
		if d.Range.Position().Line == line && (code == "" || code == d.Code.ID) {
			return true
		}
	}
	return false
}
