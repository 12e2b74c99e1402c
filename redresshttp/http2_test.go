package redresshttp_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/proof"
)

// Frames of HTTP/2, RFC 9113 section 6.
const (
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
	frameGoAway   = 7

	endStream, endHeaders = 1, 4

	noError, internalError, refusedStream = 0, 2, 7
)

func frame(kind, flags byte, stream uint32, payload ...byte) []byte {
	f := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(f, stream), payload...)
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// http2Server is a server without TLS that answers each stream, when the request has
// ended, with the frames that answer returns for it; streams are numbered 0, 1, … over
// all connections. GOAWAY ends the connection, and so do no frames.
func http2Server(t testing.TB, answer func(n int, stream uint32) []byte) (address string, base *http.Transport) {
	streams := make(chan int, 1)
	streams <- 0
	address, base, _ = faulty(t, func(c net.Conn) {
		if _, err := io.CopyN(io.Discard, c, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		_, _ = c.Write(frame(frameSettings, 0, 0))
		for {
			var head [9]byte
			if _, err := io.ReadFull(c, head[:]); err != nil {
				return
			}
			length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
			if _, err := io.CopyN(io.Discard, c, length); err != nil {
				return
			}
			if kind := head[3]; kind > frameHeaders || head[4]&endStream == 0 {
				continue
			}
			n := <-streams
			streams <- n + 1
			frames := answer(n, binary.BigEndian.Uint32(head[5:]))
			if _, err := c.Write(frames); err != nil || frames == nil || frames[3] == frameGoAway {
				return
			}
		}
	})
	base.Protocols = new(http.Protocols)
	base.Protocols.SetUnencryptedHTTP2(true)
	return address, base
}

// ok is a response of status 200 without a body; 0x88 is the header in the static table of
// RFC 7541.
func ok(stream uint32) []byte { return frame(frameHeaders, endHeaders|endStream, stream, 0x88) }

func refuse(stream uint32) []byte { return frame(frameReset, 0, stream, number(refusedStream)...) }

// goAway says that no stream of the connection was processed.
func goAway(uint32) []byte { return frame(frameGoAway, 0, 0, append(number(0), number(noError)...)...) }

func TestWhatAnHTTP2ServerDidNotProcessIsSentAgain(t *testing.T) {
	for name, first := range map[string]func(uint32) []byte{"REFUSED_STREAM": refuse, "GOAWAY": goAway} {
		for _, body := range []struct {
			name  string
			build func() io.Reader
		}{
			{"no body", func() io.Reader { return nil }},
			{"a body that net/http can rewind", func() io.Reader { return strings.NewReader("hello") }},
			{"a body that net/http cannot rewind", func() io.Reader { return newBody("hello") }},
		} {
			for _, method := range []string{"GET", "POST"} {
				t.Run(name+", "+method+", "+body.name, func(t *testing.T) {
					address, base := http2Server(t, func(n int, stream uint32) []byte {
						if n == 0 {
							return first(stream)
						}
						return ok(stream)
					})
					resp, err := client(base, policy(t)).Do(request(t, method, address, body.build()))
					if err != nil {
						t.Fatal(err)
					}
					_ = text(t, resp)
					equal(t, "status", resp.StatusCode, 200)
					equal(t, "protocol", resp.Proto, "HTTP/2.0")
				})
			}
		}
	}
}

func TestWhatAnHTTP2ServerMayHaveProcessedIsNot(t *testing.T) {
	for name, first := range map[string]func(uint32) []byte{
		"INTERNAL_ERROR":    func(stream uint32) []byte { return frame(frameReset, 0, stream, number(internalError)...) },
		"a lost connection": func(uint32) []byte { return nil },
		"GOAWAY, after the stream was taken": func(stream uint32) []byte {
			return frame(frameGoAway, 0, 0, append(number(stream), number(internalError)...)...)
		},
	} {
		for method, attempts := range map[string]int{"PUT": 2, "POST": 1} {
			t.Run(name+", "+method, func(t *testing.T) {
				address, base := http2Server(t, func(n int, stream uint32) []byte {
					if n == 0 {
						return first(stream)
					}
					return ok(stream)
				})
				resp, err := client(base, policy(t)).Do(request(t, method, address, strings.NewReader("hello")))
				o := outcome(t, resp, err)
				equal(t, "attempts", o.Attempts, attempts)
				if err == nil {
					_ = text(t, resp)
					return
				}
				equal(t, "reason", o.Reason, redress.ReasonNotIdempotent)
				equal(t, "phase", engine.FailureOf(o.Err, nil).Phase, engine.Sent)
			})
		}
	}
}

func TestRealFailuresOfHTTP2AreClassified(t *testing.T) {
	table := proof.New(t, "HTTP/2 server, net/http", "std.http")
	for _, row := range []struct {
		what  string
		first func(uint32) []byte
	}{
		{"it answers with RST_STREAM, REFUSED_STREAM", refuse},
		{"it answers with RST_STREAM, INTERNAL_ERROR", func(stream uint32) []byte { return frame(frameReset, 0, stream, number(internalError)...) }},
		{"it answers with GOAWAY and has not taken the request", goAway},
	} {
		address, base := http2Server(t, func(_ int, stream uint32) []byte { return row.first(stream) })
		_, err := client(base, policy(t, "retry: {max_attempts: 1}")).Do(request(t, "POST", address, newBody("hello")))
		table.Check(t, row.what, failure(t, err).Err, redress.ClassTransient)
	}
}
