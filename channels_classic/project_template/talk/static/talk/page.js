// Sends what is typed, and shows what comes back; the bridge connects again by itself.

const bridge = new channels.WebSocketBridge();
const form = document.getElementById("form");
const input = document.getElementById("text");
const log = document.getElementById("log");
const state = document.getElementById("state");

function show(text) {
  const line = document.createElement("li");
  line.textContent = text;
  log.append(line);
}

bridge.connect("/talk/", undefined, { maxEnqueuedMessages: 10 });
bridge.listen((message) => {
  if ("echo" in message) show(message.echo);
  if ("words" in message) show(`Words: ${message.words}`);
});
bridge.socket.addEventListener("open", () => { state.textContent = "Connected"; });
bridge.socket.addEventListener("close", () => { state.textContent = "Connecting again…"; });

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (input.value.trim()) bridge.send({ text: input.value });
  form.reset();
});
