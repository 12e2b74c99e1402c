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
	"strings"
	"testing/fstest"
	"time"

	"github.com/redress-policy/redress"
)

// withAttempts is a set of files with one policy that makes so many attempts.
func withAttempts(n int) fstest.MapFS {
	text := fmt.Sprintf("apiVersion: redress/v1\nkind: Policy\nname: payments\nclassify: [{use: std.http}]\nretry: {max_attempts: %d}\n", n)
	return fstest.MapFS{"payments.yaml": &fstest.MapFile{Data: []byte(text)}}
}

// Dir is a folder; Every says how often it is looked at, and Settle how long a change must
// have stood before it is believed.
func ExampleDir() {
	defer inFolder()()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	set, err := redress.Watch(ctx, redress.Dir("policies"), redress.Every(time.Minute), redress.Settle(time.Second))
	must(err)
	fmt.Println(set.Names())
	// Output:
	// [payments-api]
}

// Every is how often a source is looked at that does not tell of changes by itself.
func ExampleEvery() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	set, err := redress.Watch(ctx, redress.FS("embedded", withAttempts(3)), redress.Every(time.Hour))
	must(err)
	fmt.Println(set.Names())
	// Output:
	// [payments]
}

// Settle has a change believed only when the source says the same again after a while.
func ExampleSettle() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	set, err := redress.Watch(ctx, redress.FS("embedded", withAttempts(3)), redress.Settle(time.Second))
	must(err)
	fmt.Println(set.Names())
	// Output:
	// [payments]
}

// FS is any file system; its name is what events call it.
func ExampleFS() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	set, err := redress.Watch(ctx, redress.FS("embedded", withAttempts(3)))
	must(err)
	fmt.Println(set.Status().From)
	// Output:
	// embedded
}

// Reload looks at the source at once. What does not load changes nothing.
func ExampleLiveSet_Reload() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	files := withAttempts(3)
	set, err := redress.Watch(ctx, redress.FS("embedded", files), redress.Every(time.Hour))
	must(err)
	payments := set.MustPolicy("payments")

	files["payments.yaml"] = withAttempts(5)["payments.yaml"]
	fmt.Println(set.Reload(ctx), payments.Spec().MaxAttempts)

	files["payments.yaml"] = &fstest.MapFile{Data: []byte("kind: Policy\n")}
	fmt.Println(set.Reload(ctx) != nil, payments.Spec().MaxAttempts)
	// Output:
	// <nil> 5
	// true 5
}

// Status tells what keeps a set from being what its source says.
func ExampleLiveSet_Status() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	files := withAttempts(3)
	set, err := redress.Watch(ctx, redress.FS("embedded", files), redress.Every(time.Hour))
	must(err)
	fmt.Println(set.Status().Err)
	files["payments.yaml"] = &fstest.MapFile{Data: []byte("kind: Policy\n")}
	_ = set.Reload(ctx)
	fmt.Println(set.Status().Err != nil)
	// Output:
	// <nil>
	// true
}

// A policy that a reload removes leaves its calls to the fallback.
func ExampleFallbackPolicy() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	files := withAttempts(3)
	files["cautious.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: redress/v1\nkind: Policy\nname: cautious\nclassify: [{use: std.http}]\nretry: {max_attempts: 1}\n")}
	set, err := redress.Watch(ctx, redress.FS("embedded", files), redress.Every(time.Hour), redress.FallbackPolicy("cautious"))
	must(err)
	payments := set.MustPolicy("payments")
	delete(files, "payments.yaml")
	must(set.Reload(ctx))

	outcome := redress.Execute(ctx, payments, answers(503))
	instead, _, _ := strings.Cut(outcome.Revision, "@")
	fmt.Println(outcome.Policy, outcome.Attempts, instead)
	// Output:
	// payments 1 cautious
}

// The documents can say which policy takes over the calls of one that is gone.
func ExampleSet_FallbackPolicy() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	files := withAttempts(3)
	files["set.yaml"] = &fstest.MapFile{Data: []byte(`
apiVersion: redress/v1
kind: Set
name: shop
fallback_policy: cautious
---
apiVersion: redress/v1
kind: Policy
name: cautious
classify: [{use: std.http}]
retry: {max_attempts: 1}
`)}
	set, err := redress.Watch(ctx, redress.FS("embedded", files), redress.Every(time.Hour))
	must(err)
	payments := set.MustPolicy("payments")
	delete(files, "payments.yaml")
	must(set.Reload(ctx))

	fmt.Println(set.Names(), set.FallbackPolicy())
	fmt.Println(redress.Execute(ctx, payments, answers(503)).Attempts)
	// Output:
	// [cautious] cautious
	// 1
}

// Origins says which layer a setting is from, and what it stands over.
func ExampleLiveSet_Origins() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	emergency := fstest.MapFS{"fewer.yaml": &fstest.MapFile{Data: []byte(`
apiVersion: redress/v1
kind: Override
name: incident-4711
policy: payments
expires: 2999-12-31
set: {max_attempts: 1}
`)}}
	set, err := redress.Watch(ctx, redress.Layers(
		redress.Layer{Name: "base", Source: redress.FS("embedded", withAttempts(3))},
		redress.Layer{Name: "emergency", Source: redress.FS("incident", emergency)}))
	must(err)

	for _, o := range set.Origins("payments") {
		fmt.Println(o.Layer, o.Setting, o.Value, o.Place)
		for _, over := range o.Over {
			fmt.Println("  over", over.Layer, over.Value, over.Place)
		}
	}
	// Output:
	// base classify[std.http] use std.http base:payments.yaml:4:12
	// emergency retry.max_attempts 1 emergency:fewer.yaml:7:21
	//   over base 3 base:payments.yaml:5:23
}

// BundleFile is a bundle that is followed.
func ExampleBundleFile() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	set, err := redress.Watch(ctx, redress.BundleFile("examples/bundle/policies.rbundle"), redress.Every(time.Minute))
	must(err)
	fmt.Println(set.Names())
	// Output:
	// [shop-orders]
}

// An HTTPSource believes a file that was signed by the key it was given.
func ExampleHTTPSource_Read() {
	public, private, err := ed25519.GenerateKey(nil)
	must(err)
	text := withAttempts(3)["payments.yaml"].Data
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(redress.SignatureHeader, base64.StdEncoding.EncodeToString(ed25519.Sign(private, text)))
		_, _ = w.Write(text)
	}))
	defer server.Close()
	source := &redress.HTTPSource{URL: server.URL + "/payments.yaml", Key: public, Client: server.Client()}
	_, err = source.Read(context.Background())
	fmt.Println(err)

	other, _, err := ed25519.GenerateKey(nil)
	must(err)
	source.Key = other
	_, err = source.Read(context.Background())
	fmt.Println(err != nil)
	// Output:
	// <nil>
	// true
}

// LoadBundle loads what redress-lint build has written.
func ExampleLoadBundle() {
	data, err := os.ReadFile("examples/bundle/policies.rbundle")
	must(err)
	set, err := redress.LoadBundle(data)
	must(err)
	fmt.Println(set.Names())
	// Output:
	// [shop-orders]
}

// Idempotent takes back what a handle, or a helper, assumes.
func ExampleIdempotent() {
	careful := payments().Bind(redress.NotIdempotent())
	outcome := redress.Execute(context.Background(), careful, answers(503, 0), virtualTime())
	fmt.Println(outcome.Reason)
	outcome = redress.Execute(context.Background(), careful, answers(503, 0), virtualTime(), redress.Idempotent())
	fmt.Println(outcome.Reason)
	// Output:
	// NOT_IDEMPOTENT
	// SUCCESS
}

// WithCallerContext saves the context of the attempt, where an operation ends by itself.
func ExampleWithCallerContext() {
	p := payments().Bind(redress.WithCallerContext())
	ctx := context.Background()
	_, err := redress.Call(ctx, p, func(got context.Context) (int, error) {
		fmt.Println(got == ctx)
		return 1, nil
	})
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// true
	// false
}
