package v1alpha2

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// problems are the fields of an object that are wrong.
type problems struct{ all []error }

// add says what is wrong with the field at path, and what to do.
func (p *problems) add(path, format string, args ...any) {
	p.all = append(p.all, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (p *problems) err() error { return errors.Join(p.all...) }

func (p *problems) need(path, value, advice string) {
	if value == "" {
		p.add(path, "missing; %s", advice)
	}
}

func (p *problems) name(path, name string) {
	if wrong := validation.IsDNS1123Subdomain(name); len(wrong) > 0 {
		p.add(path, "%q is no name of an object: %s", name, wrong[0])
	}
}

func (p *problems) least(path string, value *int32, least int32) {
	if value != nil && *value < least {
		p.add(path, "%d is too little; give at least %d, or leave it out", *value, least)
	}
}

// tokens drops a 0, which is how kagent says nothing.
func (p *problems) tokens(path string, value **int32) {
	if *value != nil && **value == 0 {
		*value = nil
	}
	p.least(path, *value, 1)
}

func (p *problems) number(path, text string, least, most float64) {
	if text == "" {
		return
	}
	value, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		p.add(path, "%q is no number; write one such as \"0.2\"", text)
	case !(value >= least && value <= most): // NaN is neither
		p.add(path, "%s is out of range; give at least %g and at most %g", text, least, most)
	}
}

func (p *problems) duration(path string, d Duration) {
	value, err := d.Parse()
	switch {
	case err != nil:
		p.add(path, "%q is no length of time; write one such as 30s or 1m30s", d)
	case d != "" && value <= 0:
		p.add(path, "%s is too little; give more than 0s", d)
	}
}

// url never repeats a URL that may hold a password.
func (p *problems) url(path, text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		p.add(path, "this is no URL of http or https with a host; write one such as https://example.com/v1")
	case u.User != nil:
		p.add(path, "the URL holds a user or password; put credentials into a Secret")
	case u.Fragment != "":
		p.add(path, "the URL has a fragment, which no server sees; remove the # and what follows")
	}
}

// localName is the name of an object of namespace, written NAMESPACE/NAME or
// NAME.
func localName(p *problems, path, name, namespace string) string {
	if before, after, both := strings.Cut(name, "/"); both {
		if before != namespace {
			p.add(path, "%q is in another namespace; it has to be in the agent's, %q", name, namespace)
		}
		name = after
	}
	p.name(path, name)
	return name
}

func (s *ValueSource) check(p *problems, path string) {
	if s.Type != ConfigMapValueSource && s.Type != SecretValueSource {
		p.add(path+".type", "%q holds no values; write ConfigMap or Secret", s.Type)
	}
	p.need(path+".name", s.Name, "name the object that holds the value")
	p.need(path+".key", s.Key, "name the key whose value is meant")
}

func checkHeaders(p *problems, path string, headers []ValueRef) {
	for i, h := range headers {
		path := at(path, i)
		value := ""
		switch {
		case (h.Value == nil) == (h.ValueFrom == nil):
			p.add(path, "give exactly one of value and valueFrom")
		case h.Value != nil:
			value = *h.Value
		default:
			h.ValueFrom.check(p, path+".valueFrom")
		}
		checkHeader(p, path, h.Name, value)
	}
}

// checkHeader never repeats a value, which may be a credential.
func checkHeader(p *problems, path, name, value string) {
	if wrong := validation.IsHTTPHeaderName(name); len(wrong) > 0 {
		p.add(path, "%q is no name of a header; write one such as X-Team", name)
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		p.add(path, "the value has more than one line; headers have one")
	}
}

func (t *TLSConfig) check(p *problems, path string) {
	switch {
	case t == nil:
	case t.CACertSecretRef == "" && t.CACertSecretKey != "":
		p.add(path+".caCertSecretRef", "name the Secret that holds key %q", t.CACertSecretKey)
	case t.CACertSecretRef != "" && t.CACertSecretKey == "":
		p.add(path+".caCertSecretKey", "name the key in Secret %q", t.CACertSecretRef)
	case t.DisableSystemCAs && t.CACertSecretRef == "" && !t.DisableVerify:
		p.add(path+".disableSystemCAs", "so nobody would be trusted; name the Secret of an authority in caCertSecretRef")
	}
}

func (d *DeclarativeDeploymentSpec) check(p *problems, path string) {
	p.least(path+".replicas", d.Replicas, 0)
	if d.ServiceAccountName != nil && d.ServiceAccountConfig != nil {
		p.add(path+".serviceAccountConfig", "serviceAccountName is given too, and what is there already is left as it is; keep one of them")
	}
}

func checkAllowed(p *problems, path string, a *AllowedNamespaces) {
	if a == nil {
		return
	}
	fill(&a.From, NamespacesFromSame)
	switch a.From {
	case NamespacesFromAll, NamespacesFromSame:
	case NamespacesFromSelector:
		if a.Selector == nil {
			p.add(path+".selector", "say which namespaces, by their labels")
			return
		}
		if _, err := metav1.LabelSelectorAsSelector(a.Selector); err != nil {
			p.add(path+".selector", "%v", err)
		}
	default:
		p.add(path+".from", "%q is no choice of namespaces; write Same, All or Selector", a.From)
	}
}

// Allows says whether an object of namespace own may be referred to from
// namespace other, which has these labels. Nil allows its own alone.
func (a *AllowedNamespaces) Allows(own, other string, otherLabels map[string]string) (bool, error) {
	if own == other || a != nil && a.From == NamespacesFromAll {
		return true, nil
	}
	if a == nil || a.From != NamespacesFromSelector {
		return false, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(a.Selector)
	if err != nil {
		return false, fmt.Errorf("read allowedNamespaces.selector: %w", err)
	}
	return selector.Matches(labels.Set(otherLabels)), nil
}

// at is the path of an element of a list.
func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func fillPointer[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
