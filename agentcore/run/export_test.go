package run

import "github.com/toolcrib/toolcrib/agentcore/model"

// Conversation is what the model is shown.
func (s *State) Conversation() []model.Message { return s.conversation(newFence(s.Seed)) }
