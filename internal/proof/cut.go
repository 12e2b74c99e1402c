package proof

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// Cut returns an address that leads to a server's, until a client sends word, in upper or
// lower case: then the connection breaks, before the server sees the word or (if forward)
// when it has answered.
func Cut(t testing.TB, address, word string, forward bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { cut(client, address, []byte(word), forward) })
		}
	})
	return l.Addr().String()
}

func cut(client net.Conn, address string, word []byte, forward bool) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	answered := make(chan struct{})
	waiting := make(chan struct{}) // closed once the word has been seen
	go func() {
		defer close(answered)
		for b := make([]byte, 1<<16); ; {
			n, err := server.Read(b)
			select {
			case <-waiting:
				return
			default:
			}
			if err != nil {
				_ = client.Close()
				return
			}
			_, _ = client.Write(b[:n])
		}
	}()
	for b := make([]byte, 1<<16); ; {
		n, err := client.Read(b)
		if err != nil {
			break
		}
		if bytes.Contains(bytes.ToLower(b[:n]), bytes.ToLower(word)) {
			close(waiting)
			if forward {
				_, _ = server.Write(b[:n])
				<-answered
			}
			break
		}
		if _, err := io.Copy(server, bytes.NewReader(b[:n])); err != nil {
			break
		}
	}
	_ = server.Close()
	<-answered
}
