package rules

import (
	"fmt"
	"strings"

	"github.com/redress-policy/redress/dsl"
)

// Markdown is the page of the rule without its title.
func (r Rule) Markdown() string {
	var b strings.Builder
	severity := r.Severity.String()
	switch {
	case r.Off:
		severity += ", off by default"
	case r.Fixed:
		severity += ", keeps a set from loading"
	}
	fmt.Fprintf(&b, "%s. Category: %s. Severity: %s.", sentence(r.Summary), r.Category(), severity)
	if r.Fixable {
		b.WriteString(" `--fix` can mend it.")
	}
	fmt.Fprintf(&b, "\n\n%s\n\n**Why.** %s\n", r.What, r.Why)
	if r.Bad != "" {
		fmt.Fprintf(&b, "\n**Bad**\n\n```yaml\n%s```\n", shown(r.Bad))
	}
	if r.Good != "" {
		fmt.Fprintf(&b, "\n**Good**\n\n```yaml\n%s```\n", shown(r.Good))
	}
	if r.Source != "" {
		fmt.Fprintf(&b, "\n**Source.** %s.\n", strings.TrimSuffix(r.Source, "."))
	}
	return b.String()
}

// shown writes an example such that characters without a shape can be seen.
func shown(text string) string {
	return strings.NewReplacer("\x01", "\u2401", "\t", "\u2192").Replace(Example(text))
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Pages returns the pages of docs/rules by name, the index included.
func Pages() map[string]string {
	const note = "<!-- Made from internal/rules/table.go by `go test ./internal/rules -update`. -->\n\n"
	pages := map[string]string{}
	var index strings.Builder
	index.WriteString(note + "# Rules of redress-lint\n\nWhat redress-lint can find. The first digit of an id is its category; ids are never used again.\n")
	category := ""
	for _, r := range table {
		pages[r.Page()] = note + fmt.Sprintf("# %s %s\n\n%s", r.Code.ID, r.Code.Slug, r.Markdown())
		if r.Category() != category {
			category = r.Category()
			fmt.Fprintf(&index, "\n## %s\n\n| rule | severity | finds |\n|---|---|---|\n", sentence(category))
		}
		severity := r.Severity.String()
		if r.Off {
			severity = "off (" + severity + ")"
		}
		fmt.Fprintf(&index, "| [%s](%s) %s | %s | %s |\n", r.Code.ID, r.Page(), r.Code.Slug, severity, r.Summary)
	}
	pages["README.md"] = index.String()
	return pages
}

// ConfigSchema is the JSON Schema of .redress-lint.yaml, as a value to be encoded.
func ConfigSchema() map[string]any {
	level := map[string]any{"enum": []string{"off", "info", "warning", "error"}}
	properties := map[string]any{}
	for _, r := range table {
		if r.Fixed {
			continue
		}
		for _, name := range []string{r.Code.ID, r.Code.Slug} {
			one := map[string]any{"$ref": "#/$defs/level", "description": sentence(r.Summary) + "."}
			if !r.Off {
				one["default"] = r.Severity.String()
			} else {
				one["default"] = "off"
			}
			properties[name] = one
		}
	}
	rules := map[string]any{"type": "object", "description": "How much rules matter, by id or slug.", "properties": properties, "additionalProperties": false}
	texts := func(description string) map[string]any {
		return map[string]any{"type": "array", "description": description, "items": map[string]any{"type": "string", "minLength": 1}}
	}
	return map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:redress-policy:lint-config:v1", "title": "The config file of redress-lint",
		"description": "Stands as .redress-lint.yaml in the folder from which redress-lint runs, or above it.",
		"type":        "object", "additionalProperties": false,
		"properties": map[string]any{
			"fail_on": map[string]any{"enum": []string{dsl.Error.String(), dsl.Warning.String(), dsl.Info.String()}, "default": "error", "description": "The least severity that makes the exit code 1."},
			"rules":   map[string]any{"$ref": "#/$defs/rules"},
			"paths": map[string]any{"type": "array", "description": "What matters in some files; of entries that match, the last counts.", "items": map[string]any{
				"type": "object", "additionalProperties": false, "required": []string{"match"},
				"properties": map[string]any{"match": map[string]any{"type": "string", "minLength": 1, "description": "A pattern of paths; ** stands for any folders."}, "rules": map[string]any{"$ref": "#/$defs/rules"}},
			}},
			"exclude":      texts("Patterns of files that are not looked at."),
			"environments": texts("Files with Environment documents to reckon with."),
			"functions":    texts("Strategy functions that the program registers with redress.WithStrategy."),
			"baseline":     map[string]any{"type": "string", "minLength": 1, "description": "A file of findings that are known and not reported."},
		},
		"$defs": map[string]any{"level": level, "rules": rules},
	}
}
