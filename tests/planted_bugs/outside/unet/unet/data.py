"""Discs and bars on noisy ground, and the class of each pixel: 0 ground, 1 disc, 2 bar, 255 a border left out."""

import torch
from torch.utils.data import DataLoader, Dataset

VOID = 255


def draw(n, generator, size=16):
    ys, xs = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    images, masks = [], []
    for _ in range(n):
        mask = torch.zeros(size, size, dtype=torch.long)
        cy, cx = (int(v) for v in torch.randint(4, size - 4, (2,), generator=generator))
        d = ((ys - cy) ** 2 + (xs - cx) ** 2).float().sqrt()
        row = int(torch.randint(1, size - 3, (1,), generator=generator))
        mask[row : row + 2] = 2
        mask[d < 4] = VOID
        mask[d < 3] = 1
        shade = torch.tensor([0.2, 0.8, 0.5])
        image = shade[mask.where(mask != VOID, torch.zeros_like(mask))] + 0.1 * torch.randn(
            size, size, generator=generator
        )
        images.append(image[None])
        masks.append(mask)
    return torch.stack(images), torch.stack(masks)


class Shapes(Dataset):
    def __init__(self, images, masks):
        self.images, self.masks = images, masks

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], self.masks[i]


class Segmentation:
    def __init__(self, batch_size=16, seed=0):
        self.batch_size = batch_size
        images, masks = draw(224, torch.Generator().manual_seed(5))
        self.mean, self.std = images[:160].mean(), images[:160].std()
        images = (images - self.mean) / self.std
        self.sets = {
            "train": Shapes(images[:160], masks[:160]),
            "validation": Shapes(images[160:192], masks[160:192]),
            "test": Shapes(images[192:], masks[192:]),
        }
        self.generator = torch.Generator().manual_seed(seed)
        self.start, self.given = None, 0

    def batches(self, split):
        if split != "train":
            for image, mask in DataLoader(self.sets[split], batch_size=self.batch_size):
                yield {"image": image, "mask": mask}
            return
        if self.start is None:
            self.start, self.given = self.generator.get_state(), 0
        else:  # go on inside of a pass
            self.generator.set_state(self.start)
        order = torch.randperm(len(self.sets["train"]), generator=self.generator)
        for k, index in enumerate(order.split(self.batch_size)):
            flip = torch.rand(len(index), generator=self.generator) < 0.5
            if k < self.given:
                continue
            image, mask = self.sets["train"][index]
            image = torch.where(flip[:, None, None, None], image.flip(-1), image)
            mask = torch.where(flip[:, None, None], mask.flip(-1), mask)
            self.given = k + 1
            yield {"image": image, "mask": mask}
        self.start = None

    def synthetic(self, n, seed):
        image, mask = draw(n, torch.Generator().manual_seed(seed))
        return {"image": (image - self.mean) / self.std, "mask": mask}

    def state_dict(self):
        return {"generator": self.generator.get_state(), "start": self.start, "given": self.given}

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])
        self.start, self.given = state["start"], state["given"]
