"""Draws a results file of `quernel bench -o json` as the README's plot.

    python scripts/plot.py benches/results/FILE.json assets/decode.svg

Of each weight format the longest answer that was measured: tokens a second, with their spread, and the share of the
device's own read bandwidth that this is. It needs Python alone.
"""

import json
import sys
from html import escape
from pathlib import Path

WIDTH, ROW, LEFT, TOP, BAR = 720, 44, 70, 64, 440
STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:16px}.note{fill:#57606a;font-size:12px}"
    ".bar{fill:#2f6f4f}.spread{stroke:#24292f;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#8b949e}.bar{fill:#57ab7f}.spread{stroke:#e6edf3}}"
)


def decode(records):
    """The record of the longest answer alone, for each format, in the order of the file."""
    longest = {}
    for record in records:
        if record["n_prompt"] == 0 and record["n_depth"] == 0:
            best = longest.get(record["weights"])
            if best is None or record["n_gen"] > best["n_gen"]:
                longest[record["weights"]] = record
    return list(longest.values())


def draw(records):
    first, most = records[0], max(r["avg_ts"] + r["stddev_ts"] for r in records)
    height = TOP + ROW * len(records) + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="0" y="20">Decode, {escape(first["model_type"].rsplit(" ", 1)[0])}, tokens a second</text>',
        f'<text class="note" x="0" y="42">{escape(first["adapter_name"])}, {escape(first["wgpu_backend"])}; '
        f'{first["test"]}; it reads at most {first["roofline_read_gbps"]:.1f} GB/s</text>',
    ]
    for at, record in enumerate(records):
        y, speed, spread = TOP + ROW * at, record["avg_ts"], record["stddev_ts"]
        scale = BAR / most
        low, high, middle = LEFT + scale * (speed - spread), LEFT + scale * (speed + spread), y + 14
        share = record["share_of_ceiling"]
        share = 100 * share if share <= 1 else share
        out += [
            f'<text x="0" y="{y + 19}">{record["weights"]}</text>',
            f'<rect class="bar" x="{LEFT}" y="{y}" width="{scale * speed:.1f}" height="28" rx="3"/>',
            f'<line class="spread" x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}"/>',
            f'<text x="{LEFT + BAR + 12}" y="{y + 19}">{speed:.1f} ± {spread:.1f}'
            f'<tspan class="note">  {share:.0f} % of the ceiling</tspan></text>',
        ]
    out.append(f'<text class="note" x="0" y="{height - 8}">quernel bench, {first["test_time"][:10]}</text></svg>')
    return "\n".join(out) + "\n"


def main():
    source, target = map(Path, sys.argv[1:])
    target.write_text(draw(decode(json.loads(source.read_text()))))


if __name__ == "__main__":
    main()
