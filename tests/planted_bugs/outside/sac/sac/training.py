"""One step of the critics, one of the actor, and the target follows a little."""

import copy

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=3e-3, tau=0.01):
        self.actor, self.critic, self.target = model["actor"], model["critic"], model["target"]
        self.loss, self.backward, self.tau = loss, backward, tau
        self.target.load_state_dict(copy.deepcopy(self.critic.state_dict()))
        self.target.requires_grad_(False)
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=learning_rate)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=learning_rate)

    def update(self, batch):
        s, a, s2 = batch["observation"], batch["action"], batch["next_observation"]
        with torch.no_grad():
            a2, logp2 = self.actor(s2)
            t1, t2 = self.target(s2, a2)
        critic_loss = self.loss["critic"](*self.critic(s, a), batch["reward"], batch["done"], t1, t2, logp2)["total"]
        self.critic_opt.zero_grad()
        self.backward(critic_loss)
        self.critic_opt.step()

        self.critic.requires_grad_(False)
        action, logp = self.actor(s)
        actor_loss = self.loss["actor"](logp, *self.critic(s, action))["total"]
        self.actor_opt.zero_grad()
        self.backward(actor_loss)
        self.actor_opt.step()
        self.critic.requires_grad_(True)

        with torch.no_grad():
            for p, t in zip(self.critic.parameters(), self.target.parameters(), strict=True):
                t.lerp_(p, self.tau)
        return {"critic": critic_loss.item(), "actor": actor_loss.item(), "entropy": -logp.mean().item()}

    def state_dict(self):
        return {"actor": self.actor_opt.state_dict(), "critic": self.critic_opt.state_dict()}

    def load_state_dict(self, s):
        self.actor_opt.load_state_dict(s["actor"])
        self.critic_opt.load_state_dict(s["critic"])
