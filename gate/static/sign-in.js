// The sign-in page and the page that waits for the phone. Both work without this script: it keeps
// the fragment of the address, counts down, and follows the event stream instead of reloading.
"use strict";

const SILENCE = 20_000; // ms without an event, though one comes every 5 s: then the page reloads
const SHOWN = 300; // ms for the word that it was approved

const wanted = document.querySelector('input[name="next"]');
if (wanted && wanted.value === "" && !location.pathname.startsWith("/-/")) {
  wanted.value = location.pathname + location.search + location.hash;
}

const flow = document.getElementById("flow");
if (flow) {
  follow(flow);
}

// a page out of the browser's memory shows what was, not what is
addEventListener("pageshow", (event) => {
  if (event.persisted && flow) location.reload();
});

function follow(flow) {
  const left = document.getElementById("left");
  let end = performance.now() + 1000 * Number(flow.dataset.seconds);
  let silence;

  const tick = () => {
    const seconds = Math.max(0, Math.round((end - performance.now()) / 1000));
    if (left) left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  };
  const listen = () => {
    clearTimeout(silence);
    silence = setTimeout(() => location.reload(), SILENCE);
  };
  const show = (state) => {
    for (const each of flow.querySelectorAll("[data-shown]")) {
      each.hidden = each.dataset.shown !== state;
    }
  };
  const accepted = () => {
    show("accepted");
    document.querySelector("h1").textContent = flow.dataset.approved;
    for (const each of flow.querySelectorAll("[data-until-accepted]")) each.hidden = true;
    const form = document.getElementById("finish");
    form.hidden = false;
    setTimeout(() => form.submit(), SHOWN);
  };

  if (flow.dataset.state === "accepted") {
    accepted();
    return;
  }
  const events = new EventSource("/-/sign-in/events");
  events.addEventListener("state", (event) => {
    const { state, seconds } = JSON.parse(event.data);
    end = performance.now() + 1000 * seconds;
    tick();
    listen();
    if (state === "waiting" || state === "unreachable") {
      show(state);
      return;
    }
    events.close();
    clearTimeout(silence);
    if (state === "accepted") accepted();
    // a mere reload would show the sign-in of the other tab here, or not, as chance has it
    else if (state === "replaced") location.replace("/-/sign-in/wait?state=replaced");
    else location.reload();
  });
  events.addEventListener("error", () => {
    // the browser connects again by itself, unless it was told that there is no stream
    if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
  // a button was pressed: what follows is no news, and a reload would get in its way
  addEventListener("submit", () => {
    events.close();
    clearTimeout(silence);
  });
  setInterval(tick, 1000);
  listen();
}
