package cond

// A table numbers the values of a text field that rules name. All others are number 0.
type table struct {
	names []string // by number; the first is not used
	slots []slot   // a power of two, at most half of them taken
	none  int      // the number of the empty text
}

type slot struct {
	name   string
	number int // 0 if the slot is free
}

// find returns the number of a value. What is not known is returned as a constant: the
// processor guesses that, and goes on before it has seen the slot.
func (t *table) find(name string) int {
	if name == "" {
		return t.none
	}
	mask := uint(len(t.slots) - 1)
	for i := hash(name) & mask; ; i = (i + 1) & mask {
		switch s := &t.slots[i]; {
		case s.number == 0:
			return 0
		case s.name == name:
			return s.number
		}
	}
}

// hash tells apart what codes differ in mostly: the length, the beginning, the middle and
// the end. The name is not empty.
func hash(name string) uint {
	n := uint(len(name))
	return n + 31*uint(name[0]) + 7*uint(name[n/2]) + 131*uint(name[n-1])
}

// tableOf numbers the values of a field.
func tableOf(facets []facet, field func(*facet) *texts) table {
	t := table{names: []string{""}}
	seen := map[string]bool{}
	for i := range facets {
		for _, name := range field(&facets[i]).names {
			if !seen[name] {
				seen[name], t.names = true, append(t.names, name)
			}
		}
	}
	size := 2
	for size < 2*len(t.names) {
		size *= 2
	}
	t.slots = make([]slot, size)
	for number, name := range t.names {
		t.add(name, number)
	}
	return t
}

func (t *table) add(name string, number int) {
	if name == "" {
		t.none = number
		return
	}
	mask := uint(len(t.slots) - 1)
	i := hash(name) & mask
	for t.slots[i].number != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = slot{name, number}
}

// sets collects what each value says of the rules of a block.
func (t *table) sets(facets []facet, name string, field func(*facet) *texts) []sets {
	all := []sets{setsOf(facets, func(f *facet) outcome { return field(f).rest })}
	for _, value := range t.names[1:] {
		all = append(all, setsOf(facets, func(f *facet) outcome { return field(f).of(f.when, name, value) }))
	}
	return all
}
