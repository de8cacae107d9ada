package mcpkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reserved begins the names that only the cluster gives. A token that carries
// one could pass its holder off as a ServiceAccount or as system:masters.
const reserved = "system:"

// everyone is the group that the API server adds to whoever it knows.
const everyone = "system:authenticated"

// caller names whom claims, a JSON object, describe.
func (c OIDCConfig) caller(claims []byte) (Caller, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(claims, &all); err != nil {
		return Caller{}, fmt.Errorf("its claims are no JSON object: %w", err)
	}
	name, err := c.username(all)
	if err != nil {
		return Caller{}, err
	}
	groups, err := c.groups(all)
	if err != nil {
		return Caller{}, err
	}
	return Caller{Name: name, Groups: append(groups, everyone)}, nil
}

func (c OIDCConfig) username(claims map[string]json.RawMessage) (string, error) {
	var name string
	if err := json.Unmarshal(claims[c.UsernameClaim], &name); err != nil || name == "" {
		return "", fmt.Errorf("its claim %q, which names the caller, is not a string with something in it; see --oidc-username-claim", c.UsernameClaim)
	}
	if verified, ok := claims["email_verified"]; ok && c.UsernameClaim == "email" {
		var yes bool
		if err := json.Unmarshal(verified, &yes); err != nil || !yes {
			return "", errors.New("the issuer has not verified its e-mail address")
		}
	}
	name = c.UsernamePrefix + name
	return name, checkName(name)
}

// groups reads a list of names or, as some issuers write it, one alone.
func (c OIDCConfig) groups(claims map[string]json.RawMessage) ([]string, error) {
	raw, ok := claims[c.GroupsClaim]
	if !ok || c.GroupsClaim == "" {
		return nil, nil
	}
	var one string
	var names []string
	if err := json.Unmarshal(raw, &names); err != nil {
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("its claim %q is neither a name nor a list of names; see --oidc-groups-claim", c.GroupsClaim)
		}
		names = []string{one}
	}
	for i, name := range names {
		if name == "" {
			return nil, fmt.Errorf("its claim %q holds a group without a name", c.GroupsClaim)
		}
		names[i] = c.GroupsPrefix + name
		if err := checkName(names[i]); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// checkName refuses names that are not the issuer's to give, and those that
// people could not read in an approval or in the ledger.
func checkName(name string) error {
	if strings.HasPrefix(name, reserved) {
		return fmt.Errorf("it names %q, and names that begin with %s are the cluster's own; see --oidc-username-prefix and --oidc-groups-prefix", name, reserved)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return fmt.Errorf("it names %q, which holds characters that cannot be seen", name)
	}
	return nil
}
