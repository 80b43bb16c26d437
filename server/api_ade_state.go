package server

import (
	"context"
	"fmt"
	"time"

	"ranzen/enroll"
)

// adeDevice is a serial number as Apple knows it.
type adeDevice struct {
	Serial      string     `json:"serial"`
	Device      string     `json:"device" doc:"Our id; empty when it belongs to another tenant"`
	Token       string     `json:"token" doc:"Name of the server token that brings it"`
	Tenant      string     `json:"tenant"`
	Model       string     `json:"model"`
	Description string     `json:"description"`
	Color       string     `json:"color"`
	Status      string     `json:"status" enum:"confirmed,asked,waiting,throttled,failed,refused,no_profile,missing,moved,other_tenant,removed"`
	Profile     string     `json:"profile" doc:"Name of the enrollment profile it is to get"`
	WantedUUID  string     `json:"wanted_uuid" doc:"What Apple calls that; empty: not defined there yet"`
	AppleUUID   string     `json:"apple_uuid" doc:"The one it has at Apple"`
	AppleState  string     `json:"apple_state" example:"assigned" doc:"Apple's word: empty, assigned, pushed, removed"`
	Result      string     `json:"result" example:"SUCCESS" doc:"Apple's answer to the last assignment"`
	Problem     string     `json:"problem" doc:"Apple's word against the profile, where it is refused"`
	Replaces    string     `json:"replaces" doc:"Serial number of the device that it was exchanged for, as far as Apple says"`
	Attempts    int64      `json:"attempts"`
	AssignedAt  *time.Time `json:"assigned_at" doc:"To our server, at Apple"`
	AppleSince  *time.Time `json:"apple_since" doc:"It has that profile at Apple since"`
	AskedAt     *time.Time `json:"asked_at" doc:"Apple was last told to assign"`
	RetryAt     *time.Time `json:"retry_at" doc:"Apple is told again then, if need be"`
	SeenAt      *time.Time `json:"seen_at" doc:"Apple last told of it"`
	RemovedAt   *time.Time `json:"removed_at"`
}

type adeFilter struct {
	PagedOf
	Status string `query:"status" maxLength:"64" doc:"One status"`
	Token  string `query:"token" maxLength:"255" doc:"Name or id of a server token"`
	Serial string `query:"serial" maxLength:"64"`
}

func (s *Server) listADEDevices(ctx context.Context, in *adeFilter) (list[adeDevice], error) {
	tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
	if err != nil {
		return list[adeDevice]{}, err
	}
	f := enroll.ADEFilter{TenantID: tenant, Status: in.Status, Serial: in.Serial, After: in.After, Limit: in.Limit}
	if in.Token != "" {
		t, err := s.Certs.ADETokenByRef(ctx, s.DB, tenant, in.Token)
		if err != nil {
			return list[adeDevice]{}, err
		}
		f.TokenID = t.ID
	}
	tokens, err := s.Certs.ADETokens(ctx, s.DB, tenant)
	if err != nil {
		return list[adeDevice]{}, err
	}
	names := map[string]string{}
	for _, t := range tokens {
		names[t.ID] = t.Name
	}
	states, next, err := s.Enroll.ADEStates(ctx, s.DB, f)
	out := all(mapped(states, func(d enroll.ADEState) adeDevice {
		return adeDevice{
			Serial: d.Serial, Device: d.DeviceID, Token: names[d.TokenID], Tenant: codes[d.TenantID], Model: d.Model, Description: d.Description,
			Color: d.Color, Status: d.Status, Profile: d.Profile, WantedUUID: d.WantedUUID, AppleUUID: d.AppleUUID, AppleState: d.AppleState,
			Result: d.Result, Problem: d.Problem, Replaces: d.Replaces, Attempts: d.Attempts, AssignedAt: when(d.AssignedAt),
			AppleSince: when(d.ProfileAt), AskedAt: when(d.AskedAt), RetryAt: when(d.RetryAt), SeenAt: when(d.SeenAt), RemovedAt: when(d.RemovedAt),
		}
	}))
	out.Next = next
	return out, err
}

// When a person is told of what may pass by itself, and of an end that comes.
const (
	adeEndsSoon = 60 * 24 * time.Hour
	adePatience = time.Hour
)

// adeWarnings are what a person should look after at Apple School Manager.
func (s *Server) adeWarnings(ctx context.Context) ([]string, error) {
	tokens, err := s.Certs.ADETokens(ctx, s.DB, own(ctx))
	if err != nil || len(tokens) == 0 {
		return nil, err
	}
	states, err := s.Enroll.ADESyncs(ctx, s.DB, own(ctx))
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, t := range tokens {
		if t.Version == 0 {
			continue
		}
		switch left := t.ExpiresAt.Sub(now); {
		case left <= 0:
			say("The server token %q ended on %s: new iPads no longer appear. Download a new one in Apple School Manager and import it with `ranzen ade token import FILE`.", t.Name, t.ExpiresAt.Format(time.DateOnly))
		case left < adeEndsSoon:
			say("The server token %q ends in %d days, on %s. Download a new one in Apple School Manager and import it with `ranzen ade token import FILE`.", t.Name, int(left/(24*time.Hour)), t.ExpiresAt.Format(time.DateOnly))
		}
		y := states[t.ID]
		if y.Problem != "" && (enroll.ADEForPeople(y.Problem) || now.Sub(y.ProblemAt) > adePatience) {
			say("Server token %q: %s.", t.Name, enroll.ADEProblem(y.Problem))
		}
		if y.Missing > 0 {
			say("%d devices of the server token %q are missing in Apple's list. Nothing was removed: set it right in Apple School Manager, or accept it with `ranzen ade token accept-missing`.", y.Missing, t.Name)
		}
		if n := y.Counts[enroll.ADEOtherTenant]; n > 0 {
			say("%d serial numbers of the server token %q belong to another tenant and are kept out.", n, t.Name)
		}
		if n := y.Counts[enroll.ADERefused]; n > 0 {
			say("Apple refuses the enrollment profile of %d devices of the server token %q. `ranzen ade profile state --status refused` tells why.", n, t.Name)
		}
	}
	return out, nil
}
