// The headlines' page: shows each that comes by the stream. A browser whose connection is lost comes
// back by itself, and tells the server the last headline that it has seen; one that was refused, as
// while no worker runs, does not.

const PAUSE = 2000;

const list = document.getElementById("headlines");
const form = document.getElementById("form");
const input = document.getElementById("text");

function show({ data }) {
  const line = document.createElement("li");
  line.textContent = JSON.parse(data).text;
  list.append(line);
  list.scrollTop = list.scrollHeight; // the newest is at the end
}

function listen() {
  const stream = new EventSource(list.dataset.stream);
  list.replaceChildren(); // a new stream begins with the latest headlines
  stream.addEventListener("headline", show);
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, PAUSE);
  });
}

listen();

form.addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const answer = await fetch(location.pathname, { method: "POST", body: new FormData(form) });
  if (answer.ok) input.value = "";
});
