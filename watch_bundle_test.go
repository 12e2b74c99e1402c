package redress_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/bundle"
	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/ir"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// bundled is what redress-lint build makes of documents.
func bundled(t *testing.T, text string) string {
	t.Helper()
	loaded := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte(text))}, interp.Options{})
	if err := loaded.Diagnostics.Err(); err != nil {
		t.Fatal(err)
	}
	data, err := ir.Encode(loaded.Program.IR().WithoutPlaces())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const tripping = "circuit_breaker: {failure_threshold: 1, trip_on: [TRANSIENT]}\n"

// TestALiveSetFollowsABundle as it follows documents: whole or not at all, and with what
// breakers know.
func TestALiveSetFollowsABundle(t *testing.T) {
	source, told := &scripted{}, &heard{}
	source.set("p.rbundle", bundled(t, policyOf("p", 2)))
	set, err := redress.Watch(t.Context(), source, redress.Every(time.Hour), redress.Settle(0), redress.WithPolicyObserver(told))
	if err != nil {
		t.Fatal(err)
	}
	p := set.MustPolicy("p")
	both := policyOf("p", 3) + "---\n" + policyOf("gentle", 2) + "---\n"
	for _, row := range []struct {
		text     string
		told     string
		fallback string
		attempts int
	}{
		{bundled(t, policyOf("p", 4)), "policy_reloaded [Policy p: changed: retry.max_attempts]", "", 4},
		{bundled(t, "# why\n"+policyOf("p", 4)), "", "", 4}, // the same bytes
		{bundled(t, policyOf("p", 4))[:200], "policy_reload_failed p.rbundle: the bundle is damaged: it was cut off", "", 4},
		{bundled(t, both+setOf("shop", "gentle")), "policy_reloaded [Bundle p.rbundle: changed: fallback_policy] [Policy gentle: added] [Policy p: changed: retry.max_attempts]", "gentle", 3},
		{bundled(t, policyOf("gentle", 2)+"---\n"+setOf("shop", "gentle")), "policy_reloaded [Policy p: removed]", "gentle", 2},
		{policyOf("p", 5), "policy_reloaded [Policy gentle: removed] [Policy p: added]", "", 5},
		{bundled(t, policyOf("p", 5)), "policy_reloaded", "", 5}, // it says the same
		{bundled(t, strings.Replace(policyOf("p", 5), "std.http", "std.net", 1)), "policy_reloaded [Policy p: changed: classify]", "", 5},
	} {
		source.set("p.rbundle", row.text)
		_ = set.Reload(t.Context())
		if got := told.take(); !strings.HasPrefix(got, row.told) || (row.told == "" || row.told == "policy_reloaded") && got != row.told {
			t.Errorf("told %s, want %s", got, row.told)
		}
		if got := set.FallbackPolicy(); got != row.fallback {
			t.Errorf("%s: the fallback policy is %q, want %q", row.told, got, row.fallback)
		}
		if got := attempts(t, p); got != row.attempts {
			t.Errorf("%s: %d attempts, want %d", row.told, got, row.attempts)
		}
	}
}

func TestAReloadOfABundleKeepsACircuitOpen(t *testing.T) {
	source := &scripted{}
	source.set("p.rbundle", bundled(t, policyOf("p", 1)+tripping))
	set, err := redress.Watch(t.Context(), source, redress.Every(time.Hour), redress.Settle(0))
	if err != nil {
		t.Fatal(err)
	}
	p := set.MustPolicy("p")
	attempts(t, p)
	for _, next := range []string{bundled(t, policyOf("p", 2)+tripping), policyOf("p", 3) + tripping, bundled(t, policyOf("p", 4)+tripping)} {
		source.set("p.rbundle", next)
		if err := set.Reload(t.Context()); err != nil || p.Breaker().State() != engine.Open {
			t.Errorf("Reload = %v; the circuit is %v", err, p.Breaker().State())
		}
	}
}

// TestNothingStandsBesideABundle since it is a whole set.
func TestNothingStandsBesideABundle(t *testing.T) {
	base, emergency := &scripted{}, &scripted{}
	base.set("p.rbundle", bundled(t, policyOf("p", 2)))
	set, err := redress.Watch(t.Context(), redress.Layers(redress.Layer{Name: "base", Source: base}, redress.Layer{Name: "emergency", Source: emergency}), redress.Every(time.Hour), redress.Settle(0))
	if err != nil {
		t.Fatal(err)
	}
	emergency.set("off.yaml", "apiVersion: redress/v1\nkind: Override\nname: o\npolicy: p\nexpires: 2999-12-31\nset: {mode: off}\n")
	want := "a bundle is a whole set, and no other file can stand beside it: the source has base:p.rbundle, emergency:off.yaml"
	if err := set.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Reload = %v\nwant %s", err, want)
	}
	if got := attempts(t, set.MustPolicy("p")); got != 2 {
		t.Errorf("%d attempts, want 2", got)
	}
}

func TestABundleFileIsABundle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.rbundle")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	watch := func() (*redress.LiveSet, error) {
		return redress.Watch(t.Context(), redress.BundleFile(path), redress.Every(time.Hour), redress.Settle(0), redress.FallbackPolicy("p"))
	}
	if _, err := watch(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	write(policyOf("p", 2))
	if _, err := watch(); !errors.Is(err, bundle.ErrDamaged) || !strings.Contains(err.Error(), "policies.rbundle") {
		t.Errorf("a document: %v", err)
	}
	write(bundled(t, policyOf("p", 2)+"---\n"+policyOf("q", 3)+"---\n"+setOf("shop", "q")))
	if _, err := watch(); err == nil || !strings.Contains(err.Error(), `fallback_policy is "q", and the program says "p"`) {
		t.Errorf("two fallback policies: %v", err)
	}
	write(bundled(t, policyOf("p", 2)))
	set, err := watch()
	if err != nil {
		t.Fatal(err)
	}
	write(bundled(t, policyOf("p", 7)))
	if err := set.Reload(t.Context()); err != nil || attempts(t, set.MustPolicy("p")) != 7 || set.Status().From != path {
		t.Errorf("Reload = %v, status %+v", err, set.Status())
	}
}

// TestAnHTTPSourceMayHaveALargeBundle larger than a file of documents can be.
func TestAnHTTPSourceMayHaveALargeBundle(t *testing.T) {
	loaded := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte(policyOf("p", 2)))}, interp.Options{})
	large := loaded.Program.IR()
	for i := range 1200 {
		large.Policies[0].Operations = append(large.Policies[0].Operations, fmt.Sprint(strings.Repeat("x", 1000), i))
	}
	data, err := ir.Encode(large)
	if err != nil || len(data) <= dsl.MaxFileSize {
		t.Fatalf("the bundle has %d bytes, %v", len(data), err)
	}
	key, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&policyServer{text: string(data), signature: base64.StdEncoding.EncodeToString(ed25519.Sign(private, data))})
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	set, err := redress.Watch(t.Context(), &redress.HTTPSource{URL: server.URL, Client: server.Client(), Key: key}, redress.Every(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(set.MustPolicy("p").Operations()); got != 1200 {
		t.Errorf("%d operations, want 1200", got)
	}
}
