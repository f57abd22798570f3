"""REINFORCE with a learned baseline."""

from torch.distributions import Categorical


def loss(logits, baseline, action, returns, entropy=0.01):
    """policy: minus log-probability times advantage; baseline: squared error; total: both, less the entropy bonus"""
    dist = Categorical(logits=logits)
    advantage = (returns - baseline).detach()
    policy = -(dist.log_prob(action) * advantage).mean()
    critic = 0.5 * (returns - baseline).pow(2).mean()
    return {"policy": policy, "baseline": critic, "total": policy + critic - entropy * dist.entropy().mean()}
