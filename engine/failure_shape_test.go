package engine

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Look-alikes of the errors of drivers and clients: the same names of methods and
// fields, and nothing behind them.

type pgError struct{ code string } // *pgconn.PgError, *pq.Error

func (e *pgError) Error() string    { return "ERROR: (SQLSTATE " + e.code + ")" }
func (e *pgError) SQLState() string { return e.code }

type pgConnectError struct{ err error } // what pgconn returns before it sends

func (e *pgConnectError) Error() string     { return "failed to connect: " + e.err.Error() }
func (e *pgConnectError) Unwrap() error     { return e.err }
func (e *pgConnectError) SafeToRetry() bool { return true }

type pgLockError struct{ error } // pgconn's connLockError

func (e pgLockError) Unwrap() error     { return e.error }
func (e pgLockError) SafeToRetry() bool { return true }

type MySQLError struct { // of go-sql-driver
	Number   uint16
	SQLState [5]byte
	Message  string
}

func (e *MySQLError) Error() string { return fmt.Sprintf("Error %d: %s", e.Number, e.Message) }

type redisError string // proto.RedisError of go-redis

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

type RedisError struct{ text string } // of rueidis

func (e *RedisError) Error() string { return e.text }

type grpcCode uint32

type grpcRetryInfo struct{ delay time.Duration }

func (i grpcRetryInfo) GetRetryDelay() grpcRetryInfo { return i }
func (i grpcRetryInfo) AsDuration() time.Duration    { return i.delay }

type grpcStatusOf struct {
	code    grpcCode
	details []any
}

func (s *grpcStatusOf) Code() grpcCode { return s.code }
func (s *grpcStatusOf) Details() []any { return s.details }

type grpcError struct{ status *grpcStatusOf } // *status.Error

func (e *grpcError) Error() string             { return "rpc error" }
func (e *grpcError) GRPCStatus() *grpcStatusOf { return e.status }

type grpcOdd struct{} // has the name, not the shape

func (grpcOdd) Error() string          { return "odd" }
func (grpcOdd) GRPCStatus(string) bool { return true }

type awsAPIError struct{ code string } // smithy.APIError

func (e *awsAPIError) Error() string        { return "api error " + e.code }
func (e *awsAPIError) ErrorCode() string    { return e.code }
func (e *awsAPIError) ErrorMessage() string { return "" }

type awsResponse struct{ *http.Response } // of smithy-go's transport

type awsResponseError struct { // smithyhttp.ResponseError
	Response *awsResponse
	Err      error
}

func (e *awsResponseError) Error() string { return "https response error: " + e.Err.Error() }
func (e *awsResponseError) Unwrap() error { return e.Err }

type awsWithID struct { // awshttp.ResponseError
	*awsResponseError
	RequestID string
}

type githubError struct { // github.ErrorResponse
	Response *http.Response
	Message  string
}

func (e *githubError) Error() string { return e.Message }

type githubAbuse struct { // github.AbuseRateLimitError
	Response   *http.Response
	RetryAfter *time.Duration
}

func (e *githubAbuse) Error() string { return "abuse" }

type googleError struct { // googleapi.Error
	Code   int
	Header http.Header
}

func (e *googleError) Error() string { return "googleapi: Error " + strconv.Itoa(e.Code) }

type azureError struct { // azcore.ResponseError
	ErrorCode   string
	StatusCode  int
	RawResponse *http.Response
}

func (e *azureError) Error() string { return e.ErrorCode }

type statusMethod int

func (e statusMethod) Error() string   { return "status" }
func (e statusMethod) StatusCode() int { return int(e) }

type httpStatusMethod struct{ slow time.Duration }

func (e httpStatusMethod) Error() string             { return "status" }
func (e httpStatusMethod) HTTPStatusCode() int       { return 503 }
func (e httpStatusMethod) ErrorCode() string         { return "BUSY" }
func (e httpStatusMethod) RetryAfter() time.Duration { return e.slow }

type customNet struct{}

func (customNet) Error() string   { return "idle timeout" }
func (customNet) Timeout() bool   { return true }
func (customNet) Temporary() bool { return true }

type unrelated struct { // fields of the right names and the wrong types
	StatusCode string
	Response   int
	Header     map[string]string
	RetryAfter int
	Code       int
}

func (unrelated) Error() string { return "unrelated" }

func response(status int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h}
}

func TestErrorsOfDriversAreKnownByTheirShape(t *testing.T) {
	slow := 7 * time.Second
	rows := []struct {
		name       string
		err        error
		want       string
		status     int
		retryAfter time.Duration
	}{
		{"postgres, serialization failure", &pgError{"40001"}, "sql 40001 sent", 0, 0},
		{"postgres, completion unknown", &pgError{"40003"}, "sql 40003 unknown", 0, 0},
		{"postgres, connection failure", &pgError{"08006"}, "sql 08006 unknown", 0, 0},
		{"postgres, too many connections", &pgError{"53300"}, "sql 53300 not_sent", 0, 0},
		{"postgres, starting up", &pgError{"57P03"}, "sql 57P03 not_sent", 0, 0},
		{"postgres, no code", &pgError{""}, "unknown  unknown", 0, 0},
		{"pgconn before it sends", &pgConnectError{errors.New("x")}, "unknown  not_sent", 0, 0},
		{"mysql, deadlock", &MySQLError{Number: 1213}, "sql 1213 sent", 0, 0},
		{"mysql, too many connections", &MySQLError{Number: 1040}, "sql 1040 not_sent", 0, 0},
		{"mysql, server shutdown", &MySQLError{Number: 1053}, "sql 1053 unknown", 0, 0},
		{"mariadb, connection killed", &MySQLError{Number: 1927}, "sql 1927 unknown", 0, 0},
		{"mysql, connection lost", errors.New("invalid connection"), "sql INVALID_CONN unknown", 0, 0},
		{"mysql, connection found dead", errors.New("bad connection"), "sql BAD_CONN not_sent", 0, 0},
		{"mysql, statement too long", errors.New("packet for query is too large. Try adjusting the `Config.MaxAllowedPacket`"), "sql PACKET_TOO_LARGE not_sent", 0, 0},
		{"postgres, idle in a transaction", &pgError{"25P03"}, "sql 25P03 unknown", 0, 0},
		{"pgx, connection closed", pgLockError{errors.New("conn closed")}, "sql CONNECTION_LOST unknown", 0, 0},
		{"pgx, pool closed", errors.New("closed pool"), "sql DB_CLOSED not_sent", 0, 0},
		{"pgx, transaction over", errors.New("tx is closed"), "sql TX_DONE unknown", 0, 0},
		{"pgx, commit rolled back", errors.New("commit unexpectedly resulted in rollback"), "sql ROLLED_BACK sent", 0, 0},
		{"anybody's words around the driver's", errors.New("no invalid connection"), "unknown  unknown", 0, 0},

		{"redis, loading", redisError("LOADING Redis is loading the dataset in memory"), "redis LOADING not_sent", 0, 0},
		{"redis, moved", redisError("MOVED 3999 127.0.0.1:6381"), "redis MOVED not_sent", 0, 0},
		{"redis, wrong type", redisError("WRONGTYPE Operation against a key"), "redis WRONGTYPE sent", 0, 0},
		{"redis, error", redisError("ERR unknown command 'x'"), "redis ERR sent", 0, 0},
		{"redis, clients", redisError("ERR max number of clients reached"), "redis MAX_CLIENTS not_sent", 0, 0},
		{"redis, from within a script", redisError("OOM command not allowed when used memory > 'maxmemory'. script: 2bab3b661081db58bd2341920e0ba7cf5dc77b25, on @user_script:1."), "redis OOM sent", 0, 0},
		{"redis, nil", redisError("redis: nil"), "redis NIL sent", 0, 0},
		{"redis, transaction", redisError("redis: transaction failed"), "redis TX_FAILED not_sent", 0, 0},
		{"redis, words", redisError("user_script:1: oops"), "redis  sent", 0, 0},
		{"redis, pool timeout", errors.New("redis: connection pool timeout"), "redis POOL_TIMEOUT not_sent timeout", 0, 0},
		{"redis, client closed", errors.New("redis: client is closed"), "redis CLIENT_CLOSED not_sent", 0, 0},
		{"rueidis", &RedisError{"OOM command not allowed"}, "redis OOM not_sent", 0, 0},

		{"grpc, resource exhausted", &grpcError{&grpcStatusOf{code: 8}}, "grpc RESOURCE_EXHAUSTED sent", 0, 0},
		{"grpc, unavailable with RetryInfo", &grpcError{&grpcStatusOf{14, []any{"x", grpcRetryInfo{slow}}}}, "grpc UNAVAILABLE unknown", 0, slow},
		{"grpc, deadline", &grpcError{&grpcStatusOf{code: 4}}, "grpc DEADLINE_EXCEEDED unknown timeout", 0, 0},
		{"grpc, cancelled", &grpcError{&grpcStatusOf{code: 1}}, "grpc CANCELLED unknown", 0, 0},
		{"grpc, a code of the future", &grpcError{&grpcStatusOf{code: 99}}, "grpc UNKNOWN unknown", 0, 0},
		{"grpc, OK is no failure", &grpcError{&grpcStatusOf{}}, "unknown  unknown", 0, 0},
		{"grpc, nil status", &grpcError{}, "unknown  unknown", 0, 0},
		{"grpc by name alone", grpcOdd{}, "unknown  unknown", 0, 0},

		{"aws, throttled", &awsWithID{&awsResponseError{&awsResponse{response(400, "X-Amzn-Requestid", "1")}, &awsAPIError{"ThrottlingException"}}, "1"}, "aws ThrottlingException sent", 400, 0},
		{"aws without a response", &awsAPIError{"SlowDown"}, "aws SlowDown sent", 0, 0},
		{"aws, response without an API error", &awsResponseError{&awsResponse{response(502)}, errors.New("deserialization failed")}, "http  sent", 502, 0},
		{"aws, nothing embedded", &awsWithID{&awsResponseError{&awsResponse{}, errors.New("x")}, ""}, "unknown  unknown", 0, 0},

		{"github, rate limit", &githubError{response(403, "Retry-After", "7"), "slow down"}, "http  sent", 403, slow},
		{"github, abuse", &githubAbuse{response(403), &slow}, "http  sent", 403, slow},
		{"github, abuse without a hint", &githubAbuse{response(403), nil}, "http  sent", 403, 0},
		{"google", &googleError{429, http.Header{"Retry-After": {"7"}}}, "http  sent", 429, slow},
		{"azure", &azureError{"ServerBusy", 503, response(503, "Retry-After", "7")}, "http  sent", 503, slow},
		{"a method StatusCode", statusMethod(404), "http  sent", 404, 0},
		{"a method StatusCode out of range", statusMethod(0), "unknown  unknown", 0, 0},
		{"methods HTTPStatusCode, ErrorCode, RetryAfter", httpStatusMethod{slow}, "http BUSY sent", 503, slow},
		{"a net.Error of somebody's protocol", customNet{}, "net TIMEOUT unknown timeout", 0, 0},
		{"fields of other types", unrelated{Code: 404}, "unknown  unknown", 0, 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, err := range []error{row.err, fmt.Errorf("wrapped: %w", row.err)} {
				f := FailureOf(err, nil)
				if got := what(f); got != row.want || f.Status != row.status {
					t.Errorf("%T: got %s, status %d, want %s, status %d", err, got, f.Status, row.want, row.status)
				}
				if f.RetryAfter != row.retryAfter || f.HasRetryAfter != (row.retryAfter > 0) {
					t.Errorf("%T: retry after %v (%t), want %v", err, f.RetryAfter, f.HasRetryAfter, row.retryAfter)
				}
				if f.fault != nil {
					t.Errorf("%T: fault: %v", err, f.fault)
				}
			}
		})
	}
}

func TestNilPointersInErrorsAndResultsAreSafe(t *testing.T) {
	for _, err := range []error{
		(*pgError)(nil), (*MySQLError)(nil), (*RedisError)(nil), (*grpcError)(nil), (*awsAPIError)(nil),
		(*awsResponseError)(nil), (*awsWithID)(nil), &awsWithID{}, &awsResponseError{}, (*githubError)(nil), (*googleError)(nil),
		(*Error)(nil),
	} {
		f := FailureOf(err, nil)
		if got := what(f); got != "unknown  unknown" || f.Type != fmt.Sprintf("%T", err) {
			t.Errorf("%T: got %s of type %s", err, got, f.Type)
		}
	}
	for _, v := range []any{(*http.Response)(nil), (*azureError)(nil), (*awsWithID)(nil), &awsWithID{}} {
		f := ResultOf(v)
		if f.Status != 0 || f.Kind != UnknownKind || f.Type != fmt.Sprintf("%T", v) {
			t.Errorf("%T: %+v", v, f)
		}
	}
}

type restyResponse struct{ raw *http.Response } // *resty.Response

func (r *restyResponse) StatusCode() int     { return r.raw.StatusCode }
func (r *restyResponse) Header() http.Header { return r.raw.Header }

func TestResultsAreKnownByTheirShape(t *testing.T) {
	slow := response(503, "Retry-After", "7", "X-Two", "a", "X-Two", "b")
	for _, row := range []struct {
		name    string
		result  any
		status  int
		headers map[string]string
		after   time.Duration
	}{
		{"nothing", nil, 0, nil, 0},
		{"text", "503", 0, nil, 0},
		{"a number", 503, 0, nil, 0},
		{"*http.Response", slow, 503, map[string]string{"retry-after": "7", "x-two": "a, b"}, 7 * time.Second},
		{"methods StatusCode and Header", &restyResponse{response(202, "Age", "1")}, 202, map[string]string{"age": "1"}, 0},
		{"a field Status", struct{ Status int }{409}, 409, nil, 0},
		{"a field Status of text", struct{ Status string }{"409"}, 0, nil, 0},
		{"a field StatusCode", &struct{ StatusCode int32 }{429}, 429, nil, 0},
		{"embedded fields, as of google's clients", struct{ serverResponse }{serverResponse{429, http.Header{"Age": {"1"}}}}, 429, map[string]string{"age": "1"}, 0},
		{"a response inside", struct{ Response *http.Response }{slow}, 503, map[string]string{"retry-after": "7", "x-two": "a, b"}, 7 * time.Second},
		{"a status that is none", struct{ Status int }{7}, 0, nil, 0},
		{"a status that is huge", struct{ Status uint64 }{1 << 63}, 0, nil, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := ResultOf(row.result)
			if f.Status != row.status || !maps.Equal(f.Headers, row.headers) || f.RetryAfter != row.after || f.HasRetryAfter != (row.after > 0) {
				t.Errorf("got status %d, headers %v, retry after %v (%t)", f.Status, f.Headers, f.RetryAfter, f.HasRetryAfter)
			}
			wantKind, wantPhase := UnknownKind, PhaseUnknown
			if row.status != 0 {
				wantKind, wantPhase = KindHTTP, Sent
			}
			if f.Kind != wantKind || f.Phase != wantPhase || f.Err != nil {
				t.Errorf("got kind %s, phase %s, error %v", f.Kind, f.Phase, f.Err)
			}
			if row.result != nil && f.Type != fmt.Sprintf("%T", row.result) {
				t.Errorf("type %q, want %T", f.Type, row.result)
			}
		})
	}
}

type serverResponse struct {
	HTTPStatusCode int
	Header         http.Header
}

func TestHeadersAreBounded(t *testing.T) {
	h := http.Header{"Long": {strings.Repeat("x", 3*MaxMessage)}}
	for i := range 10 * MaxHeaders {
		h[fmt.Sprintf("X-%04d", i)] = []string{"1"}
	}
	f := ResultOf(&http.Response{StatusCode: 500, Header: h})
	if len(f.Headers) != MaxHeaders || len(f.Headers["long"]) != MaxMessage {
		t.Errorf("%d headers, the long one of %d bytes", len(f.Headers), len(f.Headers["long"]))
	}
	if f.Headers["x-0000"] != "1" || f.Headers["x-1279"] != "" {
		t.Error("which headers are kept depends on chance")
	}
}
