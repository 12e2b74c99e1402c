package lint

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	sets      []loadedSet
	sources   []*dsl.Source
	found     dsl.Diagnostics
	silenced  []suppress.Silenced
	known     []report.Suppressed // of the baseline
	documents int
	threshold dsl.Severity // the least that fails
}

type loadedSet struct {
	sources []*dsl.Source
	*load.Result
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
func (r *request) analyse(paths []string, stdin io.Reader) (*outcome, error) {
	o := &outcome{}
	var err error
	if o.config, err = r.readConfig(); err != nil {
		return nil, err
	}
	wanted, err := r.wanted()
	if err != nil {
		return nil, err
	}
	environments, err := r.readEnvironments(o.config)
	if err != nil {
		return nil, err
	}
	sets, err := r.read(paths, stdin, o.config)
	if err != nil {
		return nil, err
	}
	functions := slices.Concat([]string(r.functions), o.config.Functions)
	for _, set := range sets {
		result, kept, silenced := o.check(set.sources, functions, wanted, environments)
		o.found = append(o.found, kept...)
		o.silenced = append(o.silenced, silenced...)
		o.sources = append(o.sources, set.sources...)
		o.sets = append(o.sets, loadedSet{set.sources, result})
		for range result.Set.All() {
			o.documents++
		}
	}
	return o, knownPolicies(environments, o.sets)
}

// check loads and checks one set, and applies the levels and suppressions.
func (o *outcome) check(sources []*dsl.Source, functions []string, wanted map[string]bool, environments []*dsl.Document) (*load.Result, dsl.Diagnostics, []suppress.Silenced) {
	result := load.Sources(sources, options(functions))
	found := result.Diagnostics
	on := func(file string, code dsl.Code) bool {
		_, is := o.level(wanted, file, dsl.Diagnostic{Code: code})
		return is
	}
	if !found.HasErrors() {
		untested := slices.ContainsFunc(sources, func(s *dsl.Source) bool { return on(s.Name, dsl.CodeRuleUntested) })
		found = append(found, checks.Check(result.Set, result.Program, checks.Options{Environments: environmentsFor(environments, result), Tests: untested})...)
	}
	kept, silenced := suppress.Apply(sources, o.leveled(wanted, found), time.Now(), on)
	return result, o.leveled(wanted, kept), silenced
}

// leveled gives findings the severity that flags and config say, and leaves out what is
// not looked for.
func (o *outcome) leveled(wanted map[string]bool, found dsl.Diagnostics) dsl.Diagnostics {
	var kept dsl.Diagnostics
	for _, d := range found {
		file := ""
		if d.Range.Source != nil {
			file = d.Range.Source.Name
		}
		if severity, is := o.level(wanted, file, d); is {
			d.Severity = severity
			kept = append(kept, d)
		}
	}
	return kept
}

// knownPolicies refuses environments that name policies which no set has.
func knownPolicies(environments []*dsl.Document, sets []loadedSet) error {
	known := map[string]bool{}
	var names []string
	for _, set := range sets {
		for doc := range set.Set.All() {
			if doc.Policy != nil && !known[doc.Name.V] {
				known[doc.Name.V] = true
				names = append(names, doc.Name.V)
			}
		}
	}
	for _, doc := range environments {
		for _, p := range doc.Environment.Policies {
			if known[p.Policy.V] {
				continue
			}
			if near, ok := dsl.Nearest(p.Policy.V, names); ok {
				return fmt.Errorf("%s: no policy is called %q; did you mean %q?", p.Policy.Range, p.Policy.V, near)
			}
			return fmt.Errorf("%s: no policy is called %q", p.Policy.Range, p.Policy.V)
		}
	}
	return nil
}

// level is what flags and config say of a rule in a file.
func (o *outcome) level(wanted map[string]bool, file string, d dsl.Diagnostic) (dsl.Severity, bool) {
	severity, on := o.config.Level(file, d.Code, d.Severity)
	if want, said := wanted[d.Code.ID]; said {
		on = want
		if rule, _ := rules.Find(d.Code.ID); rule.Fixed {
			on = true
		}
	}
	return severity, on
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

// environmentsFor leaves out environments that a set holds itself.
func environmentsFor(all []*dsl.Document, result *load.Result) []*dsl.Document {
	return slices.DeleteFunc(slices.Clone(all), func(doc *dsl.Document) bool {
		return result.Set.Find("Environment", doc.Name.V) != nil
	})
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
