package dsl

// Outline reads no more of a source than what it shares with other sources of a set: the
// kinds and names of its documents, the operations of policies, and the policies that tests
// and overrides are about. Of this it says the same as Parse, in a fraction of the time.
// ok is false if only Parse can tell: if the source is not plain, or if documents of it may
// be used by others.
func Outline(src *Source) (file *File, ok bool) {
	if _, readable := checkText(src); !readable {
		return nil, false
	}
	roots, ok := readPlain(src)
	if !ok {
		return nil, false
	}
	d := &decoder{src: src, raw: src.Bytes}
	file = &File{Source: src}
	for _, root := range roots {
		doc := d.outline(root)
		if doc.Shared() || doc.Environment != nil {
			return nil, false
		}
		file.Documents = append(file.Documents, doc)
	}
	return file, true
}

// outline reads the fields of a document that Outline speaks of. What else is in it, and
// what is wrong with it, is passed over.
func (d *decoder) outline(root *node) *Document {
	doc := &Document{Source: d.src, Range: root.rng(), root: root}
	fields := d.header(doc)
	if d.body(doc, root.word("kind")) != nil {
		fields = append(fields, may("name", d.title(doc)))
	}
	switch {
	case doc.Policy != nil:
		fields = append(fields, may("operations", d.words("operations", &doc.Policy.Operations, "an operation", nil)))
	case doc.Test != nil:
		fields = append(fields, may("policy", d.name("policy", &doc.Test.Policy)))
	case doc.Override != nil:
		fields = append(fields, may("policy", d.name("policy", &doc.Override.Policy)))
	}
	d.keys(root, func(key, value *node) {
		if i := indexOf(fields, key.value); i >= 0 {
			d.value(key, value, "", fields[i].read)
		}
	})
	return doc
}
