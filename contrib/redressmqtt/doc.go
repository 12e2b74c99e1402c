// Package redressmqtt publishes to brokers that speak MQTT 5 under a policy, with the
// client paho.golang.
//
//	publisher := &redressmqtt.Publisher{Policy: policy, Dial: func(ctx context.Context) (net.Conn, error) {
//		return new(net.Dialer).DialContext(ctx, "tcp", address)
//	}}
//	defer publisher.Close()
//	err := publisher.Publish(ctx, &paho.Publish{Topic: "orders", QoS: 1, Payload: payload})
//
// Policies know the failures of MQTT by the pack std.mqtt. Errors that come from
// elsewhere in the client are given to [Error] by an operation of one's own.
package redressmqtt
