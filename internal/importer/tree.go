package importer

import (
	"strconv"
	"strings"
)

type kind int

const (
	mapping kind = iota
	list
	textual
	numeric
	boolean
	null
)

// A node is one value of the input.
type node struct {
	kind         kind
	key          string // under which it stands in its mapping; that of its list, for items
	form         string // the key's, once it was asked for
	index        int    // in its list, or -1
	value        string // of a scalar, as it is written
	line, column int
	parent       *node
	kids         []*node
	document     int // counted from 1 in files of several documents, else 0

	marked bool
	loss   Loss   // of a leaf
	zone   string // why what is not known below it was dropped; "" if it is no failure handling
	caveat string // why the value is not certain

	real *node // of which this is a view, see expand
	view *node // what stands for this in the view, if there is one
}

// leaf tells whether the node is a field that gets a loss.
func (n *node) leaf() bool { return len(n.kids) == 0 }

func (n *node) scalar() bool { return n.kind >= textual }

// keyForm reduces spellings of a key to one: max_attempts, max-attempts and maxAttempts
// are the same.
func keyForm(key string) string {
	return strings.ToLower(noSeparators.Replace(key))
}

var noSeparators = strings.NewReplacer("_", "", "-", "")

// get returns the value of a key in any spelling, nil if there is none or it is null.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapping {
		return nil
	}
	form := keyForm(key)
	for _, kid := range n.kids {
		if kid.form == "" {
			kid.form = keyForm(kid.key)
		}
		if kid.form == form && kid.kind != null {
			return kid
		}
	}
	return nil
}

// at follows keys.
func (n *node) at(keys ...string) *node {
	for _, key := range keys {
		n = n.get(key)
	}
	return n
}

func (n *node) has(keys ...string) bool {
	for _, key := range keys {
		if n.get(key) != nil {
			return true
		}
	}
	return false
}

// path names the node for people: methodConfig[0].retryPolicy.
func (n *node) path() string {
	if n.real != nil {
		return n.real.path()
	}
	var parts []string
	for ; n.parent != nil; n = n.parent {
		switch {
		case n.document > 0:
			parts = append(parts, "#"+strconv.Itoa(n.document)+" ")
		case n.index >= 0:
			parts = append(parts, "["+strconv.Itoa(n.index)+"]")
		default:
			parts = append(parts, "."+keyText(n.key))
		}
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
	}
	return strings.Replace(strings.TrimPrefix(b.String(), "."), " .", " ", 1)
}

// keyText writes a key so that it cannot be taken for something else in a path.
func keyText(key string) string {
	for _, c := range key {
		if c != '_' && c != '-' && c != '@' && c != '$' && c != '/' && !isAlnum(c) {
			return `"` + strings.Trim(strconv.Quote(key), `"`) + `"`
		}
	}
	if key == "" {
		return `""`
	}
	return key
}

func isAlnum(c rune) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// leaves calls f for all fields below the node in their order.
func (n *node) leaves(f func(*node)) {
	if n.leaf() {
		f(n)
		return
	}
	for _, kid := range n.kids {
		kid.leaves(f)
	}
}

// mark notes what became of a leaf. What serves several policies is marked several
// times: the worst fate is reported, with all that it became.
func (n *node) mark(status Status, became, why string) {
	switch {
	case n == nil:
		return
	case n.real != nil && (n.kind != mapping || n.leaf()):
		n.real.mark(status, became, why)
		return
	case !n.leaf():
		n.leaves(func(l *node) { l.mark(status, became, why) })
		return
	}
	l := &n.loss
	if !n.marked {
		n.marked = true
		*l = Loss{Status: status, Became: became, Why: why}
		return
	}
	if became != "" && l.Status == Dropped {
		l.Status = Approximated
	} else if worse[status] > worse[l.Status] {
		l.Status = Approximated // it is kept in one place and not in another
		if became == "" && l.Became == "" {
			l.Status = Dropped
		}
	}
	l.Became = joined(l.Became, became, ", ")
	l.Why = joined(l.Why, why, "; ")
}

// joined appends what is not already there.
func joined(all, more, separator string) string {
	if all == "" || more == "" {
		return all + more
	}
	for _, one := range strings.Split(all, separator) {
		if one == more {
			return all
		}
	}
	if len(all) > maxNotes {
		return strings.TrimSuffix(all, andMore) + andMore
	}
	return all + separator + more
}

// maxNotes bounds what is said of one field.
const (
	maxNotes = 2000 // bytes, or a little more
	andMore  = " and more"
)

func (n *node) exact(became string)       { n.mark(Exact, became, "") }
func (n *node) approx(became, why string) { n.mark(Approximated, became, why) }
func (n *node) drop(why string)           { n.mark(Dropped, "", why) }

// within says why leaves below the node are dropped that nothing else marks.
func (n *node) within(why string) {
	if n != nil {
		n.zone = why
	}
}

const outside = "no failure handling"

// losses returns one loss for each leaf.
func (n *node) losses() []Loss {
	var all []Loss
	n.leaves(func(leaf *node) {
		l := leaf.loss
		if !leaf.marked {
			l = Loss{Status: Dropped, Why: leaf.reason()}
		}
		if leaf.caveat != "" && l.Status != Dropped {
			l.Status, l.Why = Approximated, joined(l.Why, leaf.caveat, "; ")
		}
		l.Path, l.Line = leaf.path(), leaf.line
		if l.Why != outside {
			l.Value = leaf.text()
		}
		all = append(all, l)
	})
	return all
}

// reason says why an unmarked leaf was dropped. What has a view stands where the view
// puts it, which may be below other fields than in the file.
func (n *node) reason() string {
	for at := n; at != nil; at = at.parent {
		if at.view != nil {
			at = at.view
		}
		if at.zone != "" {
			if n.kind == null {
				return "null says nothing"
			}
			return at.zone
		}
	}
	return outside
}

// text is the value of a leaf as it is written.
func (n *node) text() string {
	switch n.kind {
	case mapping:
		return "{}"
	case list:
		return "[]"
	case null:
		return "null"
	}
	return n.value
}
