package mcpkit_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var countWords = mcpkit.Tool{
	Name:        "text_count_words",
	Title:       "Count Words",
	Description: "Counts the words of a text.",
}

type CountIn struct {
	Text  string `json:"text" jsonschema:"text to count"`
	Limit int    `json:"limit,omitempty" jsonschema:"most words to count; 1000 if absent"`
}

// Constrain says what the Go type cannot.
func (CountIn) Constrain(p mcpkit.Properties) { p["limit"].Minimum = new(1.0) }

type CountOut struct {
	Words     int  `json:"words"`
	Truncated bool `json:"truncated" jsonschema:"whether the text has more words than limit"`
}

func count(_ context.Context, in CountIn) (CountOut, error) {
	if strings.TrimSpace(in.Text) == "" {
		return CountOut{}, mcpkit.Errorf(mcpkit.Invalid, "the text is empty; pass at least one word")
	}
	words, truncated := mcpkit.FirstN(strings.Fields(in.Text), in.Limit, 1000)
	return CountOut{len(words), truncated}, nil
}

// A tool is what the model sees, what it sends, what it gets back, and the
// work, which knows no MCP. One line registers it; mcpkit.Main serves it.
func Example() {
	ts := mcpkit.NewToolset()
	mcpkit.Read(ts, countWords, count)
	fmt.Print(ts.Markdown(mcpkit.AccessRead))
	// Output:
	// | tool | class | what it does |
	// |---|---|---|
	// | `text_count_words` | read | Counts the words of a text. |
}
