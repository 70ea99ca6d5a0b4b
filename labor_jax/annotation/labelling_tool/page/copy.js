/**
 * Copies an element's text. Where the browser forbids that, as it does on plain HTTP from another
 * machine, the text is selected for the annotator's own Ctrl+C.
 *
 * @param {HTMLElement} element
 * @returns {Promise<boolean>} Whether it was copied.
 */
export async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(element);
    return document.execCommand("copy");
  }
}
