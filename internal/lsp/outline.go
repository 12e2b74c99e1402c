package lsp

import (
	"slices"
	"strings"
	"sync"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/interp"
)

// An outline is what the tolerant reader found in a source.
type outline struct {
	source *dsl.Source
	text   string
	docs   []*docOutline
}

// A docOutline is one document of a source.
type docOutline struct {
	*outline
	document
	kind string
	name *node // nil if it has none
}

func newOutline(source *dsl.Source) *outline {
	o := &outline{source: source, text: string(source.Bytes)}
	if len(o.text) > dsl.MaxFileSize {
		return o // it will not be loaded, whatever it says
	}
	for _, doc := range scanDocuments(o.text) {
		o.docs = append(o.docs, &docOutline{
			outline: o, document: doc,
			kind: doc.root.get(o.text, "kind").value(o.text), name: doc.root.get(o.text, "name"),
		})
	}
	return o
}

// outline reads a source, once.
func (s *server) outline(source *dsl.Source) *outline {
	if s.outlines[source] == nil {
		s.outlines[source] = newOutline(source)
	}
	return s.outlines[source]
}

// docAt is the document of an outline at a place.
func (o *outline) docAt(at int) *docOutline {
	for i, doc := range o.docs {
		if at < doc.end || i == len(o.docs)-1 {
			return doc
		}
	}
	return nil
}

func (d *docOutline) nameText() string { return d.name.value(d.text) }

// at returns the value at the end of a path of keys, nil if there is none.
func (d *docOutline) at(path ...string) *node {
	n := d.root
	for _, key := range path {
		n = n.get(d.text, key)
	}
	return n
}

// A ruleOutline is an entry of classify, classify_result or select that has an id.
type ruleOutline struct {
	id, class, when string
	node, idNode    *node
}

var ruleLists = [][]string{{"classify"}, {"classify_result"}, {"retry", "select"}}

// rules lists the rules of a document in their order.
func (d *docOutline) rules(lists ...[]string) []ruleOutline {
	var found []ruleOutline
	for _, n := range d.entries(lists) {
		if id := n.get(d.text, "id"); id != nil {
			found = append(found, ruleOutline{id.value(d.text), n.get(d.text, "class").value(d.text), n.get(d.text, "when").value(d.text), n, id})
		}
	}
	return found
}

// uses lists the packs that a document splices.
func (d *docOutline) uses(lists ...[]string) []string {
	var found []string
	for _, n := range d.entries(lists) {
		if use := n.get(d.text, "use"); use != nil {
			found = append(found, use.value(d.text))
		}
	}
	return found
}

func (d *docOutline) entries(lists [][]string) []*node {
	var all []*node
	for _, path := range lists {
		list := d.at(path...)
		if list == nil {
			continue
		}
		for _, it := range list.items {
			if it.value != nil && it.value.kind == mappingNode {
				all = append(all, it.value)
			}
		}
	}
	return all
}

// A setIndex is all documents of a set.
type setIndex struct {
	docs []*docOutline
}

func (s *server) index(of *set) setIndex {
	var x setIndex
	for _, source := range s.sourcesOf(of) {
		x.docs = append(x.docs, s.outline(source).docs...)
	}
	return x
}

// find returns the document of that kind and name, nil if there is none.
func (x setIndex) find(kind, name string) *docOutline {
	for _, doc := range x.docs {
		if doc.kind == kind && doc.name != nil && doc.nameText() == name {
			return doc
		}
	}
	return nil
}

// named lists the documents of a kind that have a name, each name once, sorted.
func (x setIndex) named(kind string) []*docOutline {
	var found []*docOutline
	seen := map[string]bool{}
	for _, doc := range x.docs {
		if name := doc.nameText(); doc.kind == kind && name != "" && !seen[name] {
			seen[name] = true
			found = append(found, doc)
		}
	}
	slices.SortFunc(found, func(a, b *docOutline) int { return strings.Compare(a.nameText(), b.nameText()) })
	return found
}

// pack returns the document of a rule pack, built-in or of the set; nil if there is
// none.
func (x setIndex) pack(name string) *docOutline {
	if pack := builtInPacks()[name]; pack != nil {
		return pack
	}
	return x.find("Classifier", name)
}

var builtInPacks = sync.OnceValue(func() map[string]*docOutline {
	packs := map[string]*docOutline{}
	for _, name := range interp.Packs() {
		text, _ := interp.PackSource(name)
		packs[name] = newOutline(dsl.NewSource(name+".yaml", text)).docAt(0)
	}
	return packs
})

// A packRule is a rule as tests name it.
type packRule struct {
	name string // "throttled" or "std.http/not-found"
	ruleOutline
}

// allRules lists the rules of a policy, spliced ones included, in the order in which
// they are tried.
func (x setIndex) allRules(policy *docOutline) []packRule {
	var all []packRule
	for _, rule := range policy.rules(ruleLists...) {
		all = append(all, packRule{rule.id, rule})
	}
	return append(all, x.splicedRules(policy, map[string]bool{})...)
}

func (x setIndex) splicedRules(doc *docOutline, seen map[string]bool) []packRule {
	var all []packRule
	for _, name := range doc.uses(ruleLists[:2]...) {
		pack := x.pack(name)
		if pack == nil || seen[name] {
			continue
		}
		seen[name] = true
		for _, rule := range pack.rules(ruleLists[:2]...) {
			all = append(all, packRule{name + "/" + rule.id, rule})
		}
		all = append(all, x.splicedRules(pack, seen)...)
	}
	return all
}
