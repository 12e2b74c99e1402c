// Package lsp is the language server for policy files: it tells an editor what is
// wrong with the set that is being written, completes keys, names and expressions,
// explains what stands under the cursor, and offers the fixes that findings bring.
// It speaks the part of LSP 3.17 that this needs, over any reader and writer.
//
// One goroutine owns all state and handles messages in their order. Checks of sets,
// envelopes and formatting, which may take a while, run beside it on immutable
// sources; their results come back through channels, so there is no lock but that of the list of
// open requests.
package lsp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// Options say what the server knows beside the language.
type Options struct {
	// Version is told to the client.
	Version string
	// Check says what is wrong with a set; nil means what loading it says. Findings
	// whose ranges stand in sources of other names, or in none, are
	// shown at the beginning of the first.
	Check func(sources []*dsl.Source) dsl.Diagnostics
	// Excludes reports whether a file is not looked at; nil means that all are.
	Excludes func(name string) bool
	// Envelope says in Markdown what a policy does at most; it is shown where the
	// pointer rests on the policy's name. It may be nil, and may return "".
	Envelope func(sources []*dsl.Source, policy string) string
	// Format puts a file into canonical form. Formatting is offered when it is set.
	Format func(name string, text []byte) ([]byte, error)
}

// Serve answers until the client says exit, the input ends or ctx does. The exit code
// is that of LSP: 0 after shutdown, else 1. The error says that the input could not be
// understood any more or the output not be written; the end of either of the three is
// none.
//
// Check, and Envelope or Format, are called one at a time. A panic in them is
// reported to the client, and the server goes on. Serve returns after those have that
// are under way. If ctx ended first, the goroutine that reads in ends when its Read
// returns; close in to make sure.
func Serve(ctx context.Context, in io.Reader, out io.Writer, opts Options) (exitCode int, err error) {
	return newServer(out, opts).run(ctx, in)
}

func newServer(out io.Writer, opts Options) *server {
	if opts.Check == nil {
		opts.Check = func(sources []*dsl.Source) dsl.Diagnostics {
			return load.Sources(sources, interp.Options{Now: time.Now()}).Diagnostics
		}
	}
	if opts.Excludes == nil {
		opts.Excludes = func(string) bool { return false }
	}
	s := &server{
		opts: opts, out: out, enc: utf16Units,
		buffers:  map[string]*buffer{},
		outlines: map[*dsl.Source]*outline{},
		pending:  pending{calls: map[string]context.CancelFunc{}},
		checked:  make(chan checkResult, 1),
		answered: make(chan job, 1),
		timer:    time.NewTimer(time.Hour),
		ctx:      context.Background(),
	}
	s.timer.Stop()
	return s
}

type server struct {
	opts     Options
	out      io.Writer
	writeErr error
	phase    phase
	enc      encoding
	client   initializeParams
	sent     int // requests to the client

	buffers  map[string]*buffer // by URI
	sets     []*set
	outlines map[*dsl.Source]*outline

	pending    pending
	background sync.WaitGroup

	timer   *time.Timer // until the next check is due
	running bool        // a check is
	checked chan checkResult

	jobs     []job // the first is running
	answered chan job
	ctx      context.Context
}

// A phase is how far the session is.
type phase int

const (
	uninitialized phase = iota
	initialized
	shutDown
)

// An incoming is what the reader hands over: a message, one that was refused, or the
// end of the input.
type incoming struct {
	*message
	ctx     context.Context // of a request
	refused *rpcError
	end     error
}

func (s *server) run(ctx context.Context, in io.Reader) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	s.ctx = ctx
	messages, stop := make(chan incoming), make(chan struct{})
	defer func() {
		cancel()
		close(stop)
		s.timer.Stop()
		s.background.Wait()
	}()
	go s.read(in, messages, stop)
	for s.writeErr == nil {
		select {
		case <-ctx.Done():
			return s.exitCode(), nil
		case next := <-messages:
			switch {
			case next.end == io.EOF:
				return s.exitCode(), nil
			case next.end != nil:
				return 1, next.end
			case next.refused != nil:
				s.respond(next.ID, nil, next.refused)
			case next.Method == nil:
				s.response(next.message)
			case next.ID != nil:
				s.request(next)
			case *next.Method == "exit":
				return s.exitCode(), nil
			default:
				s.notification(*next.Method, next.Params)
			}
		case <-s.timer.C:
			s.startCheck()
		case result := <-s.checked:
			s.finishCheck(result)
		case done := <-s.answered:
			s.finishJob(done)
		}
	}
	return 1, s.writeErr
}

func (s *server) exitCode() int {
	if s.phase == shutDown {
		return 0
	}
	return 1
}

// read hands over messages until the input ends, the client says exit or stop closes.
// A cancellation ends the context of its request at once.
func (s *server) read(in io.Reader, messages chan<- incoming, stop <-chan struct{}) {
	r := bufio.NewReader(in)
	for {
		next := s.next(r)
		select {
		case messages <- next:
		case <-stop:
			return
		}
		if next.end != nil || next.Method != nil && *next.Method == "exit" && next.ID == nil {
			return
		}
	}
}

func (s *server) next(r *bufio.Reader) incoming {
	text, err := readMessage(r)
	if err == errTooLarge {
		return incoming{message: &message{}, refused: failf(codeInvalidRequest, "%v", err)}
	}
	if err != nil {
		return incoming{message: &message{}, end: err}
	}
	next := incoming{}
	if next.message, next.refused = parseMessage(text); next.refused != nil {
		return next
	}
	if next.isRequest() {
		next.ctx, next.refused = s.pending.begin(s.ctx, next.ID)
	} else if next.Method != nil && *next.Method == "$/cancelRequest" {
		var params cancelParams
		if json.Unmarshal(next.Params, &params) == nil {
			s.pending.cancel(params.ID)
		}
	}
	return next
}

// pending is the requests that have no answer yet.
type pending struct {
	mu    sync.Mutex
	calls map[string]context.CancelFunc
}

func (p *pending) begin(ctx context.Context, id json.RawMessage) (context.Context, *rpcError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls[string(id)] != nil {
		return nil, failf(codeInvalidRequest, "the request %s has no answer yet, and its id cannot be used again", id)
	}
	ctx, p.calls[string(id)] = context.WithCancel(ctx)
	return ctx, nil
}

func (p *pending) cancel(id json.RawMessage) {
	spelled, ok := canonicalID(id)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if cancel := p.calls[string(spelled)]; cancel != nil {
		cancel()
	}
}

func (p *pending) end(id json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cancel := p.calls[string(id)]; cancel != nil {
		cancel()
		delete(p.calls, string(id))
	}
}

// request answers a request, now or by a job.
func (s *server) request(r incoming) {
	handler, known := requests[*r.Method]
	var fail *rpcError
	switch {
	case r.ctx.Err() != nil:
		fail = cancelled()
	case s.phase == uninitialized && *r.Method != "initialize":
		fail = failf(codeNotInitialized, "initialize comes first")
	case s.phase == shutDown:
		fail = failf(codeInvalidRequest, "after shutdown there is only exit")
	case !known || *r.Method == "textDocument/formatting" && s.opts.Format == nil:
		fail = failf(codeMethodNotFound, "the method %q is not known", shorten(*r.Method))
	}
	if fail != nil {
		s.respond(r.ID, nil, fail)
		return
	}
	result, fail := s.answer(handler, r)
	if later, ok := result.(job); ok && fail == nil {
		later.id, later.ctx = r.ID, r.ctx
		s.queue(later)
		return
	}
	s.respond(r.ID, result, fail)
}

func cancelled() *rpcError { return failf(codeCancelled, "the request was cancelled") }

// A handler answers a request. Its result may be a job, which makes the answer.
type handler func(s *server, params json.RawMessage) (any, *rpcError)

func (s *server) answer(h handler, r incoming) (result any, fail *rpcError) {
	defer func() {
		if p := recover(); p != nil {
			result, fail = nil, failf(codeInternalError, "%s: panic: %v", *r.Method, p)
		}
	}()
	return h(s, r.Params)
}

var requests = map[string]handler{
	"initialize":                  typed((*server).initialize),
	"shutdown":                    func(s *server, _ json.RawMessage) (any, *rpcError) { s.phase = shutDown; return nil, nil },
	"textDocument/completion":     typed((*server).completion),
	"textDocument/hover":          typed((*server).hover),
	"textDocument/definition":     typed((*server).definition),
	"textDocument/documentSymbol": typed((*server).documentSymbol),
	"textDocument/codeAction":     typed((*server).codeAction),
	"textDocument/formatting":     typed((*server).formatting),
}

// typed makes a handler of a method that takes its params decoded.
func typed[T any](method func(*server, *T) (any, *rpcError)) handler {
	return func(s *server, raw json.RawMessage) (any, *rpcError) {
		params := new(T)
		if err := decode(raw, params); err != nil {
			return nil, err
		}
		return method(s, params)
	}
}

func decode(raw json.RawMessage, params any) *rpcError {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return failf(codeInvalidParams, "there are no params")
	}
	if err := json.Unmarshal(raw, params); err != nil {
		return failf(codeInvalidParams, "the params are not those of the method: %v", err)
	}
	return nil
}

// notification handles a notification. Those that are not known are passed over, as
// LSP asks; what is wrong with others is logged, since nobody waits for an answer.
func (s *server) notification(method string, params json.RawMessage) {
	if s.phase != initialized {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.log("%s: panic: %v", method, p)
		}
	}()
	handle, known := notifications[method]
	if !known {
		return
	}
	if err := handle(s, params); err != nil {
		s.log("%s: %v", method, err)
	}
}

var notifications = map[string]func(*server, json.RawMessage) error{
	"initialized":                     func(s *server, _ json.RawMessage) error { s.watchFiles(); return nil },
	"$/cancelRequest":                 told((*server).cancelJob),
	"textDocument/didOpen":            told((*server).didOpen),
	"textDocument/didChange":          told((*server).didChange),
	"textDocument/didClose":           told((*server).didClose),
	"textDocument/didSave":            told((*server).didSave),
	"workspace/didChangeWatchedFiles": told((*server).didChangeWatchedFiles),
}

func told[T any](method func(*server, *T) error) func(*server, json.RawMessage) error {
	return func(s *server, raw json.RawMessage) error {
		params := new(T)
		if err := decode(raw, params); err != nil {
			return err
		}
		return method(s, params)
	}
}

// response takes the answer to a request of the server. There is only the wish to be
// told of files, which a client may refuse.
func (s *server) response(m *message) {
	if m.Error != nil {
		s.log("the client answered: %s", m.Error.Message)
	}
}

func (s *server) respond(id json.RawMessage, result any, fail *rpcError) {
	s.pending.end(id)
	if fail != nil {
		s.write(errorResponse{"2.0", id, fail})
		return
	}
	s.write(response{"2.0", id, result})
}

func (s *server) notify(method string, params any) {
	s.write(call{Version: "2.0", Method: method, Params: params})
}

func (s *server) log(format string, args ...any) {
	s.notify("window/logMessage", messageParams{warningMessage, fmt.Sprintf(format, args...)})
}

func (s *server) write(m any) {
	if s.writeErr == nil {
		s.writeErr = writeMessage(s.out, m)
	}
}

// A job is an answer that takes a while. Jobs run one after the other.
type job struct {
	id   json.RawMessage
	ctx  context.Context
	work func() (any, *rpcError)
	of   *buffer // whose text the answer needs to be of, nil if that does not matter

	source *dsl.Source // of the buffer, when the job was queued
	result any
	fail   *rpcError
}

func (s *server) queue(j job) {
	if j.of != nil {
		j.source = j.of.source
	}
	s.jobs = append(s.jobs, j)
	if len(s.jobs) == 1 {
		s.startJob()
	}
}

func (s *server) startJob() {
	j := s.jobs[0]
	s.background.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				j.result, j.fail = nil, failf(codeInternalError, "panic: %v", p)
			}
			s.answered <- j
		}()
		j.result, j.fail = j.work()
	})
}

func (s *server) finishJob(done job) {
	if done.fail == nil && done.of != nil && (s.buffers[done.of.uri] != done.of || done.of.source != done.source) {
		done.fail = failf(codeContentModified, "the text has changed meanwhile")
	}
	if s.jobs[0].work != nil { // not cancelled meanwhile
		s.respond(done.id, done.result, done.fail)
	}
	s.jobs = s.jobs[1:]
	if len(s.jobs) > 0 {
		s.startJob()
	}
}

// cancelJob answers a request whose job runs or waits. What runs goes on, unheard.
func (s *server) cancelJob(params *cancelParams) error {
	for i := 0; i < len(s.jobs); i++ {
		j := &s.jobs[i]
		if j.work == nil || j.ctx.Err() == nil {
			continue
		}
		s.respond(j.id, nil, cancelled())
		if i == 0 {
			j.work = nil
			continue
		}
		s.jobs = append(s.jobs[:i], s.jobs[i+1:]...)
		i--
	}
	return nil
}

func (s *server) initialize(params *initializeParams) (any, *rpcError) {
	if s.phase != uninitialized {
		return nil, failf(codeInvalidRequest, "initialize comes once")
	}
	s.phase, s.client = initialized, *params
	for _, offered := range params.Capabilities.General.PositionEncodings {
		if offered == utf8Units || offered == utf16Units || offered == utf32Units {
			s.enc = offered
			break
		}
	}
	result := initializeResult{Capabilities: capabilities{
		PositionEncoding:           s.enc,
		TextDocumentSync:           syncOptions{OpenClose: true, Change: 2, Save: true},
		CompletionProvider:         completionOptions{TriggerCharacters: []string{".", "\"", "'", " "}},
		HoverProvider:              true,
		DefinitionProvider:         true,
		DocumentSymbolProvider:     true,
		CodeActionProvider:         actionOptions{CodeActionKinds: []string{quickFix}},
		DocumentFormattingProvider: s.opts.Format != nil,
	}}
	result.ServerInfo.Name, result.ServerInfo.Version = "redress-lint", s.opts.Version
	return result, nil
}

// watchFiles asks the client to tell of policy files that change on disk.
func (s *server) watchFiles() {
	if !s.client.Capabilities.Workspace.DidChangeWatchedFiles.DynamicRegistration {
		return
	}
	s.sent++
	type watcher struct {
		GlobPattern string `json:"globPattern"`
	}
	s.write(call{"2.0", fmt.Sprintf("redress-%d", s.sent), "client/registerCapability", registrationParams{[]registration{{
		ID: "policy-files", Method: "workspace/didChangeWatchedFiles",
		RegisterOptions: map[string][]watcher{"watchers": {{"**/*.{yaml,yml}"}}},
	}}}})
}

// shorten cuts a text that a client sent to what fits a message.
func shorten(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}
