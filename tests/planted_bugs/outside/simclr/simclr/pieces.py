"""The contrastive loss with the standard signature of the piece `nt_xent`."""

from simclr.loss import NTXent


def nt_xent(z1, z2, temperature):
    return NTXent(temperature)(z1, z2)["total"]
