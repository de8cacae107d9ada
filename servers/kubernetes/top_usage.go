package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resources "k8s.io/component-helpers/resource"
)

// usageItem is what the metrics API says of one node or pod, as far as it is read.
type usageItem struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Usage      usage `json:"usage"` // of a node
	Containers []struct {
		Name  string `json:"name"`
		Usage usage  `json:"usage"`
	} `json:"containers"` // of a pod
}

type usage struct {
	CPU    resource.Quantity `json:"cpu"`
	Memory resource.Quantity `json:"memory"`
}

func (u usage) amounts() amounts { return amounts{u.CPU.MilliValue(), u.Memory.Value()} }

// eachItem decodes the items of a list one by one.
func eachItem[T any](r io.Reader, do func(T)) error {
	d := json.NewDecoder(r)
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			if depth--; depth == 0 {
				return fmt.Errorf("a list without items")
			}
		case "items":
			if depth == 1 {
				return items(d, do)
			}
		}
	}
}

// items decodes a JSON list whose name was just read.
func items[T any](d *json.Decoder, do func(T)) error {
	token, err := d.Token()
	if err != nil || token == nil {
		return err
	}
	for d.More() {
		var item T
		if err := d.Decode(&item); err != nil {
			return err
		}
		do(item)
	}
	return nil
}

// pods answers for pods or, one by one, for their containers.
func (t *topTally) pods(ctx context.Context) (TopOut, error) {
	used, err := t.podUsage(ctx)
	if err != nil {
		return TopOut{}, err
	}
	if t.in.ResourceName != "" && len(used) == 0 {
		return TopOut{}, t.notFound(ctx, "pods")
	}
	o := metav1.ListOptions{LabelSelector: t.in.LabelSelector}
	if t.in.ResourceName != "" {
		o.FieldSelector = "metadata.name=" + t.in.ResourceName
	}
	err = t.b.eachPod(ctx, t.in.Namespace, o, func(pod *corev1.Pod) {
		key := podKey{pod.Namespace, pod.Name}
		t.addPod(pod, used[key])
		delete(used, key)
	})
	if err != nil {
		if err := t.partDenied(err, "requests and limits"); err != nil {
			return TopOut{}, err
		}
		for key, containers := range used {
			t.addPod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: key.namespace, Name: key.name}}, containers)
		}
	}
	columns := []string{"namespace", "pod", "cpu", "cpu_request", "cpu_limit", "memory", "memory_request", "memory_limit"}
	what := "pods"
	if t.in.ResourceType == "containers" {
		what, columns = "containers", append([]string{"namespace", "pod", "container"}, columns[2:]...)
	}
	return t.answer(what, columns, func(r topRow) []string {
		return []string{
			cores(r.used.cpu), share(r.used.cpu, r.asked.cpu, cores), share(r.used.cpu, r.most.cpu, cores),
			inBytes(r.used.memory), share(r.used.memory, r.asked.memory, inBytes), share(r.used.memory, r.most.memory, inBytes),
		}
	})
}

type podKey struct{ namespace, name string }

// podUsage is what each container of each pod uses.
func (t *topTally) podUsage(ctx context.Context) (map[podKey]map[string]amounts, error) {
	used := map[podKey]map[string]amounts{}
	err := t.b.eachUsage(ctx, "pods", t.in.Namespace, t.in.LabelSelector, func(item usageItem) {
		if t.in.ResourceName != "" && item.Metadata.Name != t.in.ResourceName {
			return
		}
		containers := make(map[string]amounts, len(item.Containers))
		for _, c := range item.Containers {
			containers[c.Name] = c.Usage.amounts()
		}
		used[podKey{item.Metadata.Namespace, item.Metadata.Name}] = containers
	})
	return used, err
}

// addPod takes in one pod with what its containers use.
func (t *topTally) addPod(pod *corev1.Pod, used map[string]amounts) {
	if used == nil {
		if pod.Status.Phase == corev1.PodRunning {
			t.blind++
		}
		return
	}
	var sum amounts
	for _, name := range sortedKeys(used) {
		u := used[name]
		sum.add(u)
		asked, most := containerResources(pod, name)
		t.near(fmt.Sprintf("%s/%s/%s", pod.Namespace, pod.Name, name), u, most, "limit of %s")
		if t.in.ResourceType == "containers" {
			t.add(topRow{names: []string{pod.Namespace, pod.Name, name}, used: u, asked: asked, most: most})
		}
	}
	t.sum.add(sum)
	if t.in.ResourceType == "containers" {
		return
	}
	asked := amountsOf(resources.PodRequests(pod, resources.PodResourcesOptions{}))
	t.add(topRow{names: []string{pod.Namespace, pod.Name}, used: sum, asked: asked, most: podLimits(pod)})
}

func amountsOf(l corev1.ResourceList) amounts {
	return amounts{l.Cpu().MilliValue(), l.Memory().Value()}
}

// containerResources are what a container asked for and may use.
func containerResources(pod *corev1.Pod, name string) (asked, most amounts) {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			if c.Name == name {
				return amountsOf(c.Resources.Requests), amountsOf(c.Resources.Limits)
			}
		}
	}
	return amounts{}, amounts{}
}

// podLimits is what a pod as a whole may use: nothing bounds it while one of
// its containers is unbounded, unless the pod has a limit of its own.
func podLimits(pod *corev1.Pod) amounts {
	most := amountsOf(resources.PodLimits(pod, resources.PodResourcesOptions{}))
	var own corev1.ResourceList
	if pod.Spec.Resources != nil {
		own = pod.Spec.Resources.Limits
	}
	for _, c := range pod.Spec.Containers {
		if c.Resources.Limits.Cpu().IsZero() && own.Cpu().IsZero() {
			most.cpu = 0
		}
		if c.Resources.Limits.Memory().IsZero() && own.Memory().IsZero() {
			most.memory = 0
		}
	}
	return most
}

// cores writes thousandths of a core as a quantity: 250m, 1.5.
func cores(milli int64) string {
	if milli == 0 {
		return "0"
	}
	if milli < 1000 {
		return strconv.FormatInt(milli, 10) + "m"
	}
	return strconv.FormatFloat(float64(milli/10)/100, 'f', -1, 64)
}

// inBytes writes bytes as a quantity of three digits or so: 260Ki, 498Mi, 12.5Gi.
func inBytes(n int64) string {
	for _, u := range []struct {
		text  string
		shift uint
	}{{"Ti", 40}, {"Gi", 30}, {"Mi", 20}, {"Ki", 10}} {
		if whole := n >> u.shift; whole >= 10 {
			return strconv.FormatInt(whole, 10) + u.text
		} else if whole > 0 {
			return strconv.FormatFloat(float64(n*10>>u.shift)/10, 'f', -1, 64) + u.text
		}
	}
	return strconv.FormatInt(n, 10)
}

// share writes a use against what it is of: "50% of 500m".
func share(used, of int64, text func(int64) string) string {
	if of == 0 {
		return "none"
	}
	return percent(used, of) + " of " + text(of)
}

func percent(n, of int64) string {
	if of == 0 {
		return "all"
	}
	return strconv.FormatInt(n*100/of, 10) + "%"
}
