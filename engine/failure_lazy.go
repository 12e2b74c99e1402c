package engine

// Fields is a set of groups of fields of a [Failure].
type Fields uint8

// The groups. Inner, Err and Attributes are always there.
const (
	ReadStatus  Fields = 1 << iota
	ReadWhat           // Kind, Code, Phase and Timeout
	ReadMessage        // Message
	ReadType           // Type
	ReadHeaders        // Headers, RetryAfter and HasRetryAfter
	ReadCauses         // Causes
	ReadMarker         // Marker
	ReadAll     Fields = 1<<iota - 1
)

// Need computes the fields of some groups, unless that has been done: a rule list that
// decides by the status need not pay for the chain of causes. Only records that are handed
// to the functions of a Spec with Lazy set have fields that are not computed; for any
// other record it does nothing. It is not safe for use by several goroutines at once.
func (f *Failure) Need(fields Fields) {
	if f.pending&fields != 0 {
		f.compute(f.pending & fields)
	}
}

// A source is what the fields of a record are computed from: the chain of an error, or a
// result.
type source struct {
	result     any
	now        moment
	chain      chain
	recognised bool
	room       [4]link // of short chains
}

func (f *Failure) compute(fields Fields) {
	f.pending &^= fields
	if f.source.chain == nil {
		f.computeResult(fields)
		return
	}
	c := f.source.chain
	if fields&(ReadWhat|ReadCauses) != 0 && !f.source.recognised {
		f.source.recognised = true
		c.recognise()
	}
	if fields&ReadStatus != 0 {
		f.Status = c.status()
	}
	if fields&ReadWhat != 0 {
		what := c.finding()
		f.Kind, f.Code = what.kind, what.code
		f.Phase = c.phase()
		f.Timeout = c.timeout()
	}
	if fields&ReadMessage != 0 {
		f.Message = messageOf(c[0].err)
	}
	if fields&ReadType != 0 {
		f.Type = c.typeName()
	}
	if fields&ReadHeaders != 0 {
		f.Headers = c.headers()
		if f.RetryAfter, f.HasRetryAfter = c.retryAfter(); !f.HasRetryAfter {
			f.readRetryAfter(f.source.now.now())
		}
	}
	if fields&ReadCauses != 0 {
		f.Causes = c.causes()
	}
	if fields&ReadMarker != 0 {
		f.Marker = c.marker()
	}
}

func (f *Failure) computeResult(fields Fields) {
	v := f.source.result
	if fields&(ReadStatus|ReadWhat) != 0 {
		f.pending &^= ReadStatus | ReadWhat
		if f.Status = resultStatus(v); f.Status != 0 {
			f.Kind, f.Phase = KindHTTP, Sent
		}
	}
	if fields&ReadType != 0 {
		f.Type = typeName(v)
	}
	if fields&ReadHeaders != 0 {
		f.Headers = headersOf(v)
		f.readRetryAfter(f.source.now.now())
	}
}
