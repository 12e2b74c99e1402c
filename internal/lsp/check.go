package lsp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
)

// debounce is how long a set must rest before it is checked.
const debounce = 200 * time.Millisecond

// A checkResult is what a check found, and in which sources.
type checkResult struct {
	set        *set
	generation int
	disk       []*dsl.Source
	sources    []*dsl.Source
	found      dsl.Diagnostics
	readErr    error
	panicked   any
}

// changed says that a set is not what it was. It is checked when it has rested.
func (s *server) changed(of *set) {
	if of == nil {
		return
	}
	of.generation++
	of.due = time.Now().Add(debounce)
	s.arm()
}

// nextDue is the set whose check is due first, nil if none is.
func (s *server) nextDue() *set {
	var first *set
	for _, set := range s.sets {
		if !set.due.IsZero() && (first == nil || set.due.Before(first.due)) {
			first = set
		}
	}
	return first
}

// arm sets the timer to the next check. While one runs there is none: its end arms.
func (s *server) arm() {
	next := s.nextDue()
	if next == nil || s.running {
		s.timer.Stop()
		return
	}
	s.timer.Reset(time.Until(next.due))
}

// startCheck checks the set that is due, on a goroutine that shares nothing with the
// server but immutable sources.
func (s *server) startCheck() {
	of := s.nextDue()
	if of == nil || s.running || of.due.After(time.Now()) {
		s.arm()
		return
	}
	of.due, s.running = time.Time{}, true
	result := checkResult{set: of, generation: of.generation}
	root, old, open, opts, ctx := of.root, of.disk, s.openSources(of), s.opts, s.ctx
	s.background.Go(func() {
		result.check(ctx, root, old, open, &opts)
		s.checked <- result
	})
}

func (r *checkResult) check(ctx context.Context, root string, old, open []*dsl.Source, opts *Options) {
	defer func() { r.panicked = recover() }()
	if root != "" {
		if r.disk, r.readErr = readFolder(ctx, root, old); r.readErr != nil {
			return
		}
	}
	r.sources = opts.included(overlay(r.disk, open))
	r.found = opts.Check(slices.Clone(r.sources))
}

// finishCheck publishes what a check found, unless the set has changed meanwhile:
// then another check is due.
func (s *server) finishCheck(r checkResult) {
	s.running = false
	defer s.arm()
	if !slices.Contains(s.sets, r.set) {
		return
	}
	if r.readErr != nil {
		s.complain(r.set, r.readErr)
		return
	}
	s.forget(r.set, r.disk)
	r.set.disk, r.set.read, r.set.said = r.disk, true, ""
	switch {
	case r.panicked != nil:
		s.notify("window/showMessage", messageParams{errorMessage, fmt.Sprintf("checking failed: panic: %v", r.panicked)})
	case r.generation == r.set.generation:
		s.publish(r.set, s.diagnostics(r))
	}
}

// forget drops the outlines of sources that were read anew.
func (s *server) forget(of *set, disk []*dsl.Source) {
	for _, source := range of.disk {
		if !slices.Contains(disk, source) {
			delete(s.outlines, source)
		}
	}
}

// complain shows once why a folder is not checked.
func (s *server) complain(of *set, err error) {
	said := fmt.Sprintf("%s is not checked: %v", of.root, err)
	if of.said != said && s.ctx.Err() == nil {
		of.said = said
		s.notify("window/showMessage", messageParams{errorMessage, said})
	}
}

// publish tells the client of all files that have or had findings.
func (s *server) publish(of *set, found map[string][]diagnostic) {
	var uris []string
	for uri := range found {
		uris = append(uris, uri)
	}
	for uri := range of.published {
		if _, still := found[uri]; !still {
			uris = append(uris, uri)
		}
	}
	slices.Sort(uris)
	for _, uri := range uris {
		params := publishParams{URI: uri, Diagnostics: found[uri]}
		if params.Diagnostics == nil {
			params.Diagnostics = []diagnostic{}
		}
		if b := s.buffers[uri]; b != nil {
			params.Version = &b.version
		}
		s.notify("textDocument/publishDiagnostics", params)
	}
	of.published = found
}

var severities = [...]int{dsl.Error: 1, dsl.Warning: 2, dsl.Info: 3}

// diagnostics puts findings into the words of the protocol, by file.
func (s *server) diagnostics(r checkResult) map[string][]diagnostic {
	m := s.newMapper(r.sources)
	all := map[string][]diagnostic{}
	for _, d := range r.found {
		message := messageOf(d)
		at, ok := m.location(d.Range)
		if !ok { // of the set as a whole, or of a file beside it
			if len(r.sources) == 0 {
				continue
			}
			if d.Range.Source != nil {
				message = d.Range.String() + ": " + message
			}
			at, _ = m.location(dsl.Range{Source: r.sources[0]})
		}
		one := diagnostic{Range: at.Range, Severity: severities[d.Severity], Code: d.Code.ID, Source: "redress-lint", Message: message}
		if s.client.Capabilities.TextDocument.PublishDiagnostics.RelatedInformation {
			for _, rel := range d.Related {
				if at, ok := m.location(rel.Range); ok {
					one.Related = append(one.Related, related{at, rel.Message})
				}
			}
		}
		one.Data = m.data(d.Fixes)
		all[at.URI] = append(all[at.URI], one)
	}
	return all
}

// messageOf is a finding in text, as redress-lint prints it.
func messageOf(d dsl.Diagnostic) string {
	lines := []string{d.Message}
	for _, note := range d.Notes {
		lines = append(lines, "note: "+note)
	}
	if d.Help != "" {
		lines = append(lines, "help: "+d.Help)
	}
	return strings.Join(lines, "\n")
}

// A mapper finds where ranges of sources are for the client.
type mapper struct {
	s       *server
	sources map[string]*dsl.Source
	files   map[*dsl.Source]*mapped
}

type mapped struct {
	uri   string
	index *textIndex
}

func (s *server) newMapper(sources []*dsl.Source) *mapper {
	m := &mapper{s, map[string]*dsl.Source{}, map[*dsl.Source]*mapped{}}
	for _, source := range sources {
		m.sources[source.Name] = source
	}
	return m
}

// file finds a source, also one that was made anew under the same name.
func (m *mapper) file(source *dsl.Source) *mapped {
	if source == nil {
		return nil
	}
	known := m.sources[source.Name]
	if known == nil {
		return nil
	}
	if m.files[known] == nil {
		f := &mapped{uri: m.s.uriOf(known.Name)}
		if b := m.s.buffers[f.uri]; b != nil {
			f.index = b.index
		} else {
			f.index = newIndex(string(known.Bytes), true)
		}
		m.files[known] = f
	}
	return m.files[known]
}

func (m *mapper) location(r dsl.Range) (location, bool) {
	f := m.file(r.Source)
	if f == nil {
		return location{}, false
	}
	return location{f.uri, f.index.span(r.Start, r.End, m.s.enc)}, true
}

// data keeps the fixes of a finding; nil if there are none that can be applied.
func (m *mapper) data(fixes []dsl.Fix) *diagnosticData {
	var data diagnosticData
	for _, fix := range fixes {
		one := fixData{Title: fix.Title}
		for _, edit := range fix.Edits {
			at, ok := m.location(edit.Range)
			if !ok {
				one.Edits = nil
				break
			}
			e := fileEdit{URI: at.URI, textEdit: textEdit{at.Range, edit.Text}}
			if b := m.s.buffers[at.URI]; b != nil {
				version := b.version
				e.Version = &version
			}
			one.Edits = append(one.Edits, e)
		}
		if len(one.Edits) > 0 {
			data.Fixes = append(data.Fixes, one)
		}
	}
	if len(data.Fixes) == 0 {
		return nil
	}
	return &data
}
