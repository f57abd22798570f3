from torch import nn


class QNetwork(nn.Module):
    def __init__(self, observations=4, actions=3, hidden=24):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(observations, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, actions)

    def forward(self, observation):
        return self.head(self.body(observation))
