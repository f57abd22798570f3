"""Find, build and call the person's components by name, with errors that point into their own files."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from repro.errors import ComponentError, ConfigError, ImportFailedError, ReproError

HARNESS_FOLDER = Path(__file__).resolve().parents[1]
PAPERS_FOLDER = HARNESS_FOLDER / "papers"
MESSAGE_LINES = 6  # of an exception that says much, as load_state_dict does of every key


def locate(path: str, key: str) -> Any:
    """The object that the dotted `path` names; `key` is the config key that asked for it.

    Raises `ConfigError` when there is no such module or name, `ComponentError` when the module itself fails to import.
    """
    module_name, _, attribute = path.rpartition(".")
    if not module_name:
        raise ConfigError(f"{key}: got {path!r}, need a dotted path such as my_paper.model.Model")
    try:
        with persons_errors(f"{key}: importing {module_name} failed"):
            module = importlib.import_module(module_name)
    except ComponentError as failure:
        cause = failure.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name and (module_name + ".").startswith(cause.name + "."):
            raise ConfigError(
                f"{key}: there is no module {cause.name!r} (from {path!r}).",
                "Looked in the current folder and the installed packages. Write the module, or correct the path.",
            ) from None
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            own = cause.name.partition(".")[0] == module_name.partition(".")[0]
            file = cause.name.replace(".", "/") + ".py"
            what = f"Write {file}" if own else f"Install the package that has {cause.name}"
            raise ImportFailedError(failure.message, f"{what}, or correct the name.") from cause
        raise ImportFailedError(failure.message, failure.hint) from cause
    if not hasattr(module, attribute):
        names = [name for name, value in vars(module).items() if not name.startswith("_") and callable(value)]
        near = difflib.get_close_matches(attribute, names, n=3)
        hint = f"Near: {', '.join(near)}." if near else f"It defines: {', '.join(sorted(names)) or 'nothing callable'}."
        raise ConfigError(f"{key}: {module.__file__} has no {attribute!r}.", hint)
    return getattr(module, attribute)


def build(node: Mapping[str, Any], key: str, *positional: Any, **given: Any) -> Any:
    """Call the `_target_` of a config node with its other keys as keyword arguments.

    `given` adds arguments that the config does not name (such as `seed`), each only if the target accepts it.
    """
    target_path = node.get("_target_")
    if not isinstance(target_path, str):
        raise ConfigError(f"{key}._target_: got {target_path!r}, need a dotted path such as my_paper.{key}.Name")
    target = locate(target_path, f"{key}._target_")
    arguments = {k: v for k, v in node.items() if not k.startswith("_")}
    accepted = parameters_of(target)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    for name, value in given.items():
        if name not in arguments and (name in accepted or takes_any):
            arguments[name] = value
    check_arguments(target, positional, arguments, key)
    with persons_errors(f"{key}: {target_path} raised while it was built"):
        return target(*positional, **arguments)


def check_arguments(target: Any, positional: tuple[Any, ...], arguments: Mapping[str, Any], key: str) -> None:
    """Raise `ConfigError` naming each argument that the target does not take or misses."""
    accepted = parameters_of(target)
    called = getattr(target, "__name__", type(target).__name__)  # an object that is called has no name of its own
    if any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        return
    faults = []
    for name in arguments:
        if name not in accepted:
            near = difflib.get_close_matches(name, accepted, n=1)
            faults.append(f"{key}.{name}: {called} takes no such argument" + (f"; near: {near[0]}" if near else ""))
    names = list(accepted.values())
    for parameter in names[len(positional) :]:
        needed = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if needed and parameter.name not in arguments:
            faults.append(f"{key}.{parameter.name}: missing; {called} needs it")
    if faults:
        raise ConfigError("\n".join(faults), f"{called} is defined at {location_of(target)}.")


def parameters_of(target: Any) -> dict[str, inspect.Parameter]:
    """The parameters that calling `target` takes by name: of a module, such as a loss that is one, those of forward."""
    if not inspect.isclass(target) and callable(getattr(target, "forward", None)):
        target = target.forward
    try:
        return dict(inspect.signature(target).parameters)
    except (TypeError, ValueError):  # builtins without a signature
        return {"arguments": inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD)}


def takes_model(data: Any) -> bool:
    """Whether `data.batches` asks for the model: data that come from acting, so that two passes are two experiences."""
    return "model" in parameters_of(data.batches)


def call_by_name(function: Callable[..., Any], tensors: Mapping[str, Any], what: str) -> Any:
    """Call `function` with those of `tensors` that its parameters name. Raises `ComponentError` if one is missing."""
    parameters = inspect.signature(getattr(function, "forward", function)).parameters
    arguments: dict[str, Any] = {}
    missing: list[str] = []
    for name, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in tensors:
            arguments[name] = tensors[name]
        elif parameter.default is parameter.empty:
            missing.append(name)
    if missing:
        raise ComponentError(
            f"{what} at {location_of(function)} takes {', '.join(missing)}, "
            f"but the tensors at hand are {', '.join(tensors)}.",
            "Declare the tensor under `tensors:` and give it in the batch, or rename the parameter.",
        )
    with persons_errors(f"{what} raised"):
        return function(**arguments)


@contextmanager
def persons_errors(what: str) -> Iterator[None]:
    """Turn an exception of the person's code into a `ComponentError` that shows their own traceback, shortened.

    Code that changes the current folder raises too: the files of a run and its tables lie relative to it.
    """
    here = os.getcwd()
    try:
        yield
        if (now := os.getcwd()) != here:
            raise ComponentError(
                f"{what}:\n  the code changed the current folder to {now} (os.chdir).",
                "Open files by Path(__file__).parent instead: those of a run lie relative to the current folder.",
            )
    except ReproError:
        raise
    except (Exception, SystemExit) as cause:  # an exit code of the person must not pass for a verdict
        raise ComponentError(f"{what}:\n{short_traceback(cause)}") from cause
    finally:
        if os.getcwd() != here:
            os.chdir(here)


def short_traceback(error: BaseException, frames: int = 4) -> str:
    """The last frames of a traceback that lie in the person's files, and the error itself."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if is_persons_file(frame.filename)]
    lines = [
        f"  {relative(frame.filename)}:{frame.lineno} in {frame.name}\n    {frame.line}" for frame in own[-frames:]
    ]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(f"  {relative(error.filename)}:{error.lineno}\n    {(error.text or '').strip()}")
    return "\n".join([*lines, *(f"  {line}" for line in message_of(error))])


def message_of(error: BaseException) -> list[str]:
    """The lines of `RuntimeError: …`, the first `MESSAGE_LINES` of many; of a syntax error only what is wrong."""
    lines = "".join(traceback.format_exception_only(error)).strip().splitlines()
    if isinstance(error, SyntaxError):
        return lines[-1:]
    more = len(lines) - MESSAGE_LINES
    return [*lines[:MESSAGE_LINES], f"… {more} more lines"] if more > 1 else lines


def unfinished_in(error: BaseException | None) -> tuple[str, str] | None:
    """(location, what to write) if the person's own `raise NotImplementedError` is what stopped; None for any other.

    PyTorch raises the same error for kernels that a device lacks, which is no unwritten step.
    """
    while error is not None:
        if isinstance(error, NotImplementedError):
            frames = traceback.extract_tb(error.__traceback__)
            if frames and is_persons_file(frames[-1].filename):
                last = frames[-1]
                return f"{relative(last.filename)}:{last.lineno} in {last.name}", str(error)
        error = error.__cause__ or error.__context__
    return None


def is_persons_file(filename: str) -> bool:
    """Paper code, built in or the person's own: neither the harness, nor an installed package, nor Python itself."""
    path = Path(filename)
    if PAPERS_FOLDER in path.parents:
        return True
    if HARNESS_FOLDER in path.parents or filename.startswith("<"):
        return False
    return "site-packages" not in path.parts and not str(path).startswith(sys.base_prefix)


def location_of(target: Any) -> str:
    """ "file.py:88 in Class.forward" for a function, class, module instance or callable; "" when it has no source."""
    function = inspect.unwrap(target) if callable(target) else target
    if inspect.isclass(function):
        function = getattr(function, "forward", None) or function
    elif not (inspect.isfunction(function) or inspect.ismethod(function)):
        kind = type(function)
        function = getattr(kind, "forward", None) or getattr(kind, "__call__", None) or kind  # noqa: B004
    try:
        filename = inspect.getsourcefile(function)
        line = inspect.getsourcelines(function)[1]
    except (TypeError, OSError):
        return ""
    return f"{relative(filename or '')}:{line} in {getattr(function, '__qualname__', '')}"


def location_in_traceback(trace: TracebackType | None) -> str:
    """Where the person's code was last entered in a traceback."""
    own = [frame for frame in traceback.extract_tb(trace) if is_persons_file(frame.filename)]
    return f"{relative(own[-1].filename)}:{own[-1].lineno} in {own[-1].name}" if own else ""


def relative(filename: str) -> str:
    """The path as seen from the current folder where it lies below it, else as it is."""
    path = Path(filename)
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
