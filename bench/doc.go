// Package bench measures redress. It is a module of its own, so that what it compares
// with is no dependency of anybody's.
//
// The linter:
//
//	go test -run=NONE -bench='Lint|Memory|Start' -benchtime=3x ./bench
//
// Calls and rules beside other libraries, and clients beside the same under a policy, as
// tables of ratios:
//
//	go run ./bench/ratios
//
// Clients need servers on their usual loopback ports, or at the addresses in
// REDRESS_TEST_POSTGRES, _REDIS, _RABBITMQ and _NATS; those without one are skipped.
//
// What each library is configured to do, and what it cannot do, is said in
// calls_test.go, rules_test.go and clients_test.go.
package bench
