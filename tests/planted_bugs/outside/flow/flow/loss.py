import math


def loss(z, log_det):
    """total: minus log-likelihood in nats, mean over examples"""
    log_prior = -0.5 * (z**2 + math.log(2 * math.pi)).sum(1)
    return {"total": -(log_prior + log_det).mean()}
