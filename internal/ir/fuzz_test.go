package ir_test

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/ir"
)

// headerSize is what stands before the payload, as docs/bundles.md says.
const headerSize = 8 + 4 + 8 + 32

// FuzzLoad gives what it is given a header with a right digest, of each version, so that
// payloads are read: they load or not, what loads can be asked, and be written and read again.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"../../bundle/testdata/v1.rbundle", "../../bundle/testdata/v2.rbundle", "../../examples/bundle/policies.rbundle"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[headerSize:])
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for version := range uint32(ir.Version) {
			loadAnything(t, sign(payload, version+1))
		}
	})
}

// loadAnything loads what may be a bundle, and writes what it was.
func loadAnything(t *testing.T, data []byte) {
	if !asked(data) {
		return
	}
	decoded, err := ir.Decode(data)
	if err != nil {
		t.Fatalf("Decode refuses what Load takes: %v", err)
	}
	again, err := ir.Encode(decoded.Set)
	if err != nil {
		t.Fatalf("what was loaded cannot be written: %v", err)
	}
	if twice, err := ir.Decode(again); err != nil || !asked(again) || len(twice.Set.Policies) != len(decoded.Set.Policies) {
		t.Fatalf("what was written cannot be loaded: %v", err)
	}
}

func sign(payload []byte, version uint32) []byte {
	data := binary.BigEndian.AppendUint32([]byte("rbundle\x1a"), version)
	data = binary.BigEndian.AppendUint64(data, uint64(len(payload)))
	sum := sha256.Sum256(payload)
	return append(append(data, sum[:]...), payload...)
}

// asked loads a bundle and has its policies judge two failures, if it loads.
func asked(data []byte) bool {
	_, policies, err := ir.Load(data, ir.Options{Strategies: map[string]engine.Strategy{"mine": engine.Immediate{}}})
	if err != nil {
		return false
	}
	for _, p := range policies {
		spec := p.Spec()
		for _, f := range []engine.Failure{{Status: 503}, {Code: "RATE", Causes: []engine.CauseRecord{{Message: "busy"}}}} {
			in := engine.Input{Failure: &f, Attempt: 1, Remaining: time.Second}
			verdict := spec.Classify(&in)
			if spec.ClassifyResult != nil {
				spec.ClassifyResult(&in)
			}
			if in.Class = verdict.Class; spec.Select != nil {
				spec.Select(&in)
			}
		}
	}
	return true
}
