package redress_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
)

func policyOf(name string, attempts int) string {
	return fmt.Sprintf("apiVersion: redress/v1\nkind: Policy\nname: %s\nclassify: [{use: std.http}]\nretry: {max_attempts: %d, strategy: immediate}\n", name, attempts)
}

// A script of a source is what it has, which a test changes.
type scripted struct {
	mu    sync.Mutex
	files map[string]string
	err   error
	reads int
	each  func(reads int, files map[string]string) // before every read
}

func (s *scripted) Read(context.Context) (redress.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.each != nil {
		s.each(s.reads, s.files)
	}
	snapshot := redress.Snapshot{From: "script", By: "ann", Version: fmt.Sprint("v", len(s.files))}
	for name, text := range s.files {
		snapshot.Files = append(snapshot.Files, redress.File{Name: name, Text: []byte(text)})
	}
	slices.SortFunc(snapshot.Files, func(a, b redress.File) int { return strings.Compare(a.Name, b.Name) })
	return snapshot, s.err
}

func (s *scripted) set(name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[string]string{}
	}
	if text == "" {
		delete(s.files, name)
	} else {
		s.files[name] = text
	}
}

func (s *scripted) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// A heard is an observer that keeps what it was told of reloads.
type heard struct {
	mu     sync.Mutex
	events []redress.Event
}

func (h *heard) Observe(_ context.Context, e redress.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.Reload != nil {
		h.events = append(h.events, e)
	}
}

// take returns the events since it was last asked, a line each.
func (h *heard) take() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []string
	for _, e := range h.events {
		line := e.Kind.String()
		for _, c := range e.Reload.Changes {
			line += " [" + c.String() + "]"
		}
		if e.Err != nil {
			line += " " + strings.SplitN(e.Err.Error(), "\n", 2)[0]
		}
		lines = append(lines, line)
	}
	h.events = nil
	return strings.Join(lines, "\n")
}

func attempts(t *testing.T, p *redress.Policy) int {
	t.Helper()
	return redress.Execute(t.Context(), p, func(context.Context) (int, error) { return 0, redress.Transient(errors.New("down")) }).Attempts
}

func TestALiveSetFollowsItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		source, told := &scripted{}, &heard{}
		source.set("p.yaml", policyOf("p", 2))
		set, err := redress.Watch(ctx, source, redress.Every(time.Minute), redress.WithPolicyObserver(told))
		if err != nil {
			t.Fatal(err)
		}
		first := set.Status()
		p := set.MustPolicy("p")
		source.set("p.yaml", policyOf("p", 4))
		source.set("q.yaml", policyOf("q", 1))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if got := attempts(t, p); got != 4 {
			t.Errorf("%d attempts after the reload, want 4", got)
		}
		if got, want := strings.Join(set.Names(), " "), "p q"; got != want {
			t.Errorf("names %s, want %s", got, want)
		}
		now := set.Status()
		e := told.events[0]
		if e.Reload.OldRevision != first.Revision || e.Reload.NewRevision != now.Revision || now.Revision == first.Revision {
			t.Errorf("from %s to %s, but the set was %s and is %s", e.Reload.OldRevision, e.Reload.NewRevision, first.Revision, now.Revision)
		}
		if e.Reload.From != "script" || e.Reload.By != "ann" || e.Reload.Version != "v2" || now.By != "ann" {
			t.Errorf("provenance: %+v", e.Reload)
		}
		if got, want := e.Note, "documents: 1 added, 1 changed; shared state: none changed"; got != want {
			t.Errorf("note %q, want %q", got, want)
		}
		if got, want := told.take(), "policy_reloaded [Policy p: changed: retry.max_attempts] [Policy q: added]"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	})
}

func TestABadSourceLeavesTheSetAsItWasAndIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		source, told := &scripted{}, &heard{}
		good := policyOf("p", 2)
		source.set("p.yaml", good)
		set, err := redress.Watch(ctx, source, redress.Every(time.Minute), redress.WithPolicyObserver(told))
		if err != nil {
			t.Fatal(err)
		}
		pass := func() string {
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			return told.take()
		}
		for _, row := range []struct {
			do   func()
			told string
		}{
			{func() { source.set("p.yaml", "kind: Polcy\n") }, "policy_reload_failed p.yaml:1:1: error"},
			{func() {}, ""},
			{func() { source.fail(errors.New("gone")) }, "policy_reload_failed gone"},
			{func() { source.fail(nil); source.set("p.yaml", "") }, "policy_reload_failed no .yaml or .yml file found"},
			{func() { source.set("p.yaml", good) }, ""},
			{func() { source.fail(errors.New("gone")) }, "policy_reload_failed gone"},
			{func() { source.fail(nil); source.set("p.yaml", policyOf("p", 3)) }, "policy_reloaded [Policy p: changed: retry.max_attempts]"},
		} {
			row.do()
			if got := pass(); !strings.HasPrefix(got, row.told) || row.told == "" && got != "" {
				t.Errorf("told %q, want %q", got, row.told)
			}
			if bad := strings.Contains(row.told, "failed") || set.Status().Err != nil; bad && attempts(t, set.MustPolicy("p")) != 2 {
				t.Error("the set has changed")
			}
		}
		if err := set.Status().Err; err != nil {
			t.Errorf("in the end: %v", err)
		}
		if got := attempts(t, set.MustPolicy("p")); got != 3 {
			t.Errorf("%d attempts, want 3", got)
		}
	})
}

// TestAFileThatIsBeingWrittenIsNotBelieved has the source say something valid but
// different at every read, until it settles.
func TestAFileThatIsBeingWrittenIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		source, told := &scripted{}, &heard{}
		source.set("p.yaml", policyOf("p", 2))
		set, err := redress.Watch(ctx, source, redress.Every(time.Minute), redress.Settle(time.Second), redress.WithPolicyObserver(told))
		if err != nil {
			t.Fatal(err)
		}
		source.mu.Lock()
		source.each = func(reads int, files map[string]string) { files["p.yaml"] = policyOf("p", min(reads, 8)+1) }
		source.mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got, want := told.take(), "policy_reloaded [Policy p: changed: retry.max_attempts]"; got != want {
			t.Errorf("told %s, want one reload", got)
		}
		if got := attempts(t, set.MustPolicy("p")); got != 9 {
			t.Errorf("%d attempts, want 9", got)
		}
	})
}

func TestTheFirstLoadMustSucceed(t *testing.T) {
	for name, opts := range map[string][]redress.WatchOption{
		"kind":         nil,
		"negative":     {redress.Every(-1)},
		"fallback":     {redress.FallbackPolicy("gentle")},
		"is nil":       {redress.WithStrategy("mine", nil)},
		"neither":      {redress.Settle(-1)},
		"every 0s and": {redress.Every(0)},
	} {
		source := &scripted{}
		source.set("p.yaml", policyOf("p", 1))
		if name == "kind" {
			source.set("p.yaml", "kind: Polcy\n")
		}
		if _, err := redress.Watch(t.Context(), source, append(opts, redress.Settle(0))[:max(len(opts), 1)]...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error that says %q", err, name)
		}
	}
}

func TestReloadLooksAtOnceAndSaysWhatIsWrong(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	source, told := &scripted{}, &heard{}
	source.set("p.yaml", policyOf("p", 1))
	set, err := redress.Watch(ctx, source, redress.Every(time.Hour), redress.Settle(0), redress.WithPolicyObserver(told))
	if err != nil {
		t.Fatal(err)
	}
	source.set("p.yaml", policyOf("p", 5))
	if err := set.Reload(ctx); err != nil || attempts(t, set.MustPolicy("p")) != 5 {
		t.Errorf("Reload: %v", err)
	}
	source.set("p.yaml", "kind: Polcy\n")
	for range 2 {
		var wrong *redress.DocumentError
		if err := set.Reload(ctx); !errors.As(err, &wrong) {
			t.Errorf("Reload = %v, want a DocumentError", err)
		}
	}
	source.set("p.yaml", policyOf("q", 5))
	if err := set.Reload(ctx); err != nil {
		t.Error(err)
	}
	if _, err := set.Policy("p"); err == nil {
		t.Error("the set still has p")
	}
	cancel()
	if err := set.Reload(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	if got := len(strings.Split(told.take(), "\n")); got != 3 {
		t.Errorf("%d events, want 3", got)
	}
}

func TestRemovedPoliciesFallBack(t *testing.T) {
	source := &scripted{}
	source.set("p.yaml", policyOf("p", 1))
	source.set("gentle.yaml", policyOf("gentle", 2))
	set, err := redress.Watch(t.Context(), source, redress.Every(time.Hour), redress.Settle(0), redress.FallbackPolicy("gentle"))
	if err != nil {
		t.Fatal(err)
	}
	p := set.MustPolicy("p")
	source.set("p.yaml", "")
	if err := set.Reload(t.Context()); err != nil || attempts(t, p) != 2 {
		t.Errorf("Reload: %v", err)
	}
	source.set("gentle.yaml", "")
	source.set("p.yaml", policyOf("p", 1))
	if err := set.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "gentle") {
		t.Errorf("a set without its fallback policy: %v", err)
	}
}

func setOf(name, fallback string) string {
	return fmt.Sprintf("apiVersion: redress/v1\nkind: Set\nname: %s\nfallback_policy: %s\n", name, fallback)
}

// TestTheDocumentsSayWhatBecomesOfRemovedPolicies also while calls go on under them.
func TestTheDocumentsSayWhatBecomesOfRemovedPolicies(t *testing.T) {
	source, told := &scripted{}, &heard{}
	source.set("p.yaml", policyOf("p", 1)+"---\n"+policyOf("gentle", 2)+"---\n"+policyOf("bold", 3))
	source.set("set.yaml", setOf("shop", "gentle"))
	set, err := redress.Watch(t.Context(), source, redress.Every(time.Hour), redress.Settle(0), redress.WithPolicyObserver(told))
	if err != nil {
		t.Fatal(err)
	}
	p := set.MustPolicy("p")
	without := policyOf("gentle", 2) + "---\n" + policyOf("bold", 3)
	for _, row := range []struct {
		file, text string
		told       string
		fallback   string
		attempts   int
	}{
		{"p.yaml", without, "policy_reloaded [Policy p: removed]", "gentle", 2},
		{"set.yaml", setOf("shop", "bold"), "policy_reloaded [Set shop: changed: fallback_policy]", "bold", 3},
		{"more.yaml", setOf("too", "bold"), "policy_reloaded [Set too: added]", "bold", 3},
		{"more.yaml", setOf("too", "gentle"), `policy_reload_failed set.yaml:4:18: error: fallback_policy is "bold" here and "gentle" elsewhere in the set [RD017 contradiction]`, "bold", 3},
		{"more.yaml", setOf("too", "bould"), `policy_reload_failed more.yaml:4:18: error: no policy is called "bould"; did you mean "bold"? [RD019 unknown-reference]`, "bold", 3},
		{"more.yaml", "", "policy_reloaded [Set too: removed]", "bold", 3},
		{"p.yaml", policyOf("gentle", 2), `policy_reload_failed set.yaml:4:18: error: no policy is called "bold" [RD019 unknown-reference]`, "bold", 3},
		{"p.yaml", without, "", "bold", 3},
		{"set.yaml", "", "policy_reloaded [Set shop: removed]", "", 0},
		{"set.yaml", setOf("shop", "gentle"), "policy_reloaded [Set shop: added]", "gentle", 2},
		{"p.yaml", without + "---\n" + policyOf("p", 4), "policy_reloaded [Policy p: added]", "gentle", 4},
	} {
		source.set(row.file, row.text)
		_ = set.Reload(t.Context())
		told.mu.Lock()
		for _, e := range told.events {
			if want := row.fallback; e.Err == nil && e.Reload.FallbackPolicy != want {
				t.Errorf("%s: the event says %q, want %q", row.told, e.Reload.FallbackPolicy, want)
			}
		}
		told.mu.Unlock()
		if got := told.take(); got != row.told {
			t.Errorf("told %s, want %s", got, row.told)
		}
		if got := set.FallbackPolicy(); got != row.fallback {
			t.Errorf("%s: the fallback policy is %q, want %q", row.told, got, row.fallback)
		}
		if got := attempts(t, p); got != row.attempts {
			t.Errorf("%s: %d attempts, want %d", row.told, got, row.attempts)
		}
		if row.attempts == 0 {
			if _, err := redress.Call(t.Context(), p, func(context.Context) (int, error) { return 0, nil }); !errors.Is(err, redress.ErrPolicyRemoved) {
				t.Errorf("%s: %v, want ErrPolicyRemoved", row.told, err)
			}
		}
	}
}

// TestTheProgramAndTheDocumentsMustNotNameTwoFallbackPolicies so that neither is silently
// passed over.
func TestTheProgramAndTheDocumentsMustNotNameTwoFallbackPolicies(t *testing.T) {
	source := &scripted{}
	source.set("p.yaml", policyOf("p", 1)+"---\n"+policyOf("gentle", 2)+"---\n"+policyOf("bold", 3))
	source.set("set.yaml", setOf("shop", "bold"))
	watch := func() (*redress.LiveSet, error) {
		return redress.Watch(t.Context(), source, redress.Every(time.Hour), redress.Settle(0), redress.FallbackPolicy("gentle"))
	}
	want := `set.yaml:4:18: error: fallback_policy is "bold", and the program says "gentle" with redress.FallbackPolicy [RD017 contradiction]`
	if _, err := watch(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Watch = %v\nwant %s", err, want)
	}
	for _, agreed := range []string{setOf("shop", "gentle"), ""} {
		source.set("set.yaml", agreed)
		set, err := watch()
		if err != nil {
			t.Fatal(err)
		}
		source.set("set.yaml", setOf("shop", "bold"))
		if err := set.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Reload = %v\nwant %s", err, want)
		}
		if got := set.FallbackPolicy(); got != "gentle" {
			t.Errorf("the fallback policy is %q", got)
		}
	}
	source.set("set.yaml", "")
	if _, err := redress.Watch(t.Context(), source, redress.FallbackPolicy("gentel")); err == nil || !strings.Contains(err.Error(), `the fallback policy "gentel" of redress.FallbackPolicy is not in the set; did you mean "gentle"?`) {
		t.Errorf("a misspelt option: %v", err)
	}
}

// TestALaterLayerSaysWhatHoldsForTheSet by a Set document of the same name.
func TestALaterLayerSaysWhatHoldsForTheSet(t *testing.T) {
	emergency := fstest.MapFS{}
	set, err := redress.Watch(t.Context(), redress.Layers(
		redress.Layer{Name: "base", Source: redress.FS("base", fstest.MapFS{
			"all.yaml": {Data: []byte(policyOf("gentle", 2) + "---\n" + policyOf("bold", 3) + "---\n" + setOf("shop", "gentle"))},
		})},
		redress.Layer{Name: "emergency", Source: redress.FS("emergency", emergency)},
	), redress.Every(time.Hour), redress.Settle(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ text, fallback, wrong string }{
		{setOf("shop", "bold"), "bold", ""},
		{setOf("other", "bold"), "bold", "elsewhere in the set"},
	} {
		emergency["set.yaml"] = &fstest.MapFile{Data: []byte(row.text)}
		err := set.Reload(t.Context())
		if row.wrong == "" && err != nil || row.wrong != "" && (err == nil || !strings.Contains(err.Error(), row.wrong)) {
			t.Errorf("Reload = %v, want %q", err, row.wrong)
		}
		if got := set.FallbackPolicy(); got != row.fallback {
			t.Errorf("the fallback policy is %q, want %q", got, row.fallback)
		}
	}
}

// TestADirFollowsWhateverIsDoneToItsFiles does what editors, deployments and Kubernetes
// do to files.
func TestADirFollowsWhateverIsDoneToItsFiles(t *testing.T) {
	root := t.TempDir()
	mount := filepath.Join(root, "mount")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(path, text string) {
		t.Helper()
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		must(os.WriteFile(path, []byte(text), 0o644))
	}
	// A ConfigMap's mount: the file is a link through ..data, which is swapped.
	write(filepath.Join(mount, "..one", "p.yaml"), policyOf("p", 1))
	must(os.Symlink("..one", filepath.Join(mount, "..data")))
	must(os.Symlink(filepath.Join("..data", "p.yaml"), filepath.Join(mount, "p.yaml")))
	set, err := redress.Watch(t.Context(), redress.Dir(mount), redress.Every(time.Hour), redress.Settle(0))
	must(err)
	p := set.MustPolicy("p")
	for i, step := range []func(){
		func() {
			write(filepath.Join(mount, "..two", "p.yaml"), policyOf("p", 2))
			must(os.Symlink("..two", filepath.Join(mount, "..tmp")))
			must(os.Rename(filepath.Join(mount, "..tmp"), filepath.Join(mount, "..data")))
			must(os.RemoveAll(filepath.Join(mount, "..one")))
		},
		func() {
			write(filepath.Join(mount, "new"), policyOf("p", 3))
			must(os.Rename(filepath.Join(mount, "new"), filepath.Join(mount, "p.yaml")))
		},
		func() { write(filepath.Join(mount, "p.yaml"), policyOf("p", 4)) },
		func() {
			must(os.Rename(mount, filepath.Join(root, "old")))
			write(filepath.Join(mount, "other.yml"), policyOf("p", 5))
		},
	} {
		step()
		if err := set.Reload(t.Context()); err != nil || attempts(t, p) != i+2 {
			t.Errorf("step %d: %v", i+1, err)
		}
	}
	must(os.RemoveAll(mount))
	if err := set.Reload(t.Context()); err == nil || attempts(t, p) != 5 {
		t.Errorf("without its folder: %v", err)
	}
}

func TestLaterLayersStandOverEarlierOnes(t *testing.T) {
	override := fstest.MapFS{}
	source := redress.Layers(
		redress.Layer{Name: "base", Source: redress.FS("base", fstest.MapFS{
			"all.yaml": {Data: []byte(policyOf("p", 1) + "---\n" + policyOf("q", 1))},
		})},
		redress.Layer{Name: "site", Source: redress.FS("site", fstest.MapFS{"q.yaml": {Data: []byte(policyOf("q", 2))}})},
		redress.Layer{Name: "now", Source: redress.FS("now", override)},
	)
	set, err := redress.Watch(t.Context(), source, redress.Every(time.Hour), redress.Settle(0))
	if err != nil {
		t.Fatal(err)
	}
	want := func(p, q int) {
		t.Helper()
		if a, b := attempts(t, set.MustPolicy("p")), attempts(t, set.MustPolicy("q")); a != p || b != q {
			t.Errorf("p %d, q %d, want %d, %d", a, b, p, q)
		}
	}
	want(1, 2)
	override["p.yml"] = &fstest.MapFile{Data: []byte(policyOf("p", 3))}
	if err := set.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(3, 2)
	if got, want := set.Status().From, "base=base, site=site, now=now"; got != want {
		t.Errorf("from %s, want %s", got, want)
	}
	override["bad.yaml"] = &fstest.MapFile{Data: []byte("kind: Polcy\n")}
	if err := set.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "now:bad.yaml:1:1") {
		t.Errorf("got %v, want the file's layer and name", err)
	}
	override["bad.yaml"] = &fstest.MapFile{Data: []byte(policyOf("p", 4))}
	if err := set.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "already called") {
		t.Errorf("twice in a layer: %v", err)
	}
	delete(override, "bad.yaml")
	delete(override, "p.yml")
	if err := set.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(1, 2)
}

// TestLayersMayHaveLayers as where a library comes with layers of its own.
func TestLayersMayHaveLayers(t *testing.T) {
	fsys := func(texts ...string) redress.Source {
		return redress.FS("fs", fstest.MapFS{"p.yaml": {Data: []byte(strings.Join(texts, "---\n"))}})
	}
	set, err := redress.Watch(t.Context(), redress.Layers(
		redress.Layer{Name: "library", Source: redress.Layers(
			redress.Layer{Name: "base", Source: fsys(policyOf("p", 1), policyOf("q", 1), policyOf("r", 1))},
			redress.Layer{Name: "site", Source: fsys(policyOf("p", 2), policyOf("q", 2))},
		)},
		redress.Layer{Name: "own", Source: fsys(policyOf("q", 3))},
	), redress.Every(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"p": "library:site 2 over library:base 1", "q": "own 3 over library:site 2 over library:base 1", "r": "library:base 1",
	} {
		for _, o := range set.Origins(name) {
			if o.Setting != "retry.max_attempts" {
				continue
			}
			got := o.Layer + " " + o.Value
			for _, over := range o.Over {
				got += " over " + over.Layer + " " + over.Value
			}
			if got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
		if got, want := attempts(t, set.MustPolicy(name)), map[string]int{"p": 2, "q": 3, "r": 1}[name]; got != want {
			t.Errorf("%s: %d attempts, want %d", name, got, want)
		}
	}
}

// TestOriginsFollowReloads and a reload that is refused changes nothing about them.
func TestOriginsFollowReloads(t *testing.T) {
	site := fstest.MapFS{}
	set, err := redress.Watch(t.Context(), redress.Layers(
		redress.Layer{Name: "base", Source: redress.FS("base", fstest.MapFS{"p.yaml": {Data: []byte(policyOf("p", 1))}})},
		redress.Layer{Name: "site", Source: redress.FS("site", site)},
	), redress.Every(time.Hour), redress.Settle(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ text, want string }{
		{"", "base 1 base:p.yaml:5:23"},
		{policyOf("p", 2), "site 2 site:p.yaml:5:23 over base 1 base:p.yaml:5:23"},
		{"kind: Polcy\n", "site 2 site:p.yaml:5:23 over base 1 base:p.yaml:5:23"},
		{policyOf("q", 2), "base 1 base:p.yaml:5:23"},
	} {
		if row.text != "" {
			site["p.yaml"] = &fstest.MapFile{Data: []byte(row.text)}
		}
		_ = set.Reload(t.Context())
		got := ""
		for _, o := range set.Origins("p") {
			if o.Setting == "retry.max_attempts" {
				got = strings.Join([]string{o.Layer, o.Value, o.Place}, " ")
				for _, over := range o.Over {
					got += " " + strings.Join([]string{"over", over.Layer, over.Value, over.Place}, " ")
				}
			}
		}
		if got != row.want {
			t.Errorf("%q: got %s, want %s", row.text, got, row.want)
		}
	}
	if set.Origins("nobody") != nil {
		t.Error("a policy that is not there comes from somewhere")
	}
	alone := &scripted{}
	alone.set("p.yaml", policyOf("p", 1))
	if set, err = redress.Watch(t.Context(), alone, redress.Every(time.Hour)); err != nil || set.Origins("p") != nil {
		t.Errorf("without layers: %v, %v", set.Origins("p"), err)
	}
}

// A policyServer has one file, with an ETag and a signature.
type policyServer struct {
	mu        sync.Mutex
	text      string
	signature string
	status    int
	served    []int
}

func (s *policyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	etag := fmt.Sprintf(`"%d"`, len(s.text))
	w.Header().Set("ETag", etag)
	if s.signature != "" {
		w.Header().Set(redress.SignatureHeader, s.signature)
	}
	status := s.status
	if status == 0 && r.Header.Get("If-None-Match") == etag {
		status = http.StatusNotModified
	}
	s.served = append(s.served, status)
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	_, _ = w.Write([]byte(s.text))
}

func TestAnHTTPSourceAsksByETagAndChecksSignatures(t *testing.T) {
	key, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	handler := &policyServer{}
	put := func(text string, by ed25519.PrivateKey) {
		handler.text = text
		handler.signature = base64.StdEncoding.EncodeToString(ed25519.Sign(by, []byte(text)))
	}
	put(policyOf("p", 2), private)
	server := httptest.NewServer(handler)
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	source := &redress.HTTPSource{URL: strings.Replace(server.URL, "http://", "http://user:secret@", 1), Client: server.Client(), Key: key}
	set, err := redress.Watch(t.Context(), source, redress.Every(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := func(n int, message string) {
		t.Helper()
		err := set.Reload(t.Context())
		if message == "" && err != nil || message != "" && (err == nil || !strings.Contains(err.Error(), message)) {
			t.Errorf("Reload = %v, want %q", err, message)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("it tells the password: %v", err)
		}
		if got := attempts(t, set.MustPolicy("p")); got != n {
			t.Errorf("%d attempts, want %d", got, n)
		}
	}
	want(2, "")
	if got := fmt.Sprint(handler.served); got != "[0 304]" {
		t.Errorf("served %s, want a 304 the second time", got)
	}
	_, other, _ := ed25519.GenerateKey(nil)
	put(policyOf("p", 10), other)
	want(2, "is not that of the key")
	handler.signature = "?"
	want(2, "is not that of the key")
	handler.signature = ""
	want(2, "has no Redress-Signature")
	put(policyOf("p", 10), private)
	want(10, "")
	handler.status = http.StatusInternalServerError
	want(10, "500")
	handler.status = 0
	put("kind: Polcy\n", private)
	want(10, "kind")
	if got := set.Status(); got.Version == "" || strings.Contains(got.From, "secret") {
		t.Errorf("status %+v", got)
	}
	if _, err := redress.Watch(t.Context(), &redress.HTTPSource{URL: server.URL}, redress.Settle(0)); err == nil || !strings.Contains(err.Error(), "neither https") {
		t.Errorf("without TLS and key: %v", err)
	}
}

// A notifying source tells of every change.
type notifying struct {
	scripted
	changes chan struct{}
	end     error
}

func (n *notifying) Notify(ctx context.Context, changed func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.changes:
			if n.end != nil {
				return n.end
			}
			changed()
		}
	}
}

func TestASourceThatTellsOfChangesIsReadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		source := &notifying{changes: make(chan struct{})}
		source.set("p.yaml", policyOf("p", 1))
		set, err := redress.Watch(ctx, redress.Layers(redress.Layer{Name: "one", Source: source}), redress.Every(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		source.set("p.yaml", policyOf("p", 2))
		source.changes <- struct{}{}
		time.Sleep(time.Second)
		if got := attempts(t, set.MustPolicy("p")); got != 2 {
			t.Errorf("%d attempts, want 2", got)
		}
		source.end = errors.New("no more watches")
		source.changes <- struct{}{}
		synctest.Wait()
		if err := set.Status().Notify; err == nil || !strings.Contains(err.Error(), "layer one: no more watches") {
			t.Errorf("Status.Notify = %v", err)
		}
		source.set("p.yaml", policyOf("p", 3))
		time.Sleep(2 * time.Hour)
		if got := attempts(t, set.MustPolicy("p")); got != 3 {
			t.Errorf("%d attempts, want 3: it is looked at all the same", got)
		}
	})
}

func TestAReloadTellsWhatBecameOfSharedState(t *testing.T) {
	text := func(threshold int) string {
		return policyOf("p", 1) + fmt.Sprintf("circuit_breaker: {failure_threshold: %d, trip_on: [TRANSIENT]}\n", threshold)
	}
	source, told := &scripted{}, &heard{}
	source.set("p.yaml", text(1))
	set, err := redress.Watch(t.Context(), source, redress.Every(time.Hour), redress.Settle(0), redress.WithPolicyObserver(told))
	if err != nil {
		t.Fatal(err)
	}
	p := set.MustPolicy("p")
	attempts(t, p)
	source.set("p.yaml", "# why\n"+text(3))
	if err := set.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Breaker().State() != engine.Open {
		t.Error("the reload closed an open breaker")
	}
	r := told.events[0].Reload
	if got, want := fmt.Sprint(r.Carried), "[circuit_breaker p: resized: failure_threshold 1 to 3]"; got != want {
		t.Errorf("carried %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(r.Changes), "[Policy p: changed: circuit_breaker.failure_threshold]"; got != want {
		t.Errorf("changes %s, want %s", got, want)
	}
}

// TestAnOverrideCountsUntilItExpires also when the source stays the same.
func TestAnOverrideCountsUntilItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins in 2000
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		source, told := &scripted{}, &heard{}
		source.set("p.yaml", policyOf("p", 3))
		source.set("now.yaml", "apiVersion: redress/v1\nkind: Override\nname: incident\npolicy: p\nexpires: 2000-01-01\nset: {mode: off}\n")
		set, err := redress.Watch(ctx, source, redress.Every(time.Minute), redress.WithPolicyObserver(told))
		if err != nil {
			t.Fatal(err)
		}
		p := set.MustPolicy("p")
		overridden := p.Revision()
		if got := attempts(t, p); got != 1 {
			t.Errorf("%d attempts while it is off, want 1", got)
		}
		time.Sleep(24*time.Hour + time.Minute)
		synctest.Wait()
		if got := attempts(t, p); got != 3 {
			t.Errorf("%d attempts afterwards, want 3", got)
		}
		if got, want := told.take(), "policy_reloaded [Override incident: removed]"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		if p.Revision() == overridden {
			t.Error("the revision is the same")
		}
		source.set("more.yaml", "apiVersion: redress/v1\nkind: Override\nname: a\npolicy: p\nexpires: 2001-01-01\nset: {max_attempts: 2}\n---\napiVersion: redress/v1\nkind: Override\nname: b\npolicy: p\nexpires: 2001-01-01\nset: {mode: shadow}\n")
		if err := set.Reload(ctx); err == nil || !strings.Contains(err.Error(), `policy "p" is overridden twice`) {
			t.Errorf("two at a time: %v", err)
		}
	})
}
