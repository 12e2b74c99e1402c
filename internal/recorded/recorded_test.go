package recorded

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestAnErrorKeepsItsTextAndIdentityAndGetsItsRecord(t *testing.T) {
	base := errors.New("no responders")
	err := Error(fmt.Errorf("request: %w", base), func(f *engine.Failure) {
		f.Kind, f.Code, f.Phase = engine.KindBroker, "NO_RESPONDERS", engine.NotSent
	})
	if err.Error() != "request: no responders" || !errors.Is(err, base) {
		t.Errorf("%v", err)
	}
	f := engine.FailureOf(fmt.Errorf("outer: %w", err), nil)
	if f.Kind != engine.KindBroker || f.Code != "NO_RESPONDERS" || f.Phase != engine.NotSent || f.Message != "request: no responders" {
		t.Errorf("%+v", f)
	}
	again := Error(err, func(*engine.Failure) { t.Error("the record was made twice") })
	if again != err {
		t.Error("the error was wrapped twice")
	}
}

func TestAMarkerStillDecides(t *testing.T) {
	err := Error(engine.MarkPermanent(errors.New("no")), func(f *engine.Failure) { f.Kind = engine.KindBroker })
	if f := engine.FailureOf(err, nil); f.Marker != engine.Permanent {
		t.Errorf("%+v", f)
	}
}
