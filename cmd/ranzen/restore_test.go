package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ranzen/internal/clock"
	"ranzen/internal/sqldb/sqldbtest"
)

// quick is call with a passphrase that takes no second of work to seal with.
func quick(t *testing.T, args ...string) ran {
	t.Helper()
	var out, errout bytes.Buffer
	e := env{stdin: strings.NewReader(""), stdout: &out, stderr: &errout, clock: clock.System(), sealWork: 10}
	err := execute(t.Context(), args, e)
	if err != nil {
		complain(&errout, err)
	}
	return ran{statusOf(err), out.String(), errout.String()}
}

// TestDamagedBackup: a file that is not whole restores nothing, says so, and
// leaves neither files nor tables behind.
func TestDamagedBackup(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("RANZEN_DB", "")
	t.Setenv("RANZEN_PASSPHRASE", "vier lange zufällige wörter")
	whole := filepath.Join(dir, "whole")
	for _, args := range [][]string{
		{"init", "--data", filepath.Join(dir, "school"), "--url", "https://mdm.school.example"},
		{"backup", "--data", filepath.Join(dir, "school"), whole},
	} {
		if got := quick(t, args...); got.status != 0 {
			t.Fatalf("%v: %+v", args, got)
		}
	}
	good, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	damaged := map[string][]byte{
		"empty":             {},
		"one byte short":    good[:len(good)-1],
		"half":              good[:len(good)/2],
		"the header only":   good[:bytes.Index(good, []byte("\n---"))],
		"something behind":  append(slices.Clone(good), 0),
		"twice":             append(slices.Clone(good), good...),
		"another container": append([]byte("PK\x03\x04"), good...),
	}
	for _, at := range []int{30, 120, 200, len(good) / 3, len(good) - 2} {
		b := slices.Clone(good)
		b[at] ^= 1
		damaged[fmt.Sprintf("byte %d altered", at)] = b
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			db := "sqlite"
			if kind == "postgres" {
				db = sqldbtest.PostgresDSN(t)
			}
			target := filepath.Join(t.TempDir(), "new", "data")
			for name, b := range damaged {
				file := filepath.Join(t.TempDir(), "damaged")
				if err := os.WriteFile(file, b, 0o600); err != nil {
					t.Fatal(err)
				}
				got := quick(t, "restore", "--data", target, "--db", db, file)
				if got.status == 0 || got.out != "" || strings.Count(got.errout, "\n") != 1 || !strings.HasSuffix(got.errout, ".\n") {
					t.Errorf("%s: got %+v, want a refusal in one sentence", name, got)
				}
				if _, err := os.Lstat(filepath.Dir(target)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: files were left behind (%v)", name, err)
				}
			}
			if got := quick(t, "restore", "--data", target, "--db", db, whole); got.status != 0 {
				t.Errorf("after all of these the whole one is refused: %+v", got)
			}
		})
	}
}
