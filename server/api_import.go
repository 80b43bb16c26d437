package server

import (
	"bytes"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sheet"
	"ranzen/internal/sqldb"
)

type fieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

type verdict struct {
	Line     int           `json:"line"`
	Serial   string        `json:"serial"`
	Verdict  string        `json:"verdict" enum:"new,changed,unchanged,error"`
	Changes  []fieldChange `json:"changes"`
	Warnings []string      `json:"warnings"`
}

type importError struct {
	Line   int    `json:"line"`
	Column string `json:"column" doc:"As the file calls it"`
	Reason string `json:"reason"`
	Code   string `json:"code"`
}

type importReport struct {
	ID        string        `json:"id" doc:"To undo it; empty when nothing was written"`
	New       int           `json:"new"`
	Changed   int           `json:"changed"`
	Unchanged int           `json:"unchanged"`
	Applied   bool          `json:"applied" doc:"With an error in one line nothing is written"`
	Rows      []verdict     `json:"rows"`
	Errors    []importError `json:"errors"`
	Ignored   []string      `json:"ignored" doc:"Columns that mean nothing here"`
}

func reportOf(r schools.ImportReport) importReport {
	out := importReport{r.ImportID, r.New, r.Changed, r.Unchanged, r.Applied, make([]verdict, 0, len(r.Rows)), []importError{}, r.Ignored}
	for _, v := range r.Rows {
		row := verdict{v.Line, v.Serial, v.Verdict, []fieldChange{}, v.Warnings}
		if row.Verdict == "" {
			row.Verdict = "error" // another line hinders the whole file before this one was counted
		}
		if row.Warnings == nil {
			row.Warnings = []string{}
		}
		for _, c := range v.Changes {
			row.Changes = append(row.Changes, fieldChange(c))
		}
		out.Rows = append(out.Rows, row)
	}
	for _, e := range r.Errors {
		out.Errors = append(out.Errors, importError(e))
	}
	if out.Ignored == nil {
		out.Ignored = []string{}
	}
	return out
}

type importIn struct {
	Tenant   string `query:"tenant" maxLength:"255" doc:"Code or id; needed when there are several"`
	Delivery string `query:"delivery" maxLength:"255" doc:"It is the reseller's file of this delivery"`
	Mapping  string `query:"mapping" maxLength:"255" doc:"Name of a saved mapping of columns"`
	DryRun   bool   `query:"dry_run" doc:"Tell what it would do, and write nothing"`
	RawBody  []byte `contentType:"application/octet-stream"`
}

type exportIn struct {
	Tenant string `query:"tenant" maxLength:"255" doc:"Code or id; needed when there are several"`
	Format string `query:"format" enum:"csv,xlsx" default:"csv"`
}

// file is an answer that is a file.
type file struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

// apiImport is files people already have.
func (s *Server) apiImport(api huma.API) {
	write(s, api, operation{http.MethodPost, importPath, "importDevices", auth.Change, "Take in a list of devices, CSV or XLSX: all of it or nothing", "import", false}, s.importDevices)
	type one struct {
		Import named `path:"import" doc:"Its id"`
	}
	type undone struct {
		Devices int `json:"devices" doc:"How many are as they were before"`
	}
	write(s, api, operation{http.MethodPost, "/imports/{import}/undo", "undoImport", auth.Change, "Take an import back", "import", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *one) (undone, error) {
			ids, err := s.Schools.UndoImport(ctx, tx, by, own(ctx), in.Import.text)
			if err == nil {
				err = s.moved(ctx, tx, ids...)
			}
			return undone{len(ids)}, err
		})
	type mapping struct {
		Name    string            `json:"name"`
		Columns map[string]string `json:"columns" doc:"Their header to our column; to nothing: ignored"`
	}
	read(s, api, operation{http.MethodGet, "/imports/mappings", "listMappings", auth.Look, "List the saved mappings of columns", "import", false},
		func(ctx context.Context, in *Paged) (list[mapping], error) {
			all, err := s.Schools.Mappings(ctx, s.DB, own(ctx))
			out := make([]mapping, 0, len(all))
			for _, m := range all {
				out = append(out, mapping{m.Name, m.Columns})
			}
			return few(in, out, func(m mapping) string { return m.Name }), err
		})
	type save struct {
		Body mapping
	}
	write(s, api, operation{http.MethodPut, "/imports/mappings", "saveMapping", auth.Change, "Save which columns of a sender's file are which of ours", "import", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *save) (nothing, error) {
			return nothing{}, s.Schools.SaveMapping(ctx, tx, by, own(ctx), in.Body.Name, in.Body.Columns)
		})
	op := operation{http.MethodGet, "/exports/devices", "exportDevices", auth.Look, "The list of devices as a file that can be taken in again", "import", false}
	h := s.document(op)
	h.Responses["200"] = &huma.Response{Description: "The file", Content: map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: "string"}}}}
	huma.Register(api, h, func(ctx context.Context, in *exportIn) (*file, error) {
		f, err := s.exportDevices(ctx, in)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		return f, nil
	})
}

// importPath takes larger bodies than the rest of the API.
const importPath = "/imports/devices"

func (s *Server) importDevices(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *importIn) (importReport, error) {
	tenant, err := s.tenantFor(ctx, tx, in.Tenant)
	if err != nil {
		return importReport{}, err
	}
	spec := schools.ImportSpec{TenantID: tenant.ID}
	if in.Delivery != "" {
		d, err := s.Schools.DeliveryByRef(ctx, tx, tenant.ID, in.Delivery)
		if err != nil {
			return importReport{}, err
		}
		spec.DeliveryID = d.ID
	}
	if in.Mapping != "" {
		if spec.Mapping, err = s.Schools.MappingNamed(ctx, tx, tenant.ID, in.Mapping); err != nil {
			return importReport{}, err
		}
	}
	table, err := sheet.Read(in.RawBody)
	if err != nil {
		return importReport{}, err
	}
	if in.DryRun {
		rep, err := s.Schools.PlanImport(ctx, tx, spec, table)
		return reportOf(rep), err
	}
	rep, ids, err := s.Schools.ApplyImport(ctx, tx, by, spec, table)
	if err == nil {
		err = s.moved(ctx, tx, ids...)
	}
	return reportOf(rep), err
}

func (s *Server) exportDevices(ctx context.Context, in *exportIn) (*file, error) {
	var header []string
	var rows [][]string
	err := s.DB.Read(ctx, func(q sqldb.Queryer) error {
		tenant, err := s.tenantFor(ctx, q, in.Tenant)
		if err != nil {
			return err
		}
		header, rows, err = s.Schools.ExportDevices(ctx, q, tenant.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(rows) > sheet.MaxRows {
		return nil, fault.New(fault.Conflict, "export.rows", "The list has %d lines, and a file holds at most %d.", len(rows), sheet.MaxRows)
	}
	var b bytes.Buffer
	if in.Format == "xlsx" {
		err = sheet.WriteXLSX(&b, header, rows)
		return &file{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", `attachment; filename="devices.xlsx"`, b.Bytes()}, err
	}
	err = sheet.WriteCSV(&b, header, rows)
	return &file{"text/csv; charset=utf-8", `attachment; filename="devices.csv"`, b.Bytes()}, err
}
