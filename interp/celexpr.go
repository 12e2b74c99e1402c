package interp

import (
	"math"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"

	"github.com/redress-policy/redress/internal/celcheck"
)

// A celExpr is an expression as cel-go has it: checked, and as the programs that evaluate
// it. All of that is made when it is first asked for, which it rarely is. It is safe for use
// by many goroutines once it is compiled.
type celExpr struct {
	text     string
	provider *provider

	checking sync.Once
	checked  *cel.Ast // guarded by checking; set by check, too
	err      error    // guarded by checking: why it is not

	run, trace planned
}

// A planned program is made once.
type planned struct {
	once    sync.Once
	program cel.Program
	err     error
}

// parse parses the text; cel-go does where our own parser has declined, which in most cases
// is because something is wrong.
func (c *celExpr) parse() (*cel.Ast, *cel.Issues) {
	if parsed, ok := c.provider.lang.parser.Parse(c.text); ok {
		return parsed, nil
	}
	env, err := c.provider.environment()
	if err != nil {
		return nil, issue(err)
	}
	return env.Parse(c.text)
}

// check has cel-go check what parse has parsed, and keeps the result.
func (c *celExpr) check(parsed *cel.Ast) (issues *cel.Issues) {
	c.checking.Do(func() { c.checked, issues = c.checkedBy(parsed) })
	return issues
}

func (c *celExpr) checkedBy(parsed *cel.Ast) (*cel.Ast, *cel.Issues) {
	env, err := c.provider.environment()
	if err != nil {
		return nil, issue(err)
	}
	return env.Check(parsed)
}

// cost is cel-go's estimate of what evaluating it costs at most.
func (c *celExpr) cost(*celcheck.Checked) uint64 {
	env, err := c.provider.environment()
	if err != nil {
		return math.MaxUint64
	}
	cost, err := env.EstimateCost(c.checked, sizes{})
	if err != nil {
		return math.MaxUint64
	}
	return cost.Max
}

// ast returns the checked expression.
func (c *celExpr) ast() (*cel.Ast, error) {
	c.checking.Do(func() {
		parsed, issues := c.parse()
		if issues.Err() == nil {
			c.checked, issues = c.checkedBy(parsed)
		}
		c.err = issues.Err()
	})
	return c.checked, c.err
}

// program evaluates the expression.
func (c *celExpr) program() (cel.Program, error) { return c.plan(&c.run, cel.OptOptimize) }

// tracing evaluates all of the expression, and remembers it.
func (c *celExpr) tracing() (cel.Program, error) {
	return c.plan(&c.trace, cel.OptTrackState, cel.OptExhaustiveEval)
}

func (c *celExpr) plan(p *planned, opts ...cel.EvalOption) (cel.Program, error) {
	p.once.Do(func() {
		checked, err := c.ast()
		if err != nil {
			p.err = err
			return
		}
		p.program, p.err = c.provider.env.Program(checked, cel.EvalOptions(opts...))
	})
	return p.program, p.err
}

func issue(err error) *cel.Issues {
	errs := common.NewErrors(common.NewTextSource(""))
	errs.ReportErrorString(common.NoLocation, err.Error())
	return cel.NewIssues(errs)
}
