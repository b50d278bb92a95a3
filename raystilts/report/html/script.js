// Everything on the page is there without this script; it chooses the language of the matrix, and unfolds for print.
(() => {
  "use strict";
  const choice = document.getElementById("choice");
  const matrix = document.getElementById("matrix");
  if (choice && matrix) {
    const caption = matrix.caption.firstElementChild;
    const said = caption.textContent;
    const cells = [...matrix.querySelectorAll("td[data-at]")].map((cell) => ({
      cell, html: cell.innerHTML, kind: cell.className, title: cell.title, at: cell.dataset.at.split(","),
    }));
    const source = ([target, row], language) => {
      const table = document.getElementById(`languages-${target}`);
      if (!table) return null;
      const column = [...table.tHead.rows[0].cells].findIndex((head, i) => i > 0 && head.textContent === language);
      const line = table.tBodies[0].querySelector(`tr[data-row="${row}"]`);
      return column < 0 || !line ? null : line.cells[column];
    };
    document.getElementById("language").addEventListener("change", (event) => {
      const language = event.target.value;
      for (const { cell, html, kind, title, at } of cells) {
        const found = language ? source(at, language) : null;
        cell.innerHTML = language ? (found ? found.innerHTML : "\u2013") : html;
        cell.className = language ? (found ? found.className : "none") : kind;
        cell.title = language ? "" : title;
      }
      caption.textContent = language ? `${said}: ${language}` : said;
    });
    choice.hidden = false;
  }
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const fold of folded) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of folded) fold.open = false;
  });
})();
