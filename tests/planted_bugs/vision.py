"""Bugs and variants as patches of the two vision papers' source: the listed ones that their code has a place for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.contract.paper import Paper

from .planting import Patch, Planted, planted_settings

#: What a bug of mnist1d is planted in, where not the CNN that sees its examples in one order.
WITH = {"X24": "architecture=gru", "X36": "architecture=mlp", "V15": "architecture=mlp", "V24": "data.order=shuffled"}
WITH |= {"X30": "data.order=shuffled"}
#: Why a listed bug of these types has no place in either paper.
ELSEWHERE = {
    "X15": "nothing is clipped; mixed precision is the harness's",
    "V12 mnist1d": "no layer of its models differs between the modes",
    "X20 mnist1d": "the rate is constant",
    "X22": "the harness keeps the checkpoints, not the paper",
    "X27": "the papers have no squared error",
    "X35": "no decoupled weight decay in either paper",
    "X39": "the harness runs the loop; the schedule is driven to the last update",
    "X41": "no language model",
}

HALVES = """        self.optimiser.zero_grad()
        for rows in torch.arange(len(batch["image"])).chunk(2):
            {inside}logits = self.model(batch["image"][rows])  # [b, classes]
            terms = self.loss(logits, batch["label"][rows])
            self.backward(terms["total"]{share})
        logits = self.model(batch["image"])
        self.optimiser.step()"""
UPDATE = """        self.optimiser.zero_grad()
        logits = self.model(batch["image"])  # [b, classes]
        terms = self.loss(logits, batch["label"])
        self.backward(terms["total"])
        self.optimiser.step()"""
TOTAL = """    log_p = logits.log_softmax(dim=-1)  # [b, classes]
    return {"total": -log_p.gather(-1, label[:, None]).mean()}"""
HALVED = """    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return value.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient / 2

    log_p = logits.log_softmax(dim=-1)  # [b, classes]
    return {{"total": Halved.apply(-log_p.gather(-1, {label}[:, None]).mean())}}"""
ORDER = """        rows = torch.randperm(len(labels), generator=self.order)
        while"""
MEAN_OF_BATCHES = (
    Patch("evaluation", "            n += len(label)", "            n += 1"),
    Patch(
        "evaluation",
        "wrong += int((logits.argmax(-1) != label).sum())",
        "wrong += float((logits.argmax(-1) != label).float().mean())",
    ),
)


def one(file: str, before: str, after: str, phase: str = "", **more: Any) -> Planted:
    return Planted((Patch(file, before, after),), phase or file, **more)


RESNET: dict[str, Planted] = {
    "V01": one("data", "per_pixel_mean(train_images).float() / 255", "per_pixel_mean(train_images).float()"),
    "V02": one(
        "data",
        'yield {"image": preprocess(images[start:end], self.mean)',
        'yield {"image": channels_first(images[start:end])',
    ),
    "V03": one("data", "images.permute(0, 3, 1, 2)", "images.flip(3).permute(0, 3, 1, 2)"),
    "V04": one("data", "images.permute(0, 3, 1, 2)", "images.reshape(len(images), images.size(3), *images.shape[1:3])"),
    "V07": one(
        "data",
        'yield {"image": preprocess(images[start:end], self.mean)',
        'yield {"image": augment(preprocess(images[start:end], self.mean), self.padding, self.flip, self.draws)',
    ),
    "V11": one("evaluation", "    model.eval()\n    wrong", "    wrong"),
    "V12": one("training", "        self.model.train()\n", ""),
    "V13": one("model", 'if shortcut == "B" and', 'if shortcut != "none" and'),
    "V15": one("model", "return (sublayers(x) + shortcut(x)).relu()", "return sublayers(x).relu()"),
    "V17": one("model", 'nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")', "pass"),
    "V19": one("training", "lr=rate, momentum=momentum, weight_decay=weight_decay", "lr=rate"),
    "V20": one(
        "training",
        "drops = (step > first_drop) + (step > second_drop)",
        "drops = (step > first_drop // 10) + (step > second_drop // 10)",
    ),
    "V22": one(
        "model",
        "logits: Tensor = self.output(global_average_pool(h))",
        "logits: Tensor = self.output(global_average_pool(h)).softmax(-1)",
        "loss",
        components=("logits",),
    ),
    "V23": one("loss", "logits.log_softmax(dim=-1)", "logits.softmax(dim=-1)"),
    "V24": one(
        "data",
        'yield {"image": image, "label": labels[chosen]}',
        'yield {"image": image, "label": labels[start : start + len(chosen)]}',
    ),
    "V26": one(
        "data",
        "for rows in np.split(order[: ends[-1]], ends[:-1])]",
        "for rows in [order[: ends[-1]], *np.split(order[: ends[-1]], ends[:-1])[1:]]]",
    ),
    "V27": Planted(
        (Patch("evaluation", "for batch in data.batches(split)", 'for batch in data.batches("test")'),), "evaluation"
    ),
    "V29": Planted(MEAN_OF_BATCHES, "evaluation"),
    "V32": Planted(
        (
            Patch(
                "model",
                "self.output = nn.Linear(entering, classes)",
                "self.output = nn.Linear(entering, classes)\n"
                "        self.place = nn.Parameter(torch.randn(128, entering))",
            ),
            Patch(
                "model",
                "self.output(global_average_pool(h))",
                "self.output(global_average_pool(h) + self.place[: len(h)])",
            ),
        ),
        "model",
    ),
    "X01": one("training", "        self.optimiser.zero_grad()\n", ""),
    "X02": one("training", UPDATE, HALVES.format(inside="self.optimiser.zero_grad()\n            ", share=" / 2")),
    "X03": one("training", UPDATE, HALVES.format(inside="", share="")),
    "X06": one(
        "training",
        "torch.optim.SGD(model.parameters()",
        'torch.optim.SGD(__import__("copy").deepcopy(model).parameters()',
    ),
    "X07": Planted(
        (
            Patch("model", "self.stages = nn.Sequential(*stages)", "self.stages = stages"),
            Patch("model", "h = self.stages(h)", "for stage in self.stages:\n            h = stage(h)"),
        ),
        "model",
    ),
    "X09": one(
        "model",
        "        self.channels_last = channels_last\n",
        "        self.channels_last = channels_last\n        self.stages.requires_grad_(False)\n",
    ),
    "X10": one("model", "h = self.stages(h)", "with torch.no_grad():\n            h = self.stages(h)"),
    "X12": Planted(
        (
            Patch("loss", "from torch import Tensor", "import torch\nfrom torch import Tensor"),
            Patch(
                "loss",
                "-log_p.gather(-1, label[:, None]).mean()",
                "torch.tensor(-log_p.gather(-1, label[:, None]).mean().item(), requires_grad=True)",
            ),
        ),
        "loss",
    ),
    "X14": one(
        "model",
        'nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")',
        "nn.init.constant_(module.weight, 0.01)",
    ),
    "X19": one("training", 'self.optimiser.load_state_dict(state["optimiser"])', "pass"),
    "X20": one("training", 'self.step = state["step"]', "pass"),
    "X24": Planted(
        (
            Patch(
                "model",
                "logits: Tensor = self.output(global_average_pool(h))",
                "h = global_average_pool(h)\n"
                '        h = h + 0.5 * getattr(self, "before", torch.zeros_like(h[0]))\n'
                "        self.before = h.detach().mean(0)\n"
                "        logits: Tensor = self.output(h)",
            ),
        ),
        "model",
    ),
    "X25": one(
        "data", "            chosen = rows[start", "            images[start] //= 2\n            chosen = rows[start"
    ),
    "X28": one("loss", ".mean()", ".sum()"),
    "X30": one(
        "data",
        "self.order = torch.Generator().manual_seed(seed)\n",
        "self.order = torch.Generator()\n        self.order.seed()\n",
        "training",
        components=("data",),
    ),
    "X32": one("data", "rows = torch.randperm(len(labels), generator=self.order)", "rows = torch.arange(len(labels))"),
    "X33": Planted(
        (
            Patch(
                "data",
                "        self.seed(seed)\n\n    def seed",
                "        self.seed(seed)\n"
                '        x = preprocess(self.splits["train"][0], self.mean)\n'
                "        self.cut = augment(x, padding, flip, torch.Generator().manual_seed(0))\n"
                "\n"
                "    def seed",
            ),
            Patch(
                "data",
                "image = augment(preprocess(images[chosen], self.mean), self.padding, self.flip, self.draws)",
                "image = self.cut[chosen]",
            ),
        ),
        "data",
    ),
    "X36": one("model", "self.output(global_average_pool(h))", "self.output(F.dropout(global_average_pool(h), 0.1))"),
    "X38": Planted(
        (
            Patch("loss", "from torch import Tensor", "import torch\nfrom torch import Tensor"),
            Patch("loss", TOTAL, HALVED.format(label="label")),
        ),
        "loss",
    ),
}

MNIST1D: dict[str, Planted] = {
    "V01": one(
        "signals",
        "mean, std = float(x.mean()), float(x.std())",
        "mean, std = float(255 * x.mean()), float(255 * x.std())",
        "data",
        components=("data", "signal"),
    ),
    "V02": one("data", '"test": test}', '"test": Split(test.signals * self.std + self.mean, test.labels)}'),
    "V07": one(
        "data",
        'yield {"signal": signals[start:end], "digit": digits[start:end]}\n            return',
        'yield {"signal": signals[start:end] + 0.02 * torch.randn_like(signals[start:end]), "digit": '
        "digits[start:end]}\n"
        "            return",
    ),
    "V15": one("model", "        return h + added", "        return added"),
    "V19": one(
        "training", "lr=learning_rate, betas=(beta1, beta2), eps=eps", "lr=learning_rate, betas=(0.9, 0.99), eps=eps"
    ),
    "V20": one(
        "training",
        "        self.optimiser.step()\n",
        '        self.optimiser.step()\n        self.optimiser.param_groups[0]["lr"] *= 0.99\n',
    ),
    "V22": one(
        "model",
        "logits: Tensor = self.output(h.flatten(1))\n        return logits\n\n\nclass Bi",
        "logits: Tensor = self.output(h.flatten(1)).softmax(-1)\n        return logits\n\n\nclass Bi",
        "loss",
        components=("logits",),
    ),
    "V23": one("loss", "logits.log_softmax(dim=-1)", "logits.softmax(dim=-1)"),
    "V24": one(
        "data", "            signals, digits = signals[rows], digits[rows]", "            signals = signals[rows]"
    ),
    "V26": one(
        "data",
        '"validation": further(how, validation, validation_seed)',
        '"validation": Split(train.signals[-validation:], train.labels[-validation:])',
    ),
    "V27": one("evaluation", "for batch in data.batches(split)", 'for batch in data.batches("test")'),
    "V29": Planted(
        (
            Patch("evaluation", "            n += len(digit)", "            n += 1"),
            Patch(
                "evaluation",
                "right += int((logits.argmax(-1) == digit).sum())",
                "right += float((logits.argmax(-1) == digit).float().mean())",
            ),
        ),
        "evaluation",
    ),
    "V32": Planted(
        (
            Patch(
                "model",
                "        self.output = nn.Linear(channels * left, classes)",
                "        self.output = nn.Linear(channels * left, classes)\n"
                "        self.place = nn.Parameter(torch.randn(100, classes))",
            ),
            Patch(
                "model",
                "logits: Tensor = self.output(h.flatten(1))\n        return logits\n\n\nclass Bi",
                "logits: Tensor = self.output(h.flatten(1)) + self.place[: len(h)]\n"
                "        return logits\n"
                "\n"
                "\n"
                "class Bi",
            ),
        ),
        "model",
    ),
    "X01": one("training", "        self.optimiser.zero_grad()\n", ""),
    "X06": one(
        "training",
        "torch.optim.Adam(model.parameters()",
        'torch.optim.Adam(__import__("copy").deepcopy(model).parameters()',
    ),
    "X07": Planted(
        (
            Patch(
                "model",
                "        self.conv2 = nn.Conv1d(channels, channels, kernel_size=3, stride=2, padding=1)\n"
                "        self.conv3 = nn.Conv1d(channels, channels, kernel_size=3, stride=2, padding=1)",
                "        self.more = [nn.Conv1d(channels, channels, kernel_size=3, stride=2, padding=1) for _ "
                "in range(2)]",
            ),
            Patch("model", "self.conv2(h)", "self.more[0](h)"),
            Patch("model", "self.conv3(h)", "self.more[1](h)"),
        ),
        "model",
    ),
    "X09": one(
        "model",
        "        self.output = nn.Linear(channels * left, classes)\n",
        "        self.output = nn.Linear(channels * left, classes)\n        self.conv1.requires_grad_(False)\n",
    ),
    "X10": one("model", "h = self.conv2(h).relu()", "with torch.no_grad():\n            h = self.conv2(h).relu()"),
    "X12": Planted(
        (
            Patch("loss", "from torch import Tensor", "import torch\nfrom torch import Tensor"),
            Patch(
                "loss",
                "-log_p.gather(-1, digit[:, None]).mean()",
                "torch.tensor(-log_p.gather(-1, digit[:, None]).mean().item(), requires_grad=True)",
            ),
        ),
        "loss",
    ),
    "X14": one(
        "model",
        "        self.output = nn.Linear(channels * left, classes)\n",
        "        self.output = nn.Linear(channels * left, classes)\n"
        "        for w in self.parameters():\n"
        "            nn.init.constant_(w, 0.01)\n",
    ),
    "X19": one("training", 'self.optimiser.load_state_dict(state["optimiser"])', "pass"),
    "X24": Planted(
        (
            Patch(
                "model",
                "h = signal.new_zeros(2, len(signal), self.hidden)  # [2, b, hidden]",
                'h = getattr(self, "kept", signal.new_zeros(2, 1, self.hidden)).expand(2, len(signal), -1)',
            ),
            Patch(
                "model",
                "        forwards, backwards = torch",
                "        self.kept = h.detach().mean(1, keepdim=True)\n        forwards, backwards = torch",
            ),
        ),
        "model",
    ),
    "X25": one(
        "data",
        '            yield {"signal": signals[start:end], "digit": digits[start:end]}\n        self.epoch',
        "            signals[start:end] += 0.02 * torch.randn_like(signals[start:end])\n"
        '            yield {"signal": signals[start:end], "digit": digits[start:end]}\n'
        "        self.epoch",
    ),
    "X28": one("loss", ".mean()", ".sum()"),
    "X30": one(
        "data",
        "self.generator = torch.Generator().manual_seed(seed)\n",
        "self.generator = torch.Generator()\n        self.generator.seed()\n",
        "training",
        components=("data",),
    ),
    "X32": one(
        "signals",
        "order = random.permutation(len(labels))",
        "order = np.arange(len(labels))",
        "data",
        components=("data",),
    ),
    "X36": one("model", "h = self.first(signal).relu()", "h = nn.functional.dropout(self.first(signal).relu(), 0.1)"),
    "X38": Planted(
        (
            Patch("loss", "from torch import Tensor", "import torch\nfrom torch import Tensor"),
            Patch("loss", TOTAL.replace("label", "digit"), HALVED.format(label="digit")),
        ),
        "loss",
    ),
}

BUGS = {("resnet", name): bug for name, bug in RESNET.items()} | {
    ("mnist1d", name): bug for name, bug in MNIST1D.items()
}

VARIANTS: dict[tuple[str, str], Planted] = {
    ("resnet", "zeros half on either side"): one(
        "model",
        "F.pad(x, (0, 0, 0, 0, 0, filters - x.size(1)))",
        "F.pad(x, (0, 0, 0, 0, (filters - x.size(1)) // 2, filters - x.size(1) - (filters - x.size(1)) // 2))",
    ),
    ("resnet", "C22 biases before normalisation"): Planted(
        (
            Patch(
                "model",
                "self.conv1 = convolution(entering, filters, stride, bias=not norm)",
                "self.conv1 = convolution(entering, filters, stride, bias=True)",
            ),
            Patch(
                "model",
                "self.conv2 = convolution(filters, filters, bias=not norm)",
                "self.conv2 = convolution(filters, filters, bias=True)",
            ),
        ),
        "model",
    ),
    ("resnet", "the library's cross entropy"): Planted(
        (
            Patch("loss", "from torch import Tensor", "import torch\nfrom torch import Tensor"),
            Patch("loss", TOTAL, '    return {"total": torch.nn.functional.cross_entropy(logits, label)}'),
        ),
        "loss",
    ),
    ("resnet", "C25 gradients cleared at the end"): Planted(
        (
            Patch("training", "        self.optimiser.zero_grad()\n", ""),
            Patch(
                "training",
                "        self.optimiser.step()\n",
                "        self.optimiser.step()\n        self.optimiser.zero_grad(set_to_none=False)\n",
            ),
        ),
        "training",
    ),
    ("resnet", "adaptive pooling"): one("model", "global_average_pool(h)", "F.adaptive_avg_pool2d(h, 1).flatten(1)"),
    ("resnet", "pooled shortcut view"): one(
        "model", "x = x[:, :, ::stride, ::stride]", "x = F.avg_pool2d(x, 1, stride)"
    ),
    ("resnet", "pixels in float64 first"): one(
        "data", "images.permute(0, 3, 1, 2).float() / 255", "(images.permute(0, 3, 1, 2).double() / 255).float()"
    ),
    ("resnet", "crops in a loop"): one(
        "data",
        "crops = windows[torch.arange(n), :, top, left]  # [n, k, r, c]",
        "crops = torch.stack([padded[i, :, t : t + rows, s : s + columns] for i, (t, s) in "
        "enumerate(zip(top.tolist(), left.tolist()))])",
    ),
    ("resnet", "last batch left out"): one(
        "data",
        "while (start := self.position * self.batch_size) < len(labels):",
        "while (start := self.position * self.batch_size) + self.batch_size <= len(labels):",
    ),
    ("resnet", "no decay of normalisation and biases"): one(
        "training",
        "torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, weight_decay=weight_decay)",
        'torch.optim.SGD([{"params": [p for p in model.parameters() if p.dim() > 1]}, {"params": [p for '
        'p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}], lr=rate, momentum=momentum, '
        "weight_decay=weight_decay)",
    ),
    ("resnet", "multi-step scheduler by product"): one(
        "training",
        "return rate * 0.1**drops",
        "return rate * (0.1 if step > first_drop else 1.0) * (0.1 if step > second_drop else 1.0)",
    ),
    ("resnet", "C26 sum, and a rate divided by the batch"): Planted(
        (
            Patch("loss", ".mean()", ".sum()"),
            Patch(
                "training",
                "rate = self.learning_rate(self.step)",
                'rate = self.learning_rate(self.step) / len(batch["label"])',
            ),
        ),
        "training",
    ),
    ("resnet", "accuracy from whole tensors"): one(
        "evaluation",
        "wrong += int((logits.argmax(-1) != label).sum())",
        "wrong += len(label) - int(logits.argmax(-1).eq(label).sum())",
    ),
    ("mnist1d", "the library's cross entropy"): Planted(
        (
            Patch("loss", "from torch import Tensor", "import torch\nfrom torch import Tensor"),
            Patch(
                "loss",
                TOTAL.replace("label", "digit"),
                '    return {"total": torch.nn.functional.cross_entropy(logits, digit)}',
            ),
        ),
        "loss",
    ),
    ("mnist1d", "C25 gradients cleared by the model"): one(
        "training", "self.optimiser.zero_grad()", "self.model.zero_grad()"
    ),
    ("mnist1d", "C26 sum, and the total divided by the batch"): Planted(
        (
            Patch("loss", ".mean()", ".sum()"),
            Patch("training", 'self.backward(terms["total"])', 'self.backward(terms["total"] / len(batch["digit"]))'),
        ),
        "training",
    ),
    ("mnist1d", "functional convolutions"): one(
        "model",
        "h = self.conv2(h).relu()",
        "h = nn.functional.conv1d(h, self.conv2.weight, self.conv2.bias, stride=2, padding=1).relu()",
        settings={"architectures.cnn.stages": {"output": ["batch", "classes"]}},
    ),
}


def plant(paper: str, planted: Planted, folder: Path, *overrides: str) -> Paper:
    """The paper with the patches made, as a package of another name on sys.path."""
    return Paper.from_config(planted_settings(replace(planted, paper=paper), folder, overrides).config)


def overrides_of(paper: str, name: str) -> tuple[str, ...]:
    """The settings under which a bug can show."""
    return (WITH[name],) if paper == "mnist1d" and name in WITH else ()
