for (const table of document.querySelectorAll("table.sortable"))
  table.querySelectorAll("th").forEach((head, column) => head.onclick = () => {
    const up = head.ariaSort === "descending";
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.ariaSort = up ? "ascending" : "descending";
    const value = row => parseFloat(row.cells[column].textContent.replace(/,/g, ""));
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) =>
      isNaN(value(a)) - isNaN(value(b)) || (value(a) - value(b)) * (up ? 1 : -1));
    body.append(...rows);
  });
