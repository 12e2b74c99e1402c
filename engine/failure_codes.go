package engine

// A FailureCode is one line of the table of what [FailureOf] recognises.
type FailureCode struct {
	Kind    Kind
	Code    string // "" where the dependency chooses the code: Source says how it is spelled
	Phase   Phase  // without better knowledge: see [FailureOf] on what overrules it
	Timeout bool   // the record says timeout
	Source  string // which Go error, or which text of one, it comes from
}

// The codes that FailureOf makes. They are stable: rules are written against them.
const (
	codeNoSuchHost   = "NO_SUCH_HOST"
	codeDNSTimeout   = "DNS_TIMEOUT"
	codeDNSTemporary = "DNS_TEMPORARY"
	codeDNSFailure   = "DNS_FAILURE"

	codeDialTimeout      = "DIAL_TIMEOUT"
	codeIOTimeout        = "IO_TIMEOUT"
	codeNetTimeout       = "TIMEOUT"
	codeConnClosed       = "CONN_CLOSED"
	codeBadAddress       = "BAD_ADDRESS"
	codeHeaderTimeout    = "RESPONSE_HEADER_TIMEOUT"
	codeClientTimeout    = "CLIENT_TIMEOUT"
	codeServerClosedIdle = "SERVER_CLOSED_IDLE"
	codeConnectionLost   = "CONNECTION_LOST"
	codeGoAway           = "HTTP2_GOAWAY"
	codeHTTP2Prefix      = "HTTP2_" // and a name of http2Names
	codeRefusedStream    = "HTTP2_REFUSED_STREAM"
	codeConnUnusable     = "HTTP2_CONN_UNUSABLE"

	codeTLSTimeout  = "TLS_HANDSHAKE_TIMEOUT"
	codeCertificate = "CERTIFICATE"
	codeNotTLS      = "NOT_TLS"
	codeTLSAlert    = "TLS_ALERT"
	codeTLSProtocol = "TLS_PROTOCOL"

	codeMalformedURL        = "MALFORMED_URL"
	codeUnsupportedProtocol = "UNSUPPORTED_PROTOCOL"

	codeInvalidRequest    = "INVALID_REQUEST"
	codeMalformedResponse = "MALFORMED_RESPONSE"
	codeTooManyRedirects  = "TOO_MANY_REDIRECTS"
	codeHandlerTimeout    = "HANDLER_TIMEOUT"
	codeServerClosed      = "SERVER_CLOSED"

	codeEOF           = "EOF"
	codeUnexpectedEOF = "UNEXPECTED_EOF"
	codeClosedPipe    = "CLOSED_PIPE"
	codeShortWrite    = "SHORT_WRITE"
	codeShortBuffer   = "SHORT_BUFFER"
	codeNoProgress    = "NO_PROGRESS"
	codeFileClosed    = "FILE_CLOSED"

	codeDeadlineExceeded = "DEADLINE_EXCEEDED"
	codeCanceled         = "CANCELED"

	codeBadConn  = "BAD_CONN"
	codeConnDone = "CONN_DONE"
	codeTxDone   = "TX_DONE"
	codeNoRows   = "NO_ROWS"
	codeDBClosed = "DB_CLOSED"

	codeInvalidConn    = "INVALID_CONN"
	codeRolledBack     = "ROLLED_BACK"
	codePacketTooLarge = "PACKET_TOO_LARGE"

	codeMaxClients   = "MAX_CLIENTS"
	codeRedisNil     = "NIL"
	codeTxFailed     = "TX_FAILED"
	codePoolTimeout  = "POOL_TIMEOUT"
	codeClientClosed = "CLIENT_CLOSED"
)

// FailureCodes returns the table of what [FailureOf] recognises: for every kind, the
// codes of err.code and the phase and timeout that go with each. It is for
// documentation and for the tests of rules; the caller may change the copy.
//
// A code of kind net or io that is the name of an errno (ECONNREFUSED) is the same
// word on every operating system; Windows' WSAECONNREFUSED is ECONNREFUSED too.
func FailureCodes() []FailureCode {
	all := append([]FailureCode(nil), failureCodes...)
	for _, e := range errnoCodes {
		all = append(all, FailureCode{Kind: e.kind, Code: e.name, Phase: e.phase, Timeout: e.timeout, Source: "syscall." + e.name})
	}
	for i, name := range grpcNames {
		if i > 0 {
			all = append(all, FailureCode{Kind: KindGRPC, Code: name, Phase: grpcPhase(name), Timeout: name == "DEADLINE_EXCEEDED", Source: "GRPCStatus().Code() of an error"})
		}
	}
	for _, name := range http2Names {
		code := codeHTTP2Prefix + name
		all = append(all, FailureCode{Kind: KindNet, Code: code, Phase: http2Phase(code), Source: "HTTP/2 stream or connection error, RFC 9113 section 7"})
	}
	return all
}

var failureCodes = []FailureCode{
	// An answer with a status. The code is empty, unless the error has ErrorCode() string.
	{KindHTTP, "", Sent, false, "HTTPStatusCode() int, StatusCode() int, a field StatusCode or HTTPStatusCode int, or a field Response *http.Response"},
	{KindHTTP, codeInvalidRequest, NotSent, false, `net/http "invalid method", "invalid header", "invalid trailer", "nil Request.Header"`},
	{KindHTTP, codeMalformedResponse, Sent, false, `net/http "malformed HTTP response", "malformed HTTP status code", "server response headers exceeded ..."`},
	{KindHTTP, codeTooManyRedirects, Sent, false, `net/http "stopped after 10 redirects"`},
	{KindHTTP, codeHandlerTimeout, PhaseUnknown, true, "http.ErrHandlerTimeout"},
	{KindHTTP, codeServerClosed, PhaseUnknown, false, "http.ErrServerClosed"},

	// A database answered, or its pool did. 40003, 08xxx, 57P01, 57P02, 57P05 and 25P03 are
	// in phase unknown, 53300 and 57P03 not_sent; so are the MySQL numbers of the same meaning.
	{KindSQL, "", Sent, false, "SQLState() string: the SQLSTATE, five characters (pgx, pq); MySQLError with a field Number uint16: the number in decimal (go-sql-driver)"},
	{KindSQL, codeBadConn, NotSent, false, `driver.ErrBadConn; go-sql-driver "bad connection"`},
	{KindSQL, codeInvalidConn, PhaseUnknown, false, `go-sql-driver ErrInvalidConn, "invalid connection": the connection was lost; MySQL's own clients say 2006 or 2013`},
	{KindSQL, codePacketTooLarge, NotSent, false, `go-sql-driver ErrPktTooLarge, "packet for query is too large"`},
	{KindSQL, codeConnDone, NotSent, false, "sql.ErrConnDone"},
	{KindSQL, codeTxDone, PhaseUnknown, false, `sql.ErrTxDone; pgx.ErrTxClosed, "tx is closed"`},
	{KindSQL, codeConnectionLost, PhaseUnknown, false, `pgconn.ErrConnClosed, "conn closed", whatever its SafeToRetry() says`},
	{KindSQL, codeRolledBack, Sent, false, `pgx.ErrTxCommitRollback, "commit unexpectedly resulted in rollback"`},
	{KindSQL, codeNoRows, Sent, false, "sql.ErrNoRows"},
	{KindSQL, codeDBClosed, NotSent, false, `database/sql "sql: database is closed"; pgxpool "closed pool"`},

	// A Redis error reply: the code is its first word (LOADING, MOVED, WRONGTYPE, ERR, ...).
	{KindRedis, "", Sent, false, "RedisError() (go-redis), redis.Error (redigo): first word of the reply, upper case; not_sent where the reply says that nothing was done"},
	{KindRedis, codeMaxClients, NotSent, false, `reply "ERR max number of clients reached"`},
	{KindRedis, codeRedisNil, Sent, false, `go-redis redis.Nil, "redis: nil"; redigo ErrNil, "redigo: nil returned"`},
	{KindRedis, codeTxFailed, NotSent, false, `go-redis redis.TxFailedErr, "redis: transaction failed"`},
	{KindRedis, codePoolTimeout, NotSent, true, `go-redis "redis: connection pool timeout"`},
	{KindRedis, codeClientClosed, NotSent, false, `go-redis "redis: client is closed"`},

	{KindAWS, "", Sent, false, "ErrorCode() and ErrorMessage() string (smithy.APIError): the code as AWS spells it, ThrottlingException"},

	{KindBroker, "", Sent, false, "records that contrib/redressnats, redressamqp, redresskafka and redressmqtt make: the broker's code (10071, 404), or a word for what the client said (NO_RESPONDERS)"},

	{KindDNS, codeNoSuchHost, NotSent, false, "net.DNSError with IsNotFound"},
	{KindDNS, codeDNSTimeout, NotSent, true, "net.DNSError with IsTimeout"},
	{KindDNS, codeDNSTemporary, NotSent, false, "net.DNSError with IsTemporary"},
	{KindDNS, codeDNSFailure, NotSent, false, "any other net.DNSError"},

	// Connection level. What failed while dialling is not_sent whatever the code.
	{KindNet, "", PhaseUnknown, false, "net.OpError without a code of its own"},
	{KindNet, codeDialTimeout, NotSent, true, `net.OpError of Op "dial" that timed out`},
	{KindNet, codeIOTimeout, PhaseUnknown, true, "net.OpError that timed out, os.ErrDeadlineExceeded"},
	{KindNet, codeNetTimeout, PhaseUnknown, true, "any other net.Error with Timeout()"},
	{KindNet, codeConnClosed, PhaseUnknown, false, `net.ErrClosed, "use of closed network connection"`},
	{KindNet, codeBadAddress, NotSent, false, "net.AddrError, net.ParseError, net.InvalidAddrError, net.UnknownNetworkError"},
	{KindNet, codeHeaderTimeout, PhaseUnknown, true, `net/http "timeout awaiting response headers"`},
	{KindNet, codeClientTimeout, PhaseUnknown, true, `net/http "Client.Timeout exceeded ...", "... while reading body"`},
	{KindNet, codeServerClosedIdle, PhaseUnknown, false, `net/http "http: server closed idle connection"`},
	{KindNet, codeConnectionLost, PhaseUnknown, false, `net/http "cannot rewind body after connection loss", "http2: client connection lost", "... force closed", "http2: client conn is closed"`},
	{KindNet, codeGoAway, PhaseUnknown, false, "HTTP/2 GOAWAY; not_sent where the transport knows that the server ignored the stream"},
	{KindNet, codeConnUnusable, NotSent, false, `"http2: client conn not usable", "... could not be established", "http2: no cached connection was available"`},

	// What failed before the handshake's end is not_sent.
	{KindTLS, codeTLSTimeout, NotSent, true, `net/http "TLS handshake timeout"`},
	{KindTLS, codeCertificate, NotSent, false, "tls.CertificateVerificationError and x509 errors: unknown authority, host name, expired, invalid, system roots"},
	{KindTLS, codeNotTLS, NotSent, false, "tls.RecordHeaderError (unknown where crypto/tls does not say that it was before the handshake), http.ErrSchemeMismatch"},
	{KindTLS, codeTLSAlert, PhaseUnknown, false, "tls.AlertError and alerts in net.OpError; alerts that only a handshake sends are not_sent"},
	{KindTLS, codeTLSProtocol, PhaseUnknown, false, `other errors of crypto/tls, "tls: ..."; tls.ECHRejectionError`},

	{KindURL, codeMalformedURL, NotSent, false, `url.Error of Op "parse", url.EscapeError, url.InvalidHostError, net/http "no Host in request URL"`},
	{KindURL, codeUnsupportedProtocol, NotSent, false, `net/http "unsupported protocol scheme"`},

	{KindIO, codeEOF, PhaseUnknown, false, "io.EOF"},
	{KindIO, codeUnexpectedEOF, PhaseUnknown, false, `io.ErrUnexpectedEOF, "http: unexpected EOF reading trailer"`},
	{KindIO, codeClosedPipe, PhaseUnknown, false, "io.ErrClosedPipe"},
	{KindIO, codeShortWrite, PhaseUnknown, false, "io.ErrShortWrite"},
	{KindIO, codeShortBuffer, PhaseUnknown, false, "io.ErrShortBuffer"},
	{KindIO, codeNoProgress, PhaseUnknown, false, "io.ErrNoProgress"},
	{KindIO, codeFileClosed, PhaseUnknown, false, "os.ErrClosed"},

	{KindContext, codeDeadlineExceeded, PhaseUnknown, true, "context.DeadlineExceeded"},
	{KindContext, codeCanceled, PhaseUnknown, false, "context.Canceled"},

	{KindRedress, "", PhaseUnknown, false, "*Error of an inner call: its stop reason; not_sent if it made no attempt"},
}

// An errnoCode says what the name of an errno stands for. The numbers are in
// failure_errno_*.go, one file for each family of operating systems.
type errnoCode struct {
	name    string
	kind    Kind // outside a net.OpError; within one every errno is of kind net
	phase   Phase
	timeout bool
}

var errnoCodes = []errnoCode{
	{"ECONNREFUSED", KindNet, NotSent, false},
	{"ECONNRESET", KindNet, PhaseUnknown, false},
	{"ECONNABORTED", KindNet, PhaseUnknown, false},
	{"EPIPE", KindNet, PhaseUnknown, false},
	{"ETIMEDOUT", KindNet, PhaseUnknown, true},
	{"ENETUNREACH", KindNet, NotSent, false},
	{"EHOSTUNREACH", KindNet, NotSent, false},
	{"ENETDOWN", KindNet, NotSent, false},
	{"EHOSTDOWN", KindNet, NotSent, false},
	{"ENETRESET", KindNet, PhaseUnknown, false},
	{"EADDRNOTAVAIL", KindNet, NotSent, false},
	{"EADDRINUSE", KindNet, NotSent, false},
	{"EAFNOSUPPORT", KindNet, NotSent, false},
	{"EPROTONOSUPPORT", KindNet, NotSent, false},
	{"ENOTCONN", KindNet, PhaseUnknown, false},
	{"ESHUTDOWN", KindNet, PhaseUnknown, false},
	{"EMSGSIZE", KindNet, PhaseUnknown, false},
	{"ENOBUFS", KindNet, PhaseUnknown, false},
	{"EMFILE", KindIO, PhaseUnknown, false},
	{"ENFILE", KindIO, PhaseUnknown, false},
	{"ENOMEM", KindIO, PhaseUnknown, false},
	{"EINTR", KindIO, PhaseUnknown, false},
	{"EAGAIN", KindIO, PhaseUnknown, true},
	{"EINVAL", KindIO, PhaseUnknown, false},
	{"EBADF", KindIO, PhaseUnknown, false},
	{"EACCES", KindIO, PhaseUnknown, false},
	{"EPERM", KindIO, PhaseUnknown, false},
	{"ENOENT", KindIO, PhaseUnknown, false},
	{"EEXIST", KindIO, PhaseUnknown, false},
	{"EIO", KindIO, PhaseUnknown, false},
	{"EBUSY", KindIO, PhaseUnknown, false},
	{"ENOSPC", KindIO, PhaseUnknown, false},
	{"EROFS", KindIO, PhaseUnknown, false},
}

// grpcNames are the names of the gRPC status codes 0 to 16, as the protocol spells
// them: https://grpc.io/docs/guides/status-codes/.
var grpcNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// grpcPhase: some codes are also made by the client itself, when it cannot know what
// the server saw.
func grpcPhase(name string) Phase {
	switch name {
	case "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE":
		return PhaseUnknown
	}
	return Sent
}

// http2Names are the names of the HTTP/2 error codes 0 to 13, RFC 9113 section 7.
var http2Names = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// http2Phase: a refused stream was not processed at all, RFC 9113 section 8.7.
func http2Phase(code string) Phase {
	if code == codeRefusedStream {
		return NotSent
	}
	return PhaseUnknown
}
