package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// asTable asks for runs as kubectl shows them: without their events, of which
// each may hold a mebibyte.
const asTable = "application/json;as=Table;g=meta.k8s.io;v=v1"

// row is what a table tells of a run.
type row struct {
	name       string
	uid        types.UID
	version    string
	generation int64
	created    time.Time
	phase      v1alpha1.RunPhase
	cells      map[string]any // by the name of their column
}

// table lists runs, and says at which version.
func (c *Cluster) table(ctx context.Context, r *rest.Request) ([]row, string, error) {
	raw, err := c.on(r).SetHeader("Accept", asTable).Do(ctx).Raw()
	if err != nil {
		return nil, "", err
	}
	t, err := decodeTable(raw)
	if err != nil {
		return nil, "", err
	}
	rows, err := rowsOf(t, nil)
	return rows, t.ResourceVersion, err
}

func decodeTable(raw []byte) (metav1.Table, error) {
	t, err := decode[metav1.Table](raw)
	if err == nil && len(t.ColumnDefinitions) == 0 {
		err = errors.New("it has no columns")
	}
	if err != nil {
		return t, fmt.Errorf("read a table of runs: %w", err)
	}
	return t, nil
}

// columns are the names of a table's columns.
func columns(t metav1.Table) []string {
	var names []string
	for _, c := range t.ColumnDefinitions {
		names = append(names, c.Name)
	}
	return names
}

// rowsOf reads a table. One of a watch names its columns only at first; known
// are those that it has named.
func rowsOf(t metav1.Table, known []string) ([]row, error) {
	names := known
	if len(t.ColumnDefinitions) > 0 {
		names = columns(t)
	}
	var rows []row
	for _, found := range t.Rows {
		var o metav1.PartialObjectMetadata
		if err := json.Unmarshal(found.Object.Raw, &o); err != nil {
			return nil, fmt.Errorf("read a table of runs: %w", err)
		}
		r := row{
			name: o.Name, uid: o.UID, version: o.ResourceVersion, generation: o.Generation, created: o.CreationTimestamp.Time,
			cells: map[string]any{},
		}
		for i, cell := range found.Cells[:min(len(found.Cells), len(names))] {
			r.cells[names[i]] = cell
		}
		phase, _ := r.cells["Phase"].(string)
		r.phase = v1alpha1.RunPhase(phase)
		rows = append(rows, r)
	}
	return rows, nil
}

// notOver selects the agent's runs of which more may become.
func (c *Cluster) notOver() string {
	parts := []string{"spec.agent=" + c.agent.Name}
	for _, p := range []v1alpha1.RunPhase{v1alpha1.RunCompleted, v1alpha1.RunStopped, v1alpha1.RunFailed, v1alpha1.RunCancelled} {
		parts = append(parts, "status.phase!="+string(p))
	}
	return strings.Join(slices.Clip(parts), ",")
}
