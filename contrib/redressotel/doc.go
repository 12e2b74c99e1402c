// Package redressotel shows what a set of policies does through OpenTelemetry, as spans
// and metrics.
//
// An [Observer] is what a set is loaded with:
//
//	telemetry, err := redressotel.New(redressotel.Options{})
//	...
//	set, err := redress.Load(files, redress.WithPolicyObserver(telemetry))
//	...
//	telemetry.Watch(set)
//
// Every call gets a span, which tells of each attempt in an event, and whose context the
// attempts get: spans of the clients that they use are its children. [ResendCount] adds
// http.request.resend_count to those of HTTP clients. Metrics are recorded under the
// same context, so that an SDK can put exemplars to them.
//
// Names, units and attributes are listed in docs/telemetry.md. Where the semantic
// conventions have a name, that is used: error.type, http.request.resend_count.
package redressotel
