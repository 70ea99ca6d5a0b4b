import { request } from "./api.js";
import { byId, count, secondsEach } from "./messages.js";

const PAGE_SIZE = 50;

/**
 * The dialog that lists all items, to open one again, and what each annotator has done.
 *
 * @param {(id: string) => void} onOpen
 * @param {(error: Error) => void} onError
 * @returns {() => void} Shows the dialog.
 */
export function itemsDialog(onOpen, onError) {
  let offset = 0;
  /** Counts lists, so that late rows of an earlier list are ignored. */
  let lists = 0;
  byId("items-more").addEventListener("click", () => more().catch(onError));
  byId("items-state").addEventListener("change", () => begin().catch(onError));

  async function begin() {
    offset = 0;
    lists++;
    byId("items-list").replaceChildren();
    await more();
  }

  async function more() {
    const list = lists;
    const state = byId("items-state").value;
    const only = state ? `&state=${state}` : "";
    const { items } = await request("GET", `/api/items?offset=${offset}&limit=${PAGE_SIZE}${only}`);
    if (list === lists) {
      offset += items.length;
      byId("items-list").append(...items.map(row));
      byId("items-empty").hidden = offset > 0;
      byId("items-more").hidden = items.length < PAGE_SIZE;
    }
  }

  /** @param {any} item */
  function row(item) {
    const line = document.createElement("li");
    const image = document.createElement("img");
    image.src = item.image;
    image.alt = "";
    image.loading = "lazy";
    const name = text("name", item.name);
    const opinion = item.opinion === 2 ? "second opinion" : "";
    const doing = item.state === "leased" ? "being labelled" : item.state;
    const state = text("state", [opinion, doing, item.annotator].filter(Boolean).join(" · "));
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

  async function showTeam() {
    const { annotators, agreement } = await request("GET", "/api/progress");
    byId("team").replaceChildren(
      ...annotators.map((/** @type {any} */ { name, items, seconds_per_item: each, active }) => {
        const words = [name, count(items, "item", "items"), secondsEach(each), active ? "now" : ""];
        return text("", words.filter(Boolean).join(" · "), "li");
      }),
    );
    byId("agreement").textContent = agreement
      ? `Second opinions agree on ${(100 * agreement.agreement).toFixed(1)}% of the pixels of ` +
        `${count(agreement.items, "item", "items")}.`
      : "";
  }

  return () => {
    byId("items-dialog").showModal();
    Promise.all([begin(), showTeam()]).catch(onError);
  };
}

/** @param {string} kind @param {string} content @param {string} [tag] */
function text(kind, content, tag = "span") {
  const element = document.createElement(tag);
  element.className = kind;
  element.dir = "auto";
  element.textContent = content;
  return element;
}
