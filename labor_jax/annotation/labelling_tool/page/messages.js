/** @param {string} id @returns {any} The page's element with that id. */
export const byId = (id) => document.getElementById(id);

/** @param {number} number @param {string} one @param {string} many */
export function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

/**
 * Shows a message in place of an item.
 *
 * @param {string} title
 * @param {string} text
 * @param {string} [command] A command to copy.
 */
export function showMessage(title, text, command = "") {
  byId("message-title").textContent = title;
  byId("message-text").textContent = text;
  byId("command").replaceChildren(...words(command));
  byId("command-row").hidden = !command;
  byId("copied").textContent = "";
  byId("message").hidden = false;
  byId("status").textContent = title;
}

/** @param {string} command @returns {Array<HTMLElement | string>} Each word, and what separates them. */
function words(command) {
  return command.split(/( )/).map((text) => {
    const word = document.createElement("span");
    word.textContent = text;
    return text === " " ? text : word;
  });
}

/** Shows a warning until it is closed, below those that nobody has closed yet. @param {string} text */
export function warn(text) {
  const shown = byId("warning").hidden ? [] : byId("warning-text").textContent.split("\n");
  byId("warning-text").textContent = [...new Set([...shown, text])].join("\n");
  byId("warning").hidden = false;
}

/**
 * @param {import("./api.js").ApiError | null} error Why the server takes nothing; null if it does.
 * @param {number} unsaved
 */
export function showOffline(error, unsaved) {
  byId("offline").hidden = !error;
  if (error) {
    const waiting = unsaved
      ? ` ${count(unsaved, "answer waits", "answers wait")} to be saved.`
      : "";
    const what = error.isNoAccess ? "No access" : "Offline";
    const why = error.message.replace(/\.$/, "");
    byId("offline").textContent = `${what}: ${why}.${waiting} Trying again…`;
  }
}

/** @param {any} session */
export function showSession({ run, round, method, pair }) {
  byId("run").textContent = round === null ? run : `${run} · round ${round}`;
  byId("run").title = [method, pair].filter(Boolean).join(" on ");
}

/** @param {any} progress */
export function showProgress({ items, done, seconds_per_item: each, seconds_left: left }) {
  byId("progress").value = items ? done / items : 0;
  byId("progress-text").textContent = [
    `${done} of ${items} items`,
    secondsEach(each),
    left ? `${duration(left)} left` : "",
  ]
    .filter(Boolean)
    .join(" · ");
  document.title = `${done}/${items} · Labelling`;
}

/** @param {number | null} seconds */
export function secondsEach(seconds) {
  return seconds ? `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s an item` : "";
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 90) {
    return `${Math.round(seconds)} s`;
  }
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** @param {any} progress Of a round that isn't complete. */
function whyNothingOpen({ items, done, leased }) {
  const held = Math.min(leased, items - done);
  const rest = items - done - held;
  const sentences = [];
  if (held) {
    const others = count(held, "item is", "items are");
    sentences.push(`${others} being labelled by others. Any that they give back will appear here.`);
  }
  if (rest) {
    const waiting = count(rest, "item waits", "items wait");
    sentences.push(`${waiting} for somebody else: who gave one opinion of an image may not give the other.`);
  }
  return sentences.join(" ") || "The run has not asked about all images yet.";
}

/** Why nothing is open. @param {any} session @param {any} progress */
export function showNothingOpen(session, progress) {
  if (session.round === null) {
    showMessage("Nothing is asked yet", "The run has not asked anything. Come back when it waits for answers.");
  } else if (progress.round_complete) {
    const how = session.command ? "Continue the run with this command:" : session.continue;
    showMessage(`Round ${session.round} is labelled`, how, session.command ?? "");
  } else {
    showMessage("Nothing is open right now", whyNothingOpen(progress));
  }
}
