package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"filippo.io/age"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// A backup is a stream of JSON values, packed by gzip and sealed by age under a
// passphrase: a backupHeader, the files of the data directory, a filesEnd, and
// the rows as sqldb writes them.

type backupHeader struct {
	Format    string    `json:"format"`
	Version   string    `json:"version"` // of the program, for people
	CreatedAt time.Time `json:"created_at"`
	Files     int       `json:"files"`
}

const backupFormat = "ranzen-backup-1"

type backedFile struct {
	Name string `json:"file"`
	Data []byte `json:"data"`
}

// backedFiles are the files that a backup holds. A missing one is an error only
// where it is needed; nothing else is ever written by a restore.
func backedFiles() []string {
	return []string{configFile, sealKeyFile, rootFile, adminTokFile}
}

// BackupCmd is `ranzen backup`.
type BackupCmd struct {
	File           string `arg:"" help:"File to write; it must not exist."`
	Data           string `required:"" env:"RANZEN_DATA" placeholder:"DIR" help:"Data directory of the server, which may be running."`
	PassphraseFile string `placeholder:"FILE" help:"File whose only line is the passphrase; - is standard input. Else RANZEN_PASSPHRASE, else it is asked for."`
}

// Run writes a backup beside the running server.
func (c *BackupCmd) Run(ctx context.Context, e env) error {
	cfg, err := loadConfig(c.Data)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.File); !errors.Is(err, fs.ErrNotExist) {
		return usagef("%s exists already, and a backup never overwrites. Name another file.", c.File)
	}
	if _, err := cfg.SealKey(); err != nil {
		return err
	}
	pass, err := e.passphrase(c.PassphraseFile, true)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), "."+filepath.Base(c.File)+".*")
	if err != nil {
		return usagef("%s cannot be written: %s.", c.File, reasonOf(err))
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone when all went well
	rows, err := writeBackup(ctx, e, cfg, pass, f)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = publish(f.Name(), c.File)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return fmt.Errorf("look at the backup: %w", err)
	}
	fmt.Fprintf(e.stdout, "Backed up %d rows and the keys to %s (%d kB). Without its passphrase nobody can read it, you included.\n", rows, c.File, (info.Size()+1023)/1024) //nolint:errcheck // as with every print
	return nil
}

// publish gives a finished file its name, unless another has it by now.
func publish(tmp, path string) error {
	err := os.Link(tmp, path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return usagef("%s exists already, and a backup never overwrites. Name another file.", path)
	case err != nil: // no hard links on this file system
		if err := os.Rename(tmp, path); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return syncDir(filepath.Dir(path))
}

// passphrase is what a backup is sealed with. A new one is typed twice.
func (e env) passphrase(file string, fresh bool) (pass fault.Secret, err error) {
	switch env := os.Getenv("RANZEN_PASSPHRASE"); {
	case file != "":
		pass, err = e.readSecret(file)
	case env != "":
		pass = fault.Secret(env)
	default:
		pass, err = e.askSecret("Passphrase of the backup", "Give the passphrase with --passphrase-file FILE or in RANZEN_PASSPHRASE.", fresh)
	}
	if err != nil {
		return "", err
	}
	if fresh && utf8.RuneCountInString(pass.Open()) < 12 {
		fmt.Fprintln(e.stderr, "ranzen: The passphrase is short. A backup holds the keys to every iPad: use at least four random words.") //nolint:errcheck // as with every print
	}
	return pass, nil
}

func writeBackup(ctx context.Context, e env, cfg Config, pass fault.Secret, w io.Writer) (rows int64, err error) {
	db, err := sqldb.Open(ctx, cfg.DSN())
	if err != nil {
		return 0, unreachable(err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	files, err := gather(cfg.Dir())
	if err != nil {
		return 0, err
	}
	to, err := age.NewScryptRecipient(pass.Open())
	if err != nil {
		return 0, fmt.Errorf("seal the backup: %w", err)
	}
	if e.sealWork > 0 {
		to.SetWorkFactor(e.sealWork)
	}
	sealed, err := age.Encrypt(w, to)
	if err != nil {
		return 0, fmt.Errorf("seal the backup: %w", err)
	}
	packed := gzip.NewWriter(sealed)
	buffered := bufio.NewWriterSize(packed, 64<<10)
	enc := json.NewEncoder(buffered)
	values := []any{backupHeader{backupFormat, programVersion(), e.clock.Now(), len(files)}}
	for _, f := range files {
		values = append(values, f)
	}
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return 0, fmt.Errorf("write the backup: %w", err)
		}
	}
	if rows, err = db.Export(ctx, enc); err != nil {
		return 0, err
	}
	if err := errors.Join(buffered.Flush(), packed.Close(), sealed.Close()); err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	return rows, nil
}

func gather(dir string) ([]backedFile, error) {
	var out []backedFile
	for _, name := range backedFiles() {
		b, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // ours
		if errors.Is(err, fs.ErrNotExist) && name != configFile && name != sealKeyFile {
			continue
		}
		if err != nil {
			return nil, usagef("%s cannot be read: %s.", filepath.Join(dir, name), reasonOf(err))
		}
		out = append(out, backedFile{name, b})
	}
	return out, nil
}

// unreachable is a sentence for a database that does not open. Drivers may put
// its address into their errors, but never the password.
func unreachable(err error) error {
	return failedf("The database does not open: %v.", err)
}
