package lint

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/checks"
	"github.com/redress-policy/redress/internal/config"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/report"
	"github.com/redress-policy/redress/internal/rules"
	"github.com/redress-policy/redress/internal/suppress"
)

// A request says what to look at, and how: what the flags of checking say.
type request struct {
	configFile   string
	noConfig     bool
	functions    listFlag
	environments listFlag
	enable       listFlag
	disable      listFlag
	stdinName    string
	allowEmpty   bool
}

func (r *request) flags(flags *flag.FlagSet) {
	flags.StringVar(&r.configFile, "config", "", "the config `FILE` (default: "+config.FileName+" here or in a folder above)")
	flags.BoolVar(&r.noConfig, "no-config", false, "look for no config file")
	flags.Var(&r.functions, "func", functionsUsage)
	flags.Var(&r.environments, "assume", "a `FILE` with Environment documents to reckon with; may be repeated")
	flags.Var(&r.enable, "enable", "look for a `RULE` that is off by default; may be repeated")
	flags.Var(&r.disable, "disable", "do not look for a `RULE`; may be repeated")
	flags.StringVar(&r.stdinName, "stdin-filename", "", "the `NAME` by which findings in - (standard input) are reported")
	flags.BoolVar(&r.allowEmpty, "allow-empty", false, "finding no policy file is no error")
}

// An outcome is what a run found.
type outcome struct {
	config    *config.Config
	sources   []*dsl.Source
	found     dsl.Diagnostics
	silenced  []suppress.Silenced
	known     []report.Suppressed // of the baseline
	documents int
	threshold dsl.Severity // the least that fails
}

// readConfig finds and reads the config file.
func (r *request) readConfig() (*config.Config, error) {
	name := r.configFile
	if name == "" && !r.noConfig {
		var err error
		if name, err = config.Find("."); err != nil {
			return nil, err
		}
	}
	if name == "" {
		return &config.Config{}, nil
	}
	c, err := config.Read(name)
	if err != nil {
		return nil, plain(err)
	}
	return c, nil
}

// analyse reads, loads and checks what the paths name.
func (r *request) analyse(paths []string, stdin io.Reader, p *progress) (*outcome, error) {
	l, err := r.linter()
	if err != nil {
		return nil, err
	}
	sets, err := r.read(paths, stdin, l.config)
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		p.total += len(set.sources)
	}
	l.progress = p
	defer p.end()
	o := &outcome{config: l.config}
	policies := []string{}
	for _, set := range sets {
		checked := l.check(set.sources)
		o.found = append(o.found, checked.found...)
		o.silenced = append(o.silenced, checked.silenced...)
		o.sources = append(o.sources, set.sources...)
		o.documents += checked.documents
		policies = append(policies, checked.policies...)
	}
	return o, knownPolicies(l.environments, policies)
}

// A linter checks sets as flags and config say.
type linter struct {
	config       *config.Config
	wanted       map[string]bool
	environments []*dsl.Document
	functions    []string
	progress     *progress
}

// linter reads what the flags name.
func (r *request) linter() (*linter, error) {
	var l linter
	var err error
	if l.config, err = r.readConfig(); err != nil {
		return nil, err
	}
	if l.wanted, err = r.wanted(); err != nil {
		return nil, err
	}
	if l.environments, err = r.readEnvironments(l.config); err != nil {
		return nil, err
	}
	l.functions = slices.Concat([]string(r.functions), l.config.Functions)
	return &l, nil
}

// A checkedSet is what was found in a set.
type checkedSet struct {
	found     dsl.Diagnostics
	silenced  []suppress.Silenced
	documents int
	policies  []string
}

// A checkedPart is what was found in a part of a set.
type checkedPart struct {
	found     dsl.Diagnostics
	facts     checks.Facts
	documents int
	sound     bool
}

// check loads and checks one set, part by part, and applies the levels and suppressions.
func (l *linter) check(sources []*dsl.Source) checkedSet {
	parts := load.Split(sources, options(l.functions))
	results := make([]checkedPart, parts.Len())
	inParallel(parts.Len(), func(i int) {
		results[i] = l.part(parts, i)
		l.progress.add(len(parts.Sources(i)))
	})
	set, sound := checkedSet{policies: parts.Names["Policy"]}, true
	var facts []checks.Facts
	var found dsl.Diagnostics
	for _, part := range results {
		found = append(found, part.found...)
		facts = append(facts, part.facts)
		set.documents += part.documents
		sound = sound && part.sound
	}
	if sound {
		found = append(found, checks.Whole(facts)...)
	}
	found.Sort()
	on := func(file string, code dsl.Code) bool {
		rule, _ := rules.Find(code.ID)
		return (sound || rule.Fixed) && l.on(file, code) // nothing is looked for in a set that does not load
	}
	set.found, set.silenced = suppress.Apply(sources, l.leveled(found), time.Now(), on)
	set.found = l.leveled(set.found)
	return set
}

func (l *linter) part(parts *load.Parts, i int) checkedPart {
	result := parts.Load(i)
	part := checkedPart{found: result.Diagnostics, sound: result.Sound}
	for range result.Set.All() {
		part.documents++
	}
	if !result.Sound {
		return part
	}
	untested := slices.ContainsFunc(parts.Sources(i), func(s *dsl.Source) bool { return l.on(s.Name, dsl.CodeRuleUntested) })
	found, facts := checks.Part(result.Set, result.Program, checks.Options{Now: time.Now(), Environments: l.environmentsFor(parts, i), Tests: untested})
	part.found, part.facts = append(part.found, found...), facts
	return part
}

// environmentsFor are the environments to reckon with beside those of the part itself: of
// the set's other parts, and of files that flags and config name, unless the set holds
// one of that name.
func (l *linter) environmentsFor(parts *load.Parts, i int) []*dsl.Document {
	var list []*dsl.Document
	for _, doc := range parts.Environments {
		if !slices.Contains(parts.Sources(i), doc.Source) {
			list = append(list, doc)
		}
	}
	for _, doc := range l.environments {
		if !slices.Contains(parts.Names["Environment"], doc.Name.V) {
			list = append(list, doc)
		}
	}
	return list
}

// inParallel calls do for 0 to n-1, as many at a time as there are processors, one of them
// on the caller's goroutine. A panic in one of them is that of inParallel.
func inParallel(n int, do func(i int)) {
	var next atomic.Int64
	var failed atomic.Pointer[string]
	work := func() {
		defer func() {
			if p := recover(); p != nil {
				failed.Store(new(fmt.Sprintf("%v\n%s", p, debug.Stack())))
			}
		}()
		for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
			do(i)
		}
	}
	var group sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) - 1 {
		group.Go(work)
	}
	work()
	group.Wait()
	if p := failed.Load(); p != nil {
		panic(*p)
	}
}

// leveled gives findings the severity that flags and config say, and leaves out what is
// not looked for.
func (l *linter) leveled(found dsl.Diagnostics) dsl.Diagnostics {
	var kept dsl.Diagnostics
	for _, d := range found {
		file := ""
		if d.Range.Source != nil {
			file = d.Range.Source.Name
		}
		if severity, is := l.level(file, d); is {
			d.Severity = severity
			kept = append(kept, d)
		}
	}
	return kept
}

// A loadedSet is a set with its program, held as a whole.
type loadedSet struct {
	sources []*dsl.Source
	*load.Result
}

// load reads and loads what the paths name, for verbs that run policies.
func (r *request) load(paths []string, stdin io.Reader) (*linter, []loadedSet, error) {
	l, err := r.linter()
	if err != nil {
		return nil, nil, err
	}
	sets, err := r.read(paths, stdin, l.config)
	if err != nil {
		return nil, nil, err
	}
	var loaded []loadedSet
	for _, set := range sets {
		loaded = append(loaded, loadedSet{set.sources, load.Sources(set.sources, options(l.functions))})
	}
	return l, loaded, nil
}

// knownPolicies refuses environments that name policies which no set has.
func knownPolicies(environments []*dsl.Document, policies []string) error {
	for _, doc := range environments {
		for _, p := range doc.Environment.Policies {
			if slices.Contains(policies, p.Policy.V) {
				continue
			}
			if near, ok := dsl.Nearest(p.Policy.V, policies); ok {
				return fmt.Errorf("%s: no policy is called %q; did you mean %q?", p.Policy.Range, p.Policy.V, near)
			}
			return fmt.Errorf("%s: no policy is called %q", p.Policy.Range, p.Policy.V)
		}
	}
	return nil
}

// level is what flags and config say of a rule in a file.
func (l *linter) level(file string, d dsl.Diagnostic) (dsl.Severity, bool) {
	severity, on := l.config.Level(file, d.Code, d.Severity)
	if want, said := l.wanted[d.Code.ID]; said {
		on = want
		if rule, _ := rules.Find(d.Code.ID); rule.Fixed {
			on = true
		}
	}
	return severity, on
}

// on reports whether a rule is looked for in a file.
func (l *linter) on(file string, code dsl.Code) bool {
	_, on := l.level(file, dsl.Diagnostic{Code: code})
	return on
}

// wanted reads --enable and --disable.
func (r *request) wanted() (map[string]bool, error) {
	wanted := map[string]bool{}
	for _, list := range []struct {
		flag  string
		names []string
		on    bool
	}{{"enable", r.enable, true}, {"disable", r.disable, false}} {
		for _, name := range list.names {
			rule, ok := rules.Find(name)
			if !ok {
				return nil, unknownRule("--"+list.flag, name)
			}
			if rule.Fixed && !list.on {
				return nil, usagef("--disable: %s keeps a set from loading and cannot be disabled", rule.Code.ID)
			}
			wanted[rule.Code.ID] = list.on
		}
	}
	return wanted, nil
}

func unknownRule(where, name string) error {
	var names []string
	for _, r := range rules.All() {
		names = append(names, r.Code.ID, r.Code.Slug)
	}
	if near, ok := dsl.Nearest(name, names); ok {
		return usagef("%s: no rule is called %q; did you mean %s?", where, name, near)
	}
	return usagef("%s: no rule is called %q; redress-lint rules lists them", where, name)
}

// readEnvironments reads the files with Environment documents that flags and config
// name.
func (r *request) readEnvironments(c *config.Config) ([]*dsl.Document, error) {
	names := slices.Clone([]string(r.environments))
	for _, name := range c.Environments {
		names = append(names, c.Path(name))
	}
	var docs []*dsl.Document
	for _, name := range names {
		source, err := dsl.ReadFile(os.DirFS(filepath.Dir(name)), filepath.Base(name))
		if err != nil {
			return nil, plain(err)
		}
		file, found := dsl.Parse(rename(source, filepath.ToSlash(name)))
		if found.HasErrors() {
			return nil, fmt.Errorf("--assume: %w", found.Err())
		}
		n := len(docs)
		for _, doc := range file.Documents {
			if doc.Environment != nil {
				docs = append(docs, doc)
			}
		}
		if len(docs) == n {
			return nil, fmt.Errorf("%s: no Environment document", name)
		}
	}
	return docs, nil
}

// read reads what the paths name: files named one by one, also by patterns and from
// standard input, form one set, each folder a set of its own.
func (r *request) read(paths []string, stdin io.Reader, c *config.Config) ([]sourceSet, error) {
	var expanded []string
	fromStdin := false
	for _, path := range paths {
		switch {
		case path == "-":
			fromStdin = true
		case strings.ContainsAny(path, "*?[") && !exists(path):
			names, err := expand(path)
			if err != nil {
				return nil, err
			}
			if len(names) == 0 && !r.allowEmpty {
				return nil, fmt.Errorf("%s: no file matches", path)
			}
			expanded = append(expanded, names...)
		default:
			expanded = append(expanded, path)
		}
	}
	if r.stdinName != "" && !fromStdin {
		return nil, usagef("--stdin-filename is for -, standard input")
	}
	var sets []sourceSet
	if len(expanded) > 0 {
		var err error
		if sets, err = readPaths(expanded, r.allowEmpty); err != nil {
			return nil, err
		}
	} else if len(paths) == 0 {
		return nil, usagef("nothing to check: name a file or a folder")
	}
	if fromStdin {
		text, err := io.ReadAll(io.LimitReader(stdin, dsl.MaxFileSize+1))
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		name := r.stdinName
		if name == "" {
			name = "<stdin>"
		}
		sets = append(sets, sourceSet{[]*dsl.Source{dsl.NewSource(filepath.ToSlash(name), text)}})
	}
	return exclude(sets, c, r.allowEmpty)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// exclude leaves out what the config file excludes.
func exclude(sets []sourceSet, c *config.Config, allowEmpty bool) ([]sourceSet, error) {
	var kept []sourceSet
	for _, set := range sets {
		set.sources = slices.DeleteFunc(slices.Clone(set.sources), func(s *dsl.Source) bool { return c.Excludes(s.Name) })
		if len(set.sources) > 0 {
			kept = append(kept, set)
		}
	}
	if len(kept) == 0 && len(sets) > 0 && !allowEmpty {
		return nil, errors.New("the config file excludes everything that was named")
	}
	return kept, nil
}

// expand finds the files that a pattern names; ** stands for any folders.
func expand(pattern string) ([]string, error) {
	pattern = filepath.ToSlash(pattern)
	if err := config.CheckPattern(pattern); err != nil {
		return nil, usagef("%v", err)
	}
	// What stands before the first wildcard is where to look.
	root := pattern[:strings.IndexAny(pattern, "*?[")]
	root = root[:strings.LastIndexByte(root, '/')+1]
	dir := root
	if dir == "" {
		dir = "."
	}
	var names []string
	err := filepath.WalkDir(filepath.FromSlash(dir), func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		slashed := filepath.ToSlash(name)
		if root == "" || strings.HasPrefix(slashed, root) {
			if config.Match(strings.TrimPrefix(pattern, "./"), strings.TrimPrefix(slashed, "./")) {
				names = append(names, name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, plain(err)
	}
	slices.Sort(names)
	return names, nil
}
