"""How the page of an evaluation looks, in light and dark, and how its tables are sorted.

Colours are Okabe & Ito's, told apart by the colour-blind.
"""

STYLE = """
:root { --ink: #1b1f24; --paper: #fff; --soft: #59636e; --rule: #d8dee4; --tint: #f4f7fa;
  --blue: #0072b2; --orange: #e08a00; --green: #009e73; --pink: #cc79a7; --red: #d55e00;
  --sky: #56b4e9; --grey: #9aa4ae; color-scheme: light dark }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ed; --paper: #14181d; --soft: #98a3ae;
  --rule: #303841; --tint: #1c2229; --blue: #4aa8e0; --orange: #f0a830; --green: #2fbf95;
  --red: #f0803c; --grey: #6f7a85 } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 70rem; margin: 0 auto; padding: 1.5rem 1.2rem 3rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.3rem; margin: 3.2rem 0 .6rem;
  padding-top: .6rem; border-top: 2px solid var(--rule) }
h3 { font-size: 1rem; margin: 1.8rem 0 .2rem }
.lead { font-size: 1.05rem; margin: .2rem 0 1rem } .note { color: var(--soft); margin: 0 0 .5rem;
  max-width: 52rem }
nav ol { columns: 3 14rem; margin: 0; padding: .8rem 1rem .8rem 2.4rem; background: var(--tint);
  border-radius: 8px } a { color: var(--blue); text-decoration: none }
a:hover { text-decoration: underline }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem;
  margin: 1rem 0 } .facts div { background: var(--tint); border-radius: 8px; padding: .7rem .9rem;
  color: var(--soft); font-size: .85rem } .facts b { display: block; font-size: 1.5rem;
  color: var(--ink); line-height: 1.3 } .facts small { display: block; font-size: .75rem }
small { color: var(--soft); font-weight: 400; font-size: .82em; white-space: nowrap }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .92rem } th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule) } th:first-child, td:first-child { text-align: left;
  padding-left: .3rem } th { font-weight: 600; vertical-align: bottom }
tbody tr:hover { background: var(--tint) } .mine tbody tr:first-child { font-weight: 600;
  background: var(--tint) } .sortable th { cursor: pointer }
.sortable th[aria-sort]::after { content: " \\2193" } .sortable th[aria-sort=ascending]::after {
  content: " \\2191" }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.2rem; margin: 0 }
dt { font-weight: 600 } dd { margin: 0; max-width: 48rem }
figure { margin: 0 } figcaption { font-size: .85rem; margin-bottom: .2rem; color: var(--soft) }
figcaption b { color: var(--ink) } svg { display: block; width: 100%; height: auto }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1.4rem;
  margin: 1rem 0 } .charts figcaption { font-weight: 600; color: var(--ink); font-size: .95rem }
.beats { display: grid; gap: 1.1rem; margin: .6rem 0 1.4rem }
.of3 { grid-template-columns: repeat(3, 1fr); max-width: 54rem }
.of4 { grid-template-columns: repeat(4, 1fr) }
@media (max-width: 50rem) { .of3, .of4 { grid-template-columns: repeat(2, 1fr) } }
.nil { color: var(--grey) } details { margin-top: 1.4rem }
.keys { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0;
  margin: .3rem 0; font-size: .85rem; color: var(--soft) } .keys li { display: flex;
  align-items: center; gap: .4rem } .keys svg { width: 22px; flex: none }
.tag { color: #fff !important; background: var(--c); border-radius: 4px; padding: 0 .4em }
pre { background: var(--tint); padding: .8rem; max-height: 30rem; overflow: auto; font-size: 13px }
summary { cursor: pointer; color: var(--blue) } footer { margin-top: 3rem; color: var(--soft) }
text { font: 11px system-ui, sans-serif; fill: var(--soft) } text.label { font-size: 11.5px;
  fill: var(--ink) } text.class { font-size: 15px; font-weight: 700; fill: var(--ink) }
line { stroke: var(--rule); stroke-width: 1 }
line.threshold { stroke: var(--ink); stroke-width: 1.4 }
.N { --c: var(--grey) } .S { --c: var(--orange) } .V { --c: var(--red) } .F { --c: var(--green) }
.Q { --c: var(--pink) } .s0 { --c: var(--blue); stroke-width: 2.4 } .s1 { --c: var(--grey) }
.s2 { --c: var(--pink) } .s3 { --c: var(--sky) } .s4 { --c: var(--green) } .s5 { --c: var(--red) }
.beat { --c: var(--blue) } .expected { --c: var(--orange) } .reference { --c: var(--grey) }
.error { --c: var(--red) }
.line { fill: none; stroke: var(--c); stroke-width: 1.6; stroke-linejoin: round } .line.s0 {
  stroke-width: 2.6 } .area { fill: var(--c); opacity: .75 } .swatch { stroke: var(--c);
  stroke-width: 8; opacity: .75 } .dot { fill: var(--c); stroke: var(--paper); stroke-width: 1.5 }
@media print { nav { display: none } .beats, .charts figure { break-inside: avoid } }
"""

SCRIPT = """
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
"""
