package declared

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// PriceTable is what models cost, by the beginning of their names.
type PriceTable struct{ own, listed map[string]Prices }

//go:embed prices.yaml
var pricesYAML []byte

// priceFile is the form of prices.yaml.
type priceFile struct {
	Models map[string]struct {
		Input      *float64 `json:"input"`
		Output     *float64 `json:"output"`
		CacheRead  *float64 `json:"cacheRead"`
		CacheWrite *float64 `json:"cacheWrite"`
	} `json:"models"`
}

// ParsePrices reads a price table: US dollars for a million tokens. For models
// it does not name, the prices that providers list are used. Its error names
// each entry that is wrong.
func ParsePrices(text []byte) (PriceTable, error) {
	listed, err := readPrices(pricesYAML)
	if err != nil {
		return PriceTable{}, fmt.Errorf("built-in prices: %w", err)
	}
	own, err := readPrices(text)
	return PriceTable{own, listed}, err
}

func readPrices(text []byte) (map[string]Prices, error) {
	var file priceFile
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, err
	}
	prices := map[string]Prices{}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(file.Models)) {
		m := file.Models[name]
		if name == "" || m.Input == nil || m.Output == nil {
			problems = append(problems, fmt.Errorf("models[%s]: give input and output, in US dollars for a million tokens", name))
			continue
		}
		p := Prices{Known: true, Input: *m.Input, Output: *m.Output, CacheRead: *m.Input, CacheWrite: *m.Input}
		if m.CacheRead != nil {
			p.CacheRead = *m.CacheRead
		}
		if m.CacheWrite != nil {
			p.CacheWrite = *m.CacheWrite
		}
		if least, most := min(p.Input, p.Output, p.CacheRead, p.CacheWrite), max(p.Input, p.Output, p.CacheRead, p.CacheWrite); !(least >= 0) || math.IsInf(most, 0) {
			problems = append(problems, fmt.Errorf("models[%s]: prices are numbers from 0 on", name))
			continue
		}
		prices[name] = p
	}
	return prices, errors.Join(problems...)
}

// Of is what the model costs. A table of one's own goes before the listed
// prices; in each, the longest name counts that the model's begins with. Known
// is false if there is none.
func (t PriceTable) Of(model string) Prices {
	model = strings.TrimPrefix(model, "models/") // as Gemini has it
	for _, table := range []map[string]Prices{t.own, t.listed} {
		longest := ""
		for name := range table {
			if len(name) > len(longest) && begins(model, name) {
				longest = name
			}
		}
		if longest != "" {
			return table[longest]
		}
	}
	return Prices{}
}

// begins reports whether name is model's, or all of its first parts: gpt-5 is no
// part of gpt-5.7 or gpt-50.
func begins(model, name string) bool {
	rest, ok := strings.CutPrefix(model, name)
	if !ok || rest == "" || strings.HasSuffix(name, "-") {
		return ok
	}
	return strings.ContainsRune("-@:", rune(rest[0]))
}
