// Package redressreplay tries policies on failures that have happened: those of live
// traffic, beside the policies in force ([Shadow]), and those that were written down
// ([Record]), for redress-lint replay. It acts on nothing.
//
//	recorder, err := redressreplay.Record(file, redressreplay.RecordOptions{})
//	candidate, err := redressreplay.Shadow(next, redressreplay.ShadowOptions{})
//	set, err := redress.Load(policies, redress.WithPolicyObserver(redress.Observers(recorder, candidate)))
//
// What is compared is the class that rules give a failure, and the rule that gives it.
// What a call would do next depends on attempts that were not made; redress-lint diff
// tells it from the policies alone.
//
// Failures hold what users sent. Of a failure's texts only the code and the names of Go
// types are written down, unless [Fields] declares more.
package redressreplay
