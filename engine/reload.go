package engine

import (
	"fmt"
	"iter"
	"strings"
)

// A Reload is what policy_reloaded and policy_reload_failed tell of a live set.
type Reload struct {
	OldRevision string `json:"old_revision"`           // of the whole set
	NewRevision string `json:"new_revision,omitempty"` // also of one that was refused; empty if it could not be read
	From        string `json:"from,omitempty"`         // as the source says
	Version     string `json:"version,omitempty"`
	By          string `json:"by,omitempty"`

	// FallbackPolicy is the policy under which calls of removed policies run from now on;
	// empty if they fail, and of a reload that was refused.
	FallbackPolicy string `json:"fallback_policy,omitempty"`

	Changes []DocumentChange `json:"changes,omitempty"` // sorted; empty for one that was refused
	Carried []Carried        `json:"carried,omitempty"` // what became of what calls share
}

// A DocumentChange is a document that a reload added, removed or changed. What a
// document says counts, not how it is written.
type DocumentChange struct {
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	What   string   `json:"what"`             // "added", "removed" or "changed"
	Fields []string `json:"fields,omitempty"` // of one that changed: "retry.max_attempts"
}

// String is `Policy payments: changed: retry.deadline, retry.max_attempts`.
func (c DocumentChange) String() string {
	text := fmt.Sprintf("%s %s: %s", c.Kind, c.Name, c.What)
	if len(c.Fields) > 0 {
		text += ": " + strings.Join(c.Fields, ", ")
	}
	return text
}

// Summary counts: `documents: 1 added, 2 changed; shared state: 3 kept, 1 resized`.
func (r *Reload) Summary() string {
	documents, state := counts{}, counts{}
	for _, c := range r.Changes {
		documents[c.What]++
	}
	for _, c := range r.Carried {
		state[c.How.String()]++
	}
	return "documents: " + documents.say("added", "removed", "changed") + "; shared state: " + state.say("kept", "resized", "reset")
}

type counts map[string]int

func (c counts) say(order ...string) string {
	var parts []string
	for _, word := range order {
		if n := c[word]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	if len(parts) == 0 {
		return "none changed"
	}
	return strings.Join(parts, ", ")
}

// fields are what logs show of a reload, in order; none of nil.
func (r *Reload) fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if r == nil {
			return
		}
		for _, f := range []label{
			{"old_revision", r.OldRevision}, {"new_revision", r.NewRevision}, {"from", r.From}, {"version", r.Version}, {"by", r.By},
			{"fallback_policy", r.FallbackPolicy}, {"changes", joinTexts(r.Changes)}, {"carried", joinTexts(r.Carried)},
		} {
			if f.value != "" && !yield(f.name, f.value) {
				return
			}
		}
	}
}

func joinTexts[T fmt.Stringer](all []T) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = one.String()
	}
	return strings.Join(texts, "; ")
}
