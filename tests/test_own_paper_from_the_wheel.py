"""From a wheel, in an empty folder: the first steps of a paper of one's own, and the message of a broken one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests import wheel
from tests.own_paper import DATA, MODEL


@pytest.mark.slow
def test_new_run_and_session_from_the_wheel(tmp_path: Path) -> None:
    site, empty = wheel.unpacked(tmp_path / "wheel"), tmp_path / "empty"
    empty.mkdir()
    repro = partial(wheel.repro, site, empty)

    assert repro("new", "mine", "--yes", "--title", "Mine")[0] == 0
    (empty / "config.yaml").write_text("not: [ours")
    code, said = repro("run", "paper=mine", "tracking.wandb=disabled")
    assert code == 4 and "conf/paper/mine.yaml line" in said and "paper.core_algorithm" in said
    (empty / "mine/data.py").write_text(DATA)
    (empty / "mine/model.py").write_text(MODEL)
    code, said = repro("check", "paper=mine", "phases=[data,model,loss]", "tracking.wandb=disabled")
    assert code == 4 and " ✓ data " in said and " ✓ model " in said and "mine/loss.py:10 in loss: " in said
    code, said = repro("session", "paper=mine", "step=loss")
    assert code == 0 and "## Common bugs at this stage" in said
    (empty / "mine/model.py").write_text(MODEL.replace("return self", "return slef"))
    code, said = repro("check", "paper=mine", "phases=[data,model,loss]", "tracking.wandb=disabled")
    assert code == 1 and "mine/model.py:10 in " in said and "slef" in said
    code, said = repro("status", "paper=mine")
    assert code == 0 and "done 0 of 4" in said
