// Package lazyregexp has regular expressions for variables of packages, which are compiled
// when they are first used: a program that starts should not pay for those that it will
// not need. A test of the module compiles all of them, and refuses variables of packages
// that are compiled at once.
package lazyregexp

import (
	"regexp"
	"sync"
)

// A Regexp is a regular expression with the methods of regexp.Regexp that are needed. It is
// safe for use by many goroutines.
type Regexp struct {
	text string
	once sync.Once
	made *regexp.Regexp // guarded by once
}

// New returns the regular expression, which must be right: if it is not, its first use
// panics.
func New(text string) *Regexp { return &Regexp{text: text} }

func (r *Regexp) compiled() *regexp.Regexp {
	r.once.Do(func() { r.made = regexp.MustCompile(r.text) })
	return r.made
}

func (r *Regexp) MatchString(s string) bool { return r.compiled().MatchString(s) }

func (r *Regexp) FindStringIndex(s string) []int { return r.compiled().FindStringIndex(s) }

func (r *Regexp) FindAllStringIndex(s string, n int) [][]int {
	return r.compiled().FindAllStringIndex(s, n)
}

func (r *Regexp) FindSubmatch(b []byte) [][]byte { return r.compiled().FindSubmatch(b) }

func (r *Regexp) FindStringSubmatch(s string) []string { return r.compiled().FindStringSubmatch(s) }

func (r *Regexp) FindStringSubmatchIndex(s string) []int {
	return r.compiled().FindStringSubmatchIndex(s)
}

func (r *Regexp) ReplaceAllString(s, with string) string {
	return r.compiled().ReplaceAllString(s, with)
}
