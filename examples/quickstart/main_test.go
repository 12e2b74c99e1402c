package main

import (
	"testing"

	"github.com/redress-policy/redress/redresstest"
)

// TestPolicy runs the tests that stand in policy.yaml itself.
func TestPolicy(t *testing.T) { redresstest.Run(t, policies) }
