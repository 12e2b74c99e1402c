package format

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
)

// difference says what of a text is not the same in another one, "" if they differ in
// spacing and order of keys alone.
func (l *loaded) difference(other *loaded) string {
	a, b := l.file.Documents, other.file.Documents
	if len(a) != len(b) {
		return fmt.Sprintf("%d documents would become %d", len(a), len(b))
	}
	for i := range a {
		if !reflect.DeepEqual(a[i].JSON(), b[i].JSON()) || !slices.Equal(varNames(a[i]), varNames(b[i])) {
			return fmt.Sprintf("document %d would mean something else", i+1)
		}
	}
	if !slices.Equal(messages(l.found), messages(other.found)) {
		return "other mistakes would be found in it"
	}
	before, after := l.inventory(), other.inventory()
	if lost := firstMissing(before.comments, after.comments); lost != "" {
		return "a comment would not be kept once: " + lost
	}
	if lost := firstMissing(before.scalars, after.scalars); lost != "" {
		return "a value would not be kept as written: " + lost
	}
	return ""
}

// varNames are the names of vars in order: a var may read those above it.
func varNames(doc *dsl.Document) (names []string) {
	var vars []dsl.Var
	switch {
	case doc.Policy != nil:
		vars = doc.Policy.Vars
	case doc.Classifier != nil:
		vars = doc.Classifier.Vars
	}
	for _, v := range vars {
		names = append(names, v.Name.V)
	}
	return names
}

func messages(found dsl.Diagnostics) (list []string) {
	for _, d := range found {
		list = append(list, d.Code.ID+" "+d.Message)
	}
	slices.Sort(list)
	return list
}

// firstMissing returns an entry that stands in two sorted lists not equally often.
func firstMissing(a, b []string) string {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(b) || i < len(a) && a[i] < b[i]:
			return a[i]
		case i >= len(a) || a[i] > b[i]:
			return b[i]
		}
	}
	return ""
}

// An inventory lists what must be kept, sorted.
type inventory struct {
	comments []string
	scalars  []string // properties, aliases and brackets included
}

func (l *loaded) inventory() *inventory {
	v := &inventory{}
	for _, p := range l.parts {
		v.above(p.above)
		v.note(p.note)
		v.scalars = append(v.scalars, p.marker)
		if p.root != nil {
			v.node(p.root)
		}
	}
	v.above(l.final)
	slices.Sort(v.comments)
	slices.Sort(v.scalars)
	return v
}

func (v *inventory) note(c comment) {
	if c.text != "" {
		v.comments = append(v.comments, c.text)
	}
}

func (v *inventory) above(list []comment) {
	for _, c := range list {
		v.note(c)
	}
}

func (v *inventory) node(n *node) {
	for _, l := range n.lead {
		v.above(l.above)
		v.note(l.note)
		v.scalars = append(v.scalars, l.properties...)
	}
	v.above(n.above)
	v.note(n.tail)
	v.above(n.foot)
	switch n.kind {
	case scalarNode:
		v.scalars = append(v.scalars, withoutIndent(n.text))
	case blockNode:
		v.scalars = append(v.scalars, n.text+"\n"+strings.Join(n.lines, "\n"))
	case flowNode:
		v.flow(n.tokens)
	}
	for _, e := range n.entries {
		v.above(e.above)
		v.above(e.between)
		if e.key != nil {
			v.node(e.key)
		}
		if e.value != nil {
			v.node(e.value)
		}
	}
}

func (v *inventory) flow(tokens []token) {
	for _, t := range tokens {
		if t.kind == commentToken {
			v.comments = append(v.comments, t.text)
			continue
		}
		v.scalars = append(v.scalars, withoutIndent(t.text))
	}
}

// withoutIndent drops the indent of the lines of a text behind the first.
func withoutIndent(text string) string {
	lines := strings.Split(text, "\n")
	for i := 1; i < len(lines); i++ {
		lines[i] = strings.TrimLeft(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
