package dsl

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// ReadFS reads every .yaml and .yml file below fsys, in path order. Files and folders
// whose names begin with a dot are passed over; symbolic links to files are followed.
// A file above MaxFileSize is read no further than needed for Parse to refuse it. A pipe,
// socket or device by such a name is an error: reading it might never end.
func ReadFS(fsys fs.FS) ([]*Source, error) {
	var sources []*Source
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && name != "."
		switch {
		case entry.IsDir() && hidden:
			return fs.SkipDir
		case entry.IsDir(), hidden, path.Ext(name) != ".yaml" && path.Ext(name) != ".yml":
			return nil
		}
		kind := entry.Type()
		if kind&fs.ModeSymlink != 0 {
			if info, err := fs.Stat(fsys, name); err == nil {
				kind = info.Mode().Type()
			}
		}
		switch {
		case kind.IsDir():
			return nil
		case kind&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice|fs.ModeCharDevice) != 0:
			return fmt.Errorf("%s is no regular file", name)
		}
		source, err := ReadFile(fsys, name)
		if err != nil {
			return err
		}
		sources = append(sources, source)
		return nil
	})
	return sources, err
}

// ReadFile reads one file as a source of that name.
func ReadFile(fsys fs.FS, name string) (*Source, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size := 0
	if info, err := file.Stat(); err == nil {
		size = int(min(info.Size(), MaxFileSize))
	}
	text, err := readBytes(io.LimitReader(file, MaxFileSize+1), size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return NewSource(name, text), nil
}

// readBytes is io.ReadAll for what is probably of that size.
func readBytes(r io.Reader, size int) ([]byte, error) {
	text := make([]byte, 0, max(size, 0)+1) // and the end is read at once
	for {
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return text, err
		}
		if len(text) == cap(text) {
			text = slices.Grow(text, 512)
		}
	}
}

// ParseSet parses sources as one set and checks that names are unique in their kind.
func ParseSet(sources []*Source) (*Set, Diagnostics) {
	var files []*File
	var found Diagnostics
	for _, source := range sources {
		file, more := Parse(source)
		files = append(files, file)
		found = append(found, more...)
	}
	set, more := SetOf(files)
	found = append(found, more...)
	found.Sort()
	return set, found
}

// SetOf makes one set of files, which are the set's from then on, and checks that names
// are unique in their kind.
func SetOf(files []*File) (*Set, Diagnostics) {
	set := &Set{Files: files}
	var found Diagnostics
	set.overlay()
	type key struct{ kind, name string }
	first := map[key]*Document{}
	for doc := range set.All() {
		if doc.Name.V == "" || !doc.Kind.Set {
			continue
		}
		k := key{doc.Kind.V, doc.Name.V}
		if other := first[k]; other != nil {
			found = append(found, Diagnostic{
				Range: doc.Name.Range, Code: CodeDuplicateName,
				Message: fmt.Sprintf("a %s is already called %q", k.kind, k.name), Help: "names are unique in their kind across the set",
				Related: []Related{{other.Name.Range, "the first is here"}},
			})
			continue
		}
		first[k] = doc
	}
	found.Sort()
	return set, found
}

// Layered reports whether the set was read from layers.
func (s *Set) Layered() bool {
	return slices.ContainsFunc(s.Files, func(f *File) bool { return f.Source.LayerName != "" })
}

// overlay drops the documents in whose place there is one of a higher layer, which keeps
// them as what it stands over.
func (s *Set) overlay() {
	highest := map[Reference]*Document{}
	for doc := range s.All() {
		if ref := (Reference{doc.Kind.V, doc.Name.V}); doc.isNamed() && (highest[ref] == nil || doc.Source.Layer > highest[ref].Source.Layer) {
			highest[ref] = doc
		}
	}
	for _, file := range s.Files {
		file.Documents = slices.DeleteFunc(file.Documents, func(doc *Document) bool {
			if !doc.isNamed() {
				return false
			}
			over := highest[Reference{doc.Kind.V, doc.Name.V}]
			if doc.Source.Layer == over.Source.Layer {
				return false
			}
			over.Over = append(over.Over, doc)
			return true
		})
	}
	for _, doc := range highest {
		slices.SortStableFunc(doc.Over, func(a, b *Document) int { return b.Source.Layer - a.Source.Layer })
	}
}

func (d *Document) isNamed() bool { return d.Name.Set && d.Kind.Set }
