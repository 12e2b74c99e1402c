package engine

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
)

// A Future is a call that runs on a goroutine of its own. That goroutine ends with
// the call, whether or not somebody waits; a Future that is abandoned holds nothing.
// It is safe for use by many goroutines.
type Future[T any] struct {
	done    chan struct{}
	ctx     *lazyContext
	outcome Outcome[T]      // written before done is closed, like all below
	panic   *OperationPanic // the operation panicked
	exited  bool            // the operation ended its goroutine
}

// Go is Execute on a goroutine of its own.
func Go[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), opts ...Option) *Future[T] {
	f := &Future[T]{done: make(chan struct{}), ctx: &lazyContext{parent: ctx}}
	go f.run(p, fn, slices.Clone(opts))
	return f
}

// Done is closed when the call has ended.
func (f *Future[T]) Done() <-chan struct{} { return f.done }

// Cancel ends the call as if the caller's context had been cancelled, and does not
// wait for it. A call that has ended is not touched.
func (f *Future[T]) Cancel() { f.ctx.cancelUnlessReleased() }

// Wait waits for the end of the call and returns what Execute would have
// returned. If the operation panicked, so does Wait, with an *[OperationPanic];
// if it ended its goroutine, Wait does that to the one that asks.
func (f *Future[T]) Wait() Outcome[T] {
	<-f.done
	if f.panic != nil {
		panic(f.panic)
	}
	if f.exited {
		runtime.Goexit()
	}
	return f.outcome
}

func (f *Future[T]) run(p *Policy, fn func(context.Context) (T, error), opts []Option) {
	returned := false
	defer func() {
		if !returned {
			f.fail(p, recover())
		}
		close(f.done)
	}()
	f.outcome = Execute(f.ctx, p, fn, opts...)
	f.ctx.release() // what was returned may be in use under it
	returned = true
}

// fail notes how the operation did not return.
func (f *Future[T]) fail(p *Policy, value any) {
	f.ctx.cancel()
	p.current.Load().counters.lostOperations.Add(1)
	if value == nil {
		f.exited = true
		return
	}
	f.panic = &OperationPanic{Value: value, Stack: debug.Stack()}
}

// An OperationPanic is the panic of an operation that ran under [Go], carried over to
// the goroutine that asks for the outcome.
type OperationPanic struct {
	Value any
	Stack []byte // of the goroutine on which the operation panicked
}

// Error shows the value and the stack, as the runtime would have.
func (p *OperationPanic) Error() string {
	return fmt.Sprintf("engine: operation panicked: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns the value of the panic if it is an error.
func (p *OperationPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}
