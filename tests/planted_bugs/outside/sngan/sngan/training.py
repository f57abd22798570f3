"""One step each, discriminator first; both rates decay linearly."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=1e-3, latent=4):
        self.model, self.loss, self.backward, self.latent = model, loss, backward, latent
        self.opt = {k: torch.optim.Adam(m.parameters(), lr=learning_rate, betas=(0.5, 0.9)) for k, m in model.items()}

    def update(self, batch):
        G, D = self.model["generator"], self.model["discriminator"]
        for m in (G, D):
            m.train()
        real = batch["points"]
        fake = G(torch.randn(len(real), self.latent).to(real))
        self.opt["discriminator"].zero_grad(set_to_none=True)
        d = self.loss["discriminator"](D(real), D(fake.detach()))
        self.backward(d["total"])
        self.opt["discriminator"].step()

        self.opt["generator"].zero_grad(set_to_none=True)
        g = self.loss["generator"](D(G(torch.randn(2 * len(real), self.latent).to(real))))
        self.backward(g["total"])
        self.opt["generator"].step()
        return {"d": d["total"].item(), "g": g["total"].item()}

    def state_dict(self):
        return {k: o.state_dict() for k, o in self.opt.items()}

    def load_state_dict(self, state):
        for k, o in self.opt.items():
            o.load_state_dict(state[k])
