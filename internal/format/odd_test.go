package format

import "testing"

// What is legal and seldom written.
func TestOddFormsKeepTheirMeaning(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"a tag for a key that is empty", "x-a: {!!str   : 1}\nx-b:\n  !!str  : c\n", "x-a: {!!str : 1}\nx-b:\n  !!str : c\n"},
		{"a tag for a value that is empty", "x-a: [ !!str , &a , b: &c , !!null ]\n", "x-a: [!!str , &a , b: &c , !!null ]\n"},
		{"an alias for a key", "x-a: &a b\nx-b: { *a :  c }\nx-c:\n   *a  :  d\n", "x-a: &a b\nx-b: {*a : c}\nx-c:\n  *a : d\n"},
		{"a tag before a key", "x-a:\n    !!str   b  :   c\n", "x-a:\n  !!str b: c\n"},
		{"a collection for a key", "x-a:\n    [ a,b ]:   c\n", "x-a:\n  [ a,b ]: c\n"},
		{"a value at the column of its key", "x-a:\n|\n b\nx-c:\n-\n>-\n d\n", "x-a: |\n  b\nx-c:\n  - >-\n    d\n"},
		{"an explicit key without a value", "x-a:\n    ? b\n    ?   c\n", "x-a:\n  ? b\n  ? c\n"},
		{"a list within a list, and properties", "x-a:\n- &a\n  -   b\n-   - &c d\n", "x-a:\n  - &a\n    - b\n  - - &c d\n"},
		{"properties on a line of their own", "x-a:\n    &a   # one\n    !!map # two\n    b: c\n", "x-a:\n  &a  # one\n  !!map  # two\n  b: c\n"},
		{"properties behind a key", "x-a:   &a   !!map   # one\n    b: c\n", "x-a: &a !!map  # one\n  b: c\n"},
		{"a comment next to a quote", "x-a: 'b'#c\n", "x-a: 'b'  #c\n"},
		{"a number sign in a word", "x-a: b#c\n", "x-a: b#c\n"},
		{"comments between key and value", "x-a: # one\n    # two\n\n    # three\n    b # four\n", "x-a:  # one\n  # two\n\n  # three\n  b  # four\n"},
		{"blanks of a block", "x-a: |\n     a  \n       \n\n      b\n", "x-a: |\n  a  \n    \n\n   b\n"},
		{"a block without lines", "x-a: |\n\n\nx-b: >-\nx-c: |+\n\n\n", "x-a: |\n\nx-b: >-\nx-c: |+\n\n\n"},
		{"a comment behind a block", "x-a:\n    b: |\n        c\n     # d\n    e: f\n", "x-a:\n  b: |\n    c\n  # d\n  e: f\n"},
		{"empty lines that belong to a block", "x-a: |+\n  b\n\n\n# c\n", "x-a: |+\n  b\n\n\n# c\n"},
		{"an escaped blank at the end of a line", "x-a: \"b\\ \\\n   c \\\n d\"\n", "x-a: \"b\\ \\\n   c \\\n d\"\n"},
		{"tabs", "x-a:\tb\t# c\t\nx-d:\t\t[\te,\tf\t]\n", "x-a: b  # c\nx-d: [e, f]\n"},
		{"a marker in a text", "x-a: b --- c\n", "x-a: b --- c\n"},
		{"a directive", "%YAML 1.1  \n---\nx-a:  b\n", "%YAML 1.1\n---\nx-a: b\n"},
		{"no line break at the end", "x-a:   b", "x-a: b\n"},
	} {
		got, err := Format("a.yaml", []byte(test.in))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if string(got) != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", test.name, got, test.want)
		}
		checkPromises(t, []byte(test.in), got)
	}
}
