// Package bench measures redress. It is a module of its own, so that what it compares
// with is no dependency of anybody's.
//
// The linter:
//
//	go test -run=NONE -bench='Lint|Memory|Start' -benchtime=3x ./bench
//
// Calls and rules beside other libraries, as tables of ratios:
//
//	go run ./bench/ratios
//
// What each library is configured to do, and what it cannot do, is said in
// calls_test.go and rules_test.go.
package bench
