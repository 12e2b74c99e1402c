package redress_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// Every fenced block of the pages for people is executed here. What a block is, and
// what it is compared with, is said by its language and by HTML comments of the form
// `<!-- key: value -->` on the lines above it:
//
//	yaml with an apiVersion   loaded as a set of its own
//	  file: NAME              ... or written to the page's folder, which must load as one set
//	yaml without              needs `into`
//	  into: KIND [of POLICY] [PATH]   where it stands in a document, `Policy retry.classes`
//	  with: KEY: VALUE        one more line of that document
//	  wrong: RDxxx            must be refused with that code; the text block after it is compared
//	  kept: REASON            with file: written as it is, for the commands behind it; any language
//	go                        stands word for word in an Example that runs, or in examples/
//	  file: NAME              ... or is a file of the page's folder, which is a Go module
//	sh                        runs in the page's folder
//	  in: repository          ... or at the top of the repository
//	  exit: N                 with that exit code
//	  background: NAME        ... or goes on running under that name, until the page ends
//	text                      the output of the block before it; `…` stands for anything
//	  from: NAME              ... or lines that the program of that name prints, soon
//
// go test -run TestDocs -update writes the text blocks anew.

var update = flag.Bool("update", false, "write the text blocks of the documentation anew")

// notRun lists the commands that are only read here, with the reason.
var notRun = map[string]string{
	"go test work": "it is the command that runs this test",
	"go get github.com/redress-policy/redress@latest":                      "needs the network",
	"go install github.com/redress-policy/redress/cmd/redress-lint@latest": "needs the network",
	".ci/run": "it runs this test, among others",
	"go test -run=NONE -bench='Lint|Memory|Start' -benchtime=1x ./bench": "takes long, and its figures differ",
	"go run ./bench/ratios":                                  "takes long, and its figures differ",
	"go test -run=NONE -bench=Bundle -benchtime=20x ./bench": "takes long, and its figures differ",
	"git tag v0.2.0":                                         "changes the repository",
	"git push origin v0.2.0":                                 "changes another repository",
	"go test -run TestDocs -update .":                        "changes the pages",
}

// TestDocs executes the blocks of every page.
func TestDocs(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("the blocks are commands for sh, which is not here")
	}
	pages := docPages(t)
	if len(pages) < 9 {
		t.Fatalf("found only %d pages", len(pages))
	}
	bin := buildLint(t)
	code := goSources(t)
	for _, name := range pages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &docPage{name: name, bin: bin, code: code, dir: t.TempDir()}
			p.run(t)
		})
	}
}

func docPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(pages, "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
}

func buildLint(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	out := filepath.Join(bin, "redress-lint")
	if runtime.GOOS == "windows" {
		out += ".exe"
	}
	if text, err := exec.Command("go", "build", "-o", out, "./cmd/redress-lint").CombinedOutput(); err != nil {
		t.Fatalf("building redress-lint: %v\n%s", err, text)
	}
	return bin
}

// A docBlock is one fenced block.
type docBlock struct {
	line       int // of the opening fence, from 1
	first, end int // half-open range of line indices of the content
	indent     string
	language   string
	text       string
	marks      map[string][]string
}

func (b *docBlock) mark(key string) string {
	if v := b.marks[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

var (
	fence     = regexp.MustCompile("^([ ]*)(```+|~~~+)[ ]*([A-Za-z0-9]*)[ ]*$")
	mark      = regexp.MustCompile(`^\s*<!--\s*([a-z]+):\s*(.*?)\s*-->\s*$`)
	knownMark = []string{"file", "into", "with", "wrong", "in", "exit", "kept", "background", "from"}
)

// docBlocks finds the fenced blocks of a page and the marks above each.
func docBlocks(t *testing.T, lines []string) []*docBlock {
	t.Helper()
	var blocks []*docBlock
	marks := map[string][]string{}
	for i := 0; i < len(lines); i++ {
		if m := mark.FindStringSubmatch(lines[i]); m != nil {
			if !slices.Contains(knownMark, m[1]) {
				t.Errorf("line %d: unknown mark %q", i+1, m[1])
			}
			marks[m[1]] = append(marks[m[1]], m[2])
			continue
		}
		open := fence.FindStringSubmatch(lines[i])
		if open == nil {
			if strings.TrimSpace(lines[i]) != "" {
				if len(marks) > 0 {
					t.Errorf("line %d: the mark above belongs to no block", i+1)
				}
				marks = map[string][]string{}
			}
			if strings.HasPrefix(strings.TrimSpace(lines[i]), "```") {
				t.Errorf("line %d: cannot read this fence", i+1)
			}
			continue
		}
		b := &docBlock{line: i + 1, first: i + 1, indent: open[1], language: open[3], marks: marks}
		marks = map[string][]string{}
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != open[2]; i++ {
			b.text += strings.TrimPrefix(lines[i], b.indent) + "\n"
		}
		if i == len(lines) {
			t.Fatalf("line %d: the block is not closed", b.line)
		}
		b.end = i
		blocks = append(blocks, b)
	}
	return blocks
}

// A docPage is one page while its blocks run.
type docPage struct {
	name, bin, dir string
	code           *goCode
	lines          []string
	output         string // of the block before
	ran            bool   // whether there is such output
	fragment       bool   // whether the output speaks of a fragment: then any of its lines may be shown
	downloaded     bool   // whether the modules that those need have been fetched
	goFiles        bool   // whether the page has Go files of its own, which a command must run
	programs       map[string]*docProgram
}

func (p *docPage) run(t *testing.T) {
	text, err := os.ReadFile(p.name)
	if err != nil {
		t.Fatal(err)
	}
	p.lines = strings.Split(string(text), "\n")
	defer p.end(t)
	changed := false
	// From the back, an update would not move lines; forwards, blocks build on each
	// other. So updates are collected and applied afterwards.
	type edit struct {
		block *docBlock
		text  string
	}
	var edits []edit
	for _, b := range docBlocks(t, p.lines) {
		if b.mark("kept") != "" && b.mark("file") != "" && b.language != "yaml" {
			p.write(t, b.mark("file"), b.text)
			continue
		}
		switch b.language {
		case "yaml":
			p.yaml(t, b)
		case "go":
			p.goBlock(t, b)
		case "sh":
			p.sh(t, b)
		case "text":
			if name := b.mark("from"); name != "" {
				p.heard(t, b, name)
				continue
			}
			if !p.ran {
				t.Errorf("%s:%d: there is no output that this could be", p.name, b.line)
				continue
			}
			if p.shows(b.text) {
				continue
			}
			if *update {
				edits = append(edits, edit{b, p.shown()})
				continue
			}
			t.Errorf("%s:%d: the output is not the one shown; it is\n%s", p.name, b.line, p.output)
		default:
			t.Errorf("%s:%d: a block in language %q is not executed by anything", p.name, b.line, b.language)
		}
	}
	if p.goFiles {
		t.Errorf("%s: the page has Go files that no command runs", p.name)
	}
	for _, e := range slices.Backward(edits) {
		lines := strings.Split(strings.TrimRight(e.text, "\n"), "\n")
		for i := range lines {
			lines[i] = e.block.indent + lines[i]
		}
		p.lines = slices.Replace(p.lines, e.block.first, e.block.end, lines...)
		changed = true
	}
	if changed {
		if err := os.WriteFile(p.name, []byte(strings.Join(p.lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shows reports whether want is the output, trailing space aside. Of a fragment's
// output, whose line numbers say nothing to a reader, lines may be left out.
func (p *docPage) shows(want string) bool {
	if !p.fragment {
		return pattern(want).MatchString(tidy(p.output))
	}
	if strings.TrimSpace(want) == "" {
		return false
	}
	rest := p.output
	for line := range strings.Lines(strings.TrimSpace(want)) {
		at := strings.Index(rest, strings.TrimSpace(line))
		if at < 0 {
			return false
		}
		rest = rest[at+len(strings.TrimSpace(line)):]
	}
	return true
}

// shown is what -update writes.
func (p *docPage) shown() string {
	if !p.fragment {
		return strings.TrimLeft(p.output, "\n")
	}
	var b strings.Builder
	for line := range strings.Lines(p.output) {
		if rest, ok := strings.CutPrefix(line, "fragment.yaml:"); ok && strings.Count(rest, ": ") > 1 {
			_, message, _ := strings.Cut(rest, ": ")
			b.WriteString(message)
		} else if strings.HasPrefix(strings.TrimSpace(line), "help:") {
			b.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	return b.String()
}

func tidy(s string) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t")
	}
	return strings.Join(lines, "\n")
}

// pattern makes a regular expression of shown output: `…` stands for anything.
func pattern(want string) *regexp.Regexp {
	parts := strings.Split(tidy(want), "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*?") + `\z`)
}

func (p *docPage) result(output string, fragment bool) {
	p.output, p.ran, p.fragment = output, true, fragment
}

// yaml loads the block, or what the marks make of it.
func (p *docPage) yaml(t *testing.T, b *docBlock) {
	p.ran = false
	file, into, wrong := b.mark("file"), b.mark("into"), b.mark("wrong")
	if b.mark("kept") != "" {
		p.write(t, file, b.text)
		return
	}
	whole := strings.Contains(b.text, "apiVersion:")
	switch {
	case strings.HasPrefix(file, ".github/"):
		p.workflow(t, b)
	case into != "":
		p.fragmentOf(t, b, into, wrong)
	case !whole:
		t.Errorf("%s:%d: a fragment must say into which document it goes", p.name, b.line)
	case wrong != "":
		if file == "" {
			file = "policy.yaml"
		}
		p.refused(t, b, file, b.text, wrong, false)
	case file != "":
		p.write(t, file, b.text)
		if _, err := redress.Load(os.DirFS(filepath.Join(p.dir, filepath.Dir(file))), documented...); err != nil {
			t.Errorf("%s:%d: %v", p.name, b.line, err)
		}
	default:
		if _, err := redress.Parse(fmt.Sprintf("%s:%d", p.name, b.line), []byte(b.text), documented...); err != nil {
			t.Errorf("%s:%d: %v", p.name, b.line, err)
		}
	}
}

// documented registers what the pages say that a program registers.
var documented = []redress.LoadOption{redress.WithStrategy("my-backoff", engine.Immediate{}), redress.WithFleet(noStore{})}

// noStore is a fleet that takes everything and shares nothing.
type noStore struct{}

func (noStore) CheckBudget(engine.BudgetSpec) error          { return nil }
func (noStore) CheckBreaker(engine.BreakerSpec) error        { return nil }
func (noStore) Allowance(engine.BudgetSpec) engine.Allowance { return nil }
func (noStore) Quorum(engine.BreakerSpec) engine.Quorum      { return nil }

// refused lints text as a file and looks for the code.
func (p *docPage) refused(t *testing.T, b *docBlock, file, text, code string, fragment bool) {
	full := filepath.Join(p.dir, file)
	before, err := os.ReadFile(full)
	p.write(t, file, text)
	output, exit := p.command(t, p.dir, "redress-lint --func my-backoff "+filepath.ToSlash(file))
	if err == nil {
		p.write(t, file, string(before))
	} else if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	if exit != 1 || !strings.Contains(output, "["+code+" ") {
		t.Errorf("%s:%d: this should be refused with %s; redress-lint ended with %d and said\n%s", p.name, b.line, code, exit, output)
	}
	p.result(output, fragment)
}

var intoMark = regexp.MustCompile(`^(Policy|Classifier|Budget|CircuitBreaker|PolicyTest)(?: of (\S+))?(?: (\S+))?$`)

// fragmentOf puts the block into a document and checks that.
func (p *docPage) fragmentOf(t *testing.T, b *docBlock, into, wrong string) {
	m := intoMark.FindStringSubmatch(into)
	if m == nil {
		t.Fatalf("%s:%d: cannot read `into: %s`", p.name, b.line, into)
	}
	kind, policy, path := m[1], m[2], m[3]
	text := "apiVersion: redress/v1\nkind: " + kind + "\n"
	if kind == "PolicyTest" {
		text += "policy: " + policy + "\n"
	} else {
		text += "name: example\n"
	}
	for _, line := range b.marks["with"] {
		text += line + "\n"
	}
	own := path
	if path == "" {
		own = b.text
	}
	if kind == "Policy" && !strings.HasPrefix(own, "classify") && !strings.Contains(own, "\nclassify:") {
		text += "classify: [{use: std.http}]\n"
	}
	indent := ""
	if path != "" {
		for _, key := range strings.Split(path, ".") {
			text += indent + key + ":\n"
			indent += "  "
		}
	}
	for line := range strings.Lines(b.text) {
		text += indent + line
	}
	switch {
	case wrong != "":
		p.refused(t, b, "fragment.yaml", text, wrong, true)
	case kind == "PolicyTest":
		p.write(t, "policies/fragment.yaml", text)
		output, exit := p.command(t, p.dir, "redress-lint test policies")
		if err := os.Remove(filepath.Join(p.dir, "policies", "fragment.yaml")); err != nil {
			t.Fatal(err)
		}
		if exit != 0 {
			t.Errorf("%s:%d: these tests fail:\n%s", p.name, b.line, output)
		}
	default:
		if _, err := redress.Parse(fmt.Sprintf("%s:%d", p.name, b.line), []byte(text), documented...); err != nil {
			t.Errorf("%s:%d: %v\nin\n%s", p.name, b.line, err, text)
		}
	}
}

// workflow runs the `run` lines of a CI job.
func (p *docPage) workflow(t *testing.T, b *docBlock) {
	ran := 0
	for line := range strings.Lines(b.text) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "- run: ")
		if !ok {
			continue
		}
		ran++
		if notRun[command] != "" {
			continue
		}
		if output, exit := p.command(t, p.dir, command); exit != 0 {
			t.Errorf("%s:%d: %s ended with %d:\n%s", p.name, b.line, command, exit, output)
		}
	}
	if ran == 0 {
		t.Errorf("%s:%d: the job runs nothing", p.name, b.line)
	}
}

func (p *docPage) write(t *testing.T, name, text string) {
	t.Helper()
	full := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// sh runs the block's commands.
func (p *docPage) sh(t *testing.T, b *docBlock) {
	p.ran = false
	dir := p.dir
	if b.mark("in") == "repository" {
		dir = "."
	}
	var commands strings.Builder
	for line := range strings.Lines(b.text) {
		command, _, _ := strings.Cut(line, "  #")
		if command = strings.TrimSpace(command); notRun[command] == "" {
			commands.WriteString(line)
		}
		if strings.HasPrefix(command, "go run .") || strings.HasPrefix(command, "go build ") || strings.HasPrefix(command, "go test ") {
			p.goFiles = false
		}
	}
	if strings.TrimSpace(commands.String()) == "" {
		return
	}
	if name := b.mark("background"); name != "" {
		p.start(t, b, name)
		return
	}
	want := 0
	if s := b.mark("exit"); s != "" {
		if _, err := fmt.Sscan(s, &want); err != nil {
			t.Fatalf("%s:%d: exit: %v", p.name, b.line, err)
		}
	}
	output, exit := p.command(t, dir, commands.String())
	if exit != want {
		t.Errorf("%s:%d: ended with %d, not %d:\n%s", p.name, b.line, exit, want, output)
	}
	p.result(output, false)
}

// A docProgram goes on running while the blocks behind it do. It is a writer of what the
// program prints.
type docProgram struct {
	cmd *exec.Cmd

	mu      sync.Mutex
	output  string        // guarded by mu, like all below
	told    int           // how much of it the page has shown
	printed chan struct{} // closed when there is more
}

// Write implements io.Writer.
func (r *docProgram) Write(text []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.output += string(text)
	close(r.printed)
	r.printed = make(chan struct{})
	return len(text), nil
}

// find looks for shown lines behind those that were found before. If they are not there,
// rest is what is, and more is closed when it grows.
func (r *docProgram) find(shown *regexp.Regexp) (found bool, rest string, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest = r.output[r.told:]
	if at := shown.FindStringIndex(rest); at != nil {
		r.told += at[1]
		return true, "", nil
	}
	return false, rest, r.printed
}

// start runs the block's command until the page ends.
func (p *docPage) start(t *testing.T, b *docBlock, name string) {
	t.Helper()
	r := &docProgram{printed: make(chan struct{})}
	r.cmd = exec.CommandContext(t.Context(), "sh", "-e", "-c", "exec "+strings.TrimSpace(b.text))
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = p.dir, r, r
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("%s:%d: %v", p.name, b.line, err)
	}
	if p.programs == nil {
		p.programs = map[string]*docProgram{}
	}
	p.programs[name] = r
}

// end stops the page's programs, which end well when they are interrupted.
func (p *docPage) end(t *testing.T) {
	for name, r := range p.programs {
		if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("%s: stopping %s: %v", p.name, name, err)
		}
		if err := r.cmd.Wait(); err != nil {
			t.Errorf("%s: %s ended with %v and printed\n%s", p.name, name, err, r.output)
		}
	}
}

// patience is how long a page waits for what a program prints.
const patience = time.Minute

// heard waits until a program has printed the lines of the block. Here `…` stands for
// anything within a line.
func (p *docPage) heard(t *testing.T, b *docBlock, name string) {
	r := p.programs[name]
	if r == nil {
		t.Fatalf("%s:%d: no program is called %q", p.name, b.line, name)
	}
	parts := strings.Split(tidy(b.text), "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	shown := regexp.MustCompile(`(?m)^` + strings.Join(parts, ".*?") + `\n`)
	late := time.After(patience)
	for {
		found, rest, more := r.find(shown)
		if found {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("%s:%d: %s did not print this within %v, but\n%s", p.name, b.line, name, patience, rest)
		}
	}
}

// command runs a script and returns what it printed, on both streams, and its exit code.
func (p *docPage) command(t *testing.T, dir, script string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "PATH="+p.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if dir == p.dir {
		cmd.Env = append(cmd.Env, "GOWORK=off", "GOFLAGS=-mod=mod")
		p.download(t, cmd.Env)
	}
	output, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", script, err)
	}
	return string(output), cmd.ProcessState.ExitCode()
}

// download fetches what the page's module needs, once, so that what the go command says
// of it is not taken for output of the page's own.
func (p *docPage) download(t *testing.T, env []string) {
	if _, err := os.Stat(filepath.Join(p.dir, "go.mod")); err != nil || p.downloaded {
		return
	}
	p.downloaded = true
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download")
	cmd.Dir, cmd.Env = p.dir, env
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go mod download: %v\n%s", err, text)
	}
}

// goBlock writes the block as a file of the page's module, or looks for it in the
// Examples.
func (p *docPage) goBlock(t *testing.T, b *docBlock) {
	p.ran = false
	if file := b.mark("file"); file != "" {
		p.write(t, file, b.text)
		p.module(t)
		p.goFiles = true
		return
	}
	found, output := p.code.find(b.text)
	if !found {
		t.Errorf("%s:%d: this code stands in no Example that runs, nor in examples/", p.name, b.line)
	}
	p.result(output, false)
}

// module makes the page's folder a Go module that uses this one.
func (p *docPage) module(t *testing.T) {
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	const name = "module github.com/redress-policy/redress\n"
	if !strings.HasPrefix(string(own), name) {
		t.Fatal("go.mod does not begin as expected")
	}
	text := "module example.com/shop\n" + strings.TrimPrefix(string(own), name) +
		"\nrequire github.com/redress-policy/redress v0.0.0\nreplace github.com/redress-policy/redress => " + filepath.ToSlash(root) + "\n"
	p.write(t, "go.mod", text)
	for _, sums := range []string{"go.sum"} {
		if sum, err := os.ReadFile(sums); err == nil {
			p.write(t, sums, string(sum))
		}
	}
}

// goCode is the Go code that pages may quote.
type goCode struct{ files []goFile }

type goFile struct {
	lines    []string // trimmed
	test     bool
	examples []goExample
}

type goExample struct {
	first, last int // lines, from 0
	output      string
}

var goSources = func() func(*testing.T) *goCode {
	var once sync.Once
	var code *goCode
	return func(t *testing.T) *goCode {
		t.Helper()
		once.Do(func() { code = readGoSources(t) })
		return code
	}
}()

func readGoSources(t *testing.T) *goCode {
	t.Helper()
	names := []string{"example_test.go", "example_docs_test.go"}
	for _, pattern := range []string{"redress*/example*_test.go", "contrib/*/example*_test.go"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, more...)
	}
	err := filepath.WalkDir("examples", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	code := &goCode{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file := goFile{test: strings.HasSuffix(name, "_test.go"), lines: trimmed(string(text))}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range tree.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "Example") {
				continue
			}
			example := goExample{first: set.Position(f.Pos()).Line - 1, last: set.Position(f.End()).Line - 1}
			for _, group := range tree.Comments {
				if f.Pos() < group.Pos() && group.End() < f.End() {
					if _, output, ok := strings.Cut(group.Text(), "Output:"); ok {
						example.output = output
					}
				}
			}
			// An Example that needs a server is run by a test of its file.
			if example.output != "" || strings.Contains(string(text), "\n\t"+f.Name.Name+"()\n") {
				file.examples = append(file.examples, example)
			}
		}
		code.files = append(code.files, file)
	}
	return code
}

func trimmed(text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	return lines
}

// find looks for consecutive lines, indentation aside, and returns the output of the
// Example that they stand in.
func (c *goCode) find(text string) (found bool, output string) {
	want := trimmed(text)
	for _, file := range c.files {
		for i := range file.lines {
			if i+len(want) > len(file.lines) || !slices.Equal(file.lines[i:i+len(want)], want) {
				continue
			}
			if !file.test {
				return true, ""
			}
			for _, e := range file.examples {
				if e.first <= i && i <= e.last {
					return true, e.output
				}
			}
		}
	}
	return false, ""
}

// TestDocsLinksLead checks that relative links name files that exist and headings
// that those files have.
func TestDocsLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, name := range docPages(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(prose(string(text)), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := name
			if target != "" {
				path = filepath.Join(filepath.Dir(name), filepath.FromSlash(target))
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Errorf("%s: link to %s leads nowhere", name, m[1])
				continue
			}
			if anchor != "" && !info.IsDir() && !slices.Contains(anchors(t, path), anchor) {
				t.Errorf("%s: %s has no heading #%s", name, path, anchor)
			}
		}
	}
}

// prose is a page without its fenced blocks and quoted code.
func prose(text string) string {
	text = regexp.MustCompile("(?ms)^[ ]*```.*?^[ ]*```$").ReplaceAllString(text, "")
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllString(text, "")
}

// anchors returns the anchors that code hosts make of a page's headings.
func anchors(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	var all []string
	for line := range strings.Lines(string(text)) {
		if heading := strings.TrimLeft(line, "#"); heading != line && strings.HasPrefix(heading, " ") {
			all = append(all, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-"))
		}
	}
	return all
}

// TestDocsNameEverything holds the tables of the pages to the code: every class, stop
// reason, event, key, built-in pack and exit code has its line.
func TestDocsNameEverything(t *testing.T) {
	table := func(page string) (rows string) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "|") {
				rows += line
			}
		}
		return rows
	}
	has := func(page, rows, what, word string) {
		if !strings.Contains(rows, "`"+word+"`") {
			t.Errorf("%s: no table has %s %s", page, what, word)
		}
	}
	semantics, language, readme := table("docs/semantics.md"), table("docs/language.md"), table("README.md")
	row := func(page, rows, what, word string) {
		if !strings.Contains("\n"+rows, "\n| `"+word+"` |") {
			t.Errorf("%s: no line of a table is about %s %s", page, what, word)
		}
	}
	for _, r := range engine.StopReasons() {
		row("docs/semantics.md", semantics, "stop reason", r.String())
		row("docs/operations.md", table("docs/operations.md"), "stop reason", r.String())
	}
	for _, k := range engine.EventKinds() {
		row("docs/semantics.md", semantics, "event", k.String())
	}
	for _, c := range engine.Classes() {
		row("README.md", readme, "class", c.String())
	}
	for _, pack := range interp.Packs() {
		has("docs/language.md", language, "pack", pack)
	}
	for _, key := range schemaKeys(t) {
		has("docs/language.md", language, "key", key)
	}
}

// schemaKeys returns every key that a document may have, at any depth.
func schemaKeys(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("schema/policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, member := range v {
				walk(member)
			}
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok {
				for key := range properties {
					keys[key] = true
				}
			}
			for _, member := range v {
				walk(member)
			}
		}
	}
	walk(schema)
	return slices.Sorted(maps.Keys(keys))
}

// TestDocsNameEveryFlag holds the pages to the flags that redress-lint has.
func TestDocsNameEveryFlag(t *testing.T) {
	var text []byte
	for _, page := range []string{"docs/lint.md", "docs/operations.md"} {
		one, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, one...)
	}
	lint := filepath.Join(buildLint(t), "redress-lint")
	flags := regexp.MustCompile(`(?m)^  --([a-z-]+)`)
	for _, verb := range []string{"lint", "test", "explain", "envelope", "diff", "fmt", "baseline", "import"} {
		help, err := exec.Command(lint, verb, "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		found := flags.FindAllSubmatch(help, -1)
		if len(found) == 0 {
			t.Errorf("redress-lint %s --help shows no flags:\n%s", verb, help)
		}
		for _, m := range found {
			if name := string(m[1]); !strings.Contains(string(text), "`--"+name) && !strings.Contains(string(text), "`-"+name+"`") {
				t.Errorf("docs/lint.md and docs/operations.md do not name the flag --%s of redress-lint %s", name, verb)
			}
		}
	}
}

// TestDocsSkipOnlyWhatTheyShow keeps the list of commands that are not run short: each
// is in a page, and what it names exists.
func TestDocsSkipOnlyWhatTheyShow(t *testing.T) {
	var all strings.Builder
	for _, name := range docPages(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for command, reason := range notRun {
		if !strings.Contains(all.String(), command+"\n") {
			t.Errorf("no page shows %q (%s)", command, reason)
		}
	}
	for _, file := range []string{".ci/run", "go.work"} {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("a page names %s: %v", file, err)
		}
	}
}

// TestEveryVerbHasAnExample checks that every exported function of the package, and
// every exported method of its own types, has an Example.
func TestEveryVerbHasAnExample(t *testing.T) {
	examples := map[string]bool{}
	verbs := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range tree.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			verb := f.Name.Name
			if f.Recv != nil {
				verb = strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*") + "_" + verb
			}
			if strings.HasSuffix(name, "_test.go") {
				examples[strings.TrimPrefix(verb, "Example")] = true
			} else if f.Name.IsExported() && ast.IsExported(verb) {
				verbs[verb] = true
			}
		}
	}
	if len(verbs) < 30 {
		t.Fatalf("found only %d verbs", len(verbs))
	}
	for verb := range verbs {
		if !examples[verb] {
			t.Errorf("%s has no Example", verb)
		}
	}
}
