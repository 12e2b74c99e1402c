package interp

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redress-policy/redress/dsl"
)

//go:embed packs/*.yaml
var packFiles embed.FS

// packPrefix begins the names of built-in packs, and of no others.
const packPrefix = "std."

var builtInPacks struct {
	once   sync.Once
	byName map[string]*pack
}

// builtIn returns the built-in packs, which are compiled when the first is asked for.
func builtIn() map[string]*pack {
	builtInPacks.once.Do(func() {
		var sources []*dsl.Source
		for _, name := range Packs() {
			text, _ := PackSource(name)
			sources = append(sources, dsl.NewSource(name+".yaml", text))
		}
		set, found := dsl.ParseSet(sources)
		c := &setCompiler{set: set, packs: map[string]*pack{}, builtIn: true}
		for _, name := range Packs() {
			c.pack(name)
		}
		if err := append(found, c.found...).Err(); err != nil {
			panic(fmt.Sprintf("interp: built-in packs: %v", err))
		}
		builtInPacks.byName = c.packs
	})
	return builtInPacks.byName
}

// Packs returns the names of the built-in rule packs, sorted.
func Packs() []string {
	entries, err := packFiles.ReadDir("packs")
	if err != nil {
		panic(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// PackSource returns the text of a built-in rule pack.
func PackSource(name string) ([]byte, bool) {
	text, err := packFiles.ReadFile("packs/" + name + ".yaml")
	return text, err == nil
}
