package redress_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestLanguageServerSpeaksOverStdio starts redress-lint lsp as an editor does: it opens
// a policy with a rule that never decides, mends it, hovers, and leaves.
func TestLanguageServerSpeaksOverStdio(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p.yaml")
	const shadowed = "apiVersion: redress/v1\nkind: Policy\nname: payments-api\nclassify:\n  - {id: server, when: err.status >= 500, class: SERVER_ERROR}\n  - {id: busy, when: err.status == 503, class: RATE_LIMIT}\n"
	if err := os.WriteFile(path, []byte(shadowed), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(buildLint(t), "redress-lint"), "lsp", "--no-config")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	uri := (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
	e := &editor{t: t, in: in, out: bufio.NewReader(out)}
	e.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{},"rootUri":null,"processId":null}}`)
	e.until("capabilities")
	e.send(`{"jsonrpc":"2.0","method":"initialized","params":{}}`)
	text, _ := json.Marshal(shadowed)
	e.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":%q,"languageId":"yaml","version":1,"text":%s}}}`, uri, text))
	if got := e.until("publishDiagnostics"); !strings.Contains(got, `"RD203"`) || !strings.Contains(got, `"line":5,"character":21`) {
		t.Errorf("the shadowed rule is not reported at its place: %s", got)
	}
	mended, _ := json.Marshal(strings.Replace(shadowed, ">= 500", "== 500", 1))
	e.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"textDocument/didChange","params":{"textDocument":{"uri":%q,"version":2},"contentChanges":[{"text":%s}]}}`, uri, mended))
	if got := e.until("publishDiagnostics"); !strings.Contains(got, `"diagnostics":[]`) {
		t.Errorf("the mended policy still has findings: %s", got)
	}
	e.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"textDocument/hover","params":{"textDocument":{"uri":%q},"position":{"line":2,"character":8}}}`, uri))
	if got := e.until(`"id":2`); !strings.Contains(got, "at most 6 attempts") {
		t.Errorf("the policy's name does not tell the envelope: %s", got)
	}
	e.send(`{"jsonrpc":"2.0","id":3,"method":"shutdown"}`)
	e.until(`"id":3`)
	e.send(`{"jsonrpc":"2.0","method":"exit"}`)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// An editor is the client's side of a connection.
type editor struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

func (e *editor) send(message string) {
	e.t.Helper()
	if _, err := fmt.Fprintf(e.in, "Content-Length: %d\r\n\r\n%s", len(message), message); err != nil {
		e.t.Fatal(err)
	}
}

// until reads messages up to the one that holds a text.
func (e *editor) until(text string) string {
	e.t.Helper()
	for {
		length := 0
		for {
			line, err := e.out.ReadString('\n')
			if err != nil {
				e.t.Fatalf("waiting for %s: %v", text, err)
			}
			if line = strings.TrimSpace(line); line == "" {
				break
			}
			if value, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				length, _ = strconv.Atoi(value)
			}
		}
		message := make([]byte, length)
		if _, err := io.ReadFull(e.out, message); err != nil {
			e.t.Fatal(err)
		}
		if strings.Contains(string(message), text) {
			return string(message)
		}
	}
}
