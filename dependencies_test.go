package redress_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/internal/proof"
)

const dependenciesPage = "docs/dependencies.md"

const dependenciesIntroduction = `# Dependencies and their failures

What the built-in rule packs make of failures, as seen by tests that provoke each one: on a real server or a real client library, never with an error made up for the test. Where a driver has its own words for a failure, this shows what rules see of it.

This page is made of the tables that those tests write and compare, ` + "`testdata/failures.tsv`" + ` beside each. A class is only a proposal: a rule of your policy that stands before ` + "`use:`" + ` decides first. The packs are listed in [the language](language.md#built-in-rule-packs).
`

// TestDependenciesPageShowsWhatTheTestsSaw makes docs/dependencies.md of the tables that
// the tests of the integrations hold against real servers.
func TestDependenciesPageShowsWhatTheTestsSaw(t *testing.T) {
	tables := failureTables(t)
	var page bytes.Buffer
	page.WriteString(dependenciesIntroduction)
	for _, table := range tables {
		fmt.Fprintf(&page, "\n## %s\n\n| failure | what rules see | class | by rule |\n|---|---|---|---|\n", table.dependency)
		for _, r := range table.rows {
			fmt.Fprintf(&page, "| %s | %s | `%s` | `%s` |\n", cell(r.Failure), code(r.Seen), r.Class, r.Rule)
		}
	}
	if *update {
		if err := os.WriteFile(dependenciesPage, page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	shown, err := os.ReadFile(dependenciesPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(shown, page.Bytes()) {
		t.Errorf("%s is not what the tables say: go test -run TestDependenciesPage -update .", dependenciesPage)
	}
}

type failureTable struct {
	dependency string
	rows       []proof.Row
}

// failureTables returns the tables in the order of the modules' paths, rows in their
// order.
func failureTables(t *testing.T) []*failureTable {
	t.Helper()
	var tables []*failureTable
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() != "failures.tsv" || strings.HasPrefix(path, "internal") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rows, err := proof.ParseRows(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, r := range rows {
			at := slices.IndexFunc(tables, func(table *failureTable) bool { return table.dependency == r.Dependency })
			if at < 0 {
				at, tables = len(tables), append(tables, &failureTable{dependency: r.Dependency})
			}
			tables[at].rows = append(tables[at].rows, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + cell(text) + "`"
}
