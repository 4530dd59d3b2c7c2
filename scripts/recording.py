"""Records commands in a pseudo-terminal as an animated SVG for the README.

    python scripts/recording.py assets/recording.svg 'quernel generate "Once upon a time" --echo -n 120' ...

Every command is run by a shell and shown with what it prints, when it prints it. It needs Python alone, and a system with
pseudo-terminals.
"""

import os
import pty
import select
import subprocess
import sys
import time
from html import escape
from pathlib import Path

COLUMNS, ROWS, CHARACTER, LINE = 96, 22, 8.4, 19
HOLD = 4.0
STYLE = (
    ".screen{fill:#0d1117}text{font:14px ui-monospace,Menlo,Consolas,monospace;fill:#e6edf3;white-space:pre}"
    ".prompt{fill:#7ee787}g{visibility:hidden}@keyframes show{from,to{visibility:visible}}"
)


def run(command):
    """What the command prints, and after how many seconds."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "dumb", "NO_COLOR": "1"}
    process = subprocess.Popen(["sh", "-c", command], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    start, pieces = time.time(), []
    while True:
        if select.select([master], [], [], 0.05)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            pieces.append((time.time() - start, data))
        elif process.poll() is not None:
            break
    if process.wait() != 0:
        raise SystemExit(f"{command!r} ended with {process.returncode}")
    return [(at, data.decode("utf-8", "replace").replace("\r", "")) for at, data in pieces]


def wrapped(text):
    """Lines of the screen, cut where it ends."""
    lines = []
    for line in text.split("\n"):
        lines += [line[at : at + COLUMNS] for at in range(0, max(len(line), 1), COLUMNS)]
    return lines


def frames(commands):
    """The screen's text and when it came up; typing takes its time too."""
    now, screen, shown = 0.0, "", []
    for command in commands:
        screen += "$ "
        for at in range(0, len(command), 3):
            shown.append((now, screen + command[: at + 3]))
            now += 0.06
        screen += command + "\n"
        shown.append((now, screen))
        began, last = now, now
        for at, text in run(command):
            screen += text
            now = began + at
            # A frame for every token would be a large file.
            if now - last >= 0.08:
                shown.append((now, screen))
                last = now
        shown.append((now, screen))
        now += 1.0
    return shown, now + HOLD


def draw(commands):
    shown, length = frames(commands)
    width, height = COLUMNS * CHARACTER + 24, ROWS * LINE + 24
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">',
        f"<style>{STYLE}",
    ]
    for at, (start, _) in enumerate(shown):
        end = shown[at + 1][0] if at + 1 < len(shown) else length
        a, b = 100 * start / length, 100 * end / length
        out.append(
            f"@keyframes k{at}{{0%,{a:.3f}%{{visibility:hidden}}{a + 0.001:.3f}%,{b:.3f}%{{visibility:visible}}"
            f"{min(b + 0.001, 100):.3f}%,100%{{visibility:hidden}}}}#f{at}{{animation:k{at} {length:.1f}s linear infinite}}"
        )
    out.append(f'</style><rect class="screen" width="{width:.0f}" height="{height}" rx="8"/>')
    for at, (_, text) in enumerate(shown):
        out.append(f'<g id="f{at}">')
        for row, line in enumerate(wrapped(text)[-ROWS:]):
            kind = ' class="prompt"' if line.startswith("$ ") else ""
            out.append(f'<text{kind} x="12" y="{12 + LINE * row + 14}">{escape(line)}</text>')
        out.append("</g>")
    return "\n".join(out) + "\n</svg>\n"


def main():
    target, *commands = sys.argv[1:]
    Path(target).write_text(draw(commands))


if __name__ == "__main__":
    main()
