package dsl

import "strings"

// A Node is a value as a document has it; what aliases stand for is in their place.
type Node struct{ at *node }

// Root is the mapping that a document is.
func (d *Document) Root() Node { return Node{d.root.target()} }

// Type is what JSON calls the type of the value: "null", "boolean", "number", "string",
// "array" or "object". Numbers that JSON cannot write are strings.
func (n Node) Type() string {
	switch n.at.kind {
	case mappingNode:
		return "object"
	case sequenceNode:
		return "array"
	}
	switch n.at.tag {
	case nullTag:
		return "null"
	case boolTag:
		return "boolean"
	case intTag, floatTag:
		if _, ok := jsonNumber(n.at); ok {
			return "number"
		}
	}
	return "string"
}

// Text is the value of a string, a number as JSON writes it, true or false.
func (n Node) Text() string {
	switch n.at.tag {
	case boolTag:
		return strings.ToLower(n.at.value)
	case intTag, floatTag:
		if number, ok := jsonNumber(n.at); ok {
			return string(number)
		}
	}
	return n.at.value
}

// Len is how many entries an array or object has.
func (n Node) Len() int {
	if n.at.kind == mappingNode {
		return len(n.at.items) / 2
	}
	return len(n.at.items)
}

// Entry is the i-th of them, with its key in an object.
func (n Node) Entry(i int) (key string, value Node) {
	if n.at.kind == mappingNode {
		return n.at.items[2*i].target().value, Node{n.at.items[2*i+1].target()}
	}
	return "", Node{n.at.items[i].target()}
}
