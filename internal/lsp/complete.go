package lsp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/interp"
)

// cursorMark stands for the cursor in the text that is read for a completion, so that
// there is always a word where something is to be typed. It is of Unicode's private
// use, and no part of the language.
const cursorMark = "\ue000"

// A completer collects what may stand at the cursor.
type completer struct {
	s        *server
	buffer   *buffer
	doc      *docOutline // of the text with the mark
	at       int         // the byte of the cursor
	from, to int         // what an item replaces, in the text without the mark
	items    []completionItem
}

func (s *server) completion(params *positionParams) (any, *rpcError) {
	none := completionList{Items: []completionItem{}}
	b, fail := s.served(params.TextDocument.URI)
	if b == nil {
		return none, fail
	}
	c := completer{s: s, buffer: b, at: b.index.offset(params.Position, s.enc)}
	text := b.index.text[:c.at] + cursorMark + b.index.text[c.at:]
	if c.doc = newOutline(dsl.NewSource(b.name, []byte(text))).docAt(c.at); c.doc == nil {
		return none, nil
	}
	if strings.Contains(c.doc.kind, cursorMark) {
		c.doc.kind = ""
	}
	c.complete(locate(c.doc.root, c.at))
	return completionList{Items: append(none.Items, c.items...)}, nil
}

// served returns an open document that is one of the language's, nil for others. A
// document that is not open is an error.
func (s *server) served(uri string) (*buffer, *rpcError) {
	b := s.buffers[uri]
	if b == nil {
		return nil, failf(codeInvalidParams, "%s is not open", shorten(uri))
	}
	if b.set == nil {
		return nil, nil
	}
	return b, nil
}

// add appends an item. Its order is that of the calls.
func (c *completer) add(item completionItem, text string) {
	item.SortText = fmt.Sprintf("%04d", len(c.items))
	item.TextEdit = &textEdit{c.buffer.index.span(c.from, c.to, c.s.enc), text}
	c.items = append(c.items, item)
}

// replace sets what is replaced: a range of the text with the mark, in which the mark
// stands, as far as it is on the cursor's line.
func (c *completer) replace(start, end int) {
	c.from, c.to = min(start, c.at), max(end-len(cursorMark), c.at)
	line := c.buffer.index.line(c.at)
	c.from = max(c.from, c.buffer.index.starts[line])
	c.to = min(c.to, c.buffer.index.lineEnd(line))
}

func (c *completer) complete(way []step) {
	if len(way) == 0 {
		return
	}
	last := way[len(way)-1]
	word := last.node
	if last.key {
		word = last.pair.key
	}
	if word.kind != scalarNode || c.at < word.start || c.at >= word.end || word.style == '*' {
		return
	}
	start, end := word.start, word.end
	if word.style == '"' || word.style == '\'' {
		start++
		if closing(c.doc.text, word.start, word.end) == end {
			end--
		}
	}
	c.replace(start, end)
	if last.key {
		c.keys(way[:len(way)-1], last.node, last.pair)
		return
	}
	path := pathOfWay(c.doc.text, way)
	r := roleOf(c.doc.kind, path)
	if r.isExpr() {
		c.expression(exprScope{c.doc, r, path[len(path)-1]}, word)
		return
	}
	list := c.doc.along(way)
	prefix, ownLine := c.placeOf(way)
	if ownLine && word.style == 0 {
		c.offerKeys(list, instance{nil, c.doc.text}, prefix, false, path)
		if prefix == "" && list.takes("array") {
			c.offerKeys(list.item(instance{nil, c.doc.text}), instance{nil, c.doc.text}, "- ", false, path)
			list = nil
		}
	}
	if prefix == "" {
		c.values(list, r, word, way)
	}
}

// placeOf says whether a mapping could begin at the scalar at the end of a way, and
// with what before its first key.
func (c *completer) placeOf(way []step) (prefix string, ownLine bool) {
	word := way[len(way)-1].node
	if len(way) == 1 {
		return "", true
	}
	switch parent := way[len(way)-2]; {
	case word.flow:
		return "", false
	case parent.item != nil && parent.item.dash < 0:
		return "- ", true
	case parent.item != nil:
		return "", true
	case parent.pair != nil:
		return "", strings.Contains(c.doc.text[parent.pair.colon:word.start], "\n")
	}
	return "", false
}

// keys offers the keys of a mapping in which one is being typed.
func (c *completer) keys(way []step, mapping *node, typed *pair) {
	path := pathOfWay(c.doc.text, way)
	c.offerKeys(c.doc.along(way), instance{mapping, c.doc.text}, "", typed.colon >= 0, path)
}

// offerKeys offers what a mapping at a path may have yet.
func (c *completer) offerKeys(list shapes, in instance, prefix string, colon bool, path []string) {
	for _, key := range list.keys(in) {
		text := prefix + key.name
		if !colon {
			text += ":"
			if in.node != nil && in.node.flow || !key.shape.takes("object") && !key.shape.takes("array") || key.shape.takes("string") {
				text += " "
			}
		}
		c.add(completionItem{Label: key.name, Kind: propertyItem, Detail: key.detail(), Documentation: markdown(key.shape.describe())}, text)
	}
	for _, name := range c.freeKeys(path) {
		if in.node.pair(in.text, name.name) != nil {
			continue
		}
		text := name.name
		if !colon {
			text += ": "
		}
		c.add(completionItem{Label: name.name, Kind: propertyItem, Detail: name.typ, Documentation: markdown(name.about)}, text)
	}
}

// detail says in a line what a key takes.
func (k keyShape) detail() string {
	var parts []string
	if k.required {
		parts = append(parts, "required")
	}
	for _, s := range k.shape {
		if value := spell(s.values["default"]); value != "" {
			parts = append(parts, "default "+value)
			break
		}
	}
	return strings.Join(parts, ", ")
}

// freeKeys lists the keys that the set, not the schema, knows: policies in an
// environment, attributes in a record.
func (c *completer) freeKeys(path []string) []exprField {
	switch {
	case c.doc.kind == "Environment" && slices.Equal(path, []string{"policies"}):
		var names []exprField
		for _, doc := range c.s.index(c.buffer.set).named("Policy") {
			names = append(names, exprField{name: doc.nameText(), about: doc.at("description").value(doc.text)})
		}
		return names
	case c.doc.kind == "PolicyTest" && len(path) > 0 && path[len(path)-1] == "attr":
		if policy := c.s.index(c.buffer.set).find("Policy", c.doc.at("policy").value(c.doc.text)); policy != nil {
			return exprScope{doc: policy}.attributes()
		}
	}
	return nil
}

// values offers names and what the schema lists.
func (c *completer) values(list shapes, r role, word *node, way []step) {
	for _, name := range c.names(r) {
		c.add(completionItem{Label: name.name, Kind: moduleItem, Detail: name.typ, Documentation: markdown(name.about)}, name.name)
	}
	taken := c.taken(way)
	for _, choice := range list.choices() {
		if slices.Contains(taken, choice.value) {
			continue
		}
		text := choice.value
		if word.flow && word.style == 0 && strings.Contains(text, ",") {
			text = "'" + text + "'"
		}
		kind := enumItem
		if choice.about == "The default." {
			kind = valueItem
		}
		c.add(completionItem{Label: choice.value, Kind: kind, Documentation: markdown(choice.about)}, text)
	}
}

// taken lists the other items of a list whose items differ.
func (c *completer) taken(way []step) []string {
	if len(way) < 2 || way[len(way)-2].item == nil {
		return nil
	}
	unique := slices.ContainsFunc(c.doc.along(way[:len(way)-2]), func(s *shape) bool { return s.values["uniqueItems"] == true })
	if !unique {
		return nil
	}
	var taken []string
	for _, it := range way[len(way)-2].node.items {
		taken = append(taken, it.value.value(c.doc.text))
	}
	return taken
}

// names lists what a reference may name.
func (c *completer) names(r role) []exprField {
	var names []exprField
	index := c.s.index(c.buffer.set)
	for _, doc := range index.named(r.kind()) {
		if doc.nameText() == c.doc.nameText() && doc.kind == c.doc.kind {
			continue // nothing refers to itself
		}
		names = append(names, exprField{name: doc.nameText(), typ: doc.kind, about: doc.at("description").value(doc.text)})
	}
	switch r {
	case packName:
		for _, name := range interp.Packs() {
			names = append(names, exprField{name: name, typ: "built-in pack", about: index.pack(name).at("description").value(index.pack(name).text)})
		}
	case ruleName, selectName:
		policy := index.find("Policy", c.doc.at("policy").value(c.doc.text))
		if policy == nil {
			return nil
		}
		rules := index.allRules(policy)
		if r == selectName {
			rules = nil
			for _, rule := range policy.rules(ruleLists[2]) {
				rules = append(rules, packRule{rule.id, rule})
			}
		}
		for _, rule := range rules {
			names = append(names, exprField{name: rule.name, typ: rule.class, about: codeBlock("cel", strings.TrimSpace(rule.when))})
		}
		if r == ruleName {
			names = append(names, exprField{name: "default", about: "No rule holds."}, exprField{name: "marker", about: "A marker in the error decides."})
		}
	}
	return names
}

// expression offers what may stand at the cursor within an expression.
func (c *completer) expression(scope exprScope, word *node) {
	decoded, places := word.decode(c.doc.text)
	end := 0
	for end < len(places) && places[end] < c.at {
		end++
	}
	before := decoded[:end]
	tokens := lexExpr(before)
	place := func(i int) int {
		if i < len(places) {
			return places[i]
		}
		return c.at
	}
	c.replace(c.at, c.at+len(cursorMark)+len(leadingName(c.doc.text[c.at+len(cursorMark):])))
	behind := 0
	if len(tokens) > 0 {
		last := tokens[len(tokens)-1]
		behind = last.end
		if last.open {
			if set := comparedAt(tokens[:len(tokens)-1]); set.quoted {
				c.from = place(last.end - len(last.stringValue()))
				c.enums(set.values, "")
			}
			return
		}
	}
	if rest := before[behind:]; strings.Contains(rest, "//") && !strings.Contains(rest[strings.Index(rest, "//"):], "\n") {
		return // a comment
	}
	if n := len(tokens); n > 0 && tokens[n-1].kind == 'a' && tokens[n-1].end == len(before) {
		c.from = place(tokens[n-1].start)
		tokens = tokens[:n-1]
	}
	bound := boundNames(tokens)
	if n := len(tokens); n > 0 && tokens[n-1].text == "." {
		c.members(scope, tokens[:n-1], bound)
		return
	}
	if n := len(tokens); n > 0 && (tokens[n-1].kind != '+' && tokens[n-1].text != "in" || tokens[n-1].text == ")" || tokens[n-1].text == "]") {
		return // an operator comes next
	}
	if set := comparedAt(tokens); set.values != nil {
		quote := ""
		if set.quoted {
			quote = `"`
		}
		if set.quoted && word.style == '"' {
			quote = "'"
		}
		c.enums(set.values, quote)
		return
	}
	c.exprNames(scope, bound)
}

func leadingName(text string) string {
	i := 0
	for i < len(text) && (isNameStart(text[i]) || isDigit(text[i])) {
		i++
	}
	return text[:i]
}

func (c *completer) enums(values []string, quote string) {
	for _, value := range values {
		c.add(completionItem{Label: value, Kind: enumItem, FilterText: quote + value + quote, Documentation: markdown(enumAbout(value))}, quote+value+quote)
	}
}

func (c *completer) fields(fields []exprField, kind int) {
	for _, f := range fields {
		c.add(completionItem{Label: f.name, Kind: kind, Detail: f.typ, Documentation: markdown(f.about)}, f.name)
	}
}

func (c *completer) functions(list []exprFunc, kind int) {
	for _, f := range list {
		text := f.name + "("
		if strings.HasPrefix(c.buffer.index.text[c.to:], "(") {
			text = f.name
		}
		c.add(completionItem{Label: f.name, Kind: kind, Detail: f.form, Documentation: markdown(f.about)}, text)
	}
}

// members offers what stands behind a dot.
func (c *completer) members(scope exprScope, tokens []token, bound []string) {
	if len(tokens) == 0 {
		return
	}
	switch last := tokens[len(tokens)-1]; {
	case last.kind == 'a':
		chain := chainAt(tokens, len(tokens)-1)
		if chain == nil {
			return
		}
		fields, methods := scope.members(chain, bound)
		kind := fieldItem
		if chain[0] == "vars" {
			kind = variableItem
		}
		c.fields(fields, kind)
		c.functions(methods, methodItem)
	case last.text == "]":
		c.functions([]exprFunc{{"orValue", `orValue("")`, "The value of [?key], or another if there is none."}}, methodItem)
		c.functions(exprMethods["string"], methodItem)
	case last.text == ")" || last.kind == '"':
		c.functions(exprMethods["string"], methodItem)
	}
}

// exprNames offers what an expression, or a part of it, begins with.
func (c *completer) exprNames(scope exprScope, bound []string) {
	for _, name := range bound {
		c.add(completionItem{Label: name, Kind: variableItem, Detail: "cause"}, name)
	}
	for _, n := range exprNames {
		if slices.Contains(n.sites, scope.site) {
			c.fields([]exprField{n.exprField}, variableItem)
		}
	}
	c.functions(exprFunctions, functionItem)
	if scope.site == selectExpr || scope.site == varsExpr {
		c.enums(dsl.ClassNames(), "")
	}
}
