package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/redress-policy/redress/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestEveryCallGoesAsItsTitleSays(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	for _, want := range []string{
		"not there twice", "retry TRANSIENT", "retry TRANSIENT", "success SUCCESS", "SERVING",
		"Throttled", "retry RATE_LIMIT", "next in 1", "success SUCCESS",
		"does not exist", "permanent_fail PERMANENT", "NON_RETRYABLE_CLASS",
		"hangs once", "retry TRANSIENT", "success SUCCESS",
		"first call", "MAX_ATTEMPTS_GLOBAL",
		"second call", "circuit_opened",
		"nothing is sent", "circuit_rejected CIRCUIT_OPEN",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("no %q in\n%s\nall of it:\n%s", want, rest, out.String())
		}
		rest = after
	}
}
