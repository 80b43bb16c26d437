package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// InitCmd is `ranzen init`.
type InitCmd struct {
	Data         string `required:"" env:"RANZEN_DATA" placeholder:"DIR" help:"Data directory to make; it must not exist or be empty."`
	URL          string `required:"" name:"url" placeholder:"https://HOST[:PORT]" help:"The address at which tablets reach this server, for its whole life."`
	Organization string `placeholder:"NAME" help:"The name of the school or town, shown on the iPad when it enrolls."`
	DB           string `name:"db" default:"sqlite" env:"RANZEN_DB" placeholder:"DB" help:"sqlite, or postgres://… (best in RANZEN_DB: it holds a password)."`
	TLS          string `name:"tls" enum:"internal,files,off" default:"internal" placeholder:"MODE" help:"TLS of the device listener: internal (certificate from our own CA), files, or off (behind a proxy)."`
	TLSCert      string `name:"tls-cert" placeholder:"FILE" help:"With --tls files: certificate chain, PEM. It is read again when it is renewed."`
	TLSKey       string `name:"tls-key" placeholder:"FILE" help:"With --tls files: its key, PEM."`
	CAKey        string `name:"ca-key" enum:"p256,rsa2048" default:"p256" placeholder:"KIND" help:"Kind of the CA's keys: p256 or rsa2048."`
	Admin        string `default:"admin" placeholder:"NAME" help:"Name of the first administrator."`
}

// Run prepares the directory and the database, whole or not at all.
func (c *InitCmd) Run(ctx context.Context, e env) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	dir, err := makeDir(c.Data)
	if err != nil {
		return err
	}
	defer dir.abandon()
	cfg.dir = dir.stage
	if err := prepare(ctx, e, cfg, c.Admin); err != nil {
		return err
	}
	if err := dir.keep(); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s is ready for %s.\n  certificate of the CA  %s\n  administrator %s, with the API token in %s\nStart it with: ranzen serve --data %s\n", //nolint:errcheck // as with every print
		c.Data, cfg.URL, filepath.Join(c.Data, rootFile), c.Admin, filepath.Join(c.Data, adminTokFile), c.Data)
	return nil
}

// config is what the flags say, checked before anything is written.
func (c *InitCmd) config() (Config, error) {
	if c.DB == "" { // RANZEN_DB is there and empty
		c.DB = "sqlite"
	}
	cfg := Config{
		URL: cleanURL(c.URL), Organization: c.Organization, DB: c.DB, TLS: c.TLS, CAKey: c.CAKey,
		DeviceListen: listenFor(c.URL, c.TLS), AdminListen: defaultAdmin, MetricsListen: defaultMetrics,
	}
	if err := checkURL(c.URL); err != nil {
		return Config{}, usagef("Cannot prepare this: %v.", err)
	}
	if c.TLS != tlsFiles && (c.TLSCert != "" || c.TLSKey != "") {
		return Config{}, usagef("--tls-cert and --tls-key go with --tls files.")
	}
	if c.TLS == tlsFiles && c.TLSCert != "" && c.TLSKey != "" {
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			return Config{}, usagef("The certificate %s with the key %s cannot be used: %s.", c.TLSCert, c.TLSKey, reasonOf(err))
		}
		var errs [2]error
		cfg.TLSCert, errs[0] = filepath.Abs(c.TLSCert)
		cfg.TLSKey, errs[1] = filepath.Abs(c.TLSKey)
		if err := errors.Join(errs[:]...); err != nil {
			return Config{}, fmt.Errorf("find the certificate: %w", err)
		}
	}
	if err := cfg.check(); err != nil {
		return Config{}, usagef("Cannot prepare this: %v.", err)
	}
	return cfg, nil
}

// listenFor is where tablets connect unless said otherwise: the port that is in
// their address, or loopback behind a proxy.
func listenFor(address, tlsMode string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || tlsMode == tlsOff:
		return defaultBehind
	case u.Port() != "":
		return ":" + u.Port()
	}
	return ":443"
}

// prepare writes the files of cfg's directory and fills its database. The demo
// does the same.
func prepare(ctx context.Context, e env, cfg Config, admin string) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("make the sealing key: %w", err)
	}
	if err := writePrivate(cfg.Path(sealKeyFile), []byte(base64.StdEncoding.EncodeToString(key)+"\n")); err != nil {
		return err
	}
	if err := cfg.save(cfg.Dir()); err != nil {
		return err
	}
	vault, err := certs.NewVault(key)
	if err != nil {
		return err
	}
	db, err := sqldb.Open(ctx, cfg.DSN())
	if err != nil {
		return unreachable(err)
	}
	err = db.Create(ctx, func() error {
		log := audit.New(db, e.clock)
		ca, err := certs.New(ctx, db, e.clock, vault, log, certs.Config{PublicURL: cfg.URL, KeyKind: cfg.CAKey})
		if err != nil {
			return err
		}
		if err := writeWhole(cfg.Path(rootFile), ca.RootPEM(), 0o644); err != nil {
			return err
		}
		if err := firstTenant(ctx, db, schools.New(e.clock, log), cfg.Organization); err != nil {
			return err
		}
		token, err := firstAdmin(ctx, db, auth.New(db, e.clock, log), admin)
		if err != nil {
			return err
		}
		return writePrivate(cfg.Path(adminTokFile), []byte(token.Open()+"\n"))
	})
	if fault.KindOf(err) == fault.Invalid {
		f, _ := fault.Of(err)
		err = usagef("%s", f.Text)
	}
	return errors.Join(err, db.Close())
}

// firstTenant is whose devices are while there is no other.
func firstTenant(ctx context.Context, db *sqldb.DB, world *schools.Room, name string) error {
	if name == "" {
		name = "Default"
	}
	return db.Do(ctx, func(tx *sqldb.Tx) error {
		_, err := world.AddTenant(ctx, tx, audit.System, schools.Tenant{Code: "default", Name: name})
		return err
	})
}

func firstAdmin(ctx context.Context, db *sqldb.DB, people *auth.Room, name string) (token fault.Secret, err error) {
	err = db.Do(ctx, func(tx *sqldb.Tx) error {
		if _, err := people.AddUser(ctx, tx, audit.System, "", name, auth.Admin); err != nil {
			return err
		}
		_, token, err = people.CreateToken(ctx, tx, audit.System, auth.TokenSpec{User: name, Name: "first"})
		return err
	})
	return token, err
}
