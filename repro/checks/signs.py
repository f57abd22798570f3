"""Where the person's source seems to compute a piece that is not declared: to ask for it there, not to judge it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from repro.configuration.locate import shown
from repro.contract.bench import Bench

#: What must all stand in one function, and after `not` what must not, for it to look like a piece.
SIGNS: dict[str, tuple[tuple[str, ...], str]] = {
    "returns": ((r"gamma|discount", r"reversed|\[::-1\]|range\(.*-1"), r"\blam|value"),
    "gae": ((r"gamma|discount", r"\blam|\btau\b", r"reversed|\[::-1\]|range\(.*-1"), r"^$"),
    "td_target": ((r"gamma|discount", r"done|terminat|terminal", r"\bnext_|\bnxt"), r"\blam|for "),
    "ppo_surrogate": ((r"ratio", r"clamp|clip", r"adv"), r"^$"),
    "policy_gradient_loss": ((r"log_prob|log_p\b", r"adv|returns", r"entropy"), r"ratio|clip|old_|surrogate"),
    "normalise_advantages": ((r"\.std\(", r"\.mean\(", r"adv"), r"^$"),
    "collect": ((r"\.step\(\s*a", r"reward", r"append|\[t\]|\[step\]|\.store|\.add\("), r"^$"),
    "q_sample": ((r"alphas?_?bars?|alphas?_cumprod|cumprod", r"noise|eps", r"sqrt|\*\* ?0\.5"), r"for |randn?\("),
    "reparameterise": ((r"randn_like|\.randn\(", r"log_?var|log_?std|logvar"), r"for "),
    "gaussian_kl": ((r"log_?var\w*", r"exp\(", r"pow\(2\)|\*\* ?2|square"), r"randn|rsample"),
    "bernoulli_log_likelihood": ((r"binary_cross_entropy",), r"discriminator|critic|fake"),
    "importance_weighted_bound": ((r"logsumexp", r"log\("), r"^$"),
    "exponential_moving_average": ((r"ema|average|target", r"mul_\(|lerp_?\(", r"decay|tau|momentum"), r"^$"),
    "nt_xent": ((r"temperature|\btau\b", r"normalize\(", r"fill_diagonal|\beye\(|2 \* \w+"), r"^$"),
    "info_nce": ((r"temperature|logit_scale|\btau\b", r"arange", r"cross_entropy"), r"fill_diagonal|\beye\("),
}


def seen_in(bench: Bench, piece: str) -> str:
    """ "dqn/loss.py:15 in TDLoss.__call__" where a function of the paper looks like the piece; "" if none does."""
    from repro.phases.fingerprints import source_files

    if piece not in SIGNS:
        return ""
    wanted, unwanted = SIGNS[piece]
    for target in bench.paper.targets().values():
        for file in sorted(source_files(target)):
            for line, name, text in functions(file):
                if all(re.search(sign, text, re.IGNORECASE) for sign in wanted) and not re.search(unwanted, text):
                    return f"{shown(file)}:{line} in {name}"
    return ""


@lru_cache(maxsize=256)
def functions(file: Path) -> list[tuple[int, str, str]]:
    """(line, name with its class, source without docstring and comments) of each function of a file."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return []
    return list(walk(tree, ""))


def walk(node: ast.AST, above: str) -> Iterator[tuple[int, str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            yield from walk(child, f"{above}{child.name}.")
        if isinstance(child, ast.FunctionDef):
            yield child.lineno, f"{above}{child.name}", ast.unparse(child)
