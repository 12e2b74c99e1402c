//go:build unix

package redress_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redress-policy/redress"
)

func TestAPipeInPlaceOfABundleIsAnErrorAndIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.rbundle")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := redress.BundleFile(path).Read(t.Context())
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "is no regular file") {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
	}
}
