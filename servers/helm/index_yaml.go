package helm

import (
	"bytes"
	"errors"

	"helm.sh/helm/v3/pkg/repo"
	"sigs.k8s.io/yaml"
)

// errLayout is an index that cannot be taken apart by its lines.
var errLayout = errors.New("not laid out as helm writes it")

// yaml reads an index whose lines are laid out as YAML libraries do: what stands
// under entries is a chart's name, what stands under that are its versions.
func (in *intake) yaml(data []byte) error {
	s := splitter{in: in, data: data}
	for at := 0; at < len(data) && !s.ended; {
		end := len(data)
		if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		if err := s.line(at, data[at:end]); err != nil {
			return err
		}
		at = end
	}
	if err := s.begin(len(data), nil); err != nil {
		return err
	}
	var rest struct {
		APIVersion string `json:"apiVersion"`
		Entries    any    `json:"entries"`
	}
	if err := yaml.Unmarshal(s.rest, &rest); err != nil {
		return err
	}
	if rest.Entries != nil {
		return errLayout
	}
	in.apiVersion = rest.APIVersion
	return nil
}

// splitter takes an index apart.
type splitter struct {
	in   *intake
	data []byte
	rest []byte // what is not under entries

	start int                // of the part that is being read
	end   func([]byte) error // takes that part
	ended bool               // the document is over

	entries bool   // the lines are under them
	keys    int    // how far the names of charts are indented; 0 if not known
	items   int    // how far the versions of the present chart are; -1 if not known
	chosen  bool   // there is a present chart
	name    string // of it, once what stands before its versions is read
}

// line looks at one more line. Blank ones and comments belong to the part they
// stand in.
func (s *splitter) line(at int, line []byte) error {
	text := bytes.TrimLeft(line, " ")
	indent := len(line) - len(text)
	text = bytes.TrimRight(text, " \r\n")
	switch {
	case len(text) == 0 || text[0] == '#':
		return nil
	case indent == 0 && (string(text) == "---" || string(text) == "..."):
		s.ended = s.end != nil
		return s.begin(at, nil)
	case indent == 0:
		return s.top(at, text)
	case !s.entries:
		return nil
	case s.keys == 0:
		s.keys = indent
	case indent < s.keys:
		return errLayout
	}
	switch item := string(text) == "-" || bytes.HasPrefix(text, []byte("- ")); {
	case item && s.chosen && (s.items < 0 || s.items == indent):
		s.items = indent
		return s.begin(at, s.version)
	case indent == s.keys && item:
		return errLayout
	case indent == s.keys:
		s.items, s.chosen = -1, true
		return s.begin(at, s.chart)
	}
	return nil
}

// top begins what stands at the left.
func (s *splitter) top(at int, text []byte) error {
	if bytes.HasPrefix(text, []byte("entries:")) {
		if s.entries = string(text) == "entries:"; !s.entries {
			return errLayout
		}
		return s.begin(at+len(text), func([]byte) error { return nil })
	}
	if text[0] == '-' && s.end != nil && !s.entries {
		return nil // a list
	}
	s.entries = false
	return s.begin(at, func(part []byte) error {
		s.rest = append(s.rest, part...)
		if len(s.rest) > partBytes {
			return errLayout
		}
		return nil
	})
}

// begin ends the part that is being read and begins the next.
func (s *splitter) begin(at int, end func([]byte) error) error {
	part, take := s.data[s.start:at], s.end
	s.start, s.end = at, end
	switch {
	case take == nil:
		return nil
	case len(part) > partBytes && s.entries:
		return errLayout
	}
	return take(part)
}

// chart takes the line with a chart's name, and its versions if they stand
// there too.
func (s *splitter) chart(part []byte) error {
	var charts map[string]repo.ChartVersions
	if err := yaml.Unmarshal(part, &charts); err != nil {
		return err
	}
	if len(charts) != 1 {
		return errLayout
	}
	for name, versions := range charts {
		s.name = name
		s.in.add(name, versions...)
	}
	return nil
}

// version takes one version of the present chart.
func (s *splitter) version(part []byte) error {
	var versions repo.ChartVersions
	if err := yaml.Unmarshal(part, &versions); err != nil {
		return err
	}
	s.in.add(s.name, versions...)
	return nil
}
