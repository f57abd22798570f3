"""A small language model over a made-up language, written as people write it: fused qkv, pre-norm, GELU."""
