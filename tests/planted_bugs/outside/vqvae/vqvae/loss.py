"""Reconstruction, codes drawn to what is encoded, and the encoder held to its codes (equation 3)."""

import torch.nn.functional as F


def loss(reconstruction, encoded, quantised, image, beta=0.25):
    terms = {
        "reconstruction": F.mse_loss(reconstruction, image),
        "codebook": F.mse_loss(quantised, encoded.detach()),
        "commitment": F.mse_loss(encoded, quantised.detach()),
    }
    terms["total"] = terms["reconstruction"] + terms["codebook"] + beta * terms["commitment"]
    return terms
