"""Bugs of data, model and loss, and correct variants, as patches of the Transformer's source."""

from __future__ import annotations

from .planting import Patch, Planted

ATTEND = "scores = scores.masked_fill(mask == 0, -math.inf)"
SOFTMAX = "weights = scores.softmax(dim=-1)  # [b, h, n, m], rows sum to 1"
RESIDUAL = "return self.norm(x + self.dropout(sublayer(x)))"


def model(before: str, after: str, likely: str, times: int = 1, **more: object) -> Planted:
    return Planted((Patch("model", before, after, times),), "model", likely, **more)  # type: ignore[arg-type]


def loss(before: str, after: str, likely: str, **more: object) -> Planted:
    return Planted((Patch("loss", before, after),), "loss", likely, **more)  # type: ignore[arg-type]


def data(before: str, after: str, likely: str, **more: object) -> Planted:
    return Planted((Patch("data", before, after),), "data", likely, **more)  # type: ignore[arg-type]


BUGS: dict[str, Planted] = {
    "T01": model(
        "self.self_attention(y, y, y, target_mask, cache)",
        "self.self_attention(y, y, y, None, cache)",
        "causal mask missing",
    ),
    "T02": model("mask == 0, -math.inf", "mask == 1, -math.inf", "mask polarity inverted"),
    "T02 with -1e9": model("mask == 0, -math.inf", "mask == 1, -1e9", "polarity inverted"),
    "T03": model(
        "dtype=torch.bool, device=device))", "dtype=torch.bool, device=device), diagonal=1)", "mask off by one"
    ),
    "T05": model(
        "self.source_embedding(source), padding_mask(source, self.padding))",
        "self.source_embedding(source), None)",
        "padding mask missing",
    ),
    "T06": model(
        "self.cross_attention(y, memory, memory, source_mask, cache)",
        "self.cross_attention(y, memory, memory, None, cache)",
        "cross-attention",
    ),
    "T09": Planted(
        (
            Patch("model", f"        {ATTEND}\n", "        pass\n"),
            Patch(
                "model",
                SOFTMAX,
                SOFTMAX + "\n    if mask is not None:\n        weights = weights.masked_fill(mask == 0, 0.0)",
            ),
        ),
        "model",
        "after the softmax",
    ),
    "T10": model(ATTEND, "scores.masked_fill(mask == 0, -math.inf)", "non-in-place masked_fill discarded"),
    "T11": model("    if scaled:\n        scores", "    if False:\n        scores", "not divided by sqrt(d_k)"),
    "T12": model(
        "scores / math.sqrt(d_k)",
        "scores / math.sqrt(d_k * q.size(1))",
        "model's width instead of the width of one head",
    ),
    "T14": model(SOFTMAX, "weights = scores.softmax(dim=-2)", "query axis"),
    "T15": model(
        "heads.transpose(1, 2).reshape(b, n, -1)", "heads.reshape(b, n, -1)", "heads merged without transpose"
    ),
    "T17": model(
        "x = self.residual1(x, lambda x: self.self_attention(x, x, x, source_mask))",
        "x = self.residual1(x.transpose(0, 1), lambda x: self.self_attention(x, x, x, None)).transpose(0, 1)",
        "across the batch",
    ),
    "T18": model(
        "x = x + self.pe[start : start + n]", "x = x + self.pe[start + n - 1]", "one row added to every position"
    ),
    "T20": model("-(math.log(10000.0) / width))", "-(math.log(10000.0) / (width // 2)))", "wrong frequencies"),
    "T23": model("x = x * math.sqrt(self.width)", "x = x * 1.0", "embedding not multiplied by sqrt(d_model)"),
    "T24": Planted(
        (
            Patch(
                "model",
                "self.output.weight = self.source_embedding.pieces.weight",
                "self.output.weight.data.copy_(self.source_embedding.pieces.weight.data)",
            ),
        ),
        "model",
        "weight tying lost",
    ),
    "T25": model(RESIDUAL, "return x + self.dropout(sublayer(self.norm(x)))", "Pre-LN used where the paper is post-LN"),
    "T27": model(
        "x = self.residual2(x, self.feed_forward)",
        "x = self.residual2.norm(self.feed_forward(x))",
        "residual connection missing around feed_forward",
    ),
    "T28": data(
        "target_input, target_output = y[:, :-1], y[:, 1:]",
        "target_input, target_output = y, y",
        "teacher forcing without the shift",
    ),
    "T29": Planted(
        (
            Patch("loss", "flat = logits.flatten(0, 1)", "flat = logits[:, :-1].flatten(0, 1)"),
            Patch("loss", "targets = target_output.flatten()", "targets = target_output[:, 1:].flatten()"),
        ),
        "loss",
        "labels shifted twice",
    ),
    "T30": loss("real = targets != padding", "real = targets == targets", "padding counted in the loss"),
    "T35": Planted(
        (
            Patch(
                "beam", "return scores / ((5 + lengths) / 6) ** alpha", "return scores * ((5 + lengths) / 6) ** alpha"
            ),
        ),
        "evaluation",
        "multiplied instead of divided",
    ),
    "T41": data("y = pad([[BOS] + ids + [EOS] for", "y = pad([[BOS] + ids for", "EOS not appended"),
    "V22": Planted(
        (Patch("model", "return self.output(y)", "return self.output(y).softmax(-1)"),),
        "loss",
        "softmax before the cross entropy",
        components=("logits",),
    ),
    "V23": loss(
        "log_p = logits[real].log_softmax(dim=-1)",
        "log_p = logits[real].softmax(dim=-1)",
        "probabilities instead of log-probabilities",
    ),
    "V24": data(
        'yield collate([self.ids["train"][i] for i in groups[self.position - 1]])',
        'batch = collate([self.ids["train"][i] for i in groups[self.position - 1]])\n'
        '            p = torch.randperm(len(batch["source"]))\n'
        '            yield {**batch, "source": batch["source"][p]}',
        "inputs shuffled without the labels",
    ),
    "V26": data(
        "            rows = self.ids[split]\n",
        '            rows = self.ids["train"][:500] if split == "validation" else self.ids[split]\n',
        "validation indices overlap",
    ),
    "V32": Planted(
        (
            Patch(
                "model",
                "self.pieces = nn.Embedding(vocabulary, width)",
                (
                    "self.pieces = nn.Embedding(vocabulary, width)\n"
                    "        self.slots = nn.Parameter(torch.randn(64, 1, width))"
                ),
            ),
            Patch("model", "x = self.pieces(ids)  # [b, n, width]", "x = self.pieces(ids) + self.slots[: ids.size(0)]"),
        ),
        "model",
        "",
    ),
    "X07": model("self.layers = nn.ModuleList(layers)", "self.layers = list(layers)", "plain Python list", times=2),
    "X09": model(
        "        self.initialise()\n",
        "        self.initialise()\n        for p in self.encoder.parameters():\n            p.requires_grad_(False)\n",
        "frozen flag left on",
    ),
    "X10": Planted(
        (
            Patch(
                "model",
                "        return self.encoder(self.source_embedding(source), padding",
                "        with torch.no_grad():\n            return self.encoder(self.source_embedding(source), padding",
            ),
        ),
        "model",
        "no_grad left around",
    ),
    "X12": loss(
        '"total": label_smoothed_cross_entropy(flat, targets, self.smoothing, self.padding),',
        (
            '"total": flat.new_tensor(label_smoothed_cross_entropy(flat, targets, self.smoothing, '
            "self.padding).item(), requires_grad=True),"
        ),
        "re-wrapped in a new tensor",
    ),
    "X14": model(
        "nn.init.xavier_uniform_(module.weight)",
        "nn.init.constant_(module.weight, 0.01)",
        "initialised to the same constant",
    ),
    "X24": Planted(
        (
            Patch(
                "model",
                "        for layer in self.layers:\n            x = layer(x, source_mask)\n",
                (
                    "        x = x + getattr(self, 'state', 0.0)\n"
                    "        for layer in self.layers:\n"
                    "            x = layer(x, source_mask)\n"
                    "        self.state = x.detach().mean()\n"
                ),
            ),
        ),
        "model",
        "hidden state carried between batches",
    ),
    "X36": Planted(
        (Patch("model", "        return self.dropout(x)\n", "        return F.dropout(x, 0.1)\n"),),
        "model",
        "functional dropout ignores eval mode",
    ),
    "X25": data(
        "pad([ids + [EOS] for ids, _ in examples])",
        "pad([ids.append(EOS) or ids for ids, _ in examples])",
        "in-place op changes the stored data",
        spoils=True,
    ),
    "X28": Planted(
        (
            Patch(
                "loss",
                "return ((1 - smoothing) * nll + smoothing * uniform).mean()",
                "return ((1 - smoothing) * nll + smoothing * uniform).sum()",
            ),
        ),
        "loss",
        "sum instead of mean",
    ),
    "X32": Planted(
        (
            Patch("data", "        order.sort(key=", "        order = sorted(order)\n        order.sort(key="),
            Patch(
                "data",
                "return [groups[i] for i in torch.randperm(len(groups), generator=self.generator).tolist()]",
                "return groups",
            ),
        ),
        "data",
        "not shuffled",
    ),
    "X38": Planted(
        (
            Patch(
                "loss",
                "class Loss:",
                "class Scores(torch.autograd.Function):\n"
                "    @staticmethod\n    def forward(ctx, x):\n        return x.clone()\n\n"
                "    @staticmethod\n    def backward(ctx, gradient):\n        return gradient / 2\n\n\nclass Loss:",
            ),
            Patch("loss", "from torch import Tensor\n", "import torch\nfrom torch import Tensor\n"),
            Patch("loss", "flat = logits.flatten(0, 1)", "flat = Scores.apply(logits.flatten(0, 1))"),
        ),
        "loss",
        "custom backward off by a factor",
    ),
    "X41": data(
        "target_input, target_output = y[:, :-1], y[:, 1:]",
        "target_input, target_output = y[:, :-1], y[:, :-1]",
        "without the shift",
    ),
    # --- not in the list: what a hidden set may hold -----------------------------------------------------------------
    "causal mask on the source too": model(
        "        return self.encoder(self.source_embedding(source), padding_mask(source, self.padding))",
        (
            "        mask = padding_mask(source, self.padding) & causal_mask(source.size(1))\n"
            "        return self.encoder(self.source_embedding(source), mask)"
        ),
        "causal mask where the paper has none",
    ),
    "positions from 1": model(
        "x = x + self.pe[start : start + n]", "x = x + self.pe[start + 1 : start + n + 1]", "positions counted from 1"
    ),
    "wrong residual around cross attention": model(
        "y = self.residual2(y, lambda y: self.cross_attention(y, memory, memory, source_mask, cache))",
        "y = self.residual2.norm(self.cross_attention(y, memory, memory, source_mask, cache))",
        "residual connection missing around cross_attention",
    ),
    "no output projection": model(
        "return self.output(heads.transpose(1, 2).reshape(b, n, -1))",
        "return heads.transpose(1, 2).reshape(b, n, -1)",
        "not applied",
    ),
    "heads split without transpose": model(
        "return x.view(b, n, self.heads, -1).transpose(1, 2)",
        "return x.view(b, self.heads, n, -1)",
        "heads split without transpose",
    ),
    "keys not trained": model(
        "k, v = self.split(self.key(key)), self.split(self.value(value))",
        "k, v = self.split(self.key(key)).detach(), self.split(self.value(value))",
        ".detach()",
    ),
    "no relu": model(
        "return self.outer(F.relu(self.inner(x)))", "return self.outer(self.inner(x))", "activation missing"
    ),
    "embedding scaled twice": model("x = x * math.sqrt(self.width)", "x = x * self.width", "sqrt(d_model)"),
    "embedding std 1": model(
        "nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)",
        "nn.init.normal_(module.weight)",
        "default init",
    ),
    "smoothing off": loss("+ smoothing * uniform)", "+ 0 * uniform)", ""),
    "smoothing sign": loss(
        "(1 - smoothing) * nll + smoothing * uniform", "(1 + smoothing) * nll - smoothing * uniform", ""
    ),
    "loss sign": loss("nll = -log_p", "nll = log_p", ""),
    "sum over all positions": Planted(
        (Patch("loss", "smoothing * uniform).mean()", "smoothing * uniform).sum() / len(targets)"),),
        "loss",
        "padding included",
    ),
    "targets transposed": loss(
        "targets = target_output.flatten()", "targets = target_output.T.flatten()", "flattened in different orders"
    ),
    "padding on the left": data(
        "[[*row, *[PAD] * (longest - len(row))] for row in rows]",
        "[[*[PAD] * (longest - len(row)), *row] for row in rows]",
        "",
    ),
    "position of the stream not saved": data(
        '        self.position = state["position"]\n',
        "        self.position = 0\n",
        "position in the pass is not saved",
    ),
    "test is validation": data(
        "            rows = self.ids[split]\n", '            rows = self.ids["validation"]\n', ""
    ),
    "validation shuffled": data(
        "            rows = self.ids[split]\n",
        "            rows = [self.ids[split][i] for i in torch.randperm(len(self.ids[split]))]\n",
        "validation shuffled",
    ),
}

#: Correct code that looks different; the second part are settings that declare it.
VARIANTS: dict[str, Planted] = {
    "C01 -1e9": model("mask == 0, -math.inf", "mask == 0, -1e9", ""),
    "C01 finfo.min": model("mask == 0, -math.inf", "mask == 0, torch.finfo(scores.dtype).min", ""),
    "C01 additive": model(ATTEND, "scores = scores + torch.zeros_like(scores).masked_fill(mask == 0, -1e9)", ""),
    "C01 opposite polarity": Planted(
        (
            Patch("model", "mask == 0, -math.inf", "mask, -math.inf"),
            Patch("model", "seen = None if mask is None else mask != 0", "seen = None if mask is None else ~mask"),
            Patch("model", "return (ids != padding)[:, None, None, :]", "return (ids == padding)[:, None, None, :]"),
            Patch(
                "model",
                "return torch.tril(torch.ones(n, n, dtype=torch.bool, device=device))",
                "return ~torch.tril(torch.ones(n, n, dtype=torch.bool, device=device))",
            ),
            Patch(
                "model",
                "padding_mask(target_input, self.padding) & causal",
                "padding_mask(target_input, self.padding) | causal",
            ),
        )
    ),
    "C02 fused": model("    if fused:\n", "    if True:\n", ""),
    "C02 fused by config": Planted((), settings={"model.attention": "fused"}),
    "float32 softmax": model(SOFTMAX, "weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)", ""),
    "queries scaled first": model("scores = q @ k.transpose(-2, -1)", "scores = (q * 1.0) @ k.transpose(-2, -1)", ""),
    "C04": Planted(
        (
            Patch(
                "model",
                "table[:, 0::2] = torch.sin(position * frequency)",
                "table[:, : (width + 1) // 2] = torch.sin(position * frequency)",
            ),
            Patch(
                "model",
                "table[:, 1::2] = torch.cos(position * frequency)[:, : width // 2]",
                "table[:, (width + 1) // 2 :] = torch.cos(position * frequency)[:, : width // 2]",
            ),
        )
    ),
    "C05": model(
        "torch.arange(0, width, 2, dtype=torch.float64) * -(math.log(10000.0) / width)",
        "torch.arange(0, width // 2, dtype=torch.float64) * -(math.log(10000.0) / (width // 2 - 1))",
        "",
    ),
    "C08": Planted(
        (
            Patch("model", "x = x * math.sqrt(self.width)", "x = x * 1.0"),
            Patch("model", "return self.output(y)", "return self.output(y) / math.sqrt(y.size(-1))"),
        )
    ),
    "C08 with std 1": Planted(
        (
            Patch("model", "x = x * math.sqrt(self.width)", "x = x * 1.0"),
            Patch("model", "return self.output(y)", "return self.output(y) / math.sqrt(y.size(-1))"),
            Patch(
                "model",
                "nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)",
                "nn.init.normal_(module.weight)",
            ),
        )
    ),
    "C26": Planted(
        (
            Patch(
                "loss",
                "return ((1 - smoothing) * nll + smoothing * uniform).mean()",
                "return ((1 - smoothing) * nll + smoothing * uniform).sum()",
            ),
            Patch(
                "training",
                'self.backward(terms["total"])\n',
                'self.backward(terms["total"] / (batch["target_output"] != self.padding).sum())\n',
            ),
        )
    ),
    "C26 under Adam, the rate divided": Planted(
        (
            Patch(
                "loss",
                "return ((1 - smoothing) * nll + smoothing * uniform).mean()",
                "return ((1 - smoothing) * nll + smoothing * uniform).sum()",
            ),
            Patch(
                "training",
                "rate = self.learning_rate(self.step)",
                'rate = self.learning_rate(self.step) / (batch["target_output"] != 0).sum().item()',
            ),
        )
    ),
    "cross entropy by PyTorch": Planted(
        (
            Patch(
                "loss",
                "    real = targets != padding  # [n]\n",
                (
                    "    return F.cross_entropy(logits, targets, ignore_index=padding, label_smoothing=smoothing)\n"
                    "    real = targets != padding  # [n]\n"
                ),
            ),
            Patch("loss", "from torch import Tensor\n", "import torch.nn.functional as F\nfrom torch import Tensor\n"),
        )
    ),
    "model returns log-probabilities": model("return self.output(y)", "return self.output(y).log_softmax(-1)", ""),
    "fairseq smoothing": loss(
        "return ((1 - smoothing) * nll + smoothing * uniform).mean()",
        (
            "c = logits.size(-1)\n"
            "    e = smoothing / (c - 1)\n"
            "    return ((1 - smoothing - e) * nll + e * c * uniform).mean()"
        ),
        "",
    ),
    "frozen table": model(
        'self.register_buffer("pe", positional_encoding(max_length, width), persistent=False)',
        "self.pe = nn.Parameter(positional_encoding(max_length, width), requires_grad=False)",
        "",
    ),
    "norm by hand": Planted(
        (
            Patch(
                "model",
                "class Residual(nn.Module):",
                (
                    "class Norm(nn.Module):\n"
                    "    def __init__(self, width: int) -> None:\n"
                    "        super().__init__()\n"
                    "        self.weight, self.bias = nn.Parameter(torch.ones(width)), "
                    "nn.Parameter(torch.zeros(width))\n"
                    "\n"
                    "    def forward(self, x: Tensor) -> Tensor:\n"
                    "        d = x - x.mean(-1, keepdim=True)\n"
                    "        return self.weight * d / (d.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() + self.bias\n"
                    "\n"
                    "\n"
                    "class Residual(nn.Module):"
                ),
            ),
            Patch(
                "model",
                "        self.norm = nn.LayerNorm(width)\n        self.dropout",
                "        self.norm = Norm(width)\n        self.dropout",
            ),
        )
    ),
    "einsum": model(
        "scores = q @ k.transpose(-2, -1)  # [b, h, n, m]", 'scores = torch.einsum("bhnd,bhmd->bhnm", q, k)', ""
    ),
    "one mask for all layers": model(
        "target_mask = padding_mask(target_input, self.padding) & causal",
        "target_mask = causal.expand(target_input.size(0), 1, n, n)",
        "",
    ),
    "data shuffled by epoch seed": data(
        "        order.sort(key=", "        order = order[::-1]\n        order.sort(key=", ""
    ),
}

#: Variants that the config declares, as overrides.
DECLARED: dict[str, tuple[str, ...]] = {
    "C07 pre-norm": ("model.norm=pre",),
    "learned positions": ("model.positions=learned",),
    "no tying": ("model.tied=false",),
    "no embedding scale": ("model.scale_embedding=false",),
    "no smoothing": ("loss.smoothing=0.0",),
    "no dropout": ("model.dropout=0.0",),
    "other widths": ("model.width=24", "model.heads=3", "model.d_k=5", "model.d_v=7", "model.layers=2"),
}
