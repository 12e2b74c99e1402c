// Package redresshttp puts policies in front of HTTP: a [Transport] for clients, and a
// [Middleware] for servers.
//
//	client := redresshttp.NewClient(set.MustPolicy("payments-api"))
//	resp, err := client.Do(req)
//
// The client is an ordinary [net/http.Client]. Of a dependency that answers, the caller
// gets the last answer, whatever its status, with its body unread and a nil error, as
// from net/http; of one that does not, or that the policy keeps from being asked, a
// [*engine.Error]. [OutcomeOf] tells of an answer how it came about.
//
// # What is a failure
//
// An error of the underlying transport is; the rules of `classify` name its class. A
// response is one if a rule of `classify_result` holds for it, or else if its status is
// 400 or higher: then `classify` is asked about it too, as about an error with that
// status and these headers. So `use: std.http` under `classify` is all that a policy
// needs. What `classify` does not know has the default class.
//
// # What is sent again
//
// Requests whose method is idempotent (GET, HEAD, OPTIONS, TRACE, PUT, DELETE), or that
// carry an Idempotency-Key, whenever the policy retries. Of others only those that
// cannot have reached the dependency: err.phase is not_sent, because no connection was
// made, or because the server said that it did nothing (HTTP/2). Bodies are replayed by
// [net/http.Request.GetBody], which http.NewRequest sets for bytes.Buffer, bytes.Reader
// and strings.Reader, or from a bounded buffer.
//
// The policies' rules see where a request ended: err.phase is sent once its headers were
// written.
package redresshttp
