package leak

import (
	"strings"
	"testing"
)

func TestAGoroutineLeftBehindIsFound(t *testing.T) {
	stop := make(chan struct{})
	started := make(chan struct{})
	go func() { close(started); <-stop }()
	<-started
	// The test's own goroutine is found too; the one that it started is .func1.
	const left1 = "TestAGoroutineLeftBehindIsFound.func1"
	if left := leaked(); !strings.Contains(left, left1) {
		t.Errorf("found %q", left)
	}
	close(stop)
	if left := leaked(); strings.Contains(left, left1) {
		t.Errorf("it has ended, and found was %q", left)
	}
}
