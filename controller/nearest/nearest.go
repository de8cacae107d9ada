// Package nearest finds, for a name that is not there, those it was probably
// meant to be. It refuses to guess at names that have little in common.
package nearest

import (
	"cmp"
	"slices"
	"strings"
)

// most is how many names are worth reading.
const most = 3

// Names are the names that are most like name, the likest first.
func Names(name string, of []string) []string {
	type candidate struct {
		name string
		far  int
	}
	var near []candidate
	for _, n := range of {
		far := distance(strings.ToLower(name), strings.ToLower(n))
		if far <= max(2, len(name)/2) || strings.Contains(n, name) || strings.Contains(name, n) {
			near = append(near, candidate{n, far})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name)) })
	var out []string
	for _, c := range near[:min(len(near), most)] {
		out = append(out, c.name)
	}
	return out
}

// Advice is a sentence that names what is nearest, or says what there is.
func Advice(name string, of []string) string {
	if near := Names(name, of); len(near) > 0 {
		return "the nearest are " + strings.Join(near, ", ")
	}
	if len(of) == 0 {
		return "there are none"
	}
	of = slices.Sorted(slices.Values(of))
	if len(of) > 2*most {
		return "there are " + strings.Join(of[:2*most], ", ") + " and others"
	}
	return "there are " + strings.Join(of, ", ")
}

// distance is how many bytes must be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, change)
		}
	}
	return row[len(b)]
}
