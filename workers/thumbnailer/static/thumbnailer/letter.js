// The dead letter of a photograph, for who may have it tried again; it is there a moment after the
// photograph has failed.

const TRIES = 10;
const PAUSE = 500;
const panel = document.getElementById("given-up");
const place = document.getElementById("letter");
let asked = 0; // the last question; answers to earlier ones no longer count

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Show the dead letter and the button, or take them away. */
export async function showLetter(isWanted) {
  if (!panel) return;
  asked += 1;
  if (isWanted) await ask(asked);
  else panel.hidden = true;
}

async function ask(question) {
  for (let tries = 0; tries < TRIES && question === asked; tries += 1) {
    const answer = await fetch(place.dataset.url).catch(() => null);
    const html = answer?.status === 200 ? await answer.text() : "";
    if (question !== asked) return;
    if (html) place.innerHTML = html;
    if (html) break;
    await sleep(PAUSE);
  }
  if (question === asked) panel.hidden = false;
}
