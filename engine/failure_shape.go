package engine

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Errors of drivers and clients that the engine must not import are known by the
// shape of their types: the methods and the exported fields that they have.

// A shape is what reflection found of a type. Fields are index paths, nil where the
// type has no such field.
type shape struct {
	name    string
	wrapper bool // made only to add words to another error
	texts   bool // its words may be taken for those of the standard library

	statusCode []int // StatusCode or HTTPStatusCode, an integer; or Code beside Header
	status     []int // Status, an integer: read in results only
	response   []int // Response or RawResponse, a *http.Response or a struct around one
	header     []int // Header, an http.Header
	retryAfter []int // RetryAfter, a time.Duration or a pointer to one

	grpc       bool  // has GRPCStatus
	mysql      []int // Number of a MySQLError
	redis      bool  // a reply of redigo or rueidis
	streamCode []int // Code of an HTTP/2 stream error
	connCode   bool  // an HTTP/2 connection error: a number
	alert      bool  // an alert of crypto/tls: a number
}

// shapes holds a *shape for every reflect.Type met; there are as many as the program
// has types of errors and results.
var shapes sync.Map

func shapeOf(v any) *shape {
	t := reflect.TypeOf(v)
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s, _ := shapes.LoadOrStore(t, newShape(t))
	return s.(*shape)
}

// typeName returns the Go type of v as fmt's %T prints it; not of nil.
func typeName(v any) string { return shapeOf(v).name }

var (
	headerType   = reflect.TypeFor[http.Header]()
	responseType = reflect.TypeFor[*http.Response]()
	durationType = reflect.TypeFor[time.Duration]()
	delayType    = reflect.TypeFor[*time.Duration]()
)

func newShape(t reflect.Type) *shape {
	s := &shape{name: t.String(), wrapper: mereWrapper(t), texts: speaksForItself(t)}
	if m, ok := t.MethodByName("GRPCStatus"); ok && m.Type.NumIn() == 1 && m.Type.NumOut() == 1 {
		s.grpc = true
	}
	base := t
	if t.Kind() == reflect.Pointer {
		base = t.Elem()
	}
	if base.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(base) {
			if f.IsExported() {
				s.note(base, f)
			}
		}
	}
	s.noteName(base)
	return s
}

// note remembers a field that says something.
func (s *shape) note(t reflect.Type, f reflect.StructField) {
	integer := f.Type.Kind() >= reflect.Int && f.Type.Kind() <= reflect.Uint64
	switch f.Name {
	case "StatusCode", "HTTPStatusCode":
		if integer {
			s.statusCode = f.Index
		}
	case "Status":
		if integer {
			s.status = f.Index
		}
	case "Code": // of googleapi.Error; of other types a Code is no status
		if h, ok := t.FieldByName("Header"); ok && h.Type == headerType && integer && s.statusCode == nil {
			s.statusCode = f.Index
		}
	case "Header":
		if f.Type == headerType {
			s.header = f.Index
		}
	case "Response", "RawResponse":
		s.response = responsePath(f)
	case "RetryAfter":
		if f.Type == durationType || f.Type == delayType {
			s.retryAfter = f.Index
		}
	case "Number":
		if t.Name() == "MySQLError" && f.Type.Kind() == reflect.Uint16 {
			s.mysql = f.Index
		}
	}
}

// responsePath leads to the *http.Response that field f is, or that the struct it
// points to embeds (smithy-go's does).
func responsePath(f reflect.StructField) []int {
	if f.Type == responseType {
		return f.Index
	}
	if f.Type.Kind() != reflect.Pointer || f.Type.Elem().Kind() != reflect.Struct {
		return nil
	}
	if in, ok := f.Type.Elem().FieldByName("Response"); ok && in.Type == responseType {
		return slices.Concat(f.Index, in.Index)
	}
	return nil
}

// noteName remembers types that are known by their names. HTTP/2 is in net/http
// under other names than in golang.org/x/net/http2.
func (s *shape) noteName(t reflect.Type) {
	pkg, name := t.PkgPath(), strings.TrimPrefix(t.Name(), "http2")
	switch {
	case name == "RedisError", t.String() == "redis.Error" && t.Kind() == reflect.String:
		s.redis = true
	case pkg == "crypto/tls" && t.Kind() == reflect.Uint8:
		s.alert = true
	case pkg == "net/http" || strings.HasSuffix(pkg, "/http2"):
		code, ok := reflect.StructField{}, false
		if t.Kind() == reflect.Struct && name == "StreamError" {
			code, ok = t.FieldByName("Code")
		}
		if ok && code.Type.Kind() == reflect.Uint32 {
			s.streamCode = code.Index
		}
		s.connCode = name == "ConnectionError" && t.Kind() == reflect.Uint32
	}
}

// mereWrapper reports whether errors of type t only add words, or a marker, to the
// errors that they wrap.
func mereWrapper(t reflect.Type) bool {
	if t == reflect.TypeFor[*markedError]() || t == reflect.TypeFor[*abortError]() || t.Implements(reflect.TypeFor[phased]()) {
		return true
	}
	if !t.Implements(reflect.TypeFor[interface{ Unwrap() error }]()) && !t.Implements(reflect.TypeFor[interface{ Unwrap() []error }]()) {
		return false
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch pkg := t.PkgPath(); pkg {
	case "fmt", "errors", "github.com/pkg/errors", "golang.org/x/xerrors":
		return true
	default:
		return strings.HasPrefix(pkg, "github.com/cockroachdb/errors")
	}
}

// fieldOf follows an index path of a shape through v and the pointers on the way; ok is
// false without such a field or where a pointer is nil.
func fieldOf(v any, index []int) (f reflect.Value, ok bool) {
	if index == nil {
		return reflect.Value{}, false
	}
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return reflect.Value{}, false
		}
		r = r.Elem()
	}
	for _, i := range index {
		if r.Kind() == reflect.Pointer {
			if r.IsNil() {
				return reflect.Value{}, false
			}
			r = r.Elem()
		}
		r = r.Field(i)
	}
	return r, r.CanInterface()
}

// number reads an integer field; 0 without it, and for what no int can hold.
func number(v any, index []int) int {
	f, ok := fieldOf(v, index)
	switch {
	case ok && f.CanInt():
		return int(f.Int())
	case ok && f.CanUint():
		return int(min(f.Uint(), 1<<31-1))
	}
	return 0
}

// recogniseAnswer knows the answers of a dependency, and the numbers of HTTP/2 and
// TLS. An answer's own code says more than the HTTP status beside it.
func recogniseAnswer(err error) finding {
	s := shapeOf(err)
	if f := grpcAnswer(err, s); f.rank != rankNone {
		return f
	}
	if e, ok := err.(interface{ SQLState() string }); ok {
		if state := e.SQLState(); state != "" {
			return finding{kind: KindSQL, code: bounded(state, MaxMessage), phase: sqlPhase(state), rank: rankCoded}
		}
	}
	if n := number(err, s.mysql); n != 0 {
		code := strconv.Itoa(n)
		return finding{kind: KindSQL, code: code, phase: sqlPhase(code), rank: rankCoded}
	}
	if _, ok := err.(interface{ RedisError() }); ok || s.redis {
		return redisReply(err.Error())
	}
	code := errorCode(err)
	if _, ok := err.(interface{ ErrorMessage() string }); ok && code != "" {
		return finding{kind: KindAWS, code: code, phase: Sent, rank: rankCoded}
	}
	if statusOf(err) != 0 {
		return finding{kind: KindHTTP, code: code, phase: Sent, rank: rankAnswered}
	}
	if code != "" {
		return finding{code: code, kind: UnknownKind, rank: rankWeak}
	}
	return protocolNumber(err, s)
}

func errorCode(err error) string {
	if e, ok := err.(interface{ ErrorCode() string }); ok {
		return bounded(e.ErrorCode(), MaxMessage)
	}
	return ""
}

// grpcStatus returns what GRPCStatus() of err returns, if it is there and not nil.
func grpcStatus(err error, s *shape) (reflect.Value, bool) {
	if !s.grpc {
		return reflect.Value{}, false
	}
	status := reflect.ValueOf(err).MethodByName("GRPCStatus").Call(nil)[0]
	switch status.Kind() {
	case reflect.Pointer, reflect.Interface:
		return status, !status.IsNil()
	}
	return status, true
}

// grpcAnswer reads the code of a gRPC status: a number of 0 to 16. OK is no failure,
// and other numbers are UNKNOWN, as gRPC has it.
func grpcAnswer(err error, s *shape) finding {
	status, ok := grpcStatus(err, s)
	if !ok {
		return finding{}
	}
	method := status.MethodByName("Code")
	if !method.IsValid() || method.Type().NumIn() != 0 || method.Type().NumOut() != 1 {
		return finding{}
	}
	code := method.Call(nil)[0]
	if !code.CanUint() || code.Uint() == 0 {
		return finding{}
	}
	name := "UNKNOWN"
	if code.Uint() < uint64(len(grpcNames)) {
		name = grpcNames[code.Uint()]
	}
	return finding{kind: KindGRPC, code: name, phase: grpcPhase(name), timeout: name == "DEADLINE_EXCEEDED", rank: rankCoded}
}

// sqlPhase: connections that were refused carried no statement, and a connection
// that was lost leaves it open what became of one.
func sqlPhase(code string) Phase {
	switch code {
	case "53300", "57P03": // too_many_connections, cannot_connect_now
		return NotSent
	case "1040", "1129", "1130", "1203", "2002", "2003": // MySQL: too many connections, host blocked or not allowed, cannot connect
		return NotSent
	case "40003", "57P01", "57P02", "57P05", "25P03": // statement_completion_unknown, admin_shutdown, crash_shutdown, idle_session_timeout, idle_in_transaction_session_timeout
		return PhaseUnknown
	case "1053", "1077", "1158", "1159", "1160", "1161", "1927", "2006", "2013", "4031": // MySQL: shutdown, network errors, connection killed, lost, idle for too long
		return PhaseUnknown
	}
	if len(code) == 5 && strings.HasPrefix(code, "08") { // connection_exception
		return PhaseUnknown
	}
	return Sent
}

// redisReply takes the code from the first word of an error reply, when it looks like
// one: https://redis.io/docs/latest/develop/reference/protocol-spec, simple errors.
func redisReply(text string) finding {
	f := finding{kind: KindRedis, phase: Sent, rank: rankCoded}
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case text == "redis: nil":
		f.code = codeRedisNil
	case text == "redis: transaction failed": // EXEC discarded it
		f.code, f.phase = codeTxFailed, NotSent
	case strings.HasPrefix(rest, "max number of clients"):
		f.code, f.phase = codeMaxClients, NotSent
	case word == strings.ToUpper(word) && !strings.ContainsAny(word, ":%"):
		f.code = bounded(word, 64)
		if refusedByRedis[word] && !strings.Contains(rest, "script: ") && !strings.Contains(rest, "@user_") {
			f.phase = NotSent
		}
	}
	return f
}

// refusedByRedis are the replies of processCommand in server.c: Redis looked at the
// command, or at a transaction, and did nothing with it. Said from within a script they
// leave it open what the script had done before.
var refusedByRedis = map[string]bool{
	"ASK": true, "BUSY": true, "CLUSTERDOWN": true, "EXECABORT": true, "LOADING": true, "MASTERDOWN": true, "MISCONF": true,
	"MOVED": true, "NOAUTH": true, "NOREPLICAS": true, "OOM": true, "READONLY": true, "TRYAGAIN": true,
}

// protocolNumber reads the number of an HTTP/2 error or a TLS alert.
func protocolNumber(err error, s *shape) finding {
	code := -1
	switch {
	case s.alert:
		return tlsAlert(uint8(reflect.ValueOf(err).Uint()))
	case s.streamCode != nil:
		code = number(err, s.streamCode)
	case s.connCode:
		code = int(reflect.ValueOf(err).Uint())
	}
	if code < 0 {
		return finding{}
	}
	f := finding{kind: KindNet, rank: rankPath}
	if code < len(http2Names) {
		f.code = codeHTTP2Prefix + http2Names[code]
	}
	f.phase = http2Phase(f.code)
	return f
}

// statusOf returns the status that v says it has, 100 to 599, or 0.
func statusOf(v any) (status int) {
	defer contain()
	switch e := v.(type) {
	case *http.Response:
		if e != nil {
			status = e.StatusCode
		}
	case interface{ HTTPStatusCode() int }:
		status = e.HTTPStatusCode()
	case interface{ StatusCode() int }:
		status = e.StatusCode()
	default:
		s := shapeOf(v)
		if status = number(v, s.statusCode); status == 0 {
			if r := responseOf(v, s); r != nil {
				status = r.StatusCode
			}
		}
	}
	return validStatus(status)
}

// resultStatus is statusOf, and reads a field Status too.
func resultStatus(v any) int {
	if status := statusOf(v); status != 0 {
		return status
	}
	return validStatus(number(v, shapeOf(v).status))
}

func validStatus(status int) int {
	if status < 100 || status > 599 {
		return 0
	}
	return status
}

// responseOf returns the response that v holds, or nil.
func responseOf(v any, s *shape) *http.Response {
	f, ok := fieldOf(v, s.response)
	if !ok {
		return nil
	}
	r, _ := f.Interface().(*http.Response)
	return r
}

// headersOf returns the headers of the response that v is or holds, or nil.
func headersOf(v any) (headers map[string]string) {
	defer contain()
	switch e := v.(type) {
	case *http.Response:
		if e == nil {
			return nil
		}
		return flatten(e.Header)
	case interface{ Header() http.Header }:
		return flatten(e.Header())
	}
	s := shapeOf(v)
	if r := responseOf(v, s); r != nil {
		return flatten(r.Header)
	}
	if f, ok := fieldOf(v, s.header); ok {
		return flatten(f.Interface().(http.Header))
	}
	return nil
}

// flatten makes headers a map of lower-case names, the values of one name joined with
// ", " as RFC 9110 section 5.3 allows.
func flatten(h http.Header) map[string]string {
	if len(h) == 0 {
		return nil
	}
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	if len(names) > MaxHeaders {
		slices.Sort(names)
		names = names[:MaxHeaders]
	}
	flat := make(map[string]string, len(names))
	for _, name := range names {
		flat[strings.ToLower(bounded(name, MaxMessage))] = bounded(strings.Join(h[name], ", "), MaxMessage)
	}
	return flat
}

// retryAfter returns the outermost hint that an error of the chain gives by itself,
// by a method or a field; not those of headers. Hints of zero and less are none.
func (c chain) retryAfter() (time.Duration, bool) {
	for _, l := range c {
		if after := retryAfterOf(l.err); after > 0 {
			return after, true
		}
	}
	return 0, false
}

func retryAfterOf(err error) (after time.Duration) {
	defer contain()
	switch e := err.(type) {
	case interface{ RetryAfter() time.Duration }:
		return e.RetryAfter()
	case interface{ RetryDelay() time.Duration }:
		return e.RetryDelay()
	}
	s := shapeOf(err)
	if f, ok := fieldOf(err, s.retryAfter); ok {
		if f.Kind() == reflect.Pointer && !f.IsNil() {
			f = f.Elem()
		}
		if f.CanInt() {
			return time.Duration(f.Int())
		}
	}
	if status, ok := grpcStatus(err, s); ok {
		return grpcRetryDelay(status)
	}
	return 0
}

// grpcRetryDelay reads google.rpc.RetryInfo from the details of a gRPC status.
func grpcRetryDelay(status reflect.Value) time.Duration {
	method := status.MethodByName("Details")
	if !method.IsValid() {
		return 0
	}
	details, _ := method.Interface().(func() []any)
	if details == nil {
		return 0
	}
	for _, d := range details() {
		delay := reflect.ValueOf(d).MethodByName("GetRetryDelay")
		if !delay.IsValid() || delay.Type().NumIn() != 0 || delay.Type().NumOut() != 1 {
			continue
		}
		if d, ok := delay.Call(nil)[0].Interface().(interface{ AsDuration() time.Duration }); ok {
			return d.AsDuration()
		}
	}
	return 0
}
