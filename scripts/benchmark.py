"""What the harness costs and what our Transformer is worth, as ratios of things timed side by side in one run.

    python scripts/benchmark.py                        # everything, about twenty minutes on 2 quiet cores
    python scripts/benchmark.py --only step            # a part, at most five minutes; may be repeated: see --help
    python scripts/benchmark.py --quick                # that it works: few pairs, short runs, figures that mean nothing

Each ratio is the median over alternating pairs A B, B A, A B … of time(A) / time(B), so that what slows the machine
down slows both; its quartiles stand beside it. The result is a Markdown table. Nothing fails when a promise is not
held: the table says so.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
Timed = Callable[[], float]  # does its work once, returns the seconds that count


@dataclass(frozen=True)
class Row:
    """One line of the table: `ours` and `theirs` are medians in the unit of `what`, `ratio` what is promised about."""

    what: str
    ours: str
    theirs: str
    ratios: tuple[float, ...]
    promise: str = ""
    kept: bool | None = None

    def markdown(self) -> str:
        low, middle, high = quartiles(self.ratios)
        held = "" if self.kept is None else " ✓" if self.kept else " ✗"
        ratio = f"{middle:.3f}" + (f" ({low:.3f} – {high:.3f})" if len(self.ratios) > 1 else "")
        return f"| {self.what} | {self.ours} | {self.theirs} | {ratio} | {self.promise}{held} |"


@dataclass(frozen=True)
class Size:
    """How long everything takes."""

    pairs: int = 9
    mlp_updates: int = 4000
    transformer_updates: int = 150
    model_updates: int = 1  # of one timing
    model_lengths: tuple[int, ...] = (16, 32, 64, 128)
    beam_pairs: int = 9
    beam_length: int = 50
    trials: int = 24
    trial_seconds: float = 1.0
    sweep_pairs: int = 3
    start_pairs: int = 9
    ppo_updates: int = 480
    ppo_pairs: int = 5
    ppo_seed_pairs: int = 3
    ppo_seed_updates: int = 960  # of each of four seeds


QUICK = Size(
    3, 120, 30, 1, (16, 32), 1, 10, 4, 0.2, 1, 1, ppo_updates=32, ppo_pairs=1, ppo_seed_pairs=1, ppo_seed_updates=32
)


def quartiles(values: tuple[float, ...]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


@dataclass
class Pairs:
    """Times of two things, taken in turn; the first of each pair alternates."""

    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, a: Timed, b: Timed, count: int, warm: bool = True) -> Pairs:
        taken = cls()
        if warm:
            a(), b()
        for number in range(count):
            for first in (True, False) if number % 2 == 0 else (False, True):
                (taken.a if first else taken.b).append(a() if first else b())
        return taken

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(a / b for a, b in zip(self.a, self.b, strict=True))

    @property
    def inverse(self) -> tuple[float, ...]:
        return tuple(1 / ratio for ratio in self.ratios)


def median(values: list[float] | tuple[float, ...]) -> float:
    return statistics.median(values)


# --- one update: the harness, a bare loop, lightning.Trainer ---------------------------------------------------------

PAPERS = {
    "MLP on MNIST-1D": ("paper=mnist1d", "architecture=mlp"),
    "Transformer on number words": ("paper=transformer",),
}


@cache
def paper_of(*overrides: str) -> Any:
    from repro.configuration.compose import compose
    from repro.contract.paper import Paper

    return Paper.from_config(compose(list(overrides)).config)


def harness(paper: Any, updates: int) -> float:
    """Seconds an update of `train`, logging every ten updates; the first tenth warms up, its own clock counts."""
    from repro.tracking.store import ProcessStore
    from repro.training.process import ProcessSpec
    from repro.training.train import train

    with tempfile.TemporaryDirectory() as folder:
        spec = ProcessSpec("seed-0", "reproduction", 0, updates, final_split=None, device="cpu")
        store = ProcessStore(Path(folder))
        train(spec, paper, store)
        rows = [row for row in store.rows if row["split"] == "train"]
    first = next(row for row in rows if row["update"] >= updates // 10)
    return (rows[-1]["time"] - first["time"]) / (rows[-1]["update"] - first["update"])


def bare(paper: Any, updates: int) -> float:
    """Seconds an update of the same component called in a loop, on the same data, logging nothing."""
    import torch

    from repro.training.devices import training_stream

    torch.manual_seed(0)
    data, model = paper.build_data(0), paper.build_model(0)
    training = paper.build_training(model, paper.build_loss())
    stream = training_stream(data, model, False)
    warm = updates // 10
    for _ in range(warm):
        training.update(next(stream))
    began = time.perf_counter()
    for _ in range(updates - warm):
        training.update(next(stream))
    return (time.perf_counter() - began) / (updates - warm)


def trainer(paper: Any, updates: int) -> float:
    """Seconds an update of lightning.Trainer with its CSV logger, every ten updates; same model, data, loss and Adam.

    The update is the paper's: gradients are clipped at infinity, which measures their norm, where the paper's do so.
    """
    import lightning
    import torch
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.loggers import CSVLogger
    from torch.utils.data import DataLoader, IterableDataset

    from repro.training.devices import training_stream

    torch.manual_seed(0)
    data, loss = paper.build_data(0), paper.build_loss()
    own = paper.build_training(paper.build_model(0), loss)  # whose optimiser and schedule are taken over
    transformer = paper.name == "transformer"

    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return training_stream(data, None, False)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = own.model

        def training_step(self, batch: Any, _: int) -> Any:
            if transformer:
                terms = loss(self.model(batch["source"], batch["target_input"]), batch["target_output"])
            else:
                terms = loss(self.model(batch["signal"]), batch["digit"])
            self.log_dict({name: term.detach() for name, term in terms.items()})
            return terms["total"]

        def on_before_optimizer_step(self, _: Any) -> None:
            if transformer:
                self.log("gradient_norm", torch.nn.utils.clip_grad_norm_(self.model.parameters(), math.inf))

        def configure_optimizers(self) -> Any:
            if not transformer:
                return own.optimiser
            for group in own.optimiser.param_groups:
                group["lr"] = group["initial_lr"] = 1.0
            schedule = torch.optim.lr_scheduler.LambdaLR(own.optimiser, lambda step: own.learning_rate(step + 1))
            return {"optimizer": own.optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    class Clock(Callback):
        began = ended = 0.0

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == updates // 10:
                self.began = time.perf_counter()
            self.ended = time.perf_counter()

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the loader has few workers
        lightning.Trainer(
            max_steps=updates,
            accelerator="cpu",
            devices=1,
            logger=CSVLogger(folder),
            log_every_n_steps=10,
            callbacks=[clock],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(Module(), DataLoader(Stream(), batch_size=None))
    return (clock.ended - clock.began) / (updates - updates // 10)


def updates_beside(
    size: Size, other: str, run: Callable[[Any, int], float], promises: tuple[float | None, float | None]
) -> Iterator[Row]:
    """Seconds an update of `train` and of `run`, on the small MLP and on the Transformer."""
    counts = (size.mlp_updates, size.transformer_updates)
    for (name, overrides), updates, limit in zip(PAPERS.items(), counts, promises, strict=True):
        paper = paper_of(*overrides)
        taken = Pairs.of(
            lambda paper=paper, updates=updates: harness(paper, updates),
            lambda paper=paper, updates=updates: run(paper, updates),
            size.pairs,
            warm=False,
        )
        yield Row(
            f"update of the {name}: harness / {other} (ms)",
            f"{1e3 * median(taken.a):.3f}",
            f"{1e3 * median(taken.b):.3f}",
            taken.ratios,
            f"≤ {limit:.2f}" if limit else "",
            median(taken.ratios) <= limit if limit else None,
        )


def step(size: Size) -> Iterator[Row]:
    """The harness's update against a bare loop of the same update."""
    return updates_beside(size, "bare loop", bare, (1.10, 1.02))


def lightning_step(size: Size) -> Iterator[Row]:
    """The harness's update against lightning.Trainer, both logging."""
    import logging

    import lightning.pytorch  # sets the level of its log

    logging.getLogger(lightning.pytorch.__name__).setLevel(logging.ERROR)
    return updates_beside(size, "lightning.Trainer, CSV logger", trainer, (None, None))


# --- training tokens a second: ours and torch.nn.Transformer ---------------------------------------------------------

MODEL = {"vocabulary": 1000, "width": 256, "layers": 3, "heads": 4, "d_ff": 1024, "dropout": 0.1}
TOKENS = 1024  # of the source, and as many of the target, in a batch


def reference_model(length: int) -> Any:
    """torch.nn.Transformer of our size: our embeddings and output, our dropout sites, post-norm without a last one.

    What stays different: nn.Transformer's attention projections have biases, which ours, as printed, have not.
    """
    import torch
    from torch import nn

    from repro.papers.transformer.model import Embedding

    width, vocabulary = MODEL["width"], MODEL["vocabulary"]

    class Reference(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.source = Embedding(vocabulary, width, MODEL["dropout"], "sinusoidal", 512, True)
            self.target = Embedding(vocabulary, width, MODEL["dropout"], "sinusoidal", 512, True)
            self.transformer = nn.Transformer(
                width,
                MODEL["heads"],
                MODEL["layers"],
                MODEL["layers"],
                MODEL["d_ff"],
                MODEL["dropout"],
                batch_first=True,
            )
            self.transformer.encoder.norm = self.transformer.decoder.norm = None
            self.output = nn.Linear(width, vocabulary, bias=False)
            self.output.weight = self.target.pieces.weight = self.source.pieces.weight
            for layer in (*self.transformer.encoder.layers, *self.transformer.decoder.layers):
                layer.dropout = nn.Identity()  # inside the feed-forward network: ours has none
                layer.self_attn.dropout = 0.0
                if hasattr(layer, "multihead_attn"):
                    layer.multihead_attn.dropout = 0.0
            self.register_buffer("causal", torch.triu(torch.ones(length, length, dtype=torch.bool), diagonal=1))

        def forward(self, source: Any, target_input: Any) -> Any:
            padding = source == 0
            y = self.transformer(
                self.source(source),
                self.target(target_input),
                tgt_mask=self.causal,
                src_key_padding_mask=padding,
                tgt_key_padding_mask=target_input == 0,
                memory_key_padding_mask=padding,
            )
            return self.output(y)

    return Reference()


def training_of(model: Any, length: int, updates: int) -> Timed:
    """Times `updates` whole updates: forward, smoothed loss, backward, Adam."""
    import torch

    from repro.papers.transformer.loss import Loss
    from repro.papers.transformer.training import Training

    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(4, MODEL["vocabulary"], (2, TOKENS // length, length), generator=generator)
    batch = {"source": source, "target_input": target, "target_output": target.roll(-1, 1)}
    training = Training(model, Loss(), width=MODEL["width"])

    def run() -> float:
        began = time.perf_counter()
        for _ in range(updates):
            training.update(batch)
        return time.perf_counter() - began

    return run


def model(size: Size) -> Iterator[Row]:
    """Tokens a second in training, ours over torch.nn.Transformer's, explicit and fused attention."""
    import torch

    from repro.papers.transformer.model import Transformer

    for attention, promise in (("fused", 0.98), ("explicit", None)):
        middles = []
        for length in size.model_lengths:
            torch.manual_seed(0)
            ours = training_of(Transformer(**MODEL, attention=attention), length, size.model_updates)
            theirs = training_of(reference_model(length), length, size.model_updates)
            taken = Pairs.of(ours, theirs, size.pairs)
            speeds = [f"{2 * TOKENS * size.model_updates / median(times):,.0f}" for times in (taken.a, taken.b)]
            middles.append(median(taken.inverse))
            yield Row(f"training, {attention} attention, length {length} (tokens/s)", *speeds, taken.inverse)
        mean = statistics.geometric_mean(middles)
        kept = None if promise is None else mean >= promise
        promised = f"≥ {promise}" if promise else ""
        yield Row(f"training, {attention} attention, geometric mean over lengths", "", "", (mean,), promised, kept)


# --- beam search -----------------------------------------------------------------------------------------------------


def beam(size: Size) -> Iterator[Row]:
    """Beam search with a cache of keys and values against recomputing them; nothing ends early."""
    import torch

    from repro.papers.transformer.beam import beam_search
    from repro.papers.transformer.model import Transformer

    torch.manual_seed(0)
    network = Transformer(**MODEL, attention="fused").eval()
    source = torch.randint(4, MODEL["vocabulary"], (8, size.beam_length))

    def timed(cached: bool) -> float:
        began = time.perf_counter()
        found = beam_search(network, source, 4, 0.6, longest=size.beam_length, cached=cached, end=-1)
        assert found.size(1) == size.beam_length
        return time.perf_counter() - began

    taken = Pairs.of(lambda: timed(False), lambda: timed(True), size.beam_pairs)
    yield Row(
        f"beam 4 of 8 sentences at length {size.beam_length}: recomputed / cached (s)",
        f"{median(taken.b):.2f}",
        f"{median(taken.a):.2f}",
        taken.ratios,
        "≥ 3",
        median(taken.ratios) >= 3,
    )


# --- sweeps ----------------------------------------------------------------------------------------------------------


def trial(control: Any, number: int, seconds: float) -> dict[str, Any]:
    """One trial: the MLP of MNIST-1D trained for so many seconds, in a worker of the pool or in its own process."""
    from repro.training.devices import training_stream

    paper = paper_of(*PAPERS["MLP on MNIST-1D"])
    data, network = paper.build_data(number), paper.build_model(number)
    training = paper.build_training(network, paper.build_loss())
    stream = training_stream(data, network, False)
    end = time.perf_counter() + seconds
    updates = 0
    while time.perf_counter() < end:
        values = training.update(next(stream))
        updates += 1
    return {"updates": updates, "loss": float(values["loss"])}


def sweep(size: Size) -> Iterator[Row]:
    """Trials a minute in the pool, start of its workers included, against one new process for each trial."""
    from repro.sweeps.cores import available_cores
    from repro.sweeps.pool import Pool
    from repro.sweeps.tasks import Finished, Task

    workers = available_cores()

    def pooled() -> float:
        began = time.perf_counter()
        tasks = [
            Task(f"trial-{n}", "benchmark:trial", {"number": n, "seconds": size.trial_seconds})
            for n in range(size.trials)
        ]
        with Pool(workers, 1) as pool:
            ended = pool.run(tasks)
        assert all(isinstance(event, Finished) for event in ended.values()), ended
        return time.perf_counter() - began

    def alone(number: int) -> None:
        code = f"import benchmark; benchmark.trial(None, {number}, {size.trial_seconds})"
        paths = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths})

    def separate() -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(workers) as threads:
            list(threads.map(alone, range(size.trials)))
        return time.perf_counter() - began

    taken = Pairs.of(pooled, separate, size.sweep_pairs, warm=False)
    per_minute = [f"{60 * size.trials / median(times):.1f}" for times in (taken.a, taken.b)]
    yield Row(
        f"{size.trials} trials of {size.trial_seconds:g} s, {workers} cores: pool / process a trial (trials/min)",
        *per_minute,
        taken.inverse,
        "≥ 3",
        median(taken.inverse) >= 3,
    )


# --- ResNet: an update, and the share of the data -------------------------------------------------------------------


def plain_resnet(layers: int, filters: int, colours: int) -> Any:
    """Section 4.2 of He et al. (2015) in the shortest words of torch.nn, parameters in the order of ours."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, i: int, o: int, stride: int) -> None:
            super().__init__()
            self.c1, self.n1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
            self.c2, self.n2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
            self.stride, self.more = stride, o - i

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.n2(self.c2(functional.relu(self.n1(self.c1(x)))))
            if self.more:
                x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
            return functional.relu(h + x)

    parts: list[nn.Module] = [nn.Conv2d(colours, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
    i = filters
    for number in range((layers - 2) // 2):
        o = filters * 2 ** (number // ((layers - 2) // 6))
        parts.append(Block(i, o, 2 if o > i else 1))
        i = o
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, 10))


def resnet(size: Size) -> Iterator[Row]:
    """ResNet-20: the paper's update beside a plain loop of the same network, and what the batches cost of it."""
    import numpy as np
    import torch
    from torch.nn import functional

    from repro.papers.resnet.data import Images, digits
    from repro.papers.resnet.loss import cross_entropy
    from repro.papers.resnet.model import ResNet
    from repro.papers.resnet.training import Training

    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, size=(2048, 32, 32, 3), dtype=np.uint8)
    noise = pixels, random.integers(0, 10, size=2048)
    settings = (
        ("32 × 32 pixels in colour, 16 filters", Images(noise, noise, noise, 128, 1000, 4, True), 16, 3, 1),
        ("digits of 8 × 8 pixels, 8 filters", digits(), 8, 1, 8 * size.model_updates),
    )
    for name, data, filters, colours, updates in settings:
        torch.manual_seed(0)
        ours = ResNet(20, filters, colours)
        theirs = plain_resnet(20, filters, colours)
        theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
        drawn = list(data.batches("train"))
        torch.testing.assert_close(theirs(drawn[0]["image"]), ours(drawn[0]["image"]))  # one function
        training = Training(ours, cross_entropy)
        optimiser = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

        mine, other = itertools.cycle(drawn), itertools.cycle(drawn)

        def update(training: Any = training, stream: Any = mine, updates: int = updates) -> float:
            began = time.perf_counter()
            for _ in range(updates):
                training.update(next(stream))
            return (time.perf_counter() - began) / updates

        def loop(model: Any = theirs, stream: Any = other, updates: int = updates, optimiser: Any = optimiser) -> float:
            began = time.perf_counter()
            for _ in range(updates):
                batch = next(stream)
                model.train()
                optimiser.zero_grad()
                loss = functional.cross_entropy(model(batch["image"]), batch["label"])
                loss.backward()
                optimiser.step()
            return (time.perf_counter() - began) / updates

        def batches(data: Any = data) -> float:
            began = time.perf_counter()
            count = sum(1 for _ in data.batches("train"))
            return (time.perf_counter() - began) / count

        taken = Pairs.of(update, loop, size.pairs)
        steps = f"ResNet-20 on {name}, batch 128: our update / a plain loop (ms)"
        kept = median(taken.ratios) <= 1.02
        yield Row(steps, f"{1e3 * median(taken.a):.0f}", f"{1e3 * median(taken.b):.0f}", taken.ratios, "≤ 1.02", kept)
        share = Pairs.of(batches, update, max(1, size.pairs // 2))
        what = f"ResNet-20 on {name}: a batch, cropped and mirrored / an update (ms)"
        yield Row(what, f"{1e3 * median(share.a):.1f}", f"{1e3 * median(share.b):.0f}", share.ratios)


# --- commands --------------------------------------------------------------------------------------------------------

VERDICTS = (0, 3, 4)  # exit codes of a command that did its work: what `report` says of a run is no fault of its own


def commands(size: Size) -> Iterator[Row]:
    """Start-up of the commands that compute nothing, beside `import hydra` alone."""

    def timed(*arguments: str) -> Timed:
        def run() -> float:
            began = time.perf_counter()
            ended = subprocess.run([sys.executable, *arguments], check=False, stdout=subprocess.DEVNULL, cwd=ROOT)
            taken = time.perf_counter() - began
            assert ended.returncode in VERDICTS, f"{arguments} ended with {ended.returncode}"
            return taken

        return run

    with tempfile.TemporaryDirectory() as folder:
        runs = f"runs_folder={folder}"
        prepare = [
            "-m",
            "repro",
            "run",
            "paper=transformer",
            "scale=smoke",
            "phases=[analysis]",
            "tracking.wandb=disabled",
        ]
        timed(*prepare, runs)()
        for arguments, limit in (
            (["--help"], 0.5),
            (["list"], 0.5),
            (["status", runs], 0.5),
            (["report", "paper=transformer", runs], 3.0),
        ):
            taken = Pairs.of(timed("-m", "repro", *arguments), timed("-c", "import hydra"), size.start_pairs)
            ours = median(taken.a)
            yield Row(
                f"`python -m repro {arguments[0]}` / `python -c 'import hydra'` (s)",
                f"{ours:.2f}",
                f"{median(taken.b):.2f}",
                taken.ratios,
                f"≤ {limit:g} s",
                ours <= limit,
            )


# --- watch: from a save to the answer, beside a check that starts cold ------------------------------------------------

WATCHED = ROOT / "tests" / "own_papers" / "regression"
QUIET = ("paper=waves", "scale=smoke", "tracking.wandb=disabled", "runs_folder=runs")
CLEARED = b"\x1b[H\x1b[2J"  # what begins a new screen


def watch(size: Size) -> Iterator[Row]:
    """A mistake in loss.py, a step whose checks take less than a second: saved under `watch`, and checked from cold."""
    with tempfile.TemporaryDirectory() as folder:
        paper = Path(folder) / "paper"
        shutil.copytree(WATCHED, paper, ignore=shutil.ignore_patterns("__pycache__", "runs"))
        loss, mistakes = paper / "waves" / "loss.py", itertools.count()
        correct = loss.read_text(encoding="utf-8")
        wrong = correct.replace(".square().mean()", ".square().sum()")
        main, other = pty.openpty()
        environment = {**os.environ, "COLUMNS": "110", "LINES": "50", "TERM": "xterm"}
        command = [sys.executable, "-m", "repro"]
        process = subprocess.Popen(
            [*command, "watch", *QUIET],
            cwd=paper,
            stdin=other,
            stdout=other,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        os.close(other)

        def screen(*words: bytes) -> None:
            seen = b""
            while not all(word in seen.rpartition(CLEARED)[2] for word in words):
                seen += os.read(main, 65536)

        def saved() -> float:
            began = time.perf_counter()
            loss.write_text(f"{wrong}\n# {next(mistakes)}\n", encoding="utf-8")
            # first that it works on the new file, then what it found
            screen("◐".encode())
            screen("✗ loss · loss_batch_size".encode(), b"q quit")
            return time.perf_counter() - began

        def cold() -> float:
            began = time.perf_counter()
            subprocess.run(
                [*command, "check", *QUIET, "phases=[loss]"], cwd=paper, check=False, stdout=subprocess.DEVNULL
            )
            return time.perf_counter() - began

        try:
            screen(b"every step holds")
            taken = Pairs.of(saved, cold, size.start_pairs)
        finally:
            process.kill()
            process.wait()
            os.close(main)
    ours = median(taken.a)
    yield Row(
        "`watch`: from a save to its answer / a cold `check` of the same step (s)",
        f"{ours:.2f}",
        f"{median(taken.b):.2f}",
        taken.ratios,
        "≤ 2 s",
        ours <= 2.0,
    )


# --- acting ----------------------------------------------------------------------------------------------------------


def single_file(steps: int, seed: int = 0) -> float:
    """Seconds that scripts/ppo_single_file.py needs for its loop, as it says itself; imports do not count."""
    command = [sys.executable, "-W", "ignore", str(ROOT / "scripts" / "ppo_single_file.py")]
    done = subprocess.run(
        [*command, "--steps", str(steps), "--seed", str(seed)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return float(done.stdout.split(",")[1].split()[0])


def ppo_seed(control: Any, number: int, updates: int) -> dict[str, Any]:
    """One seed of PPO on CartPole-v1 through the harness, in a worker of the pool."""
    return {"seconds": updates * harness(paper_of("paper=ppo"), updates)}


def ppo(size: Size) -> Iterator[Row]:
    """Environment steps a second of paper=ppo through the harness against a single file, one run and four seeds.

    One run: the loops alone. Four seeds: from the first start to the last end, imports on both sides included.
    """
    from repro.sweeps.cores import available_cores
    from repro.sweeps.pool import Pool
    from repro.sweeps.tasks import Finished, Task

    updates = size.ppo_updates
    steps = updates * 32  # 16 updates on each 512 steps

    taken = Pairs.of(
        lambda: updates * harness(paper_of("paper=ppo"), updates), lambda: single_file(steps), size.ppo_pairs
    )
    speeds = [f"{steps / median(times):,.0f}" for times in (taken.a, taken.b)]
    kept = median(taken.inverse) >= 1.3
    yield Row("PPO on CartPole-v1, one run: ours / single file (steps/s)", *speeds, taken.inverse, "≥ 1.3", kept)

    seeds, workers = 4, available_cores()
    each = size.ppo_seed_updates

    def pooled() -> float:
        began = time.perf_counter()
        tasks = [Task(f"seed-{n}", "benchmark:ppo_seed", {"number": n, "updates": each}) for n in range(seeds)]
        with Pool(workers, 1) as pool:
            ended = pool.run(tasks)
        assert all(isinstance(event, Finished) for event in ended.values()), ended
        return time.perf_counter() - began

    def one_after_the_other() -> float:
        began = time.perf_counter()
        for seed in range(seeds):
            single_file(32 * each, seed)
        return time.perf_counter() - began

    taken = Pairs.of(pooled, one_after_the_other, size.ppo_seed_pairs, warm=False)
    speeds = [f"{seeds * 32 * each / median(times):,.0f}" for times in (taken.a, taken.b)]
    kept = median(taken.inverse) >= 2
    what = (
        f"PPO, {seeds} seeds from start to end: ours on {workers} cores / single file {seeds} times in turn (steps/s)"
    )
    yield Row(what, *speeds, taken.inverse, "≥ 2", kept)


PARTS: dict[str, Callable[[Size], Iterator[Row]]] = {
    "step": step,
    "lightning": lightning_step,
    "model": model,
    "beam": beam,
    "sweep": sweep,
    "resnet": resnet,
    "commands": commands,
    "watch": watch,
    "ppo": ppo,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(PARTS), help="a part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="few pairs and short runs: shows that it works")
    options = parser.parse_args()

    import torch

    from repro.sweeps.cores import available_cores
    from repro.tracking.environment import cpu_model

    torch.set_num_threads(1)
    size = QUICK if options.quick else Size()
    where = f"{cpu_model()}, {available_cores()} cores, one thread each, PyTorch {torch.__version__}"
    print(
        f"{where}; medians of {size.pairs} alternating pairs (quartiles)"
        f"{', 3 for the sweep' if not options.quick else ': QUICK, these are no figures'}\n"
    )
    print("| what | ours | the other | ratio | promised |\n|---|---|---|---|---|")
    names = options.only or list(PARTS)
    for row in itertools.chain.from_iterable(PARTS[name](size) for name in names):
        print(row.markdown(), flush=True)


if __name__ == "__main__":
    main()
