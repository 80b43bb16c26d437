package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newDir is a data directory in the making: whole, or not there at all.
type newDir struct {
	path  string // what it will be called
	stage string // where it is built
	made  string // topmost directory that was not there before, "" if all were
}

// makeDir begins a data directory. path must not exist or be empty.
func makeDir(path string) (*newDir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", path, err)
	}
	d := &newDir{path: abs}
	entries, err := os.ReadDir(abs)
	switch {
	case err == nil && len(entries) == 0:
		// It may be a mount, or belong to a service that cannot write beside it.
		d.stage, err = os.MkdirTemp(abs, ".new-*")
	case err == nil:
		if _, serr := os.Stat(filepath.Join(abs, configFile)); serr == nil {
			return nil, usagef("%s is a data directory of Ranzen already. Nothing was changed.", path)
		}
		return nil, usagef("%s is not empty and not Ranzen's. Name a new or empty directory.", path)
	case errors.Is(err, fs.ErrNotExist):
		for p := filepath.Dir(abs); ; p = filepath.Dir(p) {
			if _, err := os.Stat(p); err == nil || p == filepath.Dir(p) {
				break
			}
			d.made = p
		}
		if err = os.MkdirAll(filepath.Dir(abs), 0o755); err == nil { //nolint:gosec // as mkdir -p would
			d.stage, err = os.MkdirTemp(filepath.Dir(abs), "."+filepath.Base(abs)+".new-*")
		}
	}
	if err != nil {
		d.abandon()
		return nil, usagef("The directory %s cannot be made: %s.", path, reasonOf(err))
	}
	return d, nil
}

// abandon leaves nothing behind. After keep it does nothing.
func (d *newDir) abandon() {
	if d.stage != "" {
		_ = os.RemoveAll(d.stage) // what remains is named like rubbish
	}
	if d.made != "" {
		_ = os.RemoveAll(d.made)
	}
}

// keep makes the directory the real one. The configuration, by which a data
// directory is known, comes last.
func (d *newDir) keep() error {
	if filepath.Dir(d.stage) != d.path {
		if err := os.Rename(d.stage, d.path); err != nil {
			return fmt.Errorf("finish %s: %w", d.path, err)
		}
		d.stage, d.made = "", ""
		return syncDir(filepath.Dir(d.path))
	}
	entries, err := os.ReadDir(d.stage)
	if err != nil {
		return fmt.Errorf("finish %s: %w", d.path, err)
	}
	names := []string{}
	for _, e := range entries {
		if e.Name() != configFile {
			names = append(names, e.Name())
		}
	}
	for _, name := range append(names, configFile) {
		if err := os.Rename(filepath.Join(d.stage, name), filepath.Join(d.path, name)); err != nil {
			return fmt.Errorf("finish %s: %w", d.path, err)
		}
	}
	return syncDir(d.path)
}

// syncDir makes names durable.
func syncDir(path string) error {
	f, err := os.Open(path) //nolint:gosec // ours
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return errors.Join(f.Sync(), f.Close())
}
