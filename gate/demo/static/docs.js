/* What the demo's portal does with the element: shows its events, and offers a few buttons. */
"use strict";

const MEANINGS = {
  "need-token": () => "The frame asked for a token. The portal’s page fetched one with the portal’s own cookie and handed it over: it was never part of an address.",
  ready: ({ cookieless }) => cookieless
    ? "Signed in. This browser keeps no cookie in frames, so the session travels in the path."
    : "Signed in. The gate asked the verify API, and the browser keeps an encrypted cookie.",
  navigate: ({ path, title }) => `The reader is at ${path}: “${title}”. The address bar follows.`,
  "signed-out": () => "The session has ended, every copy of its cookie included.",
  "cookies-blocked": () => "This browser keeps no cookie in this frame.",
  error: ({ code }) => `Something is in the way: ${code}.`,
};

const docs = document.querySelector("docs-gate");
const list = document.getElementById("events");

function note(name, text) {
  const item = document.createElement("li");
  const head = document.createElement("code");
  head.textContent = name;
  item.append(head, " ", text);
  list.append(item);
  item.scrollIntoView({ block: "nearest" });
}

for (const [name, meaning] of Object.entries(MEANINGS)) {
  docs.addEventListener(name, ({ detail }) => note(name, meaning(detail)));
}

document.getElementById("copy").addEventListener("click", async ({ target }) => {
  await docs.copyLink();
  target.textContent = "Copied";
  setTimeout(() => {
    target.textContent = "Copy link";
  }, 2000);
});

document.getElementById("theme").addEventListener("click", ({ target }) => {
  const dark = target.textContent === "Dark";
  docs.setAttribute("theme", dark ? "dark" : "light");
  target.textContent = dark ? "Light" : "Dark";
});

document.getElementById("leave").addEventListener("click", () => docs.signOut());
