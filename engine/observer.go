package engine

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Observers joins observers into one, which tells each of every event in the order
// given. A panic of one does not keep the others from being told. Nil ones are left
// out.
func Observers(list ...Observer) Observer {
	var all fanOut
	for _, o := range list {
		if o != nil {
			all = append(all, o)
		}
	}
	return all
}

type fanOut []Observer

// Observe tells every observer, and then goes on with the first panic, which the
// call contains and counts.
func (f fanOut) Observe(ctx context.Context, e Event) {
	for i, o := range f {
		told := false
		func() {
			defer func() {
				if !told {
					f[i+1:].Observe(ctx, e)
				}
			}()
			tell(ctx, o, e)
			told = true
		}()
	}
}

// Wants implements SelectiveObserver: it is what any of them wants.
func (f fanOut) Wants(ctx context.Context, kinds EventSet) bool {
	for _, o := range f {
		if wants(ctx, o, kinds) {
			return true
		}
	}
	return false
}

// A SelectiveObserver is told only of events of the kinds that it wants. A call that
// succeeds at once costs less if nobody wants attempt_start, attempt_end and success.
type SelectiveObserver interface {
	Observer
	// Wants reports whether to tell of events of any of those kinds. It may answer
	// differently at other times. It is asked in every call, before an event is made, and
	// must be quick and safe for use by many goroutines. If it panics, that counts as yes.
	Wants(ctx context.Context, kinds EventSet) bool
}

// wants asks o, if it is one to be asked.
func wants(ctx context.Context, o Observer, kinds EventSet) (yes bool) {
	s, ok := o.(SelectiveObserver)
	if !ok {
		return true
	}
	yes = true
	defer contain()
	return s.Wants(ctx, kinds)
}

// successEvents are those of a call that succeeds at once.
var successEvents = EventsOf(AttemptStart, AttemptEnd, EventSuccess)

// watchesCalls reports whether o is a CallObserver or joins one.
func watchesCalls(o Observer) bool {
	if f, ok := o.(fanOut); ok {
		return slices.ContainsFunc(f, watchesCalls)
	}
	_, ok := o.(CallObserver)
	return ok
}

// tell tells o of an event that it wants.
func tell(ctx context.Context, o Observer, e Event) {
	if wants(ctx, o, EventsOf(e.Kind)) {
		o.Observe(ctx, e)
	}
}

// A MetricHook is an observer for metrics: it is given the event's name, the attempt
// it belongs to (0 before the first), the sleep chosen, and its bounded labels, which
// it may keep.
type MetricHook func(event string, attempt int, sleep time.Duration, labels map[string]string)

// Observe implements Observer.
func (h MetricHook) Observe(_ context.Context, e Event) {
	h(e.Kind.String(), e.Attempt, e.Sleep, e.LabelSet())
}

// A LogHook is an observer for logs: it is given the event's name and all that is
// known, the error included, in a map that it may keep.
type LogHook func(event string, fields map[string]any)

// Observe implements Observer.
func (h LogHook) Observe(_ context.Context, e Event) {
	fields := make(map[string]any, 16)
	for name, value := range e.LabelSet() {
		fields[name] = value
	}
	fields["attempt"] = e.Attempt
	fields["elapsed"] = e.Elapsed
	if e.Sleep > 0 {
		fields["sleep"] = e.Sleep
	}
	if e.Note != "" {
		fields["note"] = e.Note
	}
	if e.Err != nil {
		fields["error"] = e.Err
	}
	for name, value := range e.Reload.fields() {
		fields[name] = value
	}
	h(e.Kind.String(), fields)
}

// AttemptHooks is an observer of attempts alone. Nil functions are not called.
type AttemptHooks struct {
	Start func(ctx context.Context, e Event)
	End   func(ctx context.Context, e Event)
}

// Observe implements Observer.
func (h AttemptHooks) Observe(ctx context.Context, e Event) {
	switch {
	case e.Kind == AttemptStart && h.Start != nil:
		h.Start(ctx, e)
	case e.Kind == AttemptEnd && h.End != nil:
		h.End(ctx, e)
	}
}

// Wants implements SelectiveObserver.
func (h AttemptHooks) Wants(_ context.Context, kinds EventSet) bool {
	return h.Start != nil && kinds.Has(AttemptStart) || h.End != nil && kinds.Has(AttemptEnd)
}

// LabelSet returns the event's labels, empty ones left out, in a new map: policy,
// operation, class, rule, selector, strategy, cause, decision, stop_reason, breaker,
// and from and to of breaker transitions; before them those of [WithLabels], which
// do not replace any of these. All of them are bounded if the caller's are.
func (e Event) LabelSet() map[string]string {
	labels := make(map[string]string, 8+len(e.Labels))
	maps.Copy(labels, e.Labels)
	for _, l := range e.labels() {
		if l.value != "" {
			labels[l.name] = l.value
		}
	}
	return labels
}

type label struct{ name, value string }

func (e Event) labels() []label {
	labels := []label{
		{"policy", e.Policy},
		{"operation", e.Operation},
		{"class", e.Class.String()},
		{"rule", e.Rule},
		{"selector", e.Selector},
		{"strategy", e.Strategy},
		{"cause", e.Cause.String()},
		{"decision", e.Decision.String()},
		{"stop_reason", e.Reason.String()},
		{"breaker", e.Breaker},
	}
	if e.Sequence > 0 {
		labels = append(labels, label{"from", e.From.String()}, label{"to", e.To.String()})
	}
	return labels
}

// SlogObserver logs every event to logger, the event's name as message and its
// labels, attempt, elapsed, sleep, note and error as attributes. Attempts and
// successes are logged at Debug, retries and deferrals at Info, the opening of a
// circuit at Error, all else at Warn, but for a circuit that closes: Info.
func SlogObserver(logger *slog.Logger) Observer { return slogObserver{logger} }

type slogObserver struct{ logger *slog.Logger }

// Wants implements SelectiveObserver.
func (o slogObserver) Wants(ctx context.Context, kinds EventSet) bool {
	for _, at := range logLevels {
		if kinds&at.kinds != 0 && o.logger.Enabled(ctx, at.level) {
			return true
		}
	}
	return false
}

// Observe implements Observer.
func (o slogObserver) Observe(ctx context.Context, e Event) {
	level := levelOf(e.Kind)
	attrs := make([]slog.Attr, 0, 16)
	for _, l := range e.labels() {
		if l.value != "" {
			attrs = append(attrs, slog.String(l.name, l.value))
		}
	}
	attrs = append(attrs, slog.Int("attempt", e.Attempt), slog.Duration("elapsed", e.Elapsed))
	if e.Sleep > 0 {
		attrs = append(attrs, slog.Duration("sleep", e.Sleep))
	}
	if e.Note != "" {
		attrs = append(attrs, slog.String("note", e.Note))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	for name, value := range e.Reload.fields() {
		attrs = append(attrs, slog.String(name, value))
	}
	for name, value := range e.Labels {
		attrs = append(attrs, slog.String("label."+name, value))
	}
	o.logger.LogAttrs(ctx, level, e.Kind.String(), attrs...)
}

func levelOf(kind EventKind) slog.Level {
	switch kind {
	case AttemptStart, AttemptEnd, EventSuccess:
		return slog.LevelDebug
	case EventRetry, EventScheduled, EventCircuitClosed, EventCircuitHalfOpen, EventPolicyReloaded:
		return slog.LevelInfo
	case EventCircuitOpened, EventPolicyReloadFailed:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// logged are the kinds of events that are logged at a level.
type logged struct {
	level slog.Level
	kinds EventSet
}

// logLevels are all levels at which events are logged.
var logLevels = func() []logged {
	levels := []logged{{level: slog.LevelDebug}, {level: slog.LevelInfo}, {level: slog.LevelWarn}, {level: slog.LevelError}}
	for i := range levels {
		for _, kind := range EventKinds() {
			if levelOf(kind) == levels[i].level {
				levels[i].kinds |= EventsOf(kind)
			}
		}
	}
	return levels
}()
