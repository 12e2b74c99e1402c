package load

import (
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/interp"
)

// Parts are a set divided so that one part after another can be loaded and let go: what
// is held at a time does not grow with the set. Documents that only make sense together
// stand in one part: policies and their tests, classifiers that use each other, and what
// claims the same name or operation. The classifiers, budgets and breakers of other parts
// are held for all that refer to them, and so are environments. Parts may be loaded at
// the same time.
type Parts struct {
	Names        dsl.Names
	Environments []*dsl.Document // of all parts

	sources  [][]*dsl.Source
	parsed   map[*dsl.Source]parsedFile // nil for a set that is too large to hold
	library  map[dsl.Reference]*dsl.Document
	broken   map[*dsl.Source]bool // those of the library that have errors
	compiler *interp.Compiler
}

// maxParsed is up to which size of its sources a set is held parsed. Of what is larger no
// more is read than is needed to divide it, before each part is read when it is loaded.
const maxParsed = 256 << 10

type parsedFile struct {
	file  *dsl.File
	found dsl.Diagnostics
}

// Split divides a set. Mistakes are found when the parts are loaded.
func Split(sources []*dsl.Source, opts interp.Options) *Parts {
	p := &Parts{Names: dsl.Names{}, library: map[dsl.Reference]*dsl.Document{}, broken: map[*dsl.Source]bool{}, compiler: interp.NewCompiler(opts)}
	size := 0
	for _, source := range sources {
		size += len(source.Bytes)
	}
	if size <= maxParsed {
		p.parsed = map[*dsl.Source]parsedFile{}
	}
	together := newGroups(len(sources))
	for i, source := range sources {
		for _, doc := range p.read(source).Documents {
			p.note(doc)
			for _, claim := range claims(doc) {
				together.join(claim, i)
			}
		}
	}
	p.sources = together.divide(sources)
	return p
}

// read reads a source as far as it is needed: whole, if it is held or has documents that are.
func (p *Parts) read(source *dsl.Source) *dsl.File {
	if p.parsed == nil {
		if file, ok := dsl.Outline(source); ok {
			return file
		}
	}
	file, found := dsl.Parse(source)
	if p.parsed != nil {
		p.parsed[source] = parsedFile{file, found}
	}
	p.broken[source] = found.HasErrors()
	return file
}

func (p *Parts) note(doc *dsl.Document) {
	if doc.Environment != nil {
		p.Environments = append(p.Environments, doc)
	}
	if !doc.Kind.Set || doc.Name.V == "" {
		return
	}
	kind, name := strings.Clone(doc.Kind.V), strings.Clone(doc.Name.V) // of a text that is let go
	p.Names[kind] = append(p.Names[kind], name)
	if key := (dsl.Reference{Kind: kind, Name: name}); p.library[key] == nil && doc.Shared() {
		p.library[key] = doc
	}
}

// claims are what a document shares with those that must stand in the same part.
func claims(doc *dsl.Document) []dsl.Reference {
	var list []dsl.Reference
	if doc.Kind.Set && doc.Name.V != "" {
		list = append(list, dsl.Reference{Kind: doc.Kind.V, Name: doc.Name.V})
	}
	if doc.Test != nil && doc.Test.Policy.Set {
		list = append(list, dsl.Reference{Kind: "Policy", Name: doc.Test.Policy.V})
	}
	if doc.Override != nil && doc.Override.Policy.Set {
		list = append(list, dsl.Reference{Kind: "Policy", Name: doc.Override.Policy.V})
	}
	if doc.Settings != nil { // all of them must agree
		list = append(list, dsl.Reference{Kind: "Set"})
	}
	if doc.Classifier != nil { // classifiers may use each other in a cycle
		list = append(list, slices.DeleteFunc(doc.Uses(), func(r dsl.Reference) bool { return interp.IsBuiltIn(r.Name) })...)
	}
	if doc.Policy != nil {
		for _, op := range doc.Policy.Operations.V {
			list = append(list, dsl.Reference{Kind: "operation", Name: op.V})
		}
	}
	return list
}

// Len is the number of parts.
func (p *Parts) Len() int { return len(p.sources) }

// Sources are the sources of one part.
func (p *Parts) Sources(i int) []*dsl.Source { return p.sources[i] }

// Load loads one part. Its diagnostics are those of its own documents.
func (p *Parts) Load(i int) *Result {
	set, found := p.set(i)
	own := map[*dsl.Source]bool{}
	for _, source := range p.sources[i] {
		own[source] = true
	}
	set.Whole, set.Library = p.Names, p.closure(set, own)
	result := compile(p.compiler, set, found)
	result.Sound = result.Sound && !slices.ContainsFunc(set.Library, func(d *dsl.Document) bool { return p.broken[d.Source] })
	result.Diagnostics = slices.DeleteFunc(result.Diagnostics, func(d dsl.Diagnostic) bool { return !own[d.Range.Source] })
	return result
}

// set is one part, parsed.
func (p *Parts) set(i int) (*dsl.Set, dsl.Diagnostics) {
	if p.parsed == nil {
		return dsl.ParseSet(p.sources[i])
	}
	var files []*dsl.File
	var found dsl.Diagnostics
	for _, source := range p.sources[i] {
		files = append(files, p.parsed[source].file)
		found = append(found, p.parsed[source].found...)
	}
	set, more := dsl.SetOf(files)
	found = append(found, more...)
	found.Sort()
	return set, found
}

// closure finds the documents of other parts that a part refers to, through others too.
func (p *Parts) closure(set *dsl.Set, own map[*dsl.Source]bool) []*dsl.Document {
	var list []*dsl.Document
	seen := map[dsl.Reference]bool{}
	var follow func(*dsl.Document)
	follow = func(doc *dsl.Document) {
		for _, ref := range doc.Uses() {
			other := p.library[ref]
			if other == nil || seen[ref] {
				continue
			}
			seen[ref] = true
			if !own[other.Source] {
				list = append(list, other)
			}
			follow(other)
		}
	}
	for doc := range set.All() {
		follow(doc)
	}
	return list
}

// groups joins files that claim the same: a forest of disjoint sets.
type groups struct {
	parent []int
	first  map[dsl.Reference]int // the first file that claims it
}

func newGroups(n int) *groups {
	g := &groups{parent: make([]int, n), first: map[dsl.Reference]int{}}
	for i := range g.parent {
		g.parent[i] = i
	}
	return g
}

func (g *groups) root(i int) int {
	for g.parent[i] != i {
		g.parent[i] = g.parent[g.parent[i]]
		i = g.parent[i]
	}
	return i
}

func (g *groups) join(claim dsl.Reference, file int) {
	first, ok := g.first[claim]
	if !ok {
		g.first[claim] = file
		return
	}
	a, b := g.root(first), g.root(file)
	g.parent[max(a, b)] = min(a, b)
}

// divide returns the groups in the order of their first files.
func (g *groups) divide(sources []*dsl.Source) [][]*dsl.Source {
	var parts [][]*dsl.Source
	at := map[int]int{} // of a group's root in parts
	for i, source := range sources {
		root := g.root(i)
		if _, ok := at[root]; !ok {
			at[root] = len(parts)
			parts = append(parts, nil)
		}
		parts[at[root]] = append(parts[at[root]], source)
	}
	return parts
}
