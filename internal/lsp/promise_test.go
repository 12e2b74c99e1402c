package lsp

import (
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
)

// opened returns a server in which one document is open, that is of the language
// whatever it says and has no folder.
func opened(text string) (*server, *buffer) {
	s := newServer(io.Discard, Options{})
	s.phase = initialized
	b := newBuffer("untitled:x", 1, text)
	b.set = &set{published: map[string][]diagnostic{}}
	s.buffers[b.uri], s.sets = b, []*set{b.set}
	return s, b
}

// probe asks everything that can be asked about a place. Panics are not caught.
func probe(t *testing.T, s *server, b *buffer, at int) {
	t.Helper()
	params := &positionParams{documentID{b.uri}, b.index.position(at, s.enc)}
	for name, ask := range map[string]func(*positionParams) (any, *rpcError){"completion": s.completion, "hover": s.hover, "definition": s.definition} {
		if _, fail := ask(params); fail != nil {
			t.Fatalf("%s at %d: %v", name, at, fail)
		}
	}
}

// stride is 1; in the few long examples, which repeat themselves, not every place is
// looked at.
func stride(text string) int { return everyNthPlace * (1 + len(text)/3000*4) }

func TestNoPlaceOfAnyExampleMakesAnAnswerPanic(t *testing.T) {
	for _, pattern := range []string{"ok/*.yaml", "bad/*.yaml"} {
		for _, name := range corpusFiles(t, pattern) {
			t.Run(filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				s, b := opened(readText(t, name))
				for at := 0; at <= len(b.index.text); at += stride(b.index.text) {
					probe(t, s, b, at)
				}
			})
		}
	}
}

func TestATextThatIsBeingTypedMakesNoAnswerPanic(t *testing.T) {
	for _, name := range corpusFiles(t, "ok/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			text := readText(t, name)
			for at := 0; at < len(text); at += stride(text) {
				s, b := opened(text[:at])
				probe(t, s, b, at)
			}
		})
	}
}

func TestTextsThatAreNoYAMLMakeNoAnswerPanic(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"\n", "\r\n", "  ", "- ", "-", ": ", ":", "key: ", "classify:\n", "  - when: ", "err.", "err.kind == ", "[", "]", "{", "}", ",", "\"", "'", "|-\n", "> ",
		"#", " # ", "&a ", "*a", "!!str ", "!x", "---\n", "...\n", "🧨", "\ufeff", "\x00", "\xff", "\t", "?", "//", "r\"", "kind: Policy\n", "\ue000", "\\"}
	for range 3000 / everyNthPlace {
		var text strings.Builder
		for range random.IntN(30) {
			text.WriteString(parts[random.IntN(len(parts))])
		}
		s, b := opened(text.String())
		for at := range text.Len() + 1 {
			probe(t, s, b, at)
		}
	}
}

func TestDeepNestingIsReadWithinBounds(t *testing.T) {
	for _, part := range []string{"- ", "[", "{", "{a: ", "[{", "a:\n ", "'", "\"", "- - a: "} {
		text := strings.Repeat(part, dsl.MaxFileSize/len(part)/8)
		s, b := opened("kind: Policy\nclassify: " + text)
		probe(t, s, b, len(b.index.text))
		s, b = opened(text)
		probe(t, s, b, len(b.index.text)/2)
	}
}
