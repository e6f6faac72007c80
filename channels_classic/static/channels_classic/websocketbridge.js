/* The browser side of channels_classic: channels.WebSocketBridge, which sends and receives JSON
 * over a WebSocket that reconnects by itself, and tells streams apart.
 *
 *     const bridge = new channels.WebSocketBridge();
 *     bridge.connect("/stream/");
 *     bridge.listen((message) => …);                       // what belongs to no stream
 *     bridge.demultiplex("chat", (payload, stream) => …);  // what a Demultiplexer sends
 *     bridge.send({ text: "hello" });
 *     bridge.stream("chat").send({ text: "hello" });
 *     bridge.socket.addEventListener("open", () => …);
 */
(function () {
  "use strict";

  /* What connect(url, protocols, options) takes; times are in milliseconds. */
  const DEFAULTS = {
    /* The first pause before a new attempt is one to two of these, the next ones grow. */
    minReconnectionDelay: 1500,
    maxReconnectionDelay: 10000,
    reconnectionDelayGrowFactor: 1.3,
    /* An attempt that takes longer is given up: an error event with the code ETIMEDOUT. */
    connectionTimeout: 4000,
    /* After so many attempts in a row: an error event with the code EHOSTDOWN, and no more. */
    maxRetries: Infinity,
    /* How many sends wait for the next connection while there is none: the newest ones. With 0
     * a send is the browser's own: an error while it connects, and lost while it is closed. */
    maxEnqueuedMessages: 0,
    constructor: window.WebSocket,
    debug: false,
  };

  const TYPES = ["open", "message", "error", "close"];

  /* A WebSocket that connects again whenever it is closed. Its listeners stay. */
  class ReconnectingSocket extends EventTarget {
    constructor(url, protocols, options) {
      super();
      this._target = [url, protocols];
      this._options = { ...DEFAULTS, ...options };
      this._keepClosed = false;
      this._delay = 0;
      this._retries = 0;
      this._queue = [];
      for (const type of TYPES) {
        this["on" + type] = null;
        this.addEventListener(type, (event) => this["on" + type]?.(event));
      }
      this._connect();
    }

    get url() { return this._socket.url; }
    get protocol() { return this._socket.protocol; }
    get extensions() { return this._socket.extensions; }
    get readyState() { return this._socket.readyState; }
    get bufferedAmount() { return this._socket.bufferedAmount; }
    get binaryType() { return this._socket.binaryType; }
    set binaryType(type) { this._binaryType = this._socket.binaryType = type; }

    send(data) {
      if (this.readyState === this.OPEN || !this._options.maxEnqueuedMessages) {
        this._socket.send(data);
        return;
      }
      this._queue.push(data);
      this._queue = this._queue.slice(-this._options.maxEnqueuedMessages);
    }

    /* Close, and connect again after `delay`, or after the usual pause without one; with
     * `keepClosed` never again. With `fastClose` the close event comes at once, and not when
     * the server has answered. */
    close(code = 1000, reason = "", { keepClosed = false, fastClose = true, delay = 0 } = {}) {
      const isClosed = this.readyState === this.CLOSED;
      this._socket.close(code, reason); // raises for a code that no page may send
      clearTimeout(this._timer);
      if (keepClosed) this._resting.abort();
      this._keepClosed = keepClosed;
      this._delay = delay;
      if (isClosed && !keepClosed) {
        this._reconnect();
      } else if (fastClose && !isClosed) {
        this._on(new CloseEvent("close", { code, reason, wasClean: true }));
      }
    }

    _connect() {
      const [url, protocols] = this._target;
      const Socket = this._options.constructor;
      this._log("connecting to", url);
      const socket = protocols === undefined ? new Socket(url) : new Socket(url, protocols);
      if (this._binaryType !== undefined) socket.binaryType = this._binaryType;
      this._socket = socket;
      this._restWhileHidden();
      this._left = false; // what comes from a socket that was closed at once, or before, is dropped
      for (const type of TYPES) {
        socket.addEventListener(type, (event) => {
          if (socket === this._socket && !this._left) this._on(event);
        });
      }
      this._timer = setTimeout(() => {
        this._fail("ETIMEDOUT", "The server did not answer in time.");
        socket.close();
      }, this._options.connectionTimeout);
    }

    _on(event) {
      this._log(event.type, event);
      if (event.type === "open") {
        clearTimeout(this._timer);
        this._delay = this._retries = 0;
      } else if (event.type === "close") {
        this._left = true;
        clearTimeout(this._timer);
        if (!this._keepClosed) this._reconnect();
      }
      this.dispatchEvent(new event.constructor(event.type, event)); // each is dispatched once
      if (event.type === "open") {
        for (const data of this._queue.splice(0)) this.send(data);
      }
    }

    /* A page that is left may be kept for the way back, and its socket with it, as if somebody
     * still looked: it lets go of the socket, and connects again when it is shown. This ends when
     * the socket is closed for good, so that the window does not keep it for ever. */
    _restWhileHidden() {
      this._resting?.abort();
      this._resting = new AbortController();
      const { signal } = this._resting;
      window.addEventListener("pagehide", () => this._socket.close(), { signal });
      window.addEventListener("pageshow", (event) => {
        if (event.persisted) this.close(1000, "", { delay: 1 });
      }, { signal });
    }

    _reconnect() {
      const options = this._options;
      if (++this._retries > options.maxRetries) {
        this._resting.abort();
        this._fail("EHOSTDOWN", "The server could not be reached.");
        return;
      }
      const pause = this._delay || options.minReconnectionDelay * (1 + Math.random());
      this._delay = Math.min(
        pause * options.reconnectionDelayGrowFactor, options.maxReconnectionDelay);
      this._log("connecting again in", pause, "ms");
      this._timer = setTimeout(() => this._connect(), pause);
    }

    _fail(code, message) {
      this._log(code, message);
      this.dispatchEvent(Object.assign(new Event("error"), { code, message }));
    }

    _log(...what) {
      if (this._options.debug) console.debug("WebSocketBridge:", ...what);
    }
  }

  ["CONNECTING", "OPEN", "CLOSING", "CLOSED"].forEach((name, number) => {
    ReconnectingSocket[name] = ReconnectingSocket.prototype[name] = number;
  });

  class WebSocketBridge {
    constructor(options) {
      this.socket = null;
      this.streams = {};
      this.options = { ...options };
    }

    /* Open the socket: on this host, at a path of it, or at a whole URL. */
    connect(url, protocols, options) {
      const scheme = window.location.protocol === "https:" ? "wss" : "ws";
      const isHere = !url || url.startsWith("/");
      const address = isHere ? `${scheme}://${window.location.host}${url || ""}` : url;
      this.socket = new ReconnectingSocket(address, protocols, options);
    }

    /* Call the callback of its stream with each message, and `callback` if it is of no stream. */
    listen(callback) {
      this._connected().onmessage = (event) => {
        const message = JSON.parse(event.data);
        const stream = message === null ? undefined : message.stream;
        if (stream === undefined) {
          if (callback) callback(message, null);
        } else if (Object.hasOwn(this.streams, stream)) {
          this.streams[stream](message.payload, stream);
        }
      };
    }

    /* Have `callback(payload, stream)` called with the messages of a stream. */
    demultiplex(stream, callback) {
      this.streams[stream] = callback;
    }

    send(message) {
      this._connected().send(JSON.stringify(message));
    }

    /* What sends to a stream: `stream("chat").send(…)`. */
    stream(name) {
      return { send: (payload) => this.send({ stream: name, payload }) };
    }

    _connected() {
      if (this.socket === null) throw new Error("WebSocketBridge: call connect() first");
      return this.socket;
    }
  }

  window.channels = { ...window.channels, WebSocketBridge };
})();
