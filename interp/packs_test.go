package interp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/cel-go/common/ast"

	"github.com/redress-policy/redress/engine"
)

// The tables of this file say what the packs make of every status and code that they
// know: HTTP statuses, SQLSTATEs, MySQL numbers, gRPC codes, Redis replies, AWS codes,
// and the engine's own words for what fails on the way.

// httpStatuses are the statuses that are not decided by their hundred.
var httpStatuses = map[engine.Class][]int{
	engine.Auth:        {401},
	engine.Permission:  {403},
	engine.Concurrency: {409, 423},
	engine.RateLimit:   {425, 429},
	engine.Transient:   {408, 421},
	engine.Permanent:   {400, 402, 404, 405, 406, 410, 411, 412, 413, 414, 415, 416, 417, 422, 426, 428, 431, 451, 501, 505, 510},
}

// classOfStatus returns what table says, else otherwise for 4xx and SERVER_ERROR for 5xx.
func classOfStatus(table map[engine.Class][]int, status int, otherwise engine.Class) engine.Class {
	for class, list := range table {
		if slices.Contains(list, status) {
			return class
		}
	}
	if status >= 500 {
		return engine.ServerError
	}
	return otherwise
}

type statusError int

func (e statusError) Error() string   { return fmt.Sprintf("status %d", int(e)) }
func (e statusError) StatusCode() int { return int(e) }

func TestEveryStatusHasItsClassInHTTP(t *testing.T) {
	p := usingPack(t, "std.http")
	for status := 400; status <= 599; status++ {
		want := classOfStatus(httpStatuses, status, engine.Unknown)
		for _, f := range []*engine.Failure{{Status: status}, {Status: status, Kind: engine.KindHTTP, Phase: engine.Sent}, engine.FailureOf(statusError(status), nil)} {
			got, rule := classOf(p, f)
			if got != want {
				t.Errorf("%d is %v by %s, want %v", status, got, rule, want)
			}
			if !strings.HasPrefix(rule, "std.http/") {
				t.Errorf("%d is decided by %q", status, rule)
			}
		}
	}
	for _, status := range []int{0, 100, 200, 204, 301, 304, 399} {
		if got, rule := classOf(p, &engine.Failure{Status: status}); rule != engine.RuleDefault {
			t.Errorf("%d is %v by %s, want no rule to hold", status, got, rule)
		}
	}
}

func TestEveryStatusOfAResultHasItsClassInHTTP(t *testing.T) {
	p := policyOf(t, "classify:\n  - use: std.http\nclassify_result:\n  - use: std.http\n")
	for status := 100; status <= 599; status++ {
		f := engine.ResultOf(&http.Response{StatusCode: status, Header: http.Header{"Retry-After": {"7"}}})
		e := p.Explain(first(f), engine.CauseResult)
		if status < 400 {
			if e.Class != engine.NoClass {
				t.Errorf("the result %d is %v by %s, want a success", status, e.Class, e.Rule)
			}
			continue
		}
		if want := classOfStatus(httpStatuses, status, engine.Unknown); e.Class != want {
			t.Errorf("the result %d is %v, want %v", status, e.Class, want)
		}
		if !e.HasRetryAfter || e.RetryAfter != 7*time.Second {
			t.Errorf("the result %d asks to wait %v, want 7s", status, e.RetryAfter)
		}
	}
}

func TestErrorsAndResultsOfOneStatusHaveOneClassInHTTP(t *testing.T) {
	p := policyOf(t, "classify:\n  - use: std.http\nclassify_result:\n  - use: std.http\n")
	for status := 400; status <= 599; status++ {
		f := &engine.Failure{Status: status}
		ofError, ofResult := p.Explain(first(f), engine.CauseError), p.Explain(first(f), engine.CauseResult)
		if ofError.Class != ofResult.Class || strings.Replace(ofResult.Rule, "/result-", "/", 1) != ofError.Rule {
			t.Errorf("%d is %v by %s as an error and %v by %s as a result", status, ofError.Class, ofError.Rule, ofResult.Class, ofResult.Rule)
		}
	}
}

type responseError struct{ Response *http.Response }

func (e *responseError) Error() string { return e.Response.Status }

// RFC 9110, section 10.2.3: seconds or a date, with any status.
func TestRetryAfterIsReadFromEveryStatusInHTTP(t *testing.T) {
	p := usingPack(t, "std.http")
	const date = "Wed, 01 Jan 2025 10:00:00 GMT"
	for _, one := range []struct {
		header string
		want   time.Duration
		hint   bool
	}{
		{"120", 2 * time.Minute, true},
		{"0", 0, true},
		{"Wed, 01 Jan 2025 10:00:30 GMT", 30 * time.Second, true},
		{"Wed, 01 Jan 2025 09:00:00 GMT", 0, true}, // in the past
		{"soon", 0, false},
		{"-5", 0, false},
		{"1.5", 0, false},
		{"", 0, false},
	} {
		for status := 400; status <= 599; status++ {
			f := engine.FailureOf(&responseError{&http.Response{StatusCode: status, Header: http.Header{"Retry-After": {one.header}, "Date": {date}}}}, nil)
			e := p.Explain(first(f), engine.CauseError)
			if e.RetryAfter != one.want || e.HasRetryAfter != one.hint {
				t.Errorf("%d with Retry-After: %s asks for %v (%v), want %v (%v)", status, one.header, e.RetryAfter, e.HasRetryAfter, one.want, one.hint)
			}
		}
	}
}

// A codeRow says of which class codes are in a pack.
type codeRow struct {
	pack  string
	kind  engine.Kind
	class engine.Class
	codes string
}

var codeRows = []codeRow{
	// PostgreSQL documentation, appendix A; ODBC's HYT00, HYT01 and 08S01.
	{"std.sql", engine.KindSQL, engine.Concurrency, "40001 40P01 55P03 40003 25006"},
	{"std.sql", engine.KindSQL, engine.Transient, "08000 08001 08003 08004 08006 08007 08P01 08S01 57P01 57P02 57P03 57P05 25P03 HYT00 HYT01"},
	{"std.sql", engine.KindSQL, engine.RateLimit, "53000 53100 53200 53300 53400"},
	{"std.sql", engine.KindSQL, engine.Auth, "28000 28P01"},
	{"std.sql", engine.KindSQL, engine.Permission, "42501"},
	{"std.sql", engine.KindSQL, engine.Permanent, "22001 22012 22P02 23502 23503 23505 23514 42601 42703 42P01 0A000 21000 3D000 3F000 54000 54001 54011"},
	{"std.sql", engine.KindSQL, engine.ServerError, "58000 58030 58P01 XX000"},
	{"std.sql", engine.KindSQL, engine.Unknown, "57014"},
	// MySQL Server and Client Error Message References.
	{"std.sql", engine.KindSQL, engine.Concurrency, "1020 1205 1213 3572 1290 1792 1836"},
	{"std.sql", engine.KindSQL, engine.RateLimit, "1040 1203 1226"},
	{"std.sql", engine.KindSQL, engine.Transient, "2002 2003 2006 2013 1053 1077 1158 1159 1160 1161 1927 4031"},
	{"std.sql", engine.KindSQL, engine.Permission, "1044 1142 1143 1227"},
	{"std.sql", engine.KindSQL, engine.Auth, "1045 1698"},
	{"std.sql", engine.KindSQL, engine.Permanent, "1062 1064 1146 1451 1452 1046 1048 1049 1054 1136 1153 1264 1364 1366 1406 3819 4025"},
	{"std.sql", engine.KindSQL, engine.Unknown, "1317 1969 3024"},
	// database/sql.
	{"std.sql", engine.KindSQL, engine.Transient, "BAD_CONN CONN_DONE INVALID_CONN CONNECTION_LOST"},
	{"std.sql", engine.KindSQL, engine.Permanent, "NO_ROWS TX_DONE DB_CLOSED PACKET_TOO_LARGE"},
	// A statement had failed before, and nobody looked.
	{"std.sql", engine.KindSQL, engine.Unknown, "ROLLED_BACK"},

	// https://grpc.io/docs/guides/status-codes/
	{"std.grpc", engine.KindGRPC, engine.RateLimit, "RESOURCE_EXHAUSTED"},
	{"std.grpc", engine.KindGRPC, engine.Transient, "UNAVAILABLE DEADLINE_EXCEEDED"},
	{"std.grpc", engine.KindGRPC, engine.Concurrency, "ABORTED"},
	{"std.grpc", engine.KindGRPC, engine.Auth, "UNAUTHENTICATED"},
	{"std.grpc", engine.KindGRPC, engine.Permission, "PERMISSION_DENIED"},
	{"std.grpc", engine.KindGRPC, engine.Permanent, "INVALID_ARGUMENT FAILED_PRECONDITION OUT_OF_RANGE NOT_FOUND ALREADY_EXISTS UNIMPLEMENTED CANCELLED"},
	{"std.grpc", engine.KindGRPC, engine.ServerError, "INTERNAL DATA_LOSS"},
	{"std.grpc", engine.KindGRPC, engine.Unknown, "UNKNOWN"},

	// Redis documentation and server.c; the last three are go-redis' own.
	{"std.redis", engine.KindRedis, engine.Transient, "LOADING MASTERDOWN CLUSTERDOWN TRYAGAIN NOREPLICAS"},
	{"std.redis", engine.KindRedis, engine.Concurrency, "READONLY BUSY MOVED ASK"},
	{"std.redis", engine.KindRedis, engine.Auth, "NOAUTH WRONGPASS"},
	{"std.redis", engine.KindRedis, engine.Permission, "NOPERM"},
	{"std.redis", engine.KindRedis, engine.RateLimit, "OOM MAX_CLIENTS"},
	{"std.redis", engine.KindRedis, engine.Permanent, "WRONGTYPE NOSCRIPT ERR EXECABORT CROSSSLOT BUSYKEY BUSYGROUP NOGROUP"},
	{"std.redis", engine.KindRedis, engine.ServerError, "MISCONF"},
	{"std.redis", engine.KindRedis, engine.Concurrency, "TX_FAILED"},
	{"std.redis", engine.KindRedis, engine.RateLimit, "POOL_TIMEOUT"},
	{"std.redis", engine.KindRedis, engine.Permanent, "NIL CLIENT_CLOSED"},

	// AWS SDKs and Tools Reference Guide, retry behaviour; common errors of the APIs.
	{"std.aws", engine.KindAWS, engine.RateLimit, "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException " +
		"TooManyRequestsException ProvisionedThroughputExceededException TransactionInProgressException RequestLimitExceeded " +
		"BandwidthLimitExceeded LimitExceededException SlowDown PriorRequestNotComplete EC2ThrottledException"},
	{"std.aws", engine.KindAWS, engine.Permission, "AccessDenied AccessDeniedException UnauthorizedOperation NotAuthorized OptInRequired"},
	{"std.aws", engine.KindAWS, engine.Auth, "UnrecognizedClientException InvalidClientTokenId ExpiredToken ExpiredTokenException InvalidSignatureException SignatureDoesNotMatch MissingAuthenticationToken IncompleteSignature"},
	{"std.aws", engine.KindAWS, engine.Transient, "RequestTimeout RequestTimeoutException InternalError IDPCommunicationError"},

	// contrib/redressnats, and server/errors.json of nats-server.
	{"std.nats", engine.KindBroker, engine.Transient, "NO_RESPONDERS NO_STREAM_RESPONSE NO_SERVERS RECONNECTING RECONNECT_BUFFER_FULL DISCONNECTED " +
		"STALE_CONNECTION SERVER_SHUTDOWN LEADERSHIP_CHANGED NO_HEARTBEAT TIMEOUT SLOW_CONSUMER NO_MESSAGES"},
	{"std.nats", engine.KindBroker, engine.RateLimit, "STALLED MAX_CONNECTIONS MAX_SUBSCRIPTIONS 10002 10023 10028 10047 10077"},
	{"std.nats", engine.KindBroker, engine.Auth, "AUTHORIZATION AUTH_EXPIRED AUTH_REVOKED"},
	{"std.nats", engine.KindBroker, engine.Permission, "PERMISSIONS_VIOLATION"},
	{"std.nats", engine.KindBroker, engine.Concurrency, "10063 10070 10071 10164"},
	{"std.nats", engine.KindBroker, engine.Permanent, "10010 10035 10036 10039 10076 CLIENT_CLOSED CLIENT_DRAINING MAX_PAYLOAD BAD_SUBJECT INVALID_MESSAGE CONSUMER_DELETED ALREADY_ACKED"},
	// contrib/redressamqp, and AMQP 0-9-1 section 1.8.
	{"std.amqp", engine.KindBroker, engine.Transient, "320 NOT_OPEN"},
	{"std.amqp", engine.KindBroker, engine.Auth, "CREDENTIALS"},
	{"std.amqp", engine.KindBroker, engine.Permission, "403 VHOST"},
	{"std.amqp", engine.KindBroker, engine.RateLimit, "NACKED 506 CHANNEL_MAX"},
	{"std.amqp", engine.KindBroker, engine.Concurrency, "405"},
	{"std.amqp", engine.KindBroker, engine.ServerError, "541"},
	{"std.amqp", engine.KindBroker, engine.Permanent, "311 312 313 402 404 406 501 502 503 504 505 530 540"},
	// contrib/redresskafka, and the error codes of Kafka's protocol guide.
	{"std.kafka", engine.KindBroker, engine.Transient, "CORRUPT_MESSAGE UNKNOWN_TOPIC_OR_PARTITION LEADER_NOT_AVAILABLE NOT_LEADER_FOR_PARTITION REQUEST_TIMED_OUT " +
		"BROKER_NOT_AVAILABLE REPLICA_NOT_AVAILABLE NETWORK_EXCEPTION COORDINATOR_LOAD_IN_PROGRESS " +
		"COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR NOT_ENOUGH_REPLICAS NOT_ENOUGH_REPLICAS_AFTER_APPEND NOT_CONTROLLER " +
		"KAFKA_STORAGE_ERROR FETCH_SESSION_ID_NOT_FOUND INVALID_FETCH_SESSION_EPOCH LISTENER_NOT_FOUND " +
		"FENCED_LEADER_EPOCH UNKNOWN_LEADER_EPOCH OFFSET_NOT_AVAILABLE PREFERRED_LEADER_NOT_AVAILABLE " +
		"ELIGIBLE_LEADERS_NOT_AVAILABLE ELECTION_NOT_NEEDED UNSTABLE_OFFSET_COMMIT UNKNOWN_TOPIC_ID " +
		"INCONSISTENT_TOPIC_ID FETCH_SESSION_TOPIC_ID_ERROR RECORD_RETRIES RECORD_TIMEOUT"},
	{"std.kafka", engine.KindBroker, engine.RateLimit, "THROTTLING_QUOTA_EXCEEDED SHARE_SESSION_LIMIT_REACHED MAX_BUFFERED"},
	{"std.kafka", engine.KindBroker, engine.Auth, "UNSUPPORTED_SASL_MECHANISM ILLEGAL_SASL_STATE SASL_AUTHENTICATION_FAILED DELEGATION_TOKEN_EXPIRED"},
	{"std.kafka", engine.KindBroker, engine.Permission, "TOPIC_AUTHORIZATION_FAILED GROUP_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED " +
		"TRANSACTIONAL_ID_AUTHORIZATION_FAILED DELEGATION_TOKEN_AUTHORIZATION_FAILED"},
	{"std.kafka", engine.KindBroker, engine.Concurrency, "CONCURRENT_TRANSACTIONS"},
	{"std.kafka", engine.KindBroker, engine.ServerError, "UNKNOWN_SERVER_ERROR"},
	{"std.kafka", engine.KindBroker, engine.Permanent, "OFFSET_OUT_OF_RANGE INVALID_FETCH_SIZE MESSAGE_TOO_LARGE STALE_CONTROLLER_EPOCH OFFSET_METADATA_TOO_LARGE " +
		"INVALID_TOPIC_EXCEPTION RECORD_LIST_TOO_LARGE INVALID_REQUIRED_ACKS ILLEGAL_GENERATION " +
		"INCONSISTENT_GROUP_PROTOCOL INVALID_GROUP_ID UNKNOWN_MEMBER_ID INVALID_SESSION_TIMEOUT REBALANCE_IN_PROGRESS " +
		"INVALID_COMMIT_OFFSET_SIZE INVALID_TIMESTAMP UNSUPPORTED_VERSION TOPIC_ALREADY_EXISTS INVALID_PARTITIONS " +
		"INVALID_REPLICATION_FACTOR INVALID_REPLICA_ASSIGNMENT INVALID_CONFIG INVALID_REQUEST " +
		"UNSUPPORTED_FOR_MESSAGE_FORMAT POLICY_VIOLATION OUT_OF_ORDER_SEQUENCE_NUMBER DUPLICATE_SEQUENCE_NUMBER " +
		"INVALID_PRODUCER_EPOCH INVALID_TXN_STATE INVALID_PRODUCER_ID_MAPPING INVALID_TRANSACTION_TIMEOUT " +
		"TRANSACTION_COORDINATOR_FENCED SECURITY_DISABLED OPERATION_NOT_ATTEMPTED LOG_DIR_NOT_FOUND UNKNOWN_PRODUCER_ID " +
		"REASSIGNMENT_IN_PROGRESS DELEGATION_TOKEN_AUTH_DISABLED DELEGATION_TOKEN_NOT_FOUND " +
		"DELEGATION_TOKEN_OWNER_MISMATCH DELEGATION_TOKEN_REQUEST_NOT_ALLOWED INVALID_PRINCIPAL_TYPE NON_EMPTY_GROUP " +
		"GROUP_ID_NOT_FOUND TOPIC_DELETION_DISABLED UNSUPPORTED_COMPRESSION_TYPE STALE_BROKER_EPOCH MEMBER_ID_REQUIRED " +
		"GROUP_MAX_SIZE_REACHED FENCED_INSTANCE_ID NO_REASSIGNMENT_IN_PROGRESS GROUP_SUBSCRIBED_TO_TOPIC INVALID_RECORD " +
		"PRODUCER_FENCED RESOURCE_NOT_FOUND DUPLICATE_RESOURCE UNACCEPTABLE_CREDENTIAL INCONSISTENT_VOTER_SET " +
		"INVALID_UPDATE_VERSION FEATURE_UPDATE_FAILED PRINCIPAL_DESERIALIZATION_FAILURE SNAPSHOT_NOT_FOUND " +
		"POSITION_OUT_OF_RANGE DUPLICATE_BROKER_REGISTRATION BROKER_ID_NOT_REGISTERED INCONSISTENT_CLUSTER_ID " +
		"TRANSACTIONAL_ID_NOT_FOUND INELIGIBLE_REPLICA NEW_LEADER_ELECTED OFFSET_MOVED_TO_TIERED_STORAGE " +
		"FENCED_MEMBER_EPOCH UNRELEASED_INSTANCE_ID UNSUPPORTED_ASSIGNOR STALE_MEMBER_EPOCH MISMATCHED_ENDPOINT_TYPE " +
		"UNSUPPORTED_ENDPOINT_TYPE UNKNOWN_CONTROLLER_ID UNKNOWN_SUBSCRIPTION_ID TELEMETRY_TOO_LARGE " +
		"INVALID_REGISTRATION TRANSACTION_ABORTABLE INVALID_RECORD_STATE SHARE_SESSION_NOT_FOUND " +
		"INVALID_SHARE_SESSION_EPOCH FENCED_STATE_EPOCH INVALID_VOTER_KEY DUPLICATE_VOTER VOTER_NOT_FOUND " +
		"INVALID_REGULAR_EXPRESSION REBOOTSTRAP_REQUIRED STREAMS_INVALID_TOPOLOGY STREAMS_INVALID_TOPOLOGY_EPOCH " +
		"STREAMS_TOPOLOGY_FENCED GROUP_DELETION_FAILED STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED " +
		"CONTROLLER_ID_NOT_REGISTERED ABORTING CLIENT_CLOSED"},
	// contrib/redressmqtt, and MQTT 5.0 section 2.4.
	{"std.mqtt", engine.KindBroker, engine.Transient, "0x88 0x8B 0x8D 0x98 0x9C 0xA0 NO_CONNECTION"},
	{"std.mqtt", engine.KindBroker, engine.RateLimit, "0x89 0x93 0x96 0x97 0x9F PACKET_IDENTIFIERS"},
	{"std.mqtt", engine.KindBroker, engine.Auth, "0x86 0x8C"},
	{"std.mqtt", engine.KindBroker, engine.Permission, "0x87 0x8A"},
	{"std.mqtt", engine.KindBroker, engine.Concurrency, "0x8E 0x91"},
	{"std.mqtt", engine.KindBroker, engine.ServerError, "0x80 0x83"},
	{"std.mqtt", engine.KindBroker, engine.Permanent, "0x81 0x82 0x84 0x85 0x8F 0x90 0x92 0x94 0x95 0x99 0x9A 0x9B 0x9D 0x9E 0xA1 0xA2 INVALID_ARGUMENTS"},
	// The engine's words for what fails on the way, [engine.FailureCodes].
	{"std.net", engine.KindNet, engine.Transient, "ECONNREFUSED ENETUNREACH EHOSTUNREACH ENETDOWN EHOSTDOWN ECONNRESET ECONNABORTED EPIPE ENETRESET ENOTCONN ESHUTDOWN " +
		"ETIMEDOUT EADDRNOTAVAIL EADDRINUSE ENOBUFS DIAL_TIMEOUT IO_TIMEOUT TIMEOUT CONN_CLOSED RESPONSE_HEADER_TIMEOUT CLIENT_TIMEOUT " +
		"SERVER_CLOSED_IDLE CONNECTION_LOST HTTP2_CONN_UNUSABLE HTTP2_GOAWAY HTTP2_REFUSED_STREAM HTTP2_NO_ERROR HTTP2_PROTOCOL_ERROR HTTP2_INTERNAL_ERROR " +
		"HTTP2_FLOW_CONTROL_ERROR HTTP2_SETTINGS_TIMEOUT HTTP2_STREAM_CLOSED HTTP2_FRAME_SIZE_ERROR HTTP2_CANCEL HTTP2_COMPRESSION_ERROR HTTP2_CONNECT_ERROR"},
	{"std.net", engine.KindNet, engine.RateLimit, "HTTP2_ENHANCE_YOUR_CALM"},
	{"std.net", engine.KindNet, engine.Permanent, "HTTP2_HTTP_1_1_REQUIRED HTTP2_INADEQUATE_SECURITY BAD_ADDRESS EAFNOSUPPORT EPROTONOSUPPORT EMSGSIZE"},
	{"std.net", engine.KindDNS, engine.Permanent, "NO_SUCH_HOST"},
	{"std.net", engine.KindDNS, engine.Transient, "DNS_TIMEOUT DNS_TEMPORARY DNS_FAILURE"},
	{"std.net", engine.KindTLS, engine.Transient, "TLS_HANDSHAKE_TIMEOUT"},
	{"std.net", engine.KindTLS, engine.Permanent, "CERTIFICATE NOT_TLS TLS_ALERT TLS_PROTOCOL"},
	{"std.net", engine.KindURL, engine.Permanent, "MALFORMED_URL UNSUPPORTED_PROTOCOL"},
	{"std.net", engine.KindIO, engine.Transient, "EOF UNEXPECTED_EOF EAGAIN"},
	// Nothing is said of streams and files that fail without a network: the default.
	{"std.net", engine.KindIO, engine.Unknown, "CLOSED_PIPE SHORT_WRITE SHORT_BUFFER NO_PROGRESS FILE_CLOSED " +
		"EMFILE ENFILE ENOMEM EINTR EINVAL EBADF EACCES EPERM ENOENT EEXIST EIO EBUSY ENOSPC EROFS"},
	{"std.context", engine.KindContext, engine.Transient, "DEADLINE_EXCEEDED"},
	{"std.context", engine.KindContext, engine.Unknown, "CANCELED"},
	{"std.net", engine.KindContext, engine.Transient, "DEADLINE_EXCEEDED"},
	{"std.http", engine.KindHTTP, engine.Permanent, "INVALID_REQUEST TOO_MANY_REDIRECTS"},
	{"std.http", engine.KindHTTP, engine.ServerError, "MALFORMED_RESPONSE"},
	{"std.http", engine.KindHTTP, engine.Transient, "HANDLER_TIMEOUT"},
	{"std.http", engine.KindHTTP, engine.Unknown, "SERVER_CLOSED"},
}

// known returns the engine's line for a code; where it has none, the dependency
// chooses the codes of this kind.
func known(kind engine.Kind, code string) (engine.FailureCode, bool) {
	for _, c := range engine.FailureCodes() {
		if c.Kind == kind && c.Code == code {
			return c, true
		}
	}
	return engine.FailureCode{Kind: kind, Code: code}, false
}

func TestEveryCodeHasItsClass(t *testing.T) {
	policies := map[string]*Policy{}
	for _, row := range codeRows {
		if policies[row.pack] == nil {
			policies[row.pack] = usingPack(t, row.pack)
		}
		p := policies[row.pack]
		for _, code := range strings.Fields(row.codes) {
			line, _ := known(row.kind, code)
			f := &engine.Failure{Kind: row.kind, Code: code, Phase: line.Phase, Timeout: line.Timeout}
			if got, rule := classOf(p, f); got != row.class {
				t.Errorf("%s: %s %s is %v by %s, want %v", row.pack, row.kind, code, got, rule, row.class)
			}
		}
	}
}

// Errors that only say a code are of kind unknown, and so are records of tests that
// only write one.
func TestCodesAreKnownWithoutTheirKind(t *testing.T) {
	generic := []string{"INVALID_REQUEST", "TOO_MANY_REDIRECTS", "MALFORMED_RESPONSE"} // anybody's words
	for _, row := range codeRows {
		p := usingPack(t, row.pack)
		for _, code := range strings.Fields(row.codes) {
			_, rule := classOf(p, &engine.Failure{Kind: row.kind, Code: code})
			if rule == engine.RuleDefault || strings.HasSuffix(rule, "/connection") || slices.Contains(generic, code) {
				continue
			}
			if got, rule := classOf(p, &engine.Failure{Kind: engine.UnknownKind, Code: code}); got != row.class {
				t.Errorf("%s: %s without a kind is %v by %s, want %v", row.pack, code, got, rule, row.class)
			}
		}
	}
}

// A code of one protocol is not taken for that of another.
func TestCodesOfOtherKindsAreLeftAlone(t *testing.T) {
	for _, one := range []struct {
		pack string
		f    engine.Failure
	}{
		{"std.sql", engine.Failure{Kind: engine.KindAWS, Code: "40001"}},
		{"std.sql", engine.Failure{Kind: engine.KindHTTP, Code: "1205"}},
		{"std.grpc", engine.Failure{Kind: engine.KindRedress, Code: "DEADLINE_EXCEEDED"}},
		{"std.grpc", engine.Failure{Kind: engine.KindAWS, Code: "UNAVAILABLE"}},
		{"std.redis", engine.Failure{Kind: engine.KindSQL, Code: "BUSY"}},
		{"std.context", engine.Failure{Kind: engine.KindGRPC, Code: "DEADLINE_EXCEEDED"}},
		{"std.context", engine.Failure{Kind: engine.KindRedress, Code: "DEADLINE_EXCEEDED"}},
		{"std.net", engine.Failure{Kind: engine.KindRedress, Code: "DEADLINE_EXCEEDED"}},
		{"std.sql", engine.Failure{Kind: engine.KindSQL, Code: "1234"}},
		{"std.sql", engine.Failure{Kind: engine.KindSQL, Code: "01000"}},
		{"std.sql", engine.Failure{Kind: engine.KindSQL, Code: "0800"}},
		{"std.sql", engine.Failure{Kind: engine.KindSQL}},
		{"std.redis", engine.Failure{Kind: engine.KindRedis}},
		{"std.nats", engine.Failure{Kind: engine.KindHTTP, Code: "10071", Status: 503}},
		{"std.amqp", engine.Failure{Kind: engine.KindHTTP, Code: "404"}},
		{"std.amqp", engine.Failure{Kind: engine.KindBroker}},
		{"std.kafka", engine.Failure{Kind: engine.KindHTTP, Code: "NOT_COORDINATOR"}},
		{"std.kafka", engine.Failure{Kind: engine.KindBroker}},
		{"std.mqtt", engine.Failure{Kind: engine.KindHTTP, Code: "0x87"}},
		{"std.mqtt", engine.Failure{Kind: engine.KindBroker}},
		{"std.grpc", engine.Failure{Kind: engine.KindGRPC}},
	} {
		if got, rule := classOf(usingPack(t, one.pack), &one.f); rule != engine.RuleDefault {
			t.Errorf("%s: %s %q is %v by %s, want no rule to hold", one.pack, one.f.Kind, one.f.Code, got, rule)
		}
	}
}

// The class of a failure is the same whatever its phase; what may be tried again
// then is the engine's to decide.
func TestPhaseChangesNoClass(t *testing.T) {
	for _, row := range codeRows {
		p := usingPack(t, row.pack)
		for _, code := range strings.Fields(row.codes) {
			line, _ := known(row.kind, code)
			for _, phase := range engine.Phases() {
				if got, rule := classOf(p, &engine.Failure{Kind: row.kind, Code: code, Phase: phase, Timeout: line.Timeout}); got != row.class {
					t.Errorf("%s: %s %s in phase %s is %v by %s, want %v", row.pack, row.kind, code, phase, got, rule, row.class)
				}
			}
		}
	}
}

// Every code that the engine can make of what fails on the way is in the tables, and
// so every one of them was thought of.
func TestEveryCodeOfTheEngineIsInTheTables(t *testing.T) {
	listed := map[engine.Kind]map[string]bool{}
	for _, row := range codeRows {
		if listed[row.kind] == nil {
			listed[row.kind] = map[string]bool{}
		}
		for _, code := range strings.Fields(row.codes) {
			listed[row.kind][code] = true
		}
	}
	for _, c := range engine.FailureCodes() {
		if c.Code != "" && !listed[c.Kind][c.Code] {
			t.Errorf("no table says what %s %s is", c.Kind, c.Code)
		}
	}
}

// A code that neither the engine makes nor the table of the pack lists would be a
// typing error.
func TestPacksMentionOnlyCodesThatExist(t *testing.T) {
	listed := map[string]string{} // code, kinds
	for _, c := range engine.FailureCodes() {
		listed[c.Code] = "the engine"
	}
	for _, row := range codeRows {
		for _, code := range strings.Fields(row.codes) {
			listed[code] = row.pack
		}
	}
	for _, name := range Packs() {
		for _, r := range usingPack(t, name).rules {
			for _, code := range codesComparedIn(checkedByCEL(t, r.when).Expr()) {
				if listed[code] == "" {
					t.Errorf("rule %s mentions the code %q, which nothing makes", r.id, code)
				}
			}
		}
	}
}

// codesComparedIn lists the texts that err.code is compared with.
func codesComparedIn(e ast.Expr) []string {
	var codes []string
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(n ast.Expr) {
		if n.Kind() != ast.CallKind || len(n.AsCall().Args()) != 2 {
			return
		}
		field, value := n.AsCall().Args()[0], n.AsCall().Args()[1]
		if field.Kind() != ast.SelectKind || field.AsSelect().FieldName() != "code" {
			return
		}
		list := []ast.Expr{value}
		if value.Kind() == ast.ListKind {
			list = value.AsList().Elements()
		}
		for _, item := range list {
			if text, ok := literalText(item); ok {
				codes = append(codes, text)
			}
		}
	}))
	return codes
}

// Look-alikes of the errors of drivers and clients.

type sqlStateError string

func (e sqlStateError) Error() string    { return "ERROR (SQLSTATE " + string(e) + ")" }
func (e sqlStateError) SQLState() string { return string(e) }

type MySQLError struct {
	Number  uint16
	Message string
}

func (e *MySQLError) Error() string { return fmt.Sprintf("Error %d: %s", e.Number, e.Message) }

type redisReply string

func (e redisReply) Error() string { return string(e) }
func (redisReply) RedisError()     {}

type grpcError struct{ code grpcStatus }

type grpcStatus uint32

func (e grpcError) Error() string           { return "rpc error" }
func (e grpcError) GRPCStatus() *grpcStatus { return &e.code }
func (s *grpcStatus) Code() uint32          { return uint32(*s) }

type awsError struct {
	code   string
	status int
}

func (e *awsError) Error() string        { return "api error " + e.code }
func (e *awsError) ErrorCode() string    { return e.code }
func (e *awsError) ErrorMessage() string { return "no" }
func (e *awsError) HTTPStatusCode() int  { return e.status }

// lookAlike makes the error that a driver would return for a code, nil if there is no
// telling.
func lookAlike(row codeRow, code string) error {
	switch row.pack {
	case "std.sql":
		if n, err := strconv.ParseUint(code, 10, 16); err == nil && len(code) == 4 {
			return &MySQLError{Number: uint16(n), Message: "no"}
		}
		if len(code) == 5 {
			return sqlStateError(code)
		}
	case "std.grpc":
		for n := range 17 {
			if f := engine.FailureOf(grpcError{grpcStatus(n)}, nil); f.Code == code {
				return grpcError{grpcStatus(n)}
			}
		}
	case "std.redis":
		switch code {
		case "MAX_CLIENTS":
			return redisReply("ERR max number of clients reached")
		case "NIL":
			return redisReply("redis: nil")
		case "TX_FAILED":
			return redisReply("redis: transaction failed")
		case "POOL_TIMEOUT":
			return errors.New("redis: connection pool timeout")
		case "CLIENT_CLOSED":
			return errors.New("redis: client is closed")
		}
		return redisReply(code + " something went wrong")
	case "std.aws":
		return &awsError{code: code, status: 400}
	}
	return nil
}

func TestErrorsOfDriversHaveTheirClass(t *testing.T) {
	seen := map[string]int{}
	for _, row := range codeRows {
		p := usingPack(t, row.pack)
		for _, code := range strings.Fields(row.codes) {
			err := lookAlike(row, code)
			if err == nil {
				continue
			}
			seen[row.pack]++
			f := engine.FailureOf(fmt.Errorf("while charging: %w", err), nil)
			if f.Kind != row.kind || f.Code != code {
				t.Errorf("the look-alike of %s %s is %s %s to the engine", row.kind, code, f.Kind, f.Code)
			}
			if got, rule := classOf(p, f); got != row.class {
				t.Errorf("%s: an error with %s is %v by %s, want %v", row.pack, code, got, rule, row.class)
			}
		}
	}
	if want := map[string]int{"std.sql": 98, "std.grpc": 16, "std.redis": 27, "std.aws": 31}; !maps.Equal(seen, want) {
		t.Errorf("%v errors were tried, want %v", seen, want)
	}
}

func TestStatusesDecideWhatCodesOfAWSDoNot(t *testing.T) {
	p := usingPack(t, "std.aws")
	for status := 400; status <= 599; status++ {
		table := map[engine.Class][]int{engine.RateLimit: {429}, engine.Auth: {401}, engine.Permission: {403}}
		want := classOfStatus(table, status, engine.Permanent)
		for _, f := range []*engine.Failure{{Status: status}, {Status: status, Kind: engine.KindAWS, Code: "SomethingElse"}, engine.FailureOf(&awsError{"NoSuchKey", status}, nil)} {
			if got, rule := classOf(p, f); got != want {
				t.Errorf("%d is %v by %s, want %v", status, got, rule, want)
			}
		}
	}
	f := engine.FailureOf(&awsError{"SlowDown", 503}, nil)
	if got, rule := classOf(p, f); got != engine.RateLimit || rule != "std.aws/throttled" {
		t.Errorf("SlowDown with 503 is %v by %s, want its code to decide", got, rule)
	}
}

func TestRepliesOfRedisForTooManyClients(t *testing.T) {
	p := usingPack(t, "std.redis")
	for _, f := range []*engine.Failure{
		engine.FailureOf(redisReply("ERR max number of clients reached"), nil),
		{Kind: engine.KindRedis, Code: "ERR", Message: "ERR max number of clients reached"},
	} {
		if got, rule := classOf(p, f); got != engine.RateLimit {
			t.Errorf("%s is %v by %s", f.Code, got, rule)
		}
	}
}

// refused returns what dialling a port gives on which nobody listens.
func refused(t *testing.T) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = net.Dial("tcp", address)
	if err == nil {
		t.Skip("somebody listens")
	}
	return err
}

// fetched returns what an HTTP client says of a server that answers like this.
func fetched(t *testing.T, secure bool, handler http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	defer server.Close()
	transport := &http.Transport{TLSClientConfig: &tls.Config{}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(server.URL)
	if err == nil {
		_, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	if err == nil {
		t.Fatal("the call succeeds")
	}
	return err
}

// hangUp ends the connection in the middle of an answer.
func hangUp(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		connection, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(buffered, answer)
		buffered.Flush()
		connection.Close()
	}
}

func TestWhatFailsOnTheWayHasItsClass(t *testing.T) {
	certificate := fetched(t, true, func(http.ResponseWriter, *http.Request) {})
	_, malformed := url.Parse(strings.Repeat("http://[::1", 1))
	_, unsupported := http.Get("gopher://localhost/")
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, one := range []struct {
		what  string
		err   error
		class engine.Class
		rule  string
		phase engine.Phase
	}{
		{"connection refused", refused(t), engine.Transient, "refused", engine.NotSent},
		{"network unreachable", dial(syscall.ENETUNREACH), engine.Transient, "unreachable", engine.NotSent},
		{"host unreachable", dial(syscall.EHOSTUNREACH), engine.Transient, "unreachable", engine.NotSent},
		{"reset", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, engine.Transient, "reset", engine.PhaseUnknown},
		{"aborted", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNABORTED}, engine.Transient, "reset", engine.PhaseUnknown},
		{"broken pipe", &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}, engine.Transient, "reset", engine.PhaseUnknown},
		{"a closed connection", fetched(t, false, hangUp("")), engine.Transient, "eof", engine.PhaseUnknown},
		{"unexpected EOF", fetched(t, false, hangUp("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")), engine.Transient, "eof", engine.PhaseUnknown},
		{"DNS temporary", &net.DNSError{IsTemporary: true}, engine.Transient, "dns", engine.NotSent},
		{"DNS timeout", &net.DNSError{IsTimeout: true}, engine.Transient, "dns", engine.NotSent},
		{"DNS no such host", dial(&net.DNSError{IsNotFound: true}), engine.Permanent, "no-such-host", engine.NotSent},
		{"TLS handshake timeout", errors.New("net/http: TLS handshake timeout"), engine.Transient, "tls-timeout", engine.NotSent},
		{"a certificate of nobody", certificate, engine.Permanent, "tls", engine.NotSent},
		{"a TLS alert", tls.AlertError(40), engine.Permanent, "tls", engine.NotSent},
		{"HTTP/2 GOAWAY", errors.New("http2: server sent GOAWAY and closed the connection; LastStreamID=1"), engine.Transient, "http2-refused", engine.PhaseUnknown},
		{"HTTP/2 REFUSED_STREAM", errors.New("http2: Transport: cannot retry err [stream error: stream ID 3; REFUSED_STREAM] after Request.Body was written"), engine.Transient, "http2-refused", engine.NotSent},
		{"a malformed URL", malformed, engine.Permanent, "malformed-url", engine.NotSent},
		{"an unsupported protocol", unsupported, engine.Permanent, "malformed-url", engine.NotSent},
		{"a dial that took too long", dial(context.DeadlineExceeded), engine.Transient, "", engine.NotSent},
		{"an attempt's own timeout", fmt.Errorf("Get: %w", context.DeadlineExceeded), engine.Transient, "", engine.PhaseUnknown},
	} {
		t.Run(one.what, func(t *testing.T) {
			f := engine.FailureOf(one.err, nil)
			if f.Phase != one.phase {
				t.Errorf("the phase is %s, want %s", f.Phase, one.phase)
			}
			for _, pack := range []string{"std.net", "std.http", "std.sql", "std.grpc", "std.redis", "std.aws", "std.nats", "std.amqp", "std.kafka", "std.mqtt"} {
				got, rule := classOf(usingPack(t, pack), f)
				if got != one.class || one.rule != "" && rule != "std.net/"+one.rule {
					t.Errorf("%s: %s %s is %v by %s, want %v by std.net/%s", pack, f.Kind, f.Code, got, rule, one.class, one.rule)
				}
			}
		})
	}
}

func TestAnAttemptsOwnTimeoutIsTransient(t *testing.T) {
	for _, pack := range []string{"std.context", "std.net", "std.http", "std.default", "std.strict"} {
		program := compiled(t, header+"classify:\n  - use: "+pack+"\nretry: {attempt_timeout: 1ms, max_attempts: 1}\n")
		outcome := engine.Execute(t.Context(), program.Build()[0], func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if outcome.Class != engine.Transient || outcome.Reason != engine.MaxAttemptsGlobal {
			t.Errorf("%s: %v by %s, %v", pack, outcome.Class, outcome.Rule, outcome.Reason)
		}
	}
}

// The precedence is that of the original's default classifier: markers, timeouts,
// statuses, hints from names.
func TestPrecedenceInDefaultAndStrict(t *testing.T) {
	const nobody = "none"
	for _, one := range []struct {
		f               engine.Failure
		standard        engine.Class
		rule            string
		strict          engine.Class
		ruleOfTheStrict string
	}{
		{engine.Failure{Marker: engine.Permanent, Timeout: true, Status: 503, Type: "*x.TimeoutError"}, engine.Permanent, "std.marker/permanent", engine.Permanent, "std.marker/permanent"},
		{engine.Failure{Timeout: true, Status: 401, Type: "*x.AuthError"}, engine.Transient, "timeout", engine.Transient, "timeout"},
		{engine.Failure{Status: 401, Type: "*x.TimeoutError"}, engine.Auth, "unauthorized", engine.Auth, "unauthorized"},
		{engine.Failure{Status: 403}, engine.Permission, "forbidden", engine.Permission, "forbidden"},
		{engine.Failure{Status: 400}, engine.Permanent, "client-error", engine.Permanent, "client-error"},
		{engine.Failure{Status: 404}, engine.Permanent, "client-error", engine.Permanent, "client-error"},
		{engine.Failure{Status: 422}, engine.Permanent, "client-error", engine.Permanent, "client-error"},
		{engine.Failure{Status: 409}, engine.Concurrency, "conflict", engine.Concurrency, "conflict"},
		{engine.Failure{Status: 408}, engine.Transient, "request-timeout", engine.Transient, "request-timeout"},
		{engine.Failure{Status: 429, Type: "*x.AuthError"}, engine.RateLimit, "too-many-requests", engine.RateLimit, "too-many-requests"},
		{engine.Failure{Status: 418, Type: "*x.PermissionError"}, engine.Permission, "name-permission", engine.Unknown, nobody},
		{engine.Failure{Type: "*x.AuthError"}, engine.Auth, "name-auth", engine.Unknown, nobody},
		{engine.Failure{Type: "x.UnauthorizedError"}, engine.Auth, "name-auth", engine.Unknown, nobody},
		{engine.Failure{Type: "*aws.CredentialsMissing"}, engine.Auth, "name-auth", engine.Unknown, nobody},
		{engine.Failure{Type: "*x.ForbiddenError"}, engine.Permission, "name-permission", engine.Unknown, nobody},
		{engine.Failure{Type: "*x.PermissionAuthError"}, engine.Auth, "name-auth", engine.Unknown, nobody},
		{engine.Failure{Type: "*x.ForbiddenTimeout"}, engine.Permission, "name-permission", engine.Unknown, nobody},
		{engine.Failure{Type: "*x.TimeoutError"}, engine.Transient, "name-transient", engine.Unknown, nobody},
		{engine.Failure{Type: "*x.CONNECTIONerror"}, engine.Transient, "name-transient", engine.Unknown, nobody},
		{engine.Failure{Type: "*errors.errorString", Message: "authentication timeout"}, engine.Unknown, nobody, engine.Unknown, nobody},
		{engine.Failure{}, engine.Unknown, nobody, engine.Unknown, nobody},
	} {
		for pack, want := range map[string]struct {
			class engine.Class
			rule  string
		}{"std.default": {one.standard, one.rule}, "std.strict": {one.strict, one.ruleOfTheStrict}} {
			if want.rule == nobody {
				want.rule = engine.RuleDefault
			} else if !strings.Contains(want.rule, "/") {
				want.rule = pack + "/" + want.rule
			}
			if got, rule := classOf(usingPack(t, pack), &one.f); got != want.class || rule != want.rule {
				t.Errorf("%s: %+v is %v by %s, want %v by %s", pack, one.f, got, rule, want.class, want.rule)
			}
		}
	}
	for _, pack := range []string{"std.default", "std.strict"} {
		for status := 500; status <= 599; status++ {
			if got, _ := classOf(usingPack(t, pack), &engine.Failure{Status: status}); got != engine.ServerError {
				t.Errorf("%s: %d is %v", pack, status, got)
			}
		}
	}
}

func TestMarkersDecideInEveryPack(t *testing.T) {
	markers := map[engine.Class]func(error) error{
		engine.Auth: engine.MarkAuth, engine.Permission: engine.MarkPermission, engine.Permanent: engine.MarkPermanent, engine.Concurrency: engine.MarkConcurrency,
		engine.RateLimit:   func(err error) error { return engine.MarkRateLimit(err, 3*time.Second) },
		engine.ServerError: engine.MarkServerError, engine.Transient: engine.MarkTransient, engine.Unknown: engine.MarkUnknown,
	}
	for _, pack := range Packs() {
		p := usingPack(t, pack)
		for _, class := range engine.Classes() {
			for _, cause := range []error{errors.New("no"), statusError(401), sqlStateError("40001"), redisReply("OOM no"), context.DeadlineExceeded} {
				e := p.Explain(first(engine.FailureOf(markers[class](cause), nil)), engine.CauseError)
				if e.Class != class || !strings.HasPrefix(e.Rule, "std.marker/") {
					t.Errorf("%s: %v marked %v is %v by %s", pack, cause, class, e.Class, e.Rule)
				}
				if want := class == engine.RateLimit; e.HasRetryAfter != want || want && e.RetryAfter != 3*time.Second {
					t.Errorf("%s: %v marked %v asks to wait %v", pack, cause, class, e.RetryAfter)
				}
			}
		}
	}
}

// Packs are written as users write theirs, and nothing is to be said of them; they
// name their sources.
func TestPacksAreDocumentsOfTheLanguage(t *testing.T) {
	want := []string{"std.amqp", "std.aws", "std.context", "std.default", "std.grpc", "std.http", "std.kafka", "std.marker", "std.mqtt", "std.nats", "std.net", "std.redis", "std.sql", "std.strict"}
	if !slices.Equal(Packs(), want) {
		t.Errorf("the packs are %v, want %v", Packs(), want)
	}
	for _, name := range Packs() {
		text, ok := PackSource(name)
		if !ok {
			t.Fatalf("%s has no text", name)
		}
		own := strings.Replace(string(text), "\nname: std.", "\nname: my.", 1)
		if _, found := compileText(own, Options{}); len(found) > 0 {
			t.Errorf("%s:\n%s", name, said(found))
		}
		if !strings.Contains(string(text), "\ndescription: ") || !strings.Contains(string(text), "\n# ") {
			t.Errorf("%s says neither what it is nor whence it comes", name)
		}
		if name != "std.marker" && !strings.Contains(string(text), "classify:\n  - use: std.marker\n") {
			t.Errorf("%s does not begin with std.marker", name)
		}
	}
	if _, ok := PackSource("std.none"); ok {
		t.Error("there is a pack std.none")
	}
}
