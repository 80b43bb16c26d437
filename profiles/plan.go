package profiles

import (
	"fmt"
	"slices"
	"time"

	"ranzen/internal/commands"
	"ranzen/internal/sqldb"
)

// Kinds of commands.
const (
	installProfile = "profile.install"
	removeProfile  = "profile.remove"
	listProfiles   = "profile.list"
	installApp     = "app.install"
	removeApp      = "app.remove"
	listManaged    = "app.managed"
	listInstalled  = "app.installed"
)

// States of an item on a tablet.
const (
	pending      = "pending"
	sent         = "sent"
	acknowledged = "acknowledged"
	installed    = "installed"
	removing     = "removing"
	removed      = "removed"
	failed       = "failed"
	blocked      = "blocked"
)

// thing names an item on a tablet.
type thing struct{ Kind, ID string }

func (t thing) key() string         { return t.Kind + ":" + t.ID }
func (t thing) item(v int64) string { return fmt.Sprintf("%s:%s:%d", t.Kind, t.ID, v) }
func (t thing) removal() string     { return fmt.Sprintf("%s:%s:gone", t.Kind, t.ID) }
func (t thing) kinds() (in, out string) {
	if t.Kind == kindApp {
		return installApp, removeApp
	}
	return installProfile, removeProfile
}

// list is the kind of list that proves an item.
func (t thing) list() string {
	if t.Kind == kindApp {
		return listManaged
	}
	return listProfiles
}

// tablet is all that planning knows of one.
type tablet struct {
	facts DeviceFacts
	wish  map[thing]wanted
	has   map[thing]itemRow            // of this generation
	open  map[string]string            // dedupe key -> Item, of what waits or is under way
	nets  map[string]bool              // profiles with a Wi-Fi network
	older map[string]map[int64]*Traits // of former versions with a network that are there; shared
	place map[string]calledRow         // of items there that nobody wishes
	lists map[string]time.Time         // when each list was last seen in this generation
}

// fulfils tells whether what a tablet shows is what is wished of it. Of an app a
// later version is, too: iPadOS does not put an earlier one in its place.
func fulfils(kind string, observed *int64, version int64) bool {
	return observed != nil && (*observed == version || kind == kindApp && *observed > version)
}

// settle says of a row that its tablet has what is wished.
func (r *itemRow) settle() {
	r.State, r.Reason, r.RetryAt = installed, "", sqldb.Time{}
	if *r.Observed != *r.Desired {
		r.Reason = "A later version is on the iPad already, and iPadOS does not go back to an earlier one of an app."
	}
}

// end says of a row that nothing of it is there. That its removal was confirmed is
// spent: if the tablet has the like again one day, other things were made with it.
func (r *itemRow) end() {
	r.State, r.Reason, r.RetryAt, r.RemoveAfter, r.RemoveBy = removed, "", sqldb.Time{}, sqldb.Time{}, ""
}

// listAge is how old what a tablet showed may become before it is asked again.
const listAge = 24 * time.Hour

// plan compares wish with state. It is pure: orders are what to queue, rows are
// the items that change, next is when to look again at the latest.
func plan(t tablet, now time.Time) (orders []commands.Command, rows []itemRow, next time.Time) {
	next = now.Add(listAge)
	if !t.facts.Active {
		return nil, nil, time.Time{}
	}
	p := &planner{t: t, now: now, next: next, asked: map[string]bool{}}
	for _, th := range t.things() {
		if v, wanted := t.wish[th]; wanted {
			p.want(th, v)
		} else {
			p.drop(th)
		}
	}
	for _, kind := range []string{listProfiles, listManaged, listInstalled} {
		due := t.lists[kind].Add(t.listAge(kind, now))
		if !due.After(now) {
			p.ask(kind)
		} else if due.Before(p.next) {
			p.next = due
		}
	}
	return p.orders, p.rows, p.next
}

// listAge is short where the tablet undid something that the list proves: whether
// it does so again is not to be found out days later.
func (t tablet) listAge(kind string, now time.Time) time.Duration {
	for th, r := range t.has {
		if th.list() == kind && len(r.undoings(now)) > 0 {
			return undoLook
		}
	}
	return listAge
}

// things are those wished and those there, in a stable order: profiles first,
// since apps need the network that one of them brings.
func (t tablet) things() []thing {
	all := map[thing]bool{}
	for th := range t.wish {
		all[th] = true
	}
	for th := range t.has {
		all[th] = true
	}
	list := make([]thing, 0, len(all))
	for th := range all {
		list = append(list, th)
	}
	slices.SortFunc(list, compareThings)
	return list
}

type planner struct {
	t      tablet
	now    time.Time
	next   time.Time
	orders []commands.Command
	rows   []itemRow
	asked  map[string]bool
}

func (p *planner) want(th thing, w wanted) {
	v := w.Version
	w.Render = p.rendering(th, w)
	in, _ := th.kinds()
	r, known := p.t.has[th]
	if !known {
		r = itemRow{EnrollmentID: p.t.facts.EnrollmentID, Kind: th.Kind, ItemID: th.ID, Generation: p.t.facts.Generation, State: pending}
	}
	changed := !known || r.Desired == nil || *r.Desired != v || r.Render != w.Render
	if changed { // a new wish begins with no failures behind it
		r.Desired, r.Render, r.Failures, r.RetryAt = &v, w.Render, 0, sqldb.Time{}
	}
	r.RemoveAfter, r.RemoveBy = sqldb.Time{}, "" // a removal was confirmed for when nobody wished it
	switch {
	case fulfils(th.Kind, r.Observed, v) && r.SeenRender == w.Render:
		if r.State != installed || changed {
			r.settle()
			p.save(r)
		}
		return
	case w.Blocked != "":
		if changed || r.State != blocked || r.Reason != w.Blocked {
			r.State, r.Reason, r.RetryAt = blocked, w.Blocked, sqldb.Time{}
			p.save(r)
		}
		return
	case p.t.open[th.key()] == th.item(v):
		if changed || r.State != pending && r.State != sent {
			r.State, r.Reason = pending, ""
			p.save(r)
		}
		return
	case r.State == acknowledged && r.Sent != nil && *r.Sent == v && r.SentRender == w.Render && !changed:
		// Its list has not come yet: that is what is missing, not the item.
		p.ask(th.list())
		return
	case !r.RetryAt.IsZero() && r.RetryAt.After(p.now):
		p.lookAt(r.RetryAt.Time)
		if changed {
			p.save(r)
		}
		return
	}
	r.State, r.Reason, r.RetryAt = pending, "", sqldb.Time{}
	p.save(r)
	p.order(in, th, th.item(v))
}

func (p *planner) drop(th thing) {
	_, out := th.kinds()
	r := p.t.has[th]
	gone := r.Observed == nil && !r.ObservedAt.IsZero() && (r.SentAt.IsZero() || r.ObservedAt.After(r.SentAt.Time))
	switch {
	case r.State == removed:
		return
	case gone, r.Sent == nil && r.Observed == nil:
		// What waits to be installed is dropped at hand-over: nobody wishes it.
		r.Desired = nil
		r.end()
		p.save(r)
		return
	case p.heir(th) != "":
		p.inherit(r, p.heir(th))
		return
	case r.HoldsData && !r.mayGo(p.now):
		p.keep(r)
		return
	case p.t.open[th.key()] == th.removal():
		return
	case p.t.nets[th.ID] && p.otherNetwork() != "":
		p.stay(r, "It goes once the new Wi-Fi network is there, so that the iPad is not cut off: "+p.otherNetwork()+".")
		return
	case r.Desired == nil && !r.RetryAt.IsZero() && r.RetryAt.After(p.now):
		p.lookAt(r.RetryAt.Time)
		return
	case r.Desired == nil && r.State == removing && !r.AckAt.IsZero() && r.AckAt.After(r.ObservedAt.Time):
		p.ask(th.list())
		return
	}
	if r.Desired != nil {
		r.Failures = 0
	}
	r.Desired, r.State, r.Reason, r.RetryAt = nil, removing, "", sqldb.Time{}
	p.save(r)
	p.order(out, th, th.removal())
}

// heir is what is wished and the same to an iPad as something that is not wished
// any more: removing that would take it away too.
func (p *planner) heir(th thing) string {
	place := p.t.place[th.ID].Place
	if place == "" {
		return ""
	}
	for _, other := range p.t.things() {
		if w, wished := p.t.wish[other]; wished && other.Kind == th.Kind && w.Place == place && w.Blocked == "" {
			return w.Name
		}
	}
	return ""
}

// inherit has an app belong to its heir from now on; a profile is there until the
// heir has taken its place.
func (p *planner) inherit(r itemRow, heir string) {
	if r.Kind == kindProfile {
		p.stay(r, "It goes as soon as this has taken its place: "+heir+".")
		return
	}
	r.Desired = nil
	r.end()
	p.save(r)
}

// keep leaves an app on the tablet that holds data, and says what is missing for
// its removal.
func (p *planner) keep(r itemRow) {
	if !r.RemoveAfter.IsZero() {
		p.lookAt(r.RemoveAfter.Time)
	}
	if reason := r.kept(); r.Desired != nil || r.State != blocked || r.Reason != reason {
		r.Desired, r.State, r.Reason, r.RetryAt, r.Failures = nil, blocked, reason, sqldb.Time{}, 0
		p.save(r)
	}
}

// otherNetwork is a profile with a Wi-Fi network that is wished and not there yet:
// networks are changed by adding the new one before the old one goes.
func (p *planner) otherNetwork() string {
	for _, th := range p.t.things() {
		w, wished := p.t.wish[th]
		r := p.t.has[th]
		if wished && w.Blocked == "" && w.Traits != nil && len(w.Traits.SSIDs) > 0 && (r.Observed == nil || *r.Observed != w.Version) {
			return w.Name
		}
	}
	return ""
}

// stay leaves a profile where it is for now.
func (p *planner) stay(r itemRow, reason string) {
	if r.Desired != nil || r.State != removing || r.Reason != reason {
		r.Desired, r.State, r.Reason, r.RetryAt, r.Failures = nil, removing, reason, sqldb.Time{}, 0
		p.save(r)
	}
}

func (p *planner) save(r itemRow) {
	r.UpdatedAt = sqldb.At(p.now)
	p.rows = append(p.rows, r)
}

func (p *planner) lookAt(t time.Time) {
	if t.Before(p.next) {
		p.next = t
	}
}

func (p *planner) order(kind string, th thing, what string) {
	p.orders = append(p.orders, commands.Command{
		EnrollmentID: p.t.facts.EnrollmentID, Generation: p.t.facts.Generation, Kind: kind, DedupeKey: th.key(), Item: what, Origin: origin,
	})
}

// ask queues a list, unless it is under way.
func (p *planner) ask(kind string) {
	if _, open := p.t.open[kind]; open || p.asked[kind] {
		return
	}
	p.asked[kind] = true
	p.orders = append(p.orders, commands.Command{
		EnrollmentID: p.t.facts.EnrollmentID, Generation: p.t.facts.Generation, Kind: kind, DedupeKey: kind, Origin: origin,
	})
}
