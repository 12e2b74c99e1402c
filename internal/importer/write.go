package importer

import (
	"slices"
	"strings"
)

// A block is a mapping of the output.
type block []entry

// An entry is one key of a block with its value: text, a mapping, a list of texts or a
// list of mappings.
type entry struct {
	above   []string // comments
	key     string
	value   string
	comment string
	sub     block
	texts   []val
	items   []block
}

// A val is a value as YAML, with a comment that says where it comes from.
type val struct{ text, comment string }

func (v val) given() bool { return v.text != "" }

func (b *block) put(key string, v val) {
	if v.given() {
		*b = append(*b, entry{key: key, value: v.text, comment: v.comment})
	}
}

func (b *block) nest(key string, sub block, above ...string) {
	if len(sub) > 0 {
		*b = append(*b, entry{key: key, sub: sub, above: above})
	}
}

// A document is one document of the output.
type document struct {
	head []string // comments above it
	body block
}

func (j *job) add(kind, name string, head []string, body block) {
	all := block{{key: "apiVersion", value: "redress/v1"}, {key: "kind", value: kind}, {key: "name", value: yamlText(name)}}
	j.docs = append(j.docs, document{head, append(all, body...)})
}

// write renders the documents.
func (j *job) write() []byte {
	var w writer
	w.comment(0, "Imported from the "+j.title+" "+j.file+".")
	w.comment(0, "Behind a value stands the field that it comes from. What could not be kept is in the report of losses.")
	w.WriteByte('\n')
	for i, d := range j.docs {
		if i > 0 {
			w.WriteString("---\n")
		}
		for _, line := range d.head {
			w.comment(0, line)
		}
		w.block(0, d.body)
	}
	return []byte(w.String())
}

type writer struct{ strings.Builder }

func (w *writer) indent(depth int) { w.WriteString(strings.Repeat("  ", depth)) }

func (w *writer) comment(depth int, text string) {
	w.indent(depth)
	w.WriteString("# " + text + "\n")
}

func (w *writer) block(depth int, b block) {
	for _, e := range b {
		w.entry(depth, e, false)
	}
}

// maxLine is how long a line may become by a comment; longer ones stand above.
const maxLine = 100

// entry writes one entry. The first of an item stands behind its dash.
func (w *writer) entry(depth int, e entry, dashed bool) {
	line := e.key + ":"
	if e.value != "" {
		line += " " + e.value
	}
	if !dashed {
		if e.comment != "" && 2*depth+len(line)+len(e.comment) > maxLine {
			e.above, e.comment = append(slices.Clone(e.above), e.comment), ""
		}
		for _, line := range e.above {
			w.comment(depth, line)
		}
		w.indent(depth)
	}
	w.WriteString(line)
	w.behind(e.comment)
	for _, v := range e.texts {
		w.indent(depth + 1)
		w.WriteString("- " + v.text)
		w.behind(v.comment)
	}
	for _, item := range e.items {
		for _, line := range item[0].above {
			w.comment(depth+1, line)
		}
		w.indent(depth + 1)
		w.WriteString("- ")
		w.entry(depth+2, item[0], true)
		w.block(depth+2, item[1:])
	}
	w.block(depth+1, e.sub)
}

func (w *writer) behind(comment string) {
	if comment != "" {
		w.WriteString("  # " + comment)
	}
	w.WriteByte('\n')
}
