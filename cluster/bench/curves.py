"""Distributions as curves in an SVG file: what share of requests took at most so many seconds."""

from __future__ import annotations

from pathlib import Path

WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 720, 400, 56, 44, 44
COLOURS = ("#b0413e", "#c98a1b", "#2c6e8f", "#4a7a3a")


def draw(path: Path, title: str, values: dict[str, list[float]]) -> None:
    most = max(sorted(each)[int(0.99 * len(each))] for each in values.values())
    across, high = WIDTH - LEFT - 20, HEIGHT - BELOW - ABOVE

    def at(seconds: float, share: float) -> str:
        return f"{LEFT + min(seconds, most) / most * across:.1f},{ABOVE + (1 - share) * high:.1f}"

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', f'<text x="{LEFT}" y="24" font-size="14">{title}</text>']
    for share in (0, 0.25, 0.5, 0.75, 0.95, 1):
        place = ABOVE + (1 - share) * high
        lines.append(f'<line x1="{LEFT}" x2="{LEFT + across}" y1="{place:.1f}" y2="{place:.1f}" stroke="#ddd"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1_000) if most / step <= 10)
    for seconds in range(0, int(most) + 1, step):
        place = LEFT + seconds / most * across
        lines.append(f'<text x="{place:.1f}" y="{HEIGHT - BELOW + 18}" text-anchor="middle">{seconds} s</text>')
    for number, (name, each) in enumerate(values.items()):
        ordered = sorted(each)
        points = " ".join(at(value, (place + 1) / len(ordered)) for place, value in enumerate(ordered))
        colour = COLOURS[number % len(COLOURS)]
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines.append(f'<text x="{LEFT + across - 150}" y="{ABOVE + high - 60 + 18 * number}" fill="{colour}">{name}</text>')
    path.write_text("\n".join(lines + ["</svg>"]) + "\n")
