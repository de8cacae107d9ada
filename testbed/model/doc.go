// Package model is a model server that plays scripts. It stands for a model in
// tests and in the demo, where none can be reached: it speaks the wires of
// Anthropic and OpenAI as their own SDKs expect them, checks what it is sent as
// the real ones do, reacts to what tools really returned, and misbehaves when a
// scenario says so. It refuses to think: what no rule foresees is an error that
// says so, never an invented answer.
package model
