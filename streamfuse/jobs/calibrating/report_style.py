"""How the page of a report looks: light and dark, wide and narrow, on paper."""

from __future__ import annotations

from typing import Final

__all__ = ["STYLE"]

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --s0: #0072b2; --s1: #d55e00; --s2: #009e73; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h3 { margin: 1.2rem 0 .4rem; overflow-wrap: anywhere; }
h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); font-size: 1.2rem; }
p { max-width: 48rem; } .verdict p { margin: .5rem 0; }
.verdict { border-left: 4px solid var(--s0); padding: .2rem 1rem; background: #0072b214; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .5rem 0; }
th, td { text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; font-variant-numeric: tabular-nums; } th { font-weight: 600; }
img, svg.map { width: 100%; height: auto; display: block; }
img.plot { background: white; min-width: 30rem; max-width: 48rem; }
.flat td, .flat th { white-space: nowrap; }
.two { display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.two > * { min-width: 0; } figure { margin: 0 0 .8rem; }
figcaption, small, .why, .legend { font-size: .85rem; opacity: .8; }
.blink { position: relative; } .blink img + img { position: absolute; inset: 0;
  animation: blink 1.6s steps(1) infinite; }
.blink:hover img + img, .blink:focus img + img { animation-play-state: paused; }
@keyframes blink { 50% { opacity: 0; } }
code { background: #8882; padding: 0 .3em; border-radius: 3px; overflow-wrap: anywhere; }
.bars { display: grid; gap: .4rem 1rem; align-items: center;
  grid-template-columns: minmax(7rem, max-content) 1fr; }
.bars > div { overflow-wrap: anywhere; min-width: 0; } .bars small { white-space: nowrap; }
.line { display: flex; align-items: center; gap: .5rem; padding-right: 3rem; height: 1rem; }
.line i { height: .55rem; min-width: 2px; border-radius: 2px; }
.line b { font: .8rem system-ui, sans-serif; font-variant-numeric: tabular-nums; margin-right: -3rem; }
.s0 { background: var(--s0); } .s1 { background: var(--s1); } .s2 { background: var(--s2); }
.out { opacity: .65; } .out i { opacity: .5; }
.legend { margin: .6rem 0 .4rem; } .key { background: none; margin-right: 1.2rem; white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: .9rem; height: .55rem; margin-right: .35rem;
  border-radius: 2px; background: var(--s0); }
.key.s1::before { background: var(--s1); } .key.s2::before { background: var(--s2); }
svg.map { max-width: 30rem; } svg.map text { font: 9px system-ui, sans-serif; fill: currentColor; }
svg.map .count { opacity: .5; font-size: 7px; }
.cell { fill: none; stroke: #8886; stroke-width: .5; } .cell.none { fill: #8883; }
.arrow { fill: none; stroke: var(--s1); stroke-width: 1.4; stroke-linecap: round; }
@media print { .blink img + img { animation: none; opacity: .5; } section { break-inside: avoid; } }
"""
