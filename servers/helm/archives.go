package helm

import (
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// readArchive reads an archive of the operator's folder. Links lead nowhere
// outside it.
func (b *Backend) readArchive(name string) ([]byte, error) {
	if b.cfg.ChartDir == "" {
		return nil, mcpkit.Errorf(mcpkit.NotFound, "no folder of chart archives is configured; write REPOSITORY/CHART, or have a person start the server with --chart-dir")
	}
	folder, err := os.OpenRoot(b.cfg.ChartDir)
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the folder of chart archives cannot be opened: %w", err)
	}
	defer folder.Close()
	f, err := folder.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not hold up the call
	if err != nil {
		return nil, missingArchive(folder, name)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, missingArchive(folder, name)
	}
	data, err := readAtMost(f, info.Size(), archiveBytes, name)
	if err != nil {
		return nil, unpackFailed(err, name)
	}
	return data, nil
}

func missingArchive(folder *os.Root, name string) error {
	names := archives(folder)
	text := "it is empty"
	if len(names) > 0 {
		text = "it holds " + listed(names)
	}
	if near := mcpkit.Nearest(name, names); len(near) > 0 {
		text = "the nearest names are " + strings.Join(near, ", ")
	}
	return mcpkit.Errorf(mcpkit.NotFound, "the operator's folder of charts has no archive %q that can be read; %s", name, text)
}

// archives are the names of the archives in the operator's folder.
func archives(folder *os.Root) []string {
	dir, err := folder.Open(".")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(1000) // as many as can be read are better than none
	slices.Sort(names)
	return slices.DeleteFunc(names, func(n string) bool {
		info, err := folder.Stat(n)
		return !strings.HasSuffix(n, ".tgz") || err != nil || !info.Mode().IsRegular()
	})
}
