package runs

// Rename has c be a process of another pod.
func Rename(c *Cluster, pod string) { c.pod, c.holder = pod+"/", pod+"/1" }
