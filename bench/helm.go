package bench

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Helm measures helm-mcp beside helm processes, on a cluster with thirty
// releases.
func Helm(ctx context.Context, w io.Writer, o Options) error {
	r, err := startReleases(ctx, o.Progress)
	if err != nil {
		return err
	}
	defer r.stop()
	srv, err := startServer(ctx, o.program("helm-mcp"), "--kubeconfig", r.cluster.Kubeconfig, "--repositories", r.repositories())
	if err != nil {
		return err
	}
	defer srv.stop()
	if err := askHelm(ctx, w, o, srv, r); err != nil {
		return err
	}
	return footprint(ctx, w, srv, o.Rounds, process("helm version", r.helm("version")))
}

func askHelm(ctx context.Context, w io.Writer, o Options, srv *server, r *releases) error {
	var all []comparison
	rounds := min(o.Rounds, 20)
	for _, q := range releaseQuestions {
		c, err := compare(ctx, srv, rounds, q.question, r.answers(q.lines))
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	fmt.Fprintf(w, "\n## helm\n\nOn one cluster with thirty releases in five namespaces, beside the helm and kubectl processes that give the same facts as one would read them at a terminal. Every answer, ours and theirs, was found to hold every fact asked for.\n\n### %d questions, %d rounds side by side\n", len(all), rounds)
	write(w, all, bars{bytes: 0.5, time: 1.0 / 3})
	return nil
}

// answers is what the command lines print, run one after another.
func (r *releases) answers(lines []string) peer {
	return peer{"helm processes", func(ctx context.Context) (string, error) {
		var all strings.Builder
		for _, line := range lines {
			cmd := r.helm(strings.Fields(line)...)
			if args, ok := strings.CutPrefix(line, "kubectl "); ok {
				cmd = r.kubectl(strings.Fields(args)...)
			}
			out, err := cmd.run(ctx)
			if err != nil {
				return "", err
			}
			all.WriteString(out)
		}
		return all.String(), nil
	}}
}
