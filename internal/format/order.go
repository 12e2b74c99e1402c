package format

import (
	"slices"
	"strings"
)

// arrange puts the keys of a value and all in it in order. Lists, and mappings whose
// keys are the user's, keep theirs.
func (n *node) arrange(s *shape, isRoot bool) {
	if n.kind == flowNode {
		n.arrangeFlow(s)
		return
	}
	for _, e := range n.entries {
		if e.value != nil {
			e.value.arrange(s.of(e.name()), false)
		}
	}
	if n.kind != mappingNode || s == nil || len(s.keys) == 0 || n.isOpen() {
		return
	}
	keys := make([]keyed, len(n.entries))
	for i, e := range n.entries {
		keys[i].name, keys[i].known = e.name()
		keys[i].anchors = e.anchors()
	}
	order := s.order(keys)
	if order == nil {
		return
	}
	entries := make([]*entry, len(order))
	for i, from := range order {
		entries[i] = n.entries[from]
	}
	if entries[0] != n.entries[0] {
		exchange(n.entries[0], entries[0], isRoot)
	}
	n.entries = entries
}

// exchange hands over what belongs to the first place of a mapping and not to the
// entry there: the empty line above, and at the top of a document its header comment.
func exchange(old, first *entry, isRoot bool) {
	var header []comment
	if isRoot {
		header, old.above = splitHeader(old.above)
	}
	oldGap, firstGap := startsEmpty(old.above), startsEmpty(first.above)
	if firstGap {
		first.above = first.above[1:]
	}
	switch {
	case firstGap && !oldGap:
		old.above = append([]comment{{}}, old.above...)
	case oldGap && !firstGap:
		old.above = old.above[1:]
	}
	if oldGap || len(header) > 0 && header[len(header)-1].text != "" && len(first.above) > 0 {
		first.above = append([]comment{{}}, first.above...)
	}
	first.above = append(header, first.above...)
}

func startsEmpty(list []comment) bool { return len(list) > 0 && list[0].text == "" }

// splitHeader divides the comments above a document's first key. Those next to the
// key are its own if others stand above an empty line.
func splitHeader(above []comment) (header, own []comment) {
	seen := false
	at := len(above)
	for i, c := range above {
		if c.text == "" && seen {
			at = i + 1
		}
		seen = seen || c.text != ""
	}
	return above[:at:at], above[at:]
}

// arrangeFlow does the same within a flow collection that stands on one line.
func (n *node) arrangeFlow(s *shape) {
	if strings.Contains(n.text, "\n") {
		return
	}
	f, _ := parseFlow(n.tokens)
	f.arrange(s)
	n.text = f.String()
}

func (f *flow) arrange(s *shape) {
	for _, e := range f.entries {
		for i, p := range e.parts {
			if p.in == nil {
				continue
			}
			if i == len(e.parts)-1 {
				p.in.arrange(s.of(e.name()))
			} else {
				p.in.arrange(nil)
			}
		}
	}
	if f.open != "{" || s == nil || len(s.keys) == 0 {
		return
	}
	keys := make([]keyed, len(f.entries))
	for i, e := range f.entries {
		keys[i].name, keys[i].known = e.name()
		keys[i].anchors = e.anchors()
	}
	if order := s.order(keys); order != nil {
		entries := make([]*flowEntry, len(order))
		for i, from := range order {
			entries[i] = f.entries[from]
		}
		f.entries = entries
	}
}

// A keyed is what decides the place of an entry.
type keyed struct {
	name    string
	known   bool // whether the name is known
	anchors []string
}

// order returns which entry comes first, second, and so on: by key, but never before
// an entry on which it depends. It is nil if there is a key that the language does
// not know.
func (s *shape) order(keys []keyed) (order []int) {
	ranks := make([][]int, len(s.keys)+2)
	for i, k := range keys {
		rank, ok := s.rank(k.name)
		if !k.known || !ok {
			return nil
		}
		ranks[rank] = append(ranks[rank], i)
	}
	before := dependencies(keys)
	placed := make([]bool, len(keys))
	var place func(i int)
	place = func(i int) {
		if placed[i] {
			return
		}
		placed[i] = true
		for _, j := range before[i] {
			place(j)
		}
		order = append(order, i)
	}
	for _, rank := range ranks {
		for _, i := range rank {
			place(i)
		}
	}
	return order
}

// dependencies lists for every entry, in order, those that must stay before it: what
// uses an anchor stays behind what sets it, and before what sets it anew.
func dependencies(keys []keyed) [][]int {
	before := make([][]int, len(keys))
	set, used := map[string]int{}, map[string][]int{}
	for i, k := range keys {
		for _, a := range k.anchors {
			name := a[1:]
			if at, ok := set[name]; ok && at != i {
				before[i] = append(before[i], at)
			}
			if a[0] == '*' {
				used[name] = append(used[name], i)
				continue
			}
			for _, at := range used[name] {
				if at != i {
					before[i] = append(before[i], at)
				}
			}
			set[name], used[name] = i, nil
		}
		slices.Sort(before[i])
		before[i] = slices.Compact(before[i])
	}
	return before
}

// name is the key of an entry as it decodes. ok is false if that takes more than
// dropping quotes.
func (e *entry) name() (name string, ok bool) {
	if e.key == nil || e.key.kind != scalarNode {
		return "", false
	}
	return plainName(e.key.text)
}

// anchors lists the anchors and aliases of an entry in order, each with its indicator.
func (e *entry) anchors() (list []string) {
	for _, n := range []*node{e.key, e.value} {
		if n != nil {
			list = append(list, n.anchors()...)
		}
	}
	return list
}

func (n *node) anchors() (list []string) {
	for _, l := range n.lead {
		for _, p := range l.properties {
			list = appendAnchor(list, p, true)
		}
	}
	if n.kind == scalarNode {
		list = appendAnchor(list, n.text, false)
	}
	for _, t := range n.tokens {
		list = appendAnchor(list, t.text, t.kind == propertyToken)
	}
	for _, e := range n.entries {
		list = append(list, e.anchors()...)
	}
	return list
}

// isOpen reports whether a value ends with a block that ends without a line break:
// nothing can stand behind it.
func (n *node) isOpen() bool {
	if len(n.entries) == 0 {
		return n.open
	}
	last := n.entries[len(n.entries)-1]
	if last.value == nil {
		return last.key.isOpen()
	}
	return last.value.isOpen()
}
