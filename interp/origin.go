package interp

import (
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/redress-policy/redress/dsl"
)

// An Origin says where a setting or a rule of a policy is written, and what it took the
// place of.
type Origin struct {
	// Setting is "retry.deadline", "classify[throttled]" or, of another document that the
	// policy uses, "Budget pool: max_retries".
	Setting string `json:"setting"`
	Said
	Over []Said `json:"over,omitempty"` // what counted otherwise; the nearest first
}

// A Said is what one document says of a setting.
type Said struct {
	Value    string `json:"value"`           // in one line; empty if it does not say
	Layer    string `json:"layer,omitempty"` // its name; empty for a set without layers
	Place    string `json:"place"`           // "file:line:column"
	Override string `json:"override,omitempty"`

	value any // nil if it does not say
}

// Origins says of everything that the policy's documents say, and of what documents of
// lower layers say in vain, where it is written. Built-in packs are left out. A value that
// takes the place of an equal one takes the place of nothing.
func (p *Policy) Origins() []Origin {
	var all []Origin
	for _, doc := range p.uses {
		if doc.Override == nil {
			all = append(all, originsOf(doc)...)
		}
	}
	if p.override != nil {
		for _, o := range originsOf(p.override) {
			all = o.override(all)
		}
	}
	return all
}

// settingOf is what a field of an override sets; "" for its other fields.
func settingOf(field string) string {
	switch field {
	case "set.mode":
		return "mode"
	case "set.deadline", "set.attempt_timeout", "set.max_attempts", "set.max_unknown_attempts":
		return "retry." + field[len("set."):]
	}
	return ""
}

// override lays what an override says over what the policy does.
func (o Origin) override(all []Origin) []Origin {
	o.Setting = settingOf(o.Setting)
	if o.Setting == "" || o.value == nil {
		return all
	}
	i := slices.IndexFunc(all, func(other Origin) bool { return other.Setting == o.Setting })
	if i < 0 {
		return append(all, o)
	}
	o.Over = append(o.Over, all[i].Said)
	o.Over = append(o.Over, all[i].Over...)
	all[i] = o.distinct()
	return all
}

// originsOf tells of one document, over those in whose place it stands.
func originsOf(doc *dsl.Document) []Origin {
	prefix := ""
	if doc.Policy == nil && doc.Override == nil {
		prefix = fmt.Sprintf("%s %s: ", doc.Kind.V, doc.Name.V)
	}
	var all []Origin
	at := map[string]int{}
	for _, f := range doc.Fields() {
		if _, twice := at[f.Path]; !twice { // a pack that is spliced twice
			at[f.Path] = len(all)
			all = append(all, Origin{Setting: prefix + f.Path, Said: saidBy(doc, f)})
		}
	}
	for _, lower := range doc.Over {
		for _, f := range lower.Fields() {
			i, known := at[f.Path]
			if !known {
				i, at[f.Path] = len(all), len(all)
				all = append(all, Origin{Setting: prefix + f.Path, Said: Said{Layer: doc.Source.LayerName, Place: placeOf(doc.Name.Range), Override: nameOfOverride(doc)}})
			}
			all[i].Over = append(all[i].Over, saidBy(lower, f))
		}
	}
	for i := range all {
		all[i] = all[i].distinct()
	}
	return all
}

// distinct leaves out of what an origin stands over what says the same as what is above it.
func (o Origin) distinct() Origin {
	var over []Said
	above := o.value
	for _, s := range o.Over {
		if s.value != nil && !reflect.DeepEqual(above, s.value) {
			over = append(over, s)
			above = s.value
		}
	}
	o.Over = over
	return o
}

func saidBy(doc *dsl.Document, f dsl.Field) Said {
	return Said{Value: f.Text, Layer: doc.Source.LayerName, Place: placeOf(f.Range), Override: nameOfOverride(doc), value: f.Value}
}

func nameOfOverride(doc *dsl.Document) string {
	if doc.Override == nil {
		return ""
	}
	return doc.Name.V
}

func placeOf(r dsl.Range) string { return r.String() }

// origins are those that an explanation shows: all of a set with layers, else those of
// overrides.
func (p *Policy) origins() []Origin {
	all := p.Origins()
	if !p.layered {
		all = slices.DeleteFunc(all, func(o Origin) bool { return o.Override == "" })
	}
	return all
}

// printOrigins shows them with a column of layers, if there are any.
func printOrigins(w io.Writer, all []Origin) {
	if len(all) == 0 {
		return
	}
	width := 0
	for _, o := range all {
		width = max(width, len(o.Layer)+2)
	}
	if width == 2 {
		width = 0
	}
	fmt.Fprintln(w, "where it is written:")
	for _, o := range all {
		fmt.Fprintf(w, "  %-*s%s: %s\n", width, o.Layer, o.Setting, o.Said.text())
		for _, over := range o.Over {
			from := ""
			if over.Layer != "" {
				from = " " + over.Layer
			}
			fmt.Fprintf(w, "  %-*s  over%s: %s\n", width, "", from, over.text())
		}
	}
}

// maxShown bounds how much of a value is shown, in characters.
const maxShown = 100

func (s Said) text() string {
	value := s.Value
	if s.value == nil {
		value = "not written"
	}
	if runes := []rune(value); len(runes) > maxShown {
		value = string(runes[:maxShown]) + "..."
	}
	place := s.Place
	if s.Override != "" {
		place += ", override " + s.Override
	}
	return fmt.Sprintf("%s (%s)", value, place)
}
