package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// A proxy stands between the shop and a server, and can be broken: so that nothing has to
// be done to the server itself.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	how   string                // guarded by mu: "", "refuse" or "hang"
	conns map[net.Conn]struct{} // guarded by mu
}

func newProxy(ctx context.Context, target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	context.AfterFunc(ctx, func() {
		_ = l.Close()
		p.set("refuse")
	})
	go p.accept()
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// set breaks the proxy, or mends it if how is empty. Connections that stand are cut.
func (p *proxy) set(how string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.how = how
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

// keep remembers a connection, so that set can cut it. It returns how the proxy is broken.
func (p *proxy) keep(c net.Conn) (how string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return p.how
}

func (p *proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

func (p *proxy) serve(client net.Conn) {
	defer p.forget(client)
	switch p.keep(client) {
	case "refuse":
		return
	case "hang":
		_, _ = io.Copy(io.Discard, client) // until the client gives up, or set cuts it
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.forget(server)
	p.keep(server)
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// An inventory is the warehouse's service: it answers, or it is overloaded.
type inventory struct {
	broken   atomic.Bool
	reserved sync.Map // order to article
}

// ServeHTTP reserves an article for an order: PUT /stock/{article}/{order}.
func (i *inventory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if i.broken.Load() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "overloaded", http.StatusServiceUnavailable)
		return
	}
	article, order := r.PathValue("article"), r.PathValue("order")
	if article == "none" {
		http.Error(w, "no such article", http.StatusNotFound)
		return
	}
	i.reserved.Store(order, article)
	fmt.Fprintln(w, "reserved")
}
