// The page is whole without this: it sorts the table of slides and enlarges pictures in place.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const th = button.closest("th");
    const rows = [...th.closest("table").tBodies[0].rows];
    const column = [...th.parentNode.children].indexOf(th);
    const sign = th.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of th.parentNode.children) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const key = (row) => row.cells[column].dataset.sort;
    const compare = th.classList.contains("n")
      ? (a, b) => parseFloat(a) - parseFloat(b)
      : (a, b) => a.localeCompare(b, undefined, { numeric: true });
    // What has no value stays at the end, whichever way the column is sorted.
    rows.sort((a, b) => (key(a) === "") - (key(b) === "") || (key(a) === "" ? 0 : sign * compare(key(a), key(b))));
    th.closest("table").tBodies[0].append(...rows);
  });
}
const dialog = document.querySelector("dialog");
for (const link of document.querySelectorAll("a.enlarge")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.replaceChildren(link.querySelector("img").cloneNode());
    dialog.showModal();
  });
}
dialog.addEventListener("click", () => dialog.close());
