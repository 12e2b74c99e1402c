package engine

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

var discardLog = log.New(io.Discard, "", 0)

// http2Error makes a request whose body cannot be sent twice to a server that speaks
// HTTP/2, takes the request's headers and answers with one frame.
func http2Error(t *testing.T, frame []byte) error {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = discardLog
	s.EnableHTTP2 = true
	s.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, c *tls.Conn, _ http.Handler) { answerHTTP2(c, frame) },
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	// A body of unknown length, which net/http cannot rewind.
	r, err := s.Client().Post(s.URL, "text/plain", io.MultiReader(strings.NewReader("body")))
	if err == nil {
		_ = r.Body.Close()
	}
	return err
}

// answerHTTP2 waits for the end of the first stream and writes one frame, RFC 9113.
func answerHTTP2(c net.Conn, frame []byte) {
	const data, endStream = 0, 1
	if _, err := io.CopyN(io.Discard, c, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	_, _ = c.Write(frameOf(4, 0, nil)) // SETTINGS
	for {
		var head [9]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, c, length); err != nil {
			return
		}
		if head[3] == data && head[4]&endStream != 0 {
			break
		}
	}
	_, _ = c.Write(frame)
	_ = c.(*tls.Conn).CloseWrite()
	_, _ = io.Copy(io.Discard, c)
}

func frameOf(kind byte, stream uint32, payload []byte) []byte {
	f := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, 0}
	f = binary.BigEndian.AppendUint32(f, stream)
	return append(f, payload...)
}

// resetFrame is RST_STREAM for the first stream.
func resetFrame(code uint32) []byte {
	return frameOf(3, 1, binary.BigEndian.AppendUint32(nil, code))
}

// goAwayFrame is GOAWAY: streams above last were not processed.
func goAwayFrame(last, code uint32) []byte {
	return frameOf(7, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code))
}

// handlerPanic has net/http's own HTTP/2 server give up on a request.
func handlerPanic(t *testing.T) error {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return getError(t, s.Client(), s.URL)
}
