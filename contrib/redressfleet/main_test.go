package redressfleet

import (
	"os"
	"testing"

	"github.com/redress-policy/redress/internal/leak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
		return
	}
	leak.Main(m)
}
