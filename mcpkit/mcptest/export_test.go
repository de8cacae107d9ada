package mcptest

// What the contract finds, for its own tests.
var (
	Faults = faults
	Writes = writes
)
