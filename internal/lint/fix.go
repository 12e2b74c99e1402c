package lint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
)

// maxRounds bounds how often files are looked at again after they were mended: what
// hides behind one mistake comes to light with the next look.
const maxRounds = 10

// fix mends the files until nothing that can be mended is left, and returns what is
// found then. again looks at the files anew.
func (c *Command) fix(o *outcome, again func() (*outcome, error)) (*outcome, error) {
	mended := 0
	for range maxRounds {
		edits, fixed := o.fixes()
		if fixed == 0 {
			break
		}
		for _, source := range o.sources {
			if len(edits[source]) == 0 {
				continue
			}
			if strings.HasPrefix(source.Name, "<") {
				return nil, usagef("--fix cannot change standard input; use --diff")
			}
			if err := replaceFile(filepath.FromSlash(source.Name), apply(source.Bytes, edits[source])); err != nil {
				return nil, err
			}
		}
		mended += fixed
		var err error
		if o, err = again(); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(c.Stderr, "%s mended, %d left\n", count(mended, "finding"), len(o.found))
	return o, nil
}

// showFixes shows what a first round of fix would change.
func (c *Command) showFixes(o *outcome) error {
	edits, fixed := o.fixes()
	for _, source := range o.sources {
		if list := edits[source]; len(list) > 0 {
			fmt.Fprint(c.Stdout, unified(source.Name, source.Bytes, apply(source.Bytes, list)))
		}
	}
	fmt.Fprintf(c.Stderr, "%s can be mended, %d cannot\n", count(fixed, "finding"), len(o.found)-fixed)
	if o.fails() {
		return errFindings
	}
	return nil
}

// fixes collects the first fix of each finding that has one, as far as they do not
// overlap.
func (o *outcome) fixes() (edits map[*dsl.Source][]dsl.Edit, fixed int) {
	edits = map[*dsl.Source][]dsl.Edit{}
	for _, d := range o.found {
		if len(d.Fixes) == 0 {
			continue
		}
		if merged, ok := addEdits(edits, d.Fixes[0].Edits); ok {
			edits = merged
			fixed++
		}
	}
	return edits, fixed
}

// fails reports whether something was found for which the exit code is 1.
func (o *outcome) fails() bool {
	return slices.ContainsFunc(o.found, func(d dsl.Diagnostic) bool { return d.Severity <= o.threshold })
}

// addEdits adds a fix to those taken, unless it overlaps them.
func addEdits(taken map[*dsl.Source][]dsl.Edit, fix []dsl.Edit) (map[*dsl.Source][]dsl.Edit, bool) {
	for _, e := range fix {
		for _, other := range taken[e.Range.Source] {
			if e.Range.Start <= other.Range.End && other.Range.Start <= e.Range.End {
				return nil, false
			}
		}
	}
	for _, e := range fix {
		taken[e.Range.Source] = append(taken[e.Range.Source], e)
	}
	return taken, true
}

// apply makes edits that do not overlap.
func apply(text []byte, edits []dsl.Edit) []byte {
	slices.SortFunc(edits, func(a, b dsl.Edit) int { return cmp.Compare(a.Range.Start, b.Range.Start) })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(text[at:e.Range.Start])
		out.WriteString(e.Text)
		at = e.Range.End
	}
	out.Write(text[at:])
	return out.Bytes()
}

// replaceFile writes a file whole or not at all, and keeps its mode.
func replaceFile(name string, text []byte) (err error) {
	info, err := os.Stat(name)
	if err != nil {
		return plain(err)
	}
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".redress-*")
	if err != nil {
		return plain(err)
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// unified writes the difference of two texts as diff -u does, with three lines around.
func unified(name string, old, new []byte) string {
	a, b := splitLines(old), splitLines(new)
	ops := lineDiff(a, b)
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", name, name)
	const around = 3
	for i := 0; i < len(ops); {
		if ops[i].kind == ' ' {
			i++
			continue
		}
		from := max(i-around, 0)
		to, same := i, 0
		for j := i; j < len(ops) && same <= 2*around; j++ {
			if ops[j].kind == ' ' {
				same++
			} else {
				same, to = 0, j+1
			}
		}
		to = min(to+around, len(ops))
		writeHunk(&out, ops[from:to])
		i = to
	}
	return out.String()
}

type lineOp struct {
	kind byte // ' ', '-', '+'
	text string
	a, b int // line numbers from 1
}

func writeHunk(w io.Writer, ops []lineOp) {
	var old, new int
	for _, op := range ops {
		if op.kind != '+' {
			old++
		}
		if op.kind != '-' {
			new++
		}
	}
	fmt.Fprintf(w, "@@ -%d,%d +%d,%d @@\n", ops[0].a, old, ops[0].b, new)
	for _, op := range ops {
		fmt.Fprintf(w, "%c%s\n", op.kind, op.text)
	}
}

func splitLines(text []byte) []string {
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// lineDiff finds the lines that two texts have in common at their beginning and end,
// and between those the longest common subsequence, if that is cheap.
func lineDiff(a, b []string) []lineOp {
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	endA, endB := len(a), len(b)
	for endA > start && endB > start && a[endA-1] == b[endB-1] {
		endA, endB = endA-1, endB-1
	}
	var ops []lineOp
	add := func(kind byte, text string, i, j int) { ops = append(ops, lineOp{kind, text, i + 1, j + 1}) }
	for i := range start {
		add(' ', a[i], i, i)
	}
	i, j := start, start
	if n, m := endA-start, endB-start; n*m <= 4_000_000 {
		table := make([][]int, n+1)
		for x := range table {
			table[x] = make([]int, m+1)
		}
		for x := n - 1; x >= 0; x-- {
			for y := m - 1; y >= 0; y-- {
				if a[start+x] == b[start+y] {
					table[x][y] = table[x+1][y+1] + 1
				} else {
					table[x][y] = max(table[x+1][y], table[x][y+1])
				}
			}
		}
		for i < endA && j < endB {
			switch {
			case a[i] == b[j]:
				add(' ', a[i], i, j)
				i, j = i+1, j+1
			case table[i-start+1][j-start] >= table[i-start][j-start+1]:
				add('-', a[i], i, j)
				i++
			default:
				add('+', b[j], i, j)
				j++
			}
		}
	}
	for ; i < endA; i++ {
		add('-', a[i], i, j)
	}
	for ; j < endB; j++ {
		add('+', b[j], i, j)
	}
	for ; i < len(a); i, j = i+1, j+1 {
		add(' ', a[i], i, j)
	}
	return ops
}
