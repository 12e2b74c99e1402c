package celparse

import (
	"fmt"
	"testing"
)

// BenchmarkParse parses expressions of policies, here and by cel-go.
func BenchmarkParse(b *testing.B) {
	p := newPair(b, limits)
	for i, text := range []string{
		`err.status == 429`,
		`err.status == 429 || err.code in ["RATE", "QUOTA"]`,
		`err.causes.exists(c, c.code == "E1" && c.kind == "net") && err.message.contains("refused")`,
	} {
		b.Run(fmt.Sprintf("%d/celparse", i+1), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := p.own.Parse(text); !ok {
					b.Fatal(text)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/cel-go", i+1), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, issues := p.env.Parse(text); issues.Err() != nil {
					b.Fatal(text)
				}
			}
		})
	}
}
