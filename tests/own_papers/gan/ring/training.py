"""Alternating steps: first the discriminator, then the generator."""

from __future__ import annotations

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, learning_rate: float = 2e-3, latent: int = 4) -> None:
        self.model, self.loss, self.backward, self.latent = model, loss, backward, latent
        self.optimisers = {
            name: torch.optim.Adam(module.parameters(), lr=learning_rate, betas=(0.5, 0.999))
            for name, module in model.items()
        }

    def update(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        generator, discriminator = self.model["generator"], self.model["discriminator"]
        generator.train()
        discriminator.train()
        points = batch["points"]
        noise = torch.randn(len(points), self.latent, dtype=points.dtype, device=points.device)
        generated = generator(noise)

        self.optimisers["discriminator"].zero_grad()
        terms = self.loss["discriminator"](discriminator(points), discriminator(generated.detach()))
        self.backward(terms["total"])
        self.optimisers["discriminator"].step()

        self.optimisers["generator"].zero_grad()
        total = self.loss["generator"](discriminator(generated))["total"]
        self.backward(total)
        self.optimisers["generator"].step()
        return {"discriminator": terms["total"].detach(), "generator": total.detach()}

    def state_dict(self) -> dict[str, object]:
        return {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()}

    def load_state_dict(self, state: dict) -> None:
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state[name])
