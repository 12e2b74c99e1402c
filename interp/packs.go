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

// IsBuiltIn reports whether a classifier's name is that of a built-in pack, or would be.
func IsBuiltIn(name string) bool { return strings.HasPrefix(name, packPrefix) }

var builtInPacks struct {
	sync.Mutex
	compiler *setCompiler // made when the first pack is asked for
}

// builtIn returns a built-in pack, which is compiled when it is first asked for; nil if
// there is none of that name.
func builtIn(name string) *pack {
	b := &builtInPacks
	b.Lock()
	defer b.Unlock()
	if b.compiler == nil {
		var sources []*dsl.Source
		for _, name := range Packs() {
			text, _ := PackSource(name)
			sources = append(sources, dsl.NewSource(name+".yaml", text))
		}
		set, found := dsl.ParseSet(sources)
		b.compiler = &setCompiler{set: set, packs: map[string]*pack{}, builtIn: true, found: found}
	}
	p := b.compiler.pack(name)
	if err := b.compiler.found.Err(); err != nil {
		panic(fmt.Sprintf("interp: built-in packs: %v", err))
	}
	return p
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
