package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
)

// ImportCmd groups the files that are taken in.
type ImportCmd struct {
	Devices  ImportDevicesCmd  `cmd:"" help:"Take in a list of devices, CSV or XLSX: all of it or nothing."`
	Undo     ImportUndoCmd     `cmd:"" help:"Take an import back."`
	Mappings ImportMappingsCmd `cmd:"" help:"List the saved mappings of columns."`
	Mapping  ImportMappingCmd  `cmd:"" help:"Save which columns of a sender's file are which of ours."`
}

type importDoc struct {
	ID        string `json:"id"`
	New       int    `json:"new"`
	Changed   int    `json:"changed"`
	Unchanged int    `json:"unchanged"`
	Applied   bool   `json:"applied"`
	Rows      []struct {
		Line     int      `json:"line"`
		Serial   string   `json:"serial"`
		Verdict  string   `json:"verdict"`
		Warnings []string `json:"warnings"`
		Changes  []struct {
			Field string `json:"field"`
			Old   string `json:"old"`
			New   string `json:"new"`
		} `json:"changes"`
	} `json:"rows"`
	Errors []struct {
		Line   int    `json:"line"`
		Column string `json:"column"`
		Reason string `json:"reason"`
	} `json:"errors"`
	Ignored []string `json:"ignored"`
}

// ImportDevicesCmd is `ranzen import devices`.
type ImportDevicesCmd struct {
	Remote
	File     string `arg:"" help:"CSV or XLSX; - is standard input."`
	DryRun   bool   `help:"Tell what it would do, and write nothing."`
	Tenant   string `placeholder:"T" help:"Whose devices they are; needed when there are several tenants."`
	Delivery string `placeholder:"D" help:"It is the reseller's file of this delivery."`
	Mapping  string `placeholder:"NAME" help:"A saved mapping of columns."`
}

// maxTable bounds a list of devices; the server takes no more.
const maxTable = 32 << 20

// Run takes the file in. With an error in one line nothing is written and the
// exit status is 1.
func (c *ImportDevicesCmd) Run(ctx context.Context, e env) error {
	b, err := c.read(e)
	if err != nil {
		return err
	}
	q := url.Values{}
	for key, v := range map[string]string{"tenant": c.Tenant, "delivery": c.Delivery, "mapping": c.Mapping} {
		if v != "" {
			q.Set(key, v)
		}
	}
	if c.DryRun {
		q.Set("dry_run", "true")
	}
	var doc importDoc
	err = c.do(e, func(api *client) error {
		return api.post(ctx, "/imports/devices?"+q.Encode(), upload{"application/octet-stream", b}, &doc)
	}, func(api *client) { c.tell(api, doc) })
	if err == nil && len(doc.Errors) > 0 {
		return failedf("The file has %s; nothing was written.", count(int64(len(doc.Errors)), "error"))
	}
	return err
}

func (c *ImportDevicesCmd) read(e env) ([]byte, error) {
	if c.File == "-" {
		return io.ReadAll(io.LimitReader(e.stdin, maxTable+1))
	}
	info, err := os.Stat(c.File)
	switch {
	case err != nil:
		return nil, usagef("%s cannot be read: %s.", plain(c.File), reasonOf(err))
	case info.IsDir():
		return nil, usagef("%s is a directory; name a file.", plain(c.File))
	case info.Size() > maxTable:
		return nil, usagef("%s has more than %d MB. Split it.", plain(c.File), maxTable>>20)
	}
	b, err := os.ReadFile(c.File)
	if err != nil {
		return nil, usagef("%s cannot be read: %s.", plain(c.File), reasonOf(err))
	}
	return b, nil
}

func (c *ImportDevicesCmd) tell(api *client, doc importDoc) {
	for _, f := range doc.Errors {
		api.line("line %d, column %s: %s", f.Line, plain(f.Column), plain(f.Reason))
	}
	for _, r := range doc.Rows {
		for _, w := range r.Warnings {
			api.line("line %d, %s, warning: %s", r.Line, plain(r.Serial), plain(w))
		}
		if r.Verdict != "changed" || !c.DryRun {
			continue
		}
		for _, ch := range r.Changes {
			api.line("line %d, %s: %s %q becomes %q", r.Line, plain(r.Serial), ch.Field, plain(ch.Old), plain(ch.New))
		}
	}
	if len(doc.Ignored) > 0 {
		api.line("Ignored columns: %s", plain(strings.Join(doc.Ignored, ", ")))
	}
	would := ""
	if !doc.Applied {
		would = "would be "
	}
	api.line("%d %snew, %d %schanged, %d unchanged.", doc.New, would, doc.Changed, would, doc.Unchanged)
	if doc.ID != "" {
		api.hint("To take it back: ranzen import undo %s", doc.ID)
	}
}

// ImportUndoCmd is `ranzen import undo`.
type ImportUndoCmd struct {
	Remote
	ID string `arg:"" help:"The import, as it was told when the file was taken in."`
}

// Run takes the import back.
func (c *ImportUndoCmd) Run(ctx context.Context, e env) error {
	var doc struct {
		Devices int `json:"devices"`
	}
	return c.do(e, func(api *client) error { return api.post(ctx, at("imports", c.ID, "undo"), map[string]any{}, &doc) },
		func(api *client) { api.line("%s as before.", count(int64(doc.Devices), "device")) })
}

type mappingDoc struct {
	Name    string            `json:"name"`
	Columns map[string]string `json:"columns"`
}

// ImportMappingsCmd is `ranzen import mappings`.
type ImportMappingsCmd struct{ Remote }

// Run prints the mappings.
func (c *ImportMappingsCmd) Run(ctx context.Context, e env) error {
	var list []mappingDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[mappingDoc](ctx, api, "/imports/mappings", nil, 0)
		return err
	}, func(api *client) {
		t := newTable("NAME", "COLUMNS")
		for _, m := range list {
			t.add(m.Name, fmt.Sprint(len(m.Columns)))
		}
		api.print(t, "There are no mappings.")
	})
}

// ImportMappingCmd is `ranzen import mapping`.
type ImportMappingCmd struct {
	Remote
	Name    string            `arg:"" help:"What to call it: the sender."`
	Columns map[string]string `required:"" name:"column" placeholder:"THEIRS=OURS" help:"Their header and our column; nothing behind the = ignores theirs."`
}

// Run saves the mapping.
func (c *ImportMappingCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{"name": c.Name, "columns": c.Columns}
	return c.do(e, func(api *client) error { return api.call(ctx, "PUT", "/imports/mappings", body, nil) },
		func(api *client) { api.line("Mapping %s is saved.", c.Name) })
}

// ExportCmd groups the files that are written.
type ExportCmd struct {
	State   ExportStateCmd   `cmd:"" name:"desired-state" default:"withargs" help:"Write desired state to a folder: profiles, apps, groups, assignments."`
	Devices ExportDevicesCmd `cmd:"" help:"Write the list of devices, so that it can be taken in again."`
}

// ExportDevicesCmd is `ranzen export devices`.
type ExportDevicesCmd struct {
	Remote
	Tenant string `placeholder:"T" help:"Whose devices; needed when there are several tenants."`
	Format string `enum:"csv,xlsx" default:"csv" help:"csv or xlsx."`
	Out    string `placeholder:"FILE" help:"Where it goes; default: standard output."`
}

// Run writes the list.
func (c *ExportDevicesCmd) Run(ctx context.Context, e env) error {
	path := "/exports/devices?format=" + c.Format
	if c.Tenant != "" {
		path += "&tenant=" + url.QueryEscape(c.Tenant)
	}
	if c.Out != "" {
		return c.paper(ctx, e, path, c.Out)
	}
	api, err := c.open(e)
	if err != nil {
		return err
	}
	raw, err := api.ask(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(raw)
	return err
}
