package redressfsnotify_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressfsnotify"
	"github.com/redress-policy/redress/internal/proof"
)

// A place is a folder of policies, and ways to change it.
type place struct {
	t    *testing.T
	base string // the folder above
	root string // the folder that is watched
}

func newPlace(t *testing.T) *place {
	base := t.TempDir()
	p := &place{t, base, filepath.Join(base, "policies")}
	p.mkdir(p.root)
	return p
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) mkdir(name string) { p.t.Helper(); p.must(os.MkdirAll(name, 0o755)) }

// put writes a file in place.
func (p *place) put(name, text string) {
	p.t.Helper()
	p.must(os.WriteFile(filepath.Join(p.root, name), []byte(text), 0o644))
}

// putOver renames a file over the one that is there.
func (p *place) putOver(name, text string) {
	p.t.Helper()
	aside := filepath.Join(p.root, "."+name+".tmp")
	p.must(os.WriteFile(aside, []byte(text), 0o644))
	p.must(os.Rename(aside, filepath.Join(p.root, name)))
}

// link points the name elsewhere in one step.
func (p *place) link(to, name string) {
	p.t.Helper()
	aside := name + ".new"
	p.must(os.Symlink(to, aside))
	p.must(os.Rename(aside, name))
}

func TestChangesToAFolderAreSeenAtOnce(t *testing.T) {
	// Each puts the text where the source then has p.yaml.
	for _, tt := range []struct {
		name string
		put  func(p *place) func(name, text string)
	}{
		{"written in place", func(p *place) func(string, string) { return p.put }},
		{"renamed over", func(p *place) func(string, string) { return p.putOver }},
		{"removed and written", func(p *place) func(string, string) {
			return func(name, text string) {
				_ = os.Remove(filepath.Join(p.root, name))
				p.put(name, text)
			}
		}},
		{"in a folder below", func(p *place) func(string, string) {
			return func(name, text string) {
				p.mkdir(filepath.Join(p.root, "a", "b"))
				p.put(filepath.Join("a", "b", name), text)
			}
		}},
		{"links of Kubernetes", func(p *place) func(string, string) {
			return func(name, text string) {
				version, err := os.MkdirTemp(p.root, "..v")
				p.must(err)
				p.must(os.WriteFile(filepath.Join(version, name), []byte(text), 0o644))
				old, _ := os.Readlink(filepath.Join(p.root, "..data"))
				p.link(filepath.Base(version), filepath.Join(p.root, "..data"))
				if old == "" {
					p.must(os.Symlink(filepath.Join("..data", name), filepath.Join(p.root, name)))
				} else {
					p.must(os.RemoveAll(filepath.Join(p.root, old)))
				}
			}
		}},
		{"the folder is a link", func(p *place) func(string, string) {
			return func(name, text string) {
				version, err := os.MkdirTemp(p.base, "v")
				p.must(err)
				p.mkdir(filepath.Join(version, "below"))
				p.must(os.WriteFile(filepath.Join(version, "below", name), []byte(text), 0o644))
				_ = os.Remove(p.root) // the plain folder of the beginning
				p.link(version, p.root)
			}
		}},
		{"in a folder below a link", func(p *place) func(string, string) {
			elsewhere := filepath.Join(p.base, "elsewhere")
			p.mkdir(filepath.Join(elsewhere, "below"))
			p.must(os.Remove(p.root))
			p.must(os.Symlink(elsewhere, p.root))
			return func(name, text string) { p.put(filepath.Join("below", name), text) }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			set := proof.Follow(t, redressfsnotify.Dir(p.root), tt.put(p))
			for attempts := 2; attempts < 8; attempts++ {
				set.Edit(attempts)
			}
			set.BreakAndMend()
			if err := set.Status().Notify; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAFolderMayVanishAndReturn(t *testing.T) {
	p := newPlace(t)
	p.base = filepath.Join(p.base, "deep", "er")
	p.root = filepath.Join(p.base, "policies")
	p.mkdir(p.root)
	set := proof.Follow(t, redressfsnotify.Dir(p.root), p.put)
	for i, gone := range []string{p.root, p.base, filepath.Dir(p.base), p.root} {
		p.must(os.RemoveAll(gone))
		set.Await("it is missed", func() bool { return set.Status().Err != nil })
		if got := set.Attempts(); got != i+1 {
			t.Errorf("%d attempts without a folder, want %d as before", got, i+1)
		}
		p.mkdir(p.root)
		set.Edit(i + 2)
	}
	aside := p.root + ".aside"
	p.must(os.Rename(p.root, aside))
	set.Await("it is missed", func() bool { return set.Status().Err != nil })
	p.must(os.Rename(aside, p.root))
	set.Await("it is found again", func() bool { return set.Status().Err == nil })
	set.Edit(9)
}

func TestWhatTheSystemDoesNotTellOfIsFoundByLooking(t *testing.T) {
	p := newPlace(t)
	far := filepath.Join(t.TempDir(), "far.yaml")
	put := func(name, text string) {
		p.must(os.WriteFile(far, []byte(text), 0o644))
		if link := filepath.Join(p.root, name); !exists(link) {
			p.must(os.Symlink(far, link))
		}
	}
	set := proof.Follow(t, redressfsnotify.Dir(p.root), put, redress.Every(20*time.Millisecond))
	set.Edit(3)
	set.BreakAndMend()
}

func exists(name string) bool { _, err := os.Lstat(name); return err == nil }

func TestNoDescriptorIsLeftBehind(t *testing.T) {
	before := descriptors()
	if before == 0 {
		t.Skip("this system does not tell of descriptors")
	}
	t.Run("followed", func(t *testing.T) {
		p := newPlace(t)
		set := proof.Follow(t, redressfsnotify.Dir(p.root), p.putOver)
		for i := range 50 {
			set.Edit(2 + i%2)
		}
		// One inotify, one pipe or event descriptor to wake its reader, and one each of
		// a folder and a file that may be read at this moment.
		if now := descriptors(); now > before+8 {
			t.Errorf("%d descriptors after 50 changes, %d before", now, before)
		}
	})
	proof.Await(t, "the descriptors are given back", func() bool { return descriptors() <= before })
}

func descriptors() int {
	all, _ := os.ReadDir("/proc/self/fd")
	return len(all)
}
