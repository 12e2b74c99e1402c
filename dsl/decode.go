package dsl

import (
	"fmt"
	"slices"
	"strings"
)

// A decoder turns nodes into values and collects what is wrong.
type decoder struct {
	src   *Source
	raw   []byte // what the nodes were read from: the source, with broken values painted over
	found Diagnostics
}

func newDecoder(src *Source) (d *decoder, docs []*node) {
	r := readYAML(src)
	return &decoder{src: src, raw: r.text, found: r.found}, r.docs
}

func (d *decoder) errorf(at Range, code Code, help, format string, args ...any) {
	d.report(Diagnostic{Range: at, Code: code, Message: fmt.Sprintf(format, args...), Help: help})
}

func (d *decoder) report(f Diagnostic) { d.found = append(d.found, f) }

// repeated reports a second thing where there may be one.
func (d *decoder) repeated(at, first Range, code Code, help, format string, args ...any) {
	d.report(Diagnostic{Range: at, Code: code, Message: fmt.Sprintf(format, args...), Help: help, Related: []Related{{first, "the first is here"}}})
}

// A field is one key of a mapping.
type field struct {
	key      string
	required bool
	read     func(*node)
	refused  bool // known, so that the message can say why it is not for here
}

func must(key string, read func(*node)) field   { return field{key: key, required: true, read: read} }
func may(key string, read func(*node)) field    { return field{key: key, read: read} }
func mayNot(key string, read func(*node)) field { return field{key: key, read: read, refused: true} }

// fieldNames lists keys. It copies them: if it kept what is in fields, the readers that
// stand beside them could not be made without allocating each.
func fieldNames(fields []field) []string {
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		if !f.refused {
			names = append(names, strings.Clone(f.key))
		}
	}
	return names
}

func indexOf(fields []field, key string) int {
	return slices.IndexFunc(fields, func(f field) bool { return f.key == key })
}

// mapping reads a mapping of known keys. what names it in messages. It reports
// whether there is a mapping.
func (d *decoder) mapping(n *node, what string, fields ...field) bool {
	m := n.target()
	if !d.hasCoreTag(n) {
		return false
	}
	if m.kind != mappingNode {
		d.errorf(n.rng(), CodeWrongType, "keys here: "+strings.Join(fieldNames(fields), ", "), "%s is a mapping of keys, not %s", what, n.describe())
		return false
	}
	given := make([]bool, len(fields)) // or probably meant
	d.keys(m, func(key, value *node) {
		i := indexOf(fields, key.value)
		switch {
		case i >= 0:
			given[i] = true
			help := "give it a value or leave the key out"
			if fields[i].required {
				help = "give it a value"
			}
			d.value(key, value, help, fields[i].read)
		case !key.isOwn():
			if i := indexOf(fields, d.unknownKey(key, what, fieldNames(fields))); i >= 0 {
				given[i] = true
			}
		}
	})
	var missing []string
	for i, f := range fields {
		if f.required && !given[i] {
			missing = append(missing, strings.Clone(f.key))
		}
	}
	if len(missing) > 0 {
		d.errorf(n.head(), CodeMissingKey, "add "+strings.Join(missing, ":, ")+":", "%s needs %s", what, enumerate(missing))
	}
	return true
}

// value reads the value of a key, if there is one. Of what could not be read it has
// been said.
func (d *decoder) value(key, value *node, help string, read func(*node)) {
	switch {
	case value.target().broken:
	case value.isNull():
		at := value.rng()
		if at.End == at.Start {
			at = key.rng()
		}
		d.errorf(at, CodeEmpty, help, "%s has no value", key.value)
	default:
		read(value)
	}
}

// replaceBy is the fix that writes another word in the place of a plain scalar.
func replaceBy(n *node, word string) []Fix {
	if n.kind != scalarNode || n.style != plainStyle || n.tagged || n.anchor {
		return nil
	}
	return []Fix{{Title: "write " + word, Edits: []Edit{{Range: n.rng(), Text: word}}}}
}

// enumerate joins words as a sentence does: "id, when and class".
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// unknownKey reports a key and returns the one that was probably meant.
func (d *decoder) unknownKey(key *node, what string, known []string) (meant string) {
	help := "keys here: " + strings.Join(known, ", ")
	if near, ok := Nearest(key.value, known); ok {
		d.report(Diagnostic{
			Range: key.rng(), Code: CodeUnknownKey, Message: fmt.Sprintf("unknown key %q in %s; did you mean %q?", shorten(key.value), what, near), Help: help,
			Fixes: replaceBy(key, near),
		})
		return near
	}
	d.errorf(key.rng(), CodeUnknownKey, help+"; keys that begin with x- are your own", "unknown key %q in %s", shorten(key.value), what)
	return ""
}

// entries reads a mapping whose keys are the user's. Keys that begin with x- are
// passed over, unless they may be names here.
func (d *decoder) entries(n *node, what string, read func(key, value *node)) {
	d.names(n, what, func(key, value *node) {
		if !key.isOwn() {
			read(key, value)
		}
	})
}

func (d *decoder) names(n *node, what string, read func(key, value *node)) {
	m := n.target()
	switch {
	case !d.hasCoreTag(n):
	case m.kind != mappingNode:
		d.errorf(n.rng(), CodeWrongType, "write it as a mapping: {name: value}", "%s is a mapping of names, not %s", what, n.describe())
	case len(m.items) == 0:
		d.errorf(n.rng(), CodeEmpty, "leave the key out if there is nothing to say", "%s is empty", what)
	default:
		d.keys(m, func(key, value *node) {
			if key.isOwn() {
				read(key, value)
				return
			}
			d.value(key, value, "give it a value or leave it out", func(value *node) { read(key, value) })
		})
	}
}

// keys visits the entries of a mapping whose keys are text, and reports the others,
// duplicates and merges. What the user keeps for himself is checked here.
func (d *decoder) keys(m *node, visit func(key, value *node)) {
	seen := keysOf(m)
	for i := 0; i+1 < len(m.items); i += 2 {
		key, value := m.items[i].target(), m.items[i+1]
		switch {
		case !d.isNew(m.items[i], seen.before(i)):
		case !key.isText():
			d.errorf(m.items[i].rng(), CodeWrongType, "put it in quotes if it is meant as a name", "a key is a text, not %s", key.describe())
		case key.isOwn():
			d.own(value)
			visit(key, value)
		default:
			visit(key, value)
		}
	}
}

// isNew reports a key that is a merge, or that first, which is not nil then, is too.
func (d *decoder) isNew(n, first *node) bool {
	key := n.target()
	switch {
	case key.kind != scalarNode:
		return true
	case key.tag == mergeTag:
		d.errorf(n.rng(), CodeYAMLFeature, "write the keys out", "<< merges mappings, which policies do not have")
		return false
	case first != nil:
		d.repeated(n.rng(), first.rng(), CodeDuplicateKey, "remove one of them", "%q is given twice", shorten(key.value))
		return false
	}
	return !key.broken
}

// own checks what stands behind a key that begins with x-: it may be anything, but for
// what no document may have. What aliases stand for is checked where it stands.
func (d *decoder) own(n *node) {
	if n.alias != nil || !d.hasCoreTag(n) {
		return
	}
	seen := keysOf(n)
	for i, item := range n.items {
		if n.kind == mappingNode && i%2 == 0 {
			d.isNew(item, seen.before(i))
		}
		d.own(item)
	}
}

// list reads a list whose entries are read one by one.
func (d *decoder) list(n *node, what string, read func(*node)) bool {
	l := n.target()
	switch {
	case !d.hasCoreTag(n):
		return false
	case l.kind != sequenceNode:
		d.errorf(n.rng(), CodeWrongType, "write it as a list: [...]", "%s is a list, not %s", what, n.describe())
		return false
	case len(l.items) == 0:
		d.errorf(n.rng(), CodeEmpty, "leave the key out if there is nothing to list", "%s is empty", what)
		return false
	}
	for _, item := range l.items {
		if !item.target().broken {
			read(item)
		}
	}
	return true
}

// readAll reads a list into a slice.
func readAll[T any](d *decoder, n *node, what string, all *[]T, read func(*node, *T)) {
	*all = slices.Grow(*all, len(n.target().items))
	d.list(n, what, func(item *node) {
		*all = append(*all, *new(T))
		read(item, &(*all)[len(*all)-1])
	})
}

// hasCoreTag refuses tags that are written and not of YAML's core.
func (d *decoder) hasCoreTag(n *node) bool {
	s := n.target()
	if s.isForeign() {
		d.errorf(n.rng(), CodeYAMLFeature, "remove the tag, or put the value in single quotes", "the tag %s is not one that policies have", d.tagOf(s))
		return false
	}
	return true
}

// scalar returns the node if it is a scalar of one of the tags.
func (d *decoder) scalar(n *node, what, want string, tags ...tag) (*node, bool) {
	s := n.target()
	if !d.hasCoreTag(n) {
		return nil, false
	}
	if s.kind != scalarNode || !slices.Contains(tags, s.tag) {
		help := ""
		if s.kind == scalarNode && slices.Contains(tags, strTag) && !s.isNull() {
			help = "put it in quotes: " + quoteSingle(s.value)
		}
		d.errorf(n.rng(), CodeWrongType, help, "%s is %s, not %s", what, want, n.describe())
		return nil, false
	}
	return s, true
}

func set[T any](v *Value[T], n *node, x T) { *v = Value[T]{Range: n.rng(), V: x, Set: true} }

func (d *decoder) text(what string, v *Value[string]) func(*node) {
	return func(n *node) {
		if s, ok := d.scalar(n, what, "a text", strTag); ok {
			set(v, n, s.value)
		}
	}
}

// phrase reads a text that says something.
func (d *decoder) phrase(what string, v *Value[string]) func(*node) {
	return func(n *node) {
		if d.text(what, v)(n); v.Set && strings.TrimSpace(v.V) == "" {
			d.errorf(n.rng(), CodeEmpty, "say something", "%s is empty", what)
		}
	}
}

// anyText also takes numbers and truth values as they are written: codes, for
// example, are texts that look like numbers.
func (d *decoder) anyText(what string, v *Value[string]) func(*node) {
	return func(n *node) {
		if s, ok := d.scalar(n, what, "a text", strTag, intTag, floatTag, boolTag, timestampTag); ok {
			set(v, n, s.value)
		}
	}
}

// isName reports whether a text is letters, digits, `-`, `_` and `.`, beginning with a
// letter or a digit.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && (c == '-' || c == '_' || c == '.'):
		default:
			return false
		}
	}
	return s != ""
}

// name reads a name of a document or a rule.
func (d *decoder) name(what string, v *Value[string]) func(*node) {
	return func(n *node) {
		s, ok := d.scalar(n, what, "a text", strTag)
		if !ok {
			return
		}
		if s.value != "" { // which would be a name that nothing has
			set(v, n, s.value)
		}
		if !isName(s.value) {
			d.errorf(n.rng(), CodeBadName, "use letters, digits, `-`, `_` and `.`, beginning with a letter or a digit", "%q is no name", s.value)
		}
	}
}

// title reads the name of a document. It is kept even if it is empty, so that all else that
// is wrong with the document is said, too.
func (d *decoder) title(doc *Document) func(*node) {
	return func(n *node) {
		if d.name("name", &doc.Name)(n); !doc.Name.Set && n.isText() {
			set(&doc.Name, n, "")
		}
	}
}

// word reads one word of a closed set.
func (d *decoder) word(what string, v *Value[string], known []string) func(*node) {
	return func(n *node) {
		if !n.isText() {
			d.scalar(n, what, "one of "+strings.Join(known, ", "), strTag)
			return
		}
		set(v, n, n.target().value)
		d.checkWord(n, CodeUnknownWord, what, v.V, known)
	}
}

func (d *decoder) checkWord(n *node, code Code, what, value string, known []string) bool {
	if slices.Contains(known, value) {
		return true
	}
	help := "one of " + strings.Join(known, ", ")
	if near, ok := Nearest(value, known); ok {
		d.report(Diagnostic{Range: n.rng(), Code: code, Message: fmt.Sprintf("%q is no %s; did you mean %s?", value, what, near), Help: help, Fixes: replaceBy(n, near)})
	} else {
		d.errorf(n.rng(), code, help, "%q is no %s", value, what)
	}
	return false
}

func (d *decoder) words(what string, v *Value[[]Value[string]], each string, known []string) func(*node) {
	return func(n *node) {
		var all []Value[string]
		ok := d.list(n, what, func(item *node) {
			var one Value[string]
			if known == nil {
				d.phrase(each, &one)(item)
			} else {
				d.word(each, &one, known)(item)
			}
			if one.Set {
				all = append(all, one)
			}
		})
		if ok {
			set(v, n, all)
		}
	}
}

// distinct reports repeated words of a list in which repetition means nothing.
func (d *decoder) distinct(v Value[[]Value[string]]) {
	first := map[string]Range{}
	for _, one := range v.V {
		if at, twice := first[one.V]; twice {
			d.repeated(one.Range, at, CodeDuplicateName, "remove one of them", "%s is listed twice", shorten(one.V))
			continue
		}
		first[one.V] = one.Range
	}
}

// truth are the words for which people take true and false.
var truth = map[string]string{"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}

func (d *decoder) boolean(what string, v *Value[bool]) func(*node) {
	return func(n *node) {
		s, ok := n.target(), d.hasCoreTag(n)
		if !ok {
			return
		}
		if s.kind == scalarNode && s.tag == boolTag && (s.value == "true" || s.value == "false") {
			set(v, n, s.value == "true")
			return
		}
		help, is := "write true or false", n.describe()
		if word := truth[strings.ToLower(s.value)]; s.kind == scalarNode && word != "" {
			help = "write " + word
			if s.style == plainStyle {
				is = s.value
			}
		}
		d.errorf(n.rng(), CodeWrongType, help, "%s is true or false, not %s", what, is)
	}
}
