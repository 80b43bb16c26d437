package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"filippo.io/age"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// RestoreCmd is `ranzen restore`.
type RestoreCmd struct {
	File           string `arg:"" help:"A file that ranzen backup wrote."`
	Data           string `required:"" env:"RANZEN_DATA" placeholder:"DIR" help:"Data directory to make; it must not exist or be empty."`
	DB             string `name:"db" env:"RANZEN_DB" placeholder:"DB" help:"Restore into this empty database, of either kind: sqlite or postgres://…. Default: as it was backed up."`
	PassphraseFile string `placeholder:"FILE" help:"File whose only line is the passphrase; - is standard input. Else RANZEN_PASSPHRASE, else it is asked for."`
}

var errNoBackup = errors.New("not a backup")

// Run makes a data directory and fills a database, both or neither.
func (c *RestoreCmd) Run(ctx context.Context, e env) error {
	if c.DB != "" {
		if err := checkDB(c.DB); err != nil {
			return usagef("Cannot restore like this: %v.", err)
		}
	}
	f, err := openBackup(c.File)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	dir, err := makeDir(c.Data)
	if err != nil {
		return err
	}
	defer dir.abandon()
	pass, err := e.passphrase(c.PassphraseFile, false)
	if err != nil {
		return err
	}
	dec, head, err := unseal(f, pass)
	if err != nil {
		return c.explain(err)
	}
	cfg, err := c.files(dec, head, dir.stage)
	if err != nil {
		return c.explain(err)
	}
	rows, err := c.rows(ctx, e, cfg, head.CreatedAt, dec)
	if err != nil {
		return c.explain(err)
	}
	if err := dir.keep(); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "Restored %d rows and the keys of %s into %s. Make sure that the old server is off for good, then start this one with: ranzen serve --data %s\n",
		rows, head.CreatedAt.Local().Format("2006-01-02 15:04"), c.Data, c.Data) //nolint:errcheck // as with every print
	return nil
}

func openBackup(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return nil, usagef("%s is a directory; name a file that `ranzen backup` wrote.", path)
	}
	f, err := os.Open(path) //nolint:gosec // the person named it
	if err != nil {
		return nil, usagef("%s cannot be read: %s.", path, reasonOf(err))
	}
	return f, nil
}

// unseal opens the container.
func unseal(r io.Reader, pass fault.Secret) (*json.Decoder, backupHeader, error) {
	id, err := age.NewScryptIdentity(pass.Open())
	if err != nil {
		return nil, backupHeader{}, fmt.Errorf("open the backup: %w", err)
	}
	plain, err := age.Decrypt(r, id)
	if err != nil {
		if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
			return nil, backupHeader{}, failedf("This is not the backup's passphrase, or the file is damaged. Nothing was restored.")
		}
		return nil, backupHeader{}, errors.Join(errNoBackup, err)
	}
	unpacked, err := gzip.NewReader(plain)
	if err != nil {
		return nil, backupHeader{}, errors.Join(errNoBackup, err)
	}
	dec := json.NewDecoder(unpacked)
	var head backupHeader
	if err := dec.Decode(&head); err != nil {
		return nil, head, errors.Join(errNoBackup, err)
	}
	if head.Format != backupFormat {
		return nil, head, failedf("The backup was written by version %q in a form that this version does not know.", head.Version)
	}
	return dec, head, nil
}

// files writes the data directory's files and returns its configuration, with
// the database to fill.
func (c *RestoreCmd) files(dec *json.Decoder, head backupHeader, dir string) (Config, error) {
	var cfg Config
	for range head.Files {
		var f backedFile
		if err := dec.Decode(&f); err != nil {
			return Config{}, errors.Join(errNoBackup, err)
		}
		if !slices.Contains(backedFiles(), f.Name) {
			return Config{}, errors.Join(errNoBackup, fmt.Errorf("a file %q", f.Name))
		}
		if f.Name != configFile {
			mode := os.FileMode(0o600)
			if f.Name == rootFile {
				mode = 0o644
			}
			if err := writeWhole(filepath.Join(dir, f.Name), f.Data, mode); err != nil {
				return Config{}, err
			}
			continue
		}
		d := json.NewDecoder(bytes.NewReader(f.Data))
		d.DisallowUnknownFields()
		if err := d.Decode(&cfg); err != nil {
			return Config{}, errors.Join(errNoBackup, err)
		}
	}
	if c.DB != "" {
		cfg.DB = c.DB
	}
	if err := cfg.check(); err != nil {
		return Config{}, errors.Join(errNoBackup, err)
	}
	if err := cfg.save(dir); err != nil {
		return Config{}, err
	}
	cfg.dir = dir
	if _, err := cfg.SealKey(); err != nil {
		return Config{}, errors.Join(errNoBackup, err)
	}
	return cfg, nil
}

// rows fills the database. What the backup shows as under way may have happened
// since: nothing of it is done again.
func (c *RestoreCmd) rows(ctx context.Context, e env, cfg Config, taken time.Time, dec *json.Decoder) (n int64, err error) {
	db, err := sqldb.Open(ctx, cfg.DSN())
	if err != nil {
		return 0, unreachable(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Import(ctx, dec, func(tx *sqldb.Tx) error { return afterRestore(ctx, e, db, cfg, taken, tx) })
}

// explain makes a sentence of what is wrong with the file.
func (c *RestoreCmd) explain(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errNoBackup):
		return usagef("%s is not a backup of Ranzen, or it is damaged. Nothing was restored.", c.File)
	case fault.CodeOf(err) == "backup.damaged":
		return usagef("%s ends early or is damaged. Nothing was restored; take another backup.", c.File)
	}
	return err
}
