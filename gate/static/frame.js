/* The shell: it stands between the portal's page and the documentation in a frame of its own. It
   asks its parent for a token, trades it for a session, shows the site, and renews in time. It hears
   its parent alone, through a port that only an allowed origin can have been given. */
"use strict";

const PROTOCOL = 1;
const GREETING_MS = 10_000; // a portal that does not answer runs no script of ours
const ANSWER_MS = 35_000; // the portal's own limit is 30 s
const RETRY_MS = 10_000;
const REFUSED_MS = 60_000; // who said no is asked again, but not at once
const LOOK_MS = 5_000; // timers stop in a sleeping laptop, so the clock is looked at
const SOONEST_MS = 10_000;
const SETTLE_MS = 150;
const CALM_MS = 30_000; // a page that is refused again so soon would be refused for ever

const page = document.documentElement;
const base = new URL(".", location.href); // …/-/
const origins = page.dataset.origins.split(" ").filter(Boolean);
const mayBeCookieless = page.dataset.cookieless === "true";

let port = null;
let inner = null;
let root = new URL("..", base); // where the site's paths begin: moves with a session in the path
let wanted = "/"; // the page to show
let theme = "auto";
let own = null; // how the site looked before the portal had a say
let cookieless = false;
let shown = false; // whether the site was shown once
let over = false; // signed out: nothing goes on by itself
let renewAt = Infinity;
let renewing = null;
let failing = false; // whether the last try to sign in failed
let recovered = 0;
let lost = false; // whether the browser shows a page of its own, as there was no answer
let going = null; // the page of the link that the reader followed last
let answered = null; // who waits for a token
let last = ""; // what was told of the page
let told = 0; // its height, in CSS pixels
let watched = null;
let settling = 0;

// ---- panels ------------------------------------------------------------------------------------

function show(name) {
  for (const panel of document.querySelectorAll("[data-panel]")) {
    panel.hidden = panel.dataset.panel !== name;
  }
  document.body.classList.toggle("open", name === "site");
}

// ---- the portal --------------------------------------------------------------------------------

function tell(type, detail = {}) {
  port?.postMessage({ docsGate: PROTOCOL, type, ...detail });
}

/** Offer a port to the parent, once for each origin that it may have; browsers drop the others. */
function greet(type, detail = {}) {
  const known = location.ancestorOrigins?.[0];
  for (const origin of known ? origins.filter((each) => each === known) : origins) {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => hear(channel.port1, data);
    parent.postMessage({ docsGate: PROTOCOL, type, ...detail }, origin, [channel.port2]);
  }
}

function hear(from, message) {
  if (message?.docsGate !== PROTOCOL || (port && from !== port)) return;
  if (message.type === "welcome" && !port) {
    port = from;
    theme = themeOf(message.theme);
    wanted = pathOf(message.path);
    begin();
  } else if (from !== port) {
    return;
  } else if (message.type === "token" && typeof message.token === "string") {
    if (answered) answered({ token: message.token });
    else renew(message.token);
  } else if (message.type === "no-token") {
    answered?.({ reason: message.reason === "denied" ? "denied" : "unavailable" });
  } else if (message.type === "navigate") {
    go(pathOf(message.path));
  } else if (message.type === "theme") {
    theme = themeOf(message.theme);
    dress();
  } else if (message.type === "sign-out") {
    signOut();
  }
}

function themeOf(value) {
  return value === "dark" || value === "light" ? value : "auto";
}

/** A path of this site: whatever a message says, it leads nowhere else. */
function pathOf(value) {
  try {
    const url = new URL(String(value).replace(/^[/\\]+/, ""), root);
    return url.href.startsWith(root.href) ? "/" + url.href.slice(root.href.length) : "/";
  } catch {
    return "/";
  }
}

function addressOf(path) {
  return new URL(path.slice(1), root).href;
}

// ---- the session -------------------------------------------------------------------------------

/** A token from the portal, or the reason why there is none. */
async function askForToken() {
  const answer = new Promise((resolve) => {
    answered = resolve;
    setTimeout(resolve, ANSWER_MS, { reason: "unavailable" });
  });
  tell("need-token");
  const got = await answer;
  answered = null;
  return got;
}

function post(address, fields) {
  return fetch(new URL(address, base), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
}

/** Sign in, or renew: "ok", or the name of the panel that says what is in the way. */
async function trade(token) {
  if (!cookieless) {
    const answer = await post("session", { token });
    if (!answer.ok) return problemOf(answer);
    const look = await fetch(new URL("frame/session", base), { signal: AbortSignal.timeout(ANSWER_MS) });
    if (look.ok) {
      schedule((await look.json()).expires_in);
      return "ok";
    }
    if (look.status !== 401) return problemOf(look);
    tell("cookies-blocked", { cookieless: mayBeCookieless });
    if (!mayBeCookieless) return "no_cookie";
    cookieless = true;
  }
  const answer = await post("frame/prefix", { token });
  if (!answer.ok) return problemOf(answer);
  const { prefix, expires_in: seconds } = await answer.json();
  move(new URL(prefix, base));
  schedule(seconds);
  return "ok";
}

function problemOf(answer) {
  if (answer.status === 401) return "refused";
  return answer.status === 429 || answer.status >= 502 ? "unavailable" : "failed";
}

/** Only one at a time: whoever comes meanwhile waits for the same. */
function renew(token) {
  renewing ??= tryToRenew(token).finally(() => {
    renewing = null;
  });
  return renewing;
}

async function tryToRenew(token) {
  over = false;
  let result = "unavailable";
  for (const attempt of [1, 2]) {
    const got = token ? { token } : await askForToken();
    token = null;
    result = got.reason ?? "unavailable";
    if (got.token) result = await trade(got.token).catch(() => "unavailable");
    if (result !== "refused" || attempt === 2) break;
  }
  failing = result !== "ok";
  if (failing) {
    const pause = { no_cookie: Infinity, denied: REFUSED_MS, refused: REFUSED_MS }[result] ?? RETRY_MS;
    renewAt = Date.now() + pause;
    tell("error", { code: result, message: `signing in ended with: ${result}` });
  }
  return result;
}

function schedule(seconds) {
  const life = seconds * 1000;
  const margin = Math.min(60_000, Math.max(5_000, life / 10));
  renewAt = Date.now() + Math.max(SOONEST_MS, life - margin);
}

async function look() {
  if (Date.now() < renewAt || over || document.visibilityState === "hidden" && shown) return;
  if ((await renew()) === "ok") open();
}

async function begin() {
  show("loading");
  const result = await renew();
  if (result === "ok") open();
  else show(result);
}

async function signOut() {
  const prefix = cookieless ? root.href.slice(base.href.length) : undefined;
  const answer = await post("sign-out", { prefix }).catch(() => null);
  if (answer?.ok) leave();
  else tell("error", { code: "sign-out", message: "the gate did not record the sign-out" });
}

function leave() {
  over = true;
  inner?.remove();
  inner = null;
  shown = false;
  show("signed_out");
  tell("signed-out");
}

// ---- the site ----------------------------------------------------------------------------------

function open() {
  if (!inner) {
    inner = document.createElement("iframe");
    inner.title = page.dataset.title;
    inner.allow = "clipboard-write; fullscreen";
    inner.addEventListener("load", loaded);
    inner.src = addressOf(wanted);
    document.getElementById("site").replaceChildren(inner);
  } else if (lost) {
    inner.contentWindow.location.replace(addressOf(going ?? wanted));
  }
  show("site");
}

function go(path) {
  wanted = path;
  if (inner) inner.contentWindow.location = addressOf(path); // assign() is denied beside a sandbox
}

/** A session in the path was renewed: the reader's page moves along, without being loaded. */
function move(to) {
  const here = placed();
  root = to;
  if (here !== null && documentOf(inner)) {
    inner.contentWindow.history.replaceState(inner.contentWindow.history.state, "", addressOf(here));
  }
}

function documentOf(frame) {
  try {
    return frame?.contentDocument ?? null;
  } catch {
    return null;
  }
}

/** Where the reader is, as a path of the site; null where that is not ours to know. */
function placed() {
  const doc = documentOf(inner);
  if (!doc || !doc.location.href.startsWith(root.href)) return null;
  return "/" + doc.location.href.slice(root.href.length);
}

async function loaded() {
  const doc = documentOf(inner);
  lost = !doc && !(await hasViewer(going ?? wanted));
  if (!doc && documentOf(inner)) return; // another page meanwhile, which comes here itself
  if (lost) {
    renewAt = Math.min(renewAt, Date.now() + RETRY_MS);
    show("lost");
    tell("error", { code: "unavailable", message: "the documentation does not answer" });
    return;
  }
  wanted = doc ? wanted : going ?? wanted;
  going = null;
  if (!doc) {
    introduce(wanted, "");
    last = ""; // the way back to the page before is one more step
    tell("navigate", { path: wanted, title: "" });
    return;
  }
  const state = doc.documentElement?.dataset?.gatePage;
  if (state === "signed_out") {
    leave();
  } else if (["expired", "no_token", "refused", "no_cookie"].includes(state)) {
    await recover(state);
  } else {
    watch(doc);
    dress();
    introduce(placed() ?? "/", doc.title);
    announce();
  }
}

function introduce(path, title) {
  if (!shown) tell("ready", { path, title, cookieless });
  shown = true;
  recovered = 0;
}

/** Whether a file is there that the browser shows by a page of its own, as some do with PDF. */
async function hasViewer(path) {
  const options = { method: "HEAD", signal: AbortSignal.timeout(ANSWER_MS) };
  const answer = await fetch(addressOf(path), options).catch(() => null);
  return Boolean(answer?.ok) && !/^text\/html\b/.test(answer.headers.get("Content-Type"));
}

/** The session ended while the reader was away: a new one, and the page that was asked for. */
async function recover(state) {
  const here = placed() ?? wanted;
  if (Date.now() - recovered < CALM_MS) {
    tell("error", { code: "refused", message: `a new session was not enough: ${state}` });
    show("refused");
    return;
  }
  recovered = Date.now();
  show("loading");
  const result = await renew();
  if (result !== "ok") {
    show(result);
    return;
  }
  inner?.contentWindow.location.replace(addressOf(here));
  show("site");
}

/** Follow what the site does without loading a page: instant navigation, its title, its height. */
function watch(doc) {
  const view = doc.defaultView;
  watched?.disconnect();
  for (const name of ["pushState", "replaceState"]) {
    const real = view.history[name].bind(view.history);
    view.history[name] = (...given) => {
      real(...given);
      settle();
    };
  }
  for (const name of ["popstate", "hashchange"]) view.addEventListener(name, settle);
  doc.addEventListener("click", (event) => keepInside(event, doc), true);
  const titles = new view.MutationObserver(settle);
  titles.observe(doc.head ?? doc, { subtree: true, childList: true, characterData: true });
  watched = new view.ResizeObserver(measure);
  for (const element of [doc.documentElement, doc.body]) if (element) watched.observe(element);
}

/** A page is at least as high as its frame, so that its own height is to be seen in a flat one; all
    within one turn, so that nothing of it is to be seen. */
function measure() {
  const doc = documentOf(inner);
  if (!doc?.documentElement) return; // between two pages there is nothing to measure
  inner.style.height = "0";
  const height = doc.documentElement.scrollHeight;
  inner.style.height = "";
  if (height === told) return;
  told = height;
  tell("height", { height });
}

/** A page that changes in steps, address first and title later, is told of once. */
function settle() {
  clearTimeout(settling);
  settling = setTimeout(announce, SETTLE_MS);
}

function announce() {
  const path = placed();
  if (path === null) return;
  const title = documentOf(inner).title;
  if (last === path + "\n" + title) return;
  last = path + "\n" + title;
  wanted = path;
  measure(); // a page that became lower leaves its document as high as the frame
  tell("navigate", { path, title });
}

/** The network is back: what failed without it need not wait. */
function online() {
  if (lost || failing && renewAt < Infinity) renewAt = 0;
  look();
}

/** Links out of the documentation open beside the portal; those to its root stay in the session. */
function keepInside(event, doc) {
  const link = event.target.closest?.("a");
  const url = addressIn(link, doc);
  if (!url || !/^https?:$/.test(url.protocol)) return;
  if (url.origin !== location.origin) {
    if (!link.getAttribute("target")) link.setAttribute("target", "_blank"); // it tells no opener
    link.relList?.add("noopener");
  } else if (cookieless && !url.href.startsWith(root.href)) {
    // loaded under a prefix that was renewed since, or written from the root
    const [, path] = url.href.match(/\/-\/s\/[^/]*\/(.*)$/) ?? [];
    url.href = addressOf("/" + (path ?? url.href.slice(new URL("..", base).href.length)));
    link.setAttribute("href", url.href);
  }
  if (url.href.startsWith(root.href)) going = "/" + url.href.slice(root.href.length);
}

/** Where a link leads, also one in a drawing; null where nothing is. */
function addressIn(link, doc) {
  const href = link?.href?.baseVal ?? link?.href;
  try {
    return href ? new URL(href, doc.baseURI) : null;
  } catch {
    return null;
  }
}

/** Follow the portal's light or dark, where the site can; without one, as the site had it. */
function dress() {
  page.style.colorScheme = theme === "auto" ? "" : theme;
  if (inner) inner.style.colorScheme = page.style.colorScheme;
  const doc = documentOf(inner);
  if (!doc?.body || theme === "auto" && !own) return;
  own ??= lookOf(doc);
  const scheme = theme === "dark" ? "slate" : "default";
  paint(doc, theme === "auto" ? own : { scheme, media: null, marks: [theme, theme] });
  if (theme === "auto") own = null;
}

/** Material's scheme, the media query that chose it, and the mark that other sites have. */
function lookOf(doc) {
  const { mdColorScheme: scheme, mdColorMedia: media = "" } = doc.body.dataset;
  return { scheme, media, marks: [doc.documentElement, doc.body].map(({ dataset }) => dataset.theme) };
}

function paint(doc, { scheme, media, marks }) {
  const now = doc.body.dataset.mdColorScheme;
  if (now && scheme && now !== scheme) {
    const switches = [...doc.querySelectorAll("[data-md-component=palette] input[data-md-color-scheme]")];
    const choice = switches.find(({ dataset: { mdColorScheme, mdColorMedia = "" } }) => {
      const byBrowser = /prefers-color-scheme\)/.test(mdColorMedia);
      return mdColorMedia === (media ?? mdColorMedia) && (byBrowser ? media : mdColorScheme === scheme);
    });
    if (choice) choice.click();
    else doc.body.dataset.mdColorScheme = scheme;
  }
  [doc.documentElement, doc.body].forEach(({ dataset }, each) => {
    if (dataset.theme && marks[each]) dataset.theme = marks[each];
  });
}

/** A window of its own needs a session of its own, so it is opened by a form with a token. */
async function openBeside() {
  const { token } = await askForToken();
  if (!token) return;
  const form = document.createElement("form");
  Object.assign(form, { method: "post", target: "_blank", action: new URL("session", base).href });
  for (const [name, value] of Object.entries({ token, next: wanted })) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  document.body.append(form);
  form.submit();
  form.remove();
}

// ---- begin -------------------------------------------------------------------------------------

document.addEventListener("click", ({ target }) => {
  const action = target.closest("[data-action]")?.dataset.action;
  if ((action === "retry" || action === "again") && port) {
    recovered = 0;
    cookieless = false;
    begin();
  } else if (action === "retry") {
    location.reload();
  } else if (action === "open-beside") {
    openBeside();
  }
});

if (parent === window) {
  show("framed_only");
} else if (self.origin === "null") {
  show("sandboxed");
  greet("error", { code: "sandboxed", message: "the frame is sandboxed without allow-same-origin" });
} else {
  show("loading");
  greet("hello");
  setTimeout(() => port || show("no_portal"), GREETING_MS);
  setInterval(look, LOOK_MS);
  addEventListener("online", online);
  for (const name of ["focus", "pageshow"]) addEventListener(name, look);
  document.addEventListener("visibilitychange", look);
}
