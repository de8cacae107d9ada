package prometheus

import (
	"context"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// The values that a matcher is tried on: ordinary ones of every initial, of the
// two ways in which alerts, teams, services and severities are named.
var ordinary = [][]string{
	strings.Fields(`Abandoned BackupTooOld CoreDown DiskFull ErrorBudgetBurn FlappingLink GatewayTimeouts HighLatency
		IngressErrors JobFailed KubePodCrashLooping LoginsFail MemoryPressure NodeNotReady OutOfQuota PaymentsRejected QueueFull
		ReplicaLag SwapInUse TargetDown UnboundVolume VolumeLost Watchdog XidErrors YearEndClose ZooKeeperLost`),
	strings.Fields(`accounts billing critical database-1 edge frontend gateway high info jenkins kube-system logging
		monitoring node-exporter orders payments queue redis shop-prod team-a users vault warning xen yarn zookeeper`),
}

// selectsNothing reports whether a matcher lets every alert through, or most of
// them: by its form, not by what fires now. An expression that matches everything,
// however it is written, matches all ordinary values too.
func selectsNothing(m *labels.Matcher) bool {
	switch m.Type {
	case labels.MatchEqual:
		return false
	case labels.MatchNotEqual, labels.MatchNotRegexp:
		return true // all but what it names
	}
	for _, values := range ordinary {
		n := 0
		for _, v := range values {
			if m.Matches(v) {
				n++
			}
		}
		if n > len(values)/2 {
			return true
		}
	}
	return false
}

// mutesAll reports whether a silence would leave none of the held alerts. One
// name alone may be all that fires, and is no less named for it.
func mutesAll(held, mutes []heldAlert) bool {
	return len(mutes) == len(held) && len(alertNames(held)) > 1
}

// mutesAnything reports whether no alert could escape matchers: they must have
// one that names values, and that an alert without the label does not match.
func mutesAnything(ms labels.Matchers) bool {
	for _, m := range ms {
		if !selectsNothing(m) && !m.Matches("") {
			return false
		}
	}
	return true
}

// onEveryAlert are the labels that Prometheus gives every alert it sends. It
// need not answer for a silence to be made.
func (b *Backend) onEveryAlert(ctx context.Context) model.LabelSet {
	c, err := b.prometheus()
	if err != nil {
		return nil
	}
	ctx, enough := context.WithTimeout(ctx, dialTimeout)
	defer enough()
	return externalLabels(ctx, c)
}
