"""The look of a page: light and dark by what the reader prefers, and for paper."""

from __future__ import annotations

_LIGHT = """
  --paper: #ffffff; --ground: #f6f7f9; --ink: #16202e; --soft: #566273; --rule: #dfe3e9; --grid: #e9ecf1;
  --graph: #1f5fbf; --xla: #b8480b; --good: #17703a; --bad: #b3261e; --care: #8a5a00; --note: #4a5a75;
  --compile: #8892a4; --race: #d9a400; --code: #eef1f5;
"""
_DARK = """
  --paper: #171c24; --ground: #0f1319; --ink: #e8ecf2; --soft: #9aa6b8; --rule: #2c3440; --grid: #242b36;
  --graph: #79aefc; --xla: #ff9b5e; --good: #6fd394; --bad: #ff8a80; --care: #f0bf5a; --note: #a9b8d3;
  --compile: #8892a4; --race: #d9a400; --code: #222935;
"""
_SHEET = """
* { box-sizing: border-box; }
html { background: var(--ground); -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 3rem; max-width: 68rem; color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; }
h1 { margin: .1rem 0 .5rem; font-size: 1.9rem; line-height: 1.2; letter-spacing: -.015em;
  overflow-wrap: anywhere; }
h2 { margin: 2.75rem 0 .9rem; font-size: .8rem; font-weight: 650; letter-spacing: .09em; color: var(--soft);
  text-transform: uppercase; }
h3 { margin: 0; font-size: 1.2rem; line-height: 1.35; letter-spacing: -.005em; overflow-wrap: anywhere; }
p { margin: .4rem 0; overflow-wrap: anywhere; }
a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: .2em; }
a:hover { text-decoration-thickness: 2px; }
:target { outline: 2px solid var(--graph); outline-offset: 3px; }
code, .mono { font: .9em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; }
.brand { margin: 0; font-weight: 650; color: var(--soft); letter-spacing: .02em; }
.lead { font-size: 1.12rem; max-width: 46rem; }
.card .lead { margin-top: .25rem; font-size: 1rem; }
.soft { color: var(--soft); font-size: .9rem; }
.chips { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1.1rem 0 0; padding: 0; list-style: none; }
.chips li { padding: .2rem .7rem; border: 1px solid var(--rule); border-radius: 2rem;
  background: var(--paper); font-size: .9rem; overflow-wrap: anywhere; }
.chips span { margin-right: .35rem; color: var(--soft); }
.card { margin: 0 0 1rem; padding: 1.35rem 1.5rem; border: 1px solid var(--rule); border-radius: .75rem;
  background: var(--paper); }
.card > :last-child { margin-bottom: 0; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .93rem; }
caption { padding: 0 0 .4rem; text-align: left; color: var(--soft); }
table.figures { margin-bottom: .9rem; }
th, td { padding: .42rem 1.25rem .5rem 0; border-top: 1px solid var(--rule); text-align: left;
  vertical-align: top; }
tr:first-child > * { border-top: 0; }
thead th { color: var(--soft); font-weight: 500; }
tr > :last-child { padding-right: 0; }
thead + tbody tr:first-child > * { border-top: 1px solid var(--rule); }
tbody th { font-weight: 500; white-space: nowrap; }
td { overflow-wrap: anywhere; }
.facts tbody th { width: 15rem; color: var(--soft); white-space: normal; overflow-wrap: anywhere; }
.number, thead .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin: .9rem 0 .6rem; padding: 0;
  list-style: none; font-size: .88rem; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: .45rem; }
.swatch { flex: none; }
figure { margin: 0; }
figure svg:not(.swatch) { display: block; width: 100%; height: auto; }
figcaption { margin: .5rem 0 1.1rem; font-size: .9rem; color: var(--soft); }
svg.narrow { display: none !important; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
svg .label { font-size: 12px; }
svg .note { fill: var(--ink); font-size: 13px; font-weight: 600; }
svg .name { font-size: 13px; font-weight: 650; }
svg .value { font-size: 13px; }
svg text.graph { fill: var(--graph); }
svg text.xla { fill: var(--xla); }
.grid { stroke: var(--grid); }
.axis { stroke: var(--soft); }
.event { stroke: var(--ink); stroke-width: 1.6; }
.median { stroke: var(--soft); stroke-width: 1.3; stroke-dasharray: 5 4; }
.median.graph { stroke: var(--graph); }
.median.xla { stroke: var(--xla); }
.points { opacity: .75; }
.points.big { opacity: 1; }
.points.graph { fill: none; stroke: var(--graph); stroke-width: 5.5; stroke-linecap: round; }
.points.graph.big { stroke-width: 9; }
.points.xla { fill: var(--xla); }
.band.compile { fill: var(--compile); fill-opacity: .16; }
.band.race { fill: var(--race); fill-opacity: .16; }
.bar { stroke-width: 7; stroke-opacity: .45; stroke-linecap: round; }
.bar.graph { stroke: var(--graph); }
.bar.xla { stroke: var(--xla); }
.dot { stroke: var(--paper); stroke-width: 2; }
.dot.graph { fill: var(--graph); }
.dot.xla { fill: var(--xla); }
.finding { border-left: .3rem solid var(--note); }
.finding.error { border-left-color: var(--bad); }
.finding.warning { border-left-color: var(--care); }
.tags { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem .8rem; margin: 0 0 .35rem;
  font-size: .92rem; }
.tags strong { font-variant-numeric: tabular-nums; }
.level { font-weight: 600; color: var(--note); }
.error .level { color: var(--bad); }
.warning .level { color: var(--care); }
.remedy b { color: var(--care); font-weight: 650; }
.remedy.done b { color: var(--good); }
footer { margin-top: 3rem; font-size: .88rem; color: var(--soft); }
@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem 2rem; }
  h1 { font-size: 1.5rem; }
  .card { padding: 1rem; }
  svg.wide { display: none !important; }
  figure svg.narrow { display: block !important; }
  .facts th, .facts td { display: block; width: auto; padding: .1rem 0; border: 0; }
  .facts tbody th { width: auto; padding-top: .55rem; }
  th, td { padding-right: .9rem; }
  .figures { font-size: .82rem; }
  .figures th, .figures td { padding-right: .35rem; }
}
@media print {
  @page { margin: 14mm; }
  html, body { background: #fff; }
  body { max-width: none; padding: 0; font-size: 10pt;
    print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2 { margin-top: 1.6rem; break-after: avoid; }
  svg.wide { display: block !important; }
  svg.narrow { display: none !important; }
  .card { padding: .9rem 1rem; }
  .finding, figure, tr { break-inside: avoid; }
  a { text-decoration: none; }
}
"""
#: The whole style sheet. Paper is light whatever the screen is.
STYLE = f""":root {{ color-scheme: light dark; {_LIGHT} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
{_SHEET}"""
