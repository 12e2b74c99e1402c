// Package redressfsnotify has the operating system tell a live set of changes to its
// folder, so that they are seen at once and not when the set looks again:
//
//	set, err := redress.Watch(ctx, redressfsnotify.Dir("policies"))
//
// The set goes on looking as well, for what no system tells of: files on network file
// systems, files and folders behind links that lead elsewhere, a folder that is carried
// along when one further above is renamed.
package redressfsnotify
