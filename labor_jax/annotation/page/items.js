import { request } from "./api.js";
import { byId } from "./messages.js";

const PAGE_SIZE = 50;

/**
 * The list of all items, from which one is opened again.
 *
 * @param {(id: string) => void} onOpen
 * @param {(error: Error) => void} onError
 * @returns {() => void} Shows it.
 */
export function itemsDialog(onOpen, onError) {
  let offset = 0;
  byId("items-more").addEventListener("click", () => more().catch(onError));

  async function more() {
    const answer = await request("GET", `/api/items?offset=${offset}&limit=${PAGE_SIZE}`);
    offset += answer.items.length;
    byId("items-list").append(...answer.items.map(row));
    byId("items-empty").hidden = offset > 0;
    byId("items-more").hidden = answer.items.length < PAGE_SIZE;
  }

  /** @param {any} item */
  function row(item) {
    const line = document.createElement("li");
    const image = document.createElement("img");
    image.src = item.image;
    image.alt = "";
    image.loading = "lazy";
    const name = document.createElement("span");
    name.className = "name";
    name.dir = "auto";
    name.textContent = item.name;
    const state = document.createElement("span");
    state.className = "state";
    state.textContent = [item.state, item.annotator].filter(Boolean).join(" · ");
    const open = document.createElement("button");
    open.textContent = item.state === "done" ? "Correct" : "Open";
    open.setAttribute("aria-label", `${open.textContent} ${item.name}`);
    open.addEventListener("click", () => {
      byId("items-dialog").close();
      onOpen(item.id);
    });
    line.append(image, name, state, open);
    return line;
  }

  return () => {
    offset = 0;
    byId("items-list").replaceChildren();
    byId("items-dialog").showModal();
    more().catch(onError);
  };
}
