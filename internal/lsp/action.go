package lsp

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// quickFix is the one kind of code action that is offered.
const quickFix = "quickfix"

// codeAction offers the fixes of the diagnostics that the client names. They come back
// with the diagnostics' data; of clients that do not keep it, the diagnostics are
// looked up among those that were published.
func (s *server) codeAction(params *actionParams) (any, *rpcError) {
	actions := []codeAction{}
	b, fail := s.served(params.TextDocument.URI)
	if b == nil || !wantsFixes(params.Context.Only) {
		return actions, fail
	}
	for _, raw := range params.Context.Diagnostics {
		var d diagnostic
		if err := json.Unmarshal(raw, &d); err != nil || d.Source != "redress-lint" {
			continue // of another server
		}
		if d.Data == nil {
			d.Data = s.dataOf(b, d)
		}
		if d.Data == nil {
			continue
		}
		for i, fix := range d.Data.Fixes {
			if edit, ok := s.edit(fix.Edits); ok {
				actions = append(actions, codeAction{Title: fix.Title, Kind: quickFix, Diagnostics: []json.RawMessage{raw}, IsPreferred: i == 0, Edit: edit})
			}
		}
	}
	return actions, nil
}

// wantsFixes reports whether a filter of kinds lets quick fixes through.
func wantsFixes(only []string) bool {
	return len(only) == 0 || slices.Contains(only, quickFix) || slices.Contains(only, "")
}

func (s *server) dataOf(b *buffer, d diagnostic) *diagnosticData {
	for _, known := range b.set.published[b.uri] {
		if known.Range == d.Range && known.Code == d.Code && known.Message == d.Message {
			return known.Data
		}
	}
	return nil
}

// edit puts the edits of a fix into the form that the client knows. ok is false if a
// document is not what it was when the fix was found.
func (s *server) edit(edits []fileEdit) (edit workspaceEdit, ok bool) {
	versioned := s.client.Capabilities.Workspace.WorkspaceEdit.DocumentChanges
	if !versioned {
		edit.Changes = map[string][]textEdit{}
	}
	for _, e := range edits {
		b := s.buffers[e.URI]
		if (b == nil) != (e.Version == nil) || b != nil && b.version != *e.Version {
			return workspaceEdit{}, false
		}
		if !versioned {
			edit.Changes[e.URI] = append(edit.Changes[e.URI], e.textEdit)
			continue
		}
		i := slices.IndexFunc(edit.DocumentChanges, func(d documentEdit) bool { return d.TextDocument.URI == e.URI })
		if i < 0 {
			var d documentEdit
			d.TextDocument.URI, d.TextDocument.Version = e.URI, e.Version
			i, edit.DocumentChanges = len(edit.DocumentChanges), append(edit.DocumentChanges, d)
		}
		edit.DocumentChanges[i].Edits = append(edit.DocumentChanges[i].Edits, e.textEdit)
	}
	return edit, len(edits) > 0
}

// formatting answers with one edit of what differs, nothing if nothing does.
func (s *server) formatting(params *documentParams) (any, *rpcError) {
	b, fail := s.served(params.TextDocument.URI)
	if b == nil {
		return nil, fail
	}
	name, index, enc, format := b.name, b.index, s.enc, s.opts.Format
	return job{of: b, work: func() (any, *rpcError) {
		formatted, err := format(name, []byte(index.text))
		if err != nil {
			return nil, failf(codeRequestFailed, "not formatted: %v", err)
		}
		return difference(index, string(formatted), enc), nil
	}}, nil
}

// difference is the edit that makes a text another, none if they are the same.
func difference(index *textIndex, after string, enc encoding) []textEdit {
	before := index.text
	if after == before {
		return []textEdit{}
	}
	start := commonPrefix(before, after)
	end := commonSuffix(before[start:], after[start:])
	return []textEdit{{index.span(start, len(before)-end, enc), after[start : len(after)-end]}}
}

// commonPrefix is the length of the whole lines with which both texts begin.
func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return strings.LastIndexByte(a[:n], '\n') + 1
}

// commonSuffix is the length of the whole characters with which both texts end; a line
// break is not divided.
func commonSuffix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	for n > 0 && (!utf8.RuneStart(a[len(a)-n]) || a[len(a)-n] == '\n') {
		n--
	}
	return n
}
