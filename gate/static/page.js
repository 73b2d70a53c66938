/* What the gate's own pages do beside being read: they ask again where that helps, and tell the page
   around their frame what happened. Only an allowed portal can hear it. */
"use strict";

const page = document.documentElement.dataset;

if (window !== window.parent) {
  const known = location.ancestorOrigins?.[0];
  for (const origin of page.origins.split(" ").filter((each) => each && (!known || each === known))) {
    parent.postMessage({ docsGate: 1, type: "page", page: page.gatePage, requestId: page.request }, origin);
  }
}

if (page.retryAfter) {
  // twice as long after every attempt, and a little by chance, so that not everyone comes at once
  const KEY = "docs-gate-retries";
  const LONGEST_S = 120;
  const FORGOTTEN_MS = 300_000;
  let tried = 0;
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY)) ?? { tried: 0, at: 0 };
    tried = Date.now() - kept.at < FORGOTTEN_MS ? kept.tried : 0;
    sessionStorage.setItem(KEY, JSON.stringify({ tried: Math.min(tried + 1, 10), at: Date.now() }));
  } catch {
    // a browser that keeps nothing in frames: then every wait is the first
  }
  const seconds = Math.min(LONGEST_S, Number(page.retryAfter) * 2 ** tried) * (1 + Math.random() / 4);
  setTimeout(() => location.reload(), seconds * 1000);
}
