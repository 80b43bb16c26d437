// Package sqldbtest gives tests an empty, migrated database of each kind.
//
// PostgreSQL is named by RANZEN_TEST_POSTGRES (a postgres:// address whose user
// may create databases). Without it the PostgreSQL half of a test is skipped,
// except in CI, where a skipped half of a contract is a failure.
package sqldbtest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
)

// Each runs f on an empty SQLite and an empty PostgreSQL database, as subtests
// "sqlite" and "postgres".
func Each(t *testing.T, f func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	t.Run(sqldb.SQLite, func(t *testing.T) { f(t, open(t, SQLiteDSN(t))) })
	t.Run(sqldb.Postgres, func(t *testing.T) { f(t, open(t, PostgresDSN(t))) })
}

// EachB is Each for benchmarks.
func EachB(b *testing.B, f func(b *testing.B, db *sqldb.DB)) {
	b.Helper()
	b.Run(sqldb.SQLite, func(b *testing.B) { f(b, open(b, SQLiteDSN(b))) })
	b.Run(sqldb.Postgres, func(b *testing.B) { f(b, open(b, PostgresDSN(b))) })
}

// SQLite is one empty SQLite database, for what has nothing to do with SQL.
func SQLite(t testing.TB) *sqldb.DB {
	t.Helper()
	return open(t, SQLiteDSN(t))
}

func open(t testing.TB, dsn string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = db.Do(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO tenants (id, code, name, created_at, updated_at) VALUES (?, 'default', 'Default', 0, 0)`, Tenant)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Tenant is the id of the one tenant that each database begins with, as after
// ranzen init.
const Tenant = "tenant-1"

// SQLiteDSN is the address of an SQLite database that does not exist yet.
func SQLiteDSN(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "ranzen.db")
}

// PostgresDSN creates an empty PostgreSQL database, removed after the test, and
// returns its address.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	base := os.Getenv("RANZEN_TEST_POSTGRES")
	if base == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("RANZEN_TEST_POSTGRES is not set: in CI every SQL test runs on PostgreSQL too")
		}
		t.Skip("RANZEN_TEST_POSTGRES is not set")
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatalf("RANZEN_TEST_POSTGRES: %v", err)
	}
	var rnd [6]byte
	if _, err := rand.Read(rnd[:]); err != nil {
		t.Fatal(err)
	}
	name := "t" + hex.EncodeToString(rnd[:])
	admin(t, base, fmt.Sprintf(`CREATE DATABASE %s TEMPLATE template0`, name))
	t.Cleanup(func() { admin(t, base, fmt.Sprintf(`DROP DATABASE IF EXISTS %s WITH (FORCE)`, name)) })
	u.Path = "/" + name
	return u.String()
}

// admin runs one statement outside any transaction.
func admin(t testing.TB, dsn, query string) {
	t.Helper()
	if err := sqldb.Admin(dsn, query); err != nil && !strings.Contains(err.Error(), "does not exist") {
		t.Fatalf("%s: %v", query, err)
	}
}
