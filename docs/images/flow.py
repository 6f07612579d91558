"""Draw ``flow.svg``: how a program's source, its environment and earlier runs become a plan.

``python docs/images/flow.py`` writes it beside this file.
"""

from pathlib import Path

#: Text, left edge, top edge, width; pixels.
BOXES = (
    ("program source", 10, 10, 150),
    ("environment, packages", 10, 70, 150),
    ("earlier runs", 10, 130, 150),
    ("plan", 220, 70, 90),
    ("variables, import order", 370, 70, 170),
    ("TensorFlow, Keras load", 600, 70, 170),
    ("Model.fit", 600, 130, 170),
)
#: From and to, in pixels.
ARROWS = (
    ((160, 28), (218, 82)),
    ((160, 88), (218, 88)),
    ((160, 148), (218, 94)),
    ((310, 88), (368, 88)),
    ((540, 88), (598, 88)),
    ((685, 106), (685, 128)),
    ((600, 148), (164, 148)),
)
LABEL = ("trial: is XLA faster? kept for the next run", 385, 166)


def draw() -> str:
    """Return the drawing as SVG, in a grey that shows on white and on black."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 180" '
        'font-family="sans-serif" font-size="13">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#888"/></marker></defs>',
    ]
    for (x1, y1), (x2, y2) in ARROWS:
        line = f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
        parts.append(f'{line} stroke="#888" stroke-width="1.5" marker-end="url(#tip)"/>')
    for text, left, top, width in BOXES:
        box = f'<rect x="{left}" y="{top}" width="{width}" height="36" rx="6"'
        parts.append(f'{box} fill="#5c6bc0" fill-opacity="0.18" stroke="#5c6bc0"/>')
        middle = f'x="{left + width / 2}" y="{top + 23}" text-anchor="middle"'
        parts.append(f'<text {middle} fill="#7986cb">{text}</text>')
    text, x, y = LABEL
    parts.append(f'<text x="{x}" y="{y}" text-anchor="middle" fill="#888" font-size="12">{text}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_name("flow.svg").write_text(draw(), encoding="utf-8")
