// Package redressprom shows what a set of policies does to Prometheus.
//
// A [Collector] is both: the observer that a set is loaded with, and what is registered
// with Prometheus.
//
//	metrics := redressprom.New(redressprom.Options{})
//	set, err := redress.Load(files, redress.WithPolicyObserver(metrics))
//	...
//	metrics.Watch(set)
//	prometheus.MustRegister(metrics)
//
// What is measured, in which units and by which labels is listed in docs/telemetry.md.
// No label has more values than the limit given there; labels of WithLabels are not
// shown. Beside this file stand alerts.yml, alerting rules with a test of their own in
// alerts_test.yml, and dashboard.json for Grafana.
package redressprom
