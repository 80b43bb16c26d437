package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Files of a data directory.
const (
	configFile   = "config.json"
	sealKeyFile  = "seal.key"    // opens the secrets in the database; never in it
	adminTokFile = "admin-token" // the first administrator's API token
	adminURLFile = "admin-url"   // where the running server's admin listener is
	rootFile     = "root.pem"    // certificate of our CA
	databaseFile = "ranzen.db"
	lockFile     = "lock" // held by the process that serves a SQLite database
)

// TLS modes of the device listener.
const (
	tlsInternal = "internal" // certificate from our own CA
	tlsFiles    = "files"    // certificate and key from files, read again when they change
	tlsOff      = "off"      // a proxy in front of us does TLS
)

// Addresses of a new directory's listeners. The admin listener is on loopback:
// it is plain HTTP. Metrics take any free port; the ready line tells which.
const (
	defaultAdmin   = "127.0.0.1:8440"
	defaultMetrics = "127.0.0.1:0"
	defaultBehind  = "127.0.0.1:8080" // tablets, when a proxy does TLS
)

// Config is what `ranzen init` wrote down. All of it may be changed by hand
// while the server is stopped, save the URL once tablets are enrolled: they
// keep the address that they enrolled at.
type Config struct {
	URL            string   `json:"url"`
	Organization   string   `json:"organization,omitempty"`
	DB             string   `json:"db"` // "sqlite" or "postgres://…"
	TLS            string   `json:"tls"`
	TLSCert        string   `json:"tls_cert,omitempty"`
	TLSKey         string   `json:"tls_key,omitempty"`
	CAKey          string   `json:"ca_key"`
	DeviceListen   string   `json:"device_listen"`
	AdminListen    string   `json:"admin_listen"`
	AdminTLSCert   string   `json:"admin_tls_cert,omitempty"`
	AdminTLSKey    string   `json:"admin_tls_key,omitempty"`
	MetricsListen  string   `json:"metrics_listen"`
	TrustedProxies []string `json:"trusted_proxies,omitempty"`
	CertHeader     string   `json:"cert_header,omitempty"`

	dir string
}

// loadConfig reads DIR/config.json. RANZEN_DB takes the place of its db.
func loadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, configFile)
	b, err := os.ReadFile(path) //nolint:gosec // the operator named the directory
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, serr := os.Stat(dir); errors.Is(serr, fs.ErrNotExist) {
			return Config{}, usagef("There is no directory %s. Make one with `ranzen init --data %s --url https://…`.", dir, dir)
		}
		return Config{}, usagef("%s is not a data directory of Ranzen: it has no %s. Make one with `ranzen init --data DIR --url https://…`.", dir, configFile)
	case err != nil:
		return Config{}, usagef("%s cannot be read: %s.", path, reasonOf(err))
	}
	var c Config
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Config{}, usagef("%s is not as Ranzen writes it: %v.", path, err)
	}
	if c.dir, err = filepath.Abs(dir); err != nil {
		return Config{}, fmt.Errorf("find %s: %w", dir, err)
	}
	if db := os.Getenv("RANZEN_DB"); db != "" {
		c.DB = db
	}
	if err := c.check(); err != nil {
		return Config{}, usagef("%s: %v.", path, err)
	}
	return c, nil
}

// save writes DIR/config.json for the owner only: db may hold a password.
func (c Config) save(dir string) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", configFile, err)
	}
	return writePrivate(filepath.Join(dir, configFile), append(b, '\n'))
}

// check refuses what could not work. Each answer is one sentence.
func (c Config) check() error {
	if err := checkURL(c.URL); err != nil {
		return err
	}
	if err := checkDB(c.DB); err != nil {
		return err
	}
	switch c.TLS {
	case tlsInternal, tlsOff:
	case tlsFiles:
		if c.TLSCert == "" || c.TLSKey == "" {
			return errors.New("TLS from files needs both the certificate and its key (--tls-cert and --tls-key)")
		}
	default:
		return fmt.Errorf("TLS is internal, files or off, not %q", c.TLS)
	}
	if c.CAKey != "p256" && c.CAKey != "rsa2048" {
		return fmt.Errorf("the CA's key is p256 or rsa2048, not %q", c.CAKey)
	}
	if (c.AdminTLSCert == "") != (c.AdminTLSKey == "") {
		return errors.New("TLS of the admin listener needs both a certificate and its key (--admin-tls-cert and --admin-tls-key)")
	}
	return c.checkListeners()
}

func (c Config) checkListeners() error {
	for _, l := range []struct{ what, addr string }{
		{"device", c.DeviceListen}, {"admin", c.AdminListen}, {"metrics", c.MetricsListen},
	} {
		if _, _, err := net.SplitHostPort(l.addr); err != nil {
			return fmt.Errorf("the %s listener's address is HOST:PORT or :PORT, not %q", l.what, l.addr)
		}
	}
	if c.AdminTLSCert == "" && !isLoopback(c.AdminListen) {
		return fmt.Errorf("the admin listener is plain HTTP and so stays on loopback; for %s give it a certificate with --admin-tls-cert and --admin-tls-key", c.AdminListen)
	}
	if (len(c.TrustedProxies) == 0) != (c.CertHeader == "") {
		return errors.New("a trusted proxy needs both its address (--trusted-proxy) and the header it puts certificates in (--cert-header)")
	}
	for _, p := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			return fmt.Errorf("a trusted proxy is a range of addresses like 10.0.0.7/32, not %q", p)
		}
	}
	return nil
}

// Trusted is TrustedProxies, parsed; check has been there before.
func (c Config) Trusted() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range c.TrustedProxies {
		if n, err := netip.ParsePrefix(p); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// Dir is the data directory, absolute.
func (c Config) Dir() string { return c.dir }

// Path is a file of the data directory.
func (c Config) Path(name string) string { return filepath.Join(c.dir, name) }

// DSN is the database's address as sqldb takes it.
func (c Config) DSN() string {
	if c.DB == "sqlite" {
		return "sqlite:" + c.Path(databaseFile)
	}
	return c.DB
}

// Host is the name tablets know us by, without port.
func (c Config) Host() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// SealKey reads the key that seals secrets in the database.
func (c Config) SealKey() ([]byte, error) {
	path := c.Path(sealKeyFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("The sealing key %s cannot be read (%s). Without it the secrets in the database stay closed: restore it from a backup.", path, reasonOf(err))
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != 32 {
		return nil, usagef("%s is not a sealing key: it must hold 32 bytes in base64. Restore it from a backup.", path)
	}
	return key, nil
}

// checkURL accepts https://HOST[:PORT] and nothing else: iPads take no other
// address (Apple, Device Management, MDM > ServerURL).
func checkURL(raw string) error {
	if raw == "" {
		return errors.New("the address that tablets reach is missing: give it with --url https://HOST[:PORT]")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" || u.Opaque != "" {
		return fmt.Errorf("%q is not an address that tablets can use: it must look like https://mdm.school.example or https://mdm.school.example:8443", raw)
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		return fmt.Errorf("%q is plain HTTP, which iPads refuse: the address must begin with https://, also when a proxy does TLS (--tls off)", raw)
	}
	return fmt.Errorf("%q must begin with https://", raw)
}

// cleanURL is raw without a trailing slash and with its host in lower case.
func cleanURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

func checkDB(db string) error {
	if db == "sqlite" {
		return nil
	}
	u, err := url.Parse(db)
	if err != nil || u.Host == "" && u.RawQuery == "" || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		// The address may hold a password and is not repeated here.
		return errors.New("the database is sqlite or an address that begins with postgres:// (--db)")
	}
	return nil
}

// isLoopback tells whether a host or host:port can only be this machine.
func isLoopback(addr string) bool {
	host := addr
	if h, _, err := net.SplitHostPort(addr); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// writePrivate writes a file that only its owner reads, whole or not at all.
func writePrivate(path string, b []byte) error {
	return writeWhole(path, b, 0o600)
}

func writeWhole(path string, b []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone after the rename
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
