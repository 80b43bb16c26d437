package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"ranzen/profiles"
)

// inHouse looks at an .ipa before it is sent, which may take long.
func (c *AppAddCmd) inHouse(ctx context.Context, e env) error {
	f, err := os.Open(c.IPA)
	if err != nil {
		return usagef("%s cannot be read: %s.", c.IPA, reasonOf(err))
	}
	defer f.Close() //nolint:errcheck // only read from
	info, err := f.Stat()
	if err != nil {
		return usagef("%s cannot be read: %s.", c.IPA, reasonOf(err))
	}
	if _, err := profiles.ReadIPA(f, info.Size()); err != nil {
		return err
	}
	query := c.query()
	query.Set("name", c.Name)
	if c.HoldsData {
		query.Set("holds_data", strconv.FormatBool(true))
	}
	for k, v := range c.planning() {
		query[k] = v
	}
	var a struct {
		appDoc
		Plan planDoc `json:"plan"`
	}
	return c.do(e, func(api *client) error {
		shown := &sending{from: f, of: info.Size(), to: api.hint, quiet: api.json}
		return api.post(ctx, "/apps/ipa?"+query.Encode(), stream{"application/octet-stream", shown, info.Size()}, &a)
	}, func(api *client) {
		if c.DryRun {
			api.plan(a.Plan)
			return
		}
		api.line("App %s is there in version %s. Assign it with: ranzen assign %s --to SCOPE", c.Name, a.shown(), c.Name)
		api.planned(a.Plan)
	})
}

// sending tells a tenth at a time how far a file is on its way.
type sending struct {
	from     io.Reader
	of, done int64
	told     int64
	quiet    bool
	to       func(format string, args ...any)
}

// Read implements io.Reader.
func (s *sending) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	s.done += int64(n)
	if tenth := s.done * 10 / max(s.of, 1); tenth > s.told && !s.quiet {
		s.told = tenth
		s.to("%s", fmt.Sprintf("uploaded %d %% of %d MB", tenth*10, (s.of+1<<20-1)>>20))
	}
	return n, err
}
