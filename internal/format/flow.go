package format

import "strings"

// A token of a flow collection.
type token struct {
	kind  tokenKind
	text  string
	end   int  // behind it, in the text
	blank bool // a blank follows
}

type tokenKind uint8

const (
	valueToken    tokenKind = iota // a scalar or an alias
	propertyToken                  // an anchor or a tag
	openToken
	closeToken
	commaToken
	colonToken
	questionToken
	commentToken
)

var indicators = map[byte]tokenKind{
	'{': openToken, '[': openToken, '}': closeToken, ']': closeToken, ',': commaToken, ':': colonToken, '?': questionToken, '#': commentToken,
	'&': propertyToken, '!': propertyToken,
}

// readFlow reads the flow collection that begins at p. It returns nil if the text ends
// before the collection does.
func readFlow(text string, p int) (tokens []token) {
	for depth := 0; ; {
		for p < len(text) && strings.IndexByte(" \t\n", text[p]) >= 0 {
			p++
		}
		if p == len(text) {
			return nil
		}
		kind := indicators[text[p]]
		end := flowTokenEnd(text, p, kind)
		if end <= p {
			return nil
		}
		tokens = append(tokens, token{kind: kind, text: text[p:end], end: end, blank: endsWord(text, end)})
		switch kind {
		case openToken:
			depth++
		case closeToken:
			if depth--; depth == 0 {
				return tokens
			}
		}
		p = end
	}
}

func flowTokenEnd(text string, p int, kind tokenKind) int {
	switch {
	case kind == commentToken:
		line, _, _ := strings.Cut(text[p:], "\n")
		return p + len(strings.TrimRight(line, " \t"))
	case kind == propertyToken:
		return propertyEnd(text, p)
	case kind != valueToken:
		return p + 1
	case text[p] == '\'' || text[p] == '"':
		return quoteEnd(text, p)
	case text[p] == '*':
		return aliasEnd(text, p)
	}
	return flowPlainEnd(text, p)
}

// flowPlainEnd finds the end of a scalar without quotes within brackets.
func flowPlainEnd(text string, p int) (end int) {
	for end = p; p < len(text); p++ {
		switch c := text[p]; {
		case strings.IndexByte(" \t\n", c) >= 0:
			continue
		case strings.IndexByte(",?[]{}", c) >= 0, c == ':' && endsWord(text, p+1), c == '#' && p > end:
			return end
		}
		end = p + 1
	}
	return end
}

// A flowPart is a token or a collection.
type flowPart struct {
	token token
	in    *flow
}

// A flow is a flow collection on one line.
type flow struct {
	open, end string
	entries   []*flowEntry
}

// A flowEntry is what stands between two commas.
type flowEntry struct {
	parts []flowPart
	colon int // which part is the colon of a key, -1 without one
}

// parseFlow takes the tokens of a collection apart. It returns how many those are.
func parseFlow(tokens []token) (f *flow, count int) {
	f = &flow{open: tokens[0].text}
	e := &flowEntry{colon: -1}
	for i := 1; ; i++ {
		switch t := tokens[i]; t.kind {
		case closeToken:
			if f.end = t.text; len(e.parts) > 0 {
				f.entries = append(f.entries, e)
			} else if len(f.entries) > 0 {
				f.end = "," + f.end // a comma behind the last entry
			}
			return f, i + 1
		case commaToken:
			f.entries = append(f.entries, e)
			e = &flowEntry{colon: -1}
		case openToken:
			in, n := parseFlow(tokens[i:])
			e.parts = append(e.parts, flowPart{in: in})
			i += n - 1
		case colonToken:
			if e.colon < 0 {
				e.colon = len(e.parts)
			}
			fallthrough
		default:
			e.parts = append(e.parts, flowPart{token: t})
		}
	}
}

// String writes a flow collection with a blank behind commas and colons, and no
// others than are needed.
func (f *flow) String() string {
	parts := make([]string, len(f.entries))
	for i, e := range f.entries {
		parts[i] = e.String()
	}
	return f.open + strings.Join(parts, ", ") + f.end
}

func (e *flowEntry) String() string {
	var b strings.Builder
	for i, p := range e.parts {
		if i > 0 && (p.token.kind != colonToken || takesColon(e.parts[i-1].token.text)) {
			b.WriteByte(' ')
		}
		if p.in != nil {
			b.WriteString(p.in.String())
			continue
		}
		b.WriteString(p.token.text)
	}
	if n := len(e.parts); n > 0 {
		last := e.parts[n-1].token
		if last.blank && (last.kind == colonToken || last.kind == propertyToken) {
			b.WriteByte(' ') // before a value that is empty
		}
	}
	return b.String()
}

// takesColon reports whether a colon next to a word could be part of it: of an alias,
// an anchor or a tag.
func takesColon(word string) bool { return word != "" && strings.IndexByte("*&!", word[0]) >= 0 }

// name is the key of an entry as it decodes. ok is false if that takes more than
// dropping quotes.
func (e *flowEntry) name() (name string, ok bool) {
	if e.colon != 1 || e.parts[0].in != nil || e.parts[0].token.kind != valueToken {
		return "", false
	}
	return plainName(e.parts[0].token.text)
}

// plainName decodes a key. ok is false if that takes more than dropping quotes.
func plainName(text string) (name string, ok bool) {
	if text == "" || strings.ContainsAny(text, "\n\\") || text[0] == '*' {
		return "", false
	}
	if text[0] != '"' && text[0] != '\'' {
		return text, true
	}
	name = text[1 : len(text)-1]
	return name, !strings.Contains(name, "'")
}

// anchors lists the anchors and aliases of an entry in order, each with its indicator.
func (e *flowEntry) anchors() (list []string) {
	for _, p := range e.parts {
		if p.in == nil {
			list = appendAnchor(list, p.token.text, p.token.kind == propertyToken)
			continue
		}
		for _, inner := range p.in.entries {
			list = append(list, inner.anchors()...)
		}
	}
	return list
}

func appendAnchor(list []string, text string, isProperty bool) []string {
	if text != "" && (isProperty && text[0] == '&' || !isProperty && text[0] == '*') {
		return append(list, text)
	}
	return list
}
