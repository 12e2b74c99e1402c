package lsp

import (
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
)

// definition says where a name is made. Built-in packs are in no file, so their names
// lead nowhere.
func (s *server) definition(params *positionParams) (any, *rpcError) {
	p, fail := s.spotAt(params)
	if p == nil || p.word == nil {
		return nil, fail
	}
	doc, target := s.target(p)
	if target == nil {
		return nil, nil
	}
	m := s.newMapper([]*dsl.Source{doc.source})
	at, ok := m.location(dsl.Range{Source: doc.source, Start: target.start, End: target.end})
	if !ok {
		return nil, nil
	}
	return at, nil
}

// target finds the node to which the word at a spot refers.
func (s *server) target(p *spot) (*docOutline, *node) {
	name := p.word.value(p.doc.text)
	switch {
	case p.isKey():
		if p.doc.kind == "Environment" && slices.Equal(p.path, []string{"policies"}) {
			return s.nameOf(p, "Policy", name)
		}
	case p.word.style == '*':
		return p.doc, findAnchor(p.doc.root, strings.TrimPrefix(name, "*"))
	case p.role.isExpr():
		return p.doc, p.exprTarget()
	case p.role == ruleName || p.role == selectName:
		return s.rule(p, name)
	case p.role.kind() != "":
		return s.nameOf(p, p.role.kind(), name)
	}
	return nil, nil
}

func (s *server) nameOf(p *spot, kind, name string) (*docOutline, *node) {
	if doc := s.index(p.buffer.set).find(kind, name); doc != nil {
		return doc, doc.name
	}
	return nil, nil
}

// rule finds a rule of the policy that is tested: ID, or PACK/ID of a pack of the set.
func (s *server) rule(p *spot, name string) (*docOutline, *node) {
	index := s.index(p.buffer.set)
	doc := index.find("Policy", p.doc.at("policy").value(p.doc.text))
	if pack, id, ok := strings.Cut(name, "/"); ok {
		doc, name = index.find("Classifier", pack), id
	}
	if doc == nil {
		return nil, nil
	}
	lists := ruleLists
	if p.role == selectName {
		lists = ruleLists[2:]
	}
	for _, rule := range doc.rules(lists...) {
		if rule.id == name {
			return doc, rule.idNode
		}
	}
	return nil, nil
}

// exprTarget finds the var or the attribute that the name under the cursor reads.
func (p *spot) exprTarget() *node {
	t, _, _, ok := p.exprToken()
	if !ok || t.kind != 'a' {
		return nil
	}
	chain := chainAt(t.tokens, t.i)
	var found *pair
	switch {
	case len(chain) == 2 && chain[0] == "vars":
		found = p.doc.at("vars").pair(p.doc.text, chain[1])
	case len(chain) == 3 && (chain[0] == "err" || chain[0] == "result") && chain[1] == "attr":
		found = p.doc.at("attributes").pair(p.doc.text, chain[2])
	}
	if found == nil {
		return nil
	}
	return found.key
}

func findAnchor(n *node, name string) *node {
	if n == nil || n.anchor == name {
		return n
	}
	for _, p := range n.pairs {
		if found := findAnchor(p.value, name); found != nil {
			return found
		}
	}
	for _, it := range n.items {
		if found := findAnchor(it.value, name); found != nil {
			return found
		}
	}
	return nil
}
