"""The training loop: calls the paper's `update` as often as asked, logs, evaluates, checkpoints, and resumes.

A process that is killed at any moment and started again leaves the trajectory and the final metrics that it would have
left undisturbed, bit for bit, on the same number of threads and kind of processor. What makes it so: every random state
is in the checkpoint, evaluations leave the random stream as it was, rows beyond the checkpoint are superseded, and an
evaluation that a kill took is made up for from the checkpoint.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import torch

from repro.contract.components import locate, parameters_of, persons_errors
from repro.contract.paper import Paper
from repro.errors import ComponentError, DivergedError, RunFolderError
from repro.tracking.store import ProcessStore
from repro.training import checkpoint, randomness
from repro.training.devices import Batch, move, shard, training_stream, weight
from repro.training.divergence import FiniteWatch, diverged, number
from repro.training.fabric import Backend
from repro.training.interruption import Interrupted, SignalWatch, StopInside
from repro.training.process import ProcessSpec, Result

#: progress(update, updates, values, seconds left): called where a row is logged; True asks to prune the process there.
Progress = Callable[[int, int, Mapping[str, float], float], bool | None]
#: report(update, value of the spec's objective) → whether to prune the process here.
Report = Callable[[int, float], bool]

#: The longest stretch of updates without a look at the loss, in updates.
LONGEST_STRETCH = 200


class Loop:
    """One life of one process of training in one of the operating system's processes; `run` is all there is to call."""

    def __init__(
        self,
        spec: ProcessSpec,
        paper: Paper,
        store: ProcessStore,
        backend: Backend,
        signals: SignalWatch,
        progress: Progress | None = None,
        report: Report | None = None,
    ) -> None:
        self.spec = spec
        self.paper = paper
        self.store = store
        self.backend = backend
        self.signals = signals
        self.progress = progress
        self.report = report
        self.update = 0
        self.seconds_before = 0.0
        self.resumed_from: int | None = None
        self.saved: int | None = None  # the update of the newest checkpoint
        self.notes: list[str] = []
        self.watch = FiniteWatch()
        self.objective = tuple((spec.objective or "/").split("/", 1))
        self.main = backend.rank == 0  # the only one that writes

    # --- one life

    def run(self) -> Result:
        self.began = time.perf_counter()
        if self.main:
            self.notes = list(self.store.begin(self._record()).get("notes", ()))
        try:
            self._build()
            self._resume()
            status = self._train()
            metrics = self._finish() if status == "finished" else {}
        except StopInside:
            self._interrupted()
        except DivergedError as error:
            self._end("diverged", error=error.message)
            raise
        except Interrupted:
            raise
        except Exception as error:
            # recorded for `status` and the report, then handed on as it is; on a full disk that fails as well
            with contextlib.suppress(RunFolderError):
                self._end("failed", error=str(error))
            raise
        self._end(status)
        if self.main and not self._saves:
            (self.store.folder / checkpoint.NEWEST).unlink(missing_ok=True)  # of an interruption, now past
        return Result(
            process=self.spec.process,
            kind=self.spec.kind,
            seed=self.spec.seed,
            status=status,
            update=self.update,
            metrics=metrics,
            seconds=self._seconds(),
            folder=self.store.folder,
            resumed_from=self.resumed_from,
            notes=tuple(self.notes),
        )

    def _record(self) -> dict[str, Any]:
        device = self.backend.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        return self.spec.record() | {"threads": torch.get_num_threads(), "device": name}

    def _seconds(self) -> float:
        """Since the process first began, its pauses left out."""
        return self.seconds_before + time.perf_counter() - self.began

    def _end(self, status: str, error: str = "") -> None:
        if self.main:
            self.store.end(status, error=error, update=self.update, seconds=round(self._seconds(), 3), notes=self.notes)

    # --- components

    def _build(self) -> None:
        seed = self.spec.seed
        randomness.seed_everything(seed)
        self.data = self.paper.build_data(seed)
        built = self.paper.build_model(seed)
        self.modules: dict[str, torch.nn.Module] = {"model": built} if isinstance(built, torch.nn.Module) else built
        for module in self.modules.values():
            module.to(self.backend.device)
        self.model = built  # unwrapped: what evaluation gets
        wrapped = self.backend.model(built)
        loss = self.paper.build_loss()
        for part in loss.values() if isinstance(loss, dict) else [loss]:
            if isinstance(part, torch.nn.Module):
                part.to(self.backend.device)
        self.training = self.paper.build_training(wrapped, loss, self.backend.backward())
        self.backend.training(self.training)
        for owner, what in ((self.training, "training"), (self.data, "data")):
            for method in ("state_dict", "load_state_dict"):
                if not callable(getattr(owner, method, None)):
                    raise ComponentError(
                        f"{what}: {type(owner).__name__} has no {method}, so that training could not be resumed.",
                        "Write state_dict() and load_state_dict(state) that carry all that changes while training.",
                    )
        # from here on the random stream does not depend on how many numbers initialisation drew:
        # an ablation's run sees the same noise as the run it is paired with
        randomness.seed_everything(randomness.derive(seed, "training"))
        evaluation = self.paper.settings.get("evaluation") or {}
        self.evaluation_names: set[str] = set()
        if evaluation:
            self.evaluation_names = set(parameters_of(self.paper.evaluation()[0]))

    def _stream(self) -> Iterator[Batch]:
        """Endless batches on the device; of each, this process's part."""
        device, rank, world = self.backend.device, self.backend.rank, self.backend.world
        for batch in training_stream(self.data, self.model):
            if world > 1:
                whole, batch = batch, shard(batch, self.paper.tensors, rank, world)
                mean_over = self.paper.settings.get("loss_mean_over")
                if self.paper.loss_is_a_sum:  # the parts' mean times their number
                    self.backend.weight = float(world)
                else:
                    self.backend.weight = weight(whole, batch, self.paper.tensors, mean_over, world)
            yield move(batch, device) if device.type != "cpu" else batch

    # --- training

    def _train(self) -> str:
        """Updates until all are done ("finished") or the report says stop ("pruned")."""
        stream = self._stream()
        if self._evaluation_is_missing() and self._agreed(self._evaluate_and_report()):
            return "pruned"
        while self.update < self.spec.updates:
            values = self._stretch(stream, self._next_stop())
            if self._at_stop(values):
                return "pruned"
        return "finished"

    def _next_stop(self) -> int:
        """The next update after which there is something to do besides the next update."""
        periods = [
            self.spec.log_every,
            self.spec.evaluate_every,
            self.spec.checkpoint_every,
            self._keep_every,
        ]
        dues = [self.update - self.update % period + period for period in periods if period]
        return min(self.spec.updates, self.update + LONGEST_STRETCH, *dues)

    def _stretch(self, stream: Iterator[Batch], stop: int) -> Mapping[str, Any]:
        """The updates up to `stop`, or to the signal: the hot path, nothing but the person's code."""
        update, signals, note = self.update, self.signals, self.watch.note
        step = self.training.update if self.backend.world == 1 else self._own_noise(self.training.update)
        values: Any = None
        with persons_errors(f"{self.spec.process}: an update after {update} of {self.spec.updates} raised"):
            while update < stop:
                values = step(next(stream))
                update += 1
                self.update = update
                try:
                    note(update, values)
                except (AttributeError, TypeError):
                    raise self._not_scalars(values) from None
                # several processes must stop at the same update: they look at the stops only
                if signals.requested is not None and self.backend.world == 1:
                    break
        return values

    def _own_noise(self, step: Callable[[Batch], Any]) -> Callable[[Batch], Any]:
        """Gives each process its own dropout noise, while the stream that data draws from stays common to all."""

        def update(batch: Batch) -> Any:
            common = torch.get_rng_state()
            torch.manual_seed(randomness.derive(self.spec.seed, "update", self.update, self.backend.rank))
            try:
                return step(batch)
            finally:
                torch.set_rng_state(common)

        return update

    def _at_stop(self, values: Mapping[str, Any]) -> bool:
        """All that is due after the present update; True: prune here."""
        update, spec = self.update, self.spec
        last = update == spec.updates
        self._raise_if_diverged()
        if (update % spec.log_every == 0 or last) and self._agreed(self._log(values)):
            return True
        if self._keep_every and (update % self._keep_every == 0 or last) and self.main:
            self._keep()
        stop = self.backend.any(int(self.signals.requested or 0))
        periodic = self.spec.checkpoint_every is not None and update % self.spec.checkpoint_every == 0
        # before an evaluation too: it may be long, and may be stopped halfway with the person's state half changed
        if stop or (self._saves and (periodic or last or self._evaluation_due())):
            self._save()
        if stop:
            self._interrupted()
        return self._evaluation_due() and self._agreed(self._evaluate_and_report())

    def _agreed(self, prune: bool) -> bool:
        """What the first process decided, in all of them."""
        return bool(self.backend.any(int(prune)))

    def _raise_if_diverged(self) -> None:
        found = self.watch.first()
        if self.backend.any(int(found is not None)):
            if found is None:
                raise DivergedError(f"{self.spec.process}: the loss became not finite in another process.")
            self.update = found[0]
            raise diverged(self.spec.process, found[0], self.spec.updates, found[1])

    def _log(self, values: Mapping[str, Any]) -> bool:
        row = self.backend.mean(self._scalars(values))
        prune = False
        if self.main:
            self.store.append(self.update, "train", row, self._seconds())
            if self.progress is not None:
                prune = bool(self.progress(self.update, self.spec.updates, row, self._eta()))
        return self._report("train", row) or prune

    def _eta(self) -> float:
        """Seconds left, by the pace of this life, evaluations included."""
        done = self.update - (self.resumed_from or 0)
        return (time.perf_counter() - self.began) / max(1, done) * (self.spec.updates - self.update)

    def _report(self, split: str, row: Mapping[str, float]) -> bool:
        if self.report is None or not self.main or self.objective[0] != split:
            return False
        if self.objective[1] not in row:
            raise ComponentError(
                f"{self.spec.process}: the objective {self.spec.objective!r} is not among what was measured on"
                f" {split}: {', '.join(row)}."
            )
        return bool(self.report(self.update, row[self.objective[1]]))

    def _scalars(self, values: Mapping[str, Any]) -> dict[str, float]:
        row = {}
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                if value.numel() != 1:
                    raise self._not_scalars({name: value})
            elif not isinstance(value, int | float):
                raise self._not_scalars({name: value})
            row[name] = number(value)
        return row

    def _not_scalars(self, values: Any) -> ComponentError:
        if not isinstance(values, Mapping):
            got = f"a {type(values).__name__}"
        else:
            name, value = next(iter(values.items()))
            shape = f" of shape {list(value.shape)}" if isinstance(value, torch.Tensor) else ""
            got = f"{name!r}: a {type(value).__name__}{shape}"
        return ComponentError(
            f"training: update returned {got}, need a dict of scalars by name.",
            "Return for example {'total': total.detach(), 'learning_rate': rate}.",
        )

    # --- evaluation

    def _evaluation_due(self) -> bool:
        every = self.spec.evaluate_every
        return every is not None and self.update > 0 and (self.update % every == 0 or self.update == self.spec.updates)

    def _evaluation_is_missing(self) -> bool:
        """Whether the checkpoint was written while the evaluation of its update was cut short."""
        if not self._evaluation_due():
            return False
        there = self.main and any(
            row["update"] == self.update and row["split"] == self.spec.evaluation_split for row in self.store.rows
        )
        return not self.backend.any(int(there))

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Inside, a signal stops at once; random streams and modes of modules stay as they were."""
        modes = [(module, module.training) for top in self.modules.values() for module in top.modules()]
        with randomness.isolated():
            self.signals.immediate = self.backend.world == 1
            try:
                if self.signals.requested and self.signals.immediate:
                    raise StopInside
                yield
            finally:
                self.signals.immediate = False
        for module, mode in modes:
            module.training = mode

    def _evaluate_and_report(self) -> bool:
        row = self._evaluate(self.spec.evaluation_split)
        if self.main:
            self.store.append(self.update, self.spec.evaluation_split, row, self._seconds())
        return self._report(self.spec.evaluation_split, row)

    def _evaluate(self, split: str) -> dict[str, float]:
        """The paper's metrics of the unwrapped model on `split`; random streams and module modes stay as they were."""
        row: dict[str, float] = {}
        if self.main:
            extra = {
                "device": lambda: self.backend.device,
                "trajectory": lambda: self.store.rows,
                "checkpoints": self._kept_states,
            }
            arguments = {name: make() for name, make in extra.items() if name in self.evaluation_names}
            with self._undisturbed():
                metrics = self.paper.evaluate(self.model, self.data, split, **arguments)
            for name, value in metrics.items():
                if isinstance(value, bool) or not _is_number(value):
                    raise ComponentError(
                        f"evaluation: {name!r} is {value!r}, need a number.",
                        "Return a dict of metric values by name.",
                    )
                row[name] = number(value)
        self.backend.barrier()
        return row

    def _finish(self) -> dict[str, float]:
        """The final evaluation → metrics.json."""
        split = self.spec.final_split
        if split is None:
            return {}
        metrics = self._evaluate(split)
        if self.main:
            self.store.append(self.update, split, metrics, self._seconds())
            self.store.write_metrics(
                metrics,
                update=self.update,
                split=split,
                statistic=str(self._beside_evaluation("statistic", "last", split=split)),
                signatures=dict(self._beside_evaluation("signatures", {})),
            )
            if self.spec.pictures:
                self._draw()
        return metrics

    def _draw(self) -> None:
        """Keep what the paper's `pictures(model, data, …)` beside its evaluation returns; a fault there is noted only.

        It gets the settings of the evaluation that it names, and `device`.
        """
        from repro.tracking.pictures import PictureError, write_fault, write_pictures

        node = self.paper.settings["evaluation"]
        give = self._found_beside("pictures")
        if give is None:
            return
        offered = {"device": self.backend.device, **node}
        arguments = {name: offered[name] for name in parameters_of(give) if name in offered}
        try:
            with self._undisturbed(), persons_errors("evaluation: pictures raised"):
                write_pictures(self.store.folder, give(self.model, self.data, **arguments))
        except (ComponentError, PictureError) as error:
            write_fault(self.store.folder, error.message)
            self.notes.append(f"No pictures: {error.message}")

    def _beside_evaluation(self, name: str, default: Any, **extra: Any) -> Any:
        """What the function `name(**config)` beside the evaluation says of its metrics, if there is one.

        `signatures` gives how each metric is computed; `statistic` what the final number is in the words of the
        reference table, where it is not the last value ("last_5_checkpoints_averaged").
        """
        node = self.paper.settings["evaluation"]
        give = self._found_beside(name)
        if give is None:
            return default
        with persons_errors(f"evaluation: {name} raised"):
            return give(**{key: value for key, value in node.items() if not key.startswith("_")}, **extra)

    def _found_beside(self, name: str) -> Callable[..., Any] | None:
        """The function of that name in the module of the evaluation."""
        path = self.paper.settings["evaluation"]["_target_"]
        give = getattr(sys.modules[locate(path, "evaluation._target_").__module__], name, None)
        return give if callable(give) else None

    def _kept_states(self) -> checkpoint.KeptStates:
        return checkpoint.KeptStates(
            self.store.folder, self.spec.keep_checkpoints, self.update, self._model_state, self.backend.device
        )

    # --- checkpoints

    @property
    def _saves(self) -> bool:
        return self.spec.checkpoint_every is not None

    @property
    def _keep_every(self) -> int | None:
        if self.spec.keep_checkpoints <= 1:
            return None
        # by default at the evaluations, whose period is part of the run's identity; how often it checkpoints is not
        return self.spec.keep_every or self.spec.evaluate_every or self.spec.checkpoint_every

    def _model_state(self) -> Any:
        found = {name: module.state_dict() for name, module in self.modules.items()}
        return found["model"] if list(found) == ["model"] else found

    def _keep(self) -> None:
        content = {"format": checkpoint.FORMAT, "update": self.update, "model": self._model_state()}
        checkpoint.write(self.store.folder / f"checkpoint-{self.update}.pt", content)
        checkpoint.drop_kept(self.store.folder, self.spec.keep_checkpoints)

    def _save(self) -> None:
        if self.main:
            with persons_errors("training or data: state_dict() raised"):
                training, data = self.training.state_dict(), self.data.state_dict()
            content = {
                "format": checkpoint.FORMAT,
                "update": self.update,
                "seconds": self._seconds(),
                "model": checkpoint.packed(self._model_state(), "model.state_dict()"),
                "training": checkpoint.packed(training, "training.state_dict()"),
                "data": checkpoint.packed(data, "data.state_dict()"),
                "random": randomness.states(),
                "origin": checkpoint.origin(torch.get_num_threads(), self.backend.device),
            }
            checkpoint.write(self.store.folder / checkpoint.NEWEST, content)
            self.store.change(update=self.update, seconds=round(self._seconds(), 3))
        self.saved = self.update
        self.backend.barrier()

    def _resume(self) -> None:
        """Continues from the newest checkpoint, or clears what an earlier life left beyond it."""
        saved = checkpoint.read(self.store.folder / checkpoint.NEWEST)
        if saved is not None and saved["update"] > self.spec.updates:
            saved = None  # the same folder with fewer updates: not this training
        update = saved["update"] if saved else -1
        if self.main:
            if any(row["update"] > update for row in self.store.rows):
                self.store.supersede_after(update)
            checkpoint.drop_kept(self.store.folder, self.spec.keep_checkpoints, beyond=update)
        if saved is None:
            return
        self.update = self.resumed_from = self.saved = saved["update"]
        self.seconds_before = saved["seconds"]
        states = saved["model"] if list(self.modules) != ["model"] else {"model": saved["model"]}
        for name, module in self.modules.items():
            module.load_state_dict(checkpoint.unpacked(states[name]))
        with persons_errors("training or data: load_state_dict(state) raised"):
            self.training.load_state_dict(checkpoint.unpacked(saved["training"]))
            self.data.load_state_dict(checkpoint.unpacked(saved["data"]))
        randomness.restore(saved["random"])
        changed = checkpoint.differences(
            saved["origin"], checkpoint.origin(torch.get_num_threads(), self.backend.device)
        )
        note = f"Resumed on another machine or setting ({', '.join(changed)}): not bit for bit as without a stop."
        if changed and note not in self.notes:
            self.notes.append(note)
            if self.main:
                self.store.change(notes=self.notes)

    def _interrupted(self) -> NoReturn:
        """Records the pause and raises `Interrupted`; what is to be saved has been."""
        self._end("interrupted")
        name = self.signals.requested.name if self.signals.requested else "a signal"
        where = f"saved at update {self.saved:,}" if self.saved is not None else "nothing saved yet"
        raise Interrupted(
            f"{self.spec.process} stopped by {name} at update {self.update:,} of {self.spec.updates:,}; {where}.",
            "The same command resumes it there." if self.saved is not None else "The same command starts it again.",
            self.signals.exit_code,
        )


def _is_number(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1
    with contextlib.suppress(TypeError, ValueError):
        return not isinstance(value, str) and isinstance(math.isnan(float(value)), bool)
    return False
