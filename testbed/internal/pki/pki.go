// Package pki makes the certificates, keys and kubeconfigs of a throw-away
// cluster.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

const lifetime = 10 * 365 * 24 * time.Hour

// Authority signs the certificates of one cluster.
type Authority struct {
	Pair // its own
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Pair is a certificate and its private key, PEM encoded.
type Pair struct{ Cert, Key []byte }

// NewAuthority makes a self-signed authority.
func NewAuthority(name string) (*Authority, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	return (&Authority{}).issue(template)
}

// ReadAuthority reads the authority that WriteTo left in dir as ca.
func ReadAuthority(dir string) (*Authority, error) {
	cert, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	a := &Authority{Pair: Pair{cert, key}}
	c, _ := pem.Decode(cert)
	k, _ := pem.Decode(key)
	if c == nil || k == nil {
		return nil, fmt.Errorf("read the authority in %s: not PEM", dir)
	}
	if a.cert, err = x509.ParseCertificate(c.Bytes); err != nil {
		return nil, fmt.Errorf("read %s/ca.crt: %w", dir, err)
	}
	if a.key, err = x509.ParseECPrivateKey(k.Bytes); err != nil {
		return nil, fmt.Errorf("read %s/ca.key: %w", dir, err)
	}
	return a, nil
}

// Client issues a certificate that Kubernetes takes for the user and groups.
func (a *Authority) Client(user string, groups ...string) (Pair, error) {
	issued, err := a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return Pair{}, fmt.Errorf("issue a certificate for user %s: %w", user, err)
	}
	return issued.Pair, nil
}

// Server issues a certificate for the host names and addresses.
func (a *Authority) Server(name string, hosts ...string) (Pair, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	issued, err := a.issue(template)
	if err != nil {
		return Pair{}, fmt.Errorf("issue a certificate for server %s: %w", name, err)
	}
	return issued.Pair, nil
}

// issue signs the template; an authority without a key signs with the new one.
func (a *Authority) issue(template *x509.Certificate) (*Authority, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = template.NotBefore.Add(lifetime)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	parent, signer := a.cert, a.key
	if signer == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	pair := Pair{Cert: encode("CERTIFICATE", der), Key: encode("EC PRIVATE KEY", keyDER)}
	return &Authority{pair, cert, key}, nil
}

// ServiceAccountKey makes the RSA pair that signs ServiceAccount tokens; Cert
// holds the public key.
func ServiceAccountKey() (Pair, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return Pair{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: encode("PUBLIC KEY", public), Key: encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))}, nil
}

// WriteTo writes NAME.crt and NAME.key in dir.
func (p Pair) WriteTo(dir, name string) error {
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), p.Cert, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".key"), p.Key, 0o600)
}

// Kubeconfig is the one-user kubeconfig for a client certificate.
func Kubeconfig(server string, ca []byte, p Pair) []byte {
	return kubeconfig(server, ca, fmt.Sprintf("client-certificate-data: %s\n    client-key-data: %s", base64.StdEncoding.EncodeToString(p.Cert), base64.StdEncoding.EncodeToString(p.Key)))
}

// TokenKubeconfig is the one-user kubeconfig for a bearer token. An empty ca
// leaves trust to the system.
func TokenKubeconfig(server string, ca []byte, token string) []byte {
	return kubeconfig(server, ca, "token: "+token)
}

func kubeconfig(server string, ca []byte, credential string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: toolcrib
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: toolcrib
  user:
    %s
contexts:
- name: toolcrib
  context: {cluster: toolcrib, user: toolcrib}
current-context: toolcrib
`, server, base64.StdEncoding.EncodeToString(ca), credential)
}

// kubeconfigField finds what kubeconfig wrote.
var kubeconfigField = regexp.MustCompile(`(?m)^ +([a-z-]+): (\S+)$`)

// ReadKubeconfig is the inverse of [Kubeconfig].
func ReadKubeconfig(path string) (server string, ca []byte, p Pair, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", nil, p, err
	}
	fields := map[string]string{}
	for _, m := range kubeconfigField.FindAllStringSubmatch(string(data), -1) {
		fields[m[1]] = m[2]
	}
	for name, to := range map[string]*[]byte{"certificate-authority-data": &ca, "client-certificate-data": &p.Cert, "client-key-data": &p.Key} {
		if *to, err = base64.StdEncoding.DecodeString(fields[name]); err != nil || len(*to) == 0 {
			return "", nil, p, fmt.Errorf("read kubeconfig %s: no %s as the testbed writes it", path, name)
		}
	}
	return fields["server"], ca, p, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
