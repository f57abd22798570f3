"""Pictures of 4 shapes, 3 x 12 x 12 bytes; crop and flip in training; statistics of the training split."""

from __future__ import annotations

import torch
import torch.nn.functional as F

CLASSES = 4


def draw(n, rng):
    """uint8 pictures [n, 3, 12, 12] and labels [n]: a bar across, a bar down, a square, a frame, in random colours."""
    label = torch.randint(0, CLASSES, (n,), generator=rng)
    image = torch.randint(0, 90, (n, 3, 12, 12), generator=rng)
    colour = torch.randint(120, 256, (n, 3), generator=rng)
    top, left = torch.randint(2, 6, (2, n), generator=rng)
    for i in range(n):
        t, k, c = int(top[i]), int(left[i]), colour[i][:, None, None]
        if label[i] == 0:
            image[i, :, t : t + 2, 1:11] = c
        elif label[i] == 1:
            image[i, :, 1:11, k : k + 2] = c
        else:
            image[i, :, t : t + 5, k : k + 5] = c
            if label[i] == 3:
                image[i, :, t + 1 : t + 4, k + 1 : k + 4] = 30
    return image.to(torch.uint8), label


class Shapes:
    def __init__(self, batch_size=32, augment=True, seed=0):
        self.batch_size, self.augment = batch_size, augment
        self.raw = {
            split: draw(n, torch.Generator().manual_seed(place))
            for place, (split, n) in enumerate({"train": 320, "validation": 70, "test": 70}.items())
        }
        pixels = self.raw["train"][0].float() / 255
        self.mean = pixels.mean(dim=(0, 2, 3), keepdim=True)
        self.std = pixels.std(dim=(0, 2, 3), keepdim=True)
        self.rng = torch.Generator().manual_seed(seed)
        self.at = 0
        self.epoch = self.rng.get_state()

    def normalise(self, images):
        return (images.float() / 255 - self.mean) / self.std

    def augmented(self, x):
        """Random crop of the picture padded by 1, and a random flip, drawn for each picture."""
        n = len(x)
        padded = F.pad(x, (1, 1, 1, 1))
        dy, dx = torch.randint(0, 3, (2, n), generator=self.rng)
        flip = torch.rand(n, generator=self.rng) < 0.5
        out = torch.stack([padded[i, :, dy[i] : dy[i] + 12, dx[i] : dx[i] + 12] for i in range(n)])
        return torch.where(flip[:, None, None, None], out.flip(-1), out)

    def batches(self, split):
        images, labels = self.raw[split]
        if split != "train":
            for i in range(0, len(images), 32):
                yield {"image": self.normalise(images[i : i + 32]), "label": labels[i : i + 32]}
            return
        self.rng.set_state(self.epoch)
        order = torch.randperm(len(images), generator=self.rng)
        done = 0
        while done < len(order):
            rows = order[done : done + self.batch_size]
            x = self.normalise(images[rows])
            if self.augment:
                x = self.augmented(x)
            done += self.batch_size
            if done <= self.at:
                continue
            self.at = done
            yield {"image": x, "label": labels[rows]}
        self.epoch = self.rng.get_state()
        self.at = 0

    def synthetic(self, n, seed):
        images, labels = draw(n, torch.Generator().manual_seed(1000 + seed))
        return {"image": self.normalise(images), "label": labels}

    def state_dict(self):
        return {"epoch": self.epoch, "at": self.at}

    def load_state_dict(self, state):
        self.epoch, self.at = state["epoch"], state["at"]
