package main

import (
	"bytes"
	"flag"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ranzen/internal/sqldb/sqldbtest"
)

var update = flag.Bool("update", false, "write generated documents anew")

// TestMain lets scripts call this program as a person types it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ranzen": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup:               func(e *testscript.Env) error { return setup(t, e) },
	})
}

// TestServedScripts try the command line against a server that runs. DB is the
// database of the script, OTHER an empty one of the other kind.
func TestServedScripts(t *testing.T) {
	sqldbtest.PostgresDSN(t) // skips here, not amid a script
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir:                 "testdata/served",
				RequireExplicitExec: true,
				UpdateScripts:       *update,
				Cmds:                scriptCommands(),
				Condition:           func(cond string) (bool, error) { return cond == kind, nil },
				Setup: func(e *testscript.Env) error {
					db, other := "sqlite", sqldbtest.PostgresDSN(t)
					if kind == "postgres" {
						db, other = other, db
					}
					e.Setenv("DB", db)
					e.Setenv("OTHER", other)
					return setup(t, e)
				},
			})
		})
	}
}

// setup gives scripts nothing of the environment that a person's shell may have.
func setup(t *testing.T, e *testscript.Env) error {
	e.Values[stageKey{}] = &stage{ctx: t.Context(), served: map[string]*exec.Cmd{}, tablets: map[string]*foreign{}}
	e.Setenv("TZ", "UTC")
	return nil
}

// ran is the program's answer to a command line, in this process.
type ran struct {
	status      int
	out, errout string
}

func call(t *testing.T, stdin string, args ...string) ran {
	t.Helper()
	var out, errout bytes.Buffer
	status := run(t.Context(), args, strings.NewReader(stdin), &out, &errout)
	return ran{status, out.String(), errout.String()}
}
