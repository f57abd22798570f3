"""AdamW with linear warm-up and decay; no decay of biases and norms; gradients clipped at 1."""

import torch
from torch import Tensor, nn


class Training:
    def __init__(
        self, model, loss, backward=Tensor.backward, learning_rate=2e-3, warmup=40, total=400, weight_decay=0.01
    ):
        self.model, self.loss, self.backward = model, loss, backward
        decayed = [
            p
            for n, p in model.named_parameters()
            if not (n.endswith("bias") or "norm" in n or n.startswith("transform.2"))
        ]
        ids = {id(p) for p in decayed}
        rest = [p for p in model.parameters() if id(p) not in ids]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}],
            lr=learning_rate,
            betas=(0.9, 0.999),
            eps=1e-6,
        )
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda s: min((s + 1) / warmup, max(0.0, (total - s) / (total - warmup)))
        )

    def update(self, batch):
        self.model.train()
        logits = self.model(batch["tokens"], batch["attention_mask"])
        terms = self.loss(logits, batch["labels"])
        self.optimizer.zero_grad(set_to_none=True)
        self.backward(terms["total"])
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.scheduler.step()
        return {"loss": terms["total"].item(), "gradient_norm": norm.item()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
