package lsp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/redress-policy/redress/internal/lsp"
)

// A client is an editor: it speaks JSON-RPC over pipes with a server that runs in the
// same bubble of time.
type client struct {
	t      *testing.T
	folder string
	in     *io.PipeWriter
	sent   int

	mu       sync.Mutex
	messages []map[string]any // all that the server has said and nobody has looked at

	done chan struct{}
	code int
	err  error
}

// session runs a test against a server, from initialize to exit, in a bubble. The
// files are written to a folder, and are open in the editor when they are asked for.
func session(t *testing.T, opts lsp.Options, capabilities string, files map[string]string, test func(*client)) {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		c := start(t, t.Context(), folder, opts)
		if fail := c.request("initialize", `{"capabilities": `+capabilities+`}`)["error"]; fail != nil {
			t.Fatalf("initialize: %v", fail)
		}
		c.notify("initialized", `{}`)
		synctest.Wait()
		test(c)
		c.request("shutdown", "null")
		c.notify("exit", "null")
		<-c.done
		if c.code != 0 || c.err != nil {
			t.Errorf("the server ended with %d, %v", c.code, c.err)
		}
	})
}

func start(t *testing.T, ctx context.Context, folder string, opts lsp.Options) *client {
	serverIn, in := io.Pipe()
	out, serverOut := io.Pipe()
	c := &client{t: t, folder: folder, in: in, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.code, c.err = lsp.Serve(ctx, serverIn, serverOut, opts)
		serverOut.Close()
		serverIn.Close()
	}()
	go c.listen(bufio.NewReader(out))
	return c
}

func (c *client) listen(r *bufio.Reader) {
	for {
		length := -1
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			if name != "Content-Length" {
				panic("header " + line)
			}
			length, err = strconv.Atoi(value)
			if err != nil {
				panic(err)
			}
		}
		text := make([]byte, length)
		if _, err := io.ReadFull(r, text); err != nil {
			return
		}
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			panic(err)
		}
		c.mu.Lock()
		c.messages = append(c.messages, m)
		c.mu.Unlock()
	}
}

// raw writes bytes to the server.
func (c *client) raw(text string) {
	if _, err := io.WriteString(c.in, text); err != nil {
		c.t.Errorf("the server does not read any more: %v", err)
	}
}

func (c *client) body(text string) {
	c.raw(fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(text), text))
}

func (c *client) notify(method, params string) {
	c.body(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":%s}`, method, params))
}

// ask sends a request and does not wait for the answer.
func (c *client) ask(method, params string) (id int) {
	c.sent++
	c.body(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, c.sent, method, params))
	return c.sent
}

// request sends a request and returns the answer.
func (c *client) request(method, params string) map[string]any {
	c.t.Helper()
	id := c.ask(method, params)
	synctest.Wait()
	answer := c.answer(id)
	if answer == nil {
		c.t.Fatalf("%s has no answer", method)
	}
	return answer
}

// result returns the result of a request that must succeed.
func (c *client) result(method, params string) any {
	c.t.Helper()
	answer := c.request(method, params)
	if answer["error"] != nil {
		c.t.Fatalf("%s: %v", method, answer["error"])
	}
	return answer["result"]
}

// answer takes the answer to a request, nil if there is none yet.
func (c *client) answer(id int) map[string]any {
	return c.take(func(m map[string]any) bool { return m["id"] == float64(id) && m["method"] == nil })
}

// said takes the params of the next notification or request of that method, nil if there
// is none.
func (c *client) said(method string) map[string]any {
	m := c.take(func(m map[string]any) bool { return m["method"] == method })
	params, _ := m["params"].(map[string]any)
	return params
}

func (c *client) take(is func(map[string]any) bool) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.messages, is)
	if i < 0 {
		return nil
	}
	m := c.messages[i]
	c.messages = slices.Delete(c.messages, i, i+1)
	return m
}

// rest lets the server's clock run until it has checked what has changed.
func (c *client) rest() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func (c *client) uri(name string) string {
	if strings.Contains(name, ":") {
		return name
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(c.folder, name))}).String()
}

func (c *client) open(name, text string) {
	c.notify("textDocument/didOpen", fmt.Sprintf(`{"textDocument":{"uri":%q,"languageId":"yaml","version":1,"text":%s}}`, c.uri(name), quote(text)))
}

// change replaces the whole text.
func (c *client) change(name string, version int, text string) {
	c.edit(name, version, fmt.Sprintf(`{"text":%s}`, quote(text)))
}

func (c *client) edit(name string, version int, changes string) {
	c.notify("textDocument/didChange", fmt.Sprintf(`{"textDocument":{"uri":%q,"version":%d},"contentChanges":[%s]}`, c.uri(name), version, changes))
}

func (c *client) close(name string) { c.notify("textDocument/didClose", c.document(name)) }

func (c *client) document(name string) string {
	return fmt.Sprintf(`{"textDocument":{"uri":%q}}`, c.uri(name))
}

func (c *client) place(name string, line, character int) string {
	return fmt.Sprintf(`{"textDocument":{"uri":%q},"position":{"line":%d,"character":%d}}`, c.uri(name), line, character)
}

// findings takes what has been published since the last time, a line for each finding
// and one for each file that has none any more, in order.
func (c *client) findings() []string {
	var lines []string
	for params := c.said("textDocument/publishDiagnostics"); params != nil; params = c.said("textDocument/publishDiagnostics") {
		name := strings.TrimPrefix(params["uri"].(string), c.uri("")+"/")
		if version, ok := params["version"]; ok {
			name += fmt.Sprintf(" v%v", version)
		}
		list := params["diagnostics"].([]any)
		if len(list) == 0 {
			lines = append(lines, name+" is clean")
		}
		for _, d := range list {
			d := d.(map[string]any)
			lines = append(lines, fmt.Sprintf("%s %s %v %s", name, spanOf(d["range"]), d["code"], d["message"]))
		}
	}
	return lines
}

func spanOf(v any) string {
	r := v.(map[string]any)
	place := func(v any) string {
		p := v.(map[string]any)
		return fmt.Sprintf("%v:%v", p["line"], p["character"])
	}
	return place(r["start"]) + "-" + place(r["end"])
}

func quote(text string) string {
	spelled, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(spelled)
}

// cursor takes the | off a text and returns its line and character, in UTF-16.
func cursor(t *testing.T, text string) (string, int, int) {
	t.Helper()
	before, after, ok := strings.Cut(text, "‸")
	if !ok {
		t.Fatalf("no ‸ in %q", text)
	}
	line := strings.Count(before, "\n")
	last := before[strings.LastIndexByte(before, '\n')+1:]
	character := 0
	for _, r := range last {
		character++
		if r > 0xffff {
			character++
		}
	}
	return before + after, line, character
}

func expectLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got\n  %s\n want\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func utf16Of(text string) []uint16 { return utf16.Encode([]rune(text)) }
func textOf(units []uint16) string { return string(utf16.Decode(units)) }

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// write changes a file on disk.
func (c *client) write(name, text string) {
	if err := os.WriteFile(filepath.Join(c.folder, name), []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}
