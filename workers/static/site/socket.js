// A WebSocket that comes back by itself: it waits longer after each failed try, up to 15 seconds.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

const WORDS = {
  connecting: () => "Connecting…",
  open: () => "Connected",
  lost: (wait) => `Connection lost. Next try in ${Math.ceil(wait / 1000)} s.`,
};

/** An `onState` that tells the state in `element`, which has the class "state". */
export function stateLine(element) {
  return (name, wait) => {
    element.dataset.state = name;
    element.textContent = WORDS[name](wait);
  };
}

/**
 * Open a socket to a path of this site.
 *
 * `onState` hears "connecting", "open" and "lost" (with the milliseconds until the next try);
 * `onText` hears each text, `onBytes` each binary message as an ArrayBuffer. Returns `send(data)`,
 * which is false when the socket is not open, and `close()`, after which it stays closed.
 */
export function openSocket(path, { onState, onText, onBytes }) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  let socket;
  let timer;
  let failures = 0;
  let ended = false;

  function connect() {
    clearTimeout(timer);
    onState("connecting");
    const mine = new WebSocket(url);
    socket = mine;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      failures = 0;
      onState("open");
    });
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") onText?.(data);
      else onBytes?.(data);
    });
    socket.addEventListener("close", () => {
      if (!ended && mine === socket) retryLater();
    });
  }

  function retryLater() {
    const longest = Math.min(FIRST_WAIT * 2 ** failures, LONGEST_WAIT);
    const wait = longest * (0.5 + Math.random() / 2); // so that not all browsers come at once
    failures += 1;
    onState("lost", wait);
    timer = setTimeout(connect, wait);
  }

  // A browser that is back on the network need not wait.
  addEventListener("online", () => {
    if (!ended && socket.readyState === WebSocket.CLOSED) connect();
  });
  // One that keeps a page for the way back would keep its socket, too: as if somebody still looked.
  addEventListener("pagehide", () => socket.close());
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted && !ended) connect();
  });
  connect();

  return {
    send(data) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(data);
      return true;
    },
    close() {
      ended = true;
      clearTimeout(timer);
      socket.close(1000);
    },
  };
}
