const looks = { installed: "good", removed: "good", excluded: "", not_assigned: "", draft: "", failed: "bad", blocked: "bad" };

const source = s => T["source." + s] || (s.startsWith("assignment ") ? T["source.assignment"] : s);

function proofs(list) {
  const head = make("tr", {}, ...[T.when, T.what, T.source, T.detail].map(t => make("th", { scope: "col" }, t)));
  const rows = list.map(p => make("tr", {}, ...[moment(p.at), T["what." + p.what] || p.what, source(p.source), p.text || ""].map(t => make("td", {}, t))));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  return make("details", {}, make("summary", {}, T.evidence), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": T.evidence }, table));
}

function item(w) {
  const kind = T["kind." + w.kind] || w.kind;
  return make("article", { class: looks[w.state] ?? "wait" },
    make("h3", {}, kind + " " + w.item + " – " + (T["state." + w.state] || w.state)),
    make("p", {}, w.text),
    w.evidence.length ? proofs(w.evidence) : null);
}

async function look() {
  const ref = $("device").value.trim();
  if (!ref) return;
  const w = await get("/devices/" + encodeURIComponent(ref) + "/why?lang=" + T.lang);
  if (!w) { $("answer").replaceChildren(); return; }
  trouble("");
  history.replaceState(null, "", "#" + encodeURIComponent(w.device)); // behind #: no server's log has it
  const seen = w.last_seen ? say(T.seen, { at: moment(w.last_seen) }) : T.never;
  $("answer").replaceChildren(
    make("h2", {}, w.device + " – " + (T["enrollment." + w.enrollment_state] || w.enrollment_state)), make("p", {}, seen),
    ...(w.items.length ? w.items.map(item) : [make("p", {}, T.nothing)]));
}

async function open() {
  if (!await get("/devices?limit=1")) return;
  signedIn();
  $("device").value = decodeURIComponent(location.hash.slice(1));
  $("device").focus();
  look();
}

$("who").addEventListener("submit", e => { e.preventDefault(); look(); });
begin(open);
