// Everything on the page is there without this script; it chooses the language of the matrix, sorts and searches tables,
// saves charts as SVG, and unfolds for print.
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
      const column = [...table.tHead.rows[0].cells].findIndex((head, i) => i > 0 && words(head) === language);
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
  const MANY = 8;  // rows from which a table can be searched
  const words = (cell) => cell.textContent.replace(/^\u25cf/, "").trim();
  const value = (text) => {
    const number = text.replace(/\u2212/g, "-").match(/^[(<>]?([+-]?[\d,]*\.?\d+)/);
    return number ? parseFloat(number[1].replace(/,/g, "")) : null;
  };
  const sort = (table, column, head) => {
    const first = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    const rows = [...table.tBodies[0].rows].filter((row) => !row.classList.contains("total"));
    const keys = new Map(rows.map((row) => [row, words(row.cells[column] || row.cells[0])]));
    const numbers = rows.filter((row) => value(keys.get(row)) !== null).length * 2 > rows.length;
    const rising = numbers ? first === "ascending" : first === "descending";
    const compare = (a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (!numbers) return rising ? x.localeCompare(y) : y.localeCompare(x);
      const [m, n] = [value(x), value(y)];
      if (m === null || n === null) return (m === null) - (n === null);  // what has no number comes last
      return rising ? m - n : n - m;
    };
    for (const row of rows.sort(compare)) table.tBodies[0].insertBefore(row, table.querySelector("tr.total"));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", first);
  };
  for (const table of document.querySelectorAll("main table")) {
    const rows = table.tBodies[0] ? [...table.tBodies[0].rows] : [];
    if (!table.tHead || rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!words(head) || head.querySelector("svg")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.title = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, column, head));
    });
    if (rows.length < MANY) continue;
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "find a row";
    field.setAttribute("aria-label", `Find rows: ${table.caption ? table.caption.textContent : "table"}`);
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    const place = document.createElement("p");
    place.className = "find";
    place.append(field);
    table.parentElement.before(place);
  }
  const KEPT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family"];
  const standalone = (drawing) => {
    const copy = drawing.cloneNode(true);
    const [from, to] = [drawing.querySelectorAll("*"), copy.querySelectorAll("*")];
    from.forEach((node, i) => {
      const style = getComputedStyle(node);
      to[i].removeAttribute("class");
      for (const name of KEPT) to[i].setAttribute(name, style.getPropertyValue(name));
    });
    const [, , width, height] = drawing.getAttribute("viewBox").split(" ");
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    copy.style.background = getComputedStyle(document.body).backgroundColor;
    return new XMLSerializer().serializeToString(copy);
  };
  for (const figure of document.querySelectorAll("main figure")) {
    const drawing = figure.querySelector("svg");
    const caption = figure.querySelector("figcaption");
    if (!drawing || !caption) continue;
    const button = document.createElement("button");
    const name = caption.textContent.trim().replace(/[^\w.-]+/g, "_");
    button.type = "button";
    button.className = "save";
    button.textContent = "SVG";
    button.title = "save this chart as SVG";
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([standalone(drawing)], { type: "image/svg+xml" }));
      link.download = `${name}.svg`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    caption.append(button);
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
