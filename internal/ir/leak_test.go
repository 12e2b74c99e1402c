package ir_test

import (
	"testing"

	"github.com/redress-policy/redress/internal/leak"
)

// TestMain fails the package if a test leaves a goroutine behind.
func TestMain(m *testing.M) { leak.Main(m) }
