package telemetry

import (
	"fmt"
	"strings"
)

// Tables returns the part of docs/telemetry.md that is made from the table.
func Tables() string {
	var b strings.Builder
	b.WriteString("| OpenTelemetry | Prometheus | unit | kind | labels | what it is |\n|---|---|---|---|---|---|\n")
	for _, i := range Instruments() {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s |\n", i.Name, i.PrometheusName(), unitName(i.Unit), i.Kind, strings.Join(i.LabelNames(), ", "), i.Help)
	}
	b.WriteString("\n| label | attribute in OpenTelemetry | values told apart | what it is |\n|---|---|---|---|\n")
	for _, l := range Labels() {
		limit := "all"
		if l.Limit > 0 {
			limit = fmt.Sprint(l.Limit)
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", l.Name, l.Attribute, limit, l.Help)
	}
	return b.String()
}

// unitName is the unit without the braces that OpenTelemetry puts around what is counted.
func unitName(unit string) string {
	if unit == "s" {
		return "seconds"
	}
	return strings.Trim(unit, "{}")
}
