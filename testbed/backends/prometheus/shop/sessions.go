package shop

import "fmt"

// Sessions is how many series testbed_session_seconds has. The value of each
// is its number.
const Sessions = 20000

// Target and SessionTarget are the labels that Prometheus adds.
var (
	Target        = []string{"job", "shop", "instance", "shop-1"}
	SessionTarget = []string{"job", "sessions", "instance", "sessions-1"}
)

// Session returns the labels of one series: user-00000 to user-19999, each of
// one of twenty shards, shard-00 to shard-19.
func Session(i int) (user, shard string) {
	return fmt.Sprintf("user-%05d", i), fmt.Sprintf("shard-%02d", i%20)
}
