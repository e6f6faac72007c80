// Puts a part of the page, as the server has it now, in the place of the one that is shown: so what is
// pushed need only say that there is something new, and the server's template draws it.

/** The part is the element of that selector in the page at `address`; the focus stays where it is. */
export async function refresh(selector, address = location.href) {
  const answer = await fetch(address).catch(() => null); // without a connection: another time
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [before, after] = [document, page].map((each) => each.querySelector(selector));
  if (!before || !after) return;
  const focused = before.contains(document.activeElement) && document.activeElement.getAttribute("href");
  before.replaceWith(after);
  if (focused) after.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
}
