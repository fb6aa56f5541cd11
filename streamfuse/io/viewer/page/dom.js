// Elements of the page, found and made.

/** The element with this id; it is in index.html. */
export const find = (id) => document.getElementById(id);

/** A new element with properties and children (elements or text). Text is never read as HTML. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name.startsWith("aria-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set the text of an element, and touch nothing when it is there already. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** JSON from this server. Throws what went wrong, as one sentence. */
export async function load(address) {
  const answer = await fetch(address, { signal: AbortSignal.timeout(8000) });
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  return answer.json();
}

/** Close a dialog by its cross, and by a click beside it. */
export function closable(dialog) {
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog || target.closest("[data-close]")) dialog.close();
  });
}
