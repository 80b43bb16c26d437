package enroll

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Link is an enrollment link: whoever has its address may enroll an iPad.
type Link struct {
	ID         string
	TenantID   string // whose the tablets are that come by it
	Name       string
	Code       string // the secret in the address
	URL        string // the page for people, with a QR code
	ProfileURL string // the enrollment profile itself; each fetch is personal
	Group      string // name of the group its devices join, "" for none
	CreatedBy  string
	CreatedAt  time.Time
	ExpiresAt  time.Time
	MaxUses    int64 // enrollments, not fetches; 0 is any number
	Uses       int64
	RevokedAt  time.Time
	Warning    string // what a person should know before handing it out

	groupID string
}

// LinkSpec is what a person decides about a link.
type LinkSpec struct {
	TenantID string // whose the tablets are; "" while there is one tenant
	Name     string
	Group    string        // name or id, "" for none
	Expires  time.Duration // DefaultExpiry when zero
	MaxUses  int           // 0 is any number
}

// DefaultExpiry is how long a link works when nobody says: long enough for the
// delivery day and the two after it.
const DefaultExpiry = 72 * time.Hour

const (
	maxExpiry   = 366 * 24 * time.Hour
	maxLinkUses = 1_000_000
	maxLinkName = 200
)

// fetchTTL is how long the challenge of a fetched profile works. An iPad forgets
// a profile eight minutes after the download; an hour is for whoever prepares
// iPads over a cable.
const fetchTTL = time.Hour

// newCode is 128 random bits in letters and digits that survive being read
// aloud or typed: the case does not matter.
func newCode() string { return strings.ToLower(rand.Text()) }

func codeHash(code string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(code)))
	return hex.EncodeToString(sum[:])
}

func (s LinkSpec) check() (LinkSpec, error) {
	s.Name = strings.TrimSpace(s.Name)
	if s.Expires == 0 {
		s.Expires = DefaultExpiry
	}
	switch {
	case s.Name == "" || utf8.RuneCountInString(s.Name) > maxLinkName || !utf8.ValidString(s.Name) || strings.ContainsFunc(s.Name, unicode.IsControl):
		return s, fault.New(fault.Invalid, "link.name", "Say a name for the link of 1 to %d characters, such as the class it is for.", maxLinkName).On("name")
	case s.Expires < time.Minute || s.Expires > maxExpiry:
		return s, fault.New(fault.Invalid, "link.expires", "A link works for at least one minute and at most a year; %s is neither.", s.Expires).On("expires")
	case s.MaxUses < 0 || s.MaxUses > maxLinkUses:
		return s, fault.New(fault.Invalid, "link.max-uses", "The number of enrollments must be between 1 and %d, or 0 for any number.", maxLinkUses).On("max_uses")
	}
	return s, nil
}

// CreateLink makes an enrollment link.
func (r *Room) CreateLink(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, spec LinkSpec) (Link, error) {
	spec, err := spec.check()
	if err != nil {
		return Link{}, err
	}
	tenant, err := r.Schools.TenantFor(ctx, tx, "", spec.TenantID)
	if err != nil {
		return Link{}, err
	}
	now := r.Clock.Now()
	l := Link{
		ID: sqldb.NewID(), TenantID: tenant.ID, Name: spec.Name, Code: newCode(), CreatedBy: string(actor), CreatedAt: now,
		ExpiresAt: now.Add(spec.Expires), MaxUses: int64(spec.MaxUses),
	}
	if spec.Group != "" {
		g, err := r.Schools.GroupByName(ctx, tx, tenant.ID, spec.Group)
		if err != nil {
			return Link{}, err
		}
		if g.Rule != "" {
			return Link{}, fault.New(fault.Conflict, "link.group-rule", "A rule says who is in the group %s, so a link cannot put devices into it. Name a group without a rule.", g.Name).On("group")
		}
		l.Group, l.groupID = g.Name, g.ID
	}
	sealed, err := r.Vault.Seal("enroll.link:"+l.ID, []byte(l.Code))
	if err != nil {
		return Link{}, fmt.Errorf("create link: %w", err)
	}
	if err := insertLink(ctx, tx, l, codeHash(l.Code), sealed); err != nil {
		return Link{}, err
	}
	if l.Warning, err = r.warning(ctx, tx); err != nil {
		return Link{}, err
	}
	detail := map[string]any{"name": l.Name, "expires_at": l.ExpiresAt.Format(time.RFC3339), "max_uses": l.MaxUses, "group": l.Group}
	return r.addressed(l), r.record(ctx, tx, actor, "link.create", "link:"+l.ID, detail)
}

// warning is what is wrong with handing out links now.
func (r *Room) warning(ctx context.Context, q sqldb.Queryer) (string, error) {
	_, placeholder, err := r.Certs.Topic(ctx, q)
	if err != nil || !placeholder {
		return "", err
	}
	return "There is no push certificate yet. iPads that enroll now cannot be woken and must enroll again once it is imported: run `ranzen push-cert import` first.", nil
}

func (r *Room) addressed(l Link) Link {
	l.URL = r.PublicURL + "/enroll/" + l.Code
	l.ProfileURL = l.URL + "/profile"
	return l
}

// Links lists the links of a tenant, or all for "", newest first.
func (r *Room) Links(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Link, error) {
	rows, err := allLinks(ctx, q, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	warning, err := r.warning(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make([]Link, 0, len(rows))
	for _, row := range rows {
		l, err := r.unseal(row)
		if err != nil {
			return nil, err
		}
		l.Warning = warning
		out = append(out, l)
	}
	return out, nil
}

func (r *Room) unseal(row linkRow) (Link, error) {
	l := row.link()
	code, err := r.Vault.Open("enroll.link:"+l.ID, row.CodeSealed)
	if err != nil {
		return Link{}, fmt.Errorf("read link: %w", err)
	}
	l.Code = string(code)
	return r.addressed(l), nil
}

// RevokeLink ends a link of a tenant, or of any for "", named by its id, or by
// its name if only one that still works is called so. Tablets that came by it stay enrolled; profiles that were
// fetched and not yet installed are refused. Revoking it twice is the same as
// once.
func (r *Room) RevokeLink(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, ref string) error {
	if !utf8.ValidString(ref) || strings.ContainsRune(ref, 0) {
		return noSuchLink()
	}
	ids, err := linksNamed(ctx, tx, tenantID, ref)
	if err != nil {
		return fmt.Errorf("find link: %w", err)
	}
	switch len(ids) {
	case 0:
		return noSuchLink()
	case 1:
	default:
		return fault.New(fault.Conflict, "link.ambiguous", "%d links are called so. Say the id of the one to revoke; `ranzen link list` shows them.", len(ids)).On("link")
	}
	n, err := revokeLink(ctx, tx, ids[0], r.Clock.Now())
	if err != nil || n == 0 {
		return err
	}
	return r.record(ctx, tx, actor, "link.revoke", "link:"+ids[0], nil)
}

func noSuchLink() *fault.Fault {
	return fault.New(fault.NotFound, "link.unknown", "There is no such enrollment link. `ranzen link list` shows those there are.").On("link")
}

// ReleaseGroup takes a group out of links that no longer work, before the group
// is removed. A link that still works keeps its group and is a fault.
func (r *Room) ReleaseGroup(ctx context.Context, tx *sqldb.Tx, groupID string) error {
	names, err := openLinksOf(ctx, tx, groupID, r.Clock.Now())
	if err != nil {
		return fmt.Errorf("find the links of a group: %w", err)
	}
	if len(names) > 0 {
		return fault.New(fault.Conflict, "group.in-use",
			"Devices that come by the link %q join this group. Revoke the link first.", names[0])
	}
	return releaseGroup(ctx, tx, groupID)
}

// open tells why a link leads nowhere, or nil.
func (l Link) open(now time.Time) error {
	if err := l.usable(); err != nil {
		return err
	}
	if !now.Before(l.ExpiresAt) {
		return fault.New(fault.Denied, "link.expired", "This enrollment link expired at %s. Ask for a new one.", l.ExpiresAt.Format(time.RFC3339))
	}
	return nil
}

// usable is open but for the expiry: a profile fetched in time may be installed
// a little later.
func (l Link) usable() error {
	if !l.RevokedAt.IsZero() {
		return fault.New(fault.Denied, "link.revoked", "This enrollment link was revoked. Ask for a new one.")
	}
	if l.MaxUses > 0 && l.Uses >= l.MaxUses {
		return fault.New(fault.Denied, "link.used-up", "This enrollment link is used up: %d devices have enrolled with it. Ask for a new one.", l.Uses)
	}
	return nil
}

// OpenLink gives the link with a code, if it works. It counts for nothing.
func (r *Room) OpenLink(ctx context.Context, q sqldb.Queryer, code string) (Link, error) {
	if len(code) == 0 || len(code) > 100 {
		return Link{}, noSuchLink()
	}
	row, err := linkByHash(ctx, q, codeHash(code))
	if errors.Is(err, sqldb.ErrNoRows) {
		return Link{}, noSuchLink()
	}
	if err != nil {
		return Link{}, fmt.Errorf("open link: %w", err)
	}
	l := row.link()
	if err := l.open(r.Clock.Now()); err != nil {
		return Link{}, err
	}
	return r.unseal(row)
}

// use counts one enrollment, unless it was counted before. The row is held until
// the commit, so that the last use is given once.
func (r *Room) use(ctx context.Context, tx *sqldb.Tx, linkID string, counted bool) error {
	row, err := lockLink(ctx, tx, linkID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return noSuchLink()
	}
	if err != nil {
		return fmt.Errorf("use link: %w", err)
	}
	l := row.link()
	if counted {
		l.Uses--
	}
	if err := l.usable(); err != nil || counted {
		return err
	}
	return countUse(ctx, tx, linkID)
}
