package redressfsnotify_test

import (
	"testing"

	"github.com/redress-policy/redress/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
