package importer

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Report writes what became of each field as a table, with a sentence below each that
// needs one, then the values that the input does not give, then the sums.
func (r *Result) Report(w io.Writer) {
	var given, gaps []Loss
	for _, l := range r.Losses {
		if l.Path != "" {
			given = append(given, l)
		} else {
			gaps = append(gaps, l)
		}
	}
	widest := len("field")
	for _, l := range given {
		widest = max(widest, min(utf8.RuneCountInString(field(l)), 70))
	}
	fmt.Fprintf(w, "%5s  %-12s  %-*s  %s\n", "line", "status", widest, "field", "became")
	for _, l := range given {
		became := clean(l.Became)
		if became == "" {
			became = "-"
		}
		left := field(l)
		if utf8.RuneCountInString(left) > widest && l.Became != "" {
			left += "\n" + strings.Repeat(" ", 21+widest)
		}
		fmt.Fprintf(w, "%5d  %-12s  %-*s  %s\n", l.Line, l.Status, widest, left, became)
		if l.Why != "" && l.Why != outside {
			fmt.Fprintf(w, "%21s%s\n", "", clean(l.Why))
		}
	}
	if len(gaps) > 0 {
		fmt.Fprintf(w, "\nnot in the input, but needed:\n")
	}
	for _, l := range gaps {
		fmt.Fprintf(w, "%5d  %s\n%21s%s\n", l.Line, clean(l.Became), "", clean(l.Why))
	}
	fmt.Fprintf(w, "\n%s\n", r.sums(len(given), len(gaps)))
}

func (r *Result) sums(given, gaps int) string {
	n := map[Status]int64{}
	strangers := int64(0)
	for _, l := range r.Losses {
		if l.Path != "" {
			n[l.Status]++
		}
		if l.Why == outside {
			strangers++
		}
	}
	s := fmt.Sprintf("%s: %d exact, %d approximated, %d dropped", counted(int64(given), "field"), n[Exact], n[Approximated], n[Dropped])
	if strangers > 0 {
		s += fmt.Sprintf(" (%d of them are no failure handling; their values are not shown)", strangers)
	}
	if gaps > 0 {
		s += "; " + counted(int64(gaps), "value") + " that the input does not give"
	}
	return s
}

// field shows path and value of a loss.
func field(l Loss) string {
	path := clean(l.Path)
	if l.Value == "" {
		return path
	}
	value := plain(l.Value)
	if utf8.RuneCountInString(value) > 40 {
		value = string([]rune(value)[:39]) + "…"
	}
	return path + " = " + value
}
