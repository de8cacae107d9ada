package mcpkit

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// toolsCommand prints the table that READMEs show.
func (p Program) toolsCommand() *cobra.Command {
	var access string
	cmd := &cobra.Command{
		Use:   "tools",
		Short: "Print the tools of an access mode as a Markdown table",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAccess(access, AccessRead, AccessWrite, AccessAll); err != nil {
				return err
			}
			ts := NewToolset()
			if err := p.Register(ts); err != nil {
				return err
			}
			_, err := io.WriteString(cmd.OutOrStdout(), ts.Markdown(Access(access)))
			return err
		},
	}
	cmd.Flags().StringVar(&access, "access", string(AccessAll), "whose tools: read, write or `all`")
	return cmd
}

// Markdown is the tool table of one access mode, for a README.
func (ts *Toolset) Markdown(a Access) string {
	var b strings.Builder
	b.WriteString("| tool | class | what it does |\n|---|---|---|\n")
	for _, t := range ts.served(a) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", t.Name, t.class, strings.ReplaceAll(firstSentence(t.Description), "|", `\|`))
	}
	return b.String()
}

// firstSentence ends at the first full stop before a space, or with s.
func firstSentence(s string) string {
	if head, _, ok := strings.Cut(s, ". "); ok {
		return head + "."
	}
	return s
}
