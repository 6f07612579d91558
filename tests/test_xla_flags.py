"""Names of flags against the installed TensorFlow: what is read of its libraries, and what is said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.model import Evidence, FlagNames, Hardware, Place, Reading, Settings, Situation, Tuned, Usage
from autoxla.policies import decide
from autoxla.situation.xla_flags import find_libraries, judge_flags, propose
from installations import Site, build_library
from programs import clean_environment, run

TF_NAMES = ("tf_xla_min_cluster_size", "tf_xla_auto_jit", "tf_xla_max_cluster_size")
XLA_NAMES = ("xla_dump_to", "xla_gpu_cuda_data_dir", "xla_backend_optimization_level")
FRAMEWORK, ALL = "libtensorflow_framework.so.2", "libtensorflow_cc.so.2"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.install("tensorflow", "2.16.1", owns="tensorflow")
    return site


def build(site: Site, *names: str, library: str = FRAMEWORK) -> Path:
    """Build a library of the TensorFlow in ``site`` that has these names among its constants."""
    listed = ", ".join(f'"{name}"' for name in names)
    return build_library(site.folder / "tensorflow" / library, f"const char *const names[] = {{{listed}}};")


def judge(site: Site, **variables: str) -> dict[str, FlagNames]:
    return judge_flags(variables, [str(site.folder)])


def test_a_name_that_the_build_has_not(site: Site) -> None:
    build(site, *TF_NAMES)
    assert judge(site, TF_XLA_FLAGS="--tf_xla_auto_jit=2 --tf_xla_autojit=2") == {
        "TF_XLA_FLAGS": FlagNames(("tf_xla_auto_jit",), {"tf_xla_autojit": "tf_xla_auto_jit"})
    }
    assert judge(site, TF_XLA_FLAGS="--tf_xla_auto_jit=2")["TF_XLA_FLAGS"].unknown == {}


def test_a_part_of_a_name_is_no_name(site: Site) -> None:
    build(site, *TF_NAMES, *XLA_NAMES, "xla.DebugOptions.xla_gpu_one", "xla_gpu_two_more")
    flags = judge(site, XLA_FLAGS="--xla_gpu_one=1 --xla_gpu_two=1 --xla_auto_jit=1")["XLA_FLAGS"]
    assert set(flags.unknown) == {"xla_gpu_one", "xla_gpu_two", "xla_auto_jit"}


def test_nothing_is_unknown_where_the_names_are_kept_in_another_way(site: Site) -> None:
    build(site, *TF_NAMES[:2], *XLA_NAMES[1:])
    flags = judge(site, TF_XLA_FLAGS="--tf_xla_autojit=2", XLA_FLAGS="--xla_dump_tto=/x")
    assert {name: (each.unknown, each.unchecked) for name, each in flags.items()} == {
        "TF_XLA_FLAGS": ({}, ("tf_xla_autojit",)),
        "XLA_FLAGS": ({}, ("xla_dump_tto",)),
    }


def test_the_library_that_has_the_flags_of_a_variable_is_asked(site: Site) -> None:
    build(site, *XLA_NAMES, library=FRAMEWORK)
    build(site, *TF_NAMES, "xla_of_no_use", library=ALL)
    flags = judge(site, TF_XLA_FLAGS="--tf_xla_auto_jit=1 --tf_x=1", XLA_FLAGS="--xla_dump_to=x --xla_y=1")
    assert flags == {
        "TF_XLA_FLAGS": FlagNames(("tf_xla_auto_jit",), {"tf_x": ""}),
        "XLA_FLAGS": FlagNames(("xla_dump_to",), {"xla_y": ""}),
    }


def test_a_flag_of_the_other_variable(site: Site) -> None:
    build(site, *TF_NAMES, *XLA_NAMES)
    assert judge(site, TF_XLA_FLAGS="--xla_dump_to=/x")["TF_XLA_FLAGS"].misplaced == ("xla_dump_to",)
    assert judge(site, XLA_FLAGS="--tf_xla_auto_jit=1")["XLA_FLAGS"].misplaced == ("tf_xla_auto_jit",)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 80, b"text"])
def test_a_library_that_is_none(site: Site, content: bytes) -> None:
    (site.folder / "tensorflow" / FRAMEWORK).write_bytes(content)
    assert judge(site, XLA_FLAGS="--xla_dump_to=x")["XLA_FLAGS"].unchecked == ("xla_dump_to",)


@given(data=st.data())
def test_a_damaged_library_is_searched_or_not(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "damaged"
    if not root.exists():
        made = Site(root)
        made.install("tensorflow", "2.16.1", owns="tensorflow")
        build(made, *TF_NAMES).rename(root / "sound")
    folder = root / "env/lib/python3/site-packages"
    content = bytearray((root / "sound").read_bytes())
    changes = st.tuples(st.integers(0, len(content) - 1) | st.integers(0, 80), st.integers(0, 255))
    for at, value in data.draw(st.lists(changes, max_size=20)):
        content[at] = value
    (folder / "tensorflow" / FRAMEWORK).write_bytes(content[: data.draw(st.integers(0, len(content)))])
    flags = judge_flags({"TF_XLA_FLAGS": "--tf_xla_auto_jit=1"}, [str(folder)])
    assert set(flags) == {"TF_XLA_FLAGS"}


def test_nothing_is_read_where_neither_is_set(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoxla.situation.xla_flags.find_libraries", lambda _: pytest.fail("read"))
    assert judge(site, XLA_FLAGS="", TF_CPP_MIN_LOG_LEVEL="1") == {}


# --- proposals

POLARITY = ("enable", "disable")
WORDS = st.sampled_from(
    ["fusion", "triton", "softmax", "gpu", "cpu", "autotune", "passes", "latency", "async"]
)
STEMS = st.lists(WORDS, min_size=1, max_size=4).map("_".join)


@st.composite
def slips(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """Return a name with a slip, its turning word, and names that a build knows, the opposite among them."""
    stem, head = draw(STEMS), draw(st.sampled_from(["xla", "xla_gpu", "tf_xla"]))
    word, other = draw(st.permutations(POLARITY))
    meant = f"{head}_{word}_{stem}"
    text = list(meant)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(text) - 1))
        kind = draw(st.sampled_from(["drop", "double", "swap", "other"]))
        if kind == "drop":
            del text[at]
        elif kind == "double":
            text.insert(at, text[at])
        elif kind == "other":
            text[at] = draw(st.sampled_from("abdeilns_"))
        elif at:
            text[at - 1], text[at] = text[at], text[at - 1]
    known = [f"{head}_{other}_{stem}", f"{head}_{stem}", *([meant] if draw(st.booleans()) else [])]
    return "".join(text), word, [*known, f"{head}_no_{stem}"]


@given(slips())
def test_a_proposal_never_turns_the_meaning_around(case: tuple[str, str, list[str]]) -> None:
    slip, word, known = case
    (other,) = set(POLARITY) - {word}
    proposed = propose(slip, known)
    assert other not in proposed
    assert "_no_" not in proposed or "_no_" in slip
    # Nor is the word dropped that was spelt right.
    assert not proposed or word not in slip or word in proposed


def test_a_slip_is_found() -> None:
    known = ["xla_gpu_enable_triton_gemm", "xla_gpu_disable_triton_gemm", "xla_dump_to"]
    assert propose("xla_gpu_enable_triton_gem", known) == "xla_gpu_enable_triton_gemm"
    assert propose("xla_gpu_disable_triton_gem", known) == "xla_gpu_disable_triton_gemm"
    assert propose("xla_gpu_enable_triton_gem", known[1:]) == ""


# --- the rules

UNKNOWN = {"XLA_FLAGS": FlagNames(unknown={"xla_gpu_x": ""})}
IMPORT = Reading((Evidence("import", "tensorflow", None, "certain", Place("a.py", 1)),), known=True)


def levels(**facts: object) -> dict[str, str]:
    known = {"flag_names": UNKNOWN, **facts}
    return {finding.code: finding.level for finding in decide(Situation(**known)).findings}  # type: ignore[arg-type]


def test_an_unknown_flag_of_xla_is_an_error_where_xla_is_used() -> None:
    assert levels() == {"AX851": "warning"}
    assert levels(usage=Usage(jit_compile=True))["AX851"] == "error"
    assert levels(usage=Usage(enables_xla=True))["AX851"] == "error"
    assert levels(hardware=Hardware("present"))["AX851"] == "error"
    assert (
        levels(environment={"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}, hardware=Hardware("none"))["AX851"]
        == "error"
    )
    jax = {"KERAS_BACKEND": "jax"}
    assert (
        levels(environment=jax, backends=frozenset({"jax"}), usage=Usage(jit_compile=True))["AX851"]
        == "warning"
    )


def test_an_unknown_flag_of_tensorflow_is_an_error_wherever_tensorflow_runs() -> None:
    unknown = {"TF_XLA_FLAGS": UNKNOWN["XLA_FLAGS"]}
    jax = {"environment": {"KERAS_BACKEND": "jax"}, "backends": frozenset({"jax"})}
    assert levels(flag_names=unknown)["AX851"] == "error"
    assert levels(flag_names=unknown, **jax)["AX851"] == "warning"
    assert levels(flag_names=unknown, reading=IMPORT, **jax)["AX851"] == "error"


def test_what_the_findings_say() -> None:
    names = {
        "XLA_FLAGS": FlagNames(unknown={"xla_dump_tto": "xla_dump_to"}, misplaced=("tf_xla_auto_jit",)),
        "TF_XLA_FLAGS": FlagNames(unchecked=("tf_xla_new",)),
    }
    told = {f.code: (f.message, f.remedy) for f in decide(Situation(flag_names=names)).findings}
    assert set(told) == {"AX851", "AX852", "AX853"}
    assert "--xla_dump_tto" in told["AX851"][0]
    assert told["AX851"][1] == "write --xla_dump_to"
    assert told["AX853"][1] == "move --tf_xla_auto_jit to TF_XLA_FLAGS"
    assert "--tf_xla_new" in told["AX852"][0]


@pytest.mark.parametrize(
    ("facts", "because"),
    [
        ({"flag_names": UNKNOWN}, "--xla_gpu_x of XLA_FLAGS"),
        ({"flag_names": {"TF_XLA_FLAGS": FlagNames(unchecked=("tf_y",))}}, "--tf_y of TF_XLA_FLAGS"),
        ({"flag_names": {"TF_XLA_FLAGS": FlagNames(misplaced=("xla_z",))}}, "--xla_z of TF_XLA_FLAGS"),
        ({"flag_names": {"XLA_FLAGS": FlagNames(known=("xla_dump_to",))}}, ""),
        ({}, ""),
    ],
)
@pytest.mark.parametrize("mode", ["observe", "fix", "auto"])
def test_a_plan_says_why_xla_must_not_start(mode: str, facts: dict[str, object], because: str) -> None:
    settings = Settings(mode=mode)  # type: ignore[arg-type]
    plan = decide(Situation(settings=settings, **facts))  # type: ignore[arg-type]
    assert because in plan.no_xla_because
    assert bool(plan.no_xla_because) is bool(because)


def test_autoxla_does_not_start_xla_in_a_process_that_it_would_end() -> None:
    tuned = Situation(tuned=Tuned("xla", "xla", {}, 1.5))
    asked = Situation(settings=Settings(step="xla"))
    clustered = Situation(settings=Settings(step="autocluster-1"), hardware=Hardware("none"))
    for situation in (tuned, asked, clustered):
        free, barred = decide(situation), decide(replace(situation, flag_names=UNKNOWN))
        assert free.jit_compile or free.settings
        assert (barred.jit_compile, barred.settings) == (None, ())


# --- the installed TensorFlow

PROGRAM = """\
import tensorflow as tf
@tf.function(jit_compile=True)
def f(x):
    return x + 1
f(tf.constant(1))
"""


def list_names_of_the_real_one(variable: str, folder: Path) -> list[str]:
    """Return the names that TensorFlow itself prints, of which its log leaves out the end."""
    (folder / "help.py").write_text(PROGRAM)
    done = run(["help.py"], folder, clean_environment(**{variable: "--help"}))
    return re.findall(r"^\t--([a-z0-9_]+)=", done.err, re.MULTILINE)


@pytest.mark.tensorflow
@pytest.mark.parametrize("variable", ["TF_XLA_FLAGS", "XLA_FLAGS"])
def test_all_that_tensorflow_lists_is_found(variable: str, tmp_path: Path) -> None:
    import sys

    names = list_names_of_the_real_one(variable, tmp_path)
    assert len(names) > 30
    flags = judge_flags({variable: " ".join(f"--{name}=1" for name in names)}, sys.path)
    assert (set(flags[variable].known), flags[variable].unknown) == (set(names), {})
    assert find_libraries(sys.path)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"TF_XLA_FLAGS": "--tf_xla_cpu_global_jit --tf_xla_auto_jit=1"}, ""),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_gpu_cuda_data_dir=/x"}, ""),
        ({"TF_XLA_FLAGS": "--tf_xla_autojit=1"}, "AX851"),
        ({"XLA_FLAGS": "--xla_gpu_cuda_datadir=/x"}, "AX851"),
        ({"XLA_FLAGS": "--tf_xla_auto_jit=1"}, "AX853"),
    ],
)
def test_what_tensorflow_ends_at_is_an_error(tmp_path: Path, given: dict[str, str], code: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = clean_environment(**given, HOME=str(tmp_path))
    told = run(["-m", "autoxla", "check", "program.py"], tmp_path, environment)
    assert re.findall(r"(AX85\d) error", told.out) == ([code] if code else [])
    ended = run(["program.py"], tmp_path, environment)
    assert (ended.status != 0) is bool(code)


@pytest.mark.tensorflow
def test_flags_that_the_program_sets(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        'import os\nos.environ["XLA_FLAGS"] = "--xla_not_there=1"\nimport keras\n'
    )
    told = run(["-m", "autoxla", "check", "program.py"], tmp_path, clean_environment(HOME=str(tmp_path)))
    assert "program.py:2" in told.out
    assert "AX851 warning" in told.out
