package engine

import (
	"reflect"
	"strings"
	"sync"
)

// Errors of the standard library that have no exported type or value are known by
// their text, and only where the type is one of those below: nobody else's error is
// taken for one of these by its words.

// speaksForItself reports whether an error of type t is made by errors.New or
// fmt.Errorf, or belongs to a package whose texts are known here.
func speaksForItself(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.PkgPath() {
	case "errors", "fmt", "net/http", "crypto/tls", "net/http/internal/http2", "golang.org/x/net/http2":
		return true
	}
	return false
}

// A wording is a text of the standard library and what it means. Of before, inside
// and after, those that are not empty must be found at the start, anywhere, and at
// the end.
type wording struct {
	before, inside, after string
	finding
}

func (w *wording) fits(text string) bool {
	return strings.HasPrefix(text, w.before) && strings.Contains(text, w.inside) && strings.HasSuffix(text, w.after)
}

// The texts of Go 1.26, the first that fits counts.
var wordings = [...]wording{
	{before: "net/http: TLS handshake timeout", finding: finding{kind: KindTLS, code: codeTLSTimeout, phase: NotSent, timeout: true, rank: rankPath}},
	{before: "net/http: timeout awaiting response headers", finding: finding{kind: KindNet, code: codeHeaderTimeout, timeout: true, rank: rankPath}},
	{before: "http2: timeout awaiting response headers", finding: finding{kind: KindNet, code: codeHeaderTimeout, timeout: true, rank: rankPath}},
	{before: "dial ", after: "(Client.Timeout exceeded while awaiting headers)", finding: finding{kind: KindNet, code: codeClientTimeout, phase: NotSent, timeout: true, rank: rankPath}},
	{after: "(Client.Timeout exceeded while awaiting headers)", finding: finding{kind: KindNet, code: codeClientTimeout, timeout: true, rank: rankPath}},
	{after: "(Client.Timeout or context cancellation while reading body)", finding: finding{kind: KindNet, code: codeClientTimeout, timeout: true, rank: rankPath}},
	{before: "net/http: request canceled while waiting for connection", finding: finding{kind: KindContext, code: codeCanceled, phase: NotSent, rank: rankEnded}},
	{before: "net/http: request canceled", finding: finding{kind: KindContext, code: codeCanceled, rank: rankEnded}},
	{before: "http: server closed idle connection", finding: finding{kind: KindNet, code: codeServerClosedIdle, rank: rankPath}},
	{before: "net/http: cannot rewind body after connection loss", finding: finding{kind: KindNet, code: codeConnectionLost, rank: rankPath}},
	{before: "http: unexpected EOF reading trailer", finding: finding{kind: KindIO, code: codeUnexpectedEOF, rank: rankEnded}},

	// What a transport would have tried again, had it had the body: not processed.
	{before: "http2: Transport: cannot retry err [", inside: "REFUSED_STREAM", finding: finding{kind: KindNet, code: codeRefusedStream, phase: NotSent, rank: rankPath}},
	{before: "http2: Transport: cannot retry err [", inside: "GOAWAY", finding: finding{kind: KindNet, code: codeGoAway, phase: NotSent, rank: rankPath}},
	// net/http takes a reset with PROTOCOL_ERROR for a connection gone bad; that the
	// server ignored the stream is not sure.
	{before: "http2: Transport: cannot retry err [", inside: "PROTOCOL_ERROR", finding: finding{kind: KindNet, code: "HTTP2_PROTOCOL_ERROR", rank: rankPath}},
	{before: "http2: Transport: cannot retry err [", finding: finding{kind: KindNet, code: codeConnUnusable, phase: NotSent, rank: rankPath}},
	// Told to streams above the last one that the server took, RFC 9113 section 6.8.
	{before: "http2: Transport received", inside: "GOAWAY", finding: finding{kind: KindNet, code: codeGoAway, phase: NotSent, rank: rankPath}},
	{before: "http2: server sent GOAWAY and closed the connection", finding: finding{kind: KindNet, code: codeGoAway, rank: rankPath}},
	{before: "http2: client conn not usable", finding: finding{kind: KindNet, code: codeConnUnusable, phase: NotSent, rank: rankPath}},
	{before: "http2: client conn could not be established", finding: finding{kind: KindNet, code: codeConnUnusable, phase: NotSent, rank: rankPath}},
	{before: "http2: client conn is closed", finding: finding{kind: KindNet, code: codeConnectionLost, rank: rankPath}}, // also in the middle of a body
	{before: "http2: client connection ", finding: finding{kind: KindNet, code: codeConnectionLost, rank: rankPath}},    // lost, force closed
	{before: "http2: no cached connection was available", finding: finding{kind: KindNet, code: codeConnUnusable, phase: NotSent, rank: rankPath}},

	{before: "unsupported protocol scheme", finding: finding{kind: KindURL, code: codeUnsupportedProtocol, phase: NotSent, rank: rankPath}},
	{before: "http2: unsupported scheme", finding: finding{kind: KindURL, code: codeUnsupportedProtocol, phase: NotSent, rank: rankPath}},
	{before: "http: no Host in request URL", finding: finding{kind: KindURL, code: codeMalformedURL, phase: NotSent, rank: rankPath}},
	{before: "http: nil Request.URL", finding: finding{kind: KindURL, code: codeMalformedURL, phase: NotSent, rank: rankPath}},
	{before: "http: nil Request.Header", finding: finding{kind: KindHTTP, code: codeInvalidRequest, phase: NotSent, rank: rankPath}},
	{before: "net/http: invalid ", finding: finding{kind: KindHTTP, code: codeInvalidRequest, phase: NotSent, rank: rankPath}},
	{before: "malformed HTTP ", finding: finding{kind: KindHTTP, code: codeMalformedResponse, phase: Sent, rank: rankPath}},
	{before: "net/http: HTTP/1.x transport connection broken: malformed ", finding: finding{kind: KindHTTP, code: codeMalformedResponse, phase: Sent, rank: rankPath}},
	{before: "net/http: server response headers exceeded", finding: finding{kind: KindHTTP, code: codeMalformedResponse, phase: Sent, rank: rankPath}},
	{before: "stopped after ", after: " redirects", finding: finding{kind: KindHTTP, code: codeTooManyRedirects, phase: Sent, rank: rankPath}},

	{before: "sql: database is closed", finding: finding{kind: KindSQL, code: codeDBClosed, phase: NotSent, rank: rankCoded}},
	{before: "closed pool", after: "closed pool", finding: finding{kind: KindSQL, code: codeDBClosed, phase: NotSent, rank: rankCoded}},
	{before: connClosed, after: connClosed, finding: finding{kind: KindSQL, code: codeConnectionLost, rank: rankPath}},
	{before: "tx is closed", after: "tx is closed", finding: finding{kind: KindSQL, code: codeTxDone, rank: rankCoded}},
	{before: "commit unexpectedly resulted in rollback", finding: finding{kind: KindSQL, code: codeRolledBack, phase: Sent, rank: rankCoded}},
	{before: "bad connection", after: "bad connection", finding: finding{kind: KindSQL, code: codeBadConn, phase: NotSent, rank: rankCoded}},
	{before: "invalid connection", after: "invalid connection", finding: finding{kind: KindSQL, code: codeInvalidConn, rank: rankPath}},
	{before: "packet for query is too large", finding: finding{kind: KindSQL, code: codePacketTooLarge, phase: NotSent, rank: rankCoded}},
	{before: "redis: connection pool timeout", finding: finding{kind: KindRedis, code: codePoolTimeout, phase: NotSent, timeout: true, rank: rankCoded}},
	{before: "redis: client is closed", finding: finding{kind: KindRedis, code: codeClientClosed, phase: NotSent, rank: rankCoded}},
	{before: "redigo: nil returned", finding: finding{kind: KindRedis, code: codeRedisNil, phase: Sent, rank: rankCoded}},

	{before: "tls: ", finding: finding{kind: KindTLS, code: codeTLSProtocol, rank: rankWeak}},
	{before: "x509: ", finding: finding{kind: KindTLS, code: codeCertificate, phase: NotSent, rank: rankWeak}},
}

// recogniseText knows errors by their words.
func recogniseText(err error) finding {
	if !shapeOf(err).texts {
		return finding{}
	}
	text := err.Error()
	if text == "" {
		return finding{}
	}
	for _, i := range wordingsFor()[text[0]] {
		if w := &wordings[i]; w.fits(text) {
			return w.finding
		}
	}
	return finding{}
}

// wordingsFor lists, in order, the wordings that a text with a certain first byte may fit.
var wordingsFor = sync.OnceValue(func() *[256][]uint8 {
	lists := new([256][]uint8)
	for b := range lists {
		for i, w := range wordings {
			if w.before == "" || w.before[0] == byte(b) {
				lists[b] = append(lists[b], uint8(i))
			}
		}
	}
	return lists
})
