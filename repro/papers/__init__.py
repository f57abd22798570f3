"""The papers: each folder holds plain PyTorch to be read beside the paper it implements."""
