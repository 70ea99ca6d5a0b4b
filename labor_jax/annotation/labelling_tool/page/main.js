import { request, untilReached } from "./api.js";
import { askName } from "./controls.js";
import { showMessage, showOffline, showSession } from "./messages.js";
import { Page } from "./page.js";
import { preferences } from "./preferences.js";
import { usableStorage } from "./storage.js";

async function start() {
  const chosen = preferences(usableStorage());
  document.documentElement.dataset.theme = chosen.theme;
  const address = new URL(location.href);
  if (address.searchParams.has("token")) {
    // The cookie has it now; keep it out of the history.
    history.replaceState(null, "", address.pathname);
  }
  const showClosed = (/** @type {Error} */ error) =>
    showMessage("The labelling tool can't be opened", error.message);
  let session;
  try {
    session = await untilReached(
      () => request("GET", "/api/session"),
      (error) => (error?.isNoAccess ? showClosed(error) : showOffline(error, 0)),
      (milliseconds) => new Promise((done) => setTimeout(done, milliseconds)),
    );
  } catch (error) {
    showClosed(/** @type {Error} */ (error));
    return;
  }
  showSession(session);
  const page = new Page(session, chosen);
  if (!chosen.annotator) {
    await askName(chosen);
  }
  if (!chosen.introduced) {
    await page.introduce();
    chosen.introduced = true;
  }
  page.canvas.focus();
  await page.queue.start();
}

start();
