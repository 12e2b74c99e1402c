package redresshttp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A StatusError stands for a response whose status says that it is a failure. Rules see
// its status, headers and Retry-After; an extractor of attributes may look at the rest.
// It is what [Outcome] has as LastErr, and what events carry. The body of its response
// belongs to the caller of the client, and is closed if another attempt follows.
type StatusError struct{ Response *http.Response }

// Error names the status; it says nothing that the server chose.
func (e *StatusError) Error() string {
	return fmt.Sprintf("status %d %s", e.Response.StatusCode, http.StatusText(e.Response.StatusCode))
}

// statusError says whether a response of which classify_result knows nothing is a failure.
func statusError(resp *http.Response) error {
	if resp.StatusCode < 400 {
		return nil
	}
	return &StatusError{resp}
}

// What is read of a response that is given up on, so that its connection can be used
// again. Beyond that a new connection is the cheaper.
const (
	maxKept   = 64 << 10
	keepingIt = 250 * time.Millisecond
)

// suspend reads a response into memory and lets go of its connection. If it is too long,
// or too slow, it is lost, and with it the connection.
func suspend(resp *http.Response) *http.Response {
	if resp == nil || resp.Body == http.NoBody {
		return resp
	}
	body := resp.Body
	resp.Body = lost
	defer closeBody(body)
	if resp.ContentLength > maxKept {
		return resp
	}
	late := time.AfterFunc(keepingIt, func() { closeBody(body) })
	defer late.Stop()
	kept, err := io.ReadAll(io.LimitReader(body, maxKept+1))
	if err == nil && len(kept) <= maxKept {
		resp.Body = io.NopCloser(bytes.NewReader(kept))
	}
	return resp
}

// discard is given the responses that another attempt takes the place of.
func discard(resp *http.Response) {
	if resp != nil {
		closeBody(resp.Body)
	}
}

// lost is the body of a response that was closed before it was read.
var lost io.ReadCloser = lostBody{}

type lostBody struct{}

var errLost = errors.New("redresshttp: the body was not kept")

func (lostBody) Read([]byte) (int, error) { return 0, errLost }
func (lostBody) Close() error             { return nil }

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}
