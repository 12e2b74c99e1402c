package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a [Failure], so that no error can make a record large.
const (
	MaxMessage = 4096 // bytes of a message, a code or a header's value; longer ones are cut between runes
	MaxCauses  = 32   // errors of a chain that Causes lists
	MaxHeaders = 128  // headers of a response that Headers keeps: the first ones, in order of their names
)

// maxInner is how many inner calls, one in the other, a record follows.
const maxInner = 8

// A Failure is what a rule can know of a failed attempt: the record that is `err`
// in policies (and, for calls that returned no error, `result`). Zero fields mean
// "not known"; [FailureOf] builds one from any error.
type Failure struct {
	Status        int           // HTTP or protocol status; 0 when there was none, else 100 to 599
	Code          string        // the protocol's own code: SQLSTATE, gRPC code name, Redis reply prefix, errno name, ...
	Kind          Kind          // which layer failed
	Message       string        // the error's text, at most MaxMessage bytes
	Type          string        // Go type of the first error in the chain that is not a mere wrapper, "*pgconn.PgError"
	Timeout       bool          // a timeout of any layer
	RetryAfter    time.Duration // what the server asked for; meaningful with HasRetryAfter
	HasRetryAfter bool
	Headers       map[string]string // keys in lower case
	Phase         Phase             // whether the request had left
	Causes        []CauseRecord     // every error of the chain, outermost first, at most MaxCauses
	Attributes    map[string]any    // err.attr: string, int64, float64, bool, time.Duration, []string, map[string]string
	Marker        Class             // class given by a marker such as Permanent(err); NoClass without one
	// Inner is the record of what an inner call of this library gave up on: set only
	// when Kind is KindRedress and the inner call wraps an error. Rules are tried on
	// this record first, then on Inner.
	Inner *Failure
	Err   error // what the operation returned; nil for results

	// fault is what could not be read while the record was built: an extractor that
	// panicked or returned a value of a wrong type, a Retry-After that says nothing.
	// The record is complete but for that; whoever runs the call reports fault as a
	// rule_error. That of Inner is included.
	fault error

	pending Fields  // not computed yet
	source  *source // from which they are; nil if pending is empty
}

// A CauseRecord is one error of a chain.
type CauseRecord struct {
	Type    string
	Message string
	Code    string
	Kind    Kind
	Status  int
}

// A Kind names the layer that a failure came from. The set is closed.
type Kind string

// The kinds. UnknownKind is what an error has that nothing recognised.
const (
	UnknownKind Kind = "unknown"
	KindHTTP    Kind = "http"    // an HTTP status answered, or a request or an answer broke HTTP's rules
	KindGRPC    Kind = "grpc"    // a gRPC status answered
	KindSQL     Kind = "sql"     // a database answered with SQLSTATE or an error number
	KindRedis   Kind = "redis"   // a Redis error reply
	KindAWS     Kind = "aws"     // an AWS API error
	KindBroker  Kind = "broker"  // a message broker refused, or the client of one did
	KindNet     Kind = "net"     // connection level: refused, reset, unreachable, broken pipe, HTTP/2 GOAWAY
	KindDNS     Kind = "dns"     // name resolution
	KindTLS     Kind = "tls"     // handshake or certificate
	KindIO      Kind = "io"      // EOF and other stream errors
	KindURL     Kind = "url"     // malformed URL or unsupported protocol
	KindContext Kind = "context" // a context ended
	KindRedress Kind = "redress" // this library gave up on an inner call
)

// Kinds returns every kind.
func Kinds() []Kind {
	return []Kind{UnknownKind, KindHTTP, KindGRPC, KindSQL, KindRedis, KindAWS, KindBroker, KindNet, KindDNS, KindTLS, KindIO, KindURL, KindContext, KindRedress}
}

// A Phase says whether the request had left when the attempt failed.
type Phase string

// The phases. The empty Phase counts as PhaseUnknown.
const (
	PhaseUnknown Phase = "unknown"
	NotSent      Phase = "not_sent" // the dependency cannot have seen it, or said that it did nothing with it
	Sent         Phase = "sent"     // the dependency may have acted on it
)

// Phases returns every phase.
func Phases() []Phase { return []Phase{PhaseUnknown, NotSent, Sent} }

// An Extractor adds attributes to the record of an error: it returns values for
// err.attr by name. Values must be string, int64, float64, bool, time.Duration,
// []string or map[string]string; an int is taken as an int64, and a string is cut as
// messages are. It runs on the caller's goroutine. Its panics are contained, and they
// and values of other types are reported as a rule error; the attributes that are
// right are kept.
type Extractor func(err error) map[string]any

// A ResultExtractor adds attributes to the record of a result, result.attr, as an
// [Extractor] does to that of an error.
type ResultExtractor func(value any) map[string]any

// FailureOf builds the record of an error: it looks at every error of the chain,
// depth first, and reads from each what its type, its methods and its fields say.
// [FailureCodes] lists what is recognised. x adds err.attr and may be nil; for a nil
// err the record is empty.
//
//   - Kind and Code are those of the error that says most: an answer of the
//     dependency before a failure of the path to it, a path before a context or a
//     stream that ended. Among equals the outermost counts.
//   - Status, Headers, Timeout, RetryAfter and Marker are known if any error of the
//     chain knows them; the outermost counts.
//   - Phase is not_sent only if every branch of the chain that says anything says
//     so, and sent if any of them was answered. Whatever failed while dialling is
//     not_sent, and so is an error whose method SafeToRetry returns true (pgx). An error
//     with a method FailurePhase() Phase answers for all that it wraps, as those of
//     [MarkPhase] do.
//   - Type is that of the first error which is not a mere wrapper: those of fmt and
//     errors, and markers, are.
//
// Chains that are deep, wide or cyclic are cut; panics in the methods of an error
// lose what that method would have said, and nothing else. A Retry-After date is
// counted from the response's own Date header; without one it is no hint here,
// because FailureOf reads no clock. Of an http.Client that followed redirects only
// the last request is known: not_sent does not speak for those before.
func FailureOf(err error, x Extractor) *Failure { return failureAt(err, x, moment{}, maxInner) }

// failureAt is FailureOf at a moment by which Retry-After dates without a Date header
// are counted; the zero moment means that none is known.
func failureAt(err error, x Extractor, now moment, depth int) *Failure {
	var f Failure
	f.begin(&source{now: now}, err, x, depth)
	f.Need(ReadAll)
	f.source = nil
	return &f
}

// begin makes f, which is zero, the record of an error, whose fields are computed from
// src when they are asked for. The moment of the failure stands there already. Records of
// inner calls, and those that errors bring, are complete at once.
func (f *Failure) begin(src *source, err error, x Extractor, depth int) {
	f.Kind, f.Phase, f.Err = UnknownKind, PhaseUnknown, err
	if err == nil {
		return
	}
	src.result, src.recognised = nil, false
	src.chain = walk(err, false, src.room[:0])
	f.source, f.pending = src, ReadAll
	if inner, ok := src.chain.innerCall(); ok {
		f.Need(ReadMessage | ReadMarker | ReadCauses)
		f.RetryAfter, f.HasRetryAfter = src.chain.retryAfter()
		f.pending = 0
		f.readInner(inner, x, src.now, depth)
		f.settlePhase(src.chain)
		return
	}
	if given := src.chain.recordGiven(); given != nil {
		given.Err = err
		if given.Marker == NoClass {
			given.Marker = src.chain.marker()
		}
		*f = *given
		f.settlePhase(src.chain)
		return
	}
	if x != nil {
		attributes, fault := attributesOf(err, x)
		f.Attributes = attributes
		f.blame(fault)
	}
}

// readInner makes f the record of a call that this library gave up on: its reason
// and nothing else, so that rules about statuses and codes meet what it wraps.
func (f *Failure) readInner(inner *Error, x Extractor, now moment, depth int) {
	f.Kind = KindRedress
	f.Code = inner.Reason.String()
	f.Type = typeName(inner)
	if inner.Attempts == 0 {
		f.Phase = NotSent
	}
	wrapped := inner.Err
	if wrapped == nil {
		wrapped = inner.Ended
	}
	if wrapped != nil && depth > 0 {
		f.Inner = failureAt(wrapped, x, now, depth-1)
		f.blame(f.Inner.fault)
	}
}

// settlePhase lets what an error of the chain knows of the phase overrule the record, and
// the records in it.
func (f *Failure) settlePhase(c chain) {
	phase, ok := c.phaseKnown()
	for ; ok && f != nil; f = f.Inner {
		f.Phase = phase
	}
}

// readRetryAfter takes the hint from the Retry-After header, if there is one, or else
// from the rate limit fields.
func (f *Failure) readRetryAfter(now time.Time) {
	value, ok := f.Headers["retry-after"]
	if !ok {
		f.RetryAfter, f.HasRetryAfter = rateLimitReset(f.Headers)
		return
	}
	if f.RetryAfter, f.HasRetryAfter = longestOf(value); f.HasRetryAfter {
		return
	}
	if date, ok := parseDate(f.Headers["date"]); ok {
		now = date
	}
	if f.RetryAfter, f.HasRetryAfter = ParseRetryAfter(value, now); !f.HasRetryAfter {
		f.blame(fmt.Errorf("engine: header Retry-After is neither seconds nor a date that can be placed: %q", bounded(value, 64)))
	}
}

func (f *Failure) blame(fault error) {
	if fault != nil {
		f.fault = errors.Join(f.fault, fault)
	}
}

// ResultOf builds the record of a result: what classify_result sees as `result`. It
// reads *http.Response, and any value with a method StatusCode or HTTPStatusCode, or
// an exported field StatusCode, HTTPStatusCode or Status, of an integer type;
// headers from a method or field Header of type http.Header. Of anything else only
// the Type is known. Nil values and nil pointers are fine. Nothing is read from a
// response's body.
func ResultOf(v any) *Failure {
	var f Failure
	f.beginResult(new(source), v, nil)
	f.Need(ReadAll)
	f.source = nil
	return &f
}

// beginResult is begin for a result.
func (f *Failure) beginResult(src *source, v any, x ResultExtractor) {
	f.Kind, f.Phase = UnknownKind, PhaseUnknown
	if v == nil {
		return
	}
	if given := resultGiven(v); given != nil {
		*f = *given
		return
	}
	src.result, src.chain = v, nil
	f.source, f.pending = src, ReadStatus|ReadWhat|ReadType|ReadHeaders
	if x != nil {
		attributes, fault := attributesOf(v, x)
		f.Attributes = attributes
		f.blame(fault)
	}
}

// resultGiven is the record that a result brings itself, nil if it brings none.
func resultGiven(v any) *Failure {
	if r, ok := v.(Recorded); ok {
		return recordFrom(r)
	}
	return nil
}

// attributesOf runs the extractor and keeps what has a type that rules can read.
func attributesOf[V any, X ~func(V) map[string]any](v V, x X) (attributes map[string]any, fault error) {
	found, fault := extract(v, x)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		value := found[name]
		switch v := value.(type) {
		case string:
			value = bounded(v, MaxMessage)
		case int64, float64, bool, time.Duration, []string, map[string]string:
		case int:
			value = int64(v)
		default:
			fault = errors.Join(fault, fmt.Errorf("engine: attribute %q is a %T; rules can read string, int64, float64, bool, time.Duration, []string and map[string]string", name, value))
			continue
		}
		if attributes == nil {
			attributes = make(map[string]any, len(found))
		}
		attributes[name] = value
	}
	return attributes, fault
}

func extract[V any, X ~func(V) map[string]any](v V, x X) (found map[string]any, fault error) {
	defer func() {
		if p := recover(); p != nil {
			fault = fmt.Errorf("engine: the attribute extractor panicked: %v", p)
		}
	}()
	return x(v), nil
}

// bounded makes s valid UTF-8 of at most n bytes, cut between runes; a cut string has
// memory of its own.
func bounded(s string, n int) string {
	if len(s) <= n && utf8.ValidString(s) {
		return s
	}
	s = strings.ToValidUTF8(s[:min(len(s), n+utf8.UTFMax)], "\uFFFD")
	cut := min(len(s), n)
	for cut > 0 && cut < len(s) && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.Clone(s[:cut])
}
