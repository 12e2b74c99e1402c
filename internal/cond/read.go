package cond

import (
	"strings"
	"time"

	"github.com/redress-policy/redress/engine"
)

// The fields of a record, computed when a rule reads them.

func status(in *engine.Input) int {
	in.Failure.Need(engine.ReadStatus)
	return in.Failure.Status
}

func code(in *engine.Input) string {
	in.Failure.Need(engine.ReadWhat)
	return in.Failure.Code
}

func kind(in *engine.Input) engine.Kind {
	in.Failure.Need(engine.ReadWhat)
	return in.Failure.Kind
}

func phase(in *engine.Input) engine.Phase {
	in.Failure.Need(engine.ReadWhat)
	return in.Failure.Phase
}

func timeout(in *engine.Input) bool {
	in.Failure.Need(engine.ReadWhat)
	return in.Failure.Timeout
}

func message(in *engine.Input) string {
	in.Failure.Need(engine.ReadMessage)
	return in.Failure.Message
}

func typeName(in *engine.Input) string {
	in.Failure.Need(engine.ReadType)
	return in.Failure.Type
}

func headers(in *engine.Input) map[string]string {
	in.Failure.Need(engine.ReadHeaders)
	return in.Failure.Headers
}

func retryAfter(in *engine.Input) time.Duration {
	in.Failure.Need(engine.ReadHeaders)
	return in.Failure.RetryAfter
}

func hasRetryAfter(in *engine.Input) bool {
	in.Failure.Need(engine.ReadHeaders)
	return in.Failure.HasRetryAfter
}

func causes(in *engine.Input) []engine.CauseRecord {
	in.Failure.Need(engine.ReadCauses)
	return in.Failure.Causes
}

func marker(in *engine.Input) engine.Class {
	in.Failure.Need(engine.ReadMarker)
	return in.Failure.Marker
}

// recordField is the name of a field of err or result, "" for others.
func recordField(path string) string {
	record, name, _ := strings.Cut(path, ".")
	if record != "err" && record != "result" {
		return ""
	}
	return name
}

func kindOf(k engine.Kind) string {
	if k == "" {
		return string(engine.UnknownKind)
	}
	return string(k)
}

func phaseOf(p engine.Phase) string {
	if p == "" {
		return string(engine.PhaseUnknown)
	}
	return string(p)
}
