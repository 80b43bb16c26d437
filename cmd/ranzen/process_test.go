package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ranzen/internal/clock"
	"ranzen/internal/sqldb/sqldbtest"
)

// publicURL is what the tests' tablets are told. They reach the server without
// the proxy that would stand at this address.
const publicURL = "https://mdm.example.org"

// build makes the program as it is released.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ranzen")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build ranzen: %v\n%s", err, out)
	}
	return path
}

// eachDatabase runs f with the value of --db for an empty database of each kind.
func eachDatabase(t *testing.T, f func(t *testing.T, db string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, "sqlite") })
	t.Run("postgres", func(t *testing.T) { f(t, sqldbtest.PostgresDSN(t)) })
}

// installation is a data directory and the program that serves it.
type installation struct {
	bin, dir string
	args     []string
	proc     *exec.Cmd
	log      *buffer
	devices  string // http://127.0.0.1:PORT
	admin    string
	api      *client
}

// install prepares a data directory as a person does.
func install(t *testing.T, bin, db string, args ...string) *installation {
	t.Helper()
	in := &installation{bin: bin, dir: filepath.Join(t.TempDir(), "data"), args: args}
	cmd := exec.CommandContext(t.Context(), bin, "init", "--data", in.dir, "--url", publicURL, "--tls", "off", "--db", db)
	cmd.Env = append(os.Environ(), "RANZEN_DB=") // the flag counts
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ranzen init: %v\n%s", err, out)
	}
	t.Cleanup(in.kill)
	return in
}

// start runs `ranzen serve` and waits for its ready line.
func (in *installation) start(t *testing.T) {
	t.Helper()
	if err := in.tryStart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (in *installation) tryStart(ctx context.Context) error {
	args := append([]string{"serve", "--data", in.dir, "--device-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, in.args...)
	in.proc = exec.CommandContext(ctx, in.bin, args...) //nolint:gosec // built here
	in.log = &buffer{}
	in.proc.Stderr = in.log
	out, err := in.proc.StdoutPipe()
	if err != nil {
		return err
	}
	if err := in.proc.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("ranzen serve did not say that it is ready: %w\n%s", err, in.log)
	}
	var devices, admin, metrics string
	if _, err := fmt.Sscanf(line, "ready devices=%s admin=%s metrics=%s", &devices, &admin, &metrics); err != nil {
		return fmt.Errorf("the ready line is %q", line)
	}
	in.devices, in.admin = "http://"+devices, "http://"+admin
	in.api, err = (&Remote{Data: in.dir}).open(env{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, clock: clock.System()})
	return err
}

// kill is SIGKILL: nothing is finished, nothing is said.
func (in *installation) kill() {
	if in.proc != nil {
		_ = in.proc.Process.Kill()
		_ = in.proc.Wait()
		in.proc = nil
	}
}

// stop is SIGTERM, and waits.
func (in *installation) stop(t *testing.T) {
	t.Helper()
	if err := in.proc.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := in.proc.Wait(); err != nil {
		t.Errorf("ranzen serve ended with %v\n%s", err, in.log)
	}
	in.proc = nil
}

// ranzen runs one command of the command line on the installation.
func (in *installation) ranzen(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), in.bin, append(args, "--data", in.dir)...) //nolint:gosec // built here
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ranzen %s: %v\n%s", strings.Join(args, " "), err, &errs)
	}
	return string(out)
}

// buffer is a bytes.Buffer that a process writes and a test reads.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func httpClient() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // loopback
}
