// Package sdks holds the scripted model server to the SDKs of Anthropic and
// OpenAI themselves. It is a module of its own, so that nothing else that uses
// the testbed gets their requirements, and holds no code that anything imports.
package sdks
