package redressmqtt

import (
	"errors"
	"fmt"

	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/recorded"
)

// Error returns err with the record that the pack std.mqtt reads: it is of kind broker,
// and its code is the reason code of the packet that came with err, in hexadecimal
// ("0x87"; MQTT 5.0, section 2.4), or a word of the table in docs/brokers.md for what the
// client says itself. Give the reason code of the Connack, the Suback or the
// PublishResponse, or 0 where there was none. What a broker refuses by such a packet it has
// not done. errors.Is and errors.As find what they found before. Other errors are returned
// as they are, nil too.
func Error(err error, reason byte) error {
	if err == nil {
		return nil
	}
	if reason >= 0x80 {
		return record(err, hex(reason), engine.NotSent)
	}
	for _, w := range words {
		if errors.Is(err, w.err) {
			return record(err, w.code, w.phase)
		}
	}
	return err
}

var words = []struct {
	err   error
	code  string
	phase engine.Phase
}{
	{session.ErrNoConnection, "NO_CONNECTION", engine.NotSent},
	{session.ErrPacketIdentifiersExhausted, "PACKET_IDENTIFIERS", engine.NotSent},
	{paho.ErrInvalidArguments, "INVALID_ARGUMENTS", engine.NotSent},
	{paho.ErrConnectionLost, "CONNECTION_LOST", engine.PhaseUnknown},
	{paho.ErrNetworkErrorAfterStored, "CONNECTION_LOST", engine.PhaseUnknown},
}

func record(err error, code string, phase engine.Phase) error {
	return recorded.Error(err, func(f *engine.Failure) {
		f.Kind, f.Code, f.Phase = engine.KindBroker, code, phase
	})
}

func hex(reason byte) string { return fmt.Sprintf("0x%02X", reason) }

// disconnected is why a broker ended the connection. Of what was under way then nothing is
// known.
func disconnected(d *paho.Disconnect) error {
	text := ""
	if d.Properties != nil && d.Properties.ReasonString != "" {
		text = ": " + d.Properties.ReasonString
	}
	err := fmt.Errorf("redressmqtt: the broker ended the connection, reason %s%s", hex(d.ReasonCode), text)
	if d.ReasonCode < 0x80 {
		return record(err, "CONNECTION_LOST", engine.PhaseUnknown)
	}
	return record(err, hex(d.ReasonCode), engine.PhaseUnknown)
}
