"""The programs into whose autoxla faults are put, and how they are started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parent
PROGRAMS = FOLDER / "programs"

#: What has autoxla loaded: the site hook, the launcher, or a line of the program.
Way = Literal["site", "launcher", "line"]


@dataclass(frozen=True)
class Scenario:
    """A program of `programs`, its arguments and variables, and the way in which autoxla comes.

    `stubs`: its TensorFlow and Keras are the stand-ins of `stubs`, so that a process takes little time.
    """

    name: str
    title: str
    program: str
    words: tuple[str, ...] = ()
    way: Way = "site"
    stubs: bool = True
    variables: Mapping[str, str] = field(default_factory=dict)


_FIX = {"AUTOXLA": "fix"}
_SCENARIOS = (
    Scenario("whole", "trains, saves, loads, starts a child", "stubbed.py", ("end",)),
    Scenario("error", "ends by an error that autoxla has a note for", "stubbed.py", ("error",)),
    Scenario("exit", "ends by sys.exit(3)", "stubbed.py", ("exit",)),
    Scenario("mended", "has a variable that autoxla corrects", "mended.py",
             variables={"TF_USE_LEGACY_KERAS": "yes"}),
    Scenario("launcher", "is started by the launcher", "stubbed.py", ("end",), "launcher"),
    Scenario("late", "imports autoxla behind TensorFlow", "late.py", way="line"),
    Scenario("threads", "imports both in four threads", "threaded.py"),
    Scenario("keras", "Keras 3 in mode fix", "real.py", ("end",), stubs=False, variables=_FIX),
    Scenario("keras, auto", "Keras 3 in mode auto", "real.py", ("end",), stubs=False),
    Scenario("keras, error", "Keras 3, ends by an error", "real.py", ("error",), stubs=False),
    Scenario("keras, exit", "Keras 3, ends by sys.exit(3)", "real.py", ("exit",), stubs=False),
    Scenario("keras, launcher", "Keras 3 under the launcher", "real.py", ("end",), "launcher", stubs=False),
    Scenario("tf_keras", "tf_keras", "real.py", ("end",), stubs=False,
             variables={"TF_USE_LEGACY_KERAS": "1"}),
)  # fmt: skip
#: All of them, by name.
SCENARIOS = {scenario.name: scenario for scenario in _SCENARIOS}
