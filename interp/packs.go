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

// builtIn returns a built-in pack, which is read and compiled when it is first asked for;
// nil if there is none of that name.
func builtIn(name string) *pack {
	b := &builtInPacks
	b.Lock()
	defer b.Unlock()
	if b.compiler == nil {
		b.compiler = &setCompiler{set: &dsl.Set{}, packs: map[string]*pack{}, builtIn: true}
	}
	p := b.compiler.pack(name)
	if err := b.compiler.found.Err(); err != nil {
		panic(fmt.Sprintf("interp: built-in packs: %v", err))
	}
	return p
}

// readBuiltIn adds a built-in pack, if there is one of that name, to the set of those that
// have been asked for.
func (c *setCompiler) readBuiltIn(name string) {
	text, ok := PackSource(name)
	if !ok {
		return
	}
	file, found := dsl.Parse(dsl.NewSource(name+".yaml", text))
	c.set.Files = append(c.set.Files, file)
	c.found = append(c.found, found...)
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
