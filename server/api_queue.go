package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

type commandFilter struct {
	Paged
	Device string `query:"device" maxLength:"255"`
	State  string `query:"state" maxLength:"64" doc:"One state, or open"`
	Kind   string `query:"kind" maxLength:"64"`
}

type oneCommand struct {
	Command named `path:"command"`
}

func (s *Server) apiQueue(api huma.API) {
	read(s, api, operation{http.MethodGet, "/commands", "listCommands", auth.Look, "List the queue, newest first", "commands", false},
		func(ctx context.Context, in *commandFilter) (list[views.Command], error) {
			items, next, err := s.views.Commands(ctx, views.CommandFilter{Tenant: own(ctx), Device: in.Device, State: in.State, Kind: in.Kind}, in.page())
			return list[views.Command]{items, next}, err
		})
	read(s, api, operation{http.MethodGet, "/commands/{command}", "getCommand", auth.Look, "Show a command", "commands", false},
		func(ctx context.Context, in *oneCommand) (views.Command, error) {
			return s.views.Command(ctx, s.DB, own(ctx), in.Command.text)
		})
	write(s, api, operation{http.MethodPost, "/commands/{command}/cancel", "cancelCommand", auth.Change, "Take a command back that was not handed over", "commands", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *oneCommand) (nothing, error) {
			if _, err := s.views.Command(ctx, tx, own(ctx), in.Command.text); err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Queue.Cancel(ctx, tx, by, in.Command.text)
		})
}
