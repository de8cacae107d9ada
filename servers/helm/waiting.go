package helm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
)

// Wait implements [kube.Interface].
func (w *watched) Wait(resources kube.ResourceList, _ time.Duration) error {
	return w.ready(resources, false)
}

// WaitWithJobs implements [kube.Interface].
func (w *watched) WaitWithJobs(resources kube.ResourceList, _ time.Duration) error {
	return w.ready(resources, true)
}

// ready waits until every object is, as Helm understands it.
func (w *watched) ready(resources kube.ResourceList, jobs bool) error {
	cs, err := w.Factory.KubernetesClientSet()
	if err != nil {
		return err
	}
	checker := kube.NewReadyChecker(cs, nil, kube.PausedAsReady(true), kube.CheckJobs(jobs))
	var lagging kube.ResourceList
	err = w.until(func(ctx context.Context) (bool, error) {
		var late kube.ResourceList
		for _, info := range resources {
			ok, err := checker.IsReady(ctx, info)
			switch {
			case ctx.Err() != nil:
				return false, nil
			case err != nil && !passing(err):
				lagging = kube.ResourceList{info}
				return false, w.refused("wait for", w.nameOf(info), err)
			case !ok:
				late.Append(info)
			}
		}
		if lagging = late; len(late) == 0 {
			return true, nil
		}
		ready, text := len(resources)-len(late), "waiting for "+state(late[0])
		if len(late) > 1 {
			text += ", and for " + plural(len(late)-1, "more object")
		}
		w.r.tell(ready, len(resources), text)
		return false, nil
	})
	if err != nil {
		w.r.blame(lagging)
	}
	return err
}

// state says how far an object is, such as "2 of 3 pods of deployment web to
// become ready".
func state(info *resource.Info) string {
	kind := strings.ToLower(kindOf(info))
	live, err := read(info)
	if err != nil {
		return kind + " " + info.Name
	}
	number := func(path ...string) int64 {
		n, _, _ := unstructured.NestedInt64(live.Object, path...)
		return n
	}
	switch kind {
	case "deployment", "statefulset", "replicaset", "replicationcontroller":
		return fmt.Sprintf("%s %s, %d of %d pods ready", kind, info.Name, number("status", "readyReplicas"), number("spec", "replicas"))
	case "daemonset":
		return fmt.Sprintf("%s %s, %d of %d pods ready", kind, info.Name, number("status", "numberReady"), number("status", "desiredNumberScheduled"))
	case "job":
		return fmt.Sprintf("%s %s, %d active, %d failed", kind, info.Name, number("status", "active"), number("status", "failed"))
	case "service":
		return kind + " " + info.Name + " to get an external address"
	}
	return kind + " " + info.Name
}

func kindOf(info *resource.Info) string { return info.Mapping.GroupVersionKind.Kind }

// read returns the object as it is now, leaving info alone.
func read(info *resource.Info) (*unstructured.Unstructured, error) {
	o, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if err != nil {
		return nil, err
	}
	live, ok := o.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("%s %s is a %T", kindOf(info), info.Name, o)
	}
	return live, nil
}

// WatchUntilReady implements [kube.Interface]: it waits until the Jobs and Pods
// of a hook have ended well.
func (w *watched) WatchUntilReady(resources kube.ResourceList, _ time.Duration) error {
	for _, info := range resources {
		kind := kindOf(info)
		if kind != "Job" && kind != "Pod" {
			continue
		}
		what := fmt.Sprintf("hook %s %s", strings.ToLower(kind), info.Name)
		began := w.r.b.now()
		err := w.until(func(context.Context) (bool, error) {
			live, err := read(info)
			switch {
			case apierrors.IsNotFound(err): // it may delete itself once done
				return true, nil
			case err != nil && passing(err):
				return false, nil
			case err != nil:
				return false, w.refused("wait for", what, err)
			}
			w.r.tell(0, 1, fmt.Sprintf("waiting for %s, %s so far", what, w.r.b.now().Sub(began).Round(time.Second)))
			return hookEnded(what, live)
		})
		if err != nil {
			w.r.quote(info, what)
			return err
		}
	}
	return nil
}

// hookEnded reports whether a Job or a Pod ended well; an error if it ended badly.
func hookEnded(what string, o *unstructured.Unstructured) (bool, error) {
	switch phase, _, _ := unstructured.NestedString(o.Object, "status", "phase"); phase {
	case "Succeeded":
		return true, nil
	case "Failed":
		return false, mcpkit.Errorf(mcpkit.Conflict, "%s failed", what)
	}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		c, _ := c.(map[string]any)
		switch {
		case c["status"] != "True":
		case c["type"] == "Complete":
			return true, nil
		case c["type"] == "Failed":
			return false, mcpkit.Errorf(mcpkit.Conflict, "%s failed: %v", what, c["reason"])
		}
	}
	return false, nil
}

// WaitForDelete implements [kube.InterfaceExt].
func (w *watched) WaitForDelete(resources kube.ResourceList, _ time.Duration) error {
	return w.until(func(context.Context) (bool, error) {
		gone := 0
		for _, info := range resources {
			_, err := read(info)
			switch {
			case apierrors.IsNotFound(err):
				gone++
			case err != nil && !passing(err):
				return false, w.refused("wait for the end of", w.nameOf(info), err)
			default:
				w.r.tell(gone, len(resources), "waiting for "+w.nameOf(info)+" to be gone")
				return false, nil
			}
		}
		return true, nil
	})
}
