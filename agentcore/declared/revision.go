package declared

import (
	"path/filepath"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// revision is that of the files by their names, as the controller computes it of
// those that it mounts.
func (d *Directory) revision() string {
	files := map[string]string{}
	for path, content := range d.files {
		files[filepath.Base(path)] += content
	}
	return kagent.Revision(files)
}
