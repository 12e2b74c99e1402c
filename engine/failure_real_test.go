package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// what prints what a record says in the form that the tables below use:
// kind, code, phase, and "timeout" if it is one.
func what(f *Failure) string {
	s := fmt.Sprintf("%s %s %s", f.Kind, f.Code, f.Phase)
	if f.Timeout {
		s += " timeout"
	}
	return s
}

type realError struct {
	name string
	err  error
	want string
}

func checkErrors(t *testing.T, rows []realError) {
	t.Helper()
	known := map[string]bool{}
	for _, c := range FailureCodes() {
		known[string(c.Kind)+" "+c.Code] = true
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if row.err == nil {
				t.Fatal("there is no error to look at")
			}
			f := FailureOf(row.err, nil)
			if got := what(f); got != row.want {
				t.Errorf("%T: %v\n got %s\nwant %s", row.err, row.err, got, row.want)
			}
			if !known[string(f.Kind)+" "+f.Code] && !known[string(f.Kind)+" "] && f.Kind != UnknownKind {
				t.Errorf("%s %s is not in FailureCodes", f.Kind, f.Code)
			}
			wrapped := FailureOf(fmt.Errorf("charge card: %w", row.err), nil)
			if got := what(wrapped); got != row.want {
				t.Errorf("wrapped: got %s, want %s", got, row.want)
			}
		})
	}
}

// TestErrorsOfConnections provokes every error on loopback.
func TestErrorsOfConnections(t *testing.T) {
	checkErrors(t, []realError{
		{"refused", dialError(t, closedAddress(t)), "net ECONNREFUSED not_sent"},
		{"refused, through net/http", getError(t, http.DefaultClient, "http://"+closedAddress(t)), "net ECONNREFUSED not_sent"},
		{"refused by a proxy", getError(t, viaProxy(closedAddress(t)), "http://example.test"), "net ECONNREFUSED not_sent"},
		{"reset while reading", resetError(t), "net ECONNRESET unknown"},
		{"read deadline", readError(t, func(c net.Conn) { _ = c.SetReadDeadline(time.Unix(1, 0)) }), "net IO_TIMEOUT unknown timeout"},
		{"read of a closed connection", readError(t, func(c net.Conn) { _ = c.Close() }), "net CONN_CLOSED unknown"},
		{"deadline of a pipe", pipeError(t), "net IO_TIMEOUT unknown timeout"},
		{"dial timeout", dialTimeout(t), "net DIAL_TIMEOUT not_sent timeout"},
		{"dial cancelled", dialCancelled(t), "context CANCELED not_sent"},
		{"no such unix socket", unixError(t), "net ENOENT not_sent"},
		{"address without a port", dialError(t, "127.0.0.1"), "net BAD_ADDRESS not_sent"},
		{"unknown network", networkError(), "net BAD_ADDRESS not_sent"},
	})
}

// TestErrorsOfNameResolution asks a name server on loopback.
func TestErrorsOfNameResolution(t *testing.T) {
	past, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	checkErrors(t, []realError{
		{"name does not exist", lookupError(t, t.Context(), 3), "dns NO_SUCH_HOST not_sent"},
		{"name server fails", lookupError(t, t.Context(), 2), "dns DNS_TEMPORARY not_sent"},
		{"deadline passed", lookupError(t, past, 0), "dns DNS_TIMEOUT not_sent timeout"},
		{"cancelled", lookupError(t, ended, 0), "context CANCELED not_sent"},
		{"another failure", &net.DNSError{Err: "cannot unmarshal DNS message", Name: "x.test"}, "dns DNS_FAILURE not_sent"},
		{"within a dial", &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, "dns NO_SUCH_HOST not_sent"},
	})
}

// TestErrorsOfTLS shakes hands with real servers that are wrong in one way each.
func TestErrorsOfTLS(t *testing.T) {
	quiet := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	plain := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n") })
	checkErrors(t, []realError{
		{"unknown authority", tlsError(t, tlsCase{}), "tls CERTIFICATE not_sent"},
		{"another host's certificate", tlsError(t, tlsCase{trust: true, name: "other.test"}), "tls CERTIFICATE not_sent"},
		{"expired certificate", tlsError(t, tlsCase{trust: true, now: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)}), "tls CERTIFICATE not_sent"},
		{"no common version", tlsError(t, tlsCase{trust: true, min: tls.VersionTLS13, max: tls.VersionTLS12}), "tls TLS_ALERT not_sent"},
		{"client certificate is missing", tlsError(t, tlsCase{trust: true, clientCert: true}), "tls TLS_ALERT not_sent"},
		{"impossible configuration", configError(), "tls TLS_PROTOCOL unknown"},
		{"the server speaks HTTP", getError(t, http.DefaultClient, "https://"+plainServer(t)), "tls NOT_TLS not_sent"},
		{"the server speaks something else", handshakeError(plain), "tls NOT_TLS not_sent"},
		{"the server says nothing", getError(t, &http.Client{Transport: &http.Transport{TLSHandshakeTimeout: time.Millisecond}}, "https://"+quiet), "tls TLS_HANDSHAKE_TIMEOUT not_sent timeout"},
		{"an alert in mid-stream", &net.OpError{Op: "remote error", Err: tls.AlertError(20)}, "tls TLS_ALERT unknown"},
	})
}

// TestErrorsOfHTTP makes requests that break, and servers that do.
func TestErrorsOfHTTP(t *testing.T) {
	waits := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/warm" {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(waits.Close)
	hurried := warmClient(t, waits.URL, &http.Client{Timeout: 20 * time.Millisecond, Transport: &http.Transport{}})
	noHeader := warmClient(t, waits.URL, &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: time.Millisecond}})
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }))
	t.Cleanup(loop.Close)
	checkErrors(t, []realError{
		{"connection closed without an answer", getError(t, http.DefaultClient, "http://"+answers(t, "")), "io EOF unknown"},
		{"body cut short", bodyError(t, answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")), "io UNEXPECTED_EOF unknown"},
		{"chunks cut short", bodyError(t, answers(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")), "io UNEXPECTED_EOF unknown"},
		{"no HTTP at all", getError(t, http.DefaultClient, "http://"+answers(t, "SSH-2.0-x\r\n\r\n")), "http MALFORMED_RESPONSE sent"},
		{"status is no number", getError(t, http.DefaultClient, "http://"+answers(t, "HTTP/1.1 abc OK\r\n\r\n")), "http MALFORMED_RESPONSE sent"},
		{"headers too large", getError(t, &http.Client{Transport: &http.Transport{MaxResponseHeaderBytes: 10}}, "http://"+answers(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 9999)+"\r\n\r\n")), "http MALFORMED_RESPONSE sent"},
		{"redirects in a circle", getError(t, http.DefaultClient, loop.URL), "http TOO_MANY_REDIRECTS sent"},
		{"Client.Timeout", getError(t, hurried, waits.URL), "net CLIENT_TIMEOUT unknown timeout"},
		{"Client.Timeout in the body", bodyTimeout(t), "net CLIENT_TIMEOUT unknown timeout"},
		{"ResponseHeaderTimeout", getError(t, noHeader, waits.URL), "net RESPONSE_HEADER_TIMEOUT unknown timeout"},
		{"cancelled by the caller", cancelledError(t), "context CANCELED unknown"},
		{"unknown scheme", getError(t, http.DefaultClient, "gopher://example.test"), "url UNSUPPORTED_PROTOCOL not_sent"},
		{"no host", getError(t, http.DefaultClient, "http:///path"), "url MALFORMED_URL not_sent"},
		{"no URL", getError(t, http.DefaultClient, "http://[::1"), "url MALFORMED_URL not_sent"},
		{"bad escape", escapeError(), "url MALFORMED_URL not_sent"},
		{"invalid header", headerError(t), "http INVALID_REQUEST not_sent"},
		{"server closed", serverClosed(t), "http SERVER_CLOSED unknown"},
		{"handler timeout", http.ErrHandlerTimeout, "http HANDLER_TIMEOUT unknown timeout"},
		// Races between client and server cannot be provoked at will: the texts are net/http's.
		{"idle connection closed", fetchError(errors.New("http: server closed idle connection")), "net SERVER_CLOSED_IDLE unknown"},
		{"HTTP/2 connection closing", fetchError(errors.New("http2: client conn not usable")), "net HTTP2_CONN_UNUSABLE not_sent"},
		{"body lost on the way", fetchError(errors.New("net/http: cannot rewind body after connection loss")), "net CONNECTION_LOST unknown"},
	})
}

// TestErrorsOfHTTP2 has net/http's client talk to a server that sends one frame.
func TestErrorsOfHTTP2(t *testing.T) {
	const noError, internal, refused, calm = 0, 2, 7, 11
	checkErrors(t, []realError{
		{"stream refused, body gone", http2Error(t, resetFrame(refused)), "net HTTP2_REFUSED_STREAM not_sent"},
		{"stream failed", http2Error(t, resetFrame(internal)), "net HTTP2_INTERNAL_ERROR unknown"},
		{"stream failed by a handler's panic", handlerPanic(t), "net HTTP2_INTERNAL_ERROR unknown"},
		{"connection shut down before the stream", http2Error(t, goAwayFrame(0, noError)), "net HTTP2_GOAWAY not_sent"},
		{"connection shut down at the stream", http2Error(t, goAwayFrame(1, calm)), "net HTTP2_GOAWAY unknown"},
		{"first stream of a connection that is refused", http2Error(t, goAwayFrame(0, calm)), "net HTTP2_GOAWAY not_sent"},
	})
}

// TestErrorsOfDatabaseSQL uses a driver that can do just enough.
func TestErrorsOfDatabaseSQL(t *testing.T) {
	ctx := t.Context()
	closed := sql.OpenDB(connector{})
	_ = closed.Close()
	db := sql.OpenDB(connector{})
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	_ = tx.Rollback()
	bad := sql.OpenDB(connector{err: driver.ErrBadConn})
	t.Cleanup(func() { _ = bad.Close() })
	checkErrors(t, []realError{
		{"database closed", closed.PingContext(ctx), "sql DB_CLOSED not_sent"},
		{"connection given back", conn.PingContext(ctx), "sql CONN_DONE not_sent"},
		{"transaction over", tx.Commit(), "sql TX_DONE unknown"},
		{"bad connection", bad.PingContext(ctx), "sql BAD_CONN not_sent"},
		{"no rows", db.QueryRowContext(ctx, "select").Scan(), "sql NO_ROWS sent"},
	})
}

// TestErrorsOfStreamsFilesAndContexts needs no server.
func TestErrorsOfStreamsFilesAndContexts(t *testing.T) {
	past, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	ended, leave := context.WithCancelCause(t.Context())
	leave(errors.New("the user left"))
	_, short := io.ReadFull(strings.NewReader("ab"), make([]byte, 3))
	_, buffer := io.ReadAtLeast(strings.NewReader("ab"), make([]byte, 1), 2)
	_, missing := os.Open(filepath.Join(t.TempDir(), "missing"))
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	_, after := file.Write([]byte("x"))
	r, w := io.Pipe()
	_ = r.Close()
	_, pipe := w.Write([]byte("x"))
	checkErrors(t, []realError{
		{"end", io.EOF, "io EOF unknown"},
		{"unexpected end", short, "io UNEXPECTED_EOF unknown"},
		{"short buffer", buffer, "io SHORT_BUFFER unknown"},
		{"short write", shortWrite(), "io SHORT_WRITE unknown"},
		{"no progress", noProgress(), "io NO_PROGRESS unknown"},
		{"closed pipe", pipe, "io CLOSED_PIPE unknown"},
		{"closed file", after, "io FILE_CLOSED unknown"},
		{"missing file", missing, "io ENOENT unknown"},
		{"an errno alone", syscall.ECONNRESET, "net ECONNRESET unknown"},
		{"an errno of connect", os.NewSyscallError("connect", syscall.ECONNREFUSED), "net ECONNREFUSED not_sent"},
		{"an errno on a connection", &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.EHOSTUNREACH)}, "net EHOSTUNREACH unknown"},
		{"an errno while dialling", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}, "net ETIMEDOUT not_sent timeout"},
		{"file deadline", os.ErrDeadlineExceeded, "net IO_TIMEOUT unknown timeout"},
		{"deadline of a context", past.Err(), "context DEADLINE_EXCEEDED unknown timeout"},
		{"cancelled context", ended.Err(), "context CANCELED unknown"},
		{"its cause is the user's", context.Cause(ended), "unknown  unknown"},
	})
}

// The rest provokes the errors.

// listen serves every connection with one goroutine until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func dialError(t *testing.T, address string) error {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err == nil {
		_ = c.Close()
	}
	return err
}

func getError(t *testing.T, c *http.Client, address string) error {
	t.Helper()
	r, err := c.Get(address)
	if err == nil {
		_ = r.Body.Close()
	}
	return err
}

func viaProxy(address string) *http.Client {
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: address})}}
}

func resetError(t *testing.T) error {
	t.Helper()
	c, err := net.Dial("tcp", listen(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0)
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

func readError(t *testing.T, before func(net.Conn)) error {
	t.Helper()
	c, err := net.Dial("tcp", listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before(c)
	_, err = c.Read(make([]byte, 1))
	return err
}

func pipeError(t *testing.T) error {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	_ = a.SetDeadline(time.Unix(1, 0))
	_, err := a.Write([]byte("x"))
	return err
}

func dialTimeout(t *testing.T) error {
	t.Helper()
	_, err := (&net.Dialer{Deadline: time.Unix(1, 0)}).Dial("tcp", closedAddress(t))
	return err
}

func dialCancelled(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&net.Dialer{}).DialContext(ctx, "tcp", closedAddress(t))
	return err
}

func unixError(t *testing.T) error {
	t.Helper()
	_, err := net.Dial("unix", filepath.Join(t.TempDir(), "s"))
	return err
}

func networkError() error {
	_, err := net.Dial("carrier-pigeon", "127.0.0.1:1")
	return err
}

// lookupError looks a name up at a name server that answers with rcode alone.
func lookupError(t *testing.T, ctx context.Context, rcode byte) error {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		question := make([]byte, 1024)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			answer := append([]byte(nil), question[:n]...)
			answer[2] |= 0x80 // this is a response
			answer[3] = 0x80 | rcode
			_, _ = server.WriteTo(answer, from)
		}
	}()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	_, err = resolver.LookupHost(ctx, "nowhere.test.")
	return err
}

// A tlsCase is one handshake with an httptest server.
type tlsCase struct {
	trust      bool      // the client trusts the server's authority
	name       string    // whom the client wants to speak to
	now        time.Time // by the client's clock
	min, max   uint16    // the server's lowest version, and the client's highest
	clientCert bool      // the server wants one
}

func tlsError(t *testing.T, c tlsCase) error {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = discardLog
	s.TLS = &tls.Config{MinVersion: c.min}
	if c.clientCert {
		s.TLS.ClientAuth = tls.RequireAnyClientCert
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	conf := &tls.Config{ServerName: c.name, MaxVersion: c.max}
	if c.trust {
		conf = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		conf.ServerName, conf.MaxVersion = c.name, c.max
	}
	if !c.now.IsZero() {
		conf.Time = func() time.Time { return c.now }
	}
	return getError(t, &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}, s.URL)
}

func configError() error {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	return tls.Client(a, &tls.Config{ServerName: "x.test", MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}).Handshake()
}

func plainServer(t *testing.T) (address string) {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func handshakeError(address string) error {
	_, err := tls.Dial("tcp", address, &tls.Config{ServerName: "x.test"})
	return err
}

// answers serves one text for every request.
func answers(t *testing.T, text string) (address string) {
	t.Helper()
	return listen(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, text)
		}
	})
}

func bodyError(t *testing.T, address string) error {
	t.Helper()
	r, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	_, err = io.ReadAll(r.Body)
	return err
}

// endlessBody answers every request with a body that waits for the request's end.
type endlessBody struct{ request *http.Request }

func (endlessBody) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: endlessBody{r}, Request: r}, nil
}

func (b endlessBody) Read([]byte) (int, error) {
	//lint:ignore SA1019 http.Client closes Cancel when it knows that its timeout has passed; the context may end before
	<-b.request.Cancel
	return 0, context.DeadlineExceeded
}

func (endlessBody) Close() error { return nil }

// bodyTimeout: the client's time ends while it reads.
func bodyTimeout(t *testing.T) error {
	t.Helper()
	r, err := (&http.Client{Timeout: time.Millisecond, Transport: endlessBody{}}).Get("http://x.test")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	_, err = io.ReadAll(r.Body)
	return err
}

// warmClient makes a first request, so that the next needs no dial.
func warmClient(t *testing.T, address string, c *http.Client) *http.Client {
	t.Helper()
	patient := &http.Client{Transport: c.Transport}
	if tr := c.Transport.(*http.Transport); tr.ResponseHeaderTimeout > 0 {
		limit := tr.ResponseHeaderTimeout
		tr.ResponseHeaderTimeout = 0
		defer func() { tr.ResponseHeaderTimeout = limit }()
	}
	r, err := patient.Get(address + "/warm")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	t.Cleanup(patient.CloseIdleConnections)
	return c
}

// cancelledError: the caller loses patience when the request has arrived.
func cancelledError(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = r.Body.Close()
	}
	return err
}

func escapeError() error {
	_, err := url.QueryUnescape("%zz")
	return err
}

func headerError(t *testing.T) error {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X", "a\nb")
	r, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = r.Body.Close()
	}
	return err
}

func serverClosed(t *testing.T) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &http.Server{}
	_ = s.Close()
	return s.Serve(l)
}

// fetchError gives err the wrapping that net/http's client gives it.
func fetchError(err error) error {
	return &url.Error{Op: "Get", URL: "http://x.test", Err: err}
}

type writeNothing struct{}

func (writeNothing) Write(p []byte) (int, error) { return 0, nil }

func shortWrite() error {
	_, err := io.Copy(writeNothing{}, strings.NewReader("x"))
	return err
}

type readNothing struct{}

func (readNothing) Read([]byte) (int, error) { return 0, nil }

func noProgress() error {
	_, err := bufio.NewReader(readNothing{}).ReadByte()
	return err
}

// connector is a database driver whose connections can ping, begin and find no rows.
type connector struct{ err error }

func (c connector) Connect(context.Context) (driver.Conn, error) { return sqlConn{}, c.err }
func (c connector) Driver() driver.Driver                        { return nil }

type sqlConn struct{}

func (sqlConn) Prepare(string) (driver.Stmt, error) { return sqlConn{}, nil }
func (sqlConn) Close() error                        { return nil }
func (sqlConn) Begin() (driver.Tx, error)           { return sqlConn{}, nil }
func (sqlConn) Commit() error                       { return nil }
func (sqlConn) Rollback() error                     { return nil }
func (sqlConn) NumInput() int                       { return -1 }
func (sqlConn) Columns() []string                   { return nil }
func (sqlConn) Next([]driver.Value) error           { return io.EOF }

func (sqlConn) Exec([]driver.Value) (driver.Result, error) { return nil, nil }
func (sqlConn) Query([]driver.Value) (driver.Rows, error)  { return sqlConn{}, nil }
