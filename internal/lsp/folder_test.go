package lsp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redress-policy/redress/dsl"
)

func folderOf(names ...string) fstest.MapFS {
	folder := fstest.MapFS{}
	for _, name := range names {
		folder[name] = &fstest.MapFile{Data: []byte(name)}
	}
	return folder
}

func TestAFolderIsReadWithinBounds(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, test := range []struct {
		name           string
		ctx            context.Context
		entries, files int
		fs             fs.FS
		want           error
	}{
		{"as many as allowed", t.Context(), 3, 2, folderOf("a.yaml", "b.txt", "c.yml"), nil},
		{"too many entries", t.Context(), 2, 9, folderOf("a.yaml", "b.txt", "c.yml"), errTooMany},
		{"too many policy files", t.Context(), 9, 1, folderOf("a.yaml", "b.txt", "c.yml"), errTooMany},
		{"the end of the context", ended, 9, 9, folderOf("a.yaml"), context.Canceled},
	} {
		sources, err := dsl.ReadFS(&boundedFS{test.ctx, test.fs, test.entries, test.files})
		if !errors.Is(err, test.want) || err == nil && len(sources) != 2 {
			t.Errorf("%s: %d sources, %v; want %v", test.name, len(sources), err, test.want)
		}
	}
	pipe := folderOf("a.yaml")
	pipe["a.yaml"].Mode = fs.ModeNamedPipe
	if _, err := dsl.ReadFS(&boundedFS{t.Context(), pipe, 9, 9}); err == nil || !strings.Contains(err.Error(), "a.yaml is no regular file") {
		t.Errorf("a pipe, which would block: %v", err)
	}
}

func TestURIsOfFilesArePaths(t *testing.T) {
	for uri, want := range map[string]string{
		"file:///a/b%20c/%C3%A9.yaml": "/a/b c/é.yaml",
		"file://localhost/a.yaml":     "/a.yaml",
		"file:///a/../b.yaml":         "/b.yaml",
		"file://server/share/a.yaml":  "",
		"untitled:Untitled-1":         "",
		"git:/a.yaml":                 "",
		"file:":                       "",
		"%":                           "",
		"":                            "",
	} {
		if got := filepath.ToSlash(pathOf(uri)); got != want {
			t.Errorf("%q is %q, want %q", uri, got, want)
		}
	}
}

func TestASetHoldsWhatLoadingItsFolderReads(t *testing.T) {
	root := filepath.FromSlash("/policies")
	for path, want := range map[string]bool{
		"/policies/a.yaml": true, "/policies/a.yml": true, "/policies/sub/deep/a.yaml": true,
		"/policies/.a.yaml": false, "/policies/.sub/a.yaml": false, "/policies/a.json": false, "/a.yaml": false, "/policies-b/a.yaml": false,
	} {
		if got := contains(root, filepath.FromSlash(path)); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestDocumentsOfTheLanguageAreRecognised(t *testing.T) {
	for text, want := range map[string]bool{
		"apiVersion: redress/v1":                   true,
		"# note\n\nkind: x\napiVersion: redress/v": true,
		"apiVersion: 'redress/v1'":                 true,
		"{\"apiVersion\": \"redress/v1\"}":         true,
		"{kind: x, apiVersion: redress/v1}":        true,
		"# apiVersion: redress/v1":                 false,
		"apiVersion: apps/v1":                      false,
		"x-apiVersion: redress/v1":                 false,
	} {
		if got := isPolicyText.MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestOpenSourcesStandInPlaceOfThoseOnDiskInTheOrderOfAFolder(t *testing.T) {
	source := func(name, text string) *dsl.Source { return dsl.NewSource(name, []byte(text)) }
	all := overlay(
		[]*dsl.Source{source("/p/a/b.yaml", "disk"), source("/p/a-b.yaml", "disk"), source("/p/c.yaml", "disk")},
		[]*dsl.Source{source("/p/new.yaml", "open"), source("/p/a/b.yaml", "open")},
	)
	var got []string
	for _, s := range all {
		got = append(got, fmt.Sprintf("%s %s", s.Name, s.Bytes))
	}
	if want := "/p/a/b.yaml open, /p/a-b.yaml disk, /p/c.yaml disk, /p/new.yaml open"; strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}
