// Package sdks holds the scripted model server to the SDKs of Anthropic and
// OpenAI themselves. It is a module of its own, so that nothing else that uses
// the testbed gets their requirements, and holds no code that anything imports.
// OpenAI's is an older release of the same major version, which says the same
// on this wire and compiles in less than half of the time.
package sdks
