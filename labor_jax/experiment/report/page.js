for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const keyOf = (row, column) => row.cells[column].dataset.key ?? row.cells[column].textContent;
  heads.forEach((head, column) => head.firstChild?.addEventListener("click", () => {
    const descending = head.getAttribute("aria-sort") !== "descending";
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const compare = (a, b) => {
      const [left, right] = [keyOf(a, column), keyOf(b, column)];
      if (left === "" || right === "") return (left === "") - (right === "");
      const order = isNaN(left) || isNaN(right) ? left.localeCompare(right) : left - right;
      return descending ? -order : order;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }));
}
for (const panel of document.querySelectorAll(".panel")) {
  panel.querySelector("button").addEventListener("click", () => panel.classList.toggle("large"));
}
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
});
