package importer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"testing"

	"gopkg.in/yaml.v3"
)

var (
	comment  = regexp.MustCompile(`(?m)^\s*//.*$|\s//[^"\n]*$`)
	trailing = regexp.MustCompile(`,(\s*[}\]])`)
)

// countFields counts scalars and empty collections by decoding into plain Go values.
func countFields(t *testing.T, file string, text []byte) int {
	t.Helper()
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if filepath.Ext(file) == ".properties" {
		return countProperties(text)
	}
	text = bytes.TrimPrefix(text, []byte("grpc_config="))
	if bytes.HasPrefix(bytes.TrimSpace(comment.ReplaceAll(text, nil)), []byte("{")) {
		var v any
		if err := json.Unmarshal(trailing.ReplaceAll(comment.ReplaceAll(text, nil), []byte("$1")), &v); err != nil {
			t.Fatal(err)
		}
		return countValue(v)
	}
	total := 0
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var v any
		err := decoder.Decode(&v)
		if errors.Is(err, io.EOF) {
			return total
		}
		if err != nil {
			t.Fatal(err)
		}
		if v != nil {
			total += countValue(v)
		}
	}
}

// countProperties counts the lines that are no comments and continue no other one.
func countProperties(text []byte) int {
	total, goesOn := 0, false
	for _, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimLeft(bytes.TrimSuffix(line, []byte("\r")), " \t\f")
		if !goesOn && (len(line) == 0 || line[0] == '#' || line[0] == '!') {
			continue
		}
		if !goesOn {
			total++
		}
		goesOn = (len(line)-len(bytes.TrimRight(line, `\`)))%2 == 1
	}
	return total
}

func countValue(v any) int {
	total := 0
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			total += countValue(item)
		}
	case map[any]any:
		for _, item := range v {
			total += countValue(item)
		}
	case []any:
		for _, item := range v {
			total += countValue(item)
		}
	}
	return max(total, 1)
}
