package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/enroll"
	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

// OneDevice names a device in the path.
type OneDevice struct {
	Device named `path:"device" doc:"Serial number, asset tag, UDID or id"`
}

// ordered is the answer to an order: the command that carries it.
type ordered struct {
	Command string `json:"command" doc:"The command's id"`
}

// when is nil for a time that is not known.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type status struct {
	Version  string       `json:"version"`
	Database string       `json:"database" enum:"sqlite,postgres"`
	URL      string       `json:"url" doc:"The address tablets know"`
	Counts   views.Counts `json:"counts"`
	Refusals []refusal    `json:"refusals" doc:"Certificates that were shown and refused, newest first; for the provider's people"`
	Warnings []string     `json:"warnings" doc:"What a person should look after"`
}

func (s *Server) apiDevices(api huma.API) {
	read(s, api, operation{http.MethodGet, "/status", "status", auth.Look, "What runs, what waits, and what needs attention", "server", false}, s.getStatus)
	read(s, api, operation{http.MethodGet, "/devices", "listDevices", auth.Look, "List devices", "devices", false}, s.listDevices)
	read(s, api, operation{http.MethodGet, "/devices/{device}", "getDevice", auth.Look, "All that is known of a device", "devices", false}, s.getDevice)
	read(s, api, operation{http.MethodGet, "/devices/{device}/timeline", "getTimeline", auth.Look, "All that happened to a device, oldest first", "devices", false}, s.getTimeline)
	read(s, api, operation{http.MethodGet, "/devices/{device}/location", "getLocation", auth.Change, "Where a lost device was last", "devices", false}, s.getLocation)

	type plain struct{ OneDevice }
	simple := func(word, id, summary string, order func(context.Context, *sqldb.Tx, audit.Actor, string) (string, error)) {
		write(s, api, operation{http.MethodPost, "/devices/{device}/" + word, id, auth.Change, summary, "devices", false},
			func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *plain) (ordered, error) {
				return s.order(ctx, tx, in.Device, func(device string) (string, error) { return order(ctx, tx, by, device) })
			})
	}
	simple("restart", "restartDevice", "Restart a device", s.Enroll.Restart)
	simple("refresh", "refreshDevice", "Ask a device for its inventory", s.Enroll.Refresh)
	simple("found", "endLostMode", "End Lost Mode", s.Enroll.DisableLost)
	simple("locate", "locateDevice", "Ask a lost device where it is", s.Enroll.Locate)
	simple("sound", "soundDevice", "Let a lost device play a sound", s.Enroll.Sound)
	simple("clear-passcode", "clearPasscode", "Remove the passcode of a device", s.Enroll.ClearPasscode)

	type retry struct {
		OneDevice
		Body struct {
			What string `json:"what,omitempty" maxLength:"255" doc:"Name of a profile or app, which is sent once more although it is there. Default: all that failed"`
		}
	}
	type retried struct {
		Items []string `json:"items" doc:"What is tried again"`
	}
	write(s, api, operation{http.MethodPost, "/devices/{device}/retry", "retryDevice", auth.Change, "Try again at once what failed on a device", "devices", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *retry) (retried, error) {
			id, err := s.views.Resolve(ctx, tx, own(ctx), in.Device.text)
			if err != nil {
				return retried{}, err
			}
			items, err := s.Profiles.Retry(ctx, tx, by, id, in.Body.What)
			return retried{items}, err
		})
	type rename struct {
		OneDevice
		Body struct {
			Name string `json:"name" maxLength:"255"`
		}
	}
	write(s, api, operation{http.MethodPost, "/devices/{device}/rename", "renameDevice", auth.Change, "Give a device another name", "devices", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *rename) (ordered, error) {
			return s.order(ctx, tx, in.Device, func(d string) (string, error) { return s.Enroll.Rename(ctx, tx, by, d, in.Body.Name) })
		})
	type lost struct {
		OneDevice
		Body struct {
			Message  string `json:"message,omitempty" maxLength:"2000"`
			Phone    string `json:"phone,omitempty" maxLength:"2000"`
			Footnote string `json:"footnote,omitempty" maxLength:"2000"`
		}
	}
	write(s, api, operation{http.MethodPost, "/devices/{device}/lost", "beginLostMode", auth.Change, "Lock a lost device with a message", "devices", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *lost) (ordered, error) {
			return s.order(ctx, tx, in.Device, func(d string) (string, error) { return s.Enroll.EnableLost(ctx, tx, by, d, enroll.Lost(in.Body)) })
		})
	s.apiEnds(api)
}

// apiEnds are the orders that cannot be undone, and what nothing else covers.
func (s *Server) apiEnds(api huma.API) {
	type erase struct {
		OneDevice
		Body struct {
			Reason          string `json:"reason" maxLength:"2000" doc:"Why; it stays in the audit log"`
			ReturnToService bool   `json:"return_to_service,omitempty" doc:"It comes back by itself and enrolls again"`
			WiFi            string `json:"wifi,omitempty" maxLength:"255" doc:"The Wi-Fi profile it comes back with"`
		}
	}
	write(s, api, operation{http.MethodPost, "/devices/{device}/erase", "eraseDevice", auth.Change, "Erase a device; this cannot be undone", "devices", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *erase) (ordered, error) {
			return s.order(ctx, tx, in.Device, func(d string) (string, error) {
				spec := enroll.EraseSpec{Reason: in.Body.Reason, ReturnToService: in.Body.ReturnToService}
				if in.Body.WiFi != "" {
					devices, err := s.Schools.Devices(ctx, tx, []string{d})
					if err != nil {
						return "", err
					}
					// A name means the network of the device's tenant, whoever says it.
					if spec.WiFiProfile, err = s.Profiles.WiFiPayload(ctx, tx, devices[d].TenantID, in.Body.WiFi); err != nil {
						return "", err
					}
				}
				return s.Enroll.Erase(ctx, tx, by, d, spec)
			})
		})
	type unmanage struct {
		OneDevice
		Body struct {
			Reason string `json:"reason" maxLength:"2000"`
		}
	}
	write(s, api, operation{http.MethodPost, "/devices/{device}/unmanage", "unmanageDevice", auth.Change, "End a device's management at its next contact", "devices", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *unmanage) (nothing, error) {
			id, err := s.views.Resolve(ctx, tx, own(ctx), in.Device.text)
			if err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Enroll.Unmanage(ctx, tx, by, id, in.Body.Reason)
		})
	type send struct {
		OneDevice
		Body struct {
			Command string            `json:"command" maxLength:"255" example:"RestartDevice" doc:"Apple's RequestType"`
			Args    map[string]string `json:"args,omitempty" doc:"Its keys"`
		}
	}
	write(s, api, operation{http.MethodPost, "/devices/{device}/send", "sendCommand", auth.Change, "Send one of Apple's commands", "devices", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *send) (ordered, error) {
			return s.order(ctx, tx, in.Device, func(d string) (string, error) {
				return s.Enroll.Send(ctx, tx, by, d, in.Body.Command, in.Body.Args)
			})
		})
}

func (s *Server) order(ctx context.Context, tx *sqldb.Tx, ref named, give func(device string) (string, error)) (ordered, error) {
	id, err := s.views.Resolve(ctx, tx, own(ctx), ref.text)
	if err != nil {
		return ordered{}, err
	}
	command, err := give(id)
	return ordered{command}, err
}

func (s *Server) getStatus(ctx context.Context, _ *struct{}) (status, error) {
	counts, err := s.views.Counts(ctx, own(ctx))
	if err != nil {
		return status{}, err
	}
	out := status{Version: s.Config.Version, Database: string(s.DB.Dialect()), URL: s.Config.PublicURL, Counts: counts, Refusals: []refusal{}, Warnings: []string{}}
	if own(ctx) == "" { // a refused certificate is nobody's
		refused, err := s.Certs.Refusals(ctx, s.DB, 20)
		if err != nil {
			return status{}, err
		}
		out.Refusals = mapped(refused, refusalOf)
	}
	_, placeholder, err := s.Certs.Topic(ctx, s.DB)
	if err != nil {
		return status{}, err
	}
	if placeholder {
		out.Warnings = append(out.Warnings, "There is no push certificate: iPads are not woken. See `ranzen push-cert request`.")
	}
	if counts.LeftAlone > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d profiles or apps were undone on iPads five times within a day and are left alone: see `ranzen devices --filter item-state:failed` and `ranzen device why`.", counts.LeftAlone))
	}
	warnings, err := s.adeWarnings(ctx)
	if err != nil {
		return status{}, err
	}
	out.Warnings = append(out.Warnings, warnings...)
	if warnings, err = s.heldWarnings(ctx); err != nil {
		return status{}, err
	}
	out.Warnings = append(out.Warnings, warnings...)
	return out, nil
}

type deviceFilter struct {
	PagedOf
	Filter string `query:"filter" doc:"state:enrolled group:5a cart:SAT-K03 -os:17* library" maxLength:"1024"`
}

func (s *Server) listDevices(ctx context.Context, in *deviceFilter) (list[views.Device], error) {
	tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
	if err != nil {
		return list[views.Device]{}, err
	}
	items, next, err := s.views.Devices(ctx, tenant, in.Filter, in.page())
	return list[views.Device]{items, next}, err
}

func (s *Server) getDevice(ctx context.Context, in *OneDevice) (views.Detail, error) {
	return s.views.Device(ctx, own(ctx), in.Device.text)
}

type timelineOf struct {
	OneDevice
	Paged
}

func (s *Server) getTimeline(ctx context.Context, in *timelineOf) (list[views.Happening], error) {
	items, next, err := s.views.Timeline(ctx, own(ctx), in.Device.text, in.page())
	return list[views.Happening]{items, next}, err
}

type location struct {
	Latitude           float64   `json:"latitude"`
	Longitude          float64   `json:"longitude"`
	HorizontalAccuracy float64   `json:"horizontal_accuracy" doc:"Metres"`
	ObservedAt         time.Time `json:"observed_at"`
}

func (s *Server) getLocation(ctx context.Context, in *OneDevice) (location, error) {
	id, err := s.views.Resolve(ctx, s.DB, own(ctx), in.Device.text)
	if err != nil {
		return location{}, err
	}
	p, err := s.Enroll.Location(ctx, s.DB, id)
	return location{p.Latitude, p.Longitude, p.HorizontalAccuracy, p.ObservedAt}, err
}
