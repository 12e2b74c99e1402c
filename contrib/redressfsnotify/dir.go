package redressfsnotify

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/fsnotify/fsnotify"

	"github.com/redress-policy/redress"
)

// Dir is [redress.Dir] that also tells of changes: to the folder, to those below it, and
// to its name, so that it may be replaced as a whole, be a link that is pointed
// elsewhere, or vanish and return. It is a [redress.Notifier], which uses one watch of
// the system per folder.
func Dir(path string) redress.Source { return folder{redress.Dir(path), path} }

type folder struct {
	redress.Source
	path string
}

// Notify implements [redress.Notifier]. Its error says that the system watches no more
// folders for this process.
func (f folder) Notify(ctx context.Context, changed func()) error {
	root, err := filepath.Abs(f.path)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := untilRearranged(ctx, root, changed); err != nil {
			return err
		}
	}
	return nil
}

// untilRearranged tells of changes until there may be other folders to watch, or ctx
// ends. The watch begins anew then: this is simpler than to follow what was moved where,
// and loses nothing, since whoever begins a watch tells of a change.
func untilRearranged(ctx context.Context, root string, changed func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer watcher.Close()
	if err := watchAll(watcher, root); err != nil {
		return err
	}
	changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-watcher.Events:
			switch {
			case !open:
				return nil
			case !within(root, event.Name) && !within(event.Name, root):
				continue // of a neighbour of the folder
			}
			changed()
			if event.Has(fsnotify.Create) || event.Has(fsnotify.Rename) || event.Has(fsnotify.Remove) {
				return nil
			}
		case <-watcher.Errors:
			return nil // something was missed
		}
	}
}

// watchAll watches the folders at root and below, as far as they can be read, and the
// nearest one above that is there.
func watchAll(watcher *fsnotify.Watcher, root string) error {
	for above := ""; above != nearestAbove(root); {
		above = nearestAbove(root) // once more, if a nearer one has come meanwhile
		if err := add(watcher, above); err != nil {
			return err
		}
	}
	// What cannot be walked cannot be read either, which is for Read to tell.
	return fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case !entry.IsDir():
			return nil
		case name != "." && strings.HasPrefix(path.Base(name), "."):
			return fs.SkipDir
		}
		return add(watcher, filepath.Join(root, filepath.FromSlash(name)))
	})
}

// add watches one folder. That it cannot be, but for want of room, is no error: it may
// be gone again, or be opened to us later.
func add(watcher *fsnotify.Watcher, name string) error {
	err := watcher.Add(name)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return &fs.PathError{Op: "watch", Path: name, Err: err}
	}
	return nil
}

// nearestAbove is the closest folder above root that exists.
func nearestAbove(root string) string {
	above := filepath.Dir(root)
	for above != filepath.Dir(above) {
		if info, err := os.Stat(above); err == nil && info.IsDir() {
			break
		}
		above = filepath.Dir(above)
	}
	return above
}

// within reports whether name is folder or below it.
func within(folder, name string) bool {
	return name == folder || strings.HasPrefix(name, strings.TrimSuffix(folder, string(filepath.Separator))+string(filepath.Separator))
}
