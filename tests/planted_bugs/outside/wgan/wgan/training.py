"""Algorithm 1: n_critic steps of the critic with gradient penalty, then one of the generator."""

import torch
from torch import Tensor


class Training:
    def __init__(
        self, model, loss, backward=Tensor.backward, *, learning_rate=1e-3, latent=4, n_critic=3, penalty=10.0
    ):
        self.G, self.D = model["generator"], model["critic"]
        self.loss, self.backward = loss, backward
        self.latent, self.n_critic, self.penalty = latent, n_critic, penalty
        self.opt_g = torch.optim.Adam(self.G.parameters(), lr=learning_rate, betas=(0.0, 0.9))
        self.opt_d = torch.optim.Adam(self.D.parameters(), lr=learning_rate, betas=(0.0, 0.9))

    def gradient_penalty(self, real, fake):
        eps = torch.rand(real.size(0), 1, device=real.device, dtype=real.dtype)
        x = (eps * real + (1 - eps) * fake).requires_grad_(True)
        out = self.D(x)
        (grad,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        return ((grad.norm(2, dim=1) - 1) ** 2).mean()

    def update(self, batch):
        self.G.train(), self.D.train()
        real = batch["points"]
        logs = {}
        for _ in range(self.n_critic):
            z = torch.randn(real.size(0), self.latent, device=real.device, dtype=real.dtype)
            with torch.no_grad():
                fake = self.G(z)
            terms = self.loss["critic"](self.D(real), self.D(fake))
            gp = self.gradient_penalty(real, fake)
            self.opt_d.zero_grad()
            self.backward(terms["total"] + self.penalty * gp)
            self.opt_d.step()
            logs.update(distance=terms["distance"].detach(), penalty=gp.detach())
        for p in self.D.parameters():
            p.requires_grad_(False)
        z = torch.randn(real.size(0), self.latent, device=real.device, dtype=real.dtype)
        g = self.loss["generator"](self.D(self.G(z)))["total"]
        self.opt_g.zero_grad()
        self.backward(g)
        self.opt_g.step()
        for p in self.D.parameters():
            p.requires_grad_(True)
        return {**logs, "generator": g.detach()}

    def state_dict(self):
        return {"g": self.opt_g.state_dict(), "d": self.opt_d.state_dict()}

    def load_state_dict(self, state):
        self.opt_g.load_state_dict(state["g"])
        self.opt_d.load_state_dict(state["d"])
