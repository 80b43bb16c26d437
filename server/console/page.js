const $ = id => document.getElementById(id);
const T = JSON.parse($("texts").textContent);
const say = (text, values) => text.replace(/\{(\w+)\}/g, (_, k) => values[k]);
const api = "/api/v1";
let token = sessionStorage.getItem("token") || "";

const ask = (path, options = {}) => fetch(api + path, { ...options, headers: { ...options.headers, Authorization: "Bearer " + token } });

// make makes an element with texts and elements in it: nothing is ever markup.
function make(kind, attributes, ...inside) {
  const e = document.createElement(kind);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (v === true) e.setAttribute(k, ""); else if (v !== false && v !== undefined && v !== null) e.setAttribute(k, v);
  }
  e.append(...inside.filter(x => x !== null && x !== undefined));
  return e;
}

const trouble = text => { $("trouble").textContent = text; };
const moment = iso => iso ? new Date(iso).toLocaleString(T.lang, { dateStyle: "medium", timeStyle: "short" }) : "–";

// problem is what an answer says went wrong, in this page's language if it knows the words.
async function problem(res) {
  const p = await res.json().catch(() => ({}));
  return T["problem." + p.code] || p.detail || String(res.status);
}

async function refused(res) {
  trouble(say(T.refused, { why: await problem(res) }));
  sessionStorage.removeItem("token");
  $("signin").hidden = false;
  $("content").hidden = true;
  $("token").focus();
}

// signedIn shows the page: the server took the token.
function signedIn() {
  sessionStorage.setItem("token", token);
  trouble("");
  $("signin").hidden = true;
  $("content").hidden = false;
}

// get asks the API; with anything but an answer it says so and gives nothing. A
// question that did not get through is asked once more: a network that changes
// under a page ends what is under way.
async function get(path, options) {
  let res;
  try {
    res = await ask(path, options).catch(() => new Promise(wait => setTimeout(wait, 500)).then(() => ask(path, options)));
  } catch (e) { trouble(T.offline); return null; }
  if (res.status === 401 || res.status === 403) { await refused(res); return null; }
  if (!res.ok) { trouble(await problem(res)); return null; }
  return res.json();
}

// begin has the page opened as soon as there is a token.
function begin(open) {
  $("signin").addEventListener("submit", e => { e.preventDefault(); token = $("token").value.trim(); $("token").value = ""; open(); });
  $("signout").addEventListener("click", () => { sessionStorage.removeItem("token"); location.reload(); });
  if (token) open();
}
