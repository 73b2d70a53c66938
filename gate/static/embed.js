/* Docs Gate: the documentation inside a portal's page, signed in by the portal.
   The messages are protocol 1 of the handbook's page "Embedding". */
(() => {
  "use strict";
  const PROTOCOL = 1;
  const FETCH_MS = 30_000;
  const GRACE_MS = 3000;
  const TOKEN = /^[\w\-.~+/]+=*$/;
  const SENT_BY_SHELL = ["ready", "navigate", "height", "need-token", "signed-out", "cookies-blocked", "error"];
  const HANDED_ON = ["title", "allow", "sandbox", "credentialless", "loading"];
  const LAYER = "@layer docs-gate{docs-gate{display:block;height:80vh}" +
    "docs-gate>iframe{display:block;border:0;width:100%;height:100%}}";
  const script = document.currentScript?.src;
  if (customElements.get("docs-gate")) return;

  class NoToken extends Error {
    constructor(reason, message) {
      super(message);
      this.reason = reason;
    }
  }

  class DocsGate extends HTMLElement {
    static observedAttributes = ["src", "theme"];

    /** A function that returns a fresh token, or a promise of one; instead of token-url. */
    getToken = this.getToken ?? null; // the page's own script may have been faster than this one
    /** The path of the page that the reader sees. */
    path = "/";
    pageTitle = "";
    #frame = null;
    #port = null;
    #heard = false;
    #hear = (event) => this.#greet(event);
    #follow = () => this.#followAddress();

    connectedCallback() {
      const root = this.getRootNode();
      style(root.adoptedStyleSheets ? root : document);
      this.#frame = document.createElement("iframe");
      this.#frame.title = "Documentation";
      this.#frame.allow = "clipboard-write; fullscreen";
      for (const name of HANDED_ON) {
        if (this.hasAttribute(name)) this.#frame.setAttribute(name, this.getAttribute(name));
      }
      this.path = this.#pathIn(location.href) ?? this.#pathOfSrc();
      addEventListener("message", this.#hear);
      addEventListener("popstate", this.#follow);
      addEventListener("hashchange", this.#follow);
      this.#frame.addEventListener("load", () => this.#await());
      this.#frame.src = new URL("-/frame", this.root).href;
      this.replaceChildren(this.#frame);
    }

    disconnectedCallback() {
      removeEventListener("message", this.#hear);
      removeEventListener("popstate", this.#follow);
      removeEventListener("hashchange", this.#follow);
      this.#port?.close();
      this.#port = this.#frame = null;
    }

    attributeChangedCallback(name, before, now) {
      if (!this.#frame || before === now) return;
      if (name === "theme") this.#send({ type: "theme", theme: now || "auto" });
      else this.open(this.#pathOfSrc());
    }

    /** Where the documentation's root is: beside the script, if that is where src leads. */
    get root() {
      const page = new URL(this.getAttribute("src") || "/", script || location.href);
      const beside = script && new URL("..", script);
      return beside && page.href.startsWith(beside.href) ? beside : new URL("/", page);
    }

    /** Show another page: "/guide/#part". */
    open(path) {
      this.path = path;
      this.#send({ type: "navigate", path });
    }

    /** End the session in this browser. */
    signOut() {
      this.#send({ type: "sign-out" });
    }

    /** The portal's own address of a page, made by the link attribute; else the page's. */
    link(path = this.path) {
      const made = this.getAttribute("link");
      if (!made) return new URL(path.slice(1), this.root).href;
      return new URL(made.replace("{path}", () => encode(path)), document.baseURI).href;
    }

    async copyLink() {
      await navigator.clipboard.writeText(this.link());
    }

    #pathOfSrc() {
      const page = new URL(this.getAttribute("src") || "/", this.root);
      return "/" + page.href.slice(this.root.href.length);
    }

    /** The page that an address of the portal means, if the link attribute says how it is made. */
    #pathIn(href) {
      const made = this.hasAttribute("mirror") && this.getAttribute("link");
      if (!made) return null;
      // a character for private use: one that addresses keep, wherever it stands
      const [before, after] = new URL(made.replace("{path}", "\uE000"), document.baseURI).href.split("%EE%80%80");
      if (after === undefined || !href.startsWith(before) || !href.endsWith(after)) return null;
      try {
        const path = decodeURIComponent(href.slice(before.length, href.length - after.length));
        return path.startsWith("/") ? path : null;
      } catch {
        return null;
      }
    }

    #followAddress() {
      const path = this.#pathIn(location.href);
      if (path !== null && path !== this.path) this.open(path);
    }

    #mirror() {
      if (!this.hasAttribute("mirror") || !this.hasAttribute("link")) return;
      const href = this.link();
      if (href !== location.href && new URL(href).origin === location.origin) {
        history.replaceState(history.state, "", href);
      }
    }

    /** A frame that the browser would not show says nothing, and its reader is told little. */
    #await() {
      setTimeout(() => {
        if (!this.#frame || this.#port || this.#heard) return;
        this.#tell("error", { code: "silent", message: "the gate's frame was not shown" });
      }, GRACE_MS);
    }

    #greet(event) {
      if (!this.#frame || event.source !== this.#frame.contentWindow) return;
      if (event.data?.docsGate !== PROTOCOL) return;
      this.#heard = true;
      if (event.origin === "null" && event.data.type === "error") {
        this.#tell("error", event.data); // sandboxed so that it has no origin
      } else if (event.origin === this.root.origin && event.data.type === "hello" && event.ports[0]) {
        this.#port?.close();
        this.#port = event.ports[0];
        this.#port.onmessage = ({ data }) => this.#take(data);
        this.#send({ type: "welcome", path: this.path, theme: this.getAttribute("theme") || "auto" });
      }
    }

    #take(message) {
      if (message?.docsGate !== PROTOCOL || !SENT_BY_SHELL.includes(message.type)) return;
      if (message.type === "need-token") this.#fetchToken();
      if (message.type === "navigate" || message.type === "ready") {
        this.path = String(message.path);
        this.pageTitle = String(message.title);
        this.#mirror();
      }
      if (message.type === "height" && this.hasAttribute("auto-height")) {
        this.style.height = `${Number(message.height)}px`;
      }
      this.#tell(message.type, message);
    }

    #tell(type, { docsGate, type: _, ...detail }) {
      this.dispatchEvent(new CustomEvent(type, { detail }));
    }

    async #fetchToken() {
      const port = this.#port;
      let message;
      try {
        message = { type: "token", token: await (this.getToken ? this.getToken() : this.#askPortal()) };
        if (!TOKEN.test(message.token)) throw new NoToken("denied", "that is no token");
      } catch (problem) {
        message = { type: "no-token", reason: problem.reason || "unavailable" };
        console.warn(`docs-gate: no token: ${problem.message}`);
      }
      if (port === this.#port) this.#send(message);
    }

    async #askPortal() {
      const url = this.getAttribute("token-url");
      if (!url) throw new NoToken("denied", "neither token-url nor getToken is set");
      const answer = await fetch(url, {
        method: this.getAttribute("token-method") || "GET",
        headers: { Accept: "application/json, text/plain" },
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.timeout(FETCH_MS),
      });
      // a portal without a session sends its sign-in page as often as a status
      if ([400, 401, 403, 404].includes(answer.status) || /html/.test(answer.headers.get("Content-Type"))) {
        throw new NoToken("denied", `${url} answered ${answer.status} and no token`);
      }
      if (!answer.ok) throw new NoToken("unavailable", `${url} answered ${answer.status}`);
      const text = (await answer.text()).trim();
      const found = /^[{"]/.test(text) ? JSON.parse(text) : text;
      return found?.token ?? found?.access_token ?? found;
    }

    #send(message) {
      this.#port?.postMessage({ docsGate: PROTOCOL, ...message });
    }
  }

  function encode(path) {
    return encodeURIComponent(path).replaceAll("%2F", "/");
  }

  function style(root) {
    if (root.adoptedStyleSheets.some((sheet) => sheet.docsGate)) return;
    const sheet = new CSSStyleSheet();
    sheet.docsGate = true;
    sheet.replaceSync(LAYER);
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  }

  /** Put the documentation into an element of the page: DocsGate.mount("#docs", { src, … }). */
  function mount(target, { src, tokenUrl, getToken, on = {}, ...attributes }) {
    const element = document.createElement("docs-gate");
    if (src) element.setAttribute("src", src);
    if (tokenUrl) element.setAttribute("token-url", tokenUrl);
    if (getToken) element.getToken = getToken;
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
    (typeof target === "string" ? document.querySelector(target) : target).replaceChildren(element);
    return element;
  }

  customElements.define("docs-gate", DocsGate);
  globalThis.DocsGate = { mount, protocol: PROTOCOL };
})();
