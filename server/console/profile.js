let hash = ""; // of the plan that was looked at
let keyed = 0;

const secret = name => /password|passphrase|secret|challenge/i.test(name);

function notes(k) {
  const list = [];
  if (k.required) list.push(T.required);
  if (k.supervised) list.push(T.supervised);
  if (k.since) list.push(say(T.since, { os: k.since }));
  if (k.removed) list.push(say(T.removed, { os: k.removed }));
  if (k.min || k.max) list.push(say(T.range, { min: k.min || "…", max: k.max || "…" }));
  if (k.default) list.push(say(T.default, { value: k.default }));
  return list.join(" · ");
}

const option = (value, text) => make("option", { value }, text);

// input is what a key is typed into, and how it is read: undefined is not said.
function input(k, id) {
  const lines = (e, read) => () => e.value.trim() === "" ? undefined : read(e.value);
  let e;
  switch (k.type) {
    case "boolean":
      e = make("select", { id }, option("", T.unsaid), option("true", T.yes), option("false", T.no));
      return [e, lines(e, v => v === "true")];
    case "integer": case "real":
      if (k.values) {
        e = make("select", { id }, option("", T.unsaid), ...k.values.map(v => option(v, v)));
      } else {
        e = make("input", { id, type: "number", step: k.type === "real" ? "any" : "1", min: k.min, max: k.max });
      }
      return [e, lines(e, Number)];
    case "date":
      e = make("input", { id, type: "datetime-local" });
      return [e, lines(e, v => new Date(v).toISOString())];
    case "data": {
      e = make("input", { id, type: "file" });
      const loaded = { text: undefined };
      e.addEventListener("change", async () => {
        const b = e.files[0] ? new Uint8Array(await e.files[0].arrayBuffer()) : null;
        loaded.text = b ? btoa(Array.from(b, c => String.fromCharCode(c)).join("")) : undefined;
      });
      return [e, () => loaded.text];
    }
    case "array":
      e = make("textarea", { id, rows: "2" });
      return [e, lines(e, v => v.split("\n").map(l => l.trim()).filter(Boolean).map(l => /^(integer|real)$/.test((k.keys || [{}])[0].type) ? Number(l) : l))];
    case "any":
      e = make("textarea", { id, rows: "2", spellcheck: "false" });
      return [e, lines(e, v => { try { return JSON.parse(v); } catch (x) { return v; } })];
  }
  if (k.values) {
    e = make("select", { id }, option("", T.unsaid), ...k.values.map(v => option(v, v || "–")));
    return [e, lines(e, v => v)];
  }
  e = make("input", { id, type: secret(k.name) ? "password" : "text", autocomplete: "off", spellcheck: "false" });
  return [e, lines(e, v => v)];
}

// group is the keys of a dictionary.
function group(keys) {
  const box = make("div", {});
  const parts = keys.filter(k => k.name !== "ANY").sort((a, b) => (b.required ? 1 : 0) - (a.required ? 1 : 0)).map(k => [k, field(k, box)]);
  return [box, () => {
    const out = {};
    for (const [k, read] of parts) { const v = read(); if (v !== undefined) out[k.name] = v; }
    return Object.keys(out).length ? out : undefined;
  }];
}

// field draws one key into a box, and gives how it is read.
function field(k, box) {
  const inner = k.keys && k.keys.length === 1 && k.keys[0].type === "dictionary" && k.type === "array" ? k.keys[0] : null;
  if (k.type === "dictionary" && k.keys) {
    const [inside, read] = group(k.keys);
    box.append(make("details", { "data-name": k.name }, make("summary", {}, k.name), make("p", { class: "note" }, notes(k)), inside));
    return read;
  }
  if (inner && inner.keys) {
    const rows = [];
    const list = make("div", {});
    const add = make("button", { type: "button", class: "quiet" }, T.add);
    add.addEventListener("click", () => {
      const [inside, read] = group(inner.keys);
      const row = make("fieldset", {}, make("legend", {}, k.name + " " + (rows.length + 1)), inside);
      rows.push(read);
      list.append(row);
      (row.querySelector("input,select,textarea") || add).focus();
    });
    box.append(make("details", { "data-name": k.name }, make("summary", {}, k.name), make("p", { class: "note" }, notes(k)), list, add));
    return () => { const all = rows.map(r => r()).filter(v => v !== undefined); return all.length ? all : undefined; };
  }
  const id = "k" + ++keyed;
  const [e, read] = input(k, id);
  const note = notes(k) + (k.type === "array" ? " · " + T.lines : "");
  if (note) e.setAttribute("aria-describedby", id + "n");
  box.append(make("div", { class: "field", "data-name": k.name }, make("label", { for: id }, k.name), e, note ? make("span", { class: "note", id: id + "n" }, note) : null));
  return read;
}

let readAll = () => undefined;

// choose draws the form of the chosen payload. Until it is there, none is: what is
// built is always of the payload that is chosen.
async function choose() {
  const wanted = $("type").value;
  forget();
  readAll = () => undefined;
  $("fields").replaceChildren();
  $("about").textContent = "";
  const type = await get("/catalogue/payloads/" + encodeURIComponent(wanted));
  if (!type || wanted !== $("type").value) return;
  trouble("");
  const [box, read] = group(type.keys);
  readAll = read;
  $("fields").replaceChildren(...box.childNodes);
  $("about").textContent = [type.supervised ? T.supervised : "", type.since ? say(T.since, { os: type.since }) : "", type.open ? T.open : ""].filter(Boolean).join(" · ");
  const many = type.keys.length > 12;
  $("find").hidden = $("findlabel").hidden = !many;
  $("find").value = "";
}

function narrow() {
  const want = $("find").value.trim().toLowerCase();
  for (const e of $("fields").children) e.hidden = want !== "" && !(e.dataset.name || "").toLowerCase().includes(want);
}

// forget takes a preview back: something else would be done now.
function forget() {
  hash = "";
  for (const b of document.querySelectorAll("[data-do]")) b.hidden = true;
  $("built").replaceChildren();
  $("wished").replaceChildren();
}

const items = (list, text) => list.length ? make("ul", {}, ...list.map(x => make("li", {}, ...[].concat(text(x))))) : null;

// drawn is a plan in this page's words.
function drawn(p, warnings) {
  const alike = new Map();
  for (const c of [...p.changes, ...p.blocked]) {
    const key = c.action + "\n" + c.item + "\n" + (c.action === "blocked" ? c.reason : "");
    alike.set(key, [...(alike.get(key) || []), c.device]);
  }
  const rows = [...alike].map(([key, who]) => {
    const [action, item, reason] = key.split("\n");
    return say(T["act." + action] || action, { n: who.length, item }) + (reason ? " " + reason : "") + " (" + who.slice(0, 5).join(", ") + (who.length > 5 ? ", …" : "") + ")";
  });
  const told = (kind, h) => T[kind + h.code] ? counted(kind + h.code, h.devices) + (h.serials.length ? " (" + h.serials.slice(0, 5).join(", ") + (h.devices > 5 ? ", …" : "") + ")" : "") : h.text;
  const limit = l => say(T["limit." + l.code] || l.text, { n: l.devices, item: l.item, keys: l.keys.slice(0, 5).join(", ") + (l.keys.length > 5 ? ", …" : "") });
  return make("div", { class: "plan" + (p.hazards.length ? " bad" : "") },
    make("p", {}, make("strong", {}, p.devices ? say(T.touches, { n: p.devices }) : T.touchesNone), p.devices && p.rollout === "rings" ? " " + T.rings : ""),
    items(p.hazards, h => h.code === "conflict" ? [told("hazard.", h) + " " + T.conflictsSay + " ", toPage("/conflicts"), "."] : told("hazard.", h)), items(p.waiting || [], h => told("wait.", h)), items(rows, x => x), items(p.limits || [], limit),
    items(warnings || [], w => "⚠ " + (T.lang === "de" ? w.text_de : w.text) + (w.path ? " [" + w.path + "]" : "")));
}

// send asks for a change; what is wrong is said where the answer is expected.
async function send(path, body, into) {
  let res;
  try {
    res = await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch (e) { trouble(T.offline); return null; }
  if (res.status === 401) { await refused(res); return null; }
  trouble("");
  const out = await res.json().catch(() => ({}));
  if (res.ok) return out;
  const found = (out.findings || []).map(f => (T.lang === "de" ? f.text_de : f.text) + (f.path ? " [" + f.path + "]" : ""));
  into.replaceChildren(make("div", { class: "plan bad" }, make("p", {}, make("strong", {}, T["problem." + out.code] || out.detail || String(res.status)), T["problem." + out.code] && out.field ? " " + out.field : ""), items(found, x => x)));
  return null;
}

const built = () => ({ name: $("name").value.trim(), payloads: [{ type: $("type").value, keys: readAll() || {} }] });

async function preview() {
  forget();
  const out = await send("/profiles/build?dry_run=true", built(), $("built"));
  if (!out) return;
  hash = out.plan.hash;
  $("built").replaceChildren(drawn(out.plan, out.warnings));
  for (const b of $("keys").querySelectorAll("[data-do]")) b.hidden = false;
}

async function save(draft) {
  const out = await send("/profiles/build?" + (draft ? "draft=true" : "plan=" + hash), built(), $("built"));
  if (!out) return;
  forget();
  const text = draft ? say(T.drafted, { name: out.name, version: out.draft }) : say(T.published, { name: out.name, version: out.version });
  $("built").replaceChildren(make("p", {}, text));
  known();
}

const wish = () => ({ names: [$("item").value.trim()], to: $("to").value.trim() });

async function previewWish() {
  forget();
  const out = await send($("how").value + "?dry_run=true", wish(), $("wished"));
  if (!out) return;
  hash = out.hash;
  $("wished").replaceChildren(drawn(out));
  for (const b of $("wish").querySelectorAll("[data-do]")) b.hidden = false;
}

async function apply() {
  const out = await send($("how").value + "?plan=" + hash, wish(), $("wished"));
  if (!out) return;
  forget();
  $("wished").replaceChildren(make("p", {}, out.rollout_id ? say(T.rolling, { id: out.rollout_id }) : T.done));
}

async function known() {
  const list = await get("/profiles?limit=500");
  if (list) $("names").replaceChildren(...list.items.map(p => option(p.name, "")));
}

async function open() {
  const types = await get("/catalogue/payloads?limit=500");
  if (!types) return;
  signedIn();
  $("type").replaceChildren(...types.items.map(t => option(t.type, t.type.replace(/^com\.apple\./, ""))));
  $("type").value = "com.apple.applicationaccess";
  await Promise.all([choose(), known()]);
}

$("pick").addEventListener("submit", e => e.preventDefault());
$("type").addEventListener("change", choose);
$("find").addEventListener("input", narrow);
for (const f of ["pick", "keys", "wish"]) $(f).addEventListener("input", e => { if (e.target.id !== "find" && hash) forget(); });
$("keys").addEventListener("submit", e => { e.preventDefault(); if ($("pick").reportValidity()) preview(); });
$("wish").addEventListener("submit", e => { e.preventDefault(); previewWish(); });
document.querySelector("[data-do=draft]").addEventListener("click", () => save(true));
document.querySelector("[data-do=publish]").addEventListener("click", () => save(false));
document.querySelector("[data-do=apply]").addEventListener("click", apply);
begin(open);
