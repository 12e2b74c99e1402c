package lsp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/lazyregexp"
)

// A buffer is an open document.
type buffer struct {
	uri     string
	version int32
	path    string // of its file, "" if it is none
	name    string // of its source
	index   *textIndex
	source  *dsl.Source
	set     *set // nil if it is none of the language's
}

func newBuffer(uri string, version int32, text string) *buffer {
	b := &buffer{uri: uri, path: pathOf(uri)}
	b.name = filepath.ToSlash(b.path)
	if b.path == "" {
		b.name = uri
	}
	b.put(version, text)
	return b
}

func (b *buffer) put(version int32, text string) {
	b.version, b.index = version, newIndex(text, false)
	b.source = dsl.NewSource(b.name, []byte(text))
}

// A set is the files that are checked together: those below a folder, or one document
// alone that has no folder. It lives while a document of it is open.
type set struct {
	root string // "" of a document alone
	disk []*dsl.Source
	read bool // whether disk has been read

	generation int       // counts changes
	due        time.Time // when to check it, zero if there is no need
	said       string    // the last complaint about its folder

	published map[string][]diagnostic // by URI
}

// isPolicyText recognises the documents of the language.
var isPolicyText = lazyregexp.New(`(?m)(?:^|[{,])[ \t]*["']?apiVersion["']?[ \t]*:[ \t]*["']?redress/`)

// contains reports whether loading a folder would read a file.
func contains(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	if err != nil || filepath.Ext(path) != ".yaml" && filepath.Ext(path) != ".yml" {
		return false
	}
	for _, part := range strings.Split(filepath.ToSlash(rel), "/") {
		if strings.HasPrefix(part, ".") { // hidden, or above
			return false
		}
	}
	return true
}

// place finds the set of a buffer that has none: that of a folder above it, or a new
// one if it is a document of the language. A new folder takes the sets below it over,
// so that the order in which documents are opened does not matter.
func (s *server) place(b *buffer) {
	for _, set := range s.sets {
		if set.root != "" && b.path != "" && contains(set.root, b.path) {
			b.set = set
			return
		}
	}
	if !isPolicyText.MatchString(b.index.text) {
		return
	}
	b.set = &set{published: map[string][]diagnostic{}}
	s.sets = append(s.sets, b.set)
	if b.path == "" || !contains(filepath.Dir(b.path), b.path) {
		return
	}
	b.set.root = filepath.Dir(b.path)
	for _, uri := range s.uris() {
		other := s.buffers[uri]
		if other.path == "" || !contains(b.set.root, other.path) || other.set == b.set {
			continue
		}
		if old := other.set; old != nil {
			for uri, list := range old.published {
				b.set.published[uri] = list
			}
			s.sets = slices.DeleteFunc(s.sets, func(x *set) bool { return x == old })
		}
		other.set = b.set
	}
}

// uris lists the open documents in the order of their names.
func (s *server) uris() []string {
	var uris []string
	for uri := range s.buffers {
		uris = append(uris, uri)
	}
	slices.Sort(uris)
	return uris
}

// open lists the open documents of a set.
func (s *server) open(of *set) []*buffer {
	var list []*buffer
	for _, uri := range s.uris() {
		if b := s.buffers[uri]; b.set == of {
			list = append(list, b)
		}
	}
	return list
}

func (s *server) didOpen(params *openParams) error {
	doc := params.TextDocument
	if old := s.buffers[doc.URI]; old != nil {
		return fmt.Errorf("%s is open already", doc.URI)
	}
	b := newBuffer(doc.URI, doc.Version, doc.Text)
	s.buffers[doc.URI] = b
	s.place(b)
	s.changed(b.set)
	return nil
}

func (s *server) didChange(params *changeParams) error {
	b := s.buffers[params.TextDocument.URI]
	if b == nil {
		return fmt.Errorf("%s is not open", params.TextDocument.URI)
	}
	index := b.index
	for _, change := range params.ContentChanges {
		text := change.Text
		if r := change.Range; r != nil {
			start, end := index.offset(r.Start, s.enc), index.offset(r.End, s.enc)
			if start > end {
				return fmt.Errorf("%s: a range ends before it begins; its text is not what the client has any more", b.uri)
			}
			text = index.text[:start] + change.Text + index.text[end:]
		}
		if len(text) > maxMessage {
			return fmt.Errorf("%s grows above %d bytes; its text is not what the client has any more", b.uri, maxMessage)
		}
		index = newIndex(text, false)
	}
	delete(s.outlines, b.source)
	b.put(params.TextDocument.Version, index.text)
	if b.set == nil {
		s.place(b)
	}
	s.changed(b.set)
	return nil
}

func (s *server) didClose(params *documentParams) error {
	b := s.buffers[params.TextDocument.URI]
	if b == nil {
		return fmt.Errorf("%s is not open", params.TextDocument.URI)
	}
	delete(s.buffers, b.uri)
	delete(s.outlines, b.source)
	if b.set == nil {
		return nil
	}
	if len(s.open(b.set)) > 0 {
		s.changed(b.set)
		return nil
	}
	s.publish(b.set, nil)
	s.sets = slices.DeleteFunc(s.sets, func(x *set) bool { return x == b.set })
	clear(s.outlines)
	return nil
}

func (s *server) didSave(params *documentParams) error {
	if b := s.buffers[params.TextDocument.URI]; b != nil {
		s.changed(b.set)
	}
	return nil
}

func (s *server) didChangeWatchedFiles(params *watchedParams) error {
	for _, change := range params.Changes {
		path := pathOf(change.URI)
		for _, set := range s.sets {
			if path != "" && set.root != "" && contains(set.root, path) {
				s.changed(set)
			}
		}
	}
	return nil
}

// pathOf returns the path of a file: URI, "" for others.
func pathOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Host != "" && u.Host != "localhost" || u.Path == "" {
		return ""
	}
	path := u.Path
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, "/")
	}
	return filepath.Clean(filepath.FromSlash(path))
}

// uriOf is the URI of a source: as the client spells it if it is open.
func (s *server) uriOf(name string) string {
	for _, uri := range s.uris() {
		if s.buffers[uri].name == name {
			return uri
		}
	}
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return (&url.URL{Scheme: "file", Path: name}).String()
}

// sourcesOf is a set as it is now: what was last read from disk, with open documents
// in place of their files.
func (s *server) sourcesOf(of *set) []*dsl.Source {
	if !of.read && of.root != "" {
		disk, err := readFolder(s.ctx, of.root, nil)
		if err != nil {
			s.complain(of, err)
		}
		of.disk, of.read = disk, true
	}
	return s.opts.included(overlay(of.disk, s.openSources(of)))
}

// included leaves out what is not looked at.
func (o *Options) included(sources []*dsl.Source) []*dsl.Source {
	return slices.DeleteFunc(sources, func(s *dsl.Source) bool { return o.Excludes(s.Name) })
}

func (s *server) openSources(of *set) []*dsl.Source {
	var sources []*dsl.Source
	for _, b := range s.open(of) {
		sources = append(sources, b.source)
	}
	return sources
}

// overlay puts open sources in place of those on disk, in the order in which a folder
// is read.
func overlay(disk, open []*dsl.Source) []*dsl.Source {
	all := slices.Clone(open)
	for _, source := range disk {
		if !slices.ContainsFunc(open, func(o *dsl.Source) bool { return o.Name == source.Name }) {
			all = append(all, source)
		}
	}
	slices.SortFunc(all, func(a, b *dsl.Source) int {
		return cmp.Or(slices.Compare(strings.Split(a.Name, "/"), strings.Split(b.Name, "/")), strings.Compare(a.Name, b.Name))
	})
	return all
}

// Limits of a folder. Whoever opens a policy in the root of a disk does not wait for
// all of it to be read.
const (
	maxEntries = 20_000 // files and folders of any name
	maxFiles   = 2_000  // policy files
)

var errTooMany = fmt.Errorf("the folder holds more than %d policy files or %d files; put the policies into a folder of their own", maxFiles, maxEntries)

// readFolder reads the files of a set. Those that have not changed are the old ones.
func readFolder(ctx context.Context, root string, old []*dsl.Source) ([]*dsl.Source, error) {
	sources, err := dsl.ReadFS(&boundedFS{ctx, os.DirFS(root), maxEntries, maxFiles})
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Stat(root); gone != nil {
			return nil, nil // a folder that is yet to be made
		}
	}
	if err != nil {
		return nil, err
	}
	known := map[string]*dsl.Source{}
	for _, source := range old {
		known[source.Name] = source
	}
	for i, source := range sources {
		name := filepath.ToSlash(filepath.Join(root, filepath.FromSlash(source.Name)))
		if before := known[name]; before != nil && string(before.Bytes) == string(source.Bytes) {
			sources[i] = before
			continue
		}
		sources[i] = dsl.NewSource(name, source.Bytes)
	}
	return sources, nil
}

// A boundedFS fails when it has been asked for too much, or when its context ends.
type boundedFS struct {
	ctx            context.Context
	fs             fs.FS
	entries, files int
}

func (b *boundedFS) Open(name string) (fs.File, error) {
	if b.files--; b.files < 0 {
		return nil, errTooMany
	}
	if info, err := fs.Stat(b.fs, name); err == nil && !info.Mode().IsRegular() { // a pipe would block
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	return b.fs.Open(name)
}

func (b *boundedFS) Stat(name string) (fs.FileInfo, error) { return fs.Stat(b.fs, name) }

func (b *boundedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	list, err := fs.ReadDir(b.fs, name)
	if b.entries -= len(list); b.entries < 0 {
		return nil, errTooMany
	}
	return list, err
}
