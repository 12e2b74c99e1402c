//go:build unix

package dsl_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
)

func TestAPipeAmongTheFilesIsAnErrorAndIsNotWaitedFor(t *testing.T) {
	for _, row := range []struct{ name, link string }{{name: "pipe.yaml"}, {name: "pipe", link: "link.yaml"}} {
		folder := t.TempDir()
		if err := syscall.Mkfifo(filepath.Join(folder, row.name), 0o600); err != nil {
			t.Skip(err)
		}
		if row.link != "" {
			if err := os.Symlink(row.name, filepath.Join(folder, row.link)); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error, 1)
		go func() {
			_, err := dsl.ReadFS(os.DirFS(folder))
			ended <- err
		}()
		select {
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), "is no regular file") {
				t.Errorf("%s: %v", row.name, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: it waits", row.name)
		}
	}
}
