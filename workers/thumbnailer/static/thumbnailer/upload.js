// The upload form: a file that is too large is told before it travels, and a drop anywhere counts.

const form = document.getElementById("upload");
const input = document.getElementById("photo");
const problem = document.getElementById("problem");
const button = document.getElementById("send");
const drop = input.closest(".drop");
const maxBytes = Number(form.dataset.maxBytes);

const megabytes = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MB`;

function findProblem() {
  const file = input.files[0];
  if (!file || file.size <= maxBytes) return "";
  return `The file has ${megabytes(file.size)} and the limit is ${megabytes(maxBytes)}. Choose a smaller one.`;
}

function showProblem(text) {
  problem.textContent = text;
  problem.hidden = !text;
  input.toggleAttribute("aria-invalid", Boolean(text));
}

input.addEventListener("change", () => showProblem(findProblem()));

form.addEventListener("submit", (submit) => {
  const text = findProblem();
  if (text) {
    submit.preventDefault();
    showProblem(text);
    return;
  }
  button.disabled = true;
  button.textContent = "Sending…";
});

// Back in this page from the browser's cache, the button must work again.
addEventListener("pageshow", () => {
  button.disabled = false;
  button.textContent = "Make thumbnails";
});

for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (drag) => {
    drag.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name !== "drop" || !drag.dataTransfer.files.length) return;
    input.files = drag.dataTransfer.files;
    showProblem(findProblem());
  });
}
