"""The page of a report: what it says, that it needs nothing else, and that a browser shows it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoxla.report.page import Scale, Trial, render_page, scale_times
from programs import Outcome, clean_environment, run, run_code

CHECKOUT = Path(__file__).parents[1]
#: The programs that Debian, others and macOS call Chromium.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Whatever would be asked for is not found, and says so.
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0"),
)


def samples() -> Iterator[list[object]]:
    """Yield the steps of a trial: a compile beside training, then the race."""
    for step in range(43, 129):
        yield [step, "graph", 73.0 + step % 7]
    for step in range(129, 159):
        yield [step, "xla" if step % 4 in (0, 3) else "graph", 25.0 if step % 4 in (0, 3) else 58.5]


TRIAL: dict[str, object] = {
    "model": "transformer_block",
    "incumbent": "graph",
    "challenger": "xla",
    "nodes": 1843,
    "began_at": 42,
    "observed_ms": 60.1,
    "expected_compile_s": 9.2,
    "samples": list(samples()),
    "compile_s": 11.4371,
    "compiled_at": 128,
    "decided_at": 158,
    "switched_at": 158,
    "winner": "xla",
    "graph_ms": 58.7,
    "xla_ms": 25.3,
    "ratio": 0.431,
    "interval": [0.401, 0.466],
    "pairs": 14,
    "outcome": "switched to xla",
    "steps": 218,
}
FINDING: dict[str, object] = {
    "code": "AX103",
    "level": "warning",
    "grade": "certain",
    "message": "TF_USE_LEGACY_KERAS='yes' is ignored",
    "remedy": "write TF_USE_LEGACY_KERAS=1 for on",
    "applied": True,
    "file": "environment",
    "line": None,
    "column": None,
}
REPORT: dict[str, object] = {
    "program": "train.py",
    "mode": "auto",
    "settings": [
        {"variable": "TF_USE_LEGACY_KERAS", "value": "1", "previous": "yes", "because": ["AX103"]},
        {"variable": "ITEX_DISABLE_XLA", "value": None, "previous": "1", "because": ["AX999"]},
    ],
    "path": {"keras": 3, "step": None, "device": "stock", "backend": "tensorflow"},
    "findings": [FINDING],
    "rules": {"AX103": {"title": "The switch is spelt so that it is ignored", "source": "TensorFlow"}},
    "compile": [{"requested": "auto", "used": False, "because": "Keras"}],
    "trials": [TRIAL],
    "errors": ["trial: ValueError: injected"],
    "story": {"Situation": [["python", "3.11.7"]], "In other modes": [["off", "not: this"]]},
}
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(1)">&\x00\udc80\u2028\'"'


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


def embedded(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="report">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


# What it says


def test_the_plan_with_its_reasons() -> None:
    page = Page(render_page(REPORT, "2026-01-02"))
    assert "TF_USE_LEGACY_KERAS=1" in page.text
    assert "unset ITEX_DISABLE_XLA" in page.text
    assert "done write TF_USE_LEGACY_KERAS=1 for on" in page.text
    assert "Rule: The switch is spelt so that it is ignored. Source: TensorFlow." in page.text
    assert "trial: ValueError: injected" in page.text
    assert "2026-01-02" in page.text
    assert page.open == []


def test_codes_lead_to_findings_of_the_page() -> None:
    page = Page(render_page(REPORT))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["#AX103"]  # of AX999 there is no finding
    assert "AX103" in [attributes.get("id") for _, attributes in page.tags]


def test_a_trial_is_told_and_drawn() -> None:
    page = render_page(REPORT)
    told = "XLA runs a step of transformer_block 2.3 times as fast as the graph: 25.3 ms instead of 58.7 ms"
    assert f"{told}; switched to XLA at step 158." in Page(page).text
    assert page.count("switched to XLA, step 158</text>") == 1
    for kind in ("band compile", "band race", "points graph", "points xla", "median xla"):
        assert f'class="{kind}"' in page
    assert "training step</text>" in page
    assert "ms a step</text>" in page


def test_what_cannot_be_seen_is_in_words_and_figures() -> None:
    page = Page(render_page(REPORT))
    drawings = [
        attributes for tag, attributes in page.tags if tag == "svg" and "aria-hidden" not in attributes
    ]
    assert {attributes["role"] for attributes in drawings} == {"img"}
    named = [tag for tag, _ in page.tags if tag in ("title", "desc")]
    assert len(named) == 2 * len(drawings) + 1
    times = sorted(float(str(ms)) for _, path, ms in samples() if path == "graph")
    cells = [str(len(times)), f"{times[0]:g}", f"{median(times):g}", "79", "79"]
    row = '<th scope="row">graph</th>' + "".join(f'<td class="number">{cell}</td>' for cell in cells)
    assert row in render_page(REPORT)


def test_the_other_path_kept() -> None:
    entry = {
        **TRIAL,
        "xla_ms": 334.0,
        "ratio": 5.69,
        "interval": None,
        "outcome": "graph kept",
        "winner": "graph",
    }
    del entry["switched_at"]
    page = render_page({**REPORT, "trials": [entry]})
    assert "The graph runs a step of transformer_block 5.7 times as fast as XLA" in page
    assert "graph kept, step 158</text>" in page
    assert "ms a step, logarithmic</text>" in page


def test_what_the_noise_hides_is_not_told_as_faster() -> None:
    entry = {**TRIAL, "graph_ms": 1.26, "xla_ms": 1.16, "ratio": 0.98, "interval": [0.76, 2.36]}
    page = render_page({"trials": [{**entry, "outcome": "graph kept", "switched_at": None}]})
    told = (
        "Neither is faster by more than the noise for a step of transformer_block: graph 1.26 ms, XLA 1.16 ms"
    )
    assert f"{told}; graph kept." in page


def test_a_long_run_behind_the_trial_takes_no_room_from_it() -> None:
    later: list[object] = [[158 + 50 * turn, "xla", 25.0] for turn in range(1, 60)]
    page = render_page({"trials": [{**TRIAL, "samples": [*samples(), *later]}]})
    assert "training step, logarithmic</text>" in page
    band = re.search(r'width="(\d+\.\d)" height="[\d.]+" class="band compile"', page)
    assert band is not None
    assert float(band.group(1)) > 150


def test_a_trial_that_never_ran_is_told() -> None:
    entry = {"model": "lstm", "outcome": "XLA has no code for PyFunc", "samples": []}
    assert "lstm: XLA has no code for PyFunc." in Page(render_page({"trials": [entry]})).text


def test_the_report_is_in_it() -> None:
    assert embedded(render_page(REPORT)) == REPORT


# Nothing from outside, nothing that runs


def test_it_asks_for_nothing() -> None:
    text = render_page(REPORT)
    page = Page(text)
    assert page.names().isdisjoint({"link", "img", "iframe", "object", "embed", "base"})
    assert [attributes["type"] for tag, attributes in page.tags if tag == "script"] == ["application/json"]
    assert re.findall(r"https?:|//[a-z]|url\(|@import", text) == []


def test_hostile_values_stay_text() -> None:
    page = render_page(spoil(REPORT, HOSTILE))
    assert Page(page).names().isdisjoint({"img"})
    assert page.count("<script") == 1
    assert not re.search(r"[\x00\ud800-\udfff]", page)
    assert embedded(page)["program"] == HOSTILE


def spoil(value: Any, text: str) -> Any:
    """Return ``value`` with ``text`` in the place of each string in it."""
    if isinstance(value, dict):
        return {name: spoil(item, text) for name, item in value.items()}
    if isinstance(value, list):
        return [spoil(item, text) for item in value]
    return text if isinstance(value, str) else value


@given(st.text(st.characters(codec=None), max_size=30), st.sampled_from(sorted(REPORT)))
@settings(deadline=None)
def test_any_text_anywhere(text: str, part: str) -> None:
    page = render_page({**REPORT, part: spoil(REPORT[part], text), "program": text})
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.names() <= Page(render_page(REPORT)).names()
    assert page.encode("utf-8")
    assert embedded(page)["program"] == text


@given(st.sets(st.sampled_from(sorted(set(TRIAL) - {"model"}))), st.integers(0, len(list(samples()))))
@settings(deadline=None)
def test_a_trial_that_came_to_anything_gives_a_page(without: set[str], steps: int) -> None:
    entry = {name: value for name, value in TRIAL.items() if name not in without}
    if "samples" in entry:
        entry["samples"] = list(samples())[:steps]
    page = render_page({**REPORT, "trials": [entry]})
    assert Page(page).open == []
    assert "nan" not in "".join(re.findall(r' (?:x|y|x1|y1|cx|d|width)="([^"]*)"', page))


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(1e-6, 1e9)), min_size=1, max_size=60))
@settings(deadline=None)
def test_all_steps_lie_within_the_drawing(steps: list[tuple[int, float]]) -> None:
    rows = [[step, "graph", ms] for step, ms in sorted(steps)]
    page = render_page({"trials": [{"model": "m", "samples": rows}]})
    marks = re.findall(r'd="((?:M[\d.]+ [\d.]+h0)+)" class="points graph"/>', page)
    places = [tuple(map(float, mark)) for mark in re.findall(r"M([\d.]+) ([\d.]+)h0", marks[0])]
    assert len(places) == len(steps)
    assert all(50 <= x <= 876 and 50 <= y <= 348 for x, y in places)


@given(st.floats(1e-3, 1e6), st.floats(1.0, 1e4), st.integers(3, 9))
def test_ticks_are_few_and_within(low: float, factor: float, most: int) -> None:
    scale = scale_times([low, low * factor], 0.0, 100.0)
    ticks = scale.ticks(most)
    assert len(ticks) <= most + 2
    assert all(scale.low * 0.999 <= tick <= scale.high * 1.001 for tick in ticks)
    assert scale.logarithmic == (factor * low / low > 6)


def test_ticks_are_round() -> None:
    assert Scale(0.0, 104.0, 0.0, 1.0).ticks(6) == [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    assert Scale(8.0, 120.0, 0.0, 1.0, logarithmic=True).ticks(7) == [10.0, 20.0, 50.0, 100.0]


def test_each_race_is_a_stretch() -> None:
    again = [[400 + turn, ("graph", "xla")[turn % 2], 30.0] for turn in range(9)]
    rows = [*samples(), [200, "xla", 25.0], [250, "xla", 25.0], *again]
    assert Trial({**TRIAL, "samples": rows}).races == [(128, 158), (400, 408)]
    page = render_page({"trials": [{**TRIAL, "samples": rows}]})
    assert page.count('class="band race"') == 3  # two in the drawing, and one in the legend


def test_another_fit_counts_anew() -> None:
    trial = Trial({**TRIAL, "samples": [[9, "xla", 1.0], [50, "xla", 1.0], [3, "xla", 9.0]]})
    assert [step for step, _, _ in trial.samples] == [9, 50]


# Where it is written


def stand_in(folder: Path) -> None:
    """Make a module that is watched and costs nothing."""
    (folder / "tensorflow.py").write_text("", encoding="utf-8")


def test_a_process_writes_its_page(tmp_path: Path) -> None:
    stand_in(tmp_path)
    report = tmp_path / "page.html"
    outcome = run_code("import autoxla, tensorflow\n", tmp_path, AUTOXLA_REPORT=str(report))
    assert outcome.status == 0, outcome.err
    text = report.read_text(encoding="utf-8")
    data = embedded(text)
    assert data["program"] == "program.py"
    assert data["mode"] == "auto"
    assert Page(text).open == []
    assert [file.name for file in tmp_path.glob("*page*")] == ["page.html"]


def test_a_child_has_a_page_of_its_own(tmp_path: Path) -> None:
    stand_in(tmp_path)
    child = "subprocess.run([sys.executable, '-m', 'autoxla', '-c', 'import tensorflow'], check=True)"
    code = f"import autoxla, tensorflow, subprocess, sys\n{child}\n"
    outcome = run_code(code, tmp_path, AUTOXLA_REPORT=str(tmp_path / "page.html"))
    assert outcome.status == 0, outcome.err
    names = sorted(file.name for file in tmp_path.glob("page*"))
    assert re.fullmatch(r"page\.\d+\.html page\.html", " ".join(names))


def test_explain_writes_a_page(tmp_path: Path) -> None:
    outcome = explain_page(tmp_path)
    assert (outcome.status, outcome.out, outcome.err) == (0, "plan.html\n", "")
    text = (tmp_path / "plan.html").read_text(encoding="utf-8")
    assert embedded(text)["program"] == "train.py"
    assert 'href="#AX103"' in text


def explain_page(folder: Path) -> Outcome:
    (folder / "train.py").write_text("import tensorflow\n", encoding="utf-8")
    words = ["-m", "autoxla", "explain", "--html", "plan.html", "train.py"]
    return run(words, folder, clean_environment(TF_USE_LEGACY_KERAS="yes"))


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "plan.html").mkdir()
    outcome = explain_page(tmp_path)
    assert outcome.status == 2
    assert outcome.notices[0].startswith("autoxla: AX902 error plan.html: ")


WITHOUT_JINJA2 = "import sys; sys.modules['jinja2'] = None\n"
REMEDY = "a page needs jinja2: pip install 'autoxla-runtime[report]'"


def test_without_jinja2_a_process_writes_json_and_says_so_once(tmp_path: Path) -> None:
    stand_in(tmp_path)
    code = f"{WITHOUT_JINJA2}import autoxla, tensorflow\nprint('done')\n"
    outcome = run_code(code, tmp_path, AUTOXLA_REPORT="page.html")
    assert (outcome.status, outcome.out) == (0, "done\n")
    assert outcome.notices == [
        f"autoxla: AX902 warning report: {REMEDY}; until then it is JSON: page.html.json"
    ]
    assert json.loads((tmp_path / "page.html.json").read_text(encoding="utf-8"))["mode"] == "auto"
    assert [file.name for file in tmp_path.glob("*page*")] == ["page.html.json"]


def test_without_jinja2_explain_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import tensorflow\n", encoding="utf-8")
    code = f"{WITHOUT_JINJA2}from autoxla.commands import run\n"
    code += "sys.exit(run('explain', ['--html', 'plan.html', 'train.py']))"
    outcome = run_code(code, tmp_path)
    assert outcome.status == 2
    assert outcome.notices == [f"autoxla: AX902 error plan.html: {REMEDY}"]


def test_jinja2_is_loaded_for_a_page_only(tmp_path: Path) -> None:
    stand_in(tmp_path)
    code = "import autoxla, tensorflow, sys\nprint('jinja2' in sys.modules)\n"
    assert run_code(code, tmp_path, AUTOXLA_REPORT="run.json").out == "False\n"


def test_the_wheel_has_what_is_read_beside_the_modules(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    wheel = next(WheelBuilder(str(CHECKOUT)).build(directory=str(tmp_path)))
    names = zipfile.ZipFile(wheel).namelist()
    assert {"autoxla/report/page.html", "autoxla/commands/migration/names.txt"} <= set(names)


@pytest.mark.tensorflow
def test_the_page_of_a_run_with_a_trial(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import autoxla
import trial_parity as parity
parity.force()
parity.basic(parity.make())
"""
    outcome = run_code(code, tmp_path, AUTOXLA_REPORT=str(tmp_path / "run.html"))
    assert outcome.status == 0, outcome.err
    text = (tmp_path / "run.html").read_text(encoding="utf-8")
    (entry,) = embedded(text)["trials"]
    assert entry["outcome"] == "switched to xla"
    assert f"switched to XLA, step {entry['switched_at']}</text>" in text


# In a browser


def browse(page: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Open ``page`` in a browser that reaches nothing, without a window."""
    browser = next(name for name in BROWSERS if shutil.which(name))
    return subprocess.run(
        [browser, *QUIET, f"--user-data-dir={folder / 'profile'}", *words, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render_page(spoil_some(REPORT)), encoding="utf-8")
    return file


def spoil_some(report: dict[str, object]) -> dict[str, object]:
    return {**report, "program": HOSTILE, "errors": [HOSTILE], "findings": [{**FINDING, "message": HOSTILE}]}


def test_a_browser_shows_it_without_complaint(page: Path, tmp_path: Path) -> None:
    done = browse(page, tmp_path, "--dump-dom")
    shown = Page(done.stdout)
    assert shown.names() >= {"h1", "svg", "table", "article"}
    assert shown.names().isdisjoint({"img", "parsererror"})
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert embedded(done.stdout)["program"] == HOSTILE


def test_a_browser_would_complain(tmp_path: Path) -> None:
    """The one above sees what it looks for."""
    file = tmp_path / "bad.html"
    text = render_page(REPORT).replace("<header>", '<header><img src="http://example.invalid/x.png">')
    file.write_text(text, encoding="utf-8")
    lines = browse(file, tmp_path, "--dump-dom").stderr.splitlines()
    assert any("CONSOLE" in line and "Content Security Policy" in line for line in lines)


def test_a_browser_prints_it(page: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.pdf"
    browse(page, tmp_path, f"--print-to-pdf={target}")
    assert target.read_bytes().startswith(b"%PDF-")
    assert target.stat().st_size > 10_000


def test_a_dark_screen_gets_a_dark_page(page: Path, tmp_path: Path) -> None:
    pictures = [tmp_path / name for name in ("light.png", "dark.png")]
    browse(page, tmp_path, f"--screenshot={pictures[0]}")
    browse(page, tmp_path, f"--screenshot={pictures[1]}", "--blink-settings=preferredColorScheme=0")
    light, dark = (corner(picture) for picture in pictures)
    assert min(light) > 0xE0
    assert max(dark) < 0x30


def corner(picture: Path) -> tuple[int, int, int]:
    """Return red, green and blue of the upper left pixel of a PNG file."""
    import struct
    import zlib

    content, at, data, channels = picture.read_bytes(), 8, b"", 3
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + size]
        channels = {2: 3, 6: 4}[body[9]] if kind == b"IHDR" else channels
        data += body if kind == b"IDAT" else b""
        at += size + 12
    row = zlib.decompress(data)
    assert channels in (3, 4)
    # The first pixel of the first row is as it is, whatever filter the row has.
    return row[1], row[2], row[3]
