package lint_test

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/redress-policy/redress/internal/lint"
)

func TestGarbageIsCollectedRarely(t *testing.T) {
	for _, one := range []struct{ usual, want int }{{100, 400}, {70, 280}, {-1, -1}} {
		defer debug.SetGCPercent(debug.SetGCPercent(one.usual))
		restore := lint.CollectRarely()
		if now := collectionPercent(); now != one.want {
			t.Errorf("with GOGC=%d it is %d, want %d", one.usual, now, one.want)
		}
		restore()
		if now := collectionPercent(); now != one.usual {
			t.Errorf("GOGC was %d and is %d in the end", one.usual, now)
		}
	}
}

func collectionPercent() int {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return int(int64(sample[0].Value.Uint64()))
}
