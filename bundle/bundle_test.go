package bundle_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
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

const payments = `apiVersion: redress/v1
kind: Policy
name: payments-api
operations: ["payments.*"]
attributes: {decline_code: string}
vars: {throttled: 'err.status == 429 || err.code in ["RATE", "QUOTA"]'}
classify:
  - {id: declined, when: err.attr.decline_code != "", class: PERMANENT}
  - {id: throttled, when: vars.throttled, class: RATE_LIMIT, retry_after: err.retry_after}
  - {id: busy, when: 'err.causes.exists(c, c.message.matches("(?i)busy|overloaded"))', class: TRANSIENT}
  - {id: broken, when: err.status >= 500, class: SERVER_ERROR}
classify_result:
  - {id: pending, when: result.status == 202, class: TRANSIENT}
retry:
  select:
    - {id: hurry, when: class == RATE_LIMIT && remaining < duration("2s"), strategy: stop}
  strategy: {constant: {delay: 1s}}
  classes: {RATE_LIMIT: {max_attempts: 2, strategy: {retry_after_or: {decorrelated_jitter: {max: 60s}}}}}
  budget: {max_retries: 20, window: 60s}
circuit_breaker: {failure_threshold: 3, window: 60s, recovery_timeout: 30s, trip_on: [SERVER_ERROR], class_thresholds: {RATE_LIMIT: 3}}
`

// build makes a bundle of one source.
func build(t testing.TB, text string) []byte {
	t.Helper()
	loaded := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte(text))}, interp.Options{Strategies: map[string]engine.Strategy{"mine": engine.Immediate{}}})
	if err := loaded.Diagnostics.Err(); err != nil {
		t.Fatal(err)
	}
	data, err := ir.Encode(loaded.Program.IR())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// headerSize is what stands before the payload, as docs/bundles.md says.
const headerSize = 8 + 4 + 8 + 32

// sign writes the header of a payload anew, so that what is wrong with it can be found.
func sign(payload []byte) []byte {
	data := binary.BigEndian.AppendUint32([]byte("rbundle\x1a"), 1)
	data = binary.BigEndian.AppendUint64(data, uint64(len(payload)))
	sum := sha256.Sum256(payload)
	return append(append(data, sum[:]...), payload...)
}

func TestABundleRunsItsPolicies(t *testing.T) {
	set, err := bundle.Load(build(t, payments))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := set.For("payments.charge")
	if err != nil || policy.Name() != "payments-api" || fmt.Sprint(set.Names()) != "[payments-api]" {
		t.Fatalf("For = %v, %v; the set has %v", policy, err, set.Names())
	}
	_, err = engine.Call(t.Context(), set.MustPolicy("payments-api"), func(context.Context) (int, error) {
		return 0, &engine.Error{}
	}, engine.WithOperation("payments.charge"))
	var failed *engine.Error
	if !errors.As(err, &failed) || failed.Policy != "payments-api" || failed.Revision == "" {
		t.Errorf("Call = %v", err)
	}
	if _, err := set.Policy("payment-api"); err == nil || !strings.Contains(err.Error(), `did you mean "payments-api"?`) {
		t.Errorf("a wrong name: %v", err)
	}
	if _, err := set.For("orders.list"); err == nil {
		t.Error("an operation that no policy governs has one")
	}
}

func TestPlacesAreThoseOfTheDocuments(t *testing.T) {
	data := build(t, payments)
	set, err := bundle.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]string{"declined": "p.yaml:8:5", "pending": "p.yaml:13:5", "hurry": "p.yaml:16:7", "other": ""} {
		if got := set.Place("payments-api", rule); got != want {
			t.Errorf("rule %s stands at %q, want %q", rule, got, want)
		}
	}
	decoded, err := ir.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := ir.Encode(decoded.Set.WithoutPlaces())
	if err != nil {
		t.Fatal(err)
	}
	if set, err = bundle.Load(bare); err != nil || set.Place("payments-api", "declined") != "" || len(bare) >= len(data) {
		t.Errorf("without places: %q, %v, %d bytes of %d", set.Place("payments-api", "declined"), err, len(bare), len(data))
	}
}

func TestABundleThatIsCutOffAnywhereIsRefused(t *testing.T) {
	data := build(t, payments)
	for n := range len(data) {
		_, err := bundle.Load(data[:n])
		if !errors.Is(err, bundle.ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
		if want := fmt.Sprintf("%d of %d bytes", n, len(data)); n >= headerSize && !strings.Contains(err.Error(), want) {
			t.Fatalf("%d bytes: %v, want %q", n, err, want)
		}
	}
	if _, err := bundle.Load(append(data, 0)); !errors.Is(err, bundle.ErrDamaged) || !strings.Contains(err.Error(), "1 bytes stand behind") {
		t.Errorf("one byte more: %v", err)
	}
}

func TestABundleOfWhichAnyBitWasAlteredIsRefused(t *testing.T) {
	data := build(t, payments)
	for i := range data {
		for bit := range 8 {
			altered := append([]byte(nil), data...)
			altered[i] ^= 1 << bit
			if _, err := bundle.Load(altered); !errors.Is(err, bundle.ErrDamaged) && !errors.Is(err, bundle.ErrNewer) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
	altered := append([]byte(nil), data...)
	altered[len(altered)-1]++
	if _, err := bundle.Load(altered); err == nil || !strings.Contains(err.Error(), "it was altered") {
		t.Errorf("the last byte: %v", err)
	}
}

// TestAnAlteredPayloadNeverPanics signs payloads of which one byte is another one: they
// load, or not, and what loads can be called.
func TestAnAlteredPayloadNeverPanics(t *testing.T) {
	payload := build(t, payments)[headerSize:]
	loaded := 0
	for i := range payload {
		for _, change := range []byte{1, 2, 0x7f, 0x80, 0xff} {
			altered := append([]byte(nil), payload...)
			altered[i] ^= change
			loaded += try(sign(altered))
		}
	}
	if loaded < 50 {
		t.Errorf("only %d altered payloads loaded: the test says little", loaded)
	}
}

// try loads and asks what loads, and counts the policies.
func try(data []byte) int {
	set, err := bundle.Load(data, bundle.WithStrategy("mine", engine.Immediate{}))
	if err != nil {
		return 0
	}
	for _, name := range set.Names() {
		spec := set.MustPolicy(name).Spec()
		for _, f := range []engine.Failure{{Status: 503}, {Code: "RATE", Causes: []engine.CauseRecord{{Message: "busy"}}}} {
			judge(spec, engine.Input{Failure: &f, Attempt: 1})
		}
	}
	return len(set.Names())
}

func TestANewerBundleSaysWhatToDo(t *testing.T) {
	data := build(t, payments)
	binary.BigEndian.PutUint32(data[8:], 3)
	_, err := bundle.Load(data)
	if !errors.Is(err, bundle.ErrNewer) {
		t.Fatal(err)
	}
	for _, part := range []string{"version 3", "up to 2", "newer redress", "older redress-lint"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v\ndoes not speak of %q", err, part)
		}
	}
}

func TestWhatIsNoBundleIsRefusedAsSuch(t *testing.T) {
	for _, data := range []string{"", "x", "apiVersion: redress/v1\n", "rbundle"} {
		_, err := bundle.Load([]byte(data))
		if !errors.Is(err, bundle.ErrDamaged) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestAStrategyFunctionMustBeRegistered(t *testing.T) {
	data := build(t, "apiVersion: redress/v1\nkind: Policy\nname: p\nclassify: [{use: std.http}]\nretry: {strategy: {func: mine}}\n")
	if _, err := bundle.Load(data); err == nil || !strings.Contains(err.Error(), `"mine"`) || !strings.Contains(err.Error(), "WithStrategy") {
		t.Errorf("Load without the function: %v", err)
	}
	if _, err := bundle.Load(data, bundle.WithStrategy("mine", nil)); err == nil || !strings.Contains(err.Error(), "is nil") {
		t.Errorf("Load with a nil function: %v", err)
	}
	set, err := bundle.Load(data, bundle.WithStrategy("mine", ownBackoff))
	if err != nil {
		t.Fatal(err)
	}
	if got := set.MustPolicy("p").Spec().Strategy.Name(); got != "my-backoff" {
		t.Errorf("the strategy is %s", got)
	}
}

func TestOptionsOfABundleReachItsPolicies(t *testing.T) {
	seen := 0
	observer := engine.ObserverFunc(func(context.Context, engine.Event) { seen++ })
	attributes := engine.Extractor(func(error) map[string]any { return map[string]any{"decline_code": "stolen"} })
	results := engine.ResultExtractor(func(any) map[string]any { return nil })
	failing := func(context.Context) (int, error) { return 0, errors.New("no") }
	loaders := map[string]func() (*engine.Policy, error){
		"bundle.Load": func() (*engine.Policy, error) {
			set, err := bundle.Load(build(t, payments), bundle.WithPolicyObserver(observer), bundle.WithAttributes(attributes), bundle.WithResultAttributes(results))
			if err != nil {
				return nil, err
			}
			return set.Policy("payments-api")
		},
		"redress.LoadBundle": func() (*engine.Policy, error) {
			set, err := redress.LoadBundle(build(t, payments), redress.WithPolicyObserver(observer), redress.WithAttributes(attributes), redress.WithResultAttributes(results))
			if err != nil {
				return nil, err
			}
			return set.Policy("payments-api")
		},
	}
	for name, load := range loaders {
		policy, err := load()
		if err != nil {
			t.Fatal(err)
		}
		seen = 0
		outcome := engine.Execute(t.Context(), policy, failing)
		if outcome.Rule != "declined" || seen == 0 {
			t.Errorf("%s: rule %q decided, %d events", name, outcome.Rule, seen)
		}
		if policy.Spec().ResultAttributes == nil {
			t.Errorf("%s: attributes of results are lost", name)
		}
	}
}

// TestABundleThatTheFirstVersionWroteLoads keeps the format: the file must never be written
// anew. It was made of the policy above.
func TestABundleThatTheFirstVersionWroteLoads(t *testing.T) {
	data, err := os.ReadFile("testdata/v1.rbundle")
	if err != nil {
		t.Fatal(err)
	}
	old, err := bundle.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	now, err := bundle.Load(build(t, payments))
	if err != nil {
		t.Fatal(err)
	}
	before, after := old.MustPolicy("payments-api").Spec(), now.MustPolicy("payments-api").Spec()
	if got, want := tell(before), tell(after); got != want {
		t.Errorf("it says\n%s\nand today\n%s", got, want)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		f := randomFailure(random, map[string]string{"decline_code": "string"})
		in := engine.Input{Failure: f, Attempt: 2, Elapsed: time.Second, Remaining: time.Second}
		if got, want := judge(before, in), judge(after, in); got != want {
			t.Fatalf("on %+v it says\n%s\nand today\n%s", f, got, want)
		}
	}
}

const withFallback = payments + `---
apiVersion: redress/v1
kind: Policy
name: cautious
classify: [{id: refused, when: err.phase == "not_sent", class: TRANSIENT}]
retry: {max_attempts: 1}
---
apiVersion: redress/v1
kind: Set
name: shop
fallback_policy: cautious
`

// TestABundleCarriesTheFallbackPolicy in version 2 of the format, and in no other: what has
// none is written as ever.
func TestABundleCarriesTheFallbackPolicy(t *testing.T) {
	for _, row := range []struct {
		text     string
		fallback string
		version  uint32
	}{{payments, "", 1}, {withFallback, "cautious", 2}} {
		data := build(t, row.text)
		if got := binary.BigEndian.Uint32(data[8:]); got != row.version {
			t.Errorf("version %d of the format, want %d", got, row.version)
		}
		set, err := bundle.Load(data)
		if err != nil {
			t.Fatal(err)
		}
		other, err := redress.LoadBundle(data)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := redress.Parse("p.yaml", []byte(row.text))
		if err != nil {
			t.Fatal(err)
		}
		if a, b, c := set.FallbackPolicy(), other.FallbackPolicy(), loaded.FallbackPolicy(); a != row.fallback || b != a || c != a {
			t.Errorf("the bundle says %q, LoadBundle %q, the documents %q, want %q", a, b, c, row.fallback)
		}
		decoded, err := ir.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if got := decoded.Set.WithoutPlaces().FallbackPolicy; got != row.fallback {
			t.Errorf("without places: %q, want %q", got, row.fallback)
		}
	}
	if set, err := bundle.Load(build(t, strings.ReplaceAll(withFallback, "fallback_policy: cautious", "fallback_policy: payments-api"))); err != nil || set.Digest() == mustLoad(t, withFallback).Digest() {
		t.Errorf("another fallback policy has the same digest, or %v", err)
	}
}

func mustLoad(t *testing.T, text string) *bundle.Set {
	t.Helper()
	set, err := bundle.Load(build(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestABundleWhoseFallbackPolicyIsNotThereIsRefused(t *testing.T) {
	data := build(t, withFallback)
	for _, number := range []byte{2, 0x7f, 0x80} {
		payload := append([]byte(nil), data[headerSize:]...)
		payload[len(payload)-1] = number
		altered := sign(payload)
		altered[11] = 2
		if _, err := bundle.Load(altered); !errors.Is(err, bundle.ErrDamaged) {
			t.Errorf("number %d: %v", number, err)
		}
	}
	if _, err := ir.Encode(&ir.Set{FallbackPolicy: "nobody"}); err == nil || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("Encode: %v", err)
	}
}

// TestABundleThatTheSecondVersionWroteLoads keeps the format, as for the first.
func TestABundleThatTheSecondVersionWroteLoads(t *testing.T) {
	data, err := os.ReadFile("testdata/v2.rbundle")
	if err != nil {
		t.Fatal(err)
	}
	old, err := bundle.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	now := mustLoad(t, withFallback)
	if old.FallbackPolicy() != "cautious" || old.Digest() != now.Digest() {
		t.Errorf("it says %q with digest %s; today it is %q, %s", old.FallbackPolicy(), old.Digest(), now.FallbackPolicy(), now.Digest())
	}
}

// TestRunningBundlesNeedsNeitherYAMLNorCEL lists what the linker would put in.
func TestRunningBundlesNeedsNeitherYAMLNorCEL(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		own, ours := strings.CutPrefix(name, "github.com/redress-policy/redress/")
		if !ours || own == "dsl" || own == "interp" || own == "schema" {
			t.Errorf("the package needs %s", name)
		}
	}
}
