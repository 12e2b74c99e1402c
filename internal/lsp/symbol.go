package lsp

import "cmp"

// documentSymbol lists documents, and in them rules, vars, cases and scenarios.
func (s *server) documentSymbol(params *documentParams) (any, *rpcError) {
	symbols := []documentSymbol{}
	b, fail := s.served(params.TextDocument.URI)
	if b == nil {
		return symbols, fail
	}
	for _, doc := range s.outline(b.source).docs {
		if doc.root != nil && doc.root.kind == mappingNode {
			symbols = append(symbols, s.symbolOf(b, doc))
		}
	}
	if s.client.Capabilities.TextDocument.DocumentSymbol.Hierarchical {
		return symbols, nil
	}
	flat := []symbolInformation{}
	for _, doc := range symbols {
		flat = append(flat, symbolInformation{doc.Name, doc.Kind, location{b.uri, doc.Range}, ""})
		for _, child := range doc.Children {
			flat = append(flat, symbolInformation{child.Name, child.Kind, location{b.uri, child.Range}, doc.Name})
		}
	}
	return flat, nil
}

func (s *server) symbolOf(b *buffer, doc *docOutline) documentSymbol {
	symbol := func(name, detail string, kind int, whole, part *node) documentSymbol {
		return documentSymbol{
			Name: cmp.Or(name, "?"), Detail: detail, Kind: kind,
			Range: b.index.span(whole.start, whole.end, s.enc), SelectionRange: b.index.span(part.start, part.end, s.enc),
		}
	}
	name, part := doc.nameText(), doc.name
	if doc.kind == "PolicyTest" && name == "" {
		name, part = doc.at("policy").value(doc.text), doc.at("policy")
	}
	if part == nil || part.start < doc.root.start {
		part = &node{start: doc.root.start, end: doc.root.start}
	}
	all := symbol(cmp.Or(name, doc.kind), doc.kind, classSymbol, doc.root, part)
	if vars := doc.at("vars"); vars != nil {
		for _, p := range vars.pairs {
			if p.colon >= 0 {
				whole := &node{start: p.key.start, end: p.key.end}
				if p.value != nil {
					whole.end = p.value.end
				}
				all.Children = append(all.Children, symbol(p.key.value(doc.text), "var", variableSymbol, whole, p.key))
			}
		}
	}
	for _, rule := range doc.rules(ruleLists...) {
		all.Children = append(all.Children, symbol(rule.id, rule.class, functionSymbol, rule.node, rule.idNode))
	}
	for _, list := range []string{"cases", "scenarios"} {
		for _, n := range doc.entries([][]string{{list}}) {
			if name := n.get(doc.text, "name"); name != nil {
				all.Children = append(all.Children, symbol(name.value(doc.text), list[:len(list)-1], methodSymbol, n, name))
			}
		}
	}
	return all
}
