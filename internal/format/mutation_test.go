package format

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"gopkg.in/yaml.v3"
)

// A mutation rewrites lines. What it makes counts only if the documents stay the same
// and Format does not have to refuse it, so it need not know YAML well.
type mutation struct {
	name string
	do   func(random *rand.Rand, lines []string) []string
}

var mutations = []mutation{
	{"comment lines", func(random *rand.Rand, lines []string) []string {
		at := random.IntN(len(lines) + 1)
		return slices.Insert(lines, at, strings.Repeat(" ", random.IntN(9))+fmt.Sprintf("# new %d", random.IntN(1000)))
	}},
	{"comments behind values", func(random *rand.Rand, lines []string) []string {
		at := random.IntN(len(lines))
		lines[at] += strings.Repeat(" ", 1+random.IntN(6)) + fmt.Sprintf("# new %d", random.IntN(1000))
		return lines
	}},
	{"empty lines", func(random *rand.Rand, lines []string) []string {
		return slices.Insert(lines, random.IntN(len(lines)+1), strings.Repeat(" ", random.IntN(4)))
	}},
	{"blanks at the end", func(random *rand.Rand, lines []string) []string {
		lines[random.IntN(len(lines))] += strings.Repeat(" ", 1+random.IntN(3))
		return lines
	}},
	{"blanks behind a colon", func(random *rand.Rand, lines []string) []string {
		at := random.IntN(len(lines))
		lines[at] = strings.Replace(lines[at], ": ", ":"+strings.Repeat(" ", 1+random.IntN(4)), 1)
		return lines
	}},
	{"blanks before a colon", func(random *rand.Rand, lines []string) []string {
		at := random.IntN(len(lines))
		lines[at] = strings.Replace(lines[at], ":", " :", 1)
		return lines
	}},
	{"blanks within brackets", func(random *rand.Rand, lines []string) []string {
		at := random.IntN(len(lines))
		for _, c := range []string{"{", "}", "[", "]", ","} {
			if random.IntN(2) == 0 {
				lines[at] = strings.ReplaceAll(lines[at], c, " "+c+" ")
			}
		}
		return lines
	}},
	{"deeper blocks", func(random *rand.Rand, lines []string) []string {
		from, to := block(lines, random.IntN(len(lines)))
		more := strings.Repeat(" ", 1+random.IntN(4))
		for i := from + 1; i < to; i++ {
			if lines[i] != "" {
				lines[i] = more + lines[i]
			}
		}
		return lines
	}},
	{"lists at the column of their key", func(random *rand.Rand, lines []string) []string {
		from, to := block(lines, random.IntN(len(lines)))
		for i := from + 1; i < to; i++ {
			lines[i] = strings.TrimPrefix(lines[i], "  ")
		}
		return lines
	}},
	{"other order of keys", func(random *rand.Rand, lines []string) []string {
		from, to := block(lines, random.IntN(len(lines)))
		if to == len(lines) {
			return lines
		}
		_, end := block(lines, to)
		return slices.Concat(lines[:from], lines[to:end], lines[from:to], lines[end:])
	}},
	{"lines broken", func(random *rand.Rand, lines []string) []string {
		at := random.IntN(len(lines))
		for _, c := range []string{", ", " && ", " || ", ": ", "- "} {
			before, behind, ok := strings.Cut(lines[at], c)
			if ok && random.IntN(2) == 0 {
				lines[at] = before + strings.TrimRight(c, " ")
				return slices.Insert(lines, at+1, strings.Repeat(" ", random.IntN(12))+behind)
			}
		}
		return lines
	}},
}

// block is the line at a place with those below it that are indented more.
func block(lines []string, at int) (from, to int) {
	indent := func(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
	for to = at + 1; to < len(lines) && (lines[to] == "" || indent(lines[to]) > indent(lines[at])); to++ {
	}
	return at, to
}

func TestMutatedFilesKeepThePromises(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	made, refused := map[string]int{}, map[string]int{}
	for i, file := range corpus(t) {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		for range rounds {
			text := string(read(t, file))
			for range 12 {
				m := mutations[random.IntN(len(mutations))]
				next := strings.Join(m.do(random, strings.Split(text, "\n")), "\n")
				if next == text || !reflect.DeepEqual(documents([]byte(text)), documents([]byte(next))) {
					continue
				}
				if _, err := load("mutated.yaml", next); err != nil {
					if strings.Contains(err.Error(), "cannot be formatted") {
						t.Errorf("%v\n%s", err, next)
					}
					refused[m.name]++
					continue
				}
				text = next
				made[m.name]++
			}
			got := mustFormat(t, file, []byte(text))
			if checkPromises(t, []byte(text), got); t.Failed() {
				t.Fatalf("%s:\n%s", file, text)
			}
		}
	}
	t.Logf("made %v, refused %v", made, refused)
	for _, m := range mutations {
		if made[m.name] < rounds {
			t.Errorf("%s: made only %d", m.name, made[m.name])
		}
	}
}

// An author writes YAML nodes in random forms: any order of keys, any indentation,
// comments anywhere. It shares nothing with this package's reader.
type author struct {
	random   *rand.Rand
	text     bytes.Buffer
	comments int
	anchored bool // order of keys matters
}

func (a *author) chance(n int) bool { return a.random.IntN(n) == 0 }

func (a *author) blanks(n int) string { return strings.Repeat(" ", n) }

func (a *author) comment() string {
	a.comments++
	return fmt.Sprintf("# comment %d", a.comments)
}

// end ends a line, perhaps with a comment or blanks.
func (a *author) end() {
	switch a.random.IntN(6) {
	case 0:
		a.text.WriteString(a.blanks(1+a.random.IntN(5)) + a.comment())
	case 1:
		a.text.WriteString(a.blanks(a.random.IntN(3)))
	}
	a.text.WriteByte('\n')
}

// between writes comments and empty lines.
func (a *author) between() {
	for a.chance(4) {
		if a.chance(2) {
			a.text.WriteString(a.blanks(a.random.IntN(10)) + a.comment())
		}
		a.text.WriteByte('\n')
	}
}

// block writes a mapping or a list whose entries stand at a column. inline tells that
// the first of them goes on with a line.
func (a *author) block(n *yaml.Node, column int, inline bool) {
	size := 1
	if n.Kind == yaml.MappingNode {
		size = 2
	}
	order := a.random.Perm(len(n.Content) / size)
	if size == 1 || a.anchored {
		slices.Sort(order)
	}
	for i, at := range order {
		if i > 0 || !inline {
			a.between()
			a.text.WriteString(a.blanks(column))
		}
		if size == 1 {
			a.text.WriteString("-")
			a.value(n.Content[at], column, true)
			continue
		}
		a.text.WriteString(scalar(n.Content[2*at]) + a.blanks(a.random.IntN(2)) + ":")
		a.value(n.Content[2*at+1], column, false)
	}
}

// value writes what stands behind a key or a dash at a column.
func (a *author) value(n *yaml.Node, column int, dash bool) {
	if n.Anchor != "" {
		a.text.WriteString(a.blanks(1+a.random.IntN(3)) + "&" + n.Anchor)
	}
	isList := n.Kind == yaml.SequenceNode
	switch {
	case n.Kind == yaml.AliasNode:
		a.text.WriteString(" *" + n.Value)
		a.end()
	case n.Kind == yaml.ScalarNode:
		a.scalar(n, column)
	case len(n.Content) == 0 || n.Style&yaml.FlowStyle != 0 && !a.chance(3):
		a.text.WriteString(a.blanks(1 + a.random.IntN(3)))
		a.flow(n, column)
		a.end()
	case dash && n.Anchor == "" && !a.chance(4):
		gap := 1 + a.random.IntN(4)
		a.text.WriteString(a.blanks(gap))
		a.block(n, column+1+gap, true)
	default:
		a.end()
		deeper := 1 + a.random.IntN(5)
		if isList && !dash && a.chance(3) {
			deeper = 0
		}
		a.block(n, column+deeper, false)
	}
}

func (a *author) flow(n *yaml.Node, column int) {
	space := func() string {
		if a.chance(30) {
			return "\n" + a.blanks(column+1+a.random.IntN(5))
		}
		return a.blanks(a.random.IntN(3))
	}
	brackets, size := "[]", 1
	if n.Kind == yaml.MappingNode {
		brackets, size = "{}", 2
	}
	a.text.WriteByte(brackets[0])
	order := a.random.Perm(len(n.Content) / size)
	if size == 1 || a.anchored {
		slices.Sort(order)
	}
	for i, at := range order {
		if i > 0 {
			a.text.WriteString(space() + "," + space())
		}
		for j, part := range n.Content[size*at : size*at+size] {
			if j == 1 {
				a.text.WriteString(": " + space())
			}
			if part.Anchor != "" {
				a.text.WriteString("&" + part.Anchor + " ")
			}
			switch {
			case part.Kind == yaml.AliasNode:
				a.text.WriteString("*" + part.Value + " ")
			case part.Kind == yaml.ScalarNode && part.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
				a.text.WriteString(fmt.Sprintf("%q", part.Value))
			case part.Kind == yaml.ScalarNode && part.Style == 0 && strings.ContainsAny(part.Value, ",[]{}?"):
				a.text.WriteString(fmt.Sprintf("%q", part.Value))
			case part.Kind == yaml.ScalarNode:
				a.text.WriteString(scalar(part))
			default:
				a.flow(part, column)
			}
		}
	}
	a.text.WriteString(space() + brackets[1:])
}

func scalar(n *yaml.Node) string {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return fmt.Sprintf("%q", n.Value)
	case n.Style&yaml.SingleQuotedStyle != 0:
		return "'" + strings.ReplaceAll(n.Value, "'", "''") + "'"
	}
	return n.Value
}

func (a *author) scalar(n *yaml.Node, column int) {
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 && !strings.HasPrefix(n.Value, " ") {
		a.literal(n.Value, column)
		return
	}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		a.text.WriteString(fmt.Sprintf(" %q", n.Value))
		a.end()
		return
	}
	if n.Value != "" || n.Style != 0 {
		a.text.WriteString(a.blanks(1+a.random.IntN(3)) + scalar(n))
	}
	a.end()
}

func (a *author) literal(value string, column int) {
	text := strings.TrimRight(value, "\n")
	chomp := []string{"-", "", "+"}[min(len(value)-len(text), 2)]
	a.text.WriteString(" |" + chomp)
	a.end()
	indent := a.blanks(column + 1 + a.random.IntN(5))
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			line = indent + line
		}
		a.text.WriteString(line + "\n")
	}
	for range len(value) - len(text) - 1 {
		a.text.WriteByte('\n')
	}
}

func TestFilesWrittenInAnyFormKeepThePromises(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	written, same := 0, 0
	for i, file := range corpus(t) {
		source := read(t, file)
		random := rand.New(rand.NewPCG(2, uint64(i)))
		for range rounds {
			a := &author{random: random, anchored: bytes.ContainsAny(source, "&*")}
			decoder := yaml.NewDecoder(bytes.NewReader(source))
			for {
				var doc yaml.Node
				if decoder.Decode(&doc) != nil {
					break
				}
				a.text.WriteString("---")
				a.end()
				a.block(doc.Content[0], a.random.IntN(3), false)
			}
			text := a.text.Bytes()
			if written++; reflect.DeepEqual(documents(source), documents(text)) {
				same++
			}
			if _, err := load("written.yaml", string(text)); err != nil && !strings.Contains(err.Error(), "cannot be formatted") {
				continue
			}
			got := mustFormat(t, filepath.Base(file), text)
			checkPromises(t, text, got)
			checkSpacing(t, got)
			if n := bytes.Count(got, []byte("# comment ")); n != a.comments {
				t.Errorf("%d comments of %d", n, a.comments)
			}
			if t.Failed() {
				t.Fatalf("%s:\n%s", file, text)
			}
		}
	}
	t.Logf("%d of %d say what they were meant to", same, written)
	if same < written*8/10 {
		t.Errorf("only %d of %d say what they were meant to", same, written)
	}
}

func FuzzFormat(f *testing.F) {
	for _, file := range corpus(f) {
		f.Add(read(f, file))
	}
	golden, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range golden {
		f.Add(read(f, file))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Format("fuzz.yaml", text)
		var refused *dsl.DocumentError
		switch {
		case err != nil && (got != nil || !errors.As(err, &refused) || strings.Contains(err.Error(), "not formatted")):
			t.Errorf("%q, %v: what the language reads can be formatted", got, err)
		case err != nil:
			return
		}
		checkPromises(t, text, got)
	})
}
