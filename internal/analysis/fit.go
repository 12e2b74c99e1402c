package analysis

import "slices"

// A fit says in which cases of one field a rule may hold, whatever the others are.
type fit struct {
	dim   int
	cases []bool
}

// Apart reports whether a field has no case in which both rules may hold. Most pairs of
// rules are so, and nothing more need be asked of them.
func (l *List) Apart(i, j int) bool {
	for _, a := range l.fitsOf(i) {
		for _, b := range l.fitsOf(j) {
			if a.dim == b.dim && !meet(a.cases, b.cases) {
				return true
			}
		}
	}
	return false
}

func meet(a, b []bool) bool {
	for i := range a {
		if a[i] && b[i] {
			return true
		}
	}
	return false
}

func (l *List) fitsOf(i int) []fit {
	if l.fits[i] != nil {
		return l.fits[i]
	}
	c := l.conds[i]
	assigned := slices.Repeat([]int{-1}, len(l.space.dims))
	for _, d := range c.dimensions(nil) {
		if l.space.dims[d].parent >= 0 {
			continue // a question about one case of a text
		}
		f := fit{d, make([]bool, len(l.space.dims[d].cases))}
		for k := range f.cases {
			assigned[d] = k
			f.cases[k] = c.eval(assigned)&isTrue != 0
		}
		assigned[d] = -1
		l.fits[i] = append(l.fits[i], f)
	}
	return l.fits[i]
}
