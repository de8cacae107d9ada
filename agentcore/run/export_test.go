package run

import "github.com/toolcrib/toolcrib/agentcore/model"

// Conversation is what the model is shown.
func (s *State) Conversation() []model.Message { return s.conversation(newFence(s.Seed)) }

// Mark is what sets foreign text apart in a run.
func Mark(seed string) string { return newFence(seed).mark }
