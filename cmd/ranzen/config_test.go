package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigIsChecked(t *testing.T) {
	good := Config{URL: "https://mdm.example", DB: "sqlite", TLS: tlsInternal, CAKey: "p256", DeviceListen: ":443", AdminListen: defaultAdmin, MetricsListen: defaultMetrics}
	tests := []struct {
		name   string
		change func(c *Config)
		want   string // part of the sentence; "" is good
	}{
		{"as init writes it", func(*Config) {}, ""},
		{"an IPv6 address", func(c *Config) { c.URL = "https://[2001:db8::1]:8443" }, ""},
		{"the admin listener on IPv6 loopback", func(c *Config) { c.AdminListen = "[::1]:8440" }, ""},
		{"the admin listener on localhost", func(c *Config) { c.AdminListen = "localhost:0" }, ""},
		{"the admin listener elsewhere with a certificate", func(c *Config) {
			c.AdminListen, c.AdminTLSCert, c.AdminTLSKey = ":8440", "a", "b"
		}, ""},
		{"a database by socket", func(c *Config) { c.DB = "postgres:///ranzen?host=/run/postgresql" }, ""},
		{"a trusted proxy", func(c *Config) {
			c.TrustedProxies, c.CertHeader = []string{"10.0.0.0/8", "2001:db8::/32"}, "X-Client-Cert"
		}, ""},
		{"no address", func(c *Config) { c.URL = "" }, "--url"},
		{"an address with a path", func(c *Config) { c.URL = "https://mdm.example/mdm" }, "must look like"},
		{"an address with a password", func(c *Config) { c.URL = "https://a:b@mdm.example" }, "must look like"},
		{"an address with no host but a port", func(c *Config) { c.URL = "https://:8443" }, "must look like"},
		{"plain HTTP on loopback behind a proxy", func(c *Config) { c.URL, c.TLS = "http://127.0.0.1", tlsOff }, "https://"},
		{"the admin listener on all addresses", func(c *Config) { c.AdminListen = ":8440" }, "loopback"},
		{"the admin listener on an address that begins like loopback", func(c *Config) { c.AdminListen = "127.0.0.1.example.org:8440" }, "loopback"},
		{"half a certificate for the admin listener", func(c *Config) { c.AdminTLSCert = "a" }, "both a certificate and its key"},
		{"a listener without a port", func(c *Config) { c.MetricsListen = "127.0.0.1" }, "metrics listener"},
		{"TLS from no files", func(c *Config) { c.TLS = tlsFiles }, "--tls-cert"},
		{"TLS that is none", func(c *Config) { c.TLS = "yes" }, "internal, files or off"},
		{"a key that is none", func(c *Config) { c.CAKey = "ed25519" }, "p256 or rsa2048"},
		{"another database", func(c *Config) { c.DB = "mysql://root:geheim@db/x" }, "postgres://"},
		{"a proxy and no header", func(c *Config) { c.TrustedProxies = []string{"10.0.0.0/8"} }, "--cert-header"},
		{"a header and no proxy", func(c *Config) { c.CertHeader = "X-Client-Cert" }, "--trusted-proxy"},
		{"a proxy that is no range", func(c *Config) { c.TrustedProxies, c.CertHeader = []string{"10.0.0.1"}, "X" }, "10.0.0.7/32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			err := c.check()
			if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "geheim")) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestConfigFile(t *testing.T) {
	write := func(t *testing.T, text string) string {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, configFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const good = `{"url":"https://mdm.example","db":"sqlite","tls":"off","ca_key":"p256","device_listen":":80","admin_listen":"127.0.0.1:0","metrics_listen":"127.0.0.1:0"}`
	t.Run("what was saved is loaded", func(t *testing.T) {
		t.Setenv("RANZEN_DB", "")
		dir := write(t, good)
		c, err := loadConfig(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := loadConfig(dir)
		if err != nil || again.URL != c.URL || again.DSN() != "sqlite:"+filepath.Join(dir, databaseFile) || again.Host() != "mdm.example" {
			t.Errorf("got %+v, %v", again, err)
		}
	})
	t.Run("the environment names another database", func(t *testing.T) {
		t.Setenv("RANZEN_DB", "postgres://db/x")
		if c, err := loadConfig(write(t, good)); err != nil || c.DSN() != "postgres://db/x" {
			t.Errorf("got %+v, %v", c, err)
		}
	})
	for name, text := range map[string]string{
		"a word that is misspelt":    strings.Replace(good, `"tls"`, `"tsl"`, 1),
		"half a file":                good[:40],
		"an empty file":              "",
		"a value of the wrong kind":  strings.Replace(good, `"off"`, `7`, 1),
		"a listener that cannot be":  strings.Replace(good, `"admin_listen":"127.0.0.1:0"`, `"admin_listen":":0"`, 1),
		"a database that is unknown": strings.Replace(good, `"sqlite"`, `"oracle"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("RANZEN_DB", "")
			if _, err := loadConfig(write(t, text)); statusOf(err) != exitUsage || !strings.Contains(err.Error(), configFile) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSealKeyIsChecked(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "short": "AAAA", "no base64": strings.Repeat("ü", 32), "two keys": strings.Repeat("A", 86) + "=="} {
		t.Run(name, func(t *testing.T) {
			c := Config{dir: t.TempDir()}
			if err := os.WriteFile(c.Path(sealKeyFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := c.SealKey(); statusOf(err) != exitUsage {
				t.Errorf("got %v", err)
			}
		})
	}
}
