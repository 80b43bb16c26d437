package schools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"ranzen/internal/audit"
	"ranzen/internal/sqldb"
)

// PackItem is a device, or a text that is none, in a pack check.
type PackItem struct {
	Serial string // or the text as it was scanned
	Tag    string
	Name   string
	Slot   int // 0 for none
	State  AssetState
	Why    string // of an unknown one: "unknown", "other-tenant", "slot"
}

// PackResult is what a pack check found.
type PackResult struct {
	Cart       Cart
	Expected   int        // devices that belong into the cart
	Present    []PackItem // and were scanned
	Missing    []PackItem // and were not
	Unexpected []PackItem // scanned and belong elsewhere
	Unknown    []PackItem // no device of the tenant
	Complete   bool       // what belongs in is in, and nothing else
}

// PackCheck compares what was scanned with what belongs into a cart, in any
// order, tags or serial numbers, each once or more. When it is complete, the
// cart goes out: its devices that are ready are in use from now on. The result
// is kept either way.
//
// Faults: cart.unknown, scan.texts, scan.text.
func (r *Room) PackCheck(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, cartID string, texts []string) (PackResult, error) {
	texts, err := scanned(texts, maxPackTexts)
	if err != nil {
		return PackResult{}, err
	}
	cart, err := cartByID(ctx, tx, "", cartID)
	if err != nil {
		return PackResult{}, err
	}
	// Devices before the cart, as everybody else locks them.
	in, err := lockInCart(ctx, tx, cart.ID)
	if err != nil {
		return PackResult{}, err
	}
	site, err := siteByID(ctx, tx, cart.TenantID, cart.SiteID)
	if err != nil {
		return PackResult{}, err
	}
	k, err := knowPacked(ctx, tx, texts)
	if err != nil {
		return PackResult{}, err
	}
	res := PackResult{Cart: cart, Expected: len(in)}
	seen := map[string]bool{}
	for _, text := range texts {
		if text != "" && text != site.Code+"-"+cart.Code {
			res.sort(text, k, seen)
		}
	}
	for _, d := range in {
		if seen[d.ID] {
			res.Present = append(res.Present, packItem(d))
		} else {
			res.Missing = append(res.Missing, packItem(d))
		}
	}
	res.Complete = res.Expected > 0 && len(res.Missing)+len(res.Unexpected)+len(res.Unknown) == 0
	if res.Complete {
		for _, d := range in {
			if d.AssetState != Ready {
				continue
			}
			if _, err := r.move(ctx, tx, actor, d, InUse, Evidence{Reason: "packed"}); err != nil {
				return PackResult{}, err
			}
		}
	}
	return res, r.keepPack(ctx, tx, actor, res)
}

// sort puts a text where it belongs, once.
func (res *PackResult) sort(text string, k known, seen map[string]bool) {
	d, ok := k.serials[k.serialIn(text)]
	if !ok {
		d, ok = k.tags[tagOf(text)]
	}
	key, item := d.ID, packItem(d)
	switch {
	case !ok || d.TenantID != res.Cart.TenantID:
		key, item = text, PackItem{Serial: text, Why: KindUnknown}
		if slotName.MatchString(text) {
			item.Why = KindSlot
		}
		if ok {
			item.Why = "other-tenant"
		}
	case d.CartID == res.Cart.ID:
		seen[key] = true
		return
	}
	if seen[key] {
		return
	}
	seen[key] = true
	if item.Why != "" {
		res.Unknown = append(res.Unknown, item)
	} else {
		res.Unexpected = append(res.Unexpected, item)
	}
}

func packItem(d Device) PackItem {
	return PackItem{Serial: d.Serial, Tag: d.AssetTag, Name: d.Name, Slot: d.Slot, State: d.AssetState}
}

// keepPack keeps a result. Texts that are no device stay out of it: nobody
// knows what somebody's scanner read.
func (r *Room) keepPack(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, res PackResult) error {
	serials := func(items []PackItem) []string {
		out := make([]string, len(items))
		for i, item := range items {
			out[i] = item.Serial
		}
		return out
	}
	b, err := json.Marshal(map[string]any{"present": serials(res.Present), "missing": serials(res.Missing),
		"unexpected": serials(res.Unexpected), "unknown": len(res.Unknown)})
	if err != nil {
		return fmt.Errorf("keep a pack check: %w", err)
	}
	if err := insertPack(ctx, tx, res.Cart.ID, string(b), res.Complete, string(actor), r.clock.Now()); err != nil {
		return err
	}
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "cart.pack", Subject: "cart:" + res.Cart.ID, Detail: map[string]any{
		"complete": res.Complete, "present": len(res.Present), "missing": len(res.Missing), "unexpected": len(res.Unexpected), "unknown": len(res.Unknown)}})
}

// knowPacked asks for devices only: a pack check takes no slots and no new tags.
func knowPacked(ctx context.Context, q sqldb.Queryer, texts []string) (known, error) {
	k := known{serials: map[string]Device{}, listed: map[string]bool{}, tags: map[string]Device{}}
	var serials, tags []string
	for _, text := range texts {
		if text == "" {
			continue
		}
		serials = append(serials, text, strings.TrimPrefix(text, "S"))
		if tag := tagOf(text); tag != "" {
			tags = append(tags, tag)
		}
	}
	return k, k.ask(ctx, q, "", serials, tags)
}
