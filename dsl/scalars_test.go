package dsl

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// fragments are what random scalars are made of: all that styles treat in their own way.
var fragments = []string{
	"a", "err.status", " == ", " && ", "'", "\"", "\\", "\n", "\n\n", " ", "  ", "\t", "#", " #", ":", ": ", "é", "😀", "日本",
	"{", "}", "[", "|", ">", "-", "- ", "%", "\\n", "\\u00e9", "x", "!", "&", "*", ",",
}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(9) {
		b.WriteString(fragments[r.IntN(len(fragments))])
	}
	return b.String()
}

// randomDocument writes a text as a scalar of some style, behind the key "key".
func randomDocument(r *rand.Rand) (text, style string) {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	indent := func(s, by string) string { return strings.ReplaceAll(s, "\n", "\n"+by) }
	body, before := randomText(r), pick("", "é: 1\n", "# a comment\n", "l:\n  - x\n")
	single := strings.ReplaceAll(body, "'", "''")
	switch style = pick("plain", "single", "double", "literal", "folded", "anchored", "emitted"); style {
	case "plain":
		text = "key: " + indent(body, "  ") + "\n"
	case "single":
		text = "key: '" + indent(single, "  ") + "'\n"
	case "double":
		text = "key: \"" + indent(body, "   ") + "\"\n"
	case "literal":
		text = "key: " + pick("|", "|-", "|+", "| # why", "|2", "|1-") + "\n  " + indent(body, "  ") + pick("", "\n", "\n\n", "\nnext: 1\n")
	case "folded":
		text = "key: " + pick(">", ">-", ">+", "> # why", ">2", ">1+") + "\n  " + indent(body, "  ") + pick("", "\n", "\n\n", "\nnext: 1\n")
	case "anchored":
		text = "key: &a !!str " + pick("'"+indent(single, " ")+"'\n", "|\n   "+indent(body, "   ")+"\n")
	case "emitted":
		styles := []yaml.Style{0, yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle}
		node := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: body, Style: styles[r.IntN(len(styles))]}
		made, err := yaml.Marshal(map[string]any{"key": &node})
		if err != nil {
			return "", style
		}
		text = string(made)
	}
	if text = before + text; r.IntN(5) == 0 {
		text, style = strings.ReplaceAll(text, "\n", "\r\n"), style+", CRLF"
	}
	return text, style
}

// TestEveryScalarIsMappedCharacterByCharacter decodes random scalars of every style
// and finds each of their characters in the file. REDRESS_LONG=1 makes it 400,000.
func TestEveryScalarIsMappedCharacterByCharacter(t *testing.T) {
	count := 20_000
	if os.Getenv("REDRESS_LONG") != "" {
		count = 400_000
	}
	r := rand.New(rand.NewPCG(1, 2))
	mapped := map[string]int{}
	for range count {
		text, style := randomDocument(r)
		node := scalarOf(text)
		if node == nil {
			continue // not YAML, or another kind of value
		}
		if err := checkMap(text, node); err != nil {
			t.Fatalf("%s scalar in %q: %v", style, text, err)
		}
		mapped[style]++
	}
	for _, style := range []string{"plain", "single", "double", "literal", "folded", "anchored", "emitted"} {
		if mapped[style] < count/200 || mapped[style+", CRLF"] < count/1000 {
			t.Errorf("only %d %s scalars were tried, and %d with CRLF", mapped[style], style, mapped[style+", CRLF"])
		}
	}
	t.Logf("scalars mapped: %v", mapped)
}

// scalarOf returns the node behind "key", nil if the text is no such document.
func scalarOf(text string) *yaml.Node {
	var doc yaml.Node
	if yaml.Unmarshal([]byte(text), &doc) != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		if n := root.Content[i+1]; root.Content[i].Value == "key" && n.Kind == yaml.ScalarNode && n.Value != "" {
			return n
		}
	}
	return nil
}

// bodyOf is where a scalar begins behind its tag and anchor.
func bodyOf(src *Source, node *yaml.Node) int {
	places := cursor{src: src, first: 1}
	return propertiesAt(src.Bytes, places.offset(node.Line, node.Column)).body
}

func verbatimOf(src *Source, body int, n *yaml.Node) (first int, ok bool) {
	return verbatim(src.Bytes, &node{body: int32(body), style: styles[n.Style&^yaml.TaggedStyle], value: n.Value})
}

// checkMap says what is wrong with the map of a scalar: each character stands where
// the map says, but for line breaks that were folded and characters that were escaped.
func checkMap(text string, node *yaml.Node) error {
	src := NewSource("x", []byte(text))
	body := bodyOf(src, node)
	spans := scalarSpans(src.Bytes, body, node.Value)
	runes := []rune(node.Value)
	if len(spans) != len(runes) {
		return fmt.Errorf("%d places for the %d characters of %q", len(spans), len(runes), node.Value)
	}
	if first, ok := verbatimOf(src, body, node); ok {
		for i, s := range spans {
			if want := int32(first + i); s.start != want || s.end != want+1 {
				return fmt.Errorf("character %d is said to stand as it is at %d, and stands from %d to %d", i, want, s.start, s.end)
			}
		}
	}
	behind := int32(body)
	for i, want := range runes {
		from := text[spans[i].start:spans[i].end]
		got, n := utf8.DecodeRuneInString(from)
		switch {
		case spans[i].start < behind || from == "":
			return fmt.Errorf("character %d does not stand behind the one before it", i)
		case got == want && n == len(from):
		case got == '\\', from == "''", strings.TrimSpace(from) == "" && (want == ' ' || want == '\n'):
		default:
			return fmt.Errorf("character %d is %q, and %q stands there", i, want, from)
		}
		behind = spans[i].end
	}
	if end, ok := scalarEnd(src.Bytes, body, node.Value); !ok || end < int(behind) && !strings.HasSuffix(node.Value, "\n") {
		return fmt.Errorf("the scalar ends at %d, its last character at %d", end, behind)
	}
	return nil
}

// FuzzScalar maps the scalar behind "key" of anything that is YAML: each place of the
// map stands in the text, and there is one for every character or there is no map.
func FuzzScalar(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		text, _ := randomDocument(r)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src := NewSource("x", []byte(text))
		if found, _ := checkText(src); len(found) > 0 {
			return
		}
		if node := scalarOf(text); node != nil {
			if err := checkMap(text, node); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
