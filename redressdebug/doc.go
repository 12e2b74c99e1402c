// Package redressdebug is a page that shows what a program's policies are doing: which
// are in force, the state of breakers and budgets, why calls ended lately, and the story
// of the last that failed.
//
// A [Page] is both: the observer that a set is loaded with, and the handler of the page.
//
//	page := redressdebug.New(redressdebug.Options{})
//	set, err := redress.Load(files, redress.WithPolicyObserver(page))
//	...
//	page.Watch(set)
//	mux.Handle("/debug/redress", page)
//
// The page tells names of policies, rules and operations. Serve it on loopback, or behind
// the authentication that the program has. Error texts, which may hold whatever a
// dependency put into them, are left out unless asked for.
package redressdebug
