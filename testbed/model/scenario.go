package model

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Scenario is a script: for each request the first rule that fits is played.
type Scenario struct {
	Name  string `yaml:"name"`
	About string `yaml:"about"`
	Chunk Chunk  `yaml:"chunk"` // of rules that say nothing of their own
	Rules []Rule `yaml:"rules"`
}

// Rule is what the model does when a request fits.
type Rule struct {
	Name  string  `yaml:"name"`
	When  When    `yaml:"when"`
	Times int     `yaml:"times"` // fits this many requests of a server's life; any number if 0
	Think string  `yaml:"think"` // before it speaks, if the request allows thinking
	Say   string  `yaml:"say"`
	Fill  int     `yaml:"fill"` // bytes of filler after what it says
	Call  []Call  `yaml:"call"`
	Obey  bool    `yaml:"obey"` // make the calls that anything it has read asks for
	Fail  *Fail   `yaml:"fail"`
	Stop  string  `yaml:"stop"` // max_tokens or refusal; else what the answer is
	Chunk *Chunk  `yaml:"chunk"`
	Usage *Tokens `yaml:"usage"` // instead of what is counted
}

// When is what a request must be like: all that is given must hold. What is
// counted, is counted from the user's last text on.
type When struct {
	User       *Pattern `yaml:"user"`   // the user's last text
	Read       *Pattern `yaml:"read"`   // all texts of users and results of tools
	System     *Pattern `yaml:"system"` // the system message
	Model      *Pattern `yaml:"model"`  // the model's name
	Results    []Result `yaml:"results"`
	Calls      *Count   `yaml:"calls"`  // how many calls the model has made
	Called     []string `yaml:"called"` // each of these tools
	NotCalled  []string `yaml:"not_called"`
	Offered    []string `yaml:"offered"` // each of these tools is offered
	NotOffered []string `yaml:"not_offered"`
	Requests   []int    `yaml:"requests"` // the number of the request, from 1
	Every      int      `yaml:"every"`    // each such request
}

// Result is a result of a tool, the newest that fits.
type Result struct {
	Tool    string   `yaml:"tool"` // any if absent
	Matches *Pattern `yaml:"matches"`
	Error   *bool    `yaml:"error"` // whether it is an error; OpenAI's wire never says so
}

// Call is a call of a tool.
type Call struct {
	Tool      string         `yaml:"tool"`
	Arguments map[string]any `yaml:"arguments"`
	Raw       string         `yaml:"raw"` // instead of arguments: text that need not be JSON
}

// Fail is a failure instead of an answer, or in the midst of one.
type Fail struct {
	Status     int    `yaml:"status"`
	RetryAfter string `yaml:"retry_after"` // as the header has it: seconds, or a date
	Message    string `yaml:"message"`
	After      *int   `yaml:"after"` // pieces of the stream that are sent first
	Cut        bool   `yaml:"cut"`   // the connection ends without a word
	Hang       bool   `yaml:"hang"`  // nothing more comes until the client goes away
}

// Chunk is how an answer is streamed.
type Chunk struct {
	Bytes int           `yaml:"bytes"` // of text in a piece; 24 if 0
	Delay time.Duration `yaml:"delay"` // before each piece
	Stamp bool          `yaml:"stamp"` // pieces of text carry the time they were sent; see Sent
}

// Tokens is a usage a rule sets.
type Tokens struct {
	Input  int `yaml:"input"`
	Output int `yaml:"output"`
}

// Pattern is a regular expression (RE2) whose named groups a rule can quote, and
// which can itself quote what patterns before it captured.
type Pattern struct {
	*regexp.Regexp
	source string // with quotations; empty if there are none
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (p *Pattern) UnmarshalYAML(n *yaml.Node) error {
	re, err := regexp.Compile(reference.ReplaceAllLiteralString(n.Value, "quoted"))
	if err != nil {
		return fmt.Errorf("line %d: want a regular expression (RE2): %w", n.Line, err)
	}
	p.Regexp = re
	if reference.MatchString(n.Value) {
		p.source = n.Value
	}
	return nil
}

// Count is a number, or a least number: 2 or 2+.
type Count struct {
	N    int
	More bool
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *Count) UnmarshalYAML(n *yaml.Node) error {
	digits, more := strings.CutSuffix(n.Value, "+")
	number, err := strconv.Atoi(digits)
	if err != nil || number < 0 {
		return fmt.Errorf("line %d: %q: want a number such as 2, or 2+ for two and more", n.Line, n.Value)
	}
	c.N, c.More = number, more
	return nil
}

func (c *Count) fits(n int) bool { return n == c.N || c.More && n > c.N }

//go:embed scenarios/*.yaml
var shipped embed.FS

// Shipped returns a scenario that comes with the package, by its file's name
// without .yaml.
func Shipped(name string) (*Scenario, error) {
	content, err := shipped.ReadFile("scenarios/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no scenario %q; there are %s", name, strings.Join(ShippedNames(), ", "))
	}
	return Parse(name, content)
}

// ShippedNames are the names Shipped knows, sorted.
func ShippedNames() []string {
	entries, _ := shipped.ReadDir("scenarios") // embedded: it is there
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names) // the files are sorted with their endings
	return names
}

// Load reads a scenario from a file.
func Load(file string) (*Scenario, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return Parse(strings.TrimSuffix(path.Base(file), ".yaml"), content)
}

// Parse reads a scenario. Its errors name the rule and what to change.
func Parse(name string, content []byte) (*Scenario, error) {
	s := &Scenario{}
	d := yaml.NewDecoder(bytes.NewReader(content))
	d.KnownFields(true)
	if err := d.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("scenario %s: one document is enough; remove what follows ---", name)
	}
	if s.Name == "" {
		s.Name = name
	}
	if len(s.Rules) == 0 {
		return nil, fmt.Errorf("scenario %s has no rules", name)
	}
	for i := range s.Rules {
		r := &s.Rules[i]
		if r.Name == "" {
			r.Name = strconv.Itoa(i + 1)
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("scenario %s: rule %q: %w", name, r.Name, err)
		}
	}
	return s, nil
}

func (r *Rule) check() error {
	does := r.Say != "" || r.Fill > 0 || len(r.Call) > 0
	switch {
	case !does && !r.Obey && r.Fail == nil:
		return errors.New("does nothing: give it say, call, fill, obey or fail")
	case r.Obey && len(r.Call) > 0:
		return errors.New("obey makes its own calls; take call away")
	case !slices.Contains([]string{"", "max_tokens", "refusal"}, r.Stop):
		return fmt.Errorf("stop %q: want max_tokens or refusal", r.Stop)
	case r.Fill < 0 || r.Times < 0 || r.When.Every < 0:
		return errors.New("fill, times and every cannot be negative")
	}
	for _, c := range r.Call {
		if c.Tool == "" {
			return errors.New("a call needs its tool")
		}
		if c.Raw != "" && c.Arguments != nil {
			return fmt.Errorf("call of %s: raw stands instead of arguments; take one away", c.Tool)
		}
	}
	if err := r.Fail.check(does); err != nil {
		return err
	}
	return r.checkNames()
}

func (f *Fail) check(does bool) error {
	if f == nil {
		return nil
	}
	ways := 0
	for _, given := range []bool{f.Status != 0, f.Cut, f.Hang} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("fail: give one of status, cut and hang")
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("fail: status %d: want one from 400 to 599", f.Status)
	case f.After != nil && *f.After < 0:
		return errors.New("fail: after cannot be negative")
	case f.After != nil && !does:
		return errors.New("fail: after counts pieces of an answer; give it say, fill or call too")
	case f.After == nil && does:
		return errors.New("fail: an answer that fails needs after, the pieces sent before")
	}
	return nil
}
