package toolbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// nameBytes is how long a tool's name may be, for any provider of models.
const nameBytes = 64

// origin is what a tool is besides its name.
type origin struct {
	server string // NAMESPACE/NAME
	remote string
	agent  bool
}

// wishes are the names that the tool would like to have, best first: its own,
// with its server, with its server's namespace, and one that no other tool has.
func (o origin) wishes() []string {
	namespace, server, _ := strings.Cut(o.server, "/")
	own := o.remote
	if o.agent {
		own = "ask_" + server
	}
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q %q %t", o.server, o.remote, o.agent)))
	last := "_" + hex.EncodeToString(sum[:4])
	return []string{
		allowed(own, nameBytes),
		allowed(server+"__"+own, nameBytes),
		allowed(namespace+"__"+server+"__"+own, nameBytes),
		allowed(own, nameBytes-len(last)) + last,
	}
}

// allowed is name in the characters that every provider takes, within limit bytes.
// Where that loses something, an ending keeps it apart from its like.
func allowed(name string, limit int) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, name)
	if plain == name && len(name) <= limit && name != "" {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	last := "_" + hex.EncodeToString(sum[:3])
	return plain[:min(len(plain), limit-len(last))] + last
}

// distinct names tools, each unlike the others and within what models take. A
// name that two would have is neither's: both are named with their servers. It
// depends on the set of tools alone, not on their order.
func distinct(tools []origin) []string {
	wishes, at := make([][]string, len(tools)), make([]int, len(tools))
	for i, t := range tools {
		wishes[i] = t.wishes()
	}
	for {
		having := map[string][]int{}
		for i := range tools {
			having[wishes[i][at[i]]] = append(having[wishes[i][at[i]]], i)
		}
		again := false
		for _, same := range having {
			for _, i := range same {
				if len(same) > 1 && at[i] < len(wishes[i])-1 {
					at[i]++
					again = true
				}
			}
		}
		if !again {
			break
		}
	}
	out := make([]string, len(tools))
	for i := range tools {
		out[i] = wishes[i][at[i]]
	}
	return out
}

// clashes says which tools have another name than they would alone, a line for
// each name that several wanted.
func clashes(tools []origin, names []string) []string {
	wanted := map[string][]string{}
	for i, t := range tools {
		first := t.wishes()[0]
		wanted[first] = append(wanted[first], fmt.Sprintf("%s of %s", names[i], t.server))
	}
	var out []string
	for name, of := range wanted {
		if len(of) > 1 {
			slices.Sort(of)
			out = append(out, fmt.Sprintf("several servers have a tool %s; they are called %s", name, strings.Join(of, ", ")))
		}
	}
	slices.Sort(out)
	return out
}
