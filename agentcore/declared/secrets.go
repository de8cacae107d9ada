package declared

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"k8s.io/apimachinery/pkg/util/validation"
)

// keyVariables are the environment's variables by which people know the keys of
// providers.
var keyVariables = map[kagent.ModelProvider][]string{
	kagent.ProviderAnthropic:   {"ANTHROPIC_API_KEY"},
	kagent.ProviderOpenAI:      {"OPENAI_API_KEY"},
	kagent.ProviderAzureOpenAI: {"AZURE_OPENAI_API_KEY"},
	kagent.ProviderGemini:      {"GEMINI_API_KEY", "GOOGLE_API_KEY"},
	kagent.ProviderOllama:      {"OLLAMA_API_KEY"},
}

// secrets looks for values where the agent runs: in the mounts of its pod, or in
// the Secrets of a person's directory and the environment.
type secrets struct {
	from      Sources
	namespace string
	declared  map[key]object[secret]

	model     key      // the Secret and key of the provider's key
	variables []string // that may hold it
}

func (r *resolution) secrets(m kagent.ModelConfig) Secrets {
	return &secrets{
		from: r.from, namespace: r.out.Namespace, declared: r.Directory.secrets,
		model: key{m.Spec.APIKeySecret, m.Spec.APIKeySecretKey}, variables: keyVariables[m.Spec.Provider],
	}
}

// ProviderKey is the provider's key of a ModelConfig that names no Secret for it:
// what the environment holds, or nothing.
func (from Sources) ProviderKey(p kagent.ModelProvider) func() (string, error) {
	return func() (string, error) {
		for _, name := range keyVariables[p] {
			if from.Environment == nil {
				break
			}
			if value := trim(from.Environment(name)); value != "" {
				return value, nil
			}
		}
		return "", nil
	}
}

// secretKey is what keys of Secrets are made of.
var secretKey = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)

// Secret implements [Secrets].
func (s *secrets) Secret(name, field string) (string, error) {
	if len(validation.IsDNS1123Subdomain(name)) > 0 || !secretKey.MatchString(field) || strings.HasPrefix(field, "..") {
		return "", fmt.Errorf("Secret %q, key %q: this is no name of a Secret and a key", name, field)
	}
	if s.from.Mounts != "" {
		return s.mounted(filepath.Join("secrets", name, field), fmt.Sprintf("Secret %s has no key %s, or is not mounted", name, field))
	}
	if found, ok := s.declared[key{s.namespace, name}]; ok {
		if value, ok := found.value.StringData[field]; ok {
			return trim(value), nil
		}
		if value, ok := found.value.Data[field]; ok {
			return trim(string(value)), nil
		}
		return "", found.at.errorf("data", "there is no key %s", field)
	}
	if value := s.variable(name, field); value != "" {
		return value, nil
	}
	if (key{name, field}) == s.model && len(s.variables) > 0 {
		return "", fmt.Errorf("the provider's key is missing: set %s, or declare Secret %s/%s with key %s", strings.Join(s.variables, " or "), s.namespace, name, field)
	}
	return "", fmt.Errorf("Secret %s/%s is not declared; put its YAML beside the agent's", s.namespace, name)
}

func (s *secrets) variable(name, field string) string {
	if s.from.Environment == nil || (key{name, field}) != s.model {
		return ""
	}
	for _, v := range s.variables {
		if value := trim(s.from.Environment(v)); value != "" {
			return value
		}
	}
	return ""
}

// Token implements [Secrets].
func (s *secrets) Token(namespace, name string) (string, error) {
	if slices.ContainsFunc([]string{namespace, name}, func(n string) bool { return len(validation.IsDNS1123Subdomain(n)) > 0 }) {
		return "", fmt.Errorf("%s/%s is no name of a tool server or an agent", namespace, name)
	}
	if s.from.Mounts == "" {
		return "", nil
	}
	dir := filepath.Join("tokens", namespace+"."+name)
	if _, err := os.Stat(filepath.Join(s.from.Mounts, dir)); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return s.mounted(filepath.Join(dir, "token"), fmt.Sprintf("the token for %s/%s is not mounted", namespace, name))
}

// maxSecret is more than any Secret can hold.
const maxSecret = 1 << 20

// mounted reads one file below the mounts.
func (s *secrets) mounted(path, missing string) (string, error) {
	file := filepath.Join(s.from.Mounts, path)
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: there is no file %s", missing, file)
	}
	if err == nil && info.Size() > maxSecret {
		return "", fmt.Errorf("%s takes more than a Secret can", file)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read what is mounted: %w", err)
	}
	return trim(string(content)), nil
}

// trim takes away the line's end that an editor or echo has left.
func trim(value string) string { return strings.TrimRight(value, "\r\n") }
