// Package bundle runs policies that redress-lint build has checked and compiled, without
// YAML, JSON Schema or CEL in the program.
//
//	//go:embed policies.rbundle
//	var policies []byte
//
//	set, err := bundle.Load(policies)
//	if err != nil {
//		return err
//	}
//	payments := set.MustPolicy("payments-api")
//	receipt, err := engine.Call(ctx, payments, charge)
//
// The policies decide as those that redress.Load makes of the documents: both come from
// the same data, by the same code. A program that can read documents too may load bundles
// with redress.LoadBundle. docs/bundles.md describes the format.
package bundle
