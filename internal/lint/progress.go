package lint

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// When progress is shown: not for runs that end at once, and not more often than an eye
// can read.
const (
	progressAfter = 500 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

// A progress shows on one line of a terminal how many files a run has checked. It is
// safe for use by many goroutines; nil shows nothing.
type progress struct {
	w     io.Writer // nil for none
	now   func() time.Time
	total int

	mu    sync.Mutex
	done  int
	next  time.Time // when the line may be written again
	shown bool
}

func (c *Command) newProgress() *progress {
	p := &progress{now: time.Now}
	if c.Progress {
		p.w = c.Stderr
	}
	p.next = p.now().Add(progressAfter)
	return p
}

// add counts files that were checked.
func (p *progress) add(files int) {
	if p == nil || p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += files
	if now := p.now(); !now.Before(p.next) {
		fmt.Fprintf(p.w, "\r\x1b[Kchecked %d of %s", p.done, count(p.total, "file"))
		p.next, p.shown = now.Add(progressEvery), true
	}
}

// end takes the line away.
func (p *progress) end() {
	if p != nil && p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
