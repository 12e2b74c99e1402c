package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// The first collection of garbage comes late, those after it as usual.
func TestOnlyTheFirstCollectionIsPostponed(t *testing.T) {
	const usual = 70
	defer debug.SetGCPercent(debug.SetGCPercent(usual))
	postponeCollection()
	if now := collectionPercent(); now != 8*usual {
		t.Errorf("before the first collection GOGC is %d", now)
	}
	for began := time.Now(); collectionPercent() != usual; runtime.GC() { // which runs finalizers soon
		if time.Since(began) > 10*time.Second {
			t.Fatalf("after the first collection GOGC is %d", collectionPercent())
		}
	}
	debug.SetGCPercent(-1)
	if postponeCollection(); int64(collectionPercent()) >= 0 {
		t.Errorf("GOGC was off and is %d", collectionPercent())
	}
}

func collectionPercent() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
