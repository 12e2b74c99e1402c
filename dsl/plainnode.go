package dsl

// Nodes of plain sources are made in blocks, and so are the lists of their items.

// node makes a node that stands at [start, end).
func (r *plainReader) node(tag tag, start, end int) *node {
	if r.nodes++; r.nodes > MaxNodes {
		r.giveUp()
	}
	if len(r.block) == 0 {
		r.block = make([]node, 32) // a document has dozens
	}
	n := &r.block[0]
	r.block = r.block[1:]
	n.src, n.tag, n.start, n.end, n.body = r.src, tag, int32(start), int32(end), int32(start)
	return n
}

// scalar makes a scalar that stands at [start, end).
func (r *plainReader) scalar(style scalarStyle, tag tag, value string, start, end int) *node {
	if r.bytes += len(value); r.bytes > maxText {
		r.giveUp()
	}
	n := r.node(tag, start, end)
	n.style, n.value = style, value
	return n
}

// collect makes a node of a collection that begins at start, of the items from first on.
func (r *plainReader) collect(kind nodeKind, start, end, first int) *node {
	tag := mapTag
	if kind == sequenceNode {
		tag = seqTag
	}
	if items := r.items[first:]; len(items) > 0 {
		end = max(end, int(items[len(items)-1].end))
	}
	n := r.node(tag, start, end)
	n.kind, n.items = kind, r.keep(r.items[first:])
	r.items = r.items[:first]
	return n
}

// keep copies the items of a collection.
func (r *plainReader) keep(items []*node) []*node {
	n := len(items)
	if n == 0 {
		return nil
	}
	if n > len(r.itemBlock) {
		r.itemBlock = make([]*node, max(n, 64))
	}
	kept := r.itemBlock[:n:n]
	r.itemBlock = r.itemBlock[copy(kept, items):]
	return kept
}
