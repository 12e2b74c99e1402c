// Package config reads .redress-lint.yaml: which rules are looked for, how much each
// matters, and in which files.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/rules"
)

// FileName is the name of the config file.
const FileName = ".redress-lint.yaml"

// maxSize bounds a config file, in bytes.
const maxSize = 1 << 20

// A Config is a config file. The zero Config looks for every rule that is on by
// default.
type Config struct {
	Dir          string // in which it stands: patterns and paths are relative to it
	FailOn       string // "" if it does not say
	Exclude      []string
	Environments []string // files with Environment documents
	Baseline     string
	Functions    []string // that programs register with redress.WithStrategy

	rules map[string]level // by id
	paths []pathRules
}

type pathRules struct {
	match string
	rules map[string]level
}

// A level is what a config file says of a rule: off, or a severity.
type level struct {
	off      bool
	severity dsl.Severity
}

// Find looks for a config file in a folder and in those above it. path is "" if there
// is none.
func Find(dir string) (path string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		name := filepath.Join(dir, FileName)
		if _, err := os.Stat(name); err == nil {
			return name, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", nil
		}
		dir = above
	}
}

// Read reads a config file.
func Read(name string) (*Config, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxSize)
	}
	c, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.Dir = filepath.Dir(name)
	return c, nil
}

func parse(text []byte) (*Config, error) {
	c := &Config{rules: map[string]level{}}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return c, nil
	} else if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one document")
	}
	root := doc.Content[0]
	err := mapping(root, "the config", map[string]func(*yaml.Node) error{
		"fail_on": func(n *yaml.Node) error {
			if _, ok := dsl.ParseSeverity(n.Value); !ok || n.Kind != yaml.ScalarNode {
				return at(n, "fail_on is error, warning or info, not %q", n.Value)
			}
			c.FailOn = n.Value
			return nil
		},
		"rules":        func(n *yaml.Node) error { return readRules(n, c.rules) },
		"exclude":      func(n *yaml.Node) error { return patterns(n, "exclude", &c.Exclude) },
		"environments": func(n *yaml.Node) error { return texts(n, "environments", &c.Environments) },
		"functions":    func(n *yaml.Node) error { return texts(n, "functions", &c.Functions) },
		"baseline":     func(n *yaml.Node) error { return text1(n, "baseline", &c.Baseline) },
		"paths":        c.readPaths,
	})
	return c, err
}

func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d, column %d: %s", n.Line, n.Column, fmt.Sprintf(format, args...))
}

// mapping reads a mapping of known keys.
func mapping(n *yaml.Node, what string, keys map[string]func(*yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "%s is a mapping of keys", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := keys[key.Value]
		switch {
		case !ok:
			known := sorted(keys)
			if near, ok := dsl.Nearest(key.Value, known); ok {
				return at(key, "unknown key %q; did you mean %q?", key.Value, near)
			}
			return at(key, "unknown key %q; keys here: %s", key.Value, strings.Join(known, ", "))
		case seen[key.Value]:
			return at(key, "%s is given twice", key.Value)
		}
		seen[key.Value] = true
		if err := read(value); err != nil {
			return err
		}
	}
	return nil
}

func sorted(keys map[string]func(*yaml.Node) error) []string {
	var list []string
	for key := range keys {
		list = append(list, key)
	}
	slices.Sort(list)
	return list
}

func text1(n *yaml.Node, what string, v *string) error {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || n.Value == "" {
		return at(n, "%s is a text", what)
	}
	*v = n.Value
	return nil
}

func texts(n *yaml.Node, what string, list *[]string) error {
	if n.Kind != yaml.SequenceNode {
		return at(n, "%s is a list of texts", what)
	}
	for _, item := range n.Content {
		var one string
		if err := text1(item, "an entry of "+what, &one); err != nil {
			return err
		}
		*list = append(*list, one)
	}
	return nil
}

func patterns(n *yaml.Node, what string, list *[]string) error {
	if err := texts(n, what, list); err != nil {
		return err
	}
	for i, one := range *list {
		if err := CheckPattern(one); err != nil {
			return at(n.Content[i], "%v", err)
		}
	}
	return nil
}

func (c *Config) readPaths(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return at(n, "paths is a list of {match: PATTERN, rules: {...}}")
	}
	for _, item := range n.Content {
		one := pathRules{rules: map[string]level{}}
		err := mapping(item, "an entry of paths", map[string]func(*yaml.Node) error{
			"match": func(n *yaml.Node) error {
				if err := text1(n, "match", &one.match); err != nil {
					return err
				}
				if err := CheckPattern(one.match); err != nil {
					return at(n, "%v", err)
				}
				return nil
			},
			"rules": func(n *yaml.Node) error { return readRules(n, one.rules) },
		})
		if err != nil {
			return err
		}
		if one.match == "" {
			return at(item, "an entry of paths needs match")
		}
		c.paths = append(c.paths, one)
	}
	return nil
}

// Levels are the words that a config file has for how much a rule matters.
var Levels = []string{"off", "info", "warning", "error"}

func readRules(n *yaml.Node, into map[string]level) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "rules is a mapping of rules to off, info, warning or error")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		rule, ok := rules.Find(key.Value)
		if !ok {
			return at(key, "no rule is called %q%s", key.Value, nearestRule(key.Value))
		}
		word := value.Value
		if value.ShortTag() == "!!bool" && (word == "off" || word == "Off" || word == "OFF") {
			word = "off"
		}
		if value.Kind != yaml.ScalarNode || !slices.Contains(Levels, word) {
			return at(value, "%s is off, info, warning or error, not %q", key.Value, value.Value)
		}
		if rule.Fixed {
			return at(key, "%s keeps a set from loading: it is always an error", rule.Code.ID)
		}
		if _, twice := into[rule.Code.ID]; twice {
			return at(key, "%s is given twice", key.Value)
		}
		severity, _ := dsl.ParseSeverity(word)
		into[rule.Code.ID] = level{off: word == "off", severity: severity}
	}
	return nil
}

func nearestRule(name string) string {
	var names []string
	for _, r := range rules.All() {
		names = append(names, r.Code.ID, r.Code.Slug)
	}
	if near, ok := dsl.Nearest(name, names); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; redress-lint rules lists them"
}

// Level returns whether a rule is looked for in a file, and how much it matters. given
// is the severity of the finding itself. Of several patterns that match, the last
// counts.
func (c *Config) Level(file string, code dsl.Code, given dsl.Severity) (dsl.Severity, bool) {
	rule, ok := rules.Find(code.ID)
	if !ok || rule.Fixed {
		return given, true
	}
	severity, on := given, !rule.Off
	apply := func(levels map[string]level) {
		if l, ok := levels[code.ID]; ok {
			severity, on = l.severity, !l.off
		}
	}
	apply(c.rules)
	for _, p := range c.paths {
		if Match(p.match, c.relative(file)) {
			apply(p.rules)
		}
	}
	return severity, on
}

// Excludes reports whether a file is not to be looked at.
func (c *Config) Excludes(file string) bool {
	return slices.ContainsFunc(c.Exclude, func(pattern string) bool { return Match(pattern, c.relative(file)) })
}

// relative is the path of a file from the config file.
func (c *Config) relative(file string) string {
	if c.Dir == "" {
		return path.Clean(filepath.ToSlash(file))
	}
	abs, err := filepath.Abs(filepath.FromSlash(file))
	if err != nil {
		return filepath.ToSlash(file)
	}
	rel, err := filepath.Rel(c.Dir, abs)
	if err != nil {
		return filepath.ToSlash(file)
	}
	return filepath.ToSlash(rel)
}

// Path makes a path of the config file one from here.
func (c *Config) Path(name string) string {
	if filepath.IsAbs(name) || c.Dir == "" {
		return name
	}
	joined := filepath.Join(c.Dir, filepath.FromSlash(name))
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, joined); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return joined
}

// CheckPattern says what is wrong with a pattern of paths.
func CheckPattern(pattern string) error {
	if _, err := path.Match(strings.ReplaceAll(pattern, "**", "*"), ""); err != nil {
		return fmt.Errorf("%q is no pattern of paths", pattern)
	}
	return nil
}

// Match reports whether a pattern matches a whole path with slashes: * stands for any
// characters but /, ** between slashes for any folders, ? and [...] for one character.
func Match(pattern, name string) bool {
	return matchParts(strings.Split(pattern, "/"), strings.Split(name, "/"))
}

func matchParts(pattern, name []string) bool {
	for len(pattern) > 0 && pattern[0] != "**" {
		if len(name) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], name[0]); err != nil || !ok {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	if len(pattern) == 0 {
		return len(name) == 0
	}
	for i := range len(name) + 1 {
		if matchParts(pattern[1:], name[i:]) {
			return true
		}
	}
	return false
}
