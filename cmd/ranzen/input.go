package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"ranzen/internal/fault"
)

// maxFile bounds files named on the command line; the server takes no more.
const maxFile = 4 << 20

// readFile reads a file that the command line names; "-" is standard input.
func (e env) readFile(path string) ([]byte, error) {
	if path == "-" {
		return readBounded(e.stdin, "Standard input")
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() && info.Mode()&os.ModeNamedPipe == 0 {
		if info.IsDir() {
			return nil, usagef("%s is a directory; name a file.", path)
		}
		return nil, usagef("%s is not a file.", path)
	}
	f, err := os.Open(path) //nolint:gosec // the person named it
	if err != nil {
		return nil, usagef("%s cannot be read: %s.", path, reasonOf(err))
	}
	defer f.Close() //nolint:errcheck // it was only read
	return readBounded(f, path)
}

func readBounded(r io.Reader, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, usagef("%s cannot be read: %s.", what, reasonOf(err))
	case len(b) > maxFile:
		return nil, usagef("%s has more than %d MB, which no profile or certificate has.", what, maxFile>>20)
	case len(b) == 0:
		return nil, usagef("%s is empty.", what)
	}
	return b, nil
}

// readSecret reads a file that holds one line: a password, a token.
func (e env) readSecret(path string) (fault.Secret, error) {
	b, err := e.readFile(path)
	if err != nil {
		return "", err
	}
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" || strings.ContainsAny(s, "\r\n\x00") || !utf8.ValidString(s) {
		return "", usagef("%s must hold the secret as its only line.", path)
	}
	return fault.Secret(s), nil
}

// terminal is the file descriptor of standard input if a person types there.
func (e env) terminal() (int, bool) {
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// askSecret lets a person type a secret without showing it; twice, when it is a
// new one. instead says what to do where nobody types.
func (e env) askSecret(prompt, instead string, twice bool) (fault.Secret, error) {
	fd, ok := e.terminal()
	if !ok {
		return "", usagef("%s", instead)
	}
	ask := func(text string) (string, error) {
		fmt.Fprint(e.stderr, text) //nolint:errcheck // a terminal
		b, err := term.ReadPassword(fd)
		fmt.Fprintln(e.stderr) //nolint:errcheck // a terminal
		if err != nil {
			return "", usagef("Nothing was typed. %s", instead)
		}
		return string(b), nil
	}
	first, err := ask(prompt + ": ")
	if err != nil {
		return "", err
	}
	if first == "" || !utf8.ValidString(first) {
		return "", usagef("Nothing was typed. %s", instead)
	}
	if twice {
		second, err := ask("Once more: ")
		if err != nil {
			return "", err
		}
		if first != second {
			return "", usagef("The two were not the same. Nothing was done.")
		}
	}
	return fault.Secret(first), nil
}

// confirm lets a person type an expected word before something that cannot be
// undone.
func (e env) confirm(question, want string) error {
	if _, ok := e.terminal(); !ok {
		return usagef("This cannot be undone, and nobody is here to confirm it. Add --yes to do it all the same.")
	}
	fmt.Fprint(e.stderr, question) //nolint:errcheck // a terminal
	line, err := bufio.NewReader(e.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return usagef("Nothing was typed, so nothing was done.")
	}
	if strings.TrimSpace(line) != want {
		return failedf("That is not %q. Nothing was done.", want)
	}
	return nil
}

// duration is time.Duration that also knows days: "72h", "30d".
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler for the command line.
func (d *duration) UnmarshalText(b []byte) error {
	s := string(b)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is not a length of time: write 30m, 72h or 30d", s)
		}
		*d = duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a length of time: write 30m, 72h or 30d", s)
	}
	*d = duration(v)
	return nil
}
