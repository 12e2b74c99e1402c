package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/ir"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// A sourceSet is the sources that are checked together.
type sourceSet struct{ sources []*dsl.Source }

// readPaths reads what the paths name: files named one by one form one set, each
// folder a set of its own. A path that names nothing is an error, and so is a
// folder without a policy file: what was not checked must not look checked.
func readPaths(paths []string, allowEmpty bool) ([]sourceSet, error) {
	if len(paths) == 0 {
		return nil, usagef("nothing to check: name a file or a folder")
	}
	var sets []sourceSet
	var files sourceSet
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, plain(err)
		}
		if !info.IsDir() {
			source, err := dsl.ReadFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, cause(err))
			}
			if ir.IsBundle(source.Bytes) {
				return nil, fmt.Errorf("%s is a bundle: name the documents that it was built from; redress-lint show says what it holds", path)
			}
			files.sources = append(files.sources, rename(source, filepath.ToSlash(path)))
			continue
		}
		sources, err := dsl.ReadFS(os.DirFS(path))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, plain(err))
		}
		if len(sources) == 0 && allowEmpty {
			continue
		}
		if len(sources) == 0 {
			return nil, fmt.Errorf("%s: %w", path, load.ErrNoFiles)
		}
		for i, source := range sources {
			sources[i] = rename(source, filepath.ToSlash(filepath.Join(path, source.Name)))
		}
		sets = append(sets, sourceSet{sources})
	}
	if len(files.sources) > 0 {
		sets = append([]sourceSet{files}, sets...)
	}
	return sets, nil
}

func rename(source *dsl.Source, name string) *dsl.Source {
	renamed := *source
	renamed.Name = name
	return &renamed
}

// plain drops the system call's name from an error about a file.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Path, path.Err)
	}
	return err
}

// cause is what went wrong with a file, without its name.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// options are what Go code would have to register for the policies to load.
func options(functions []string) interp.Options {
	opts := interp.Options{Now: time.Now()}
	for _, name := range functions {
		if opts.Strategies == nil {
			opts.Strategies = map[string]engine.Strategy{}
		}
		opts.Strategies[name] = engine.Immediate{}
	}
	return opts
}

// A listFlag collects the values of a flag that may be given several times.
type listFlag []string

func (l *listFlag) String() string     { return "" }
func (l *listFlag) Set(v string) error { *l = append(*l, v); return nil }
