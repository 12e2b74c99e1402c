package lsp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/lazyregexp"
	"github.com/redress-policy/redress/internal/rules"
)

// A spot is a place in an open document, and what is known of it.
type spot struct {
	buffer *buffer
	doc    *docOutline
	at     int
	way    []step
	word   *node // the scalar at the place, nil if there is none
	path   []string
	role   role
}

// spotAt finds what stands at a place; nil in documents that are not the language's.
func (s *server) spotAt(params *positionParams) (*spot, *rpcError) {
	b, fail := s.served(params.TextDocument.URI)
	if b == nil {
		return nil, fail
	}
	p := &spot{buffer: b, at: b.index.offset(params.Position, s.enc)}
	if p.doc = s.outline(b.source).docAt(p.at); p.doc == nil {
		return nil, nil
	}
	p.way = locate(p.doc.root, p.at)
	if len(p.way) == 0 {
		return p, nil
	}
	last := p.way[len(p.way)-1]
	p.path = pathOfWay(p.doc.text, p.way)
	switch {
	case last.key:
		p.word = last.pair.key
	case last.node.kind == scalarNode:
		p.word = last.node
		p.role = roleOf(p.doc.kind, p.path)
	}
	return p, nil
}

func (p *spot) isKey() bool { return len(p.way) > 0 && p.way[len(p.way)-1].key }

func (p *spot) last() step { return p.way[len(p.way)-1] }

func (s *server) hover(params *positionParams) (any, *rpcError) {
	p, fail := s.spotAt(params)
	if p == nil {
		return nil, fail
	}
	if p.word == nil {
		return s.hoverComment(p), nil
	}
	if policy := p.policyOfNameLine(); policy != "" && s.opts.Envelope != nil {
		base, sources, envelope := s.hoverSchema(p), s.sourcesOf(p.buffer.set), s.opts.Envelope
		return job{work: func() (any, *rpcError) {
			text := strings.TrimSpace(envelope(slices.Clone(sources), policy))
			if base != nil && text != "" {
				base.Contents.Value += "\n\n" + text
			}
			return base, nil
		}}, nil
	}
	var h *hover
	switch {
	case p.isKey():
		h = s.hoverSchema(p)
	case p.role.isExpr():
		h = s.hoverExpr(p)
	case p.role != noRole && p.role != documentName:
		h = s.hoverName(p)
	default:
		h = s.hoverSchema(p)
	}
	if h == nil {
		return nil, nil
	}
	return h, nil
}

// policyOfNameLine is the policy whose name, or the key of it, stands at the place.
func (p *spot) policyOfNameLine() string {
	if p.doc.kind != "Policy" || p.doc.name == nil || len(p.way) == 0 || p.way[0].pair == nil || p.way[0].pair.value != p.doc.name {
		return ""
	}
	return p.doc.nameText()
}

func (s *server) hoverOf(p *spot, n *node, text string) *hover {
	if text == "" {
		return nil
	}
	return &hover{markdown(text), p.buffer.index.span(n.start, n.end, s.enc)}
}

// hoverSchema says what the schema does of a key, or of a value that it lists.
func (s *server) hoverSchema(p *spot) *hover {
	list := p.doc.along(p.way)
	if !p.isKey() {
		value := p.word.value(p.doc.text)
		for _, c := range list.choices() {
			if c.value == value && c.about != "" {
				return s.hoverOf(p, p.word, fmt.Sprintf("**%s**\n\n%s", value, c.about))
			}
		}
		if p.policyOfNameLine() == "" {
			return nil
		}
	}
	about := list.describe()
	if about == "" {
		return nil
	}
	name := p.last().pair
	if name == nil {
		name = p.way[0].pair
	}
	text := fmt.Sprintf("**%s**", name.key.value(p.doc.text))
	if detail := (keyShape{shape: list}).detail(); detail != "" {
		text += " · " + detail
	}
	return s.hoverOf(p, p.word, text+"\n\n"+about)
}

// hoverExpr explains the name under the cursor.
func (s *server) hoverExpr(p *spot) *hover {
	t, start, end, ok := p.exprToken()
	if !ok {
		return nil
	}
	text := ""
	switch tokens := t.tokens; {
	case t.kind == '"':
		if set := comparedAt(tokens[:t.i]); slices.Contains(set.values, t.stringValue()) {
			text = enumAbout(t.stringValue())
		}
	case t.kind == 'a':
		text = p.explainName(tokens, t.i)
	}
	if text == "" {
		return nil
	}
	return &hover{markdown(text), p.buffer.index.span(start, end, s.enc)}
}

func (p *spot) explainName(tokens []token, i int) string {
	name := tokens[i].text
	chain := chainAt(tokens, i)
	scope := exprScope{doc: p.doc, site: p.role}
	if f, ok := scope.field(chain, boundNames(tokens)); ok {
		title := "**" + strings.Join(chain, ".") + "**"
		if f.typ != "" {
			title += " · " + f.typ
		}
		return title + "\n\n" + f.about
	}
	if len(chain) == 1 && slices.Contains(dsl.ClassNames(), name) {
		return "**" + name + "**\n\n" + enumAbout(name)
	}
	if i+1 < len(tokens) && tokens[i+1].text == "(" {
		all := slices.Clone(exprFunctions)
		if i > 0 && tokens[i-1].text == "." {
			all = slices.Concat(exprMethods["string"], exprMethods["list"], exprMethods["duration"])
		}
		for _, f := range all {
			if f.name == name {
				return codeBlock("cel", f.form) + "\n\n" + f.about
			}
		}
	}
	return ""
}

// An exprTokenAt is the token of an expression at a place, among all.
type exprTokenAt struct {
	token
	tokens []token
	i      int
}

// exprToken finds the token at the place, and where in the file it stands.
func (p *spot) exprToken() (t exprTokenAt, start, end int, ok bool) {
	decoded, places := p.word.decode(p.doc.text)
	at := 0
	for at < len(places) && places[at] < p.at {
		at++
	}
	tokens := lexExpr(decoded)
	for i, token := range tokens {
		if token.start <= at && at <= token.end && token.kind != '+' {
			end := p.word.end
			if token.end < len(places) {
				end = places[token.end]
			} else if token.end > 0 {
				end = places[token.end-1] + 1
			}
			return exprTokenAt{token, tokens, i}, places[token.start], end, true
		}
	}
	return exprTokenAt{}, 0, 0, false
}

// hoverName shows what a reference names.
func (s *server) hoverName(p *spot) *hover {
	index := s.index(p.buffer.set)
	name := p.word.value(p.doc.text)
	switch p.role {
	case packName:
		if pack := index.pack(name); pack != nil {
			return s.hoverOf(p, p.word, describePack(name, pack))
		}
	case ruleName, selectName:
		if policy := index.find("Policy", p.doc.at("policy").value(p.doc.text)); policy != nil {
			for _, rule := range index.allRules(policy) {
				if rule.name == name {
					return s.hoverOf(p, p.word, fmt.Sprintf("**%s** · %s\n\n%s", name, rule.class, codeBlock("cel", strings.TrimSpace(rule.when))))
				}
			}
		}
	default:
		if doc := index.find(p.role.kind(), name); doc != nil {
			text := strings.TrimSpace(doc.text[doc.root.start:doc.root.end])
			if doc.kind == "Policy" {
				text = doc.at("description").value(doc.text)
				return s.hoverOf(p, p.word, fmt.Sprintf("**%s** · %s\n\n%s", name, doc.kind, text))
			}
			return s.hoverOf(p, p.word, fmt.Sprintf("**%s** · %s\n\n%s", name, doc.kind, codeBlock("yaml", text)))
		}
	}
	return nil
}

// describePack lists the rules of a pack.
func describePack(name string, pack *docOutline) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** · rule pack\n\n%s\n", name, pack.at("description").value(pack.text))
	for _, list := range ruleLists[:2] {
		entries := pack.entries([][]string{list})
		if len(entries) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n`%s`\n\n", list[0])
		for _, n := range entries {
			if use := n.get(pack.text, "use"); use != nil {
				fmt.Fprintf(&b, "- the rules of `%s`\n", use.value(pack.text))
				continue
			}
			when := strings.Join(strings.Fields(n.get(pack.text, "when").value(pack.text)), " ")
			fmt.Fprintf(&b, "- `%s` %s: `%s`\n", n.get(pack.text, "id").value(pack.text), n.get(pack.text, "class").value(pack.text), shortenCode(when))
		}
	}
	return strings.TrimSpace(b.String())
}

func shortenCode(text string) string {
	text = strings.ReplaceAll(text, "`", "'")
	if runes := []rune(text); len(runes) > 120 {
		return string(runes[:120]) + "…"
	}
	return text
}

var ruleCode = lazyregexp.New(`\bRD[0-9]{3}\b`)

// hoverComment explains the codes of findings in comments.
func (s *server) hoverComment(p *spot) any {
	index := p.buffer.index
	line := index.line(p.at)
	start, end := index.starts[line], index.lineEnd(line)
	text := index.text[start:end]
	hash := strings.IndexByte(text, '#')
	for _, at := range ruleCode.FindAllStringIndex(text, -1) {
		rule, known := rules.Find(text[at[0]:at[1]])
		if hash >= 0 && hash < at[0] && known && start+at[0] <= p.at && p.at <= start+at[1] {
			return &hover{
				markdown(fmt.Sprintf("**%s** %s\n\n%s", rule.Code.ID, rule.Code.Slug, rule.Summary)),
				index.span(start+at[0], start+at[1], s.enc),
			}
		}
	}
	return nil
}
