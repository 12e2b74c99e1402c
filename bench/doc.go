// Package bench measures redress. It is a module of its own, so that what it compares
// with is no dependency of anybody's.
//
//	go test -bench=. -benchtime=3x ./bench
package bench
