package rules

import "github.com/redress-policy/redress/dsl"

var table = []Rule{
	{Code: dsl.CodeSyntax, Severity: dsl.Error, Fixed: true, Summary: "the text is not YAML"},
}
