package lsp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits of what a client may send. Larger messages are skipped and refused; a
// larger header ends the session, since nothing says where the next one begins.
const (
	maxMessage = 16 << 20
	maxHeader  = 8 << 10
)

// The error codes of JSON-RPC and LSP.
const (
	codeParseError      = -32700
	codeInvalidRequest  = -32600
	codeMethodNotFound  = -32601
	codeInvalidParams   = -32602
	codeInternalError   = -32603
	codeNotInitialized  = -32002
	codeRequestFailed   = -32803
	codeCancelled       = -32800
	codeContentModified = -32801
)

// An rpcError is the error of a response.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return e.Message }

func failf(code int, format string, args ...any) *rpcError {
	return &rpcError{code, fmt.Sprintf(format, args...)}
}

// A message is a request, a notification or a response, as read.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
	Error   *rpcError       `json:"error"`
}

func (m *message) isRequest() bool { return m.Method != nil && m.ID != nil }

// parseMessage reads one message. With an error comes the id to answer to, if it
// could be read.
func parseMessage(text []byte) (*message, *rpcError) {
	var m message
	if !json.Valid(text) {
		return &m, failf(codeParseError, "the message is not JSON")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return &message{}, failf(codeInvalidRequest, "the message is no JSON-RPC message: %v", err)
	}
	if m.ID != nil {
		id, ok := canonicalID(m.ID)
		if !ok {
			return &message{}, failf(codeInvalidRequest, "the id is neither a whole number nor a text")
		}
		m.ID = id
	}
	if m.Version != "2.0" {
		return &m, failf(codeInvalidRequest, `jsonrpc is "2.0", not %q`, m.Version)
	}
	if m.Method == nil && m.ID == nil {
		return &m, failf(codeInvalidRequest, "the message has neither a method nor an id")
	}
	return &m, nil
}

// canonicalID spells an id in the one way by which ids are compared.
func canonicalID(id json.RawMessage) (json.RawMessage, bool) {
	var text string
	if json.Unmarshal(id, &text) == nil && id[0] == '"' {
		spelled, err := json.Marshal(text)
		return spelled, err == nil
	}
	var number int64
	if json.Unmarshal(id, &number) == nil && id[0] != 'n' {
		return strconv.AppendInt(nil, number, 10), true
	}
	return nil, false
}

// errTooLarge is a message above maxMessage, which has been skipped.
var errTooLarge = fmt.Errorf("the message is larger than %d bytes", maxMessage)

// readMessage reads the bytes of the next message. The error is io.EOF where the
// input ends between two messages.
func readMessage(r *bufio.Reader) ([]byte, error) {
	length, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if length > maxMessage {
		if _, err := io.CopyN(io.Discard, r, length); err != nil {
			return nil, endEarly(err)
		}
		return nil, errTooLarge
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, endEarly(err)
	}
	return text, nil
}

// readHeader reads up to the blank line and returns the Content-Length.
func readHeader(r *bufio.Reader) (int64, error) {
	length, size := int64(-1), 0
	for {
		line, err := readLine(r, maxHeader-size)
		if err == io.EOF && size == 0 && line == "" {
			return 0, io.EOF
		}
		if err != nil {
			return 0, endEarly(err)
		}
		size += len(line) + 2
		if line == "" && length >= 0 {
			return length, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return 0, fmt.Errorf("the header %q is no header; a Content-Length belongs before every message", line)
		}
		if strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil || length < 0 {
				return 0, fmt.Errorf("the Content-Length %q is no length", strings.TrimSpace(value))
			}
		}
	}
}

// readLine reads a line of at most limit bytes, without its end.
func readLine(r *bufio.Reader, limit int) (string, error) {
	var line []byte
	for {
		c, err := r.ReadByte()
		switch {
		case err != nil:
			return string(line), err
		case c == '\n':
			return string(bytes.TrimSuffix(line, []byte("\r"))), nil
		case len(line) >= limit:
			return "", fmt.Errorf("the header is larger than %d bytes", maxHeader)
		}
		line = append(line, c)
	}
}

func endEarly(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("the input ends within a message")
	}
	return err
}

// writeMessage writes one message with its header, in one call of Write.
func writeMessage(w io.Writer, m any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(m); err != nil {
		return err
	}
	body := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	_, err := w.Write(append(fmt.Appendf(nil, "Content-Length: %d\r\n\r\n", len(body)), body...))
	return err
}

// A response answers a request. Result is null, not absent, when there is none.
type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"` // nil is written as null
	Result  any             `json:"result"`
}

type errorResponse struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   *rpcError       `json:"error"`
}

// A call is what the server sends: a notification, or a request if it has an id.
type call struct {
	Version string `json:"jsonrpc"`
	ID      string `json:"id,omitempty"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}
