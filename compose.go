package redress

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/ir"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// A composed set is what a snapshot comes to.
type composed struct {
	policies  []*Policy
	fallback  dsl.Value[string] // in a bundle it stands nowhere
	warnings  dsl.Diagnostics
	documents documents
	origins   map[string][]Origin // by policy; nil for a set without layers
}

// compose makes a set of documents, or of a bundle. It also returns when an override of
// it expires, whether or not there is a set now; zero if none will.
func compose(snapshot Snapshot, options interp.Options) (c *composed, until time.Time, err error) {
	var sources []*dsl.Source
	for _, f := range snapshot.Files {
		if ir.IsBundle(f.Text) {
			c, err := composeBundle(snapshot, options)
			return c, until, err
		}
		source := dsl.NewSource(f.Name, f.Text)
		source.Layer, source.LayerName = f.layer, f.layerName
		sources = append(sources, source)
	}
	if len(sources) == 0 {
		return nil, until, load.ErrNoFiles
	}
	loaded := load.Sources(sources, options)
	until = nextExpiry(loaded.Set, options.Now)
	if err := loaded.Diagnostics.Err(); err != nil {
		return nil, until, err
	}
	return &composed{
		policies: loaded.Program.Build(), fallback: loaded.Program.FallbackPolicy(), warnings: loaded.Diagnostics,
		documents: documentsOf(loaded, options.Now), origins: originsOf(loaded),
	}, until, nil
}

// originsOf says where policies of a set with layers are written.
func originsOf(loaded *load.Result) map[string][]Origin {
	if !loaded.Set.Layered() {
		return nil
	}
	all := map[string][]Origin{}
	for _, p := range loaded.Program.Policies() {
		all[p.Name()] = p.Origins()
	}
	return all
}

// composeBundle makes a set of a bundle, which must stand alone: neither can documents be
// laid over what is compiled, nor two bundles be one set.
func composeBundle(snapshot Snapshot, options interp.Options) (*composed, error) {
	if len(snapshot.Files) > 1 {
		var names []string
		for _, f := range snapshot.Files {
			names = append(names, f.Name)
		}
		return nil, fmt.Errorf("a bundle is a whole set, and no other file can stand beside it: the source has %s", strings.Join(names, ", "))
	}
	f := snapshot.Files[0]
	b, policies, err := ir.Load(f.Text, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	name := b.Set.FallbackPolicy
	return &composed{policies: policies, fallback: dsl.Value[string]{V: name, Set: name != ""}, documents: documentsOfBundle(f.Name, b.Set)}, nil
}

// documents are what a set says, without where it stands or how it is written.
type documents struct {
	said      map[dsl.Reference]any // by kind and name
	revisions map[string]string     // of policies, by name
	bundle    bool                  // it was said by a bundle
}

// nextExpiry is when the first of the overrides in force expires.
func nextExpiry(set *dsl.Set, now time.Time) (next time.Time) {
	for doc := range set.All() {
		if o := doc.Override; o != nil && !interp.Expired(o, now) && (next.IsZero() || o.Expires.V.Before(next)) {
			next = o.Expires.V
		}
	}
	return next
}

// documentsOf leaves out tests, and overrides that no longer count.
func documentsOf(loaded *load.Result, now time.Time) documents {
	all := documents{said: map[dsl.Reference]any{}, revisions: map[string]string{}}
	for doc := range loaded.Set.All() {
		expired := doc.Override != nil && interp.Expired(doc.Override, now)
		if doc.Test == nil && doc.Name.Set && !expired {
			all.said[dsl.Reference{Kind: doc.Kind.V, Name: doc.Name.V}] = doc.JSON()
		}
	}
	for _, p := range loaded.Program.Policies() {
		all.revisions[p.Name()] = p.Revision()
	}
	return all
}

// documentsOfBundle tells of policies as far as a bundle holds what their documents said,
// and of the bundle itself what concerns them all.
func documentsOfBundle(name string, set *ir.Set) documents {
	all := documents{said: map[dsl.Reference]any{}, revisions: map[string]string{}, bundle: true}
	all.said[dsl.Reference{Kind: "Bundle", Name: name}] = map[string]any{"fallback_policy": set.FallbackPolicy}
	for _, p := range set.Policies {
		all.revisions[p.Name] = p.Revision
		all.said[dsl.Reference{Kind: "Policy", Name: p.Name}] = map[string]any{
			"mode": p.Mode, "operations": p.Operations, "default_class": p.DefaultClass, "circuit_breaker": p.Breaker,
			"classify": saidBy(p.Classify), "classify_result": saidBy(p.ClassifyResult),
			"retry": map[string]any{
				"deadline": p.Deadline, "attempt_timeout": p.AttemptTimeout, "max_attempts": p.MaxAttempts, "max_unknown_attempts": p.MaxUnknownAttempts,
				"strategy": p.Strategy, "classes": p.Classes, "select": []any{saidBy(p.Select), p.Selected}, "budget": p.Budget,
			},
		}
	}
	return all
}

// saidBy is what rules say, whether or not they have been compiled.
func saidBy(list *ir.List) (said []any) {
	for _, r := range list.Rules {
		said = append(said, r.ID, r.Class, r.When, r.RetryAfter)
	}
	return said
}

// changes lists what the next documents say differently. Between documents and a bundle
// policies are compared by their revisions: they say the same in other words.
func (d documents) changes(next documents) []engine.DocumentChange {
	if d.bundle != next.bundle {
		d, next = d.byRevision(), next.byRevision()
	}
	var all []engine.DocumentChange
	for ref, old := range d.said {
		now, there := next.said[ref]
		if !there {
			all = append(all, engine.DocumentChange{Kind: ref.Kind, Name: ref.Name, What: "removed"})
		} else if fields := differing("", old, now); len(fields) > 0 {
			all = append(all, engine.DocumentChange{Kind: ref.Kind, Name: ref.Name, What: "changed", Fields: slices.DeleteFunc(fields, func(f string) bool { return f == "" })})
		}
	}
	for ref := range next.said {
		if _, there := d.said[ref]; !there {
			all = append(all, engine.DocumentChange{Kind: ref.Kind, Name: ref.Name, What: "added"})
		}
	}
	slices.SortFunc(all, func(a, b engine.DocumentChange) int {
		return strings.Compare(a.Kind+" "+a.Name, b.Kind+" "+b.Name)
	})
	return all
}

// byRevision says of each policy its revision, and nothing else.
func (d documents) byRevision() documents {
	said := map[dsl.Reference]any{}
	for name, revision := range d.revisions {
		said[dsl.Reference{Kind: "Policy", Name: name}] = revision
	}
	return documents{said: said}
}

// differing names the fields in which two documents differ, with dots between them, down
// to lists and scalars.
func differing(path string, old, next any) []string {
	a, isMap := old.(map[string]any)
	b, also := next.(map[string]any)
	switch {
	case reflect.DeepEqual(old, next):
		return nil
	case isMap && also, isMap && next == nil, also && old == nil:
	default:
		return []string{path}
	}
	var fields []string
	keys := map[string]bool{}
	for key := range a {
		keys[key] = true
	}
	for key := range b {
		keys[key] = true
	}
	for key := range keys {
		inner := key
		if path != "" {
			inner = path + "." + key
		}
		fields = append(fields, differing(inner, a[key], b[key])...)
	}
	slices.Sort(fields)
	return fields
}
